//! One attempt at an async request: what a worker does for a call, for a request that is kept.
//!
//! ```text
//! plan of now ──▶ deliver ──▶ head ──▶ record, piece by piece ──▶ the queue concludes
//!                   │ failed: again, or for good                   └ copy ▶ challenger
//! ```

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, Method, header};
use http_body::Body;

use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::ExchangeId,
        task::{Panicked, caught},
    },
    fault::Code,
    gateway::{
        dispatch::{Whole, whole},
        local::Local,
        turn::{judge, pass},
    },
    limit::{Gate, Turn},
    net::watch::Watch,
    queue::{
        Answered, Attempted, Failure, INLINE_BYTES_MAX, Opener, Queue, Reason, RecordError,
        Recorder, SpillError, SpillName, Stop, Work, may_be_retried, read_headers,
    },
    shadow::{
        mirror::Original,
        ticket::{Blank, Drawn, Ticket},
        witness::Witness,
    },
    snapshot::Plan,
    spec::Priority,
    store::Content,
    telemetry::{
        credit::Class,
        outcome::{Ended, Outcome, Role},
        tally::Failed,
    },
    upstream::{
        answer::Answer,
        backend::Load,
        breaker::Verdict,
        deliver::{Delivered, Delivery},
        error::{BodyError, ExchangeError, UploadError},
        rate::BodyRate,
        request::Outgoing,
        upload::{Frames, Upload, UploadLimits},
    },
    wire::{
        headers::{Named, X_ASYNC_ATTEMPT, X_DEPLOYMENT_VERSION},
        target::Operation,
    },
};

/// Makes one attempt, unless it is told to stop.
pub(super) async fn attempt(local: &Rc<Local>, queue: &Queue, work: &Work) -> Attempted {
    let exchange = caught("async attempt", exchange(local, queue, work));
    tokio::select! {
        biased;
        stop = work.stopped() => match stop {
            Stop::GiveBack => Attempted::GivenBack,
            Stop::No | Stop::Over => Attempted::Over,
        },
        attempted = exchange => attempted.unwrap_or_else(|Panicked| {
            let words = "the gateway failed on it; its log says more";
            Attempted::Failed(Failure::last(Reason::Internal, words))
        }),
    }
}

/// The version that an attempt runs on, as of now.
fn plan_of(local: &Local, work: &Work) -> Result<(Arc<Plan>, Option<Arc<Gate>>), Attempted> {
    let lane = work.lane();
    let view = local.current.load();
    let route = view.route(&lane.deployment);
    let Some(route) = route.filter(|route| route.queue().life == lane.life) else {
        let words = "its deployment was deleted";
        let failure = Failure::last(Reason::DeploymentDeleted, words);
        return Err(Attempted::Failed(failure));
    };
    let plan = match (route.live(), work.accepted.pinned) {
        // Stopped between its turn and now: it waits with the others.
        (Err(_), _) => return Err(Attempted::GivenBack),
        (Ok(live), None) => live,
        (Ok(_), Some(pinned)) => match route.deployed(pinned.0) {
            Some(plan) => plan,
            None => {
                let words = format!("version {pinned} is no longer deployed");
                let failure = Failure::last(Reason::VersionGone, words);
                return Err(Attempted::Failed(failure));
            }
        },
    };
    Ok((Arc::clone(plan), route.gate().cloned()))
}

/// A turn at the deployment's gate. There is none: it goes back to the queue as if it had not begun,
/// and the queue looks at the gate before it begins it again.
async fn turn_of(local: &Local, plan: &Plan, gate: &Arc<Gate>) -> Result<Turn, Attempted> {
    let watch = local.watchdog.watch();
    let turn = pass(gate, &plan.name, Priority::Bulk, &watch).await;
    turn.map(|(turn, _)| turn).map_err(|_| Attempted::GivenBack)
}

async fn exchange(local: &Rc<Local>, queue: &Queue, work: &Work) -> Attempted {
    let (plan, gate) = match plan_of(local, work) {
        Ok(planned) => planned,
        Err(attempted) => return attempted,
    };
    let turn = match &gate {
        None => None,
        Some(gate) => match turn_of(local, &plan, gate).await {
            Ok(turn) => Some(turn),
            Err(attempted) => return attempted,
        },
    };
    let mut failure = match Attempt::prepare(local, work, &plan, turn) {
        Ok(attempt) => match attempt.run(queue).await {
            Ok(attempted) => return attempted,
            Err(failure) => failure,
        },
        Err(words) => Failure::last(Reason::Unprocessable, words),
    };
    failure.version = Some(plan.version);
    Attempted::Failed(failure)
}

/// One exchange for an async request.
struct Attempt<'a> {
    local: &'a Rc<Local>,
    work: &'a Work,
    plan: &'a Arc<Plan>,
    id: ExchangeId,
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    request_id: HeaderValue,
    started: Tick,
    started_at_ms: u64,
    ticket: Option<Ticket>,
    /// Why there is none.
    blank: RefCell<Option<Blank>>,
    /// Main's half of a pair, when there is a ticket.
    witness: RefCell<Option<Box<Witness>>>,
    fate: RefCell<Fate>,
    /// Its turn at the deployment's gate.
    turn: Option<Turn>,
}

/// What is told of it when it is over, however that comes.
#[derive(Default)]
struct Fate {
    status: Option<u16>,
    fault: Option<Code>,
    error: Option<Box<str>>,
    ended: Option<Ended>,
    first_byte_ns: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
}

impl<'a> Attempt<'a> {
    fn prepare(
        local: &'a Rc<Local>,
        work: &'a Work,
        plan: &'a Arc<Plan>,
        turn: Option<Turn>,
    ) -> Result<Self, String> {
        let accepted = &work.accepted;
        let path = plan.main.path(accepted.operation, &accepted.tail);
        let path =
            path.ok_or("the version that is live does not forward the path behind its name")?;
        let method = Method::from_bytes(accepted.method.as_bytes());
        let mut headers = read_headers(&accepted.headers);
        headers.insert(X_ASYNC_ATTEMPT, HeaderValue::from(work.attempt()));
        let request_id = HeaderValue::from_str(&accepted.request_id);
        let id = ExchangeId::draw(&local.chance);
        let request_id = request_id.map_err(|error| error.to_string())?;
        let drawn = Drawn {
            exchange: id,
            request_id: &request_id,
            operation: accepted.operation,
            tail: &accepted.tail,
        };
        let (ticket, blank) = local.mirror.draw_for_attempt(plan, drawn);
        Ok(Self {
            local,
            work,
            plan,
            id,
            method: method.map_err(|error| error.to_string())?,
            path,
            headers,
            request_id,
            started: Tick::now(),
            started_at_ms: unix_ms(),
            witness: RefCell::new(ticket.as_ref().map(Ticket::witness)),
            ticket,
            blank: RefCell::new(blank),
            fate: RefCell::default(),
            turn,
        })
    }

    async fn run(mut self, queue: &Queue) -> Result<Attempted, Failure> {
        let meters = Arc::clone(&self.plan.main.role_meters);
        let _in_flight = meters.enter(self.work.accepted.operation == Operation::Stream);
        let ticket = self.ticket.take();
        let ended = self.deliver(queue, ticket).await;
        self.fate.borrow_mut().ended.get_or_insert(Ended::Complete);
        ended
    }

    async fn deliver(&self, queue: &Queue, ticket: Option<Ticket>) -> Result<Attempted, Failure> {
        let (local, plan, accepted) = (self.local, self.plan, &self.work.accepted);
        let watch = local.watchdog.watch();
        let left_ms = self.work.deadline_at_ms.saturating_sub(unix_ms());
        let total_ms = accepted.attempt_ms.unwrap_or(u64::MAX);
        let total_ms = total_ms.min(plan.timeouts.total_ms).min(left_ms);
        watch.start_total(total_ms, self.started);
        let upload = self.upload(queue, ticket.as_ref(), &watch).await?;
        let waited_ns = Cell::new(0);
        let delivery = Delivery {
            pool: &plan.main.pool,
            connections: &local.connections,
            chance: &local.chance,
            watch: &watch,
            timeouts: &plan.timeouts,
            // A further try is a further attempt, behind a pause and counted as one.
            retries_max: 0,
            waited_ns: &waited_ns,
        };
        let named = Named::default();
        let request = Outgoing {
            method: &self.method,
            headers: &self.headers,
            named: &named,
            path: self.path,
            tail: &accepted.tail,
            query: accepted.query.as_deref(),
            request_id: &self.request_id,
            traceparent: None,
        };
        let delivered = delivery.deliver(&request, upload).await;
        let Delivered { answer, load } = match delivered {
            Ok(delivered) => delivered,
            Err(undelivered) => {
                let upload = undelivered.upload;
                if let (Some(turn), ExchangeError::Timeout) = (&self.turn, &undelivered.error) {
                    turn.refused();
                }
                let failure = self.undelivered(&undelivered.error, upload.received());
                let ends = failure.reason.is_some() || self.work.is_last;
                self.copy(ticket, whole(&upload), ends);
                return Err(failure);
            }
        };
        self.answered(&answer, waited_ns.get());
        let status = answer.status.as_u16();
        if may_be_retried(status) && !self.work.is_last {
            self.forgo(ticket);
            let pause_ms = pause_asked_ms(&answer.headers);
            read_away(answer, load, &watch).await;
            return Err(Failure {
                pause_ms,
                ..Failure::again(format!("the model answered {status}"))
            });
        }
        let recorded = self.record(queue, answer, load, &watch).await;
        let frames = recorded
            .as_ref()
            .map_or(Whole::NotYet, |(_, frames)| match frames {
                Some(frames) => Whole::Yes(frames.clone()),
                None => Whole::TooLarge,
            });
        self.copy(ticket, frames, true);
        recorded.map(|(attempted, _)| attempted)
    }

    /// The request's body, from where it is kept.
    async fn upload(
        &self,
        queue: &Queue,
        ticket: Option<&Ticket>,
        watch: &Rc<Watch>,
    ) -> Result<Box<Upload>, Failure> {
        let options = &self.local.options;
        let limits = UploadLimits {
            bytes_max: u64::MAX,
            body_timeout_ms: options.body_timeout_ms,
            idle_ms: self.plan.timeouts.idle_ms,
            rate: BodyRate::default(),
        };
        let upload = match &self.work.body {
            Content::Inline(body) => {
                let frames = match body.is_empty() {
                    true => Frames::new(),
                    false => Frames::from_iter([body.clone()]),
                };
                Upload::copy_of(frames, limits, Rc::clone(watch))
            }
            Content::Spilled(bytes) => {
                let name = SpillName::Body(self.work.id());
                let body = queue.spill().read(name, 0, *bytes, Opener::Attempt).await;
                let body = body.map_err(|error| self.unread(&error))?;
                let keep = ticket.map_or(0, Ticket::body_bytes_max);
                let keep = keep.max(options.retry_body_bytes_max);
                Upload::stored(body, *bytes, limits, keep, Rc::clone(watch))
            }
        };
        Ok(Box::new(upload))
    }

    fn answered(&self, answer: &Answer, waited_ns: u64) {
        let first_byte_ns = answer.head_at.ns_since(self.started);
        let own_ns = first_byte_ns.saturating_sub(waited_ns);
        let meters = &self.plan.main.role_meters;
        meters.record_first_byte(first_byte_ns, own_ns);
        if let Some(turn) = &self.turn {
            judge(turn, answer);
        }
        if let Some(witness) = &mut *self.witness.borrow_mut() {
            witness.head(answer);
        }
        let mut fate = self.fate.borrow_mut();
        fate.status = Some(answer.status.as_u16());
        fate.first_byte_ns = Some(first_byte_ns);
    }

    fn undelivered(&self, error: &ExchangeError, received: u64) -> Failure {
        let fault = error.to_fault();
        let mut fate = self.fate.borrow_mut();
        fate.fault = Some(fault.code());
        fate.error = Some(error.to_string().into());
        fate.request_bytes = received;
        // The words of the catalogue: the error's own may hold addresses.
        let words = fault.entry().detail;
        match error {
            ExchangeError::Malformed(_) => Failure::last(Reason::Unprocessable, words),
            ExchangeError::Upload(UploadError::Stored(_)) => {
                Failure::last(Reason::Internal, "its body can't be read")
            }
            _ => Failure::again(words),
        }
    }

    /// Records an answer as it comes; with it the request's body, if that was kept whole.
    async fn record(
        &self,
        queue: &Queue,
        answer: Answer,
        load: Load,
        watch: &Watch,
    ) -> Result<(Attempted, Option<Frames>), Failure> {
        let Answer {
            status,
            mut headers,
            mut body,
            ..
        } = answer;
        let is_stream = self.work.accepted.operation == Operation::Stream;
        headers.remove(header::CONTENT_LENGTH);
        let mut shown = headers.clone();
        // Who follows is told which version this is.
        shown.insert(X_DEPLOYMENT_VERSION, self.plan.version_header.clone());
        let mut recorder = Recorder::new(
            queue.spill().clone(),
            self.work.id(),
            self.work.attempt(),
            status,
            shown,
            queue.options().result_bytes_max,
        );
        if is_stream {
            queue.show(self.work, recorder.recording());
        }
        loop {
            if let Some(witness) = &mut *self.witness.borrow_mut() {
                witness.ask();
            }
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            let Some(frame) = frame else { break };
            // The next piece has its time anew.
            watch.rest();
            match frame.map(http_body::Frame::into_data) {
                // Trailers are not kept.
                Ok(Err(_)) => {}
                Ok(Ok(data)) => {
                    if let Some(witness) = &mut *self.witness.borrow_mut() {
                        witness.piece(&data);
                    }
                    self.fate.borrow_mut().response_bytes += data.len() as u64;
                    if let Err(error) = recorder.append(data).await {
                        return Err(self.unrecorded(&error));
                    }
                }
                Err(error) => return Err(self.broken(&error, &load, is_stream)),
            }
        }
        if let Some(witness) = &mut *self.witness.borrow_mut() {
            witness.over();
        }
        self.fate.borrow_mut().request_bytes = body.with_upload(Upload::received);
        let frames = body.with_upload(|upload| match whole(upload) {
            Whole::Yes(frames) => Some(frames),
            Whole::NotYet | Whole::TooLarge => None,
        });
        // The backend is done with it; the disk may take a while.
        drop((body, load));
        let content = match recorder.finish().await {
            Ok(content) => content,
            Err(error) => return Err(self.unrecorded(&error)),
        };
        let attempted = Attempted::Answered(Box::new(Answered {
            recorder,
            status: status.as_u16(),
            headers,
            content,
            version: self.plan.version,
        }));
        Ok((attempted, frames))
    }

    fn broken(&self, error: &BodyError, load: &Load, is_stream: bool) -> Failure {
        let mut fate = self.fate.borrow_mut();
        fate.error = Some(error.to_string().into());
        fate.ended = Some(match error {
            BodyError::Timeout => Ended::TimedOut,
            _ => {
                // Its record had a success for the head.
                self.plan
                    .main
                    .pool
                    .record(load.backend(), Verdict::Errored, Tick::now());
                Ended::BackendBroke
            }
        });
        // What was recorded of a stream was seen, and it is not told anew; but for that, a body that
        // takes too long is as a head that does. A request whose time is over expires.
        if matches!(error, BodyError::Timeout) && (!is_stream || self.work.is_late()) {
            return Failure::again("the backend's answer took too long");
        }
        let words = match error {
            BodyError::Timeout => {
                "the answer took longer than X-Request-Timeout or the version allow"
            }
            _ => "the answer broke off behind its head",
        };
        let reason = match is_stream {
            true => Reason::StreamBroken,
            false => Reason::Unprocessable,
        };
        Failure::last(reason, words)
    }

    /// Its body is not to be had: for good, or until there is a descriptor for it.
    fn unread(&self, error: &SpillError) -> Failure {
        if let SpillError::Descriptors = error {
            tracing::warn!(id = %self.work.id(), %error, "a kept body can't be read now");
            return Failure::again("its body can't be read now");
        }
        tracing::error!(id = %self.work.id(), %error, "a kept body can't be read");
        Failure::last(Reason::Internal, "its body can't be read")
    }

    fn unrecorded(&self, error: &RecordError) -> Failure {
        let mut fate = self.fate.borrow_mut();
        fate.error = Some(error.to_string().into());
        match error {
            RecordError::TooLarge(most) => {
                fate.ended = Some(Ended::TooLarge);
                let words = format!("the answer is larger than {most} bytes");
                Failure::last(Reason::ResultTooLarge, words)
            }
            RecordError::Spill(error) => {
                tracing::warn!(id = %self.work.id(), %error, "an answer can't be kept");
                Failure::again("the answer could not be written down")
            }
        }
    }

    /// Sends the challenger its copy, once the request ends with this attempt.
    fn copy(&self, ticket: Option<Ticket>, body: Whole, ends: bool) {
        if !ends {
            return self.forgo(ticket);
        }
        let Some(ticket) = ticket else { return };
        let frames = match body {
            Whole::Yes(frames) => frames,
            // Counted as a copy that was not made.
            Whole::NotYet => return,
            Whole::TooLarge => {
                return ticket.refuse_body();
            }
        };
        let bytes: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
        if bytes > ticket.body_bytes_max() {
            return ticket.refuse_body();
        }
        let accepted = &self.work.accepted;
        let original = Original {
            method: self.method.clone(),
            headers: self.headers.clone(),
            named: Named::default(),
            operation: accepted.operation,
            tail: accepted.tail.as_str().into(),
            query: accepted.query.as_deref().map(Into::into),
            request_id: self.request_id.clone(),
            key: Some(accepted.key.clone()),
        };
        self.local.mirror.send(ticket, original, frames);
    }
}

impl Attempt<'_> {
    /// Leaves the copy to the next attempt.
    fn forgo(&self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            ticket.forgo();
        }
        if let Some(blank) = self.blank.take() {
            blank.forgo();
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let fate = self.fate.take();
        let leg = &self.plan.main;
        let now = Tick::now();
        let duration_ns = now.ns_since(self.started);
        // Dropped on its way: called off, which is what a client does by leaving.
        let ended = fate.ended.unwrap_or(Ended::ClientGone);
        if let Some(witness) = self.witness.take() {
            witness.end(ended, fate.fault, fate.error.as_deref(), now);
        }
        leg.version_meters.count(fate.status);
        let (sent, received) = (fate.request_bytes, fate.response_bytes);
        let failed = Failed::of(ended, fate.status, fate.fault);
        leg.role_meters
            .record_end(duration_ns, sent, received, ended, failed);
        let accepted = &self.work.accepted;
        let credit = Some(leg.role_meters.credit());
        let class = Class::of(fate.status, fate.fault.is_some(), ended);
        self.local
            .teller
            .tell(credit, class, |is_credited| Outcome {
                is_credited,
                exchange: self.id,
                request_id: accepted.request_id.as_str().into(),
                role: Role::Main,
                deployment: Some(self.plan.name.clone()),
                version: Some(self.plan.version),
                key: Some(accepted.key.clone()),
                method: self.method.clone(),
                path: format!("/async/{}", self.work.id()).into(),
                status: fate.status,
                fault: fate.fault.map(|code| code.entry().code),
                error: fate.error,
                ended,
                started_at_ms: self.started_at_ms,
                first_byte_ns: fate.first_byte_ns,
                duration_ns,
                request_bytes: sent,
                response_bytes: received,
            });
    }
}

/// Reads what is left of an answer that nobody wants, so that its connection can be used again.
async fn read_away(mut answer: Answer, _load: Load, watch: &Watch) {
    let mut left = INLINE_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut answer.body).poll_frame(cx)).await {
        watch.rest();
        let count = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(less) = left.checked_sub(count) else {
            return;
        };
        left = less;
    }
}

/// How long a backend asks to be left alone, in whole seconds; a date is not looked at.
fn pause_asked_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    seconds.checked_mul(1_000)
}
