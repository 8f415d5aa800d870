//! `.../{deployment}/async`: a deployment's requests, newest first.
//!
//! The store knows deployment, key, status and dead letters. The client's own id of a request, and
//! the id of a key that is none of the deployment's, its project's or the instance's, are looked for
//! among so many requests and no more; such a part of the list may be short and still have a next.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{shown, stored};
use crate::{
    admin::{
        Shared,
        answer::{Answer, Answered},
        call::{Call, OfDeployment},
        problem::Problem,
        query::ListParams,
        shape::{AsyncRequest, AsyncStatus, List},
    },
    base::{async_id::Position, id::KeyId, name::DeploymentName},
    control::Page,
    queue::Request,
    store::{JobFilter, JobStatus},
};

/// Requests that are looked at in one step, when not every one of them is shown.
const STEP: usize = 1_000;

/// Steps of one call.
const STEPS_MAX: usize = 10;

/// A key's public id, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// Filters of the list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct FilterParams {
    /// Only those that stand so.
    #[param(inline)]
    status: Option<AsyncStatus>,
    /// Only those that this key submitted: its public id.
    #[param(pattern = "^[0-9A-Za-z_-]{1,64}$")]
    key: Option<String>,
    /// Only those with this `X-Request-Id`.
    #[param(min_length = 1, max_length = 512)]
    request_id: Option<String>,
    /// Only dead letters: those that failed for good and can be run again.
    #[param(default = false)]
    dead: Option<bool>,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists a deployment's async requests, newest first; also those of a deleted one.
///
/// With `request_id` or `key`, a page may be short, even empty, and still have a `next`.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/async",
    tag = "async", operation_id = "async_list", params(FilterParams, ListParams),
    responses((status = 200, body = List<AsyncRequest>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let statuses = JobStatus::ALL.map(|status| (status.as_str(), status));
    let status = call.query.choice("status", &statuses)?;
    let key = key(call.query.text("key"))?;
    let request_id = call.query.short_text("request_id")?;
    let dead = call.query.flag("dead")?;
    let page = call.page()?;
    let before = position(&page)?;
    plane.control.readable(&call.caller, &name).await?;
    let owner = match &key {
        Some(id) => plane.control.key_digest(&name, id).await?,
        None => None,
    };
    let filter = JobFilter {
        owner,
        deployment: Some(name.to_string()),
        status,
        dead,
    };
    let is_wanted = |request: &Request| {
        let accepted = &request.accepted;
        key.as_ref().is_none_or(|key| accepted.key == *key)
            && request_id
                .as_ref()
                .is_none_or(|id| accepted.request_id == *id)
    };
    let step = match request_id.is_some() || key.is_some() && filter.owner.is_none() {
        true => STEP,
        false => page.limit,
    };
    let (found, next) = gather(&plane, &filter, before, page.limit, step, is_wanted).await?;
    Ok(Answer::ok(&List {
        items: found
            .iter()
            .map(|request| shown(request, &name, &call.headers))
            .collect(),
        next: next.map(|position| Page::cursor(&position.as_u64().to_string())),
    }))
}

/// Gathers up to `limit` requests, and says where to go on.
async fn gather(
    plane: &Shared,
    filter: &JobFilter,
    mut before: Option<Position>,
    limit: usize,
    step: usize,
    is_wanted: impl Fn(&Request) -> bool,
) -> Result<(Vec<Request>, Option<Position>), Problem> {
    let requests = &plane.later()?.requests;
    let mut found: Vec<Request> = Vec::new();
    for _ in 0..STEPS_MAX {
        let part = requests.list(filter, before, step).await.map_err(stored)?;
        let mut rest = part.requests.into_iter();
        while let Some(request) = rest.next() {
            if !is_wanted(&request) {
                continue;
            }
            let position = request.id().position();
            found.push(request);
            if found.len() == limit {
                let next = match rest.len() {
                    0 => part.next,
                    _ => Some(position),
                };
                return Ok((found, next));
            }
        }
        before = part.next;
        if before.is_none() {
            break;
        }
    }
    Ok((found, before))
}

/// How many dead letters a deployment has, up to so many.
pub(super) async fn dead_letters(
    plane: &Shared,
    name: &DeploymentName,
    limit: usize,
) -> Result<u64, Problem> {
    let requests = &plane.later()?.requests;
    let filter = JobFilter {
        deployment: Some(name.to_string()),
        dead: true,
        ..JobFilter::default()
    };
    let (mut count, mut before) = (0, None);
    loop {
        let part = requests.list(&filter, before, STEP).await.map_err(stored)?;
        count += part.requests.len();
        before = part.next;
        if before.is_none() || count >= limit {
            return Ok(count.min(limit) as u64);
        }
    }
}

fn position(page: &Page) -> Result<Option<Position>, Problem> {
    let Some(last) = page.last()? else {
        return Ok(None);
    };
    let number = last.parse().ok();
    match number.and_then(Position::from_u64) {
        Some(position) => Ok(Some(position)),
        None => Err(Page::bad_cursor().into()),
    }
}

fn key(text: Option<String>) -> Result<Option<KeyId>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    match (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(Some(KeyId::new(&text))),
        false => Err(Problem::invalid(
            "the query parameter \"key\" is a key's public id, as its list shows it",
        )),
    }
}
