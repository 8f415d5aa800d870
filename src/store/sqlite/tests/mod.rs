//! What is SQLite's alone: opening, being out of service, and crashes.

mod crash;
mod group;
mod opening;
mod service;
mod torn;

use std::path::Path;

use bytes::Bytes;

use super::{super::*, Sqlite, SqliteOptions};

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
