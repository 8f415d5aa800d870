//! An answer that is being recorded as it comes, and those who follow it.
//!
//! ```text
//! Recorder ──append──▶ buffer ──full──▶ held ──written──▶ file
//!                         └──────────────┴─────────────────┴──▶ Follower: any number, from any byte
//! finish: synced ──▶ the end is recorded (the store) ──▶ settle: followers are told of the end
//! ```
//!
//! Each byte is at all times in one of the three places, in this order, and moves on only when the
//! next one has it whole.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, StatusCode};
use tokio::task::spawn_blocking;

mod follower;
mod kept;
mod recorder;

pub use follower::Follower;
use kept::{End, Kept, Piece};
pub use recorder::Recorder;

use super::{
    spill::{Descriptor, SpillError, read_block},
    sse::EventEnds,
};

/// Why an answer is not recorded any further.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is larger than is kept.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// The disk.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

/// The recording was given up: another attempt will make another one, or none will.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the recording was given up")]
pub struct GivenUp;

/// A recording, for those who follow.
#[derive(Debug)]
pub struct Recording {
    attempt: u32,
    status: StatusCode,
    headers: HeaderMap,
    kept: Mutex<Kept>,
}

// === impl Recording ===

impl Recording {
    /// The attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The model's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The model's headers, without hop-by-hop ones and the length.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.kept().bytes()
    }

    /// Whether nothing will be added any more: it is settled, or given up.
    pub fn has_ended(&self) -> bool {
        self.kept().end != End::Open
    }

    /// Follows from this byte on. What lies behind [`Recording::bytes`] can't be followed.
    pub fn follow(self: &Arc<Self>, from: u64) -> Follower {
        Follower::new(Arc::clone(self), from)
    }

    /// Where the event that carries this id ends, if one is recorded so far. The last one, if
    /// several do.
    pub async fn end_of_event(self: &Arc<Self>, id: &str) -> Option<u64> {
        let (mut ends, mut at, until) = (EventEnds::new(id), 0, self.bytes());
        while at < until {
            let piece = self.kept().piece(at);
            let bytes = match piece {
                Piece::Here(bytes) => bytes,
                Piece::InFile(file, bytes) => {
                    let reading = spawn_blocking(move || read_block(&file, at, bytes));
                    match reading
                        .await
                        .unwrap_or_else(|error| Err(io::Error::other(error)))
                    {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            tracing::warn!(%error, "a recording could not be read");
                            return None;
                        }
                    }
                }
                Piece::Nothing => break,
            };
            ends.push(&bytes);
            at += bytes.len() as u64;
        }
        ends.end()
    }

    fn new(attempt: u32, status: StatusCode, headers: HeaderMap) -> Self {
        Self {
            attempt,
            status,
            headers,
            kept: Mutex::default(),
        }
    }

    /// Changes it, and wakes those who wait for that.
    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept();
        let changed = change(&mut kept);
        let waiting = kept.waiting();
        drop(kept);
        for waker in waiting {
            waker.wake();
        }
        changed
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
