//! Async requests, as operators see them.
//!
//! ```text
//! .../{deployment}/async                  list         what there is, and what was
//!                 /async/queue, pause ...  queue        how the queue stands, dead letters
//!                 /async/{request}         one          shown, called off, run again
//!                 /async/{request}/result  result       the model's answer
//!                 /webhook                 webhook      who is told of ends, and the secret
//! ```
//!
//! Whoever may read a deployment reads its requests, also when it is deleted; bodies and answers are
//! its clients' and are for those who work with it. What is done to a request is done whether or not
//! the caller waits for the answer, since the history has to say so.

mod list;
mod one;
mod parts;
mod queue;
mod result;
#[cfg(test)]
mod tests;
mod webhook;

use std::{future::Future, sync::Arc};

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use utoipa_axum::router::OpenApiRouter;

pub use parts::{AsyncParts, Deliveries, Requests, WebhookCheck, WebhookSecret};

use super::{Plane, Shared, deployments::address, problem::Problem};
use crate::{
    base::{async_id::AsyncId, id::Epoch, name::DeploymentName, task},
    control::{QueueDeed, access::Caller, error::ControlError, record::Action},
    queue::{Language, Refused, Request, document},
    store::{Kept, StoreError},
    wire::target::Operation,
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(list::routes())
        .merge(queue::routes())
        .merge(one::routes())
        .merge(result::routes())
        .merge(webhook::routes())
}

/// A deed that goes on when whoever asked for it does not wait.
struct Deed {
    plane: Shared,
    caller: Arc<Caller>,
    name: DeploymentName,
    noted: QueueDeed,
}

// === impl Plane ===

impl Plane {
    /// What there is of async requests.
    ///
    /// # Errors
    /// 503 when this gateway takes none.
    pub(super) fn later(&self) -> Result<&AsyncParts, Problem> {
        self.later.as_ref().ok_or_else(|| {
            let words = "this gateway takes no async requests";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "async_unavailable", words)
        })
    }

    /// A deployment's request. Who asks may read the deployment.
    ///
    /// # Errors
    /// 404; the same for what is unknown and for what is another deployment's.
    async fn async_request(&self, name: &DeploymentName, id: AsyncId) -> Result<Request, Problem> {
        let found = self.later()?.requests.request(id).await.map_err(stored)?;
        let own = found.filter(|request| request.job.lane.deployment == name.as_str());
        own.ok_or_else(|| unknown(&id.to_string()))
    }
}

// === impl Deed ===

impl Deed {
    fn new(plane: &Shared, caller: &Arc<Caller>, name: &DeploymentName, action: Action) -> Self {
        Self {
            plane: Shared::clone(plane),
            caller: Arc::clone(caller),
            name: name.clone(),
            noted: QueueDeed {
                action,
                request: None,
                count: None,
                reason: None,
                failure: None,
            },
        }
    }

    /// Stands in the history as noted by now.
    async fn note(self) -> Epoch {
        let control = &self.plane.control;
        let noted = control.note_queue_deed(&self.caller, &self.name, self.noted);
        noted.await
    }
}

/// Does something to its end, whoever waits for it.
///
/// # Errors
/// Its own; 500 when it panicked.
///
/// # Cancellation
/// None.
async fn to_the_end<T: Send + 'static>(
    deed: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let (tell, told) = oneshot::channel();
    task::spawn("async deed", async move {
        // Whoever asked may be gone.
        let _ = tell.send(deed.await);
    });
    let cut_off = || Problem::internal("what was asked of the queue was cut off");
    told.await.unwrap_or_else(|_| Err(cut_off()))
}

/// A request as operators see it: its addresses are those of this plane.
fn shown(request: &Request, name: &DeploymentName, headers: &HeaderMap) -> Map<String, Value> {
    let (job, accepted) = (&request.job, &request.accepted);
    let mut document = document(request, language(headers), &address(name)).to_map();
    let operation = match accepted.operation {
        Operation::Predict => "predict",
        Operation::Stream => "stream",
    };
    // Without the query: a secret may have slipped into it.
    let path = match &*accepted.tail {
        "" => format!("/{operation}/{name}"),
        tail => format!("/{operation}/{name}/{tail}"),
    };
    let bytes = |kept: Kept| match kept {
        Kept::Nothing => Value::Null,
        kept => json!(kept.bytes()),
    };
    for (member, value) in [
        ("key", json!(accepted.key.as_str())),
        ("method", json!(accepted.method)),
        ("path", json!(path)),
        ("body_bytes", json!(accepted.body_bytes)),
        ("result_bytes", bytes(job.answer)),
        ("dead_letter", json!(job.dead)),
    ] {
        document.insert(member.to_owned(), value);
    }
    document
}

/// Where a request is found on this plane.
fn address_of(name: &DeploymentName, id: AsyncId) -> String {
    format!("{}/async/{id}", address(name))
}

fn language(headers: &HeaderMap) -> Language {
    let asked = headers.get(header::ACCEPT_LANGUAGE);
    let asked = asked.and_then(|value| value.to_str().ok());
    asked.map_or_else(Language::default, Language::accepted)
}

/// Of what is no id, so much is repeated.
const ID_CHARS_SHOWN: usize = 64;

/// There is no request of this id.
pub(super) fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(ID_CHARS_SHOWN).collect();
    let words = format!("the deployment has no async request {id:?}, or it is kept no longer");
    Problem::unknown("async_unknown", words)
}

fn stored(error: StoreError) -> Problem {
    ControlError::from(error).into()
}

fn refused(refused: Refused) -> Problem {
    let words = refused.to_string();
    let unavailable = |code| Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, words.clone());
    match refused {
        Refused::Full => unavailable("queue_full"),
        Refused::Disk => unavailable("queue_disk_full"),
        Refused::ShareSpent => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue_share_spent", words)
        }
        Refused::Contradicts => Problem::internal(words),
        Refused::Store(error) => stored(error),
    }
}
