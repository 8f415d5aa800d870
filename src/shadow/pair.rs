//! A pair: what main and its challenger answered to the same request.

use std::sync::Arc;

use http::HeaderValue;

use super::door::Room;
use crate::{base::id::ExchangeId, snapshot::Rules, telemetry::outcome::Ended};

/// A request that both have answered, or failed to.
#[derive(Debug)]
pub struct Pair {
    /// How it is compared, and what for.
    pub rules: Arc<Rules>,
    /// The exchange.
    pub exchange: ExchangeId,
    /// The client's `X-Request-Id`, or the one weir gave.
    pub request_id: Box<str>,
    /// When the request's head was read, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it was a request to the streaming URL.
    pub is_stream: bool,
    /// Whether its bodies are kept.
    pub keeps: bool,
    /// The request's body, where that is so.
    pub request: Option<Captured>,
    /// What that is, and how it is packed.
    pub request_type: [Option<HeaderValue>; 2],
    /// What main answered.
    pub main: Side,
    /// What the challenger answered.
    pub challenger: Side,
}

/// What one of them answered.
#[derive(Debug, Default)]
pub struct Side {
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The code of the fault that took the place of an answer.
    pub fault: Option<&'static str>,
    /// What went wrong, in words.
    pub error: Option<Box<str>>,
    /// From the request written to the head of the answer.
    pub first_byte_ns: Option<u64>,
    /// From the request written to the last byte of the answer.
    pub latency_ns: Option<u64>,
    /// Between the pieces of a stream.
    pub gaps: Gaps,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// What the body is.
    pub content_type: Option<HeaderValue>,
    /// How the body is packed.
    pub content_encoding: Option<HeaderValue>,
    /// The body, as far as it was kept for the comparison.
    pub body: Captured,
}

/// A body, as far as it was kept. What it holds is counted against the room on the way to the
/// comparison for as long as it is there.
#[derive(Debug, Default)]
pub struct Captured {
    bytes: Vec<u8>,
    is_cut: bool,
    room: Option<Arc<Room>>,
}

/// The time between the pieces of a streamed body.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// How many there were.
    pub count: u64,
    /// The longest.
    pub max_ns: u64,
    /// The first ones, in microseconds, for their quantiles.
    pub first_us: Vec<u32>,
}

/// Gaps of one stream that are kept for quantiles.
pub const GAPS_MAX: usize = 1_024;

// === impl Side ===

impl Side {
    /// Whether it counts as an error: no answer, one of 500 or more, or one that broke off.
    pub fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status >= 500) || self.ended != Some(Ended::Complete)
    }
}

// === impl Captured ===

impl Captured {
    /// Nothing yet; what comes is counted against `room`.
    pub(super) fn within(room: &Arc<Room>) -> Self {
        Self {
            bytes: Vec::new(),
            is_cut: false,
            room: Some(Arc::clone(room)),
        }
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether more came that was not kept.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Appends a piece, up to `bytes_max` in all and for as long as there is room.
    pub(super) fn push(&mut self, piece: &[u8], bytes_max: u64) {
        if self.is_cut {
            return;
        }
        let left = bytes_max.saturating_sub(self.bytes.len() as u64);
        let taken = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let fits = self
            .room
            .as_ref()
            .is_none_or(|room| room.take(taken as u64));
        if fits {
            self.bytes.extend_from_slice(&piece[..taken]);
        }
        self.is_cut = !fits || taken < piece.len();
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.give_back(self.bytes.len() as u64);
        }
    }
}

// === impl Gaps ===

impl Gaps {
    /// Notes one.
    pub fn push(&mut self, ns: u64) {
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
        if self.first_us.len() < GAPS_MAX {
            let us = u32::try_from(ns / 1_000).unwrap_or(u32::MAX);
            self.first_us.push(us);
        }
    }
}
