//! An attempt under way: what holds its request, and how it is told to stop.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::{end::Ending, recording::Recording, request::Accepted};
use crate::{
    base::{async_id::AsyncId, clock::unix_ms},
    store::{Content, Lane},
};

/// How far a deadline and an attempt's own clock may be apart, in milliseconds.
const LATE_MS: u64 = 20;

/// What an attempt is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// To go on.
    No,
    /// That its request has ended without it, or is another attempt's: nothing it could say counts.
    Over,
    /// To give its request back.
    GiveBack,
}

/// An attempt under way, as the queue knows it.
#[derive(Debug)]
pub struct Held {
    pub(super) id: AsyncId,
    pub(super) attempt: u32,
    pub(super) lane: Lane,
    pub(super) weight: u32,
    pub(super) started_at_ms: u64,
    pub(super) body_bytes: u64,
    pub(super) stop: watch::Sender<Stop>,
    /// There once the head of a stream's answer is.
    pub(super) recording: OnceLock<Arc<Recording>>,
}

/// An attempt that is to be made.
#[derive(Debug)]
pub struct Work {
    pub(super) held: Arc<Held>,
    /// What is asked.
    pub accepted: Accepted,
    /// With what body.
    pub body: Content,
    /// When the request's time is over, in milliseconds since 1970.
    pub deadline_at_ms: u64,
    /// Whether it is the last one that the request may have.
    pub is_last: bool,
}

// === impl Work ===

impl Work {
    /// The request.
    pub fn id(&self) -> AsyncId {
        self.held.id
    }

    /// Its number.
    pub fn attempt(&self) -> u32 {
        self.held.attempt
    }

    /// Whether the request's time is over. An attempt's own clock, which was read a moment before the
    /// time that was left, may strike that moment early.
    pub fn is_late(&self) -> bool {
        unix_ms().saturating_add(LATE_MS) >= self.deadline_at_ms
    }

    pub(super) fn ending(&self) -> Ending<'_> {
        Ending {
            id: self.held.id,
            lane: &self.held.lane,
            attempt: self.held.attempt,
            accepted: &self.accepted,
        }
    }

    /// What holds the request.
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Whose turn it took.
    pub fn lane(&self) -> &Lane {
        &self.held.lane
    }

    /// See [`super::Queue::show`].
    pub(super) fn show(&self, recording: Arc<Recording>) {
        // One attempt records once.
        let _ = self.held.recording.set(recording);
    }

    /// Waits until the attempt is to stop.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.held.stop.subscribe();
        let stopped = stop.wait_for(|stop| *stop != Stop::No).await;
        // The sender lives in what is borrowed here.
        stopped.map_or(Stop::Over, |stop| *stop)
    }
}

// === impl Held ===

impl Held {
    /// Tells the attempt to stop. The first word counts.
    pub(super) fn tell(&self, stop: Stop) {
        self.stop.send_if_modified(|now| {
            let first = *now == Stop::No;
            if first {
                *now = stop;
            }
            first
        });
    }
}
