//! What the data plane tells about a finished exchange, and the door it goes through.
//!
//! ```text
//! worker ──tell──▶ its batch ──flush, a few times a second──▶ channel ──▶ control runtime
//! ```
//!
//! The door is lossy by design: when control is slow, outcomes are dropped and counted, and the
//! main answer never waits. When nobody listens, telling costs one relaxed load; when only the rings
//! of log lines do, those of a deployment that has had its lines of this second cost two more.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use http::Method;
use tokio::sync::mpsc;

use super::{
    credit::{Class, Credit},
    series, table,
};
use crate::base::{
    id::{ExchangeId, KeyId, VersionNumber},
    name::DeploymentName,
};

/// Whose answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The pool whose answer the client gets.
    Main,
    /// The pool that gets a copy.
    Challenger,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With its last byte, a fault's included.
    Complete,
    /// The client went away.
    ClientGone,
    /// The backend broke off behind the head of its answer.
    BackendBroke,
    /// A timeout struck behind the head of the answer.
    TimedOut,
    /// The challenger's answer grew larger than is read.
    TooLarge,
}

/// Whose outcomes control asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Wanted {
    /// None.
    Nothing = 0,
    /// Those that a deployment's credit of log lines covers.
    Credited = 1,
    /// All.
    All = 2,
}

/// A finished exchange.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whether its deployment's credit of log lines covers it.
    pub is_credited: bool,
    /// The same for main and its challenger's copy.
    pub exchange: ExchangeId,
    /// The client's `X-Request-Id`, or the one weir gave.
    pub request_id: Box<str>,
    /// Whose answer this was.
    pub role: Role,
    /// What was called; none when the request did not get that far.
    pub deployment: Option<DeploymentName>,
    /// Which version answered.
    pub version: Option<VersionNumber>,
    /// Whose key, if any.
    pub key: Option<KeyId>,
    /// The method.
    pub method: Method,
    /// The path that was called, escapes and all.
    pub path: Box<str>,
    /// The status answered, if there was one.
    pub status: Option<u16>,
    /// The fault's code, if weir answered instead of a backend.
    pub fault: Option<&'static str>,
    /// Words for the log: what went wrong.
    pub error: Option<Box<str>>,
    /// How it ended.
    pub ended: Ended,
    /// When the request's head was read, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// From there to the head of the answer.
    pub first_byte_ns: Option<u64>,
    /// From there to the end.
    pub duration_ns: u64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
}

/// The data plane's side of the door; one for each worker.
#[derive(Debug)]
pub struct Teller {
    wanted: Arc<AtomicU8>,
    batch: RefCell<Vec<Outcome>>,
    channel: mpsc::Sender<Vec<Outcome>>,
}

/// The control plane's side of the door.
#[derive(Debug)]
pub struct Listener {
    wanted: Arc<AtomicU8>,
    channel: mpsc::Receiver<Vec<Outcome>>,
}

/// Makes tellers for any number of workers.
#[derive(Debug, Clone)]
pub struct Door {
    wanted: Arc<AtomicU8>,
    channel: mpsc::Sender<Vec<Outcome>>,
}

/// Outcomes that a worker keeps between two flushes; what comes on top is dropped.
pub const BATCH_MAX: usize = 4_096;

/// Batches that may wait for control.
const BATCHES_MAX: usize = 64;

/// Opens the door. Nothing is told until the listener asks for it.
pub fn door() -> (Door, Listener) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let wanted = Arc::new(AtomicU8::new(Wanted::Nothing as u8));
    let listener = Listener {
        wanted: Arc::clone(&wanted),
        channel: receiver,
    };
    (
        Door {
            wanted,
            channel: sender,
        },
        listener,
    )
}

// === impl Door ===

impl Door {
    /// A worker's own teller.
    pub fn teller(&self) -> Teller {
        Teller {
            wanted: Arc::clone(&self.wanted),
            batch: RefCell::default(),
            channel: self.channel.clone(),
        }
    }
}

// === impl Teller ===

impl Teller {
    /// Whether anybody listens. Relaxed: a late answer costs or saves a few log lines.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != Wanted::Nothing as u8
    }

    /// Whether somebody listens to all of them, whatever a deployment's credit.
    pub fn are_all_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) == Wanted::All as u8
    }

    /// Tells of a finished exchange, if somebody listens, the credit of its deployment covers it or
    /// need not, and there is room. `outcome` is told whether it is covered.
    pub fn tell(
        &self,
        credit: Option<&Credit>,
        class: Class,
        outcome: impl FnOnce(bool) -> Outcome,
    ) {
        if !self.is_wanted() {
            return;
        }
        let is_credited = credit.is_some_and(|credit| credit.take(class));
        if !is_credited && !self.are_all_wanted() {
            return;
        }
        let mut batch = self.batch.borrow_mut();
        if batch.len() < BATCH_MAX {
            batch.push(outcome(is_credited));
            return;
        }
        series::count(&table::OUTCOMES_DROPPED, &[], 1);
        if let Some(credit) = credit.filter(|_| is_credited) {
            credit.lose(class);
        }
    }

    /// Hands what has gathered to control, without waiting.
    pub fn flush(&self) {
        if self.batch.borrow().is_empty() {
            return;
        }
        let batch = self.batch.take();
        if let Err(refused) = self.channel.try_send(batch) {
            let lost = refused.into_inner();
            series::count(&table::OUTCOMES_DROPPED, &[], lost.len() as u64);
            let lines = lost.iter().filter(|outcome| outcome.is_credited).count();
            series::count(&table::LOG_LINES_DROPPED, &["door"], lines as u64);
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Asks for outcomes, or no longer.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.store(wanted as u8, Ordering::Relaxed);
    }

    /// The next batch; none when every teller is gone. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Outcome>> {
        self.channel.recv().await
    }
}

// === impl Role ===

impl Role {
    /// The word in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Challenger => "challenger",
        }
    }
}

// === impl Ended ===

impl Ended {
    /// The word in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::BackendBroke => "backend_broke",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "too_large",
        }
    }
}
