//! What is seen of main's and of the challenger's answer as they pass, until both are over.
//!
//! ```text
//! Ticket ─┬─▶ Witness: main's answer, piece by piece ──┐
//!         └─▶ the copy: the challenger's answer ───────┴──▶ the last of them to end makes the Pair
//! ```
//!
//! Both run on the same worker. What one of them has not seen to its end makes no pair.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderValue, header};

use super::{
    door::{PairTeller, Room},
    pair::{Captured, Pair, Side},
};
use crate::{
    base::{clock::Tick, id::ExchangeId},
    fault::Code,
    snapshot::Rules,
    telemetry::outcome::Ended,
    upstream::{answer::Answer, upload::Frames},
};

/// A pair in the making.
pub(super) struct Making {
    pub(super) rules: Arc<Rules>,
    pub(super) exchange: ExchangeId,
    pub(super) request_id: HeaderValue,
    pub(super) at_ms: u64,
    pub(super) is_stream: bool,
    /// Whether its bodies are kept.
    pub(super) keeps: bool,
    /// Bytes of an answer that are kept for the comparison.
    pub(super) bytes_max: u64,
    pub(super) teller: Rc<PairTeller>,
    pub(super) halves: RefCell<Halves>,
}

/// What there is of it.
#[derive(Default)]
pub(super) struct Halves {
    main: Option<Side>,
    challenger: Option<Side>,
    request: Option<Captured>,
    request_type: [Option<HeaderValue>; 2],
}

/// Main's half of a pair. Dropped before its end, it makes none.
pub struct Witness {
    making: Rc<Making>,
    sight: Sight,
}

/// What is seen of an answer.
pub(super) struct Sight {
    side: Side,
    is_stream: bool,
    bytes_max: u64,
    head_at: Option<Tick>,
    /// When the last piece came.
    piece_at: Option<Tick>,
}

// === impl Making ===

impl Making {
    /// Main's half.
    pub(super) fn witness(self: &Rc<Self>) -> Box<Witness> {
        Box::new(Witness {
            making: Rc::clone(self),
            sight: self.sight(),
        })
    }

    /// An answer of which nothing was seen yet.
    pub(super) fn sight(&self) -> Sight {
        Sight::new(self.teller.room(), self.is_stream, self.bytes_max)
    }

    /// The challenger's half.
    pub(super) fn challenged(&self, side: Side) {
        self.halves.borrow_mut().challenger = Some(side);
    }

    /// Keeps the request where its pair's bodies are kept.
    pub(super) fn asked(&self, headers: &HeaderMap, frames: &Frames) {
        if !self.keeps {
            return;
        }
        let mut body = Captured::within(self.teller.room());
        let bytes_max = self.rules.keep_bodies.bytes_max;
        frames.iter().for_each(|frame| body.push(frame, bytes_max));
        let mut halves = self.halves.borrow_mut();
        halves.request = Some(body);
        halves.request_type =
            [header::CONTENT_TYPE, header::CONTENT_ENCODING].map(|name| headers.get(name).cloned());
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let halves = self.halves.take();
        if let (Some(main), Some(challenger)) = (halves.main, halves.challenger) {
            self.teller.tell(Pair {
                rules: Arc::clone(&self.rules),
                exchange: self.exchange,
                request_id: self.request_id.to_str().unwrap_or_default().into(),
                at_ms: self.at_ms,
                is_stream: self.is_stream,
                request: halves.request,
                request_type: halves.request_type,
                keeps: self.keeps,
                main,
                challenger,
            });
        }
    }
}

// === impl Witness ===

impl Witness {
    /// The head of main's answer is there.
    pub fn head(&mut self, answer: &Answer) {
        self.sight.head(answer);
    }

    /// A piece of its body is.
    pub fn piece(&mut self, data: &[u8]) {
        self.sight.piece(data);
    }

    /// It is over.
    pub fn end(self: Box<Self>, ended: Ended, fault: Option<Code>, error: Option<&str>, now: Tick) {
        let Self { making, sight } = *self;
        let side = sight.end(ended, fault, error, now);
        making.halves.borrow_mut().main = Some(side);
    }
}

// === impl Sight ===

impl Sight {
    fn new(room: &Arc<Room>, is_stream: bool, bytes_max: u64) -> Self {
        Self {
            side: Side {
                body: Captured::within(room),
                ..Side::default()
            },
            is_stream,
            bytes_max,
            head_at: None,
            piece_at: None,
        }
    }

    pub(super) fn head(&mut self, answer: &Answer) {
        let side = &mut self.side;
        side.status = Some(answer.status.as_u16());
        side.first_byte_ns = Some(answer.waited_ns);
        side.content_type = answer.headers.get(header::CONTENT_TYPE).cloned();
        side.content_encoding = answer.headers.get(header::CONTENT_ENCODING).cloned();
        self.head_at = Some(answer.head_at);
    }

    pub(super) fn piece(&mut self, data: &[u8]) {
        self.side.bytes += data.len() as u64;
        self.side.body.push(data, self.bytes_max);
        if self.is_stream {
            let now = Tick::now();
            if let Some(last) = self.piece_at.replace(now) {
                self.side.gaps.push(now.ns_since(last));
            }
        }
    }

    pub(super) fn end(
        self,
        ended: Ended,
        fault: Option<Code>,
        error: Option<&str>,
        now: Tick,
    ) -> Side {
        let mut side = self.side;
        side.ended = Some(ended);
        side.fault = fault.map(|code| code.entry().code);
        side.error = error.map(Into::into);
        if let (Some(head_at), Some(first_byte_ns)) = (self.head_at, side.first_byte_ns) {
            side.latency_ns = Some(first_byte_ns + now.ns_since(head_at));
        }
        side
    }
}
