//! `weir deployment pair`: one pair, with the bodies that were kept.

use serde_json::Value;

use super::{
    pairs::{detail, fault},
    words::{ms, number, plain},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Session, path_of, text},
        terminal::{Style, Table, ago, grouped, pairs, safe},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PairArgs {
    /// Which one, as `weir deployment pairs` shows it
    #[arg(value_name = "ID")]
    id: Option<u64>,
    /// The same, beside --project and --endpoint
    #[arg(
        long = "id",
        value_name = "ID",
        conflicts_with = "id",
        hide_short_help = true
    )]
    id_too: Option<u64>,
}

/// Shows one pair.
///
/// # Errors
/// As calls of the API; when none is named.
pub(in crate::cli) fn run(
    name: &DeploymentName,
    arguments: &PairArgs,
    session: &Session,
) -> Result<(), Failure> {
    let id = arguments.id.or(arguments.id_too).ok_or_else(|| {
        Failure::usage("which pair is meant?").hint(format_args!(
            "name it by its ID; `weir deployment pairs {name}` shows them"
        ))
    })?;
    let path = path_of(name, &format!("/comparison/pairs/{id}"));
    let pair = session.client.get(&path)?;
    let out = &session.out;
    match out.is_json() {
        true => out.json(&pair),
        false => out.line(&lines(&pair, out.style).join("\n")),
    }
}

fn lines(pair: &Value, style: Style) -> Vec<String> {
    let at = match text(pair, "at") {
        none if none.is_empty() => none,
        at => format!("{at}, {}", ago(&pair["at"])),
    };
    let call = match pair["is_stream"].as_bool() {
        Some(true) => "stream",
        _ => "predict",
    };
    let known = [
        ("pair", text(pair, "id")),
        ("at", at),
        ("version", text(pair, "version")),
        ("call", call.to_owned()),
        ("request", text(pair, "request_id")),
        ("exchange", text(pair, "exchange")),
        ("result", text(pair, "result")),
        ("compared as", text(pair, "kind")),
        ("distance", number(&pair["distance"])),
        ("because", detail(pair)),
    ];
    let mut lines = pairs(&known, style);
    lines.push(String::new());
    lines.extend(sides(pair).lines(style));
    for side in ["main", "challenger"] {
        if let Some(fault) = fault(&pair[side]) {
            lines.push(format!("{side}: {}", safe(&fault)));
        }
    }
    lines.extend(details(&pair["detail"], style));
    lines.extend(bodies(pair, style));
    lines
}

fn sides(pair: &Value) -> Table {
    let heads = [
        "SIDE",
        "STATUS",
        "ENDED",
        "MS",
        "FIRST BYTE",
        "BYTES",
        "GAPS",
        "P50 MS",
        "P99 MS",
        "LONGEST",
    ];
    let mut table = Table::new(&heads);
    for column in 3..heads.len() {
        table = table.right(column);
    }
    for name in ["main", "challenger"] {
        let side = &pair[name];
        let count = |value: &Value| {
            let count = value.as_u64().and_then(|own| usize::try_from(own).ok());
            count.map_or_else(String::new, grouped)
        };
        let gaps = &side["gaps"];
        table.row(vec![
            name.to_owned(),
            text(side, "status"),
            plain(&text(side, "ended")),
            ms(&side["latency_ms"]),
            ms(&side["first_byte_ms"]),
            count(&side["bytes"]),
            count(&gaps["count"]),
            ms(&gaps["p50_ms"]),
            ms(&gaps["p99_ms"]),
            ms(&gaps["max_ms"]),
        ]);
    }
    table
}

/// All that the comparator has to say, a line each.
fn details(detail: &Value, style: Style) -> Vec<String> {
    let members = detail.as_object().into_iter().flatten();
    let known: Vec<(String, String)> = members
        .map(|(name, value)| {
            let shown = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(items) => {
                    let items = items.iter().map(|item| match item {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    });
                    items.collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            (safe(&plain(name)).into_owned(), shown)
        })
        .collect();
    let told: Vec<(&str, String)> = known
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let lines = pairs(&told, style);
    match lines.is_empty() {
        true => lines,
        false => [String::new(), style.bold("DETAIL")]
            .into_iter()
            .chain(lines)
            .collect(),
    }
}

fn bodies(pair: &Value, style: Style) -> Vec<String> {
    let bodies = &pair["bodies"];
    if bodies.is_null() {
        let words = match pair["bodies_hidden"] == true {
            true => "The bodies of this pair are for those who may change the deployment.",
            false => "The bodies of this pair were not kept (challenger.keep_bodies.sample).",
        };
        return vec![String::new(), style.dim(words)];
    }
    let mut lines = Vec::new();
    for part in ["request", "main", "challenger"] {
        let body = &bodies[part];
        if body.is_null() {
            continue;
        }
        let notes = [("is_cut", "cut off"), ("is_redacted", "redacted")];
        let notes = notes
            .into_iter()
            .filter(|(member, _)| body[*member] == true)
            .map(|(_, words)| words);
        let mut notes: Vec<&str> = notes.collect();
        if body["base64"].is_string() {
            notes.push("base64");
        }
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!(", {}", notes.join(", ")),
        };
        lines.push(String::new());
        lines.push(style.bold(&format!("BODY OF {}{notes}", part.to_uppercase())));
        let kept = body["text"].as_str().or(body["base64"].as_str());
        match kept {
            _ if body["is_withheld"] == true => {
                lines.push(style.dim(
                    "(withheld: it was cut off, or is not JSON, so that nothing could be redacted)",
                ));
            }
            None | Some("") => lines.push(style.dim("(empty)")),
            Some(kept) => lines.extend(kept.lines().map(|line| safe(line).into_owned())),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pair() -> Value {
        json!({"id": 17, "at": null, "version": 3, "request_id": "r-1", "exchange": "x1",
            "is_stream": true, "result": "disagree", "reason": null, "kind": "label", "distance": 1.0,
            "detail": {"main": "cat", "challenger": "dog"},
            "main": {"status": 200, "error": null, "ended": "complete", "latency_ms": 12.3,
                "first_byte_ms": 1.0, "bytes": 2_048,
                "gaps": {"count": 7, "p50_ms": 1.0, "p99_ms": 20.0, "max_ms": 21.0}},
            "challenger": {"status": 200, "error": null, "ended": "timed_out",
                "latency_ms": 1_234.0, "first_byte_ms": 2.0, "bytes": 4, "gaps": null},
            "has_bodies": false, "bodies": null})
    }

    #[test]
    fn both_sides_and_what_was_found() {
        assert_eq!(
            lines(&pair(), Style::new(false)),
            [
                "pair:         17",
                "version:      3",
                "call:         stream",
                "request:      r-1",
                "exchange:     x1",
                "result:       disagree",
                "compared as:  label",
                "distance:     1.000",
                "because:      timed out",
                "",
                "SIDE        STATUS  ENDED         MS  FIRST BYTE  BYTES  GAPS  P50 MS  P99 MS  LONGEST",
                "main        200     complete    12.3        1.00  2,048     7    1.00    20.0     21.0",
                "challenger  200     timed out  1,234        2.00      4     -       -       -        -",
                "challenger: timed out",
                "",
                "DETAIL",
                "main:        cat",
                "challenger:  dog",
                "",
                "The bodies of this pair were not kept (challenger.keep_bodies.sample).",
            ]
        );
    }

    #[test]
    fn bodies_steer_no_terminal_and_say_what_is_missing() {
        let mut pair = pair();
        let kept = |text: &str, is_cut: bool, is_redacted: bool| json!({"text": text, "is_cut": is_cut, "is_redacted": is_redacted, "is_withheld": false});
        pair["bodies"] = json!({
            "request": kept("{\"a\": \"***\"}\n\x1b[2J", true, true),
            "main": {"base64": "AAEC", "is_cut": false, "is_redacted": false, "is_withheld": false},
            "challenger": {"text": "secret", "is_cut": true, "is_redacted": false, "is_withheld": true}});
        assert_eq!(
            bodies(&pair, Style::new(false)),
            [
                "",
                "BODY OF REQUEST, cut off, redacted",
                "{\"a\": \"***\"}",
                "\\u{1b}[2J",
                "",
                "BODY OF MAIN, base64",
                "AAEC",
                "",
                "BODY OF CHALLENGER, cut off",
                "(withheld: it was cut off, or is not JSON, so that nothing could be redacted)",
            ]
        );
        pair["bodies"] = Value::Null;
        pair["bodies_hidden"] = json!(true);
        assert_eq!(
            bodies(&pair, Style::new(false)),
            [
                "",
                "The bodies of this pair are for those who may change the deployment."
            ]
        );
        pair["bodies"] = json!({"request": null, "main": kept("", false, false)});
        assert_eq!(
            bodies(&pair, Style::new(false)),
            ["", "BODY OF MAIN", "(empty)"]
        );
    }
}
