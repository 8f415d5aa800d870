//! Answers of models, as they come through this plane.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;

use super::*;
use crate::queue::{Answer, AnswerContent, Reason};

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Answer {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        kept.append(*name, HeaderValue::from_static(value));
    }
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: kept,
        bytes: body.len() as u64,
        body: AnswerContent::Inline(Bytes::from_static(body)),
    }
}

async fn result(world: &World, id: AsyncId, headers: &[(&str, &str)]) -> Reply {
    let line = format!("GET {IRIS}/async/{id}/result");
    world.call(&line, headers, "").await
}

#[tokio::test]
async fn an_answer_comes_with_its_own_status_type_and_bytes() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Completed);
    let script = Script::of(requests);
    let world = world(&script).await;
    for (status, body) in [(200, &b"\x00\xff{}"[..]), (422, b"bad input"), (401, b"")] {
        let kept = answer(status, &[("content-type", "application/x-own")], body);
        script.told().answers.insert(id, kept);
        let reply = result(&world, id, &[]).await;
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (status, body));
        assert_eq!(reply.header("content-type"), "application/x-own");
        assert_eq!(reply.header("x-async-status"), "completed");
        assert_eq!(reply.header("x-deployment-version"), "iris_v4");
        assert_eq!(reply.header("etag"), format!("\"{id}.1\""));
    }
    // A model's 401 is none of this plane's, and no refusal.
    let audit = world.call("GET /api/v1/audit", &[], "").await.json();
    assert_eq!(audit["items"], json!([]));
}

#[tokio::test]
async fn what_a_model_says_does_not_act_on_this_origin() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Completed);
    let script = Script::of(requests);
    let world = world(&script).await;
    let hostile = [
        ("content-type", "text/html"),
        ("x-own", "stays"),
        ("x-own", "twice"),
        ("content-language", "ru"),
        ("set-cookie", "session=theirs"),
        ("content-security-policy", "default-src *"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("cache-control", "public, max-age=31536000"),
        ("location", "https://elsewhere.example"),
        ("clear-site-data", "\"*\""),
        ("service-worker-allowed", "/"),
        ("www-authenticate", "Basic"),
        ("proxy-authenticate", "Basic"),
        ("x-request-id", "theirs"),
        ("x-config-epoch", "999"),
        ("x-async-status", "theirs"),
        ("etag", "\"theirs\""),
        ("refresh", "0"),
    ];
    let kept = answer(200, &hostile, b"<script>");
    script.told().answers.insert(id, kept);
    let reply = result(&world, id, &[("x-request-id", "ours")]).await;
    let own: Vec<_> = reply.headers.get_all("x-own").iter().collect();
    assert_eq!(own, ["stays", "twice"]);
    assert_eq!(reply.header("content-type"), "text/html");
    assert_eq!(reply.header("content-language"), "ru");
    for (name, expected) in [
        ("set-cookie", ""),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
        ("access-control-allow-origin", ""),
        ("access-control-allow-credentials", ""),
        ("cache-control", "no-store"),
        ("location", ""),
        ("clear-site-data", ""),
        ("service-worker-allowed", ""),
        ("www-authenticate", ""),
        ("proxy-authenticate", ""),
        ("x-request-id", "ours"),
        ("x-config-epoch", ""),
        ("x-async-status", "completed"),
        ("etag", &format!("\"{id}.1\"")),
        ("refresh", ""),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.header(name), expected, "{name}");
        let count = reply.headers.get_all(name).iter().count();
        assert_eq!(count, usize::from(!expected.is_empty()), "{name}");
    }
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again_and_a_spilled_one_is_sent_whole() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Completed);
    let script = Script::of(requests);
    let world = world(&script).await;
    let mut kept = answer(200, &[], b"");
    kept.bytes = 7;
    kept.body = AnswerContent::Spilled(1);
    script.told().answers.insert(id, kept);
    script.told().spilled.insert(id, b"spilled".to_vec());
    let whole = result(&world, id, &[]).await;
    assert_eq!(
        (whole.status.as_u16(), &whole.body[..]),
        (200, &b"spilled"[..])
    );
    assert_eq!(whole.header("content-length"), "7");
    let tag = whole.header("etag").to_owned();
    let known = result(&world, id, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), tag);
    assert_eq!(known.header("x-async-status"), "completed");
    let other = format!("\"{id}.2\"");
    let other = result(&world, id, &[("if-none-match", &other)]).await;
    assert_eq!(other.body, b"spilled");
    let line = format!("HEAD {IRIS}/async/{id}/result");
    let head = world.call(&line, &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), "7");
    // The file is gone: an error before the first byte, not a torn answer.
    script.told().spilled.clear();
    let lost = result(&world, id, &[]).await;
    assert_eq!(outcome(&lost), (503, "store_unavailable".into()));
}

#[tokio::test]
async fn where_there_is_no_answer_the_status_says_why() {
    let requests = one_of_each();
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    for (status, expected) in [
        (JobStatus::Queued, (202, "")),
        (JobStatus::Running, (202, "")),
        (JobStatus::Cancelled, (410, "async_cancelled")),
        (JobStatus::Expired, (410, "async_expired")),
        (JobStatus::Completed, (502, "async_internal")),
    ] {
        let id = id_of(&requests, status);
        let reply = result(&world, id, &[]).await;
        assert_eq!(outcome(&reply), (expected.0, expected.1.to_owned()));
        assert_eq!(reply.header("x-async-status"), status.as_str());
        if expected.0 == 202 {
            assert_eq!(reply.json()["status"], status.as_str());
            assert_eq!(reply.header("retry-after"), "1");
            assert_eq!(reply.header("location"), format!("{IRIS}/async/{id}"));
        }
    }
    let id = id_of(&requests, JobStatus::Error);
    for (reason, code) in [
        (Reason::Exhausted, "async_exhausted"),
        (Reason::Unprocessable, "async_unprocessable"),
        (Reason::DeploymentDeleted, "async_deployment_deleted"),
        (Reason::VersionGone, "async_version_gone"),
        (Reason::ResultTooLarge, "async_result_too_large"),
        (Reason::StreamBroken, "async_stream_broken"),
        (Reason::Internal, "async_internal"),
    ] {
        for own in &mut script.told().requests {
            if let Some(ended) = own.ended.as_mut().filter(|_| own.job.id == id) {
                ended.reason = Some(reason);
            }
        }
        let reply = result(&world, id, &[]).await;
        assert_eq!(outcome(&reply), (502, code.to_owned()));
        assert_eq!(code, format!("async_{}", reason.as_str()));
        assert_eq!(reply.json()["detail"], "the backend is gone");
        assert_eq!(reply.header("x-async-status"), "error");
    }
    // An error may have an answer all the same.
    script.told().answers.insert(id, answer(503, &[], b"busy"));
    let kept = result(&world, id, &[]).await;
    assert_eq!((kept.status.as_u16(), &kept.body[..]), (503, &b"busy"[..]));
    assert_eq!(kept.header("x-async-status"), "error");
}

#[tokio::test]
async fn the_telling_of_an_end_is_shown() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Completed);
    let script = Script::of(requests);
    let world = world(&script).await;
    let line = format!("GET {IRIS}/async/{id}/webhook");
    let shown = world.call(&line, &[], "").await.json();
    assert_eq!(shown["url"], format!("https://hooks.example/{id}"));
    assert_eq!(shown["state"], "pending");
}
