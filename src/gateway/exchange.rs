//! The record of one exchange: made with its head, settled once with its last byte, a fault, or
//! its being dropped. Metrics, the outcome and the connection's state hang on it.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderValue, Uri, request::Parts};

use super::{limits::Limited, local::Local, seen::Seen, turn};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::{ExchangeId, KeyId},
    },
    fault::Fault,
    limit::Turn,
    net::{socket::ClientSocket, watch::Watch},
    shadow::{
        ticket::{Drawn, Ticket},
        witness::Witness,
    },
    snapshot::{Plan, Principal},
    telemetry::{
        credit::Class,
        meters::InFlight,
        outcome::{Ended, Outcome, Role},
        tally::Failed,
    },
    upstream::{answer::Answer, backend::Load, breaker::Verdict},
    wire::{
        headers,
        target::{Operation, Target},
    },
};

/// Who asks: the connection, and the deadline of this exchange. With HTTP/1 that is the
/// connection's own; a stream of HTTP/2 has one for itself.
pub(super) struct Caller {
    pub(super) socket: Rc<ClientSocket>,
    pub(super) watch: Rc<Watch>,
    /// Whether the answer's end can only be told by closing the connection.
    pub(super) is_http_10: bool,
    pub(super) is_stream: bool,
}

/// One exchange under way.
pub(super) struct Exchange {
    local: Rc<Local>,
    caller: Caller,
    id: ExchangeId,
    request_id: HeaderValue,
    started: Tick,
    epoch: Option<HeaderValue>,
    routed: Option<Routed>,
    load: Option<Load>,
    status: Option<u16>,
    fault: Option<Fault>,
    first_byte_ns: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
    /// The request's head, for as long as it is needed.
    parts: Parts,
    /// What only an outcome tells; kept when somebody listens to all of them.
    told: Option<Box<Told>>,
    /// Words for the outcome: what went wrong.
    error: Option<Box<str>>,
    /// Main's half of a pair, when there is a copy.
    witness: Option<Box<Witness>>,
    /// What of it concerns weir itself.
    seen: Seen,
    settled: bool,
    /// The limits that it is under, and what it took of them.
    limited: Option<Box<Limited>>,
    /// Its turn at the deployment's gate, and how long it waited for it.
    turn: Option<Turn>,
    turn_waited_ns: u64,
}

struct Routed {
    plan: Arc<Plan>,
    principal: Option<Arc<Principal>>,
    operation: Operation,
    /// What stood behind the deployment's name, for its log.
    tail: Cow<'static, str>,
    _in_flight: InFlight,
}

struct Told {
    path: Box<str>,
    started_at_ms: u64,
}

impl Exchange {
    /// Boxed: it goes through many hands, and the one allocation holds all that a request needs.
    pub(super) fn begin(local: &Rc<Local>, caller: Caller, mut parts: Parts) -> Box<Self> {
        if caller.is_stream {
            headers::join_cookies(&mut parts.headers);
        }
        caller.socket.begin_exchange();
        let told = local.teller.are_all_wanted().then(|| {
            Box::new(Told {
                path: parts.uri.path().into(),
                started_at_ms: unix_ms(),
            })
        });
        let id = ExchangeId::draw(&local.chance);
        let mut seen = Seen::read(&parts.headers, caller.socket.key_memo());
        if seen.claims_attempt {
            parts.headers.remove(headers::X_ASYNC_ATTEMPT);
        }
        let request_id = seen.request_id.take();
        Box::new(Self {
            id,
            request_id: request_id.unwrap_or_else(|| new_request_id(local)),
            started: Tick::now(),
            epoch: None,
            routed: None,
            load: None,
            status: None,
            fault: None,
            first_byte_ns: None,
            request_bytes: 0,
            response_bytes: 0,
            told,
            error: None,
            witness: None,
            seen,
            parts,
            settled: false,
            limited: None,
            turn: None,
            turn_waited_ns: 0,
            local: Rc::clone(local),
            caller,
        })
    }

    /// The request's head.
    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Gives the request's target away.
    pub(super) fn take_uri(&mut self) -> Uri {
        std::mem::take(&mut self.parts.uri)
    }

    /// Gives the request's headers away, or lets go of them: a stream may last for hours.
    pub(super) fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.parts.headers)
    }

    /// What of the request's headers concerns weir itself.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whose key it is.
    pub(super) fn key(&self) -> Option<&KeyId> {
        let principal = self.routed.as_ref()?.principal.as_ref()?;
        Some(principal.id())
    }

    pub(super) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn local(&self) -> &Rc<Local> {
        &self.local
    }

    pub(super) fn epoch(&self) -> Option<&HeaderValue> {
        self.epoch.as_ref()
    }

    pub(super) fn version(&self) -> Option<&HeaderValue> {
        self.routed
            .as_ref()
            .map(|routed| &routed.plan.version_header)
    }

    /// The snapshot that this exchange runs under.
    pub(super) fn note_epoch(&mut self, epoch: &HeaderValue) {
        self.epoch = Some(epoch.clone());
    }

    /// The exchange belongs to a version from here on, and is limited by its timeouts.
    pub(super) fn enter(
        &mut self,
        plan: &Arc<Plan>,
        principal: Option<Arc<Principal>>,
        target: Target<'_>,
    ) {
        let total_ms = plan.timeouts.total_ms;
        self.caller.watch.start_total(total_ms, self.started);
        let is_logged = || {
            let credit = plan.main.role_meters.credit();
            self.told.is_none() && self.local.teller.is_wanted() && credit.is_left(Class::Usual)
        };
        let tail = match target.tail {
            "" => Cow::Borrowed(""),
            tail if is_logged() => Cow::Owned(tail.to_owned()),
            // The line of a fault, which has a credit of its own, then shows that there was one.
            _ => Cow::Borrowed("…"),
        };
        self.routed = Some(Routed {
            plan: Arc::clone(plan),
            principal,
            operation: target.operation,
            tail,
            _in_flight: plan
                .main
                .role_meters
                .enter(target.operation == Operation::Stream),
        });
    }

    /// Keeps what was taken of the limits until its end.
    pub(super) fn hold(&mut self, limited: Box<Limited>) {
        self.limited = Some(limited);
    }

    /// There is no place for it, or it was there before: of the limits it takes no more than the bytes
    /// that passed.
    pub(super) fn give_back(&mut self) {
        if let Some(limited) = &mut self.limited {
            limited.end(self.request_bytes, self.response_bytes);
            limited.give_back();
        }
    }

    /// The limits that it is under.
    pub(super) fn limited(&self) -> Option<&Limited> {
        self.limited.as_deref()
    }

    /// Keeps its turn until its end.
    pub(super) fn hold_turn(&mut self, turn: Turn, waited_ns: u64) {
        self.turn = Some(turn);
        self.turn_waited_ns = waited_ns;
    }

    /// The backends did not answer in time.
    pub(super) fn unanswered(&self) {
        if let Some(turn) = &self.turn {
            turn.refused();
        }
    }

    /// A ticket for a copy, if there is to be one; what main answers is then looked at, too.
    pub(super) fn draw_ticket(&mut self, plan: &Arc<Plan>, target: Target<'_>) -> Option<Ticket> {
        let drawn = Drawn {
            exchange: self.id,
            request_id: &self.request_id,
            operation: target.operation,
            tail: target.tail,
        };
        let ticket = self.local.mirror.draw(plan, drawn)?;
        self.witness = Some(ticket.witness());
        Some(ticket)
    }

    /// The head of a backend's answer is there.
    pub(super) fn answered(&mut self, answer: &Answer, load: Load, waited_ns: u64) {
        let first_byte_ns = answer.head_at.ns_since(self.started);
        self.status = Some(answer.status.as_u16());
        self.load = Some(load);
        if let Some(witness) = &mut self.witness {
            witness.head(answer);
        }
        self.first_byte_ns = Some(first_byte_ns);
        if let Some(routed) = &self.routed {
            if let Some(turn) = &self.turn {
                turn::judge(turn, answer);
            }
            let own_ns = first_byte_ns.saturating_sub(waited_ns + self.turn_waited_ns);
            let meters = &routed.plan.main.role_meters;
            meters.record_first_byte(first_byte_ns, own_ns);
        }
    }

    /// weir answers with what it keeps.
    pub(super) fn note_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// weir answers instead of a backend.
    pub(super) fn refused(&mut self, fault: Fault) {
        self.local.faults.count(fault.code());
        if let Some(words) = fault.private() {
            tracing::debug!(request_id = ?self.request_id, fault = %fault.entry().code, words, "refused");
        }
        self.status = Some(fault.entry().status);
        self.fault = Some(fault);
    }

    /// The backend broke off behind the head of its answer. Its record had a success for the head;
    /// one that always breaks off ends at half the others' success rate.
    pub(super) fn note_break(&self) {
        if let (Some(routed), Some(load)) = (&self.routed, &self.load) {
            let pool = &routed.plan.main.pool;
            pool.record(load.backend(), Verdict::Errored, Tick::now());
        }
    }

    /// Words for the outcome and the pair.
    pub(super) fn note_error(&mut self, error: &dyn std::fmt::Display) {
        if self.local.teller.is_wanted() || self.witness.is_some() {
            self.error = Some(error.to_string().into());
        }
    }

    pub(super) fn count_request_bytes(&mut self, total: u64) {
        self.request_bytes = total;
        if let Some(limited) = &mut self.limited {
            limited.pass(self.request_bytes, self.response_bytes);
        }
    }

    /// The next piece of the answer's body is asked for.
    pub(super) fn ask(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.ask();
        }
    }

    /// A piece of the answer's body passes.
    pub(super) fn pass(&mut self, piece: &[u8]) {
        self.response_bytes += piece.len() as u64;
        if let Some(limited) = &mut self.limited {
            limited.pass(self.request_bytes, self.response_bytes);
        }
        if let Some(witness) = &mut self.witness {
            witness.piece(piece);
        }
    }

    /// Ends the record. Only the first call counts.
    pub(super) fn settle(&mut self, ended: Ended) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.load = None;
        let now = Tick::now();
        let duration_ns = now.ns_since(self.started);
        if let Some(witness) = self.witness.take() {
            let fault = self.fault.as_ref().map(Fault::code);
            witness.end(ended, fault, self.error.as_deref(), now);
        }
        if let Some(routed) = &self.routed {
            let leg = &routed.plan.main;
            leg.version_meters.count(self.status);
            let (sent, received) = (self.request_bytes, self.response_bytes);
            let failed = Failed::of(ended, self.status, self.fault.as_ref().map(Fault::code));
            leg.role_meters
                .record_end(duration_ns, sent, received, ended, failed);
        }
        if self.local.teller.is_wanted() {
            self.tell(duration_ns, ended);
        }
        if let Some(mut limited) = self.limited.take() {
            limited.end(self.request_bytes, self.response_bytes);
        }
        self.turn = None;
        self.routed = None;
        self.caller.socket.end_exchange();
    }

    fn tell(&mut self, duration_ns: u64, ended: Ended) {
        let class = Class::of(self.status, self.fault.is_some(), ended);
        let routed = self.routed.as_ref();
        let credit = routed.map(|routed| routed.plan.main.role_meters.credit());
        let (told, error) = (self.told.take(), self.error.take());
        let make = |is_credited| self.outcome(is_credited, told, error, duration_ns, ended);
        self.local.teller.tell(credit, class, make);
    }

    #[cold]
    fn outcome(
        &self,
        is_credited: bool,
        told: Option<Box<Told>>,
        error: Option<Box<str>>,
        duration_ns: u64,
        ended: Ended,
    ) -> Outcome {
        let routed = self.routed.as_ref();
        let principal = routed.and_then(|routed| routed.principal.as_ref());
        let fault = self.fault.as_ref();
        let private = || fault.and_then(Fault::private).map(Into::into);
        let (path, started_at_ms) = match told {
            Some(told) => (told.path, told.started_at_ms),
            None => (
                routed.map_or_else(Box::default, Routed::path),
                unix_ms().saturating_sub(duration_ns / 1_000_000),
            ),
        };
        Outcome {
            is_credited,
            exchange: self.id,
            request_id: self.request_id.to_str().unwrap_or_default().into(),
            role: Role::Main,
            deployment: routed.map(|routed| routed.plan.name.clone()),
            version: routed.map(|routed| routed.plan.version),
            key: principal.map(|principal| principal.id().clone()),
            method: self.parts.method.clone(),
            path,
            status: self.status,
            fault: fault.map(|fault| fault.entry().code),
            error: error.or_else(private),
            ended,
            started_at_ms,
            first_byte_ns: self.first_byte_ns,
            duration_ns,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        }
    }
}

impl Routed {
    /// The path that was called, in its normal form.
    fn path(&self) -> Box<str> {
        self.operation.path(&self.plan.name, &self.tail)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.settle(Ended::ClientGone);
    }
}

fn new_request_id(local: &Local) -> HeaderValue {
    let mut text = [0u8; 24];
    // 96 random bits: as many as tell any two requests of a year apart.
    let bits = u128::from(local.chance.next_u64()) << 64 | u128::from(local.chance.next_u64());
    for (pair, byte) in text.chunks_exact_mut(2).zip(bits.to_be_bytes()) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Hexadecimal digits are a header's value.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
