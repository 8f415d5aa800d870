//! The limits of one key or of one deployment, shared by all workers.

use std::sync::Arc;

use crate::{base::clock::Tick, spec::LimitsSpec};

/// The limits of one key or of one deployment. Handed on from one snapshot to the next, so that what
/// was taken stays taken.
#[derive(Debug)]
pub struct Limiter {
    spec: LimitsSpec,
}

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Requests a second.
    Requests,
    /// Exchanges at once.
    Concurrency,
    /// Bytes a second.
    Bytes,
    /// Requests of a day.
    Day,
}

/// A limit that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub what: What,
    /// After so many milliseconds a request would pass again.
    pub retry_ms: u64,
}

/// A request that was let through, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
}

// === impl Limiter ===

impl Limiter {
    /// Limits as declared; of `before` it takes over what was taken.
    pub fn new(spec: LimitsSpec, before: Option<&Arc<Self>>) -> Arc<Self> {
        let _ = before;
        Arc::new(Self { spec })
    }

    /// As declared.
    pub fn spec(&self) -> &LimitsSpec {
        &self.spec
    }

    /// Lets one request through.
    ///
    /// # Errors
    /// [`Exceeded`]; nothing is taken.
    pub fn take(self: &Arc<Self>, now: Tick, unix_ms: u64) -> Result<Permit, Exceeded> {
        let _ = (now, unix_ms);
        Ok(Permit {
            limiter: Arc::clone(self),
        })
    }
}

// === impl Permit ===

impl Permit {
    /// Bytes of bodies that passed: known only at its end.
    pub fn charge(&self, bytes: u64, now: Tick) {
        let _ = (&self.limiter, bytes, now);
    }
}
