//! Ends: what is written with one, who is told, and calling a request off.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    held::Stop,
    plane::Queue,
    request::{Accepted, Ended, Request},
    spill::{INLINE_BYTES_MAX, SpillName},
    webhook::{self, Notice},
};
use crate::{
    base::{async_id::AsyncId, clock::unix_ms, task},
    store::{Content, End, Holder, JobError, JobStatus, Lane, StoreError},
};

/// What became of a cancellation.
#[derive(Debug)]
pub enum Cancelled {
    /// It was queued, and will not run.
    Queued(Request),
    /// It was running; its exchange is closed.
    Running(Request),
    /// It had ended.
    Ended(Request),
}

/// A request that is to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) id: AsyncId,
    pub(super) lane: &'a Lane,
    pub(super) attempt: u32,
    pub(super) accepted: &'a Accepted,
}

// === impl Queue ===

impl Queue {
    /// Calls a request off; none when there is no such request.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Cancellation
    /// None: it is done to its end by a task of its own, since a request that the store has ended and
    /// nobody else has heard of would hold its place for ever.
    pub async fn cancel(self: &Arc<Self>, id: AsyncId) -> Result<Option<Cancelled>, StoreError> {
        let queue = Arc::clone(self);
        let (tell, told) = oneshot::channel();
        task::spawn("async cancel", async move {
            // Whoever asked may be gone.
            let _ = tell.send(queue.cancel_here(id).await);
        });
        let cut_off = || StoreError::Unavailable("the cancellation was cut off".into());
        told.await.unwrap_or_else(|_| Err(cut_off()))
    }

    /// The same, for who waits for its end in any case.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Cancellation
    /// The request may have ended, and hold its place.
    pub async fn cancel_here(&self, id: AsyncId) -> Result<Option<Cancelled>, StoreError> {
        let Some(request) = self.request(id).await? else {
            return Ok(None);
        };
        if request.status().has_ended() {
            return Ok(Some(Cancelled::Ended(request)));
        }
        let lane = &request.job.lane;
        let status = JobStatus::Cancelled;
        let ending = Ending::of(&request);
        let end = self.end_of(ending, status, Ended::default(), None);
        let finish = || self.store.finish(id, Holder::Anybody, end.clone());
        let was = match finish().await {
            Err(JobError::Store(StoreError::Full(_))) if self.room.give_up_ballast() => {
                finish().await
            }
            other => other,
        };
        let was = match was {
            Ok(was) => was,
            Err(JobError::Fenced(_)) => {
                let request = self.request(id).await?;
                return Ok(request.map(Cancelled::Ended));
            }
            Err(JobError::Store(error)) => return Err(error),
        };
        self.call_off(id, lane);
        self.has_ended(id, lane, was.status, request.job.body.bytes(), &end);
        let Some(request) = self.request(id).await? else {
            return Ok(None);
        };
        Ok(Some(match was.status {
            JobStatus::Running => Cancelled::Running(request),
            _ => Cancelled::Queued(request),
        }))
    }

    /// Takes an ended request out of the schedule, or tells its attempt.
    pub(super) fn call_off(&self, id: AsyncId, lane: &Lane) {
        let position = id.position();
        if let Some(called_off) = self.leasing().get_mut(&position) {
            // The lease finds it ended; or it came first, and what it begins is told at once.
            *called_off = true;
        } else if let Some(held) = self.running.get(&position) {
            held.tell(Stop::Over);
        } else {
            self.schedule().remove(lane, position);
        }
    }

    /// How long a dead letter is kept.
    pub(super) fn lasting_ms(&self) -> u64 {
        let options = &self.options;
        options.dead_letter_ttl_ms.max(options.result_ttl_ms)
    }

    /// What is written when a request ends.
    pub(super) fn end_of(
        &self,
        ending: Ending<'_>,
        status: JobStatus,
        mut ended: Ended,
        answer: Option<(Bytes, Content)>,
    ) -> End {
        let (now_ms, lane) = (unix_ms(), ending.lane);
        ended.ended_at_ms = now_ms;
        let dead = ended.reason.is_some_and(super::Reason::is_dead);
        // What repeats a dead letter is kept as long as one: without it nobody would know that the
        // dead letter was run again.
        let ttl_ms = match dead || ending.accepted.retry_of.is_some() {
            true => self.lasting_ms(),
            false => self.options.result_ttl_ms,
        };
        let forget_at_ms = now_ms.saturating_add(ttl_ms);
        let rules = {
            let view = self.current.load();
            let route = view.route(&lane.deployment);
            let rules = route.map(|route| route.queue().clone());
            rules.filter(|rules| rules.life == lane.life)
        };
        let rules = rules.unwrap_or_default();
        let own = ending.accepted.webhook.clone();
        ended.webhook = own.or_else(|| rules.webhook_url.as_ref().map(ToString::to_string));
        let writes = match &ended.webhook {
            Some(url) => {
                let notice = Notice {
                    id: ending.id,
                    lane,
                    status,
                    attempt: ending.attempt,
                    accepted: ending.accepted,
                    ended: &ended,
                    generation: rules.webhook_generation,
                    forget_at_ms,
                };
                webhook::note(&notice, url, now_ms)
            }
            None => Vec::new(),
        };
        End {
            status,
            // Plain facts always serialise.
            doc: serde_json::to_vec(&ended).unwrap_or_default().into(),
            answer,
            dead,
            forget_at_ms,
            writes,
        }
    }

    /// A request has ended, durably: counts, and tells who waits.
    pub(super) fn has_ended(
        &self,
        id: AsyncId,
        lane: &Lane,
        was: JobStatus,
        body_bytes: u64,
        end: &End,
    ) {
        if was == JobStatus::Queued {
            self.caps.leave(lane.owner);
        }
        if !end.dead {
            self.caps.shrink(body_bytes);
            if body_bytes > INLINE_BYTES_MAX {
                self.remove_file(SpillName::Body(id));
            }
        }
        if let Some((_, content)) = &end.answer {
            self.caps.grow(content.bytes());
        }
        self.meters.finished(lane, end.status);
        if let Some((_, waiters)) = self.waiting.remove(&id.position()) {
            waiters.notify.notify_waiters();
        }
    }
}

impl<'a> Ending<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        Self {
            id: request.id(),
            lane: &request.job.lane,
            attempt: request.job.attempt,
            accepted: &request.accepted,
        }
    }
}
