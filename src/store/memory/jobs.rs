//! Jobs, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    super::{
        CommitError, Content, End, Enqueued, Fenced, Forgotten, Holder, JOB_BYTES, Job, JobError,
        JobFilter, JobPage, JobStatus, Jobs, Kept, Lane, Leased, NewJob, Once, OpenJob, StoreError,
        Totals, Was, limits,
    },
    Memory,
};
use crate::base::async_id::{AsyncId, Position};

/// All requests.
#[derive(Clone, Default)]
pub(super) struct Requests {
    kept: BTreeMap<Position, Request>,
    tokens: BTreeMap<[u8; 32], (Once, AsyncId)>,
    last: Option<Position>,
    /// Each lane that ever had a job, at its number.
    lanes: Vec<Lane>,
}

#[derive(Clone)]
struct Request {
    new: NewJob,
    status: JobStatus,
    attempt: u32,
    due_at_ms: u64,
    end: Option<End>,
}

#[async_trait]
impl Jobs for Memory {
    async fn enqueue(&self, jobs: Vec<NewJob>, now_ms: u64) -> Result<Vec<Enqueued>, StoreError> {
        limits::jobs(&jobs)?;
        let mut state = self.state();
        let mut next = state.requests.clone();
        let became = jobs.into_iter().map(|new| next.enqueue(new, now_ms));
        let became = became.collect::<Result<_, _>>()?;
        state.requests = next;
        Ok(became)
    }

    async fn lease(
        &self,
        positions: Vec<Position>,
        until_ms: u64,
    ) -> Result<Vec<Option<Leased>>, StoreError> {
        let mut state = self.state();
        let lease = |at: Position| {
            let request = state.requests.kept.get_mut(&at)?;
            if request.status != JobStatus::Queued {
                return None;
            }
            request.status = JobStatus::Running;
            request.attempt += 1;
            request.due_at_ms = limits::moment(until_ms);
            Some(Leased {
                id: request.new.id,
                lane: request.new.lane.clone(),
                attempt: request.attempt,
                deadline_at_ms: request.new.deadline_at_ms,
                doc: request.new.doc.clone(),
                body: request.new.body.clone(),
            })
        };
        Ok(positions.into_iter().map(lease).collect())
    }

    async fn extend(
        &self,
        held: Vec<(AsyncId, u32)>,
        until_ms: u64,
    ) -> Result<Vec<bool>, StoreError> {
        let mut state = self.state();
        let extend = |(id, attempt)| match state.requests.held(id, Holder::Attempt(attempt)) {
            Ok(request) => {
                request.due_at_ms = limits::moment(until_ms);
                true
            }
            Err(_) => false,
        };
        Ok(held.into_iter().map(extend).collect())
    }

    async fn finish(&self, id: AsyncId, holder: Holder, end: End) -> Result<Was, JobError> {
        limits::end(&end)?;
        let mut state = self.state();
        let mut next = state.clone();
        let request = next.requests.held(id, holder)?;
        let was = Was {
            status: request.status,
            attempt: request.attempt,
        };
        request.status = end.status;
        request.due_at_ms = limits::moment(end.forget_at_ms);
        request.end = Some(end.clone());
        if !end.writes.is_empty() {
            let changes = next.write_all(end.writes).map_err(|error| match error {
                CommitError::Conflict { key, .. } => {
                    StoreError::Invalid(format!("a conflict at {key}"))
                }
                CommitError::Store(error) => error,
            })?;
            self.tell(changes);
        }
        *state = next;
        Ok(was)
    }

    async fn requeue(
        &self,
        id: AsyncId,
        attempt: u32,
        due_at_ms: u64,
        counted: bool,
    ) -> Result<(), JobError> {
        let mut state = self.state();
        let request = state.requests.held(id, Holder::Attempt(attempt))?;
        request.status = JobStatus::Queued;
        request.attempt -= u32::from(!counted);
        request.due_at_ms = limits::moment(due_at_ms);
        Ok(())
    }

    async fn reschedule(&self, id: AsyncId, due_at_ms: u64) -> Result<(), JobError> {
        let mut state = self.state();
        state.requests.held(id, Holder::Queued)?.due_at_ms = limits::moment(due_at_ms);
        Ok(())
    }

    async fn void_leases(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        let requests = state.requests.kept.values_mut();
        let ended = requests.filter(|request| request.status == JobStatus::Running);
        let ended = ended.map(|request| {
            request.status = JobStatus::Queued;
            request.due_at_ms = 0;
        });
        Ok(ended.count() as u64)
    }

    async fn lanes(&self) -> Result<Vec<(u32, Lane)>, StoreError> {
        let requests = &self.state().requests;
        let has = |lane: &Lane| requests.kept.values().any(|r| r.new.lane == *lane);
        let lanes = (0..).zip(requests.lanes.clone());
        Ok(lanes.filter(|(_, lane)| has(lane)).collect())
    }

    async fn queued(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<OpenJob>, StoreError> {
        let requests = &self.state().requests;
        let queued = requests.kept.iter().filter(|(at, request)| {
            request.status == JobStatus::Queued && after.is_none_or(|after| **at > after)
        });
        let open = queued.take(limit).map(|(at, request)| OpenJob {
            position: *at,
            lane: requests.number(&request.new.lane),
            due_at_ms: request.due_at_ms,
            weight: request.new.weight,
        });
        Ok(open.collect())
    }

    async fn lapsed(&self, now_ms: u64, limit: usize) -> Result<Vec<(AsyncId, u32)>, StoreError> {
        let requests = &self.state().requests;
        let of = |r: &&Request| r.status == JobStatus::Running && r.due_at_ms <= now_ms;
        let mut lapsed: Vec<&Request> = requests.kept.values().filter(of).collect();
        lapsed.sort_by_key(|request| request.due_at_ms);
        let lapsed = lapsed.into_iter().take(limit);
        Ok(lapsed.map(|r| (r.new.id, r.attempt)).collect())
    }

    async fn overdue(&self, now_ms: u64, limit: usize) -> Result<Vec<AsyncId>, StoreError> {
        let requests = &self.state().requests;
        let of = |r: &&Request| !r.status.has_ended() && r.new.deadline_at_ms <= now_ms;
        let mut overdue: Vec<&Request> = requests.kept.values().filter(of).collect();
        overdue.sort_by_key(|request| request.new.deadline_at_ms);
        Ok(overdue.into_iter().take(limit).map(|r| r.new.id).collect())
    }

    async fn job(&self, id: AsyncId) -> Result<Option<Job>, StoreError> {
        Ok(self.state().requests.get(id).map(Request::job))
    }

    async fn body(&self, id: AsyncId) -> Result<Option<Content>, StoreError> {
        let state = self.state();
        let kept = state.requests.get(id).filter(|r| r.keeps_body());
        Ok(kept.map(|request| request.new.body.clone()))
    }

    async fn answer(&self, id: AsyncId) -> Result<Option<(Bytes, Content)>, StoreError> {
        let state = self.state();
        let end = state.requests.get(id).and_then(|r| r.end.as_ref());
        Ok(end.and_then(|end| end.answer.clone()))
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let state = self.state();
        let jobs = state.requests.kept.values().rev().map(Request::job);
        let below = |job: &Job| before.is_none_or(|before| job.id.position() < before);
        let mut jobs = jobs.filter(|job| below(job) && filter.is_met_by(job));
        let page: Vec<Job> = jobs.by_ref().take(limit).collect();
        let last = page.last().map(|job| job.id.position());
        let next = last.filter(|_| jobs.next().is_some());
        Ok(JobPage { jobs: page, next })
    }

    async fn forget(&self, now_ms: u64, limit: usize) -> Result<Vec<Forgotten>, StoreError> {
        let requests = &mut self.state().requests;
        requests.forget_tokens(now_ms, limit);
        let of = |r: &&Request| r.status.has_ended() && r.due_at_ms <= now_ms;
        let mut going: Vec<&Request> = requests.kept.values().filter(of).collect();
        going.sort_by_key(|request| request.due_at_ms);
        let going = going.into_iter().take(limit).map(|r| r.new.id);
        let going: Vec<AsyncId> = going.collect();
        Ok(requests.forget(&going))
    }

    async fn forget_dead(
        &self,
        deployment: &str,
        limit: usize,
    ) -> Result<Vec<Forgotten>, StoreError> {
        let requests = &mut self.state().requests;
        let of = |r: &&Request| r.new.lane.deployment == deployment && r.job().dead;
        let mut going: Vec<&Request> = requests.kept.values().filter(of).collect();
        going.sort_by_key(|request| (request.new.lane.life, request.new.lane.owner));
        let going = going.into_iter().take(limit).map(|r| r.new.id);
        let going: Vec<AsyncId> = going.collect();
        Ok(requests.forget(&going))
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        let requests = &self.state().requests;
        let all = || requests.kept.values();
        let open = all().filter(|r| !r.status.has_ended()).count() as u64;
        Ok(Totals {
            open,
            ended: all().count() as u64 - open,
            bytes: all().map(Request::bytes).sum(),
            last: requests.last,
        })
    }
}

// === impl Requests ===

impl Requests {
    fn enqueue(&mut self, mut new: NewJob, now_ms: u64) -> Result<Enqueued, StoreError> {
        let known = new.once.and_then(|once| self.tokens.get(&once.token));
        if let (Some(once), Some((known, id))) = (new.once, known)
            && known.until_ms > now_ms
            && self.get(*id).is_some()
        {
            return Ok(match known.fingerprint == once.fingerprint {
                true => Enqueued::Known(*id),
                false => Enqueued::Contradicts,
            });
        }
        let at = new.id.position();
        if let Some(other) = self.kept.get(&at) {
            return match other.new.id == new.id {
                true => Ok(Enqueued::Known(new.id)),
                false => Err(StoreError::Invalid(format!(
                    "the place of {} is another job's",
                    new.id
                ))),
            };
        }
        if !self.lanes.contains(&new.lane) {
            self.lanes.push(new.lane.clone());
        }
        self.last = self.last.max(Some(at));
        if let Some(once) = new.once {
            self.tokens.insert(once.token, (once, new.id));
        }
        new.deadline_at_ms = limits::moment(new.deadline_at_ms);
        let request = Request {
            new,
            status: JobStatus::Queued,
            attempt: 0,
            due_at_ms: 0,
            end: None,
        };
        self.kept.insert(at, request);
        Ok(Enqueued::Added)
    }

    fn get(&self, id: AsyncId) -> Option<&Request> {
        let request = self.kept.get(&id.position());
        request.filter(|request| request.new.id == id)
    }

    fn held(&mut self, id: AsyncId, holder: Holder) -> Result<&mut Request, Fenced> {
        let request = self.kept.get_mut(&id.position()).ok_or(Fenced(id))?;
        let holds = match holder {
            Holder::Attempt(attempt) => {
                request.status == JobStatus::Running && request.attempt == attempt
            }
            Holder::Queued => request.status == JobStatus::Queued,
            Holder::Anybody => !request.status.has_ended(),
        };
        match holds && request.new.id == id {
            true => Ok(request),
            false => Err(Fenced(id)),
        }
    }

    fn number(&self, lane: &Lane) -> u32 {
        let at = self.lanes.iter().position(|known| known == lane);
        at.expect("each job's lane is known") as u32
    }

    fn forget_tokens(&mut self, now_ms: u64, limit: usize) {
        let tokens = self.tokens.values();
        let going = tokens.map(|(once, _)| (once.until_ms, once.token));
        let mut going: Vec<_> = going.filter(|(until_ms, _)| *until_ms <= now_ms).collect();
        going.sort_unstable();
        for (_, token) in going.into_iter().take(limit) {
            self.tokens.remove(&token);
        }
    }

    fn forget(&mut self, going: &[AsyncId]) -> Vec<Forgotten> {
        let gone = going.iter().filter_map(|id| {
            let request = self.kept.remove(&id.position())?;
            let job = request.job();
            Some(Forgotten {
                id: *id,
                attempt: job.attempt,
                body: job.body,
                answer: job.answer,
                bytes: request.bytes(),
            })
        });
        gone.collect()
    }
}

// === impl Request ===

impl Request {
    fn job(&self) -> Job {
        let kept = |content: &Content| match content {
            Content::Inline(bytes) => Kept::Inline(bytes.len() as u64),
            Content::Spilled(bytes) => Kept::Spilled(*bytes),
        };
        let answer = self.end.as_ref().and_then(|end| end.answer.as_ref());
        Job {
            id: self.new.id,
            lane: self.new.lane.clone(),
            status: self.status,
            attempt: self.attempt,
            due_at_ms: self.due_at_ms,
            deadline_at_ms: self.new.deadline_at_ms,
            doc: self.new.doc.clone(),
            end: self.end.as_ref().map(|end| end.doc.clone()),
            dead: self.end.as_ref().is_some_and(|end| end.dead),
            body: match self.keeps_body() {
                true => kept(&self.new.body),
                false => Kept::Nothing,
            },
            answer: answer.map_or(Kept::Nothing, |(_, body)| kept(body)),
        }
    }

    fn keeps_body(&self) -> bool {
        self.end.as_ref().is_none_or(|end| end.dead)
    }

    fn bytes(&self) -> u64 {
        let job = self.job();
        JOB_BYTES + job.body.bytes() + job.answer.bytes()
    }
}

// === impl JobFilter ===

impl JobFilter {
    fn is_met_by(&self, job: &Job) -> bool {
        self.owner.is_none_or(|owner| job.lane.owner == owner)
            && (self.deployment.as_ref()).is_none_or(|name| job.lane.deployment == *name)
            && self.status.is_none_or(|status| job.status == status)
            && (!self.dead || job.dead)
    }
}
