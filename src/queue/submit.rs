//! Taking requests in: what is asked, what there is room for, and who is turned away.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    intake::{Pending, weight},
    plane::Queue,
    request::{Accepted, Request},
    spill::SpillName,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        clock::unix_ms,
        name::DeploymentName,
        secret::KeyDigest,
    },
    hook::{UrlError, check_url},
    store::{Content, Enqueued, JOB_BYTES, Job, JobStatus, Kept, Lane, NewJob, Once, StoreError},
};

/// A request to be accepted.
#[derive(Debug)]
pub struct Submission {
    /// Drawn with [`Queue::draw`], before its body was spilled under it.
    pub id: AsyncId,
    /// The deployment.
    pub deployment: DeploymentName,
    /// Which life of that name.
    pub life: u32,
    /// The key that submits it.
    pub owner: KeyDigest,
    /// What is kept.
    pub accepted: Accepted,
    /// The body; when it is spilled, its file is finished.
    pub body: Content,
    /// How long it may take in all, when it says so itself, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Its idempotency key, and the digest of what is asked.
    pub once: Option<(String, [u8; 32])>,
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// Accepted, durably.
    New(Request),
    /// The same was accepted before.
    Known(Request),
}

/// Why a submission was not accepted. Nothing of it is left.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// As many wait as may.
    #[error("the queue is full")]
    Full,
    /// As many of this key wait as may.
    #[error("this key's share of the queue is spent")]
    ShareSpent,
    /// As much is kept as may be, or the disk is full.
    #[error("no room on the disk")]
    Disk,
    /// The idempotency key stands for another request.
    #[error("the idempotency key stands for another request")]
    Contradicts,
    /// The store is out of service.
    #[error(transparent)]
    Store(StoreError),
}

/// Room on the disk for a body that is on its way, given back when this is dropped.
pub struct Reserved<'a> {
    queue: &'a Queue,
    bytes: u64,
}

// === impl Queue ===

impl Queue {
    /// An id for a submission.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn draw(&self) -> Result<AsyncId, getrandom::Error> {
        let now_ms = unix_ms();
        let next = |last| {
            let last = Position::from_u64(last)?;
            Some(last.next(now_ms).as_u64())
        };
        // Relaxed: the number alone counts. An error would be a place that can't be.
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_default();
        let position = Position::from_u64(last).map_or(Position::at(now_ms), |p| p.next(now_ms));
        AsyncId::draw(position)
    }

    /// Whether a webhook may be called, as far as its address tells.
    ///
    /// # Errors
    /// Why not.
    pub fn check_webhook(&self, url: &str) -> Result<(), UrlError> {
        check_url(url, &self.webhook_guard).map(drop)
    }

    /// Whether a body of so many bytes would find room now; asked before one is spilled.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn has_room(&self, owner: KeyDigest, bytes: u64) -> Result<(), Refused> {
        self.in_service()
            .inspect_err(|refused| self.meters.refused(refused.as_str()))?;
        match self.caps.take(owner, JOB_BYTES + bytes) {
            Ok(()) => {
                self.caps.leave(owner);
                self.caps.shrink(JOB_BYTES + bytes);
                match self.room.has(JOB_BYTES + bytes) {
                    true => Ok(()),
                    false => {
                        self.meters.refused(Refused::Disk.as_str());
                        Err(Refused::Disk)
                    }
                }
            }
            Err(refused) => {
                self.meters.refused(refused.as_str());
                Err(refused)
            }
        }
    }

    /// Room for a body that comes piece by piece, none of it taken yet.
    pub fn reserve(&self) -> Reserved<'_> {
        Reserved {
            queue: self,
            bytes: 0,
        }
    }

    /// Counts a submission that was turned away before the queue was asked.
    pub fn turned_away(&self, reason: &'static str) {
        self.meters.refused(reason);
    }

    /// Accepts a request: answers when it is durable. Dropped early, it may have been accepted. A
    /// spilled body that is refused is removed.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn submit(&self, new: Submission) -> Result<Submitted, Refused> {
        let lane = Lane {
            deployment: new.deployment.as_str().to_owned(),
            life: new.life,
            owner: new.owner,
        };
        let spilled = matches!(new.body, Content::Spilled(_));
        let id = new.id;
        let (asked, answered) = match self.in_service() {
            Ok(()) => (true, self.take_in(new, &lane).await),
            Err(refused) => (false, Err(refused)),
        };
        match &answered {
            Ok(Submitted::New(_)) => self.meters.accepted(&lane),
            Ok(Submitted::Known(_)) => self.meters.refused("known"),
            Err(refused) => self.meters.refused(refused.as_str()),
        }
        // What is in doubt may be there after all; its file goes when it is known not to be.
        let keep = matches!(answered, Ok(Submitted::New(_)) | Err(Refused::Store(_)));
        if spilled && !(keep && asked) {
            self.remove_file(SpillName::Body(id));
        }
        answered
    }

    async fn take_in(&self, new: Submission, lane: &Lane) -> Result<Submitted, Refused> {
        let doc = serde_json::to_vec(&new.accepted).map_err(|error| {
            Refused::Store(StoreError::Invalid(format!("an async request: {error}")))
        })?;
        let (id, created_at_ms) = (new.id, new.id.position().unix_ms());
        let bytes = JOB_BYTES + new.body.bytes();
        let deadline_ms = new.deadline_ms.unwrap_or(self.options.deadline_ms);
        // Its place was given before its body was sent, which is no time of the request's.
        let deadline_at_ms = unix_ms().max(created_at_ms).saturating_add(deadline_ms);
        let once_ms = match new.accepted.retry_of {
            // As long as the dead letter may be there.
            Some(_) => self.lasting_ms(),
            None => self.options.idempotency_ttl_ms,
        };
        let once = new.once.map(|(key, fingerprint)| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(lane.owner.as_bytes()).update(key.as_bytes());
            Once {
                token: *hasher.finalize().as_bytes(),
                fingerprint,
                until_ms: created_at_ms.saturating_add(once_ms),
            }
        });
        let kept = match &new.body {
            Content::Inline(body) if body.is_empty() => Kept::Nothing,
            Content::Inline(body) => Kept::Inline(body.len() as u64),
            Content::Spilled(bytes) => Kept::Spilled(*bytes),
        };
        let doc = Bytes::from(doc);
        let job = NewJob {
            id,
            lane: lane.clone(),
            deadline_at_ms,
            weight: weight(&new.body),
            doc: doc.clone(),
            body: new.body,
            once,
        };
        if !self.room.has(bytes) {
            return Err(Refused::Disk);
        }
        let (answer, answered) = oneshot::channel();
        let gone = || Refused::Store(StoreError::Unavailable("the queue has ended".into()));
        let place = self.intake.reserve().await.map_err(|_| gone())?;
        // Nothing is waited for between this and the hand-over: whoever leaves while he waits for a
        // place counts for nothing.
        self.caps.take(lane.owner, bytes)?;
        place.send(Pending { job, answer, bytes });
        match answered.await.map_err(|_| gone())?? {
            Enqueued::Added => Ok(Submitted::New(Request {
                job: Job {
                    id,
                    lane: lane.clone(),
                    status: JobStatus::Queued,
                    attempt: 0,
                    due_at_ms: created_at_ms,
                    deadline_at_ms,
                    doc,
                    end: None,
                    dead: false,
                    body: kept,
                    answer: Kept::Nothing,
                },
                accepted: new.accepted,
                ended: None,
                started_at_ms: None,
                told: None,
            })),
            Enqueued::Known(known) => match self.request(known).await {
                Ok(Some(request)) => Ok(Submitted::Known(request)),
                // It was forgotten a moment ago.
                Ok(None) => Err(Refused::Store(StoreError::Unavailable(
                    "the request behind the idempotency key has just been forgotten".into(),
                ))),
                Err(error) => Err(Refused::Store(error)),
            },
            Enqueued::Contradicts => Err(Refused::Contradicts),
        }
    }

    fn in_service(&self) -> Result<(), Refused> {
        // Relaxed: it is a hint; the store itself has the say.
        match self.out.load(Ordering::Relaxed) {
            false => Ok(()),
            true => {
                let words = "the store is out of service";
                Err(Refused::Store(StoreError::Unavailable(words.into())))
            }
        }
    }
}

impl Reserved<'_> {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// [`Refused::Disk`]: there is no room for them. It is counted.
    pub fn take(&mut self, bytes: u64) -> Result<(), Refused> {
        let queue = self.queue;
        let taken = match queue.room.has(bytes) {
            true => queue.caps.take_bytes(bytes),
            false => Err(Refused::Disk),
        };
        taken.inspect_err(|refused| queue.meters.refused(refused.as_str()))?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.queue.caps.shrink(self.bytes);
    }
}

impl Refused {
    /// Its word, as metrics have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Full => "queue_full",
            Self::ShareSpent => "queue_share_spent",
            Self::Disk => "queue_disk_full",
            Self::Contradicts => "idempotency_conflict",
            Self::Store(_) => "queue_unavailable",
        }
    }
}
