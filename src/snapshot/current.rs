//! What is in force: the snapshot and the keys, two stores with one epoch.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::{Keys, Snapshot};

/// Shared by all workers and by control, which alone writes.
///
/// Nothing is cached in between: each request loads both afresh, so the stores are the moment of
/// force. A grant publishes the snapshot first and the key last, a revocation the key first, so
/// that no order of loads lets a key into what it was never meant for.
pub struct Current {
    snapshot: ArcSwap<Snapshot>,
    keys: Keys,
}

impl Current {
    /// Nothing in force.
    pub fn empty() -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::empty()),
            keys: Keys::new(),
        }
    }

    /// The snapshot in force, for the moment: a guard is not to be held across an await.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The snapshot in force, to be kept.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The keys in force.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Puts a snapshot in force. Called by control alone, with epochs that only grow.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        debug_assert!(snapshot.epoch() > self.snapshot.load().epoch());
        self.snapshot.store(snapshot);
    }
}
