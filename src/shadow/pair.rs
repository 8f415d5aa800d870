//! A pair: what main and its challenger answered to the same request.

use std::sync::Arc;

use http::HeaderValue;

use super::door::Room;
use crate::{
    base::id::ExchangeId,
    snapshot::{Rules, Skipped},
    telemetry::{outcome::Ended, series, table},
};

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
    /// Bytes of an answer that are read for the comparison.
    pub bytes_max: u64,
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
    /// From the request's last byte written to the head of the answer; none when that came before.
    pub first_byte_ns: Option<u64>,
    /// From the request's last byte written to the last byte of the answer.
    pub latency_ns: Option<u64>,
    /// Whether much of that was somebody else's time: a client's who took the answer slowly, or a disk's.
    pub was_held_up: bool,
    /// Whether it was given up at the limit that copies have.
    pub was_given_up: bool,
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

// === impl Pair ===

impl Pair {
    /// Counts it as one that nobody compares.
    pub(super) fn drop_for(&self, reason: &'static str) {
        self.rules.books.count(Skipped::PairDropped);
        series::count(&table::COMPARISON_DROPPED, &[reason], 1);
    }
}

// === impl Side ===

impl Side {
    /// Whether it counts as an error: no answer, one of 500 or more, or one that broke off. One that
    /// weir has read enough of is none.
    pub fn is_error(&self) -> bool {
        let is_whole = matches!(self.ended, Some(Ended::Complete | Ended::TooLarge));
        self.status.is_none_or(|status| status >= 500) || !is_whole
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
        let fits = self.grow(taken, bytes_max);
        if fits {
            self.bytes.extend_from_slice(&piece[..taken]);
        }
        self.is_cut = !fits || taken < piece.len();
    }

    /// Makes place for so many bytes more: by half as much again as there is, so that what comes in
    /// small pieces is not copied each time, and counted, since it is what the memory holds.
    fn grow(&mut self, more: usize, bytes_max: u64) -> bool {
        let (held, has) = (self.bytes.len(), self.bytes.capacity());
        let needed = held + more;
        if needed <= has {
            return true;
        }
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let wanted = needed.max((has + has / 2).min(most));
        let fits = self
            .room
            .as_ref()
            .is_none_or(|room| room.take((wanted - has) as u64));
        if fits {
            self.bytes.reserve_exact(wanted - held);
        }
        fits
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.give_back(self.bytes.capacity() as u64);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::door::{DoorOptions, door};

    fn room(bytes_max: u64) -> Arc<Room> {
        let pairs_max = 1;
        let (door, _) = door(DoorOptions {
            pairs_max,
            bytes_max,
        });
        Arc::clone(door.teller().room())
    }

    #[test]
    fn what_a_body_takes_up_is_counted_and_given_back() {
        let room = room(10_000);
        let mut body = Captured::within(&room);
        for _ in 0..300 {
            body.push(&[7; 10], 5_000);
            assert_eq!(room.held(), body.bytes.capacity() as u64);
        }
        assert_eq!((body.bytes().len(), body.is_cut()), (3_000, false));
        assert!(room.held() <= 4_500, "{}", room.held());
        // Cut where it is told to end, and held no more than that.
        body.push(&[7; 3_000], 5_000);
        assert_eq!((body.bytes().len(), body.is_cut()), (5_000, true));
        assert_eq!(room.held(), 5_000);
        // Cut where the room ends, with nothing taken for what does not fit.
        let mut other = Captured::within(&room);
        other.push(&[7; 4_000], u64::MAX);
        other.push(&[7; 2_000], u64::MAX);
        assert_eq!((other.bytes().len(), other.is_cut()), (4_000, true));
        assert_eq!(room.held(), 9_000);
        drop((body, other));
        assert_eq!(room.held(), 0);
    }
}
