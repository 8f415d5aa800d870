//! A queue that does as it is told, and what is asked of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use axum::body::Body;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::{
    admin::{AsyncParts, Requests, testing::World},
    base::{
        async_id::{AsyncId, Position},
        id::{KeyId, VersionNumber},
        name::DeploymentName,
        secret::KeyDigest,
    },
    queue::{
        Accepted, Answer, AnswerContent, Cancelled, Ended, Figures, Page, Reason, Refused, Request,
        Retried,
    },
    store::{Job, JobFilter, JobStatus, Kept, Lane, StoreError},
    wire::target::Operation,
};

/// When the first request of every script was accepted.
pub(super) const BEGAN_MS: u64 = 1_767_268_800_000;

/// What is behind [`Script`].
#[derive(Default)]
pub(super) struct Told {
    /// Oldest first.
    pub(super) requests: Vec<Request>,
    pub(super) answers: HashMap<AsyncId, Answer>,
    pub(super) spilled: HashMap<AsyncId, Vec<u8>>,
    /// What dead letters are refused with when they are to run again.
    pub(super) refusal: Option<Refused>,
    /// Every filter that a list was asked for with.
    pub(super) filters: Vec<JobFilter>,
    /// What was done: `cancel`, `retry`, `replay 5`, `purge`.
    pub(super) done: Vec<String>,
}

/// A queue that does as it is told.
pub(super) struct Script {
    told: Mutex<Told>,
    /// Cancelling waits for a permit.
    pub(super) gate: Semaphore,
    /// Told when cancelling waits.
    pub(super) asked: Notify,
    /// Requests that one look at a list takes at most.
    looked_max: usize,
}

// === impl Script ===

impl Script {
    pub(super) fn of(requests: Vec<Request>) -> Arc<Self> {
        let told = Told {
            requests,
            ..Told::default()
        };
        Arc::new(Self {
            told: Mutex::new(told),
            gate: Semaphore::new(1_000),
            asked: Notify::new(),
            looked_max: 3,
        })
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("nobody panicked with it")
    }

    fn find(&self, id: AsyncId) -> Option<Request> {
        let told = self.told();
        told.requests.iter().find(|own| own.id() == id).cloned()
    }
}

#[async_trait]
impl Requests for Script {
    async fn request(&self, id: AsyncId) -> Result<Option<Request>, StoreError> {
        Ok(self.find(id))
    }

    async fn list(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let mut told = self.told();
        told.filters.push(filter.clone());
        let below = |own: &&Request| before.is_none_or(|before| own.id().position() < before);
        let mut rest = told.requests.iter().rev().filter(below).peekable();
        let mut page = Page::default();
        for _ in 0..limit.min(self.looked_max) {
            let Some(own) = rest.next() else { break };
            let job = &own.job;
            let deployment = filter.deployment.as_ref();
            if deployment.is_none_or(|name| *name == job.lane.deployment)
                && filter.owner.is_none_or(|owner| owner == job.lane.owner)
                && filter.status.is_none_or(|status| status == job.status)
                && (!filter.dead || job.dead)
            {
                page.requests.push(own.clone());
            }
            page.next = Some(own.id().position());
        }
        page.next = page.next.filter(|_| rest.peek().is_some());
        Ok(page)
    }

    async fn answer(&self, request: &Request) -> Result<Option<Answer>, StoreError> {
        let told = self.told();
        Ok(told.answers.get(&request.id()).map(|answer| Answer {
            status: answer.status,
            headers: answer.headers.clone(),
            bytes: answer.bytes,
            body: match &answer.body {
                AnswerContent::Inline(bytes) => AnswerContent::Inline(bytes.clone()),
                AnswerContent::Spilled(attempt) => AnswerContent::Spilled(*attempt),
            },
        }))
    }

    async fn spilled(&self, id: AsyncId, attempt: u32, bytes: u64) -> Result<Body, StoreError> {
        let found = self.told().spilled.get(&id).cloned();
        let found = found.filter(|found| attempt == 1 && found.len() as u64 == bytes);
        let parts = found.ok_or_else(|| StoreError::Unavailable("no such file".to_owned()))?;
        let parts: Vec<_> = parts
            .chunks(2)
            .map(|part| Ok::<_, std::io::Error>(part.to_vec()))
            .collect();
        Ok(Body::from_stream(futures_util::stream::iter(parts)))
    }

    async fn cancel(&self, id: AsyncId) -> Result<Option<Cancelled>, StoreError> {
        self.asked.notify_one();
        self.gate.acquire().await.expect("open").forget();
        let mut told = self.told();
        told.done.push("cancel".to_owned());
        let found = told.requests.iter_mut().find(|own| own.id() == id);
        Ok(found.map(|own| {
            let before = own.job.status;
            if before.has_ended() {
                return Cancelled::Ended(own.clone());
            }
            own.job.status = JobStatus::Cancelled;
            match before {
                JobStatus::Queued => Cancelled::Queued(own.clone()),
                _ => Cancelled::Running(own.clone()),
            }
        }))
    }

    async fn retry(&self, id: AsyncId) -> Result<Option<Retried>, Refused> {
        let found = self.find(id);
        let mut told = self.told();
        told.done.push("retry".to_owned());
        if let Some(refusal) = &told.refusal {
            return Err(refusal.clone());
        }
        Ok(found.map(|own| match own.job.status {
            JobStatus::Queued if own.job.attempt > 0 => Retried::Due(own),
            JobStatus::Error if own.job.dead => {
                let mut again = request(99, "demo/iris", JobStatus::Queued);
                again.accepted.retry_of = Some(own.id());
                Retried::Again(again)
            }
            _ => Retried::Not(own),
        }))
    }

    async fn replay(&self, _: &DeploymentName, limit: usize) -> Result<u64, Refused> {
        let mut told = self.told();
        told.done.push(format!("replay {limit}"));
        match &told.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(limit.min(2) as u64),
        }
    }

    async fn purge(&self, _: &DeploymentName) -> Result<u64, StoreError> {
        self.told().done.push("purge".to_owned());
        Ok(3)
    }

    fn figures(&self, _: &DeploymentName) -> Figures {
        Figures {
            queued: 4,
            waiting_retry: 1,
            running: 2,
            oldest_at_ms: Some(BEGAN_MS),
        }
    }
}

/// An admin plane over a script.
pub(super) async fn world(script: &Arc<Script>) -> World {
    let world = World::with(Some(AsyncParts {
        requests: Arc::clone(script) as _,
        check_webhook: Box::new(|url| match url.starts_with("https://hooks.example/") {
            true => Ok(()),
            false => Err("leads where nobody may be told".to_owned()),
        }),
        webhook_secret: Box::new(|name, life, generation| {
            format!("whsec_{name}.{life}.{generation}")
        }),
        deliveries: Box::new(|id| {
            Box::pin(async move {
                Ok(
                    json!({"url": format!("https://hooks.example/{id}"), "state": "pending",
                    "attempts": [], "next_attempt_at": null}),
                )
            })
        }),
    }))
    .await;
    let project = r#"{"name": "demo"}"#;
    let iris = r#"{"name": "iris", "version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]},
        "readiness": {"unreachable_ms": 0}}}"#;
    let deployments = "POST /api/v1/projects/demo/deployments";
    for (line, body) in [
        ("POST /api/v1/projects", project),
        (deployments, iris),
        (deployments, &iris.replace("iris", "rose")),
    ] {
        let made = world.call(line, &[], body).await;
        assert_eq!(made.status, 201, "{}", made.json());
    }
    world
}

pub(super) fn owner(key: &str) -> KeyDigest {
    KeyDigest::of_key(key.as_bytes()).expect("a key")
}

/// A request that was accepted so many milliseconds after the first.
pub(super) fn request(after_ms: u64, deployment: &str, status: JobStatus) -> Request {
    let at_ms = BEGAN_MS + after_ms;
    let id = AsyncId::of(Position::at(at_ms), [after_ms as u8 + 1; 16]);
    let is_error = status == JobStatus::Error;
    Request {
        job: Job {
            id,
            lane: Lane {
                deployment: deployment.to_owned(),
                life: 1,
                owner: owner("a-key-of-somebody"),
            },
            status,
            attempt: u32::from(status != JobStatus::Queued),
            due_at_ms: at_ms + 1_000,
            deadline_at_ms: at_ms + 86_400_000,
            doc: bytes::Bytes::new(),
            end: None,
            dead: is_error,
            body: match status.has_ended() && !is_error {
                true => Kept::Nothing,
                false => Kept::Inline(3),
            },
            answer: Kept::Nothing,
        },
        accepted: Accepted {
            request_id: format!("r-{after_ms}"),
            key: KeyId::new("k7"),
            version: Some(VersionNumber(3)),
            pinned: None,
            operation: Operation::Predict,
            method: "POST".to_owned(),
            tail: String::new(),
            query: Some("token=secret".to_owned()),
            headers: Vec::new(),
            body_bytes: 3,
            attempt_ms: None,
            webhook: None,
            retry_of: None,
        },
        ended: status.has_ended().then(|| Ended {
            ended_at_ms: at_ms + 500,
            started_at_ms: Some(at_ms + 100),
            version: Some(VersionNumber(4)),
            result_status: None,
            reason: is_error.then_some(Reason::Exhausted),
            detail: is_error.then(|| "the backend is gone".to_owned()),
            webhook: None,
        }),
        started_at_ms: None,
        told: None,
    }
}
