//! The limits of one key or of one deployment, shared by all workers.
//!
//! ```text
//! take ──▶ look at all: day, rate, bytes, concurrency ──▶ take: concurrency, day, rate ──▶ Permit
//!               └ most refusals end here, and wrote nothing            └ a race lost: given back
//! ```
//!
//! Each limit is a number of its own, changed by compare-and-swap: each is kept exactly, whatever the
//! threads do. Between them there is no moment at which all are taken together, so of threads that race
//! for the last one a loser can hold one of another limit for an instant: then one fewer is let
//! through, never one more.

mod kept;

pub use kept::Kept;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;

use super::{
    day::{Day, DayCount, day_left_ms, day_of},
    gcra::Allowance,
};
use crate::{
    base::clock::Tick,
    spec::{LimitMode, LimitsSpec},
    telemetry::limits::What,
};

/// The limits of one key or of one deployment. What was taken is handed on from one snapshot to the
/// next, so that it stays taken.
#[derive(Debug)]
pub struct Limiter {
    spec: LimitsSpec,
    requests: Option<Arc<Allowance>>,
    bytes: Option<Arc<Allowance>>,
    cells: Arc<Cells>,
    /// Counted anew in another mode: what was refused and what would have been are no one figure.
    refused: Arc<[AtomicU64; What::ALL.len()]>,
}

/// What all limiters of one key or of one deployment share, those before an edit and that after it.
#[derive(Debug, Default)]
struct Cells {
    in_flight: AtomicU64,
    day: Day,
    /// The allowance in force: a stream that began before an edit is charged to it, too.
    bytes: ArcSwapOption<Allowance>,
}

/// What a request is let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// To be answered now.
    Now,
    /// To run later: it takes no place among the exchanges under way.
    Later,
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
    taken: Tick,
    day: u32,
    is_inside: bool,
}

/// What clients are told of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests of a day; otherwise those at once.
    pub is_of_day: bool,
    /// How many there may be.
    pub quota: u64,
    /// In how many seconds.
    pub window_s: u64,
    /// How many are left.
    pub left: u64,
    /// After how many seconds all are there again.
    pub reset_s: u64,
}

/// How the limits stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Requests that would pass at once; none when their rate is not limited.
    pub requests_available: Option<u64>,
    /// Exchanges under way that began under these limits.
    pub in_flight: u64,
    /// Requests of the day (UTC).
    pub requests_today: u64,
    /// What was refused, or would have been, in this mode; since the process began, or since the mode
    /// was declared.
    pub refused: Refusals,
}

/// Refusals by limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals {
    /// By the rate of requests.
    pub requests: u64,
    /// By the exchanges under way.
    pub concurrency: u64,
    /// By the rate of bytes.
    pub bytes: u64,
    /// By the requests of the day.
    pub day: u64,
}

/// Nobody knows when an exchange ends.
const CONCURRENCY_RETRY_MS: u64 = 1_000;

// === impl Limiter ===

impl Limiter {
    /// Limits as declared; of `before` it takes over what was taken.
    pub fn new(spec: LimitsSpec, before: Option<&Arc<Self>>, now: Tick) -> Arc<Self> {
        if let Some(before) = before
            && before.spec == spec
        {
            return Arc::clone(before);
        }
        let follow = |new: Allowance, old: Option<&Arc<Allowance>>| match old {
            Some(old) if old.is_like(&new) => Arc::clone(old),
            Some(old) => Arc::new(new.owing_like(old, now)),
            None => Arc::new(new),
        };
        let requests = spec.requests_per_second.map(|rate| {
            let new = Allowance::with_burst(rate, burst(&spec, rate));
            follow(new, before.and_then(|before| before.requests.as_ref()))
        });
        let bytes = spec.bytes_per_second.map(|rate| {
            let new = Allowance::new(rate as f64);
            follow(new, before.and_then(|before| before.bytes.as_ref()))
        });
        let cells = before.map_or_else(Arc::default, |before| Arc::clone(&before.cells));
        cells.bytes.store(bytes.clone());
        let alike = before.filter(|before| before.spec.mode == spec.mode);
        let refused = alike.map_or_else(Arc::default, |before| Arc::clone(&before.refused));
        Arc::new(Self {
            spec,
            requests,
            bytes,
            cells,
            refused,
        })
    }

    /// As declared.
    pub fn spec(&self) -> &LimitsSpec {
        &self.spec
    }

    /// Whether it refuses what it would refuse.
    pub fn is_enforced(&self) -> bool {
        self.spec.mode == LimitMode::Enforce
    }

    /// Lets one request through.
    ///
    /// # Errors
    /// [`Exceeded`], also when that is only to be counted; nothing is taken.
    pub fn take(
        self: &Arc<Self>,
        entry: Arrival,
        now: Tick,
        unix_ms: u64,
    ) -> Result<Permit, Exceeded> {
        let taken = self.try_take(entry, now, unix_ms);
        if let Err(exceeded) = &taken {
            // Relaxed: a figure for people.
            self.refused[exceeded.what as usize].fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn try_take(
        self: &Arc<Self>,
        entry: Arrival,
        now: Tick,
        unix_ms: u64,
    ) -> Result<Permit, Exceeded> {
        let today = day_of(unix_ms);
        let exceeded = |what, retry_ms| Exceeded { what, retry_ms };
        let spent = || exceeded(What::Day, day_left_ms(unix_ms));
        let too_fast = |what| move |wait_ns: u64| exceeded(what, wait_ns.div_ceil(1_000_000));
        let too_many = || exceeded(What::Concurrency, CONCURRENCY_RETRY_MS);
        let day_max = self.spec.requests_per_day.unwrap_or(u64::MAX);
        let inside_max = match (entry, self.spec.concurrency_max) {
            (Arrival::Now, Some(max)) => u64::from(max),
            _ => u64::MAX,
        };
        // The one that lasts longest first: who is told to come again should pass then.
        if self.spec.requests_per_day.is_some() && self.cells.day.count(today) >= day_max {
            return Err(spent());
        }
        if let Some(requests) = &self.requests {
            requests.look(now).map_err(too_fast(What::Requests))?;
        }
        if let Some(bytes) = &self.bytes {
            bytes.look(now).map_err(too_fast(What::Bytes))?;
        }
        let mut permit = Permit {
            limiter: Arc::clone(self),
            taken: now,
            day: today,
            is_inside: false,
        };
        if entry == Arrival::Now {
            // Relaxed: the count alone is agreed on; nothing is published under it.
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            let enter = |inside| (inside < inside_max).then_some(inside + 1);
            let entered = self.cells.in_flight.fetch_update(set, get, enter);
            entered.map_err(|_| too_many())?;
            permit.is_inside = true;
        }
        permit.day = self.cells.day.take(today, day_max).ok_or_else(spent)?;
        if let Some(requests) = &self.requests
            && let Err(wait_ns) = requests.take_one(now)
        {
            self.cells.day.give_back(permit.day);
            return Err(too_fast(What::Requests)(wait_ns));
        }
        Ok(permit)
    }

    /// What clients are told: how many requests there may be, and how many are left. Limits that are
    /// only counted are not told.
    pub fn quotas(&self, now: Tick, unix_ms: u64) -> impl Iterator<Item = Quota> {
        let rate = self.requests.as_ref().zip(self.spec.requests_per_second);
        let rate = rate.map(|(requests, rate)| {
            let burst = burst(&self.spec, rate);
            let left = requests.available(now);
            // Down to milliseconds first: what is over is the rounding of costs.
            let full_s = (requests.full_in_ns(now) / 1_000_000).div_ceil(1_000);
            Quota {
                is_of_day: false,
                quota: u64::from(burst),
                window_s: window_s(burst, rate),
                left,
                reset_s: if left == 0 { full_s.max(1) } else { full_s },
            }
        });
        let day = self.spec.requests_per_day.map(|quota| Quota {
            is_of_day: true,
            quota,
            window_s: 86_400,
            left: quota.saturating_sub(self.cells.day.count(day_of(unix_ms))),
            reset_s: day_left_ms(unix_ms).div_ceil(1_000),
        });
        let is_told = self.is_enforced();
        rate.into_iter().chain(day).filter(move |_| is_told)
    }

    /// How it stands.
    pub fn standing(&self, now: Tick, unix_ms: u64) -> Standing {
        let cells = &self.cells;
        let refused = |what: What| self.refused[what as usize].load(Ordering::Relaxed);
        Standing {
            requests_available: self.requests.as_ref().map(|own| own.available(now)),
            in_flight: cells.in_flight.load(Ordering::Relaxed),
            requests_today: cells.day.count(day_of(unix_ms)),
            refused: Refusals {
                requests: refused(What::Requests),
                concurrency: refused(What::Concurrency),
                bytes: refused(What::Bytes),
                day: refused(What::Day),
            },
        }
    }

    /// The requests of a day that have not been written down yet.
    pub fn unnoted(&self) -> Option<DayCount> {
        self.cells.day.unnoted()
    }

    /// So many are written down.
    pub fn note(&self, noted: DayCount) {
        self.cells.day.note(noted);
    }

    /// Counts at least so many requests, as they were written down.
    pub fn restore(&self, kept: DayCount) {
        self.cells.day.restore(kept);
    }
}

/// How many there may be at once.
fn burst(spec: &LimitsSpec, rate: f64) -> u32 {
    // A cast of what is too large ends at the largest number.
    spec.burst.unwrap_or_else(|| rate.ceil().max(1.0) as u32)
}

/// In how many seconds a burst comes back. What a division is off by is no second more.
fn window_s(burst: u32, rate: f64) -> u64 {
    let exact = f64::from(burst) / rate;
    ((exact - exact * 1e-12).ceil() as u64).max(1)
}

// === impl Permit ===

impl Permit {
    /// Bytes of bodies that passed: known only when they have.
    pub fn charge(&self, bytes: u64, now: Tick) {
        if let Some(own) = &*self.limiter.cells.bytes.load() {
            own.charge(bytes as f64, now);
        }
    }

    /// Whether bytes are charged.
    pub fn is_charged(&self) -> bool {
        self.limiter.cells.bytes.load().is_some()
    }

    /// Gives everything back: the request was not let through after all.
    pub fn give_back(self, now: Tick) {
        self.limiter.cells.day.give_back(self.day);
        if let Some(requests) = &self.limiter.requests {
            requests.give_back(self.taken, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_inside {
            self.limiter.cells.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
