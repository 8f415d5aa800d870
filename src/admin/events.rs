//! `/api/v1/events`: what happens, as it comes in force, as server-sent events.
//!
//! ```text
//! id: 117        its number; `Last-Event-ID` resumes behind it
//! event: task    `task`, `history`, or `lost` when some could not be kept
//! data: {...}    a task, or an entry of a deployment's history
//! ```
//!
//! A comment every 15 s keeps proxies from taking the stream for dead. The stream ends with the
//! listener, with the caller's token, and whenever the client goes.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    call::Call,
    guard,
    problem::Problem,
    shape::{Deed, Happening, Task},
};
use crate::{
    base::id::Revision,
    control::{
        self, EventKind, Events,
        record::{self, Stored},
    },
};

/// Between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(follow))
}

/// Follows what happens, as server-sent events.
///
/// Each has an id, a kind (`task`, `history`, `deed` or `lost`) and JSON. The stream has no end.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "events_follow",
    params(("Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,20}$",
        description = "Where to go on: the id of the last event that was seen")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn follow(State(plane): State<Shared>, mut call: Call) -> Result<Response, Problem> {
    call.plain()?;
    let after = match call.headers.get("last-event-id") {
        None => None,
        Some(value) => Some(number(value.as_bytes()).ok_or_else(|| {
            Problem::invalid("Last-Event-ID is the id of an event, a whole number")
        })?),
    };
    let events = plane.control.events(&call.caller, after);
    let headers = call.headers;
    let all = stream::unfold((plane, events, headers), |mut following| async move {
        let (plane, events, headers) = &mut following;
        let event = next(plane, events).await?;
        // The token was good when the stream began; it may have been revoked since.
        guard::caller(plane, headers)?;
        Some((Ok::<_, Infallible>(shape(event)), following))
    });
    Ok(Sse::new(all)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

async fn next(plane: &Shared, events: &mut Events) -> Option<control::Event> {
    tokio::select! {
        event = events.next() => event,
        () = plane.closed() => None,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

fn shape(event: control::Event) -> Event {
    let data = match event.kind {
        EventKind::History => happening(event.id, &event.data),
        EventKind::Task => task(&event.data),
        EventKind::Deed => deed(event.id, &event.data),
        EventKind::Lost => None,
    };
    Event::default()
        .id(event.id.to_string())
        .event(event.kind.as_str())
        .data(data.unwrap_or(event.data).to_string())
}

/// Records are told as they are kept; people see them as everywhere else.
fn happening(id: u64, data: &Value) -> Option<Value> {
    let entry: record::Happening = serde_json::from_value(data.clone()).ok()?;
    serde_json::to_value(Happening::new(id, entry)).ok()
}

fn deed(id: u64, data: &Value) -> Option<Value> {
    let entry: record::Deed = serde_json::from_value(data.clone()).ok()?;
    serde_json::to_value(Deed::new(id, entry)).ok()
}

fn task(data: &Value) -> Option<Value> {
    let value: record::Task = serde_json::from_value(data.clone()).ok()?;
    let revision = Revision(0);
    let mut shown = Task::from(&Stored { revision, value });
    // An event does not know its commit; the task itself shows it.
    shown.config_epoch = None;
    serde_json::to_value(shown).ok()
}
