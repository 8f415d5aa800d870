//! `weir deployment versions`.

use std::io::{self, IsTerminal};

use serde_json::Value;

use super::{
    Target,
    history::{limit, took},
};
use crate::cli::{
    failure::Failure,
    number::Number,
    remote::{Session, path_of},
    terminal::{Table, ago, pairs, safe},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VersionsArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Show this one alone, as 2 or iris_v2
    #[arg(value_name = "VERSION")]
    number: Option<Number>,
    /// The same, beside --project and --endpoint
    #[arg(
        long = "number",
        value_name = "VERSION",
        conflicts_with = "number",
        hide_short_help = true
    )]
    number_too: Option<Number>,
    /// At most so many [default: 50 in a table, all in JSON]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

/// Lists versions, newest first, or shows one.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(arguments: &VersionsArgs, session: &Session) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    let out = &session.out;
    if let Some(Number(number)) = arguments.number.or(arguments.number_too) {
        let path = path_of(&name, &format!("/versions/{number}"));
        let version = session.client.get(&path)?;
        return match out.is_json() {
            true => out.json(&version),
            false => show(&version, session),
        };
    }
    let path = path_of(&name, "/versions");
    let limit = limit(arguments.limit, session);
    let versions = session.client.list_up_to(&path, limit)?;
    match out.is_json() {
        true => out.items(&versions),
        false => out.table(&table(&versions)),
    }
}

fn table(versions: &[Value]) -> Table {
    let heads = [
        "VERSION", "STATUS", "MODEL", "BACKENDS", "CREATED", "BY", "TOOK", "REASON",
    ];
    let mut table = Table::new(&heads).right(3).right(6);
    for version in versions {
        let text = |member: &str| version[member].as_str().unwrap_or("").to_owned();
        let spec = &version["spec"];
        let backends = spec["main"]["backends"].as_array().map_or(0, Vec::len);
        table.row(vec![
            text("name"),
            text("status"),
            spec["model"].as_str().unwrap_or("").to_owned(),
            backends.to_string(),
            ago(&version["created_at"]),
            text("created_by"),
            took(&version["deploy_ms"]),
            text("reason"),
        ]);
    }
    table
}

fn show(version: &Value, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    let text = |member: &str| version[member].as_str().unwrap_or("").to_owned();
    let time = |member: &str| match &version[member] {
        Value::Null => String::new(),
        time => ago(time),
    };
    let known = [
        ("version", text("name")),
        ("status", text("status")),
        ("reason", text("reason")),
        ("created", time("created_at")),
        ("by", text("created_by")),
        ("deploying took", took(&version["deploy_ms"])),
        ("live from", time("live_from")),
        ("live until", time("live_until")),
        ("retired by", text("retired_by")),
        ("challenger", stopped(version)),
        ("promoted it", time("auto_promoted_at")),
    ];
    // Comments, so that all of it is a file that `deploy --file` reads.
    let lines = pairs(&known, out.style);
    let mut lines: Vec<String> = lines.iter().map(|line| format!("# {line}")).collect();
    lines.push(String::new());
    let spec = toml(&version["spec"])?;
    lines.push(match io::stdout().is_terminal() {
        true => {
            let lines: Vec<_> = spec.lines().map(safe).collect();
            lines.join("\n")
        }
        false => spec.trim_end().to_owned(),
    });
    out.line(&lines.join("\n"))
}

/// That its challenger is stopped, since when and why.
fn stopped(version: &Value) -> String {
    let stopped = &version["challenger_stopped"];
    match &stopped["at"] {
        Value::Null => String::new(),
        at => {
            let reason = stopped["reason"].as_str().unwrap_or("");
            format!("stopped {}: {reason}", ago(at))
        }
    }
}

/// A version as people write it: TOML has no word for null, and needs none.
fn toml(spec: &Value) -> Result<String, Failure> {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Array(_) | Value::Bool(_) | Value::Number(_) => false,
        };
        // What says nothing would only stand in the way of what does.
        members.retain(|_, value| !is_empty(value));
    }
    Ok(::toml::to_string_pretty(&spec)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::terminal::Style, spec::VersionSpec};

    #[test]
    fn the_table() {
        let spec = json!({"model": "iris:1.3", "main": {"backends": [{}, {}]}});
        let versions = [
            json!({"version": 2, "name": "iris_v2", "status": "failed", "spec": spec,
                "created_by": "ann", "deploy_ms": 3_400, "reason": "no answer"}),
            json!({"version": 1, "name": "iris_v1", "status": "success", "created_by": "ann"}),
        ];
        assert_eq!(
            table(&versions).lines(Style::new(false)),
            [
                "VERSION  STATUS   MODEL     BACKENDS  CREATED  BY    TOOK  REASON",
                "iris_v2  failed   iris:1.3         2  -        ann  3.4 s  no answer",
                "iris_v1  success  -                0  -        ann      -  -",
            ]
        );
    }

    #[test]
    fn a_version_is_shown_as_a_file_that_says_the_same() {
        let spec = json!({"model": "iris:1.3", "labels": {"a": "b"}, "parameters": {"t": 0.5},
            "main": {"backends": [{"url": "http://a", "weight": 3}], "health_path": "/ok"},
            "challenger": {"backends": [{"url": "http://b"}], "sample": 0.5,
                "compare": {"kind": "json", "ignore": ["/id"]}, "budget": {"adaptive": true}},
            "auto_promote": true});
        let spec = VersionSpec::from_json(&spec).expect("a version");
        let shown = serde_json::to_value(&spec).expect("JSON");
        let text = toml(&shown).expect("TOML");
        assert_eq!(VersionSpec::from_toml(&text), Ok(spec), "{text}");
        assert!(!text.contains("hardware"), "{text}");
    }
}
