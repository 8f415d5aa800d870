//! A turn: what an exchange holds while it is behind a gate, and what its gate learns from it.

use std::sync::{Arc, atomic::Ordering};

use super::{Gate, state::taken};
use crate::base::clock::Tick;

/// An exchange under way behind the gate, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    pub(super) gate: Arc<Gate>,
    pub(super) since: Tick,
}

// === impl Turn ===

impl Turn {
    /// The backend's answer began, so long after it had the whole request.
    pub fn first_byte(&self, ns: u64) {
        self.first_byte_at(ns, Tick::now());
    }

    pub(super) fn first_byte_at(&self, ns: u64, now: Tick) {
        let in_flight = taken(self.gate.state.load(Ordering::Relaxed));
        let since = self.since;
        self.gate
            .measure(now, |adaptive| adaptive.answered(since, now, ns, in_flight));
    }

    /// The backend said that it is asked for too much, or did not answer in time.
    pub fn refused(&self) {
        let now = Tick::now();
        self.gate.measure(now, |adaptive| adaptive.refused(now));
    }

    /// Ends it at a moment of a test's own.
    #[cfg(test)]
    pub(super) fn end_at(self, now: Tick) {
        let this = std::mem::ManuallyDrop::new(self);
        this.gate.leave(now.ns_since(this.since), now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Tick::now();
        self.gate.leave(now.ns_since(self.since), now);
    }
}
