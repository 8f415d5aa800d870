//! The brake of an arm: atomics that a plan already holds, so that what slows or stops its traffic is in
//! force with one store and without a new plan. The challenger has one; whichever arm splits real
//! traffic one day gets its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::id::{ExchangeId, SampleShare};

/// What holds an arm's traffic back.
#[derive(Debug)]
pub struct Brake {
    is_stopped: AtomicBool,
    /// The share of exchanges that is let through, as [`SampleShare::as_threshold`] says it.
    share: AtomicU64,
}

/// Whether an exchange is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Let {
    /// It is.
    Through,
    /// The arm was stopped.
    Stopped,
    /// It belongs to the share that is held back for now.
    HeldBack,
}

/// The part of its declared share that an adaptive arm begins with, until it is known what is usual.
pub const FACTOR_FIRST: f64 = 1.0 / 16.0;

// === impl Brake ===

impl Brake {
    /// A brake that holds nothing back.
    pub fn new() -> Self {
        Self {
            is_stopped: AtomicBool::new(false),
            share: AtomicU64::new(SampleShare::new(1.0).as_threshold()),
        }
    }

    /// Whether this exchange is let through.
    pub fn lets(&self, exchange: ExchangeId) -> Let {
        // Relaxed: each is a fact by itself, and a request that is under way keeps what it read.
        if self.is_stopped.load(Ordering::Relaxed) {
            return Let::Stopped;
        }
        let share = SampleShare::from_threshold(self.share.load(Ordering::Relaxed));
        match exchange.sampled(share) {
            true => Let::Through,
            false => Let::HeldBack,
        }
    }

    /// Stops the arm, or lets it go on.
    pub fn set_stopped(&self, is_stopped: bool) {
        self.is_stopped.store(is_stopped, Ordering::Relaxed);
    }

    /// Whether it is stopped.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Lets no more than this share of all exchanges through, 0.0 to 1.0.
    pub fn set_share(&self, share: f64) {
        let threshold = SampleShare::new(share).as_threshold();
        self.share.store(threshold, Ordering::Relaxed);
    }

    /// The share that it lets through.
    pub fn share(&self) -> f64 {
        self.share.load(Ordering::Relaxed) as f64 / u64::MAX as f64
    }
}

impl Default for Brake {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance::Chance;

    #[test]
    fn a_brake_holds_back_what_it_is_told_to() {
        let (brake, chance) = (Brake::new(), Chance::seeded(3));
        let through = |brake: &Brake| {
            let ids = (0..4_000).map(|_| ExchangeId::draw(&chance));
            ids.filter(|id| brake.lets(*id) == Let::Through).count()
        };
        assert_eq!(through(&brake), 4_000);
        brake.set_share(0.25);
        assert!((brake.share() - 0.25).abs() < 1e-9);
        assert!((900..1_100).contains(&through(&brake)));
        brake.set_stopped(true);
        assert_eq!(through(&brake), 0);
        assert_eq!(brake.lets(ExchangeId::draw(&chance)), Let::Stopped);
        brake.set_stopped(false);
        brake.set_share(1.0);
        assert_eq!(through(&brake), 4_000);
    }
}
