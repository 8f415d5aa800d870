//! Copies of requests for the challenger.
//!
//! ```text
//! main's exchange ──sampled──▶ Ticket ──whole request there──▶ lane ──▶ deliver ──▶ read
//!                                │ dropped unused: counted        │ full, late: counted
//!                                └── what main answered ──┐   ┌── what the copy got ─┘
//!                                                        Pair
//! ```
//!
//! A copy starts when main's request is complete and main's answer has begun or failed. It runs on
//! the same worker, on connections of its own, and nothing of main ever waits for it.

use std::{cell::Cell, pin::Pin, rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderValue, Method};
use http_body::Body;

use super::{
    door::PairTeller,
    ticket::{Blank, Drawn, Ticket},
    witness::{Making, Sight},
};
use crate::{
    base::{
        chance::Chance,
        clock::{Tick, unix_ms},
        id::KeyId,
        task,
    },
    fault::Code,
    net::watch::{Watch, Watchdog, within},
    snapshot::{Challenger, NoRoom, Plan, Skipped},
    telemetry::{
        credit::Class,
        meters::Reason,
        outcome::{Ended, Outcome, Role, Teller},
        tally::Failed,
    },
    upstream::{
        answer::Answer,
        connections::Connections,
        deliver::Delivery,
        error::{BodyError, ExchangeError},
        rate::BodyRate,
        request::Outgoing,
        upload::{Frames, Upload, UploadLimits},
    },
    wire::{
        headers::{self, Named},
        target::Operation,
    },
};

/// What copies need of the worker they run on.
pub struct Mirror {
    /// The worker's deadlines.
    pub watchdog: Rc<Watchdog>,
    /// The worker's connections.
    pub connections: Rc<Connections>,
    /// The worker's generator.
    pub chance: Rc<Chance>,
    /// The worker's side of the door for outcomes.
    pub teller: Rc<Teller>,
    /// The worker's side of the door for pairs.
    pub pairs: Rc<PairTeller>,
}

/// A request to be copied: what main was asked, moved out of main's own when main needs it no
/// more.
pub struct Original {
    /// The method.
    pub method: Method,
    /// The client's headers.
    pub headers: HeaderMap,
    /// What the client's `Connection` names.
    pub named: Named,
    /// Which URL was called.
    pub operation: Operation,
    /// The tail, normalised.
    pub tail: Box<str>,
    /// The query, as it came.
    pub query: Option<Box<str>>,
    /// The request's id.
    pub request_id: HeaderValue,
    /// Whose key it was.
    pub key: Option<KeyId>,
}

/// A copy under way.
struct Copy {
    plan: Arc<Plan>,
    making: Rc<Making>,
    original: Original,
    frames: Frames,
    bytes: u64,
    started: Tick,
    started_at_ms: u64,
}

/// How a copy ended.
#[derive(Default)]
struct Fate {
    status: Option<u16>,
    fault: Option<Code>,
    first_byte_ns: Option<u64>,
    response_bytes: u64,
    ended: Option<Ended>,
    error: Option<Box<str>>,
    /// weir had no connection left for it: that says nothing of the challenger.
    is_own: bool,
}

// === impl Mirror ===

impl Mirror {
    /// A ticket for a copy, if there is to be one.
    pub fn draw(&self, plan: &Arc<Plan>, drawn: Drawn<'_>) -> Option<Ticket> {
        Ticket::draw(&self.pairs, plan, drawn)
    }

    /// The same for one of several attempts at a request.
    pub fn draw_for_attempt(
        &self,
        plan: &Arc<Plan>,
        drawn: Drawn<'_>,
    ) -> (Option<Ticket>, Option<Blank>) {
        Ticket::draw_for_attempt(&self.pairs, plan, drawn)
    }

    /// Sends a copy off, if the lane has room. Returns at once.
    pub fn send(self: &Rc<Self>, mut ticket: Ticket, original: Original, frames: Frames) {
        ticket.used();
        let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
        let Some(challenger) = ticket.challenger() else {
            return;
        };
        let mut place = match challenger.lane.enter(bytes) {
            Ok(place) => place,
            Err(NoRoom::Queue) => return ticket.count(Skipped::QueueFull),
            Err(NoRoom::Bytes) => return ticket.count(Skipped::QueueBytes),
        };
        let budget = challenger.bytes.as_ref();
        if budget.is_some_and(|budget| !budget.take(bytes as f64, Tick::now())) {
            return ticket.count(Skipped::BudgetBytes);
        }
        ticket.making.asked(&original.headers, &frames);
        let copy = Copy {
            plan: Arc::clone(&ticket.plan),
            making: Rc::clone(&ticket.making),
            original,
            frames,
            bytes,
            started: Tick::now(),
            started_at_ms: unix_ms(),
        };
        ticket.making.is_sent.set(true);
        let timeout_ms = challenger.timeout_ms;
        let mirror = Rc::clone(self);
        task::spawn_local("mirror", async move {
            let watch = mirror.watchdog.watch();
            watch.start_total(timeout_ms, copy.started);
            if within(&watch, place.run()).await.is_ok() {
                // How long others took before it is not the challenger's.
                let ran_from = Tick::now();
                watch.start_total(timeout_ms, ran_from);
                mirror.run(copy, ran_from, &watch).await;
            } else {
                ticket.making.is_sent.set(false);
                ticket.count(Skipped::Timeout);
            }
        });
    }

    async fn run(&self, copy: Copy, ran_from: Tick, watch: &Rc<Watch>) {
        let Some(challenger) = copy.plan.challenger.as_ref() else {
            return;
        };
        let is_stream = copy.original.operation == Operation::Stream;
        let _in_flight = challenger.leg.role_meters.enter(is_stream);
        let mut sight = copy.making.sight();
        let fate = self.exchange(&copy, challenger, watch, &mut sight).await;
        let (now, leg) = (Tick::now(), &challenger.leg);
        let duration_ns = now.ns_since(copy.started);
        let ended = fate.ended.unwrap_or(Ended::Complete);
        let mut side = sight.end(ended, fate.fault, fate.error.as_deref(), now);
        let ran_ms = now.ns_since(ran_from) / 1_000_000;
        side.was_given_up = side.is_error() && ran_ms >= challenger.timeout_ms;
        match fate.is_own {
            true => copy.making.skip(Skipped::QueueFull),
            false => copy.making.challenged(side),
        }
        if let Some(budget) = &challenger.bytes {
            budget.charge(fate.response_bytes as f64, now);
        }
        if fate.status.is_some() {
            leg.role_meters.count_copy();
        }
        leg.version_meters.count(fate.status);
        let failed = Failed::of(ended, fate.status, fate.fault);
        let received = fate.response_bytes;
        leg.role_meters
            .record_end(duration_ns, copy.bytes, received, ended, failed);
        let credit = Some(leg.role_meters.credit());
        let class = Class::of(fate.status, false, ended);
        self.teller.tell(credit, class, |is_credited| Outcome {
            is_credited,
            exchange: copy.making.exchange,
            request_id: copy.original.request_id.to_str().unwrap_or_default().into(),
            role: Role::Challenger,
            deployment: Some(copy.plan.name.clone()),
            version: Some(copy.plan.version),
            key: copy.original.key.clone(),
            method: copy.original.method.clone(),
            path: (copy.original.operation).path(&copy.plan.name, &copy.original.tail),
            status: fate.status,
            fault: None,
            error: fate.error.clone(),
            ended,
            started_at_ms: copy.started_at_ms,
            first_byte_ns: fate.first_byte_ns,
            duration_ns,
            request_bytes: copy.bytes,
            response_bytes: fate.response_bytes,
        });
    }

    async fn exchange(
        &self,
        copy: &Copy,
        challenger: &Challenger,
        watch: &Rc<Watch>,
        sight: &mut Sight,
    ) -> Fate {
        let (leg, original) = (&challenger.leg, &copy.original);
        let mut fate = Fate::default();
        let Some(path) = leg.path(original.operation, &original.tail) else {
            fate.error = Some("the challenger's pool does not forward this tail".into());
            return fate;
        };
        let timeouts = &copy.plan.timeouts;
        let limits = UploadLimits {
            bytes_max: u64::MAX,
            body_timeout_ms: timeouts.idle_ms,
            idle_ms: timeouts.idle_ms,
            rate: BodyRate::default(),
        };
        let upload = Upload::copy_of(copy.frames.clone(), limits, Rc::clone(watch));
        let upload = Box::new(upload);
        let traceparent = headers::child_traceparent(&original.headers, self.chance.next_u64());
        let request = Outgoing {
            method: &original.method,
            headers: &original.headers,
            named: &original.named,
            path,
            tail: &original.tail,
            query: original.query.as_deref(),
            request_id: &original.request_id,
            traceparent: traceparent.as_ref(),
        };
        let waited = Cell::new(0);
        let delivery = Delivery {
            pool: &leg.pool,
            connections: &self.connections,
            chance: &self.chance,
            watch,
            timeouts,
            // A copy is worth one try; a second would load a failing challenger further.
            retries_max: 0,
            waited_ns: &waited,
        };
        match delivery.deliver(&request, upload).await {
            Err(undelivered) => {
                let error = undelivered.error;
                match error {
                    ExchangeError::TotalTimeout => leg.role_meters.count(Reason::DropTimeout),
                    ref error if error.is_unsent() => {
                        leg.role_meters.count(Reason::DropUnreachable);
                    }
                    _ => {}
                }
                fate.is_own = matches!(error, ExchangeError::Busy(_));
                fate.fault = Some(error.to_fault().code());
                fate.error = Some(error.to_string().into());
            }
            Ok(delivered) => {
                let now = Tick::now();
                let first_byte_ns = now.ns_since(copy.started);
                leg.role_meters.record_first_byte(first_byte_ns, 0);
                fate.status = Some(delivered.answer.status.as_u16());
                fate.first_byte_ns = Some(first_byte_ns);
                sight.head(&delivered.answer);
                let bytes_max = challenger.response_bytes_max;
                read_to_end(delivered.answer, bytes_max, watch, &mut fate, sight).await;
            }
        }
        fate
    }
}

/// Reads an answer to its end or its cap.
async fn read_to_end(
    mut answer: Answer,
    bytes_max: u64,
    watch: &Watch,
    fate: &mut Fate,
    sight: &mut Sight,
) {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut answer.body).poll_frame(cx)).await;
        match frame {
            None => return,
            Some(Ok(frame)) => {
                // The next piece has its time anew.
                watch.rest();
                if let Some(data) = frame.data_ref() {
                    fate.response_bytes += data.len() as u64;
                    sight.piece(data);
                }
                if fate.response_bytes > bytes_max {
                    fate.ended = Some(Ended::TooLarge);
                    let words = format!(
                        "the answer is larger than {bytes_max} bytes, and is read no further"
                    );
                    fate.error = Some(words.into());
                    return;
                }
            }
            Some(Err(error)) => {
                fate.ended = Some(match error {
                    BodyError::Timeout => Ended::TimedOut,
                    _ => Ended::BackendBroke,
                });
                fate.error = Some(error.to_string().into());
                return;
            }
        }
    }
}
