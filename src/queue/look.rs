//! Looking at requests: how one stands, until when it is waited for, and what the model answered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;

use super::{
    held::Work,
    plane::Queue,
    recording::Recording,
    request::{Request, Told},
    spill::{Opener, SpillBody, SpillName},
    sse::end_of_event,
    webhook::{self},
    work::read_head,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        secret::KeyDigest,
    },
    store::{Content, Job, JobFilter, JobStatus, StoreError},
};

/// An answer of the model that is kept.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that do not travel and the length.
    pub headers: HeaderMap,
    /// Its body's length.
    pub bytes: u64,
    /// Its body.
    pub body: AnswerContent,
}

/// The body of a kept answer.
#[derive(Debug)]
pub enum AnswerContent {
    /// Here.
    Inline(Bytes),
    /// In the file of this attempt.
    Spilled(u32),
}

/// A part of a list, newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// The requests.
    pub requests: Vec<Request>,
    /// Where to go on; none at the end. See [`crate::store::JobPage`].
    pub next: Option<Position>,
}

/// Those who wait for one request's end.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    pub(super) notify: Arc<Notify>,
    count: usize,
}

/// A waiter's place; the last one to leave takes the request's entry away.
struct Place<'a> {
    queue: &'a Queue,
    position: Position,
    notify: Arc<Notify>,
}

// === impl Queue ===

impl Queue {
    /// The request of this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn request(&self, id: AsyncId) -> Result<Option<Request>, StoreError> {
        let Some(job) = self.store.job(id).await? else {
            return Ok(None);
        };
        self.whole(job).await.map(Some)
    }

    /// The request of this id, if this key submitted it. Another key's is not read any further, so
    /// that it takes no longer than one that there is not.
    ///
    /// # Errors
    /// The store's.
    pub async fn request_of(
        &self,
        id: AsyncId,
        owner: KeyDigest,
    ) -> Result<Option<Request>, StoreError> {
        let job = self.store.job(id).await?;
        match job.filter(|job| job.lane.owner == owner) {
            Some(own) => self.whole(own).await.map(Some),
            None => Ok(None),
        }
    }

    /// With how the telling of its end stands.
    async fn whole(&self, job: Job) -> Result<Request, StoreError> {
        let mut request = self.read(job)?;
        let ended = request.ended.as_ref();
        if ended.is_some_and(|ended| ended.webhook.is_some()) {
            let delivery = webhook::delivery(&*self.store, request.id()).await?;
            request.told = delivery.map(|delivery| Told {
                state: delivery.state,
                attempts: delivery.attempts.len(),
            });
        }
        Ok(request)
    }

    fn read(&self, job: Job) -> Result<Request, StoreError> {
        let mut request = Request::read(job)?;
        if request.status() == JobStatus::Running {
            let held = self.running.get(&request.id().position());
            request.started_at_ms = held.map(|held| held.started_at_ms);
        }
        Ok(request)
    }

    /// The request of this id, once it has ended or `at_most` has passed.
    ///
    /// # Errors
    /// The store's.
    pub async fn wait(
        &self,
        id: AsyncId,
        at_most: Duration,
    ) -> Result<Option<Request>, StoreError> {
        let ended = |request: &Request| request.status().has_ended();
        self.wait_until(id, at_most, ended).await
    }

    /// The same, or once there is a stream of it to be followed.
    ///
    /// # Errors
    /// The store's.
    pub async fn wait_for_answer(
        &self,
        id: AsyncId,
        at_most: Duration,
    ) -> Result<Option<Request>, StoreError> {
        let there =
            |request: &Request| request.status().has_ended() || self.recording(id).is_some();
        self.wait_until(id, at_most, there).await
    }

    async fn wait_until(
        &self,
        id: AsyncId,
        at_most: Duration,
        there: impl Fn(&Request) -> bool,
    ) -> Result<Option<Request>, StoreError> {
        // Asked first whether there is such a request: a waiter's place is for real ones alone.
        match self.request(id).await? {
            Some(request) if !there(&request) && !at_most.is_zero() => {}
            other => return Ok(other),
        }
        let place = Place::take(self, id.position());
        let mut draining = self.draining.subscribe();
        let mut over = std::pin::pin!(tokio::time::sleep(at_most));
        loop {
            let mut told = std::pin::pin!(place.notify.notified());
            // In line before the next look: what happens between the two is not missed.
            told.as_mut().enable();
            match self.request(id).await? {
                Some(request) if !there(&request) => {}
                other => return Ok(other),
            }
            tokio::select! {
                () = told => {}
                () = &mut over => break,
                _ = draining.wait_for(|draining| *draining) => break,
            }
        }
        self.request(id).await
    }

    /// Lets others follow an attempt's answer while it comes.
    pub fn show(&self, work: &Work, recording: Arc<Recording>) {
        work.show(recording);
        if let Some(waiters) = self.waiting.get(&work.id().position()) {
            waiters.notify.notify_waiters();
        }
    }

    /// The recording of a stream that is under way and whose head is there, and since when its
    /// attempt is.
    pub fn recording(&self, id: AsyncId) -> Option<(Arc<Recording>, u64)> {
        let held = self.running.get(&id.position())?;
        let recording = held.recording.get().filter(|_| held.id == id)?;
        Some((Arc::clone(recording), held.started_at_ms))
    }

    /// The kept answer of an ended request.
    ///
    /// # Errors
    /// The store's.
    pub async fn answer(&self, request: &Request) -> Result<Option<Answer>, StoreError> {
        let Some((head, content)) = self.store.answer(request.id()).await? else {
            return Ok(None);
        };
        let (status, headers) = read_head(&head)?;
        let damaged = |_| StoreError::Unavailable("a kept answer has no status".into());
        let bytes = content.bytes();
        let body = match content {
            Content::Inline(body) => AnswerContent::Inline(body),
            Content::Spilled(_) => AnswerContent::Spilled(request.job.attempt),
        };
        Ok(Some(Answer {
            status: StatusCode::from_u16(status).map_err(damaged)?,
            headers,
            bytes,
            body,
        }))
    }

    /// Reads a spilled answer from a byte on, so many bytes.
    ///
    /// # Errors
    /// The disk's; when there is no descriptor for it.
    pub async fn spilled(
        &self,
        id: AsyncId,
        attempt: u32,
        from: u64,
        bytes: u64,
        opener: Opener,
    ) -> Result<SpillBody, StoreError> {
        let name = SpillName::Answer(id, attempt);
        let read = self.spill.read(name, from, bytes, opener);
        read.await
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Where the event that carries this id ends in a kept answer, if it is there.
    ///
    /// # Errors
    /// The disk's.
    pub async fn end_of_event(
        &self,
        request: &Request,
        answer: &Answer,
        event: &str,
    ) -> Result<Option<u64>, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        match &answer.body {
            AnswerContent::Inline(body) => {
                let body = http_body_util::Full::new(body.clone());
                let found = end_of_event(body, event).await;
                Ok(found.unwrap_or_else(|never| match never {}))
            }
            AnswerContent::Spilled(attempt) => {
                let body = self
                    .spilled(request.id(), *attempt, 0, answer.bytes, Opener::Caller)
                    .await?;
                end_of_event(body, event).await.map_err(failed)
            }
        }
    }

    /// Requests, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let page = self.store.jobs(filter, before, limit).await?;
        let requests: Result<_, _> = page.jobs.into_iter().map(|job| self.read(job)).collect();
        Ok(Page {
            requests: requests?,
            next: page.next,
        })
    }
}

impl<'a> Place<'a> {
    fn take(queue: &'a Queue, position: Position) -> Self {
        let mut waiters = queue.waiting.entry(position).or_default();
        waiters.count += 1;
        Self {
            queue,
            position,
            notify: Arc::clone(&waiters.notify),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue
            .waiting
            .remove_if_mut(&self.position, |_, waiters| {
                // After an end the entry may be that of others, who came later.
                let ours = Arc::ptr_eq(&waiters.notify, &self.notify);
                waiters.count -= usize::from(ours);
                ours && waiters.count == 0
            });
    }
}
