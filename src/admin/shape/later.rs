//! Async requests, their queue and their webhooks, as shown. The document of a request is made in
//! `queue`, for clients and operators alike; a test holds it against [`AsyncRequest`].

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::queue::Figures;

/// An async request.
#[derive(ToSchema)]
pub struct AsyncRequest {
    /// Its id.
    #[schema(pattern = "^[0-9A-Za-z]{31,40}$")]
    pub id: String,
    /// The client's id of it, or the one that it was given.
    pub request_id: String,
    /// How it stands.
    pub status: AsyncStatus,
    /// The same for people, in the language that is asked for.
    pub status_text: String,
    /// The deployment, as `{project}/{deployment}`.
    #[schema(example = "demo/iris")]
    pub deployment: String,
    /// The version that it ran on; until then the one that was live when it was accepted.
    #[schema(example = "iris_v3", required)]
    pub version: Option<String>,
    /// The version that it runs on and no other.
    #[schema(nullable = false)]
    pub pinned_version: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: Time,
    /// When it ends unless it has ended before; once it has, when it is forgotten.
    pub expires_at: Time,
    /// When its next attempt is due.
    #[schema(nullable = false)]
    pub next_attempt_at: Option<Time>,
    /// When its last attempt began.
    #[schema(nullable = false)]
    pub started_at: Option<Time>,
    /// When it ended.
    #[schema(nullable = false)]
    pub ended_at: Option<Time>,
    /// The status of the model's answer.
    #[schema(nullable = false)]
    pub result_status: Option<u16>,
    /// Why it is an error.
    #[schema(nullable = false, example = "exhausted")]
    pub reason: Option<String>,
    /// The same for people.
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The dead letter that it repeats.
    #[schema(nullable = false)]
    pub retry_of: Option<String>,
    /// How the telling of its end stands.
    #[schema(nullable = false)]
    pub webhook: Option<Telling>,
    /// Where it is found.
    pub status_url: String,
    /// Where its answer is found.
    pub result_url: String,
    /// Where it is called off, with POST.
    pub cancel_url: String,
    /// The public id of the key that submitted it.
    pub key: String,
    /// The method that the model is called with.
    #[schema(example = "POST")]
    pub method: String,
    /// The path that was called, without its query.
    #[schema(example = "/predict/demo/iris")]
    pub path: String,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// Bytes of the model's answer; null when there is none.
    #[schema(required)]
    pub result_bytes: Option<u64>,
    /// Whether it failed for good and can be run again.
    pub dead_letter: bool,
}

/// How an async request stands. The last four are final.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AsyncStatus {
    /// It waits for its turn.
    Queued,
    /// An attempt is under way.
    Running,
    /// The model answered.
    Completed,
    /// It failed for good.
    Error,
    /// Somebody called it off.
    Cancelled,
    /// Its time was over before it had ended.
    Expired,
}

/// How the telling of an end stands.
#[derive(ToSchema)]
pub struct Telling {
    /// `pending`, `delivered` or `failed`.
    #[schema(example = "delivered")]
    pub state: String,
    /// Tries so far.
    pub attempts: u32,
}

/// How the telling of an end went.
#[derive(ToSchema)]
pub struct Delivery {
    /// Where it is told.
    #[schema(required)]
    pub url: Option<String>,
    /// `pending`, `delivered`, `failed`, or `none` when nobody is told.
    #[schema(example = "delivered")]
    pub state: String,
    /// Each try, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// When the next try is due.
    #[schema(required)]
    pub next_attempt_at: Option<Time>,
}

/// A try to tell something.
#[derive(Serialize, ToSchema)]
pub struct DeliveryAttempt {
    /// When.
    pub at: Time,
    /// What was answered, if anything was.
    #[schema(required)]
    pub status: Option<u16>,
    /// What went wrong.
    #[schema(required)]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// How a deployment's queue stands.
#[derive(Serialize, ToSchema)]
pub struct AsyncQueue {
    /// Whether no more requests are begun.
    pub paused: bool,
    /// Requests that wait, those that wait for a further attempt included.
    pub queued: u64,
    /// Requests under way.
    pub running: u64,
    /// Of those that wait, the ones whose next attempt is not due yet.
    pub waiting_retry: u64,
    /// How long ago the oldest that waits was accepted, in milliseconds.
    pub oldest_queued_age_ms: Option<u64>,
}

/// What became of dead letters that were to run again.
#[derive(Serialize, ToSchema)]
pub struct Replayed {
    /// How many do.
    pub replayed: u64,
}

/// What became of dead letters that were to be removed.
#[derive(Serialize, ToSchema)]
pub struct Purged {
    /// How many were.
    pub purged: u64,
}

/// Who is told of the ends of a deployment's async requests.
#[derive(Serialize, ToSchema)]
pub struct Webhook {
    /// Where those are told that do not say so themselves; null for nowhere.
    pub url: Option<String>,
    /// What all that is told of this deployment is signed with; null for those who may not see it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw2dFYcjVVyWA=")]
    pub secret: Option<String>,
}

// === impl AsyncQueue ===

impl AsyncQueue {
    /// Shapes figures as of a moment.
    pub fn new(paused: bool, figures: &Figures, now_ms: u64) -> Self {
        let age = |oldest_at_ms| now_ms.saturating_sub(oldest_at_ms);
        Self {
            paused,
            queued: figures.queued,
            running: figures.running,
            waiting_retry: figures.waiting_retry,
            oldest_queued_age_ms: figures.oldest_at_ms.map(age),
        }
    }
}
