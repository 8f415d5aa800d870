//! What is SQLite's alone: opening, being out of service, and crashes.

mod crash;
mod crash_jobs;
mod failing;
mod group;
mod jobs;
mod load;
mod opening;
mod service;
mod torn;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tokio::{sync::oneshot, task::JoinSet};

use super::{super::*, Sqlite, SqliteOptions, batch::Batch};

fn open(directory: &Path) -> Sqlite {
    Sqlite::open(directory, SqliteOptions::default()).expect("a store")
}

fn put(key: &str, value: impl Into<Bytes>) -> Write {
    Write::Put {
        key: key.into(),
        value: value.into(),
        condition: If::Any,
    }
}

async fn has(store: &Sqlite, key: &str) -> bool {
    store.get(key).await.expect("a read").is_some()
}

/// All records of a prefix, read page by page.
async fn all(store: &Sqlite, prefix: &str) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map(|record| record.key.as_str());
        let page = store.list(prefix, after, 10_000, Order::Up).await;
        let page = page.expect("a page");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Keeps the writer busy until the other end is dropped, so that what is asked meanwhile waits and
/// becomes one group.
async fn hold(store: &Arc<Sqlite>, tasks: &mut JoinSet<()>) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, has_entered) = oneshot::channel();
    let mut entered = Some(entered);
    let store = Arc::clone(store);
    tasks.spawn(async move {
        let work = move |_: &mut Batch<'_>| {
            if let Some(entered) = entered.take() {
                entered.send(()).expect("waited for");
            }
            let _ = held.recv();
            Ok(())
        };
        store.writer.ask(work).await.expect("nothing written");
    });
    has_entered.await.expect("entered");
    release
}

/// Lets the writer go on with what waits by now, as one group. Only on a current-thread runtime,
/// which has run each task up to its asking when the yields come back.
async fn let_in_group(release: std::sync::mpsc::Sender<()>) {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(release);
}
