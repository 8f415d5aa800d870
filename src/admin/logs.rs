//! `.../{deployment}/logs`: a deployment's newest lines, and those that come, as JSON lines or as text.
//!
//! ```text
//! control: may they? ─▶ its ring ──▶ the newest ──(follow)──▶ as they come, each batch at once
//!                        └ forgotten, the deployment deleted: its history
//! ```
//!
//! An empty line every 15 s keeps proxies from taking what is followed for dead. It ends with the
//! deployment, the listener, the caller's right to read, and whenever the client goes.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, stream};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    call::{Call, OfDeployment},
    guard,
    moment::{instant_ms, span_ms},
    problem::Problem,
    shape::LogLine,
};
use crate::{
    base::{clock::unix_ms, name::DeploymentName},
    control::{self, Events, Page},
    logs::{Asked, Follower, Level, Line},
};

/// Between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Lines, when nothing is said.
const LIMIT_DEFAULT: usize = 1_000;
/// Lines at most; what comes behind them when they are followed is not counted.
const LIMIT_MAX: usize = 10_000;
/// Entries of a history that are shown in place of lines that were forgotten.
const HISTORY_MAX: usize = 1_000;

/// What can be said about which lines.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct LogParams {
    /// Of this moment or later: RFC 3339, or how long ago: `90s`, `10m`, `2h`, `7d`.
    #[param(
        example = "10m",
        pattern = r"^([0-9]{1,9}[smhd]|(19[89][0-9]|[2-8][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))$"
    )]
    since: Option<String>,
    /// At least this serious.
    #[param(inline)]
    level: Option<LevelWord>,
    /// Whether those that come are sent, too, as they come.
    #[param(default = false)]
    follow: Option<bool>,
    /// So many of the newest.
    #[param(minimum = 0, maximum = 10_000, default = 1_000)]
    limit: Option<u32>,
}

/// How serious a line is at least.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only the document is made from it")]
enum LevelWord {
    /// All lines.
    Info,
    /// What people should know, and what failed.
    Warn,
    /// What failed.
    Error,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

/// Lines that are followed.
struct Following {
    plane: Shared,
    headers: HeaderMap,
    name: DeploymentName,
    form: Form,
    /// Those that were there already.
    first: Option<Bytes>,
    /// None when there will be no others.
    follower: Option<Follower>,
    /// Wakes when a token is revoked, or the deployment deleted.
    events: Events,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Shows a deployment's log.
///
/// Its newest requests and what happened to it, oldest first, one JSON object a line; as text when
/// `Accept` names `text/plain` first. Lines are in memory only: what a restart forgot is in the
/// history. Of a deleted deployment they stay for a while, then its history stands in their place.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/logs",
    tag = "logs", operation_id = "logs_read", params(LogParams),
    responses((status = 200,
        content((LogLine = "application/x-ndjson"), (String = "text/plain")))))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Result<Response, Problem> {
    let levels = [Level::Info, Level::Warn, Level::Error].map(|level| (level.as_str(), level));
    let level = call.query.choice("level", &levels)?.unwrap_or_default();
    let limit = call.query.count("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let since_ms = match call.query.text("since") {
        None => 0,
        Some(text) => moment(&text, unix_ms()).ok_or_else(|| {
            Problem::invalid(
                "the query parameter \"since\" is a moment such as 2030-01-31T12:00:00Z, or how \
                 long ago, such as 90s, 10m, 2h or 7d",
            )
        })?,
    };
    let is_followed = call.query.flag("follow")?;
    call.plain()?;
    let asked = Asked {
        since_ms,
        level,
        limit,
    };
    let form = form(&call.headers);
    plane.control.readable(&call.caller, &name).await?;
    let logs = plane.control.logs();
    let is_there = plane.control.is_there(&name);
    if !is_there && !logs.has(&name) {
        let page = Page {
            after: None,
            limit: HISTORY_MAX,
        };
        let history = plane.control.history(&call.caller, &name, &page).await?;
        let lines = history.items.iter().rev();
        let mut lines: Vec<_> = lines.map(|(_, entry)| control::logs::line(entry)).collect();
        lines.retain(|line| line.level >= level && line.at_ms >= since_ms);
        let beyond = lines.len().saturating_sub(limit);
        lines.drain(..beyond);
        return Ok(answer(form, written(form, lines).into()));
    }
    if !is_followed {
        let lines = logs.read(&name, &asked);
        return Ok(answer(form, written(form, lines).into()));
    }
    // Before the lines, so that a deletion in between is seen.
    let events = plane.control.events(&call.caller, None);
    let (lines, follower) = logs.follow(&name, &asked);
    let following = Following {
        first: Some(written(form, lines).into()),
        follower: follower.filter(|_| is_there),
        headers: call.headers,
        plane,
        name,
        form,
        events,
    };
    let all = stream::unfold(following, |mut following| async move {
        let bytes = following.next().await?;
        Some((Ok::<_, Infallible>(bytes), following))
    });
    Ok(answer(form, Body::from_stream(all)))
}

// === impl Following ===

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Some(first);
        }
        // Also when events come all the time that are none of its lines.
        let mut alive = std::pin::pin!(tokio::time::sleep(KEEP_ALIVE));
        loop {
            let follower = self.follower.as_mut()?;
            tokio::select! {
                lines = follower.next() => {
                    let lines = lines?;
                    return self.may_go_on().then(|| written(self.form, lines).into());
                }
                event = self.events.next() => {
                    event?;
                    if !self.may_go_on() {
                        return None;
                    }
                    if !self.plane.control.is_there(&self.name) {
                        // What it left behind is the end.
                        let mut last = self.follower.take()?;
                        let rest = last.next().now_or_never().flatten();
                        return rest.map(|lines| written(self.form, lines).into());
                    }
                }
                () = self.plane.closed() => return None,
                () = &mut alive => return Some(Bytes::from_static(b"\n")),
            }
        }
    }

    fn may_go_on(&self) -> bool {
        guard::still_reads(&self.plane, &self.headers, &self.name)
    }
}

fn answer(form: Form, body: Body) -> Response {
    let kind = match form {
        Form::Json => "application/x-ndjson",
        Form::Text => "text/plain; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::VARY, "accept")];
    (headers, body).into_response()
}

fn written(form: Form, lines: Vec<Line>) -> String {
    let mut text = String::new();
    for line in lines.into_iter().map(LogLine::from) {
        // Writing to a string can't fail, and shapes can't fail to serialise.
        let _ = match form {
            Form::Text => writeln!(text, "{line}"),
            Form::Json => writeln!(text, "{}", serde_json::to_string(&line).unwrap_or_default()),
        };
    }
    text
}

/// What a client asks for first decides: no program sends quality values here to say anything subtler.
fn form(headers: &HeaderMap) -> Form {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next());
    match first.map(str::trim) {
        Some("text/plain" | "text/*") => Form::Text,
        _ => Form::Json,
    }
}

/// A moment, or how long ago it was: in milliseconds since 1970.
fn moment(text: &str, now_ms: u64) -> Option<u64> {
    match span_ms(text) {
        Some(back_ms) => Some(now_ms.saturating_sub(back_ms)),
        None => instant_ms(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_how_long_ago() {
        let now_ms = 1_767_268_800_000;
        for (text, expected) in [
            ("90s", Some(now_ms - 90_000)),
            ("10m", Some(now_ms - 600_000)),
            ("2h", Some(now_ms - 7_200_000)),
            ("7d", Some(now_ms - 604_800_000)),
            ("4000000000d", Some(0)),
            ("2026-01-01T12:00:00Z", Some(now_ms)),
            ("2026-01-01T13:00:00.5+01:00", Some(now_ms + 500)),
            ("", None),
            ("m", None),
            ("10", None),
            ("10 m", None),
            ("-10m", None),
            ("99999999999m", None),
            ("1969-01-01T00:00:00Z", None),
            ("2026-01-01", None),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text, now_ms), expected, "{text}");
        }
    }

    #[test]
    fn what_is_accepted_first_decides_the_form() {
        for (accept, expected) in [
            (None, Form::Json),
            (Some("*/*"), Form::Json),
            (Some("application/json"), Form::Json),
            (Some("application/x-ndjson, text/plain"), Form::Json),
            (Some("text/plain"), Form::Text),
            (Some("text/plain;q=0.9, */*"), Form::Text),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().expect("a value"));
            }
            assert_eq!(form(&headers), expected, "{accept:?}");
        }
    }
}
