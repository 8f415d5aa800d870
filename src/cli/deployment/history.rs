//! `weir deployment history`.

use serde_json::Value;

use super::Target;
use crate::cli::{
    failure::Failure,
    limits::{limits_in_short, overload_in_short},
    remote::{Session, path_of},
    terminal::{Table, ago},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HistoryArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// At most so many [default: 50 in a table, all in JSON]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
}

/// Lists what happened to a deployment, newest first.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(arguments: &HistoryArgs, session: &Session) -> Result<(), Failure> {
    let path = path_of(&arguments.target.name()?, "/history");
    let limit = limit(arguments.limit, session);
    let entries = session.client.list_up_to(&path, limit)?;
    let out = &session.out;
    if out.is_json() {
        return out.items(&entries);
    }
    out.table(&table(&entries))
}

/// How many items are shown: people look at the newest, programs take what there is.
pub(super) fn limit(wanted: Option<usize>, session: &Session) -> usize {
    let usual = if session.out.is_json() {
        usize::MAX
    } else {
        50
    };
    wanted.unwrap_or(usual)
}

fn table(entries: &[Value]) -> Table {
    let heads = ["WHEN", "ACTION", "OBJECT", "STATUS", "BY", "TOOK", "REASON"];
    let mut table = Table::new(&heads).right(5);
    for entry in entries {
        let text = |member: &str| entry[member].as_str().unwrap_or("").to_owned();
        table.row(vec![
            ago(&entry["at"]),
            text("action"),
            object(entry),
            text("status"),
            text("by"),
            took(&entry["duration_ms"]),
            reason(entry),
        ]);
    }
    table
}

/// Why; of an edit without a reason, what it changed.
fn reason(entry: &Value) -> String {
    let changes = entry["changes"].as_array().into_iter().flatten();
    let changes: Vec<String> = changes.filter_map(changed).collect();
    match entry["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None => changes.join("; "),
    }
}

/// A field that was changed; of those that fit into a cell, from what to what.
fn changed(change: &Value) -> Option<String> {
    let field = change["field"].as_str()?;
    let short = |value: &Value| {
        let words = match field {
            "limits" => limits_in_short(value),
            "overload" => overload_in_short(value),
            "priority" | "access" | "keep_previous" => said(value),
            _ => return None,
        };
        Some(if words.is_empty() {
            "none".to_owned()
        } else {
            words
        })
    };
    Some(match (short(&change["from"]), short(&change["to"])) {
        (Some(from), Some(to)) => format!("{field}: {from} -> {to}"),
        _ => format!("changed {field}"),
    })
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// What it was done to: a key or an async request before the deployment itself.
fn object(entry: &Value) -> String {
    let part = entry["key"].as_str().or(entry["request"].as_str());
    match (part, entry["count"].as_u64()) {
        (Some(part), _) => part.to_owned(),
        (None, Some(count)) => format!("{count} requests"),
        (None, None) => entry["name"].as_str().unwrap_or("").to_owned(),
    }
}

/// A duration that is shown: `340 ms`, `3.4 s`.
pub(super) fn took(ms: &Value) -> String {
    match ms.as_u64() {
        None => String::new(),
        Some(ms) if ms < 1_000 => format!("{ms} ms"),
        Some(ms) => format!("{:.1} s", ms as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Style;

    #[test]
    fn the_table() {
        let entries = [
            json!({"at": null, "action": "key-revoke", "name": "iris", "key": "k1", "by": "ann",
                "status": "success", "reason": "lost\nlaptop", "duration_ms": null}),
            json!({"at": null, "action": "deploy", "name": "iris_v2", "by": "ann",
                "status": "failed", "reason": "no answer", "duration_ms": 3_420}),
            json!({"at": null, "action": "replay", "name": "iris", "by": "ann", "count": 12,
                "status": "success", "duration_ms": 20}),
            json!({"at": null, "action": "edit", "name": "iris", "by": "ann",
                "status": "success", "changes": [
                    {"field": "limits", "from": {}, "to": {"requests_per_second": 5.0}},
                    {"field": "overload", "from": {"concurrency_max": 2, "queue_max": 3,
                        "queue_timeout_ms": 100}, "to": null},
                    {"field": "tags", "from": ["a"], "to": ["b"]}]}),
            json!({"at": null, "action": "key-edit", "name": "iris", "by": "ann", "key": "k1",
                "status": "success",
                "changes": [{"field": "priority", "from": "default", "to": "bulk"}]}),
        ];
        assert_eq!(
            table(&entries).lines(Style::new(false)),
            [
                "WHEN  ACTION      OBJECT       STATUS   BY    TOOK  REASON",
                "-     key-revoke  k1           success  ann      -  lost\\u{a}laptop",
                "-     deploy      iris_v2      failed   ann  3.4 s  no answer",
                "-     replay      12 requests  success  ann  20 ms  -",
                "-     edit        iris         success  ann      -  limits: none -> 5/s; overload: 2 at once, \
                 3 may wait 100 ms -> none; changed tags",
                "-     key-edit    k1           success  ann      -  priority: default -> bulk",
            ]
        );
    }
}
