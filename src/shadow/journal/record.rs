//! What is kept of a pair.

use crate::{
    base::{
        id::{ExchangeId, VersionNumber},
        name::DeploymentName,
    },
    shadow::{
        compare::{Detail, Uncompared},
        pair::{Gaps, Side},
    },
    spec::CompareKind,
    telemetry::outcome::Ended,
};

/// Whose pairs: the challenger of one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Challenger {
    /// The deployment.
    pub name: DeploymentName,
    /// Which of the deployments that have had this name.
    pub life: u32,
    /// The version.
    pub version: VersionNumber,
}

/// A pair that is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPair {
    /// Whose.
    pub challenger: Challenger,
    /// What is kept of it.
    pub record: Record,
    /// Its bodies, where they are kept.
    pub bodies: Option<Bodies>,
}

/// A pair that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its number. Only grows, and is never used twice while the file lives.
    pub id: u64,
    /// Which of the deployments that have had this name.
    pub life: u32,
    /// The version whose challenger it was.
    pub version: VersionNumber,
    /// What is kept of it.
    pub record: Record,
    /// Whether its bodies are kept.
    pub has_bodies: bool,
}

/// What is kept of each pair. Words are cut to [`WORDS_BYTES_MAX`], and of a detail's places the first
/// [`PLACES_MAX`] are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When the request's head was read, in milliseconds since 1970.
    pub at_ms: u64,
    /// The exchange.
    pub exchange: ExchangeId,
    /// The client's `X-Request-Id`, or the one weir gave.
    pub request_id: Box<str>,
    /// Whether it was a request to the streaming URL.
    pub is_stream: bool,
    /// What the comparison found.
    pub result: PairResult,
    /// Whether main's or the challenger's answer was an error.
    pub has_error: bool,
    /// By which comparator.
    pub kind: CompareKind,
    /// How far they are apart; what is no finite number becomes the greatest one.
    pub distance: f64,
    /// What the comparator has to say, if it was asked.
    pub detail: Option<Detail>,
    /// Main's answer.
    pub main: SideRecord,
    /// The challenger's.
    pub challenger: SideRecord,
}

/// What the comparison of a pair found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairResult {
    /// They say the same.
    Agree,
    /// They do not.
    Disagree,
    /// There was nothing to compare.
    Uncompared(Uncompared),
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SideRecord {
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// What went wrong: the fault's code, words, or both.
    pub error: Option<Box<str>>,
    /// To the last byte.
    pub latency_ns: Option<u64>,
    /// To the head of the answer.
    pub first_byte_ns: Option<u64>,
    /// Between the pieces of a stream; none where there was at most one.
    pub gaps: Option<GapsRecord>,
    /// Bytes of the body.
    pub bytes: u64,
}

/// The time between the pieces of a streamed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapsRecord {
    /// How many there were.
    pub count: u64,
    /// The median of the first ones, in microseconds.
    pub p50_us: u64,
    /// Their 99th percentile.
    pub p99_us: u64,
    /// The longest of all.
    pub max_us: u64,
}

/// The bodies of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bodies {
    /// The request's.
    pub request: Option<Body>,
    /// Main's answer's.
    pub main: Option<Body>,
    /// The challenger's answer's.
    pub challenger: Option<Body>,
}

/// A body, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// What is kept.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub is_cut: bool,
    /// Whether something in it was replaced.
    pub is_redacted: bool,
    /// Whether nothing of it is kept, since what was to be replaced could not be found.
    pub is_withheld: bool,
}

/// What a challenger's pairs say together, as bytes that the journal does not look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateBlob(pub Vec<u8>);

/// How that looked at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPoint {
    /// The moment, in milliseconds since 1970.
    pub at_ms: u64,
    /// What there was to see, as bytes that the journal does not look into.
    pub body: Vec<u8>,
}

/// Words are cut to so many bytes: of errors, labels, pointers and request ids.
pub const WORDS_BYTES_MAX: usize = 200;
/// Places of differences that are kept of a pair.
pub const PLACES_MAX: usize = 16;

// === impl Bodies ===

impl Bodies {
    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        let all = [&self.request, &self.main, &self.challenger];
        all.into_iter().flatten().map(|body| body.bytes.len()).sum()
    }
}

// === impl SideRecord ===

impl SideRecord {
    /// What is kept of this answer.
    pub fn new(side: &Side) -> Self {
        let error = match (side.fault, side.error.as_deref()) {
            (Some(fault), Some(words)) => Some(format!("{fault}: {words}").into()),
            (fault, words) => words.or(fault).map(Into::into),
        };
        Self {
            status: side.status,
            ended: side.ended,
            error,
            latency_ns: side.latency_ns,
            first_byte_ns: side.first_byte_ns,
            gaps: GapsRecord::new(&side.gaps),
            bytes: side.bytes,
        }
    }
}

// === impl GapsRecord ===

impl GapsRecord {
    /// What is kept of these; none of none.
    pub fn new(gaps: &Gaps) -> Option<Self> {
        let mut first_us = gaps.first_us.clone();
        first_us.sort_unstable();
        // The nearest rank: a gap that there was.
        let quantile = |percent: usize| {
            let rank = (first_us.len() * percent).div_ceil(100);
            let at = first_us.get(rank.saturating_sub(1));
            at.map_or(0, |us| u64::from(*us))
        };
        (gaps.count > 0).then(|| Self {
            count: gaps.count,
            p50_us: quantile(50),
            p99_us: quantile(99),
            max_us: gaps.max_ns / 1_000,
        })
    }
}

/// The longest beginning of a text that has at most so many bytes.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(WORDS_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_the_figures_and_the_words_are_kept() {
        let mut side = Side {
            status: Some(502),
            fault: Some("backend_timeout"),
            error: Some("no answer in 5 s".into()),
            ..Side::default()
        };
        for us in (1..=200u64).rev() {
            side.gaps.push(us * 1_000);
        }
        let record = SideRecord::new(&side);
        let error = record.error.as_deref();
        assert_eq!(error, Some("backend_timeout: no answer in 5 s"));
        let gaps = GapsRecord {
            count: 200,
            p50_us: 100,
            p99_us: 198,
            max_us: 200,
        };
        assert_eq!(record.gaps, Some(gaps));
        side.fault = None;
        let error = SideRecord::new(&side).error;
        assert_eq!(error.as_deref(), Some("no answer in 5 s"));
        assert_eq!(SideRecord::new(&Side::default()), SideRecord::default());
    }

    #[test]
    fn words_are_cut_between_characters() {
        let text = "ä".repeat(150);
        assert_eq!(cut(&text).len(), WORDS_BYTES_MAX);
        let text = format!("a{text}");
        assert_eq!(cut(&text).len(), WORDS_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }
}
