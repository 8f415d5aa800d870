//! From a turn to an attempt, and from an attempt to its end.
//!
//! ```text
//! schedule ──pick──▶ lease (durable: the attempt is counted) ──▶ a runner takes the Work
//!     ▲                                                              │ beats while it runs
//!     ├──◀── requeue: backoff ◀── failed, may be tried again ────────┤
//!     ├──◀── requeue, uncounted ◀── given back ──────────────────────┤
//!     └──◀── requeue: its lease has lapsed                           │
//! ended ◀── finish: compare-and-set on (id, attempt) ◀───────────────┘
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;
use tokio::sync::{mpsc, watch};

use super::{
    backoff::pause_ms,
    held::{Held, Stop, Work},
    plane::Queue,
    recording::Recorder,
    request::{Accepted, Ended, Reason, write_headers},
    schedule::Pick,
    spill::SpillName,
};
use crate::{
    base::{
        async_id::AsyncId,
        chance::Chance,
        clock::{Tick, unix_ms},
        id::VersionNumber,
        memory::{Pressure, pressure},
        task,
    },
    limit::Gate,
    spec::Priority,
    store::{Content, Holder, JobError, JobStatus, Leased, StoreError},
};

/// Attempts that are begun by one commit.
const LEASES_MAX: usize = 64;

/// How often the rules are looked at again by which something may begin: a deployment that was
/// stopped, paused or busy with direct calls gives no sign when it no longer is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The pause between two tries to record an end while the store is out of service.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// How an attempt ended.
#[derive(Debug)]
pub enum Attempted {
    /// With a complete answer, which is recorded.
    Answered(Box<Answered>),
    /// Without one that counts.
    Failed(Failure),
    /// It did not really begin.
    GivenBack,
    /// It was told that it is over.
    Over,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answered {
    /// Its recorder, finished.
    pub recorder: Recorder,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub content: Content,
    /// The version that answered.
    pub version: VersionNumber,
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct Failure {
    /// Why the request ends with it; none: it may be tried again.
    pub reason: Option<Reason>,
    /// For people.
    pub words: String,
    /// How long the backend asked to be left alone, in milliseconds.
    pub pause_ms: Option<u64>,
    /// The version that it ran on.
    pub version: Option<VersionNumber>,
}

/// Whether an end was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    Yes,
    /// The attempt no longer spoke for its request.
    No,
    /// The store did not say so before the process had to go.
    Unknown,
}

/// Whether an answer of this status is worth another attempt.
pub fn may_be_retried(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// Leases what may begin and hands it to the runners, until the queue drains.
pub(super) async fn dispatch(queue: Arc<Queue>, runners: mpsc::Sender<Work>) {
    let mut draining = queue.draining.subscribe();
    loop {
        if *draining.borrow_and_update() {
            return;
        }
        let picks = queue.pick();
        queue
            .leasing()
            .extend(picks.iter().map(|pick| (pick.position, false)));
        if picks.is_empty() {
            let pause = queue.pause();
            tokio::select! {
                () = queue.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                _ = draining.changed() => {}
            }
            continue;
        }
        let positions = picks.iter().map(|pick| pick.position).collect();
        let until_ms = unix_ms() + queue.options.lease_ms;
        match queue.store.lease(positions, until_ms).await {
            Ok(leased) => {
                let begun = picks
                    .iter()
                    .zip(leased)
                    .map(|(pick, leased)| queue.begun(pick, leased));
                // Those that end here wait for the store, all at once.
                for work in join_all(begun).await.into_iter().flatten() {
                    if runners.send(work).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "async requests can't be leased");
                for pick in &picks {
                    queue.leasing().remove(&pick.position);
                }
                queue.put_back(picks);
                // One that was leased in the dark is found when its lease has lapsed.
                queue.wait_for_store(&error).await;
            }
        }
    }
}

impl Queue {
    /// What may begin now.
    fn pick(&self) -> Vec<Pick> {
        let view = self.current.load_full();
        let options = &self.options;
        let is_short = pressure() > Pressure::None;
        let mut schedule = self.schedule();
        schedule.promote(unix_ms());
        let free = options.running_max.saturating_sub(schedule.running());
        schedule.pick(LEASES_MAX.min(free as usize), |key, running| {
            let Some(route) = view.route(&key.deployment) else {
                return 0;
            };
            let rules = route.queue();
            if is_short || rules.life != key.life || rules.paused || route.live().is_err() {
                return 0;
            }
            // Each direct call under way takes a slot from the queue, but for the last few.
            let direct = route
                .main_meters()
                .in_flight()
                .saturating_sub(running.into());
            let direct = u32::try_from(direct).unwrap_or(u32::MAX);
            let left = options.concurrency.saturating_sub(direct);
            let floor = options.concurrency_floor.min(options.concurrency);
            let left = left.max(floor).saturating_sub(running);
            // Beginning is a commit: who would find no turn waits here.
            let room = |gate: &Arc<Gate>| gate.room(Priority::Bulk, Tick::now());
            left.min(route.gate().map_or(u32::MAX, room))
        })
    }

    /// What was picked did not begin.
    fn put_back(&self, picks: Vec<Pick>) {
        let mut schedule = self.schedule();
        for pick in picks {
            schedule.push_again(&pick.lane, pick.position, pick.weight, None);
            schedule.done(&pick.lane);
        }
    }

    /// How long there is nothing to be done, unless somebody says so.
    fn pause(&self) -> Duration {
        let schedule = self.schedule();
        let due = schedule.next_due_ms().map(|due| {
            let left_ms = due.saturating_sub(unix_ms()).max(1);
            Duration::from_millis(left_ms)
        });
        let look = schedule.has_ready().then_some(LOOK_EVERY);
        let pause = due.into_iter().chain(look).min();
        pause.unwrap_or(Duration::from_secs(3_600))
    }

    /// The attempt of what a lease answered; none when there is none to be made.
    async fn begun(&self, pick: &Pick, leased: Option<Leased>) -> Option<Work> {
        let Some(leased) = leased else {
            // Called off, or over, between the two.
            self.leasing().remove(&pick.position);
            self.schedule().done(&pick.lane);
            return None;
        };
        self.begin(pick, leased).await
    }

    /// The attempt of a lease; none when the request ends here.
    async fn begin(&self, pick: &Pick, leased: Leased) -> Option<Work> {
        let (stop, _) = watch::channel(Stop::No);
        let held = Arc::new(Held {
            id: leased.id,
            attempt: leased.attempt,
            lane: leased.lane,
            weight: pick.weight,
            started_at_ms: unix_ms(),
            body_bytes: leased.body.bytes(),
            stop,
            recording: OnceLock::new(),
        });
        self.run(&held);
        self.caps.leave(held.lane.owner);
        self.meters.attempted(&held.lane);
        let accepted = serde_json::from_slice(&leased.doc);
        let damaged = accepted.as_ref().err().map(ToString::to_string);
        let work = Work {
            held,
            accepted: accepted.unwrap_or_else(|_| Accepted::unreadable()),
            body: leased.body,
            deadline_at_ms: leased.deadline_at_ms,
            is_last: leased.attempt >= self.options.attempts_max,
        };
        if let Some(error) = damaged {
            tracing::error!(id = %work.id(), error, "an async request can't be read");
            let failure = Failure::last(Reason::Internal, "its record is damaged");
            self.end_failed(&work, failure).await;
            return None;
        }
        if leased.attempt > self.options.attempts_max {
            // The last one that it may have was cut off, by a kill or a lapsed lease.
            let ended = Ended {
                reason: Some(Reason::Exhausted),
                detail: Some("its last attempt was cut off".to_owned()),
                ..Ended::default()
            };
            self.end_unbegun(&work, JobStatus::Error, ended).await;
            return None;
        }
        if unix_ms() >= work.deadline_at_ms {
            let ended = Ended::default();
            self.end_unbegun(&work, JobStatus::Expired, ended).await;
            return None;
        }
        Some(work)
    }

    /// An attempt is under way from now on, and told at once if its request was called off while it
    /// was leased.
    fn run(&self, held: &Arc<Held>) {
        let position = held.id.position();
        // Held over both: whoever calls it off finds it in the one or in the other.
        let mut leasing = self.leasing();
        let before = self.running.insert(position, Arc::clone(held));
        let called_off = leasing.remove(&position);
        drop(leasing);
        if called_off == Some(true) {
            held.tell(Stop::Over);
        }
        if let Some(before) = before {
            // It is queued for others before it has let go of its slot itself.
            self.schedule().done(&before.lane);
        }
    }

    /// Records how an attempt ended. Goes on trying while the store is out of service.
    pub async fn conclude(&self, work: &Work, attempted: Attempted) {
        match attempted {
            Attempted::Over => self.release(&work.held),
            Attempted::GivenBack => self.requeue(&work.held, None, false).await,
            Attempted::Failed(failure) => {
                let is_late = work.is_late();
                if failure.reason.is_none() && !work.is_last && !is_late {
                    let options = &self.options;
                    let (min_ms, max_ms) = (options.retry_min_ms, options.retry_max_ms);
                    let asked = failure.pause_ms;
                    let seed = work.id().position().as_u64() ^ Tick::now().as_ns();
                    let chance = Chance::seeded(seed);
                    let pause = pause_ms(work.attempt(), min_ms, max_ms, asked, &chance);
                    tracing::debug!(id = %work.id(), attempt = work.attempt(), words = failure.words, "async attempt failed");
                    return self
                        .requeue(&work.held, Some(unix_ms() + pause), true)
                        .await;
                }
                if failure.reason.is_none() && is_late {
                    return self.end_late(work, failure).await;
                }
                let reason = failure.reason.unwrap_or(Reason::Exhausted);
                let failure = Failure {
                    reason: Some(reason),
                    ..failure
                };
                self.end_failed(work, failure).await;
            }
            Attempted::Answered(answered) => {
                let Answered {
                    recorder,
                    status,
                    headers,
                    content,
                    version,
                } = *answered;
                let (job, reason) = match status {
                    _ if may_be_retried(status) => (JobStatus::Error, Some(Reason::Exhausted)),
                    500.. => (JobStatus::Error, Some(Reason::Unprocessable)),
                    _ => (JobStatus::Completed, None),
                };
                let ended = Ended {
                    started_at_ms: Some(work.held.started_at_ms),
                    version: Some(version),
                    result_status: Some(status),
                    reason,
                    detail: reason.map(|_| format!("the model answered {status}")),
                    ..Ended::default()
                };
                let head = write_head(status, &headers);
                let answer = Some((head, content));
                match self.end(work, job, ended, answer).await {
                    Recorded::Yes => recorder.settle(),
                    Recorded::No => {
                        drop(recorder);
                        self.remove_file(SpillName::Answer(work.id(), work.attempt()));
                    }
                    // Its file stays: the next start knows whose it is.
                    Recorded::Unknown => {}
                }
                self.release(&work.held);
            }
        }
    }

    /// Ends a request whose attempt is not to begin after all, and so is not counted.
    async fn end_unbegun(&self, work: &Work, status: JobStatus, ended: Ended) {
        let held = &work.held;
        self.requeue(held, None, false).await;
        // No longer in the schedule: what takes it out of the store is this.
        self.schedule().remove(&held.lane, held.id.position());
        let end = self.end_of(work.ending(), status, ended, None);
        match self
            .store
            .finish(held.id, Holder::Queued, end.clone())
            .await
        {
            Ok(was) => self.has_ended(held.id, &held.lane, was.status, held.body_bytes, &end),
            Err(JobError::Fenced(_)) => {}
            Err(JobError::Store(_)) => {
                let position = held.id.position();
                self.schedule()
                    .push_again(&held.lane, position, held.weight, None);
            }
        }
    }

    /// Its time was over while an attempt was under way.
    async fn end_late(&self, work: &Work, failure: Failure) {
        let ended = Ended {
            started_at_ms: Some(work.held.started_at_ms),
            version: failure.version,
            ..Ended::default()
        };
        self.end(work, JobStatus::Expired, ended, None).await;
        self.release(&work.held);
    }

    async fn end_failed(&self, work: &Work, failure: Failure) {
        let ended = Ended {
            started_at_ms: Some(work.held.started_at_ms),
            version: failure.version,
            reason: failure.reason,
            detail: Some(failure.words),
            ..Ended::default()
        };
        self.end(work, JobStatus::Error, ended, None).await;
        self.release(&work.held);
    }

    /// Ends a request for an attempt.
    async fn end(
        &self,
        work: &Work,
        status: JobStatus,
        ended: Ended,
        answer: Option<(Bytes, Content)>,
    ) -> Recorded {
        let held = &work.held;
        let end = self.end_of(work.ending(), status, ended, answer);
        let mut in_doubt = false;
        loop {
            let holder = Holder::Attempt(held.attempt);
            match self.store.finish(held.id, holder, end.clone()).await {
                Ok(_) => break,
                // The try before may have been written after all.
                Err(JobError::Fenced(_)) if in_doubt && self.is_ended_by(held, status).await => {
                    break;
                }
                Err(JobError::Fenced(_)) => {
                    tracing::info!(id = %held.id, attempt = held.attempt, "a late end was refused");
                    self.meters.fenced();
                    return Recorded::No;
                }
                Err(JobError::Store(error)) => {
                    tracing::warn!(id = %held.id, %error, "an async request's end waits for the store");
                    in_doubt = true;
                    if self.is_dark() {
                        // The process is going: the lease is void at the next start.
                        return Recorded::Unknown;
                    }
                    self.wait_for_store(&error).await;
                }
            }
        }
        let was = JobStatus::Running;
        self.has_ended(held.id, &held.lane, was, held.body_bytes, &end);
        Recorded::Yes
    }

    async fn is_ended_by(&self, held: &Held, status: JobStatus) -> bool {
        let job = self.store.job(held.id).await;
        matches!(job, Ok(Some(job)) if job.status == status && job.attempt == held.attempt)
    }

    async fn requeue(&self, held: &Arc<Held>, due_at_ms: Option<u64>, counted: bool) {
        let due = due_at_ms.unwrap_or_else(unix_ms);
        let mut in_doubt = false;
        // Before it is queued: whoever ends it there takes it out of the caps.
        self.caps.rejoin(held.lane.owner);
        loop {
            let requeued = self
                .store
                .requeue(held.id, held.attempt, due, counted)
                .await;
            match requeued {
                Ok(()) => break,
                Err(JobError::Fenced(_)) if in_doubt && self.is_queued(held.id).await => break,
                Err(JobError::Fenced(_)) => {
                    self.caps.leave(held.lane.owner);
                    return self.release(held);
                }
                Err(JobError::Store(error)) => {
                    tracing::warn!(id = %held.id, %error, "an async request can't be given back yet");
                    in_doubt = true;
                    if self.is_dark() {
                        return;
                    }
                    self.wait_for_store(&error).await;
                }
            }
        }
        let position = held.id.position();
        self.schedule()
            .push_again(&held.lane, position, held.weight, due_at_ms);
        self.release(held);
    }

    /// Makes room if that is what is missing, or waits a while.
    async fn wait_for_store(&self, error: &StoreError) {
        let is_full = matches!(error, StoreError::Full(_));
        if !(is_full && self.room.give_up_ballast()) {
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }

    async fn is_queued(&self, id: AsyncId) -> bool {
        let job = self.store.job(id).await;
        matches!(job, Ok(Some(job)) if job.status == JobStatus::Queued)
    }

    /// The attempt holds its slot no more. Whoever takes it out of the running ones frees the slot.
    pub(super) fn release(&self, held: &Arc<Held>) {
        let position = held.id.position();
        let taken = self
            .running
            .remove_if(&position, |_, other| Arc::ptr_eq(other, held));
        if taken.is_some() {
            self.schedule().done(&held.lane);
            self.wake.notify_one();
        }
    }

    /// Extends the leases of attempts, which a runner does for its own as long as it lives. Those
    /// that lost theirs are told.
    pub async fn beat(&self, works: &[Arc<Held>]) {
        let held: HashMap<AsyncId, &Arc<Held>> = works.iter().map(|h| (h.id, h)).collect();
        let asked: Vec<(AsyncId, u32)> = held.values().map(|h| (h.id, h.attempt)).collect();
        if asked.is_empty() {
            return;
        }
        let until_ms = unix_ms() + self.options.lease_ms;
        match self.store.extend(asked.clone(), until_ms).await {
            Ok(still) => {
                for ((id, _), still) in asked.iter().zip(still) {
                    if !still && let Some(held) = held.get(id) {
                        held.tell(Stop::Over);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "leases can't be extended"),
        }
    }

    /// How often a runner has to [`Queue::beat`].
    pub fn beat_every(&self) -> Duration {
        Duration::from_millis((self.options.lease_ms / 3).max(1))
    }

    pub(super) fn remove_file(&self, name: SpillName) {
        let spill = self.spill.clone();
        task::spawn("spill", async move {
            if let Err(error) = spill.remove(name).await {
                tracing::warn!(?name, %error, "a spilled file stays until the next sweep");
            }
        });
    }
}

/// The head of a kept answer.
pub(super) fn write_head(status: u16, headers: &HeaderMap) -> Bytes {
    let head = (status, write_headers(headers));
    // Numbers and strings always serialise.
    serde_json::to_vec(&head).unwrap_or_default().into()
}

/// Reads it again.
pub(super) fn read_head(head: &[u8]) -> Result<(u16, HeaderMap), StoreError> {
    let read: Result<(u16, Vec<_>), _> = serde_json::from_slice(head);
    let (status, headers) =
        read.map_err(|error| StoreError::Unavailable(format!("a kept answer: {error}")))?;
    Ok((status, super::request::read_headers(&headers)))
}

// === impl Failure ===

impl Failure {
    /// One that another attempt would not change.
    pub fn last(reason: Reason, words: impl Into<String>) -> Self {
        Self {
            reason: Some(reason),
            words: words.into(),
            pause_ms: None,
            version: None,
        }
    }

    /// One that another attempt may change.
    pub fn again(words: impl Into<String>) -> Self {
        Self {
            reason: None,
            words: words.into(),
            pause_ms: None,
            version: None,
        }
    }
}
