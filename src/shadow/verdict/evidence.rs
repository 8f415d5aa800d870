//! What all pairs of a challenger say together: counts, and a histogram of latencies for each side.

use super::{
    Estimate, Judgement, Ratio,
    bet::{self, Counts},
    codec, judge,
    quantile::{self, P50, P99, Ranks, Watched},
    scale::{Place, Scale},
    share,
};
use crate::spec::VerdictSpec;

/// Latencies below this one count as this one when they are set against each other. Models that answer
/// faster are timed by the machine's scheduler rather than by what they do: on a shared machine, one
/// compared with itself was called twice as slow in three of seven trials, main's median having moved
/// between 0.1 and 0.3 ms.
pub const FLOOR_NS: f64 = 1e6;

/// What one pair says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Whether the answers agree; none when they were not compared.
    pub agrees: Option<bool>,
    /// Whether main's and whether the challenger's answer was an error; none when that says nothing
    /// of them, since the client left.
    pub errors: Option<(bool, bool)>,
    /// How long both took, in nanoseconds, where both answered without an error.
    pub latency_ns: Option<(u64, u64)>,
}

/// What all pairs of a challenger say together. It takes a few KiB, however many there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    pub(super) pairs: u64,
    pub(super) compared: u64,
    pub(super) agreed: u64,
    pub(super) failed: Failed,
    pub(super) latency: Latency,
}

/// Pairs by which of the two was an error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Failed {
    pub(super) none: u64,
    pub(super) main: u64,
    pub(super) challenger: u64,
    pub(super) both: u64,
}

/// How long both sides took.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Latency {
    pub(super) n: u64,
    pub(super) main: Scale,
    pub(super) challenger: Scale,
}

// === impl Evidence ===

impl Evidence {
    /// Takes a pair into account.
    pub fn add(&mut self, seen: &Seen) {
        self.pairs += 1;
        if let Some(agrees) = seen.agrees {
            self.compared += 1;
            self.agreed += u64::from(agrees);
        }
        if let Some(errors) = seen.errors {
            *match errors {
                (false, false) => &mut self.failed.none,
                (true, false) => &mut self.failed.main,
                (false, true) => &mut self.failed.challenger,
                (true, true) => &mut self.failed.both,
            } += 1;
        }
        if let Some((main, challenger)) = seen.latency_ns {
            self.latency.n += 1;
            self.latency.main.add(main);
            self.latency.challenger.add(challenger);
        }
    }

    /// Pairs taken into account.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// What follows from it now. Cheap enough to be asked after every pair.
    pub fn judge(&self, limits: &VerdictSpec) -> Judgement {
        judge::judge(self, limits)
    }

    /// As bytes, to be kept: some hundreds, or a few KiB.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// From bytes that were kept; none when they are not what [`Self::to_bytes`] makes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes)
    }

    /// The share of compared pairs that agree; its interval ever misses with a probability of `alpha`
    /// at most, as those of all that follow.
    pub(super) fn agreement(&self, alpha: f64) -> Estimate {
        let (low, high) = share::interval(self.agreed, self.compared, alpha);
        let value = self.agreed as f64 / self.compared as f64;
        Estimate {
            n: self.compared,
            value: (self.compared > 0).then_some(value),
            low,
            high,
            limit: None,
        }
    }

    /// By how much the challenger's share of errors exceeds main's. A pair in which both or neither
    /// failed counts as 0: a request that fails everywhere says nothing against the challenger.
    pub(super) fn error_increase(&self, alpha: f64) -> Estimate {
        let Failed {
            none,
            main,
            challenger,
            both,
        } = self.failed;
        let counts = Counts {
            minus: main,
            zero: none + both,
            plus: challenger,
        };
        let n = none + main + challenger + both;
        let (low, high) = bet::interval(counts, alpha);
        let value = (challenger as f64 - main as f64) / n as f64;
        Estimate {
            n,
            value: (n > 0).then_some(value),
            low,
            high,
            limit: None,
        }
    }

    /// Errors of main, and of the challenger.
    pub(super) fn errors(&self) -> (u64, u64) {
        let Failed {
            main,
            challenger,
            both,
            ..
        } = self.failed;
        (main + both, challenger + both)
    }

    /// How many times main's median latency the challenger's is.
    pub(super) fn latency_p50(&self, alpha: f64) -> Ratio {
        self.latency.ratio(P50, alpha)
    }

    /// The same of the 99th percentile.
    pub(super) fn latency_p99(&self, alpha: f64) -> Ratio {
        self.latency.ratio(P99, alpha)
    }
}

// === impl Latency ===

impl Latency {
    /// The two sides of a pair had the same request, so nothing may be made of their being
    /// independent: each has an interval of its own, and half of `alpha`, and the ratio lies between
    /// the quotients of the ends that are farthest apart.
    fn ratio(&self, watched: Watched, alpha: f64) -> Ratio {
        let n = self.n;
        if n == 0 {
            return Ratio {
                ratio: Estimate {
                    high: f64::INFINITY,
                    ..Estimate::default()
                },
                ..Ratio::default()
            };
        }
        let ranks = quantile::ranks(watched, n, alpha / 2.0);
        let [main, challenger] = [&self.main, &self.challenger].map(|scale| quantile(scale, ranks));
        // A quantile of latencies that are raised to the floor is the quantile, raised to it.
        let quotient = |over: f64, under: f64| over.max(FLOOR_NS) / under.max(FLOOR_NS);
        Ratio {
            main_ns: Some(main.about),
            challenger_ns: Some(challenger.about),
            ratio: Estimate {
                n,
                value: Some(quotient(challenger.about, main.about)),
                low: quotient(challenger.low, main.high),
                high: quotient(challenger.high, main.low),
                limit: None,
            },
        }
    }
}

/// Between which two latencies a quantile surely lies, and where about.
fn quantile(scale: &Scale, Ranks { low, middle, high }: Ranks) -> Place {
    let at = |rank: Option<u64>| rank.and_then(|rank| scale.place(rank));
    Place {
        low: at(low).map_or(0.0, |place| place.low),
        high: at(high).map_or(f64::INFINITY, |place| place.high),
        about: at(Some(middle)).map_or(0.0, |place| place.about),
    }
}
