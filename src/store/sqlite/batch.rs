//! A batch: what one caller asked to be written, all of it or nothing.
//!
//! ```text
//! caller: ask(work) ──▶ Unit ──▶ writer: run, in a savepoint ──▶ COMMIT ──▶ answer ──▶ caller
//! ```

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::{Change, CommitError, Fenced, JobError, StoreError};
use crate::base::{async_id::AsyncId, id::Revision};

/// What work writes to.
pub(super) struct Batch<'c> {
    /// The write connection, inside a transaction.
    pub(super) sql: &'c Connection,
    /// The revision of the batch before it.
    before: u64,
    counted: bool,
    changes: Vec<Change>,
}

/// Why nothing of a batch was written.
#[derive(Debug)]
pub(super) enum Stop {
    /// The caller's condition did not hold; the store is well.
    Conflict {
        key: String,
        found: Option<Revision>,
    },
    /// The caller no longer holds the job; the store is well.
    Fenced,
    /// The store said no, or is not well.
    Store(StoreError),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

/// A batch as the writer sees it.
pub(super) trait Unit: Send {
    /// Does the work. May be called again after all that it wrote was rolled back.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Stop>;

    /// Tells the caller: what the work gave, once it is durable, or why it is not.
    fn answer(self: Box<Self>, ended: Result<(), Stop>);
}

/// A batch whose work gives a `T`.
struct Asked<T, F> {
    work: F,
    given: Option<T>,
    reply: oneshot::Sender<Result<T, Stop>>,
}

/// A unit of this work, and where its answer will be.
pub(super) fn ask<T, F>(work: F) -> (Box<dyn Unit>, oneshot::Receiver<Result<T, Stop>>)
where
    T: Send + 'static,
    F: FnMut(&mut Batch<'_>) -> Result<T, Stop> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let given = None;
    let asked = Asked { work, given, reply };
    (Box::new(asked), answer)
}

// === impl Batch ===

impl<'c> Batch<'c> {
    pub(super) fn new(sql: &'c Connection, before: u64) -> Self {
        Self {
            sql,
            before,
            counted: false,
            changes: Vec::new(),
        }
    }

    /// This batch's revision. A batch that never asks for it uses none up.
    pub(super) fn revision(&mut self) -> Revision {
        self.counted = true;
        Revision(self.before + 1)
    }

    /// Notes a change for those who watch.
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The revision after it, and what it changed.
    pub(super) fn finish(self) -> (u64, Vec<Change>) {
        (self.before + u64::from(self.counted), self.changes)
    }
}

// === impl Asked ===

impl<T, F> Unit for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Batch<'_>) -> Result<T, Stop> + Send,
{
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Stop> {
        self.given = Some((self.work)(batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, ended: Result<(), Stop>) {
        let answer = match (ended, self.given) {
            (Ok(()), Some(given)) => Ok(given),
            (Ok(()), None) => Err(Stop::Store(StoreError::Unavailable(
                "the work was not run".into(),
            ))),
            (Err(stop), _) => Err(stop),
        };
        // The caller may be gone; what was written stays written.
        let _ = self.reply.send(answer);
    }
}

// === impl Stop ===

impl Stop {
    /// As an answer to somebody who asked for something that has no conditions.
    pub(super) fn into_store(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => StoreError::Unavailable(error.to_string()),
            Self::Conflict { key, .. } => StoreError::Invalid(format!("a conflict at {key}")),
            Self::Fenced => StoreError::Invalid("not the attempt that holds the job".into()),
        }
    }

    /// As an answer to a commit.
    pub(super) fn into_commit(self) -> CommitError {
        match self {
            Self::Conflict { key, found } => CommitError::Conflict { key, found },
            other => CommitError::Store(other.into_store()),
        }
    }

    /// As an answer to who spoke for a job.
    pub(super) fn into_job(self, id: AsyncId) -> JobError {
        match self {
            Self::Fenced => Fenced(id).into(),
            other => JobError::Store(other.into_store()),
        }
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}
