//! `weir deployment logs`: request lines and life-cycle lines, as they come.

use std::io::BufRead;

use super::{
    failure::Failure,
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

/// Shows the lines: as text for people, as JSON lines for programs.
///
/// # Errors
/// As calls of the API; when the gateway ends while lines are followed.
pub(super) fn run(
    name: &DeploymentName,
    arguments: &LogsArgs,
    session: &Session,
) -> Result<(), Failure> {
    let out = &session.out;
    let accept = match out.is_json() {
        true => "application/x-ndjson",
        false => "text/plain",
    };
    let path = path_of(name, &format!("/logs{}", query(arguments)));
    let call = Call::get(&path).header("accept", accept);
    let mut lines = session.client.follow(call)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Failure::new(format_args!("the lines of {name} broke off: {error}"))
                .hint("--since shows what came meanwhile")
        })?;
        match (read, line.as_slice()) {
            (0, _) => return Ok(()),
            // A sign of life.
            (_, b"\n" | b"\r\n") => {}
            (_, bytes) if out.is_json() || !out.style.is_coloured() => out.bytes(bytes)?,
            (_, bytes) => {
                let text = String::from_utf8_lossy(bytes);
                out.line(&painted(text.trim_end(), out.style))?;
            }
        }
    }
}

fn query(arguments: &LogsArgs) -> String {
    let level = arguments.level.map(|level| match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    });
    let parts = [
        arguments.follow.then(|| "follow=true".to_owned()),
        arguments
            .since
            .as_ref()
            .map(|since| format!("since={}", escaped(since))),
        level.map(|level| format!("level={level}")),
        arguments.lines.map(|lines| format!("limit={lines}")),
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
        assert_eq!(query(&arguments), "");
        arguments.follow = true;
        arguments.since = Some("2026-01-31T12:00:00+01:00".to_owned());
        arguments.level = Some(Level::Warn);
        arguments.lines = Some(5);
        assert_eq!(
            query(&arguments),
            "?follow=true&since=2026-01-31T12%3A00%3A00%2B01%3A00&level=warn&limit=5"
        );
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
