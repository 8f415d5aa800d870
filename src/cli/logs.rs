//! `weir deployment logs`: request lines and life-cycle lines, as they come.

use std::{
    io::BufRead,
    str, thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    failure::{Code, Failure},
    remote::{Call, Session, escaped, path_of},
    terminal::Style,
};
use crate::base::name::DeploymentName;

#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Go on showing new lines, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only lines since then: 10m, 2h, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines that are at least so grave
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// At most so many of the newest lines
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<usize>,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Level {
    /// Everything.
    Info,
    /// What a client did wrong, and worse.
    Warn,
    /// What went wrong here or at a backend.
    Error,
}

/// Between two tries to follow again.
const PAUSE: Duration = Duration::from_millis(500);

/// A gateway that is gone for longer than that is not waited for any more.
const GONE_MAX: Duration = Duration::from_secs(60);

/// What has been shown: where to go on when the gateway was gone meanwhile.
#[derive(Debug, Default)]
struct Shown {
    /// The time of the newest line.
    at: Option<String>,
    /// The lines of just that time.
    lines: Vec<Vec<u8>>,
    any: bool,
}

/// Shows the lines: as text for people, as JSON lines for programs. Followed, they are taken up again
/// when the gateway comes back, and end with the deployment.
///
/// # Errors
/// As calls of the API; when the gateway is gone for too long while lines are followed.
pub(super) fn run(
    name: &DeploymentName,
    arguments: &LogsArgs,
    session: &Session,
) -> Result<(), Failure> {
    let mut shown = Shown::default();
    let mut gone_since = None;
    loop {
        let failure = match stream(name, arguments, &mut shown, &mut gone_since, session) {
            Ok(()) if !arguments.follow => break,
            Ok(()) if has_left(name, session) => return Ok(()),
            Ok(()) => {
                session
                    .out
                    .note("the gateway ended the lines; taking them up again");
                None
            }
            Err(failure) => Some(failure),
        };
        let gone_since = *gone_since.get_or_insert_with(Instant::now);
        if let Some(failure) = failure {
            let may_come_back = failure.code() == Some(Code::Unreachable) && shown.any;
            if !arguments.follow || !may_come_back || gone_since.elapsed() > GONE_MAX {
                return Err(failure.hint("--since shows what came meanwhile"));
            }
        }
        thread::sleep(PAUSE);
    }
    if !shown.any {
        let words = "no lines: they are kept in memory, from the gateway's start on; `weir deployment history` goes back further";
        session.out.note(words);
    }
    Ok(())
}

/// Whether there is nothing to be followed any more.
fn has_left(name: &DeploymentName, session: &Session) -> bool {
    match session.client.get(&path_of(name, "")) {
        Ok(deployment) => deployment["state"] == "deleted",
        Err(failure) => failure.code() != Some(Code::Unreachable),
    }
}

fn stream(
    name: &DeploymentName,
    arguments: &LogsArgs,
    shown: &mut Shown,
    gone_since: &mut Option<Instant>,
    session: &Session,
) -> Result<(), Failure> {
    let out = &session.out;
    let accept = match out.is_json() {
        true => "application/x-ndjson",
        false => "text/plain",
    };
    let goes_on = shown.at.is_some();
    let query = query(arguments, shown.at.as_deref());
    let call = Call::get(&path_of(name, &format!("/logs{query}"))).header("accept", accept);
    let mut lines = session.client.follow(call)?;
    // From here on there may be lines, also when there are none yet.
    shown.any |= arguments.follow;
    *gone_since = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            let words = format_args!("the lines of {name} broke off: {error}");
            Failure::with(Code::Unreachable, words)
        })?;
        match (read, line.as_slice()) {
            (0, _) => return Ok(()),
            // A sign of life.
            (_, b"\n" | b"\r\n") => {}
            (_, bytes) if !shown.is_new(bytes, out.is_json()) && goes_on => {}
            (_, bytes) if out.is_json() || !out.style.is_coloured() => out.bytes(bytes)?,
            (_, bytes) => {
                let text = String::from_utf8_lossy(bytes);
                out.line(&painted(text.trim_end(), out.style))?;
            }
        }
    }
}

// === impl Shown ===

impl Shown {
    /// Notes a line; whether it has not been shown yet.
    fn is_new(&mut self, line: &[u8], is_json: bool) -> bool {
        let at = match is_json {
            true => serde_json::from_slice::<Value>(line)
                .ok()
                .and_then(|line| Some(line["at"].as_str()?.to_owned())),
            false => {
                let time = line.split(|&byte| byte == b' ').next();
                time.and_then(|time| Some(str::from_utf8(time).ok()?.to_owned()))
            }
        };
        self.any = true;
        if at.is_none() || at != self.at {
            self.at = at;
            self.lines.clear();
        } else if self.lines.iter().any(|shown| shown == line) {
            return false;
        }
        self.lines.push(line.to_owned());
        true
    }
}

/// What is asked for; `after` is the time of the newest line that was shown already.
fn query(arguments: &LogsArgs, after: Option<&str>) -> String {
    let level = arguments.level.map(|level| match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    });
    let since = after.or(arguments.since.as_deref());
    let lines = arguments.lines.filter(|_| after.is_none());
    let parts = [
        arguments.follow.then(|| "follow=true".to_owned()),
        since.map(|since| format!("since={}", escaped(since))),
        level.map(|level| format!("level={level}")),
        lines.map(|lines| format!("limit={lines}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("?{}", parts.join("&")),
    }
}

/// A line with its level in colour. It holds no colour of others: the gateway escapes control characters.
fn painted(line: &str, style: Style) -> String {
    let Some((time, rest)) = line.split_once(' ') else {
        return line.to_owned();
    };
    let time = style.dim(time);
    match rest.split_once(' ') {
        Some(("ERROR", rest)) => format!("{time} {} {rest}", style.red("ERROR")),
        Some(("WARN", rest)) => format!("{time} {} {rest}", style.yellow("WARN")),
        _ => format!("{time} {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_in_the_query() {
        let mut arguments = LogsArgs {
            follow: false,
            since: None,
            level: None,
            lines: None,
        };
        assert_eq!(query(&arguments, None), "");
        arguments.follow = true;
        arguments.since = Some("2026-01-31T12:00:00+01:00".to_owned());
        arguments.level = Some(Level::Warn);
        arguments.lines = Some(5);
        assert_eq!(
            query(&arguments, None),
            "?follow=true&since=2026-01-31T12%3A00%3A00%2B01%3A00&level=warn&limit=5"
        );
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let mut shown = Shown::default();
        let lines: [&[u8]; 4] = [b"T1 a\n", b"T1 b\n", b"T1 a\n", b"T2 a\n"];
        let new = lines.map(|line| shown.is_new(line, false));
        assert_eq!(new, [true, true, false, true]);
        assert_eq!(shown.at.as_deref(), Some("T2"));
        assert!(shown.is_new(br#"{"at": "T2", "x": 1}"#, true));
        assert!(!shown.is_new(br#"{"at": "T2", "x": 1}"#, true));
        let arguments = LogsArgs {
            follow: true,
            since: Some("10m".to_owned()),
            level: None,
            lines: Some(5),
        };
        assert_eq!(query(&arguments, Some("T2")), "?follow=true&since=T2");
    }

    #[test]
    fn levels_are_painted() {
        let style = Style::new(true);
        assert_eq!(
            painted("T ERROR 503 POST", style),
            "\x1b[2mT\x1b[0m \x1b[31mERROR\x1b[0m 503 POST"
        );
        assert_eq!(painted("odd", style), "odd");
    }
}
