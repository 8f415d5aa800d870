//! The adaptive budget: how much of its declared share a challenger gets while main's own latency is
//! what it usually is, and how much less while it is not.
//!
//! ```text
//!            first byte: p50, p90, every 2 s         calm    + 1/16, up to 1
//! main ──▶ Window ──▶ Level: usual, noise ──▶ Mood:  raised  / 2, down to 1/64   ──▶ factor
//!                                                    uneasy  as it is, for a minute
//! ```
//!
//! Additive increase, multiplicative decrease: of the linear rules it is the one that comes to rest at a
//! fair and efficient share without knowing the capacity (Chiu and Jain 1989, "Analysis of the increase
//! and decrease algorithms for congestion avoidance"). It needs one number for what is usual, and errs
//! to main's side: it gives back in half a minute what it takes within seconds. The alternative is a
//! gradient controller as in Envoy's adaptive concurrency filter, which takes the ratio of the least to
//! the present latency as the factor itself. That one follows every noise, and to know the least
//! latency it has to hold all traffic back every minute; here that would end the pairs each time.
//!
//! What is assumed, and what follows from it:
//!
//! - What main does in its first minute is usual. Meanwhile the challenger gets little
//!   ([`FACTOR_FIRST`]), so that a challenger which harms from the first second is not part of it.
//! - Only a rise that comes at a smaller share as well is main's own. So nothing is learnt while the
//!   share is held back, until the lowest share has not helped for `DOUBT_S`: then main is taken to
//!   have become slower by itself, and what is usual is learnt anew. At the full share it is followed
//!   slowly; harm that creeps in over many half-lives is followed as well, and is the verdict's to tell.
//! - What was learnt may be wrong: main may have been faster than usual just then, or steadier. When
//!   the share was held back for `HELD_S` it is learnt anew too, at the share of the beginning. So no
//!   error lasts, and none adds up: what is learnt then is main beside a sixteenth, each time.
//! - Windows with few requests tell nothing. The share is given back in them at a quarter of the pace:
//!   little traffic bears a little more, but few answers may also mean a main that stalls.

mod level;
#[cfg(test)]
mod tests;

use level::{Level, Mood};

use crate::{base::clock::Tick, snapshot::FACTOR_FIRST};

/// Main's latency in the last two seconds or so.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// Answers whose latency is known.
    pub count: u64,
    /// To the first byte, in nanoseconds: the median.
    pub first_byte_ns_p50: Option<f64>,
    /// The same: the 90th percentile.
    pub first_byte_ns_p90: Option<f64>,
}

/// How much of its declared share a challenger gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Adaptive {
    factor: f64,
    p50: Level,
    p90: Level,
    /// When the last window ended.
    last: Option<Tick>,
    /// How long it has not been calm.
    uneasy_s: f64,
    /// How long the lowest share has not helped.
    in_vain_s: f64,
    /// How long it has not had its full share.
    held_s: f64,
}

/// Answers that a window must have to tell anything.
pub const COUNT_MIN: u64 = 20;

/// The smallest share: enough to see that the challenger is alive, too little to harm.
pub const FACTOR_MIN: f64 = 1.0 / 64.0;

/// What is given back after a calm window: all of it takes half a minute.
const INCREASE: f64 = 1.0 / 16.0;

/// What is given back after a window that tells nothing.
const INCREASE_BLIND: f64 = INCREASE / 4.0;

/// So long the share is left as it is while main is slower than usual, but not by enough. Then it is
/// taken away all the same, to see whether that helps: without this a share could rest for ever.
const UNEASY_S: f64 = 60.0;

/// When main does not recover at the lowest share in so long, it is slower by itself.
const DOUBT_S: f64 = 180.0;

/// When the full share was not had in so long, what is usual is learnt anew. Envoy's controller does
/// that every minute, at a cost to all traffic; here it costs some pairs.
const HELD_S: f64 = 900.0;

/// A window is never taken for longer, so that one after a long silence weighs no more than others.
const WINDOW_S_MAX: f64 = 10.0;

// === impl Adaptive ===

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self {
            factor: FACTOR_FIRST,
            p50: Level::default(),
            p90: Level::default(),
            last: None,
            uneasy_s: 0.0,
            in_vain_s: 0.0,
            held_s: 0.0,
        }
    }

    /// The factor of the declared share that holds now, [`FACTOR_MIN`] to 1.0.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Takes a window that ends now, and tells the factor that holds until the next.
    pub fn step(&mut self, window: Window, now: Tick) -> f64 {
        let since_ns = self.last.map_or(0, |last| now.ns_since(last));
        let seconds = (since_ns as f64 / 1e9).min(WINDOW_S_MAX);
        self.last = Some(now);
        let known = |ns: Option<f64>| ns.filter(|ns| ns.is_finite() && *ns > 0.0);
        let p50 = known(window.first_byte_ns_p50).filter(|_| window.count >= COUNT_MIN);
        let Some(p50) = p50 else {
            return self.give(INCREASE_BLIND);
        };
        self.held_s = if self.factor < 1.0 {
            self.held_s + seconds
        } else {
            0.0
        };
        if self.held_s >= HELD_S {
            self.forget();
            self.factor = self.factor.min(FACTOR_FIRST);
        }
        // Where the share is held back nothing is learnt of it.
        let is_whole = self.factor >= 1.0;
        let mut mood = self.p50.observe(p50, seconds, is_whole);
        if let Some(p90) = known(window.first_byte_ns_p90) {
            // Queues show in the tail first.
            mood = mood.max(self.p90.observe(p90, seconds, is_whole));
        }
        self.judge(mood, seconds)
    }

    fn judge(&mut self, mood: Mood, seconds: f64) -> f64 {
        match mood {
            Mood::Learning => return self.factor,
            Mood::Calm => {
                (self.uneasy_s, self.in_vain_s) = (0.0, 0.0);
                return self.give(INCREASE);
            }
            Mood::Uneasy | Mood::Raised => self.uneasy_s += seconds,
        }
        if self.factor <= FACTOR_MIN {
            self.in_vain_s += seconds;
            if self.in_vain_s >= DOUBT_S {
                self.forget();
            }
        }
        let is_long = self.uneasy_s >= UNEASY_S && self.factor < 1.0;
        if mood == Mood::Raised || is_long {
            self.factor = (self.factor / 2.0).max(FACTOR_MIN);
        }
        self.factor
    }

    /// Learns anew what is usual.
    fn forget(&mut self) {
        (self.p50, self.p90) = (Level::default(), Level::default());
        (self.uneasy_s, self.in_vain_s, self.held_s) = (0.0, 0.0, 0.0);
    }

    fn give(&mut self, more: f64) -> f64 {
        self.factor = (self.factor + more).min(1.0);
        self.factor
    }
}
