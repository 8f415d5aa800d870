//! What outlives the process: three small traits, and an embedded store that implements them.
//!
//! ```text
//! control, queue ──commit──▶ one writer: waits, groups, fsyncs ──▶ one file
//!                ◀──get, list, range── readers, beside it
//! ```
//!
//! Whoever uses a store knows these traits alone. `contract` holds what each implementation has to
//! keep, as tests that run over every one of them. A revision is a number that only grows over the
//! whole store; every commit gets its own, and each record carries that of its last commit.
//!
//! `side_file` is no part of that: files beside the store, for figures on which nothing rests.

#[cfg(test)]
mod contract;
mod jobs;
mod limits;
#[cfg(test)]
mod memory;
pub mod side_file;
mod sqlite;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::base::id::Revision;

#[cfg(test)]
pub(crate) use self::memory::Memory;
pub use self::{
    jobs::{
        Content, End, Enqueued, Fenced, Forgotten, Holder, JOB_BYTES, Job, JobError, JobFilter,
        JobPage, JobStatus, Jobs, Kept, Lane, Leased, NewJob, Once, OpenJob, Totals, Was,
    },
    sqlite::{OpenError, Sqlite, SqliteOptions},
};

/// The longest key of a record, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// The longest value of a record or an entry, in bytes. Larger things are no records.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Writes of one batch. The largest is the first take of a file that declares all there may be: a
/// million keys by two writes, ten thousand deployments by three.
pub const BATCH_WRITES_MAX: usize = 4_000_000;

/// A value under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key: words joined by `/`.
    pub key: String,
    /// The commit that wrote it.
    pub revision: Revision,
    /// What was written.
    pub value: Bytes,
}

/// What has to hold of a record for a write of it to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum If {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// It has this revision.
    Revision(Revision),
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes a record.
    Put {
        /// Its key.
        key: String,
        /// Its value.
        value: Bytes,
        /// What has to hold before.
        condition: If,
    },
    /// Takes a record away; none is there afterwards.
    Delete {
        /// Its key.
        key: String,
        /// What has to hold before.
        condition: If,
    },
    /// Appends an entry to a topic of the journal.
    Append {
        /// The topic.
        topic: String,
        /// The entry.
        value: Bytes,
    },
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Smallest key or sequence first.
    #[default]
    Up,
    /// Largest first.
    Down,
}

/// A record changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub revision: Revision,
    /// The record's key.
    pub key: String,
    /// What it is now; none when it was taken away.
    pub value: Option<Bytes>,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number within its topic; only grows, never used twice, also after a trim.
    pub sequence: u64,
    /// What was appended.
    pub value: Bytes,
}

/// Why a store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or the store's own limit reached. Nothing was written.
    #[error("the store is full: {0}")]
    Full(String),
    /// It is out of service; what was asked may or may not have happened when it was a write.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was asked breaks one of the store's limits. Nothing was written.
    #[error("not for this store: {0}")]
    Invalid(String),
}

/// Why a batch was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold; nothing of the batch was written.
    #[error("{key} is at revision {found:?}, not as expected")]
    Conflict {
        /// The first record whose condition did not hold.
        key: String,
        /// Its revision; none when it is absent.
        found: Option<Revision>,
    },
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records: values under keys, with revisions.
#[async_trait]
pub trait Records: Send + Sync {
    /// The record of this key.
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError>;

    /// Up to `limit` records whose keys start with `prefix`, in byte order of their keys, beyond
    /// `after` (exclusive, in the list's direction) when given.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Record>, StoreError>;

    /// Writes all of the batch, durably, or nothing. Writes happen in their order; a condition sees
    /// the batch's earlier writes. An empty batch is refused.
    ///
    /// # Cancellation
    /// The batch may have been written.
    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, CommitError>;

    /// The changes of records whose keys start with `prefix`, committed after this call, in order.
    /// Who has been told of a commit finds its changes there. A slow listener loses the oldest and is told so by the channel's `Lagged`, after which it
    /// lists anew.
    fn watch(&self, prefix: &str) -> Watch;
}

/// A journal: entries in topics, in the order of their appending.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries durably, all or none; answers the sequence of the last.
    async fn append(&self, topic: &str, entries: Vec<Bytes>) -> Result<u64, StoreError>;

    /// Up to `limit` entries beyond `after` (exclusive, in the list's direction) when given.
    async fn range(
        &self,
        topic: &str,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Removes the oldest entries of a topic until at most `keep` are left; answers how many went.
    async fn trim(&self, topic: &str, keep: u64) -> Result<u64, StoreError>;
}

/// Records and the journal: all of a store that knows nothing of jobs.
pub trait Ledger: Records + Journal {}

impl<T: Records + Journal> Ledger for T {}

/// A whole store.
pub trait Store: Ledger + Jobs {}

impl<T: Ledger + Jobs> Store for T {}

/// Changes of records as they are committed. See [`Records::watch`].
pub struct Watch {
    prefix: String,
    changes: broadcast::Receiver<Change>,
}

// === impl Watch ===

impl Watch {
    /// The changes of `changes` whose keys start with `prefix`.
    pub fn new(prefix: &str, changes: broadcast::Receiver<Change>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            changes,
        }
    }

    /// The next change.
    ///
    /// # Errors
    /// `Lagged` when some were lost, then list anew. `Closed` when the store is gone, or was out of
    /// service and came back with a commit that it had given up: watch and list anew.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&mut self) -> Result<Change, broadcast::error::RecvError> {
        loop {
            let change = self.changes.recv().await?;
            if change.key.starts_with(&self.prefix) {
                return Ok(change);
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({:?})", self.prefix)
    }
}
