//! Subscriptions and their deliveries, in tables and lines.

use serde_json::Value;

use crate::cli::{
    remote::{text, texts, when},
    terminal::{Table, ago},
};

/// What is known of one.
pub(super) fn told(subscription: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("id", text(subscription, "id")),
        ("name", text(subscription, "name")),
        ("project", text(subscription, "project")),
        ("target", target(subscription)),
        ("events", or_all(&texts(subscription, "events"))),
        ("deployments", or_all(&texts(subscription, "deployments"))),
        ("state", state(subscription)),
        ("secret", text(subscription, "secret")),
        ("created", when(subscription, "created_at")),
        ("by", text(subscription, "created_by")),
    ]
}

/// The table of subscriptions.
pub(super) fn table() -> Table {
    Table::new(&[
        "ID",
        "NAME",
        "EVENTS",
        "DEPLOYMENTS",
        "TARGET",
        "STATE",
        "AGE",
    ])
}

/// A row of it.
pub(super) fn row(subscription: &Value) -> Vec<String> {
    vec![
        text(subscription, "id"),
        text(subscription, "name"),
        or_all(&texts(subscription, "events")),
        or_all(&texts(subscription, "deployments")),
        target(subscription),
        state(subscription),
        ago(&subscription["created_at"]),
    ]
}

/// The table of deliveries.
pub(super) fn deliveries_table() -> Table {
    Table::new(&[
        "ID",
        "EVENT",
        "DEPLOYMENT",
        "STATE",
        "ATTEMPTS",
        "LAST",
        "AGE",
    ])
    .right(4)
}

/// A row of it.
pub(super) fn delivery_row(delivery: &Value) -> Vec<String> {
    let attempts = delivery["attempts"].as_array();
    let attempts = attempts.map(Vec::as_slice).unwrap_or_default();
    let last = attempts
        .last()
        .map_or_else(String::new, |last| match last["error"].as_str() {
            Some(error) => error.to_owned(),
            None => text(last, "status"),
        });
    vec![
        text(delivery, "id"),
        text(delivery, "event"),
        text(delivery, "deployment"),
        text(delivery, "state"),
        attempts.len().to_string(),
        last,
        ago(&delivery["created_at"]),
    ]
}

/// Where its messages go.
pub(super) fn target(subscription: &Value) -> String {
    let target = &subscription["target"];
    match target["url"].as_str() {
        Some(url) => url.to_owned(),
        None => texts(target, "to").join(", "),
    }
}

fn state(subscription: &Value) -> String {
    let is_paused = subscription["paused"] == true;
    if is_paused { "paused" } else { "telling" }.to_owned()
}

fn or_all(names: &[String]) -> String {
    match names {
        [] => "all".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Style;

    #[test]
    fn the_tables() {
        let mut table = table();
        table.row(row(&json!({
            "id": "s1", "name": "ops", "events": ["pool.down", "pool.up"], "deployments": [],
            "target": {"kind": "webhook", "url": "https://h/x"}, "paused": false
        })));
        table.row(row(&json!({
            "id": "s2", "name": "", "events": [], "deployments": ["iris"],
            "target": {"kind": "email", "to": ["a@b", "c@d"]}, "paused": true
        })));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "ID  NAME  EVENTS              DEPLOYMENTS  TARGET       STATE    AGE",
                "s1  ops   pool.down, pool.up  all          https://h/x  telling  -",
                "s2  -     all                 iris         a@b, c@d     paused   -",
            ]
        );
        let mut table = deliveries_table();
        table.row(delivery_row(&json!({
            "id": "d1", "event": "pool.down", "deployment": "iris", "state": "failed",
            "attempts": [{"status": 500, "error": null}, {"status": null, "error": "refused"}]
        })));
        table.row(delivery_row(&json!({
            "id": "d2", "event": "test", "deployment": null, "state": "delivered",
            "attempts": [{"status": 204, "error": null}]
        })));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "ID  EVENT      DEPLOYMENT  STATE      ATTEMPTS  LAST     AGE",
                "d1  pool.down  iris        failed            2  refused  -",
                "d2  test       -           delivered         1  204      -",
            ]
        );
    }
}
