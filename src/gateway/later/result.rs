//! `/async/{id}/result`: the model's own status, headers and bytes.
//!
//! ```text
//! ended ──with an answer──▶ whole, a part of it, or nothing new
//!   └──without one──▶ 410, 502
//! not ended ──a stream whose head is there──▶ followed live to its end
//!   └──otherwise──▶ 202 and the document
//! ```

use std::{ops::Range, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    fetch::{Asking, X_ASYNC_STATUS, status_header, unavailable},
    fetched::{Fetched, FetchedBody, KeptBody},
    ranges::ByteRange,
};
use crate::{
    base::id::VersionNumber,
    fault::{Code, Fault},
    queue::{Answer, AnswerContent, Opener, Reason, Recording, Request},
    store::JobStatus,
    wire::{
        headers::{Named, X_DEPLOYMENT_VERSION, goes_downstream},
        target::Operation,
    },
};

/// The last byte that a range of what still grows can have: the largest whole number that every
/// reader of JSON and JavaScript knows exactly.
const LAST_OF_GROWING: u64 = (1 << 53) - 1;

/// What there is of a request's result.
pub(super) async fn result(asking: &Asking<'_>, request: &Request) -> Result<Fetched, Fault> {
    let status = request.status();
    let fault = |code| Ok(Fetched::fault(code, status_header(status)));
    match status {
        JobStatus::Queued | JobStatus::Running => {
            if let Some((recording, started)) = asking.queue.recording(request.id()) {
                return Ok(follow(asking, request, &recording, started).await);
            }
            let mut fetched = asking.shown(request, StatusCode::ACCEPTED);
            fetched.headers.extend(status_header(status));
            let soon = HeaderValue::from_static("1");
            fetched.headers.insert(header::RETRY_AFTER, soon);
            Ok(fetched)
        }
        JobStatus::Expired => fault(Code::AsyncExpired),
        JobStatus::Cancelled => fault(Code::AsyncCancelled),
        JobStatus::Error if !request.has_answer() => fault(code_of(request)),
        JobStatus::Completed | JobStatus::Error => {
            let answer = asking.queue.answer(request).await.map_err(unavailable)?;
            // Forgotten since it was looked up.
            let answer = answer.ok_or(Code::AsyncUnknown)?;
            kept(asking, request, answer).await
        }
    }
}

/// The answer of a request that has ended.
async fn kept(asking: &Asking<'_>, request: &Request, answer: Answer) -> Result<Fetched, Fault> {
    let wishes = &asking.wishes;
    let started = request.ended.as_ref().and_then(|ended| ended.started_at_ms);
    let etag = etag(request, request.job.attempt, started.unwrap_or_default());
    let version = request.ended.as_ref().and_then(|ended| ended.version);
    let mut fetched = Fetched {
        status: answer.status,
        headers: own_headers(&answer.headers, request, &etag),
        body: FetchedBody::Nothing,
    };
    if let Some(version) = version.and_then(|number| version_header(request, number)) {
        fetched.headers.insert(X_DEPLOYMENT_VERSION, version);
    }
    let mut part = 0..answer.bytes;
    if answer.status == StatusCode::OK {
        accept_ranges(&mut fetched.headers);
        if wishes.has(&etag) {
            fetched.status = StatusCode::NOT_MODIFIED;
            keep_unmodified(&mut fetched.headers);
            return Ok(fetched);
        }
        if let Some(range) = wishes.range(&etag) {
            let Some(selected) = range.of(answer.bytes) else {
                return Ok(unsatisfiable(request, answer.bytes));
            };
            fetched.status = StatusCode::PARTIAL_CONTENT;
            let told = format!(
                "bytes {}-{}/{}",
                selected.start,
                selected.end - 1,
                answer.bytes
            );
            put(&mut fetched.headers, header::CONTENT_RANGE, &told);
            part = selected;
        } else if let Some(event) = wishes.last_event(&etag)
            && request.accepted.operation == Operation::Stream
        {
            let end = asking.queue.end_of_event(request, &answer, event).await;
            let end = end.map_err(unavailable)?.unwrap_or(0);
            part = end.min(answer.bytes)..answer.bytes;
        }
    }
    let tells_length = !matches!(
        fetched.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if wishes.is_head {
        // RFC 9110 section 8.6 forbids one where a GET has no content.
        if tells_length {
            let length = HeaderValue::from(part.end - part.start);
            fetched.headers.insert(header::CONTENT_LENGTH, length);
        }
    } else {
        fetched.body = body(asking, request, answer, part).await?;
    }
    Ok(fetched)
}

/// So many bytes of an answer.
async fn body(
    asking: &Asking<'_>,
    request: &Request,
    answer: Answer,
    part: Range<u64>,
) -> Result<FetchedBody, Fault> {
    let count = part.end - part.start;
    if count == 0 {
        return Ok(FetchedBody::Nothing);
    }
    Ok(match answer.body {
        AnswerContent::Inline(bytes) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            FetchedBody::Whole(bytes.slice(place(part.start)..place(part.end)))
        }
        AnswerContent::Spilled(attempt) => {
            let id = request.id();
            let opened = asking
                .queue
                .spilled(id, attempt, part.start, count, Opener::Caller)
                .await;
            FetchedBody::Kept(KeptBody::read(opened.map_err(unavailable)?, count))
        }
    })
}

/// The answer of a stream that still runs.
async fn follow(
    asking: &Asking<'_>,
    request: &Request,
    recording: &Arc<Recording>,
    started_at_ms: u64,
) -> Fetched {
    let wishes = &asking.wishes;
    let etag = etag(request, recording.attempt(), started_at_ms);
    let mut fetched = Fetched {
        status: recording.status(),
        headers: own_headers(recording.headers(), request, &etag),
        body: FetchedBody::Nothing,
    };
    // Its runner notes which version this is; without it only a pin is sure.
    let noted = recording.headers().get(X_DEPLOYMENT_VERSION).cloned();
    let pinned = || version_header(request, request.accepted.pinned?);
    if let Some(version) = noted.or_else(pinned) {
        fetched.headers.insert(X_DEPLOYMENT_VERSION, version);
    }
    let mut from = 0;
    if fetched.status == StatusCode::OK {
        accept_ranges(&mut fetched.headers);
        if let Some(ByteRange::From(first)) = wishes.range(&etag) {
            let there = recording.bytes();
            // Where it grows is what a follower asks for that has all there is.
            if first > there {
                return unsatisfiable(request, there);
            }
            fetched.status = StatusCode::PARTIAL_CONTENT;
            let told = format!("bytes {first}-{LAST_OF_GROWING}/*");
            put(&mut fetched.headers, header::CONTENT_RANGE, &told);
            from = first;
        } else if let Some(event) = wishes.last_event(&etag) {
            from = recording.end_of_event(event).await.unwrap_or(0);
        }
    }
    if !wishes.is_head {
        fetched.body = FetchedBody::Kept(KeptBody::follow(recording.follow(from)));
    }
    fetched
}

/// The tag of an attempt's answer: another attempt's is another. Its number alone would not tell: one
/// that was given back uncounted leaves its number to the next.
fn etag(request: &Request, attempt: u32, started_at_ms: u64) -> String {
    format!("\"{}.{attempt}.{started_at_ms:x}\"", request.id())
}

/// The model's headers, but for those that weir replaces.
fn own_headers(model: &HeaderMap, request: &Request, etag: &str) -> HeaderMap {
    let none = Named::default();
    let mut headers = status_header(request.status());
    for (name, value) in model {
        let replaced = [header::ETAG, header::ACCEPT_RANGES, X_ASYNC_STATUS].contains(name);
        if !replaced && goes_downstream(name, &none) {
            headers.append(name, value.clone());
        }
    }
    put(&mut headers, header::ETAG, etag);
    headers
}

fn accept_ranges(headers: &mut HeaderMap) {
    let bytes = HeaderValue::from_static("bytes");
    headers.insert(header::ACCEPT_RANGES, bytes);
}

/// Leaves what a 304 carries (RFC 9110 section 15.4.5) and weir's own.
fn keep_unmodified(headers: &mut HeaderMap) {
    const KEPT: [HeaderName; 8] = [
        header::CACHE_CONTROL,
        header::CONTENT_LOCATION,
        header::DATE,
        header::ETAG,
        header::EXPIRES,
        header::VARY,
        X_ASYNC_STATUS,
        X_DEPLOYMENT_VERSION,
    ];
    for (name, value) in &std::mem::take(headers) {
        if KEPT.contains(name) {
            headers.append(name, value.clone());
        }
    }
}

fn unsatisfiable(request: &Request, length: u64) -> Fetched {
    let mut headers = status_header(request.status());
    put(
        &mut headers,
        header::CONTENT_RANGE,
        &format!("bytes */{length}"),
    );
    Fetched::fault(Code::RangeUnsatisfiable, headers)
}

/// A version as weir's header names it.
fn version_header(request: &Request, number: VersionNumber) -> Option<HeaderValue> {
    let deployment = request.job.lane.deployment.as_str();
    let short = deployment.rsplit('/').next().unwrap_or(deployment);
    HeaderValue::try_from(format!("{short}_v{number}")).ok()
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    // What is written here is ASCII.
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// Why an error has no answer.
fn code_of(request: &Request) -> Code {
    let reason = request.ended.as_ref().and_then(|ended| ended.reason);
    match reason {
        Some(Reason::Exhausted) => Code::AsyncExhausted,
        Some(Reason::Unprocessable) => Code::AsyncUnprocessable,
        Some(Reason::DeploymentDeleted) => Code::AsyncDeploymentDeleted,
        Some(Reason::VersionGone) => Code::AsyncVersionGone,
        Some(Reason::ResultTooLarge) => Code::AsyncResultTooLarge,
        Some(Reason::StreamBroken) => Code::AsyncStreamBroken,
        Some(Reason::Internal) | None => Code::AsyncInternal,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        base::{
            async_id::{AsyncId, Position},
            secret::KeyDigest,
        },
        queue::Ended,
        store::{Job, Kept, Lane},
    };

    fn request(status: JobStatus, reason: Option<Reason>) -> Request {
        let accepted = serde_json::json!({
            "request_id": "r", "key": "k1", "operation": "predict", "method": "POST",
            "headers": [], "body_bytes": 2,
        });
        Request {
            job: Job {
                id: AsyncId::of(Position::at(1), [7; 16]),
                lane: Lane {
                    deployment: "demo/iris".into(),
                    life: 1,
                    owner: KeyDigest::of_key(b"0123456789abcdef").expect("a key"),
                },
                status,
                attempt: 3,
                due_at_ms: 0,
                deadline_at_ms: 0,
                doc: Bytes::new(),
                end: None,
                dead: false,
                body: Kept::Nothing,
                answer: Kept::Nothing,
            },
            accepted: serde_json::from_value(accepted).expect("accepted"),
            ended: Some(Ended {
                reason,
                started_at_ms: Some(0xabc),
                ..Ended::default()
            }),
            started_at_ms: None,
            told: None,
        }
    }

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_models_headers_come_back_and_weirs_replace_theirs() {
        let model = map(&[
            ("content-type", "text/x"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("location", "/elsewhere"),
            ("etag", "\"model\""),
            ("accept-ranges", "none"),
            ("x-async-status", "forged"),
            ("x-deployment-version", "forged"),
            ("x-config-epoch", "9"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ]);
        let request = request(JobStatus::Completed, None);
        let etag = etag(&request, 3, 0xabc);
        assert_eq!(etag, format!("\"{}.3.abc\"", request.id()));
        let headers = own_headers(&model, &request, &etag);
        let right = map(&[
            ("content-type", "text/x"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("location", "/elsewhere"),
            ("x-async-status", "completed"),
        ]);
        let mut shown = headers.clone();
        assert_eq!(shown.remove(header::ETAG).expect("ETag"), etag.as_str());
        assert_eq!(shown, right);
    }

    #[test]
    fn a_304_carries_no_header_of_the_content() {
        let mut headers = map(&[
            ("etag", "\"x.1\""),
            ("vary", "a"),
            ("vary", "b"),
            ("content-type", "text/x"),
            ("content-encoding", "gzip"),
            ("x-async-status", "completed"),
            ("x-deployment-version", "iris_v1"),
            ("set-cookie", "a=1"),
        ]);
        keep_unmodified(&mut headers);
        let right = map(&[
            ("etag", "\"x.1\""),
            ("vary", "a"),
            ("vary", "b"),
            ("x-async-status", "completed"),
            ("x-deployment-version", "iris_v1"),
        ]);
        assert_eq!(headers, right);
    }

    #[test]
    fn each_reason_has_its_code() {
        for reason in [
            Reason::Exhausted,
            Reason::Unprocessable,
            Reason::DeploymentDeleted,
            Reason::VersionGone,
            Reason::ResultTooLarge,
            Reason::StreamBroken,
            Reason::Internal,
        ] {
            let entry = code_of(&request(JobStatus::Error, Some(reason))).entry();
            assert_eq!(entry.code, format!("async_{}", reason.as_str()));
            assert_eq!(entry.status, 502);
        }
        assert_eq!(
            code_of(&request(JobStatus::Error, None)),
            Code::AsyncInternal
        );
    }

    #[test]
    fn versions_are_named_as_everywhere() {
        let request = request(JobStatus::Completed, None);
        let version = version_header(&request, VersionNumber(2));
        assert_eq!(version.expect("a header"), "iris_v2");
    }

    #[test]
    fn what_is_not_there_is_told_with_its_length() {
        let none = unsatisfiable(&request(JobStatus::Completed, None), 10);
        assert_eq!(none.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(none.headers[header::CONTENT_RANGE], "bytes */10");
        assert_eq!(none.headers[X_ASYNC_STATUS], "completed");
    }
}
