//! What the admin plane is given of async requests.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    base::{
        async_id::{AsyncId, Position},
        name::DeploymentName,
    },
    queue::{Answer, Cancelled, Figures, Opener, Page, Queue, Refused, Request, Retried},
    store::{JobFilter, StoreError},
};

/// What the admin plane is given of async requests.
pub struct AsyncParts {
    /// The requests.
    pub requests: Arc<dyn Requests>,
    /// Whether ends may be told at an address.
    pub check_webhook: WebhookCheck,
    /// The secret that a deployment's webhooks are signed with, as it is shown.
    pub webhook_secret: WebhookSecret,
    /// How the telling of a request's end went.
    pub deliveries: Deliveries,
}

/// Whether ends may be told at an address; why not, in words for people.
pub type WebhookCheck = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// A deployment's signing secret of a life and a generation, as it is shown: `whsec_...`.
pub type WebhookSecret = Box<dyn Fn(&str, u32, u32) -> String + Send + Sync>;

/// How the telling of a request's end went: `url`, `state`, `attempts`, `next_attempt_at`.
pub type Deliveries =
    Box<dyn Fn(AsyncId) -> BoxFuture<'static, Result<Value, StoreError>> + Send + Sync>;

/// What operators ask of the queue. See [`Queue`] for each.
#[async_trait]
pub trait Requests: Send + Sync {
    /// [`Queue::request`].
    async fn request(&self, id: AsyncId) -> Result<Option<Request>, StoreError>;

    /// [`Queue::list`].
    async fn list(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// [`Queue::answer`].
    async fn answer(&self, request: &Request) -> Result<Option<Answer>, StoreError>;

    /// [`Queue::spilled`], whole.
    async fn spilled(&self, id: AsyncId, attempt: u32, bytes: u64) -> Result<Body, StoreError>;

    /// [`Queue::cancel_here`].
    async fn cancel(&self, id: AsyncId) -> Result<Option<Cancelled>, StoreError>;

    /// [`Queue::retry`].
    async fn retry(&self, id: AsyncId) -> Result<Option<Retried>, Refused>;

    /// [`Queue::replay`].
    async fn replay(&self, deployment: &DeploymentName, limit: usize) -> Result<u64, Refused>;

    /// [`Queue::purge`].
    async fn purge(&self, deployment: &DeploymentName) -> Result<u64, StoreError>;

    /// [`Queue::figures`].
    fn figures(&self, deployment: &DeploymentName) -> Figures;
}

#[async_trait]
impl Requests for Queue {
    async fn request(&self, id: AsyncId) -> Result<Option<Request>, StoreError> {
        Queue::request(self, id).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        Queue::list(self, filter, before, limit).await
    }

    async fn answer(&self, request: &Request) -> Result<Option<Answer>, StoreError> {
        Queue::answer(self, request).await
    }

    async fn spilled(&self, id: AsyncId, attempt: u32, bytes: u64) -> Result<Body, StoreError> {
        Queue::spilled(self, id, attempt, 0, bytes, Opener::Operator)
            .await
            .map(Body::new)
    }

    async fn cancel(&self, id: AsyncId) -> Result<Option<Cancelled>, StoreError> {
        self.cancel_here(id).await
    }

    async fn retry(&self, id: AsyncId) -> Result<Option<Retried>, Refused> {
        Queue::retry(self, id).await
    }

    async fn replay(&self, deployment: &DeploymentName, limit: usize) -> Result<u64, Refused> {
        Queue::replay(self, deployment, limit).await
    }

    async fn purge(&self, deployment: &DeploymentName) -> Result<u64, StoreError> {
        Queue::purge(self, deployment).await
    }

    fn figures(&self, deployment: &DeploymentName) -> Figures {
        Queue::figures(self, deployment)
    }
}
