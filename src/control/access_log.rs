//! Where outcomes go: a line of the process's log for each finished exchange, main's and the
//! challenger's alike, if that is asked for, and the rings of the deployments' logs. Written far from
//! the request path. Never a secret: keys appear by their public id.

use std::sync::Arc;

use crate::{
    logs::Logs,
    telemetry::outcome::{Listener, Outcome, Wanted},
};

/// Hands each outcome on until no worker is left. `is_access`: whether every exchange gets a line of
/// the process's log.
pub async fn write(mut outcomes: Listener, is_access: bool, logs: Arc<Logs>) {
    outcomes.want(match (is_access, logs.is_on()) {
        (true, _) => Wanted::All,
        (false, true) => Wanted::Credited,
        (false, false) => Wanted::Nothing,
    });
    while let Some(batch) = outcomes.next().await {
        if is_access {
            batch.iter().for_each(line);
        }
        logs.take(&batch);
    }
}

fn line(outcome: &Outcome) {
    let ms = |ns: u64| ns as f64 / 1e6;
    tracing::info!(
        target: "access",
        exchange = %outcome.exchange,
        role = outcome.role.as_str(),
        request_id = &*outcome.request_id,
        deployment = outcome.deployment.as_ref().map(|name| name.as_str()),
        version = outcome.version.map(|version| version.0),
        key = outcome.key.as_ref().map(|key| key.as_str()),
        method = outcome.method.as_str(),
        path = &*outcome.path,
        status = outcome.status,
        code = outcome.fault,
        ended = outcome.ended.as_str(),
        error = outcome.error.as_deref(),
        started_at_ms = outcome.started_at_ms,
        first_byte_ms = outcome.first_byte_ns.map(ms),
        duration_ms = ms(outcome.duration_ns),
        request_bytes = outcome.request_bytes,
        response_bytes = outcome.response_bytes,
        "exchange"
    );
}
