//! A world in which main and a challenger answer, whose truth is known.

use crate::{base::chance::Chance, shadow::verdict::Seen};

/// How main and its challenger really are.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// How probable it is that a pair agrees.
    pub(super) agreement: f64,
    /// How probable an error of main's is.
    pub(super) main_errors: f64,
    /// How probable an error of the challenger's is where main has none; where main has one, it has
    /// one with [`Self::shared_errors`].
    pub(super) own_errors: f64,
    /// How probable it is that an error of main's is one of the challenger's.
    pub(super) shared_errors: f64,
    /// How many times main's each latency of the challenger's is.
    pub(super) slower: f64,
    /// By which power the challenger's latencies beyond the median are stretched, 1 being as main's.
    pub(super) tail: f64,
    /// How probable it is that either stalls, on its own, for a time that has no variance.
    pub(super) stalls: f64,
}

/// The logarithm of the latencies spreads by this much: the 99th percentile is 4 times the median.
const SPREAD: f64 = 0.6;
/// How much of that is the request's, and so the same for both.
const SHARED: f64 = 0.7;
/// The normal distribution's 99th percentile.
pub(super) const Z99: f64 = 2.326_347_874;
/// The median latency, in nanoseconds.
const MEDIAN_NS: f64 = 2e7;

// === impl World ===

impl World {
    /// Both the same: agreement certain, 1 % errors of which half are shared.
    pub(super) fn same() -> Self {
        Self {
            agreement: 1.0,
            main_errors: 0.01,
            own_errors: 0.01 * 0.5 / 0.99,
            shared_errors: 0.5,
            slower: 1.0,
            tail: 1.0,
            stalls: 0.0,
        }
    }

    /// The same median, and a 99th percentile `times` as long.
    pub(super) fn with_p99(times: f64) -> Self {
        let tail = 1.0 + f64::ln(times) / (SPREAD * Z99);
        Self {
            tail,
            ..Self::same()
        }
    }

    /// `more` errors than main has.
    pub(super) fn with_errors(more: f64) -> Self {
        let same = Self::same();
        let own_errors = same.own_errors + more / (1.0 - same.main_errors);
        Self { own_errors, ..same }
    }

    /// By how much the challenger's errors exceed main's.
    pub(super) fn error_increase(&self) -> f64 {
        self.own_errors * (1.0 - self.main_errors) - self.main_errors * (1.0 - self.shared_errors)
    }

    /// How many times main's the challenger's 99th percentile is, unless it both has a tail of its own
    /// and stalls.
    pub(super) fn p99_ratio(&self) -> f64 {
        self.slower * ((self.tail - 1.0) * SPREAD * Z99).exp()
    }

    /// The next pair.
    pub(super) fn draw(&self, chance: &Chance) -> Seen {
        let main = chance.unit() < self.main_errors;
        let odds = if main {
            self.shared_errors
        } else {
            self.own_errors
        };
        let challenger = chance.unit() < odds;
        Seen {
            agrees: Some(chance.unit() < self.agreement),
            errors: Some((main, challenger)),
            latency_ns: Some(self.latencies(chance)),
        }
    }

    /// Log-normal, and correlated as the same request makes them; a stall is Pareto's.
    pub(super) fn latencies(&self, chance: &Chance) -> (u64, u64) {
        let (request, own) = normals(chance);
        let (other, _) = normals(chance);
        let rest = (1.0 - SHARED * SHARED).sqrt();
        let main = SPREAD * (SHARED * request + rest * own);
        let challenger = SPREAD * (SHARED * request + rest * other);
        let challenger = challenger.max(0.0) * self.tail + challenger.min(0.0);
        let ns = |log: f64| {
            let is_stalled = self.stalls > 0.0 && chance.unit() < self.stalls;
            let stall = if is_stalled {
                -(1.0 - chance.unit()).ln() / 1.2
            } else {
                0.0
            };
            (MEDIAN_NS * (log + stall).exp()) as u64
        };
        (ns(main), ns(challenger + self.slower.ln()))
    }
}

/// Two draws of the normal distribution (Box and Muller 1958).
fn normals(chance: &Chance) -> (f64, f64) {
    let radius = (-2.0 * (1.0 - chance.unit()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * chance.unit()).sin_cos();
    (radius * cos, radius * sin)
}
