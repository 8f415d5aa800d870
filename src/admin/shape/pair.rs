//! Pairs of answers, as shown.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Time, comparison::finite, monitoring::ms};
use crate::{
    shadow::{
        compare::Detail,
        journal::{self, GapsRecord, Kept, PairResult, SideRecord},
    },
    telemetry::outcome::Ended,
};

/// What main and its challenger answered to the same request.
#[derive(Serialize, ToSchema)]
pub struct Pair {
    /// Its number, as they were written down; by time they are ordered otherwise.
    #[schema(minimum = 1)]
    pub id: u64,
    /// When the request arrived.
    pub at: Time,
    /// The version.
    #[schema(minimum = 1)]
    pub version: u32,
    /// The client's id of the request, or the one that it was given.
    pub request_id: String,
    /// weir's own id of the exchange.
    #[schema(example = "0c83ae2f6a0e1b7d35c6f9d2b1a4e807")]
    pub exchange: String,
    /// Whether it was a request to the streaming URL.
    pub is_stream: bool,
    /// What the comparison found.
    pub result: PairWord,
    /// Why they were not compared: `main_failed`, `main_incomplete`, `too_large`, `encoded`,
    /// `unreadable`.
    pub reason: Option<&'static str>,
    /// By which comparator; `auto` when none was asked.
    #[schema(example = "json")]
    pub kind: &'static str,
    /// How far they are apart, so that the worst can be shown first; 0 when nothing differs.
    pub distance: Option<f64>,
    /// What the comparator has to say; null when none was asked.
    pub detail: Option<PairDetail>,
    /// What main answered.
    pub main: PairSide,
    /// What the challenger answered.
    pub challenger: PairSide,
    /// Whether the bodies were kept.
    pub has_bodies: bool,
}

/// A pair with its bodies.
#[derive(Serialize, ToSchema)]
pub struct PairWhole {
    /// The pair.
    #[serde(flatten)]
    pub pair: Pair,
    /// The bodies; null when none were kept, or when they are hidden.
    pub bodies: Option<PairBodies>,
    /// Whether there are bodies that the caller may not see: those who may not change the deployment
    /// see none.
    pub bodies_hidden: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PairWord {
    /// They say the same.
    Agree,
    /// They do not.
    Disagree,
    /// There was nothing to compare.
    Uncompared,
}

/// What a comparator has to say; `what` is which one, or that the statuses decided, or that the
/// challenger's answer could not be read.
#[derive(Serialize, ToSchema)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum PairDetail {
    /// The statuses decided.
    Status,
    /// The challenger's answer could not be read as what main's is.
    Unreadable,
    /// Byte by byte.
    Exact {
        /// The first byte that differs; null when none does.
        first: Option<u64>,
    },
    /// JSON.
    Json {
        /// Differences; counting ends at 1,000.
        differences: u32,
        /// Where the first of them are, as JSON pointers.
        places: Vec<String>,
        /// The largest difference of two numbers, tolerated or not.
        max_abs: Option<f64>,
        /// The same as a share of the larger one's size.
        max_rel: Option<f64>,
    },
    /// A label.
    Label {
        /// Main's.
        main: String,
        /// The challenger's.
        challenger: String,
    },
    /// A number.
    Number {
        /// Main's; null when JSON has no such number.
        main: Option<f64>,
        /// The challenger's.
        challenger: Option<f64>,
    },
    /// Tensors.
    Tensor {
        /// The largest difference of two elements.
        max_abs: Option<f64>,
        /// The mean difference of all elements.
        mean_abs: Option<f64>,
        /// Elements compared.
        elements: u64,
        /// What has another name, shape or type, in words.
        mismatch: Option<String>,
    },
    /// Text.
    Text {
        /// 0 for nothing in common to 1 for the same.
        similarity: Option<f64>,
        /// Characters of main's.
        main_chars: u64,
        /// Characters of the challenger's.
        challenger_chars: u64,
    },
}

/// What one of them answered.
#[derive(Serialize, ToSchema)]
pub struct PairSide {
    /// The status; null without an answer.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// How it ended: `complete`, `client_gone`, `backend_broke`, `timed_out`, `too_large`; null when it
    /// never began.
    #[schema(example = "complete")]
    pub ended: Option<&'static str>,
    /// From the request written to the last byte of the answer, in milliseconds.
    pub latency_ms: Option<f64>,
    /// From the request written to the head of the answer, in milliseconds.
    pub first_byte_ms: Option<f64>,
    /// Between the pieces of a stream; null where there was at most one.
    pub gaps: Option<PairGaps>,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

/// The time between the pieces of a stream.
#[derive(Serialize, ToSchema)]
pub struct PairGaps {
    /// How many there were.
    pub count: u64,
    /// The median, in milliseconds; of the first 1,024.
    pub p50_ms: f64,
    /// The 99th percentile, in milliseconds; of the first 1,024.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

/// The bodies of a pair.
#[derive(Serialize, ToSchema)]
pub struct PairBodies {
    /// The request's.
    pub request: Option<PairBody>,
    /// Main's answer's.
    pub main: Option<PairBody>,
    /// The challenger's answer's.
    pub challenger: Option<PairBody>,
}

/// A body, as far as it was kept.
#[derive(Serialize, ToSchema)]
pub struct PairBody {
    /// The body, where it is text.
    pub text: Option<String>,
    /// The body, where it is not.
    pub base64: Option<String>,
    /// Whether there was more.
    pub is_cut: bool,
    /// Whether something in it was replaced.
    pub is_redacted: bool,
    /// Whether nothing of it was kept, since what was to be replaced could not be found.
    pub is_withheld: bool,
}

// === impl Pair ===

impl From<Kept> for Pair {
    fn from(kept: Kept) -> Self {
        let record = kept.record;
        let (result, reason) = match record.result {
            PairResult::Agree => (PairWord::Agree, None),
            PairResult::Disagree => (PairWord::Disagree, None),
            PairResult::Uncompared(why) => (PairWord::Uncompared, Some(why.as_str())),
        };
        Self {
            id: kept.id,
            at: Time(record.at_ms),
            version: kept.version.0,
            request_id: record.request_id.into(),
            exchange: record.exchange.to_string(),
            is_stream: record.is_stream,
            result,
            reason,
            kind: record.kind.as_str(),
            distance: finite(record.distance),
            detail: record.detail.map(PairDetail::from),
            main: record.main.into(),
            challenger: record.challenger.into(),
            has_bodies: kept.has_bodies,
        }
    }
}

// === impl PairWord ===

impl PairWord {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Disagree => "disagree",
            Self::Uncompared => "uncompared",
        }
    }
}

// === its parts ===

impl From<Detail> for PairDetail {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Status => Self::Status,
            Detail::Unreadable => Self::Unreadable,
            Detail::Exact { first } => Self::Exact { first },
            Detail::Json {
                differences,
                places,
                max_abs,
                max_rel,
            } => Self::Json {
                differences,
                places,
                max_abs: finite(max_abs),
                max_rel: finite(max_rel),
            },
            Detail::Label { main, challenger } => Self::Label { main, challenger },
            Detail::Number { main, challenger } => Self::Number {
                main: finite(main),
                challenger: finite(challenger),
            },
            Detail::Tensor {
                max_abs,
                mean_abs,
                elements,
                mismatch,
            } => Self::Tensor {
                max_abs: finite(max_abs),
                mean_abs: finite(mean_abs),
                elements,
                mismatch,
            },
            Detail::Text {
                similarity,
                main_chars,
                challenger_chars,
            } => Self::Text {
                similarity: finite(similarity),
                main_chars,
                challenger_chars,
            },
        }
    }
}

impl From<SideRecord> for PairSide {
    fn from(side: SideRecord) -> Self {
        Self {
            status: side.status,
            error: side.error.map(String::from),
            ended: (side.ended)
                // What never began has not ended well.
                .filter(|ended| side.status.is_some() || *ended != Ended::Complete)
                .map(Ended::as_str),
            latency_ms: side.latency_ns.map(|ns| ms(ns as f64)),
            first_byte_ms: side.first_byte_ns.map(|ns| ms(ns as f64)),
            gaps: side.gaps.map(PairGaps::from),
            bytes: side.bytes,
        }
    }
}

impl From<GapsRecord> for PairGaps {
    fn from(gaps: GapsRecord) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        Self {
            count: gaps.count,
            p50_ms: ms(gaps.p50_us),
            p99_ms: ms(gaps.p99_us),
            max_ms: ms(gaps.max_us),
        }
    }
}

impl From<journal::Bodies> for PairBodies {
    fn from(bodies: journal::Bodies) -> Self {
        Self {
            request: bodies.request.map(PairBody::from),
            main: bodies.main.map(PairBody::from),
            challenger: bodies.challenger.map(PairBody::from),
        }
    }
}

impl From<journal::Body> for PairBody {
    fn from(body: journal::Body) -> Self {
        let (text, base64) = match body.is_withheld {
            true => (None, None),
            false => match text(body.bytes, body.is_cut) {
                Ok(text) => (Some(text), None),
                Err(bytes) => (None, Some(STANDARD.encode(bytes))),
            },
        };
        Self {
            text,
            base64,
            is_cut: body.is_cut,
            is_redacted: body.is_redacted,
            is_withheld: body.is_withheld,
        }
    }
}

/// Bytes as text, if they are; where they were cut, without the character that was cut in two.
fn text(bytes: Vec<u8>, is_cut: bool) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).or_else(|error| {
        let valid = error.utf8_error().valid_up_to();
        let is_torn = is_cut && error.utf8_error().error_len().is_none();
        let mut bytes = error.into_bytes();
        if !is_torn {
            return Err(bytes);
        }
        bytes.truncate(valid);
        String::from_utf8(bytes).map_err(|error| error.into_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::journal::Body;

    #[test]
    fn a_body_is_text_or_base64_or_nothing() {
        for (bytes, is_cut, is_withheld, text, base64) in [
            (&b"{}"[..], false, false, Some("{}"), None),
            (b"", false, false, Some(""), None),
            (b"\xff\x00", false, false, None, Some("/wA=")),
            (b"\xff\x00", true, false, None, Some("/wA=")),
            // Half of an umlaut: cut in two, or no text.
            (b"a\xc3", true, false, Some("a"), None),
            (b"a\xc3", false, false, None, Some("YcM=")),
            (b"", false, true, None, None),
        ] {
            let body = PairBody::from(Body {
                bytes: bytes.to_vec(),
                is_cut,
                is_redacted: false,
                is_withheld,
            });
            let found = (body.text.as_deref(), body.base64.as_deref());
            assert_eq!(found, (text, base64), "{bytes:?} {is_cut} {is_withheld}");
        }
    }
}
