//! Whether a challenger is as good as main, said at any moment and as often as one likes, with a
//! bounded chance of ever being wrong.
//!
//! ```text
//! Seen ──add──▶ Evidence (counts, histograms: a few KiB, whatever the number of pairs)
//!                  └──judge──▶ Judgement: estimates with intervals ▶ promote │ hold │ reject
//! ```

use crate::spec::VerdictSpec;

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

/// What all pairs of a challenger say together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    pairs: u64,
}

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
    /// What it is judged by; none when it is not.
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

// === impl Evidence ===

impl Evidence {
    /// Takes a pair into account.
    pub fn add(&mut self, seen: &Seen) {
        let _ = seen;
        self.pairs += 1;
    }

    /// Pairs taken into account.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// What follows from it now.
    pub fn judge(&self, limits: &VerdictSpec) -> Judgement {
        let _ = limits;
        Judgement {
            state: VerdictState::Hold,
            reasons: Vec::new(),
            pairs: self.pairs,
            agreement: Estimate::default(),
            error_increase: Estimate::default(),
            errors: (0, 0),
            latency_p50: Ratio::default(),
            latency_p99: Ratio::default(),
        }
    }

    /// As bytes, to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pairs.to_le_bytes().to_vec()
    }

    /// From bytes that were kept; none when they are not what [`Self::to_bytes`] makes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let pairs = u64::from_le_bytes(bytes.try_into().ok()?);
        Some(Self { pairs })
    }
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
