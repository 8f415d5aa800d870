//! The embedded store: one file, `weir.db`, in the data directory, by SQLite.
//!
//! ```text
//! Sqlite ──▶ writer ──▶ group ──▶ batch ──▶ records, journal, jobs ──▶ weir.db (+ -wal)
//!       └──▶ readers ────────────────────────────▲
//! ```
//!
//! A commit is answered after its COMMIT returned with the log synced. Readers never wait for the
//! writer, nor it for them.

mod batch;
mod figures;
mod group;
mod jobs;
mod journal;
mod open;
mod readers;
mod records;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use self::{batch::Stop, readers::Readers, writer::Writer};
use super::{
    CommitError, Entry, Journal, Order, Record, Records, StoreError, Watch, Write, limits,
};
use crate::base::id::Revision;

pub use self::open::OpenError;

/// How a store behaves.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read at the same time; opened when they are first needed.
    pub readers: usize,
    /// Memory that each connection keeps pages in, in KiB.
    pub cache_kib: u32,
    /// The largest that the file may become; without it the disk is the limit.
    pub bytes_max: Option<u64>,
    /// The pause between two tries to get a store back that is out of service.
    pub reopen_pause_ms: u64,
    /// Syncs after which the writer moves what is in the log to its place; 0: left to SQLite, which
    /// does it when the log has grown large, while a commit waits.
    pub checkpoint_syncs: u32,
}

/// A store in a directory, held by this process until it is dropped. The drop waits until what was
/// asked is done.
pub struct Sqlite {
    file: PathBuf,
    // Before the writer, so that the last connection to close is one that may tidy up the log.
    readers: Readers,
    writer: Writer,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            cache_kib: 512,
            bytes_max: None,
            reopen_pause_ms: 1_000,
            checkpoint_syncs: 256,
        }
    }
}

// === impl Sqlite ===

impl Sqlite {
    /// Opens the store of this directory, making it if there is none. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]. A file that is refused was not changed.
    pub fn open(directory: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let (held, connection) = open::open(directory, &options)?;
        let file = held.file.clone();
        let readers = Readers::new(file.clone(), options.clone());
        let writer = Writer::start(held, connection, options).map_err(|error| OpenError::Io {
            path: file.clone(),
            error,
        })?;
        Ok(Self {
            file,
            readers,
            writer,
        })
    }

    /// Sets the gauges of the store. They are forgotten unless this is called now and then.
    pub fn refresh(&self) {
        figures::refresh(&self.file, self.writer.available());
    }

    /// Whether it takes writes.
    pub fn available(&self) -> bool {
        self.writer.available()
    }

    /// Batches committed since it was opened, and the syncs that it took.
    pub fn commits_and_syncs(&self) -> (u64, u64) {
        let figures = self.writer.figures();
        (figures.commits(), figures.syncs())
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sqlite({:?})", self.file)
    }
}

#[async_trait]
impl Records for Sqlite {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let key = key.to_owned();
        self.readers.read(move |sql| records::get(sql, &key)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Record>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.readers
            .read(move |sql| records::list(sql, &prefix, after.as_deref(), limit, order))
            .await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, CommitError> {
        limits::batch(&batch)?;
        let work = move |to: &mut batch::Batch<'_>| records::write_all(to, &batch);
        self.writer.ask(work).await.map_err(Stop::into_commit)
    }

    fn watch(&self, prefix: &str) -> Watch {
        Watch::new(prefix, self.writer.changes())
    }
}

#[async_trait]
impl Journal for Sqlite {
    async fn append(&self, topic: &str, entries: Vec<Bytes>) -> Result<u64, StoreError> {
        limits::append(topic, &entries)?;
        let topic = topic.to_owned();
        let work = move |to: &mut batch::Batch<'_>| {
            journal::append(to, &topic, &entries).map_err(Stop::from)
        };
        self.writer.ask(work).await.map_err(Stop::into_store)
    }

    async fn range(
        &self,
        topic: &str,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, StoreError> {
        let topic = topic.to_owned();
        self.readers
            .read(move |sql| journal::range(sql, &topic, after, limit, order))
            .await
    }

    async fn trim(&self, topic: &str, keep: u64) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let topic = topic.to_owned();
            let work = move |to: &mut batch::Batch<'_>| journal::trim(to, &topic, keep);
            let gone = self.writer.ask(work).await.map_err(Stop::into_store)?;
            total += gone;
            if gone < journal::TRIM_AT_ONCE {
                return Ok(total);
            }
        }
    }
}
