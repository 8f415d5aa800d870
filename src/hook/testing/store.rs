//! Records that fail as they are told.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    base::id::Revision,
    store::{CommitError, Order, Record, Records, StoreError, Watch, Write},
};

pub(crate) const WELL: u8 = 0;
/// A commit is not made, and nobody knows.
pub(crate) const LOST: u8 = 1;
/// A commit is made, and nobody knows.
pub(crate) const MADE: u8 = 2;
/// A commit never comes back, and is not made.
pub(crate) const STUCK: u8 = 3;
/// A commit is made, and never comes back.
pub(crate) const STUCK_BEHIND: u8 = 4;

pub(crate) struct Faulty {
    inner: Arc<dyn Records>,
    mode: AtomicU8,
    commits: AtomicUsize,
    asked: Notify,
}

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn Records>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mode: AtomicU8::new(WELL),
            commits: AtomicUsize::new(0),
            asked: Notify::new(),
        })
    }

    pub(crate) fn set(&self, mode: u8) {
        self.mode.store(mode, Relaxed);
        self.commits.store(0, Relaxed);
    }

    /// Until so many commits have been asked for since [`Faulty::set`], and come as far as they do.
    pub(crate) async fn asked(&self, commits: usize) {
        loop {
            let asked = self.asked.notified();
            if self.commits.load(Relaxed) >= commits {
                return;
            }
            asked.await;
        }
    }

    fn count(&self) {
        self.commits.fetch_add(1, Relaxed);
        self.asked.notify_waiters();
    }
}

#[async_trait]
impl Records for Faulty {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(prefix, after, limit, order).await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, CommitError> {
        let mode = self.mode.load(Relaxed);
        let made = match mode {
            LOST | STUCK => None,
            _ => Some(self.inner.commit(batch).await),
        };
        self.count();
        match (mode, made) {
            (WELL, Some(made)) => made,
            (STUCK | STUCK_BEHIND, _) => std::future::pending().await,
            _ => Err(StoreError::Unavailable("fsync failed".to_owned()).into()),
        }
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.inner.watch(prefix)
    }
}
