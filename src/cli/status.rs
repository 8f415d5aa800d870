//! `weir status`: how a gateway stands.

use serde_json::Value;

use super::{
    failure::Failure,
    remote::Session,
    terminal::{ago, pairs},
};

/// Shows how the gateway stands.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let status = session.client.get("/api/v1/status")?;
    let out = &session.out;
    if out.is_json() {
        return out.json(&status);
    }
    let text = |member: &str| match &status[member] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let states = status["deployments_by_state"].as_object();
    let states: Vec<String> = states
        .into_iter()
        .flatten()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let deployments = match states.is_empty() {
        true => text("deployments"),
        false => format!("{} ({})", text("deployments"), states.join(", ")),
    };
    let lines = pairs(
        &[
            ("gateway", session.client.base().to_owned()),
            ("version", text("version")),
            ("started", ago(&status["started_at"])),
            ("epoch", text("config_epoch")),
            ("tenants", text("tenants")),
            ("projects", text("projects")),
            ("deployments", deployments),
            ("keys", text("keys")),
            ("tasks under way", text("tasks_unfinished")),
        ],
        out.style,
    );
    out.line(&lines.join("\n"))
}
