//! Frames: what is known, as lines.

use serde_json::Value;

use super::figures::{Figures, failures};
use crate::{
    base::name::DeploymentName,
    cli::{
        comparison,
        terminal::{Style, Table, ago, counted, grouped, safe, spark},
    },
};

/// The frame of one deployment.
pub(super) fn of_one(
    name: &DeploymentName,
    seen: &Value,
    now_ms: i64,
    style: Style,
) -> Vec<String> {
    let deployment = &seen["deployment"];
    let mut lines = vec![heading(name, deployment, style)];
    let reason = deployment["reason"].as_str();
    lines.extend(reason.map(|reason| style.dim(&safe(reason))));
    let verdict = comparison::line(&seen["comparison"], style);
    lines.extend(verdict.map(|verdict| format!("challenger: {verdict}")));
    lines.push(String::new());
    let Some(figures) = Figures::of(&seen["monitoring"], now_ms) else {
        lines.push("The gateway tells no figures.".to_owned());
        return lines;
    };
    lines.extend(roles(&figures, style));
    lines.push(String::new());
    lines.extend(curves(&figures, style));
    lines.push(String::new());
    lines.extend(backends(deployment, style));
    lines
}

fn heading(name: &DeploymentName, deployment: &Value, style: Style) -> String {
    let state = deployment["state"].as_str().unwrap_or("unknown");
    let version = match deployment["live_version"].as_u64() {
        Some(version) => {
            let since = match &deployment["live_since"] {
                Value::Null => String::new(),
                since => format!(", live since {}", ago(since)),
            };
            format!("  {}_v{version}{since}", name.deployment())
        }
        None => String::new(),
    };
    let name = style.bold(name.as_str());
    format!("{name}  {}{version}", style.state(state))
}

fn roles(figures: &Figures<'_>, style: Style) -> Vec<String> {
    let mut table = Table::new(&[
        "ROLE",
        "REQ/S",
        "ERR/S",
        "P50 MS",
        "P90 MS",
        "P99 MS",
        "FIRST BYTE P50",
        "P99",
        "IN FLIGHT",
        "STREAMS",
        "IN/S",
        "OUT/S",
        "DROPPED/S",
    ]);
    for column in 1..13 {
        table = table.right(column);
    }
    for role in ["main", "challenger"] {
        if role != "main" && !figures.has(role) {
            continue;
        }
        let recent = figures.recent(role);
        let [p50, p90, p99] = recent.latency_ms.map(shown_ms);
        let [first_p50, first_p99] = recent.first_byte_ms.map(shown_ms);
        table.row(vec![
            role.to_owned(),
            shown_rate(recent.requests),
            shown_rate(recent.errors),
            p50,
            p90,
            p99,
            first_p50,
            first_p99,
            recent.in_flight.to_string(),
            recent.streams.to_string(),
            shown_bytes(recent.bytes_in),
            shown_bytes(recent.bytes_out),
            // Copies are counted where they are made: beside main.
            if role == "main" {
                shown_rate(recent.dropped)
            } else {
                String::new()
            },
        ]);
    }
    table.lines(style)
}

fn curves(figures: &Figures<'_>, style: Style) -> Vec<String> {
    let main = figures.curves("main");
    let most = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);
    let minutes = main.requests.len() / 6;
    let curve = |what: &str, values: &[Option<f64>], most: String| {
        let most = if most.is_empty() { "-" } else { &most };
        format!(
            "{what:<12}{}  {}",
            spark(values),
            style.dim(&format!("at most {most}"))
        )
    };
    vec![
        style.bold(&format!("MAIN, LAST {minutes} MIN")),
        curve(
            "requests/s",
            &main.requests,
            shown_rate(most(&main.requests)),
        ),
        curve("errors/s", &main.errors, shown_rate(most(&main.errors))),
        curve("p99 ms", &main.p99_ms, shown_ms(Some(most(&main.p99_ms)))),
    ]
}

fn backends(deployment: &Value, style: Style) -> Vec<String> {
    let mut table = Table::new(&["BACKEND", "ROLE", "STATE", "IN FLIGHT"]).right(3);
    for backend in deployment["backends"].as_array().into_iter().flatten() {
        let text = |member: &str| backend[member].as_str().unwrap_or("").to_owned();
        table.row(vec![
            text("url"),
            text("role"),
            text("state"),
            backend["in_flight"].to_string(),
        ]);
    }
    table.lines(style)
}

/// The frame of all deployments, the busiest first.
pub(super) fn of_all(seen: &Value, style: Style) -> Vec<String> {
    struct Row<'a> {
        name: String,
        item: &'a Value,
        rate: f64,
    }
    let items = seen["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut rows: Vec<Row<'_>> = items
        .iter()
        .map(|item| {
            let text = |member: &str| item[member].as_str().unwrap_or("");
            Row {
                name: format!("{}/{}", text("project"), text("deployment")),
                rate: per_second(
                    &item["last"],
                    item["last"]["requests"].as_u64().unwrap_or(0),
                ),
                item,
            }
        })
        .collect();
    rows.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        "VERSION",
        "REQ/S",
        "ERR/S",
        "P50 MS",
        "P99 MS",
        "IN FLIGHT",
        "STREAMS",
    ]);
    for column in 2..9 {
        table = table.right(column);
    }
    let total: f64 = rows.iter().map(|row| row.rate).sum();
    for Row { name, item, rate } in &rows {
        let last = &item["last"];
        let errors = match &last["errors"] {
            Value::Object(_) => failures(last),
            count => count.as_u64().unwrap_or(0),
        };
        let count = |member: &str| last[member].as_u64().unwrap_or(0).to_string();
        table.row(vec![
            name.clone(),
            item["state"].as_str().unwrap_or("").to_owned(),
            item["live_version"]
                .as_u64()
                .map_or_else(String::new, |version| version.to_string()),
            shown_rate(*rate),
            shown_rate(per_second(last, errors)),
            shown_ms(last["latency_ms"]["p50"].as_f64()),
            shown_ms(last["latency_ms"]["p99"].as_f64()),
            count("in_flight"),
            count("streams_open"),
        ]);
    }
    let heading = format!(
        "{}, {} requests/s",
        counted(rows.len(), "deployment"),
        shown_rate(total)
    );
    let mut lines = vec![style.bold(&heading), String::new()];
    lines.extend(table.lines(style));
    lines
}

fn per_second(last: &Value, count: u64) -> f64 {
    count as f64 / last["seconds"].as_f64().unwrap_or(10.0).max(1.0)
}

/// A rate with as many digits as say something.
fn shown_rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => grouped(rate.round() as usize),
    }
}

/// Milliseconds with three digits that say something.
fn shown_ms(ms: Option<f64>) -> String {
    match ms {
        None | Some(0.0) => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) => grouped(ms.round() as usize),
    }
}

/// Bytes in their largest unit.
fn shown_bytes(bytes: f64) -> String {
    match bytes {
        0.0 => "0".to_owned(),
        bytes if bytes < 1024.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes => format!("{:.1} MiB", bytes / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frame_of_one() {
        let at = |s: u32| format!("2026-11-20T20:00:{s:02}Z");
        let point = |s, n: u64| {
            json!({"at": at(s), "seconds": 10, "requests": n, "errors": {"timeout": n / 10},
                   "latency_ms": {"p50": 1.25, "p90": 20.0, "p99": 1234.0},
                   "first_byte_ms": {"p50": 1.0, "p99": 2.0}, "in_flight": 3, "streams_open": 1,
                   "request_bytes": 2048, "response_bytes": 0})
        };
        let seen = json!({
            "deployment": {"state": "live", "live_version": 3, "live_since": null, "reason": null,
                "backends": [{"role": "main", "url": "http://m:1", "state": "available", "in_flight": 3}]},
            "monitoring": {"from": at(0), "to": at(50), "series": [
                {"role": "main", "points": [point(0, 10), point(10, 20), point(30, 12_000)]}]},
        });
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let now: jiff::Timestamp = at(40).parse().expect("a time");
        let lines = of_one(&name, &seen, now.as_millisecond(), Style::new(false));
        assert_eq!(
            lines,
            [
                "demo/iris  live  iris_v3",
                "",
                "ROLE  REQ/S  ERR/S  P50 MS  P90 MS  P99 MS  FIRST BYTE P50   P99  IN FLIGHT  STREAMS   IN/S  OUT/S  DROPPED/S",
                "main  1,200    120    1.25    20.0   1,234            1.00  2.00          3        1  205 B      0          0",
                "",
                "MAIN, LAST 0 MIN",
                "requests/s  ▂▂▁█  at most 1,200",
                "errors/s    ▂▂▁█  at most 120",
                "p99 ms      ██ █  at most 1,234",
                "",
                "BACKEND     ROLE  STATE      IN FLIGHT",
                "http://m:1  main  available          3",
            ]
        );
    }

    #[test]
    fn the_verdict_on_a_challenger_stands_in_the_head() {
        let mut seen = json!({
            "deployment": {"state": "live", "live_version": 3, "reason": "one is down"},
            "monitoring": null,
            "comparison": {"pairs": 2, "verdict": {"state": "promote"}, "agreement":
                {"value": 1.0, "low": 0.96, "high": 1.0}},
        });
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let shown = of_one(&name, &seen, 0, Style::new(false));
        assert_eq!(
            shown[1..4],
            [
                "one is down",
                "challenger: promote, agreement 1.000 (0.960 to 1.000), 2 pairs",
                "",
            ]
        );
        seen["comparison"] = Value::Null;
        let shown = of_one(&name, &seen, 0, Style::new(false));
        assert_eq!(shown[1..3], ["one is down", ""]);
    }

    #[test]
    fn the_busiest_come_first() {
        let item = |name: &str, requests: u64| {
            json!({"project": "p", "deployment": name, "state": "live", "live_version": 1,
                   "last": {"seconds": 10, "requests": requests, "errors": 1,
                            "latency_ms": null, "in_flight": 0, "streams_open": 0}})
        };
        let seen = json!({"items": [item("a", 0), item("b", 50), item("c", 1_234_560)]});
        let lines = of_all(&seen, Style::new(false));
        assert_eq!(lines[0], "3 deployments, 123,461 requests/s");
        assert_eq!(
            lines[3..].iter().map(|line| &line[..3]).collect::<Vec<_>>(),
            ["p/c", "p/b", "p/a"]
        );
        assert!(lines[3].contains("123,456"), "{}", lines[3]);
    }
}
