//! What weir itself may answer a caller, by status: from the data plane's own catalogue, so that the
//! description can't promise other codes than there are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fault::Code;

/// What a call of a predict or stream URL may meet.
pub(super) const OF_CALLS: [Code; 28] = [
    Code::RequestMalformed,
    Code::PathMalformed,
    Code::BodyMalformed,
    Code::KeyInvalid,
    Code::ScopeDenied,
    Code::PinDenied,
    Code::DeploymentUnknown,
    Code::VersionUnknown,
    Code::TailUnknown,
    Code::BodyTimeout,
    Code::BodyTooLarge,
    Code::HeadTooLarge,
    Code::RateLimited,
    Code::ConcurrencyLimited,
    Code::BytesLimited,
    Code::QuotaSpent,
    Code::Internal,
    Code::BackendFailed,
    Code::BackendMalformed,
    Code::BackendUnreachable,
    Code::BackendBusy,
    Code::Overloaded,
    Code::TurnTimeout,
    Code::Shedding,
    Code::DeploymentNotLive,
    Code::DeploymentStopped,
    Code::BackendTimeout,
    Code::ExchangeTimeout,
];

/// What a call that is to be answered later may meet beside these.
pub(super) const OF_LATER: [Code; 8] = [
    Code::AsyncHeaderInvalid,
    Code::WebhookDenied,
    Code::IdempotencyConflict,
    Code::QueueShareSpent,
    Code::QueueFull,
    Code::QueueDiskFull,
    Code::AsyncUnavailable,
    Code::QueueUnavailable,
];

/// What a call about an async request may meet.
pub(super) const OF_FETCHES: [Code; 8] = [
    Code::RequestMalformed,
    Code::PathMalformed,
    Code::QueryMalformed,
    Code::KeyInvalid,
    Code::AsyncUnknown,
    Code::HeadTooLarge,
    Code::Internal,
    Code::QueueUnavailable,
];

/// What the fetching of an answer may meet beside these.
pub(super) const OF_RESULTS: [Code; 10] = [
    Code::AsyncExpired,
    Code::AsyncCancelled,
    Code::RangeUnsatisfiable,
    Code::AsyncExhausted,
    Code::AsyncUnprocessable,
    Code::AsyncDeploymentDeleted,
    Code::AsyncVersionGone,
    Code::AsyncResultTooLarge,
    Code::AsyncStreamBroken,
    Code::AsyncInternal,
];

/// What calling a request off may meet beside these.
pub(super) const OF_CANCELS: [Code; 1] = [Code::AsyncEnded];

/// Whose answers stand at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// weir's alone.
    Weir,
    /// The model's too, which may have any status in a form of its own.
    Model,
}

/// Adds a response for each status that these codes have.
pub(super) fn add(
    responses: &mut Map<String, Value>,
    answers: Answers,
    codes: impl IntoIterator<Item = Code>,
) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.entry().status).or_default().push(code);
    }
    for (status, codes) in by_status {
        let words: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.entry().code, code.entry().detail))
            .collect();
        let mut response = json!({
            "description": words.join("\n\n"),
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        let more: &[&str] = match status {
            429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
            503 => &["Retry-After"],
            _ => &[],
        };
        for name in more {
            let known = format!("#/components/headers/{name}");
            response["headers"][*name] = json!({"$ref": known});
        }
        if answers == Answers::Model {
            response["content"]["*/*"] = json!({});
        }
        responses.insert(status.to_string(), response);
    }
}

/// The shape of a problem.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "The stable word to match on."},
            "request_id": {"type": "string"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No caller of these URLs ever meets the rest: whoever has the address right is on a route that
    /// takes the method.
    #[test]
    fn every_code_has_its_place() {
        let beside = [
            Code::RouteUnknown,
            Code::MethodNotAllowed,
            Code::MethodUnsupported,
        ];
        let known: Vec<Code> = OF_CALLS
            .into_iter()
            .chain(OF_LATER)
            .chain(OF_FETCHES)
            .chain(OF_RESULTS)
            .chain(OF_CANCELS)
            .chain(beside)
            .collect();
        for code in Code::ALL {
            assert!(known.contains(code), "{}", code.entry().code);
        }
    }
}
