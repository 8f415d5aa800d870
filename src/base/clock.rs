//! Time as cheap numbers: one monotonic clock for durations, one wall clock for records.

use std::{
    sync::OnceLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Nanoseconds since the process first asked. Never goes back; 64 bits last 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(u64);

impl Tick {
    /// The time now.
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        // One is added so that zero can stand for "never" in an atomic.
        Self(START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1)
    }

    /// From a number that [`Tick::as_ns`] gave, kept in an atomic meanwhile.
    pub fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// As nanoseconds.
    pub fn as_ns(self) -> u64 {
        self.0
    }

    /// As milliseconds, rounded down.
    pub fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Nanoseconds since `earlier`; zero if it is later.
    pub fn ns_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment and `ms` more.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }
}

/// Milliseconds since 1970, for records and expiries.
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
