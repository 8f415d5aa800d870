//! `weir events`: what happens at a gateway, a line each, as it happens.

use std::{
    io::BufRead,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    failure::{Code, Failure},
    remote::{Call, Session, text},
    task::title,
};

/// Before a stream that ended is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// For how long a gateway that was there may be gone, as it is while it is restarted.
const GONE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  weir events
  weir events -o json | jq 'select(.event == \"history\") | .data'
It goes on until it is interrupted. A stream that breaks off is taken up again where it was.")]
pub(super) struct EventsArgs {
    /// Begin behind this event rather than with the next one
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// End after so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<u64>,
}

/// An event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

/// Shows events for as long as anybody reads them.
///
/// # Errors
/// As calls of the API; when the gateway is gone for good.
pub(super) fn run(arguments: &EventsArgs, session: &Session) -> Result<(), Failure> {
    let mut last = arguments.after.map(|after| after.to_string());
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut seen_at = None::<Instant>;
    while left > 0 {
        let mut call = Call::get("/api/v1/events");
        if let Some(last) = &last {
            call = call.header("last-event-id", last);
        }
        let stream = match session.client.follow(call) {
            Ok(stream) => stream,
            Err(failure)
                if failure.code() == Some(Code::Unreachable)
                    && seen_at.is_some_and(|at| at.elapsed() < GONE_MAX) =>
            {
                thread::sleep(PAUSE);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let read = read(stream, |event| {
            show(&event, session)?;
            last = Some(event.id);
            left -= 1;
            Ok(left > 0)
        });
        seen_at = Some(Instant::now());
        match read {
            Ok(()) if left == 0 => break,
            // Told below, or taken up again.
            Ok(()) => session.out.note("the stream ended; taking it up again"),
            Err(failure) if failure.code() == Some(Code::Unreachable) => {
                session.out.note(failure.words());
            }
            Err(failure) => return Err(failure),
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Reads events until `take` wants no more, or the stream ends.
fn read(
    stream: impl BufRead,
    mut take: impl FnMut(Event) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut event = Event {
        id: String::new(),
        kind: String::new(),
        data: Value::Null,
    };
    for line in stream.lines() {
        let line = line.map_err(|error| {
            let words = format!("the stream broke off: {error}; taking it up again");
            Failure::with(Code::Unreachable, words)
        })?;
        // https://html.spec.whatwg.org/multipage/server-sent-events.html; the gateway's data is one
        // line, and comments are signs of life.
        match line.split_once(':') {
            None if line.is_empty() && !event.kind.is_empty() => {
                if !take(event.clone())? {
                    return Ok(());
                }
                event.kind.clear();
            }
            Some(("id", id)) => id.trim().clone_into(&mut event.id),
            Some(("event", kind)) => kind.trim().clone_into(&mut event.kind),
            Some(("data", data)) => event.data = serde_json::from_str(data.trim())?,
            _ => {}
        }
    }
    Ok(())
}

fn show(event: &Event, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    if out.is_json() {
        let Event { id, kind, data } = event;
        return out.line(&json!({"id": id, "event": kind, "data": data}).to_string());
    }
    out.sentence(&line(event))
}

/// When it happened, to the second; a task shows its latest time.
fn at(data: &Value) -> String {
    let times = ["at", "ended_at", "started_at", "created_at"];
    let at = times.into_iter().find_map(|member| data[member].as_str());
    let at = at.and_then(|at| at.parse::<Timestamp>().ok());
    at.map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// What happened, in a line.
fn line(Event { id, kind, data }: &Event) -> String {
    let or_dash = |member| match text(data, member).as_str() {
        "" => "-".to_owned(),
        text => text.to_owned(),
    };
    let behind = |text: String| match text.as_str() {
        "" => String::new(),
        text => format!("  ({text})"),
    };
    let told = match kind.as_str() {
        "task" => format!(
            "{}  {}{}",
            title(data),
            [text(data, "status"), text(data, "phase")]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
            behind(text(data, "reason"))
        ),
        "history" => format!(
            "{} {}  {}  by {}{}",
            or_dash("deployment"),
            or_dash("action"),
            or_dash("status"),
            or_dash("by"),
            behind(text(data, "reason"))
        ),
        "deed" => format!(
            "{} {} {}  by {}{}",
            or_dash("kind"),
            or_dash("name"),
            or_dash("action"),
            or_dash("by"),
            behind(text(data, "reason"))
        ),
        _ => match text(data, "words").as_str() {
            "" => data.to_string(),
            words => words.to_owned(),
        },
    };
    format!("{id}  {}  {kind:<7}  {told}", at(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\
: a sign of life

id: 7
event: task
data: {\"kind\":\"deploy\",\"deployment\":\"demo/iris\",\"version\":3,\"status\":\"done\",\"phase\":null,\"created_at\":\"2026-11-20T20:48:54Z\",\"ended_at\":\"2026-11-20T20:48:57.9Z\"}

id: 8
event: history
data: {\"deployment\":\"demo/iris\",\"action\":\"key-revoked\",\"status\":\"success\",\"by\":\"a\\u001bb\"}

id: 9
event: deed
data: {\"kind\":\"project\",\"name\":\"demo\",\"action\":\"create\",\"by\":\"ann\",\"reason\":\"new\",\"at\":\"2026-11-20T20:48:54.593Z\"}

:
id: 10
event: lost
data: {\"words\":\"events are missing here\"}

";

    fn lines(stream: &str, limit: usize) -> Vec<String> {
        let mut lines = Vec::new();
        read(stream.as_bytes(), |event| {
            lines.push(line(&event));
            Ok(lines.len() < limit)
        })
        .expect("read");
        lines
    }

    #[test]
    fn each_event_is_a_line() {
        assert_eq!(
            lines(STREAM, 9),
            [
                "7  2026-11-20T20:48:57Z  task     deploy of iris_v3  done",
                "8  -  history  demo/iris key-revoked  success  by a\u{1b}b",
                "9  2026-11-20T20:48:54Z  deed     project demo create  by ann  (new)",
                "10  -  lost     events are missing here",
            ]
        );
    }

    #[test]
    fn it_ends_when_enough_is_shown_and_shows_no_half_event() {
        assert_eq!(lines(STREAM, 2).len(), 2);
        let half = STREAM.split_once("id: 8").expect("two").0.to_owned() + "id: 8\nevent: task\n";
        assert_eq!(lines(&half, 9).len(), 1);
    }
}
