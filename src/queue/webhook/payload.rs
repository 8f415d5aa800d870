//! What a receiver is told: thin, so that it is the status document and no more.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::note::Facts;
use crate::{
    base::async_id::AsyncId,
    queue::{Language, Request, document},
};

/// The body of a delivery. Without the request, which may be forgotten by then, what the note has.
pub(super) fn payload(id: AsyncId, facts: &Facts, request: Option<&Request>, base: &str) -> Bytes {
    let data = match request {
        Some(request) => document(request, Language::En, base).to_map(),
        None => kept(id, facts),
    };
    let payload = json!({
        "type": format!("async.{}", facts.status),
        "timestamp": time(facts.ended_at_ms),
        "data": data,
    });
    Bytes::from(payload.to_string())
}

/// The part of the document that does not change any more; where it was is gone.
fn kept(id: AsyncId, facts: &Facts) -> Map<String, Value> {
    let deployment = facts.deployment.as_str();
    let short = deployment.rsplit('/').next().unwrap_or(deployment);
    let version = facts.version.map(|number| format!("{short}_v{number}"));
    let mut kept = Map::new();
    let mut put = |name: &str, value: Value| kept.insert(name.to_owned(), value);
    put("id", json!(id));
    put("request_id", json!(facts.request_id));
    put("status", json!(facts.status));
    put("deployment", json!(deployment));
    put("version", json!(version));
    put("attempts", json!(facts.attempt));
    put("created_at", time(id.position().unix_ms()));
    put("ended_at", time(facts.ended_at_ms));
    if let Some(status) = facts.result_status {
        put("result_status", json!(status));
    }
    if let Some(reason) = facts.reason {
        put("reason", json!(reason.as_str()));
    }
    kept
}

fn time(unix_ms: u64) -> Value {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or(Value::Null, |moment| json!(format!("{moment:.3}")))
}
