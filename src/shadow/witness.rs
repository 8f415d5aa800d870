//! What is seen of main's and of the challenger's answer as they pass, until both are over.
//!
//! ```text
//! Ticket ─┬─▶ Witness: main's answer, piece by piece ──┐
//!         └─▶ the copy: the challenger's answer ───────┴──▶ the last of them to end makes the Pair
//! ```
//!
//! Both run on the same worker. What one of them has not seen to its end makes no pair.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, header};

use super::{
    door::{PairTeller, Room},
    pair::{Captured, Pair, Side},
};
use crate::{
    base::{clock::Tick, id::ExchangeId},
    fault::Code,
    snapshot::{Rules, Skipped},
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
    /// How long a copy may run.
    pub(super) timeout_ms: u64,
    pub(super) teller: Rc<PairTeller>,
    /// Whether there is a copy, of which nothing else was counted.
    pub(super) is_sent: Cell<bool>,
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
    /// When it was handed on, until the next one is asked for.
    handed_at: Option<Tick>,
    /// How long nobody asked for the next one.
    held_ns: u64,
    /// When the last one was there, if that was told.
    over_at: Option<Tick>,
}

/// So many times the time that an answer was held up has to fit in its latency: what is more is not the
/// backend's, and what it did meanwhile nobody knows.
const HELD_PARTS: u64 = 20;

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

impl Making {
    /// Whether main took longer than a copy may run.
    fn is_late(&self, main: &Side) -> bool {
        let most_ns = self.timeout_ms.saturating_mul(1_000_000);
        main.latency_ns.is_some_and(|ns| ns >= most_ns)
    }

    /// Counts a copy that was sent and makes no pair.
    pub(super) fn skip(&self, skipped: Skipped) {
        self.is_sent.set(false);
        self.rules.books.count(skipped);
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let halves = self.halves.take();
        if let (Some(main), Some(challenger)) = (halves.main, halves.challenger) {
            if challenger.was_given_up && self.is_late(&main) {
                // Main itself took longer than a copy may: that says nothing of the challenger.
                return self.skip(Skipped::Timeout);
            }
            self.teller.tell(Pair {
                rules: Arc::clone(&self.rules),
                exchange: self.exchange,
                request_id: self.request_id.to_str().unwrap_or_default().into(),
                at_ms: self.at_ms,
                is_stream: self.is_stream,
                request: halves.request,
                request_type: halves.request_type,
                keeps: self.keeps,
                bytes_max: self.bytes_max,
                main,
                challenger,
            });
        } else if self.is_sent.get() {
            self.skip(Skipped::Aborted);
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

    /// The next piece is asked for: whoever takes them has taken those before.
    pub fn ask(&mut self) {
        self.sight.ask();
    }

    /// The last piece was there, and what is still to be done is not the backend's.
    pub fn over(&mut self) {
        self.sight.over_at = Some(Tick::now());
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
            handed_at: None,
            held_ns: 0,
            over_at: None,
        }
    }

    pub(super) fn head(&mut self, answer: &Answer) {
        let side = &mut self.side;
        side.status = Some(answer.status.as_u16());
        side.first_byte_ns = answer.answered_ns;
        side.content_type = answer.headers.get(header::CONTENT_TYPE).cloned();
        side.content_encoding = answer.headers.get(header::CONTENT_ENCODING).cloned();
        self.head_at = Some(answer.head_at);
    }

    pub(super) fn piece(&mut self, data: &[u8]) {
        self.side.bytes += data.len() as u64;
        self.side.body.push(data, self.bytes_max);
        let now = Tick::now();
        if self.is_stream
            && let Some(last) = self.piece_at.replace(now)
        {
            self.side.gaps.push(now.ns_since(last));
        }
        self.handed_at = Some(now);
    }

    fn ask(&mut self) {
        if let Some(handed_at) = self.handed_at.take() {
            self.held_ns += Tick::now().ns_since(handed_at);
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
            let over_at = self.over_at.unwrap_or(now);
            let latency_ns = first_byte_ns + over_at.ns_since(head_at);
            side.latency_ns = Some(latency_ns);
            side.was_held_up = self.held_ns.saturating_mul(HELD_PARTS) > latency_ns;
        }
        side
    }
}
