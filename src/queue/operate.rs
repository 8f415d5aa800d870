//! What operators do with requests that failed.

use super::{
    plane::Queue,
    request::{Accepted, Request},
    spill::{Opener, SpillName},
    submit::{Refused, Submission, Submitted},
};
use crate::{
    base::{async_id::AsyncId, name::DeploymentName},
    store::{Content, JobError, JobFilter, JobStatus, StoreError},
};

/// What an operator asked of a request that has ended or waits.
#[derive(Debug)]
pub enum Retried {
    /// It waited, and is due now.
    Due(Request),
    /// It was a dead letter: a new request with the same content.
    Again(Request),
    /// There is nothing to be retried: it runs, has succeeded, or its body is not kept.
    Not(Request),
}

/// Dead letters that are looked at in one go.
const PAGE: usize = 128;

impl Queue {
    /// Retries one: see [`Retried`].
    ///
    /// # Errors
    /// [`Refused`], as for a submission.
    pub async fn retry(&self, id: AsyncId) -> Result<Option<Retried>, Refused> {
        let Some(request) = self.request(id).await.map_err(Refused::Store)? else {
            return Ok(None);
        };
        match request.status() {
            JobStatus::Queued => {
                let now_ms = crate::base::clock::unix_ms();
                match self.store.reschedule(id, now_ms).await {
                    Ok(()) => {}
                    Err(JobError::Fenced(_)) => return Ok(Some(Retried::Not(request))),
                    Err(JobError::Store(error)) => return Err(Refused::Store(error)),
                }
                self.schedule().hurry(&request.job.lane, id.position());
                self.wake.notify_one();
                let request = self.request(id).await.map_err(Refused::Store)?;
                Ok(request.map(Retried::Due))
            }
            JobStatus::Error if request.job.dead => {
                let again = self.again(&request).await?;
                Ok(Some(again.map_or(Retried::Not(request), Retried::Again)))
            }
            _ => Ok(Some(Retried::Not(request))),
        }
    }

    /// Runs up to `limit` of a deployment's dead letters again, each as a new request; answers how
    /// many. One that was run again is none any more: its idempotency with itself sees to that.
    ///
    /// # Errors
    /// [`Refused`]: some may have been replayed before it.
    pub async fn replay(&self, deployment: &DeploymentName, limit: usize) -> Result<u64, Refused> {
        let filter = JobFilter {
            deployment: Some(deployment.as_str().to_owned()),
            dead: true,
            ..JobFilter::default()
        };
        let (mut before, mut replayed) = (None, 0);
        loop {
            let page = self
                .list(&filter, before, PAGE)
                .await
                .map_err(Refused::Store)?;
            for request in &page.requests {
                if replayed as usize >= limit {
                    return Ok(replayed);
                }
                replayed += u64::from(self.again(request).await?.is_some());
            }
            before = page.next;
            if before.is_none() {
                return Ok(replayed);
            }
        }
    }

    /// Forgets a deployment's dead letters; answers how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge(&self, deployment: &DeploymentName) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let gone = self.store.forget_dead(deployment.as_str(), PAGE).await?;
            let page = gone.len();
            purged += page as u64;
            self.forgotten(gone);
            if page < PAGE {
                return Ok(purged);
            }
        }
    }

    /// The same once more, as a new request of the same key; none when that was done before, or when
    /// it can't be: its deployment has gone, or its body.
    async fn again(&self, dead: &Request) -> Result<Option<Request>, Refused> {
        let lane = &dead.job.lane;
        let Ok(deployment) = DeploymentName::parse(&lane.deployment) else {
            return Ok(None);
        };
        let life = {
            let view = self.current.load();
            view.route(&lane.deployment).map(|route| route.queue().life)
        };
        if life != Some(lane.life) {
            return Ok(None);
        }
        let drawn = self.draw().map_err(|error| {
            Refused::Store(StoreError::Unavailable(format!("no randomness: {error}")))
        })?;
        let body = match self.store.body(dead.id()).await.map_err(Refused::Store)? {
            Some(Content::Spilled(bytes)) => {
                self.copy(dead.id(), drawn, bytes).await?;
                Content::Spilled(bytes)
            }
            Some(inline) => inline,
            None => return Ok(None),
        };
        let submission = Submission {
            id: drawn,
            deployment,
            life: lane.life,
            owner: lane.owner,
            accepted: Accepted {
                retry_of: Some(dead.id()),
                ..dead.accepted.clone()
            },
            body,
            deadline_ms: None,
            // No client's key looks like this one: theirs hold no space.
            once: Some((format!("again {}", dead.id()), [0; 32])),
        };
        match self.submit(submission).await? {
            Submitted::New(request) => Ok(Some(request)),
            Submitted::Known(_) => Ok(None),
        }
    }

    async fn copy(&self, from: AsyncId, to: AsyncId, bytes: u64) -> Result<(), Refused> {
        let failed = |error: &dyn std::fmt::Display| {
            Refused::Store(StoreError::Unavailable(error.to_string()))
        };
        let mut body = self
            .spill
            .read(SpillName::Body(from), 0, bytes, Opener::Operator)
            .await
            .map_err(|error| failed(&error))?;
        let mut file = self
            .spill
            .create(SpillName::Body(to), Opener::Operator)
            .await
            .map_err(|error| failed(&error))?;
        while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
            let frame = frame.map_err(|error| failed(&error))?;
            if let Ok(data) = frame.into_data() {
                file.append(data).await.map_err(|error| failed(&error))?;
            }
        }
        file.finish().await.map_err(|error| failed(&error))?;
        Ok(())
    }
}
