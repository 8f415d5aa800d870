//! Whether a challenger is as good as main, said at any moment and as often as one likes, with a
//! bounded chance of ever being wrong.
//!
//! ```text
//! Seen ──add──▶ Evidence (counts, histograms: a few KiB, whatever the number of pairs)
//!                  └──judge──▶ Judgement: estimates with intervals ▶ promote │ hold │ reject
//!
//! agreement        share     a share's interval: beta-binomial mixture of likelihood ratios
//! error increase   bet       a mean's interval: what the best of many gamblers would own
//! latency ratios   quantile  ranks between which a quantile lies ▶ scale: the latencies at those
//! ```
//!
//! A usual interval holds at one moment chosen beforehand; who looks after every pair will see it
//! miss sooner or later. These hold at all moments together. Each rests on a process that starts at
//! one and that no gambler can make grow on average if the truth is `p`; that it ever reaches `1/α`
//! has a probability of `α` at most (Ville 1939). The interval is all `p` for which it has not. So
//! one may look after every pair, stop when one likes, and go on.
//!
//! What is promised: with `k` limits judged, each interval misses ever, from the first pair on, with
//! a probability of `alpha / k` at most, so that all hold together with `1 - alpha`, however the
//! four depend on each other. `reject` needs an interval wholly beyond its limit, `promote` all of
//! them wholly within. What was said once may be acted on at once, and rests on the same promise as if
//! it had been said at the end; yet a later judgement can be less sure again, since each looks at the
//! evidence as it stands and not at what was said before.
//!
//! What is assumed: each pair is a draw from the same distribution, independent of those before.
//! Within a pair anything may depend on anything. Agreement and errors ask for less: that the
//! chances, given all that came before, are the same for each pair. What drifts (other requests at
//! night, a backend that warms up, a burst of errors in an outage) breaks this, and the intervals
//! then hold the mean of what was seen only roughly. Copies that were dropped are no draws: what is
//! dropped most, bodies too large or moments of load, is judged least, which is why they are counted.

mod bet;
mod codec;
mod evidence;
mod judge;
mod quantile;
mod scale;
mod share;
#[cfg(test)]
mod tests;
mod words;

pub use evidence::{Evidence, FLOOR_NS, Seen};

/// What follows from the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What is to be done.
    pub state: VerdictState,
    /// Why, in words for people: what is broken, or what is not sure yet.
    pub reasons: Vec<String>,
    /// Pairs seen.
    pub pairs: u64,
    /// The share of compared pairs that agree.
    pub agreement: Estimate,
    /// By how much the challenger's share of errors exceeds main's.
    pub error_increase: Estimate,
    /// Errors of main, and of the challenger, among `error_increase.n`.
    pub errors: (u64, u64),
    /// How many times main's latency the challenger's is: the median.
    pub latency_p50: Ratio,
    /// The same of the 99th percentile.
    pub latency_p99: Ratio,
}

/// What is to be done with a challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerdictState {
    /// Nothing is sure yet.
    #[default]
    Hold,
    /// Each limit is surely kept.
    Promote,
    /// A limit is surely broken.
    Reject,
}

/// A number as it looks, and between which two it surely lies.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// From how many pairs.
    pub n: u64,
    /// As it looks; none without any pair.
    pub value: Option<f64>,
    /// It is surely not less.
    pub low: f64,
    /// It is surely not more.
    pub high: f64,
    /// What it is judged by; none when it is not, be it that no value could break the limit.
    pub limit: Option<f64>,
}

/// Two latencies and how many times one the other is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ratio {
    /// Main's quantile, in nanoseconds; none without any pair.
    pub main_ns: Option<f64>,
    /// The challenger's.
    pub challenger_ns: Option<f64>,
    /// Their ratio; `low` is 0 and `high` infinite while there is no bound.
    pub ratio: Estimate,
}

// === impl VerdictState ===

impl VerdictState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Promote, Self::Reject];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Promote => "promote",
            Self::Reject => "reject",
        }
    }
}
