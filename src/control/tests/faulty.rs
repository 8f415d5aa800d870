//! A store that does as it is told, and fails as it is told.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    base::id::Revision,
    store::{
        CommitError, Entry, Journal, Ledger, Order, Record, Records, StoreError, Watch, Write,
    },
};

pub(super) const WELL: u8 = 0;
/// A commit is refused before it is made.
pub(super) const FULL: u8 = 1;
/// A commit is not made, and nobody knows.
pub(super) const LOST: u8 = 2;
/// A commit is made, and nobody knows.
pub(super) const MADE: u8 = 3;
/// Nothing answers any more.
pub(super) const DEAD: u8 = 4;

pub(super) struct Faulty {
    inner: Arc<dyn Ledger>,
    mode: AtomicU8,
}

impl Faulty {
    pub(super) fn over(inner: Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mode: AtomicU8::new(WELL),
        })
    }

    pub(super) fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::Relaxed);
    }

    pub(super) fn inner(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.inner)
    }

    fn alive(&self) -> Result<(), StoreError> {
        match self.mode.load(Ordering::Relaxed) {
            DEAD => Err(StoreError::Unavailable("it is dead".to_owned())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Records for Faulty {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.alive()?;
        self.inner.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Record>, StoreError> {
        self.alive()?;
        self.inner.list(prefix, after, limit, order).await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, CommitError> {
        let dark = || StoreError::Unavailable("fsync failed".to_owned());
        match self.mode.load(Ordering::Relaxed) {
            FULL => Err(StoreError::Full("no space".to_owned()).into()),
            LOST | DEAD => Err(dark().into()),
            MADE => {
                self.inner.commit(batch).await?;
                Err(dark().into())
            }
            _ => self.inner.commit(batch).await,
        }
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.inner.watch(prefix)
    }
}

#[async_trait]
impl Journal for Faulty {
    async fn append(&self, topic: &str, entries: Vec<Bytes>) -> Result<u64, StoreError> {
        self.alive()?;
        self.inner.append(topic, entries).await
    }

    async fn range(
        &self,
        topic: &str,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, StoreError> {
        self.alive()?;
        self.inner.range(topic, after, limit, order).await
    }

    async fn trim(&self, topic: &str, keep: u64) -> Result<u64, StoreError> {
        self.alive()?;
        self.inner.trim(topic, keep).await
    }
}
