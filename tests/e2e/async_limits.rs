//! The queue is bounded, says which bound was met and counts it; and the same submission sent twice
//! is one request.

use std::collections::BTreeSet;

use crate::support::{
    Backend, Gate, Gateway, KEY, Next, PREDICT, Response, Stop, at_once,
    client::chunk,
    eventually, iris, key, later,
    later::{Caller, WHOLE_LIFE},
    pattern, post, problem, want,
};

const OTHER: &str = "wk_other_0123456789abcdefghijklmnopqrstu";

/// Submits until it is refused; what was accepted, and the refusal.
fn fill(caller: &Caller, body: &[u8]) -> (Vec<String>, Response) {
    let mut ids = Vec::new();
    loop {
        let answer = caller.submit(&post(), &[], body);
        if answer.status != 202 {
            return (ids, answer);
        }
        ids.push(later::whole_document(&answer.json()));
        assert!(ids.len() < 1_000, "there is no limit");
    }
}

/// Checks that a refusal says when to come back, and that it was counted.
fn refused(gateway: &Gateway, answer: &Response, status: u16, code: &str) {
    assert_eq!(problem(&[status], answer), code);
    let after: u64 = answer.get("retry-after").unwrap().parse().unwrap();
    assert!(after > 0);
    gateway.wait_metric("weir_async_refused_total", &[("reason", code)], |n| n > 0.5);
}

#[test]
fn the_whole_queue_has_a_length() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(Gateway::with(iris(&backend).with(key(OTHER, "demo"))), 1)
        .env("WEIR_QUEUE_WAITING_MAX", 5)
        .start();
    let caller = gateway.caller();
    let running = caller.accepted(b"running");
    backend.wait_count(1);
    caller.wait_status(&running, "running");
    let (ids, answer) = fill(&caller, b"{}");
    assert_eq!(ids.len(), 5);
    refused(&gateway, &answer, 503, "queue_full");
    let other = gateway.caller_with(OTHER).submit(&post(), &[], b"{}");
    refused(&gateway, &other, 503, "queue_full");
    // What is there can be seen and cancelled, direct calls pass, and there is room again.
    assert_eq!(caller.send(&post(), &[], b"direct").text(), "direct");
    want(200, &caller.cancel(&ids[0]));
    let again = caller.accepted_in_the_end(b"{}");
    gate.open();
    for id in ids[1..].iter().chain([&running, &again]) {
        caller.ends(id, "completed");
    }
    caller.accepted_in_the_end(b"{}");
}

#[test]
fn one_key_has_a_share_of_it() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(Gateway::with(iris(&backend).with(key(OTHER, "demo"))), 1)
        .env("WEIR_QUEUE_WAITING_PER_KEY_MAX", 4)
        .start();
    let caller = gateway.caller();
    let running = caller.accepted(b"running");
    backend.wait_count(1);
    caller.wait_status(&running, "running");
    let (ids, answer) = fill(&caller, b"{}");
    assert_eq!(ids.len(), 4);
    refused(&gateway, &answer, 429, "queue_share_spent");
    let other = gateway.caller_with(OTHER);
    let theirs = other.accepted(b"{}");
    gate.open();
    other.ends(&theirs, "completed");
    caller.accepted_in_the_end(b"{}");
}

#[test]
fn the_disk_has_a_share_for_it() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(Gateway::with(iris(&backend)), 1)
        .env("WEIR_QUEUE_DISK_BYTES_MAX", 4_000_000)
        .start();
    let caller = gateway.caller();
    let body = pattern(300_000);
    let (ids, answer) = fill(&caller, &body);
    assert!((5..=14).contains(&ids.len()), "{} fit in 4 MB", ids.len());
    refused(&gateway, &answer, 503, "queue_disk_full");
    assert_eq!(caller.send(&post(), &[], &body).status, 200);
    for id in &ids {
        assert!(!later::has_ended(&caller.show(id)));
    }
    gate.open();
    // Results have no room either; what was accepted ends all the same.
    for id in &ids {
        caller.ended(id);
    }
}

#[test]
fn bodies_that_are_still_coming_share_the_disk_too() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_QUEUE_DISK_BYTES_MAX", 4_000_000)
        .start();
    let caller = gateway.caller();
    let head = format!(
        "{} HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\nx-async-request: true\r\n\
         transfer-encoding: chunked\r\n\r\n",
        post()
    );
    let mut coming: Vec<_> = (0..3)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(&head);
            client.send(chunk(pattern(1_200_000)));
            client
        })
        .collect();
    // Their room is taken piece by piece as they come.
    gateway.wait_metric("weir_async_bytes", &[], |n| n > 3_500_000.0);
    let refused_one = caller.submit(&post(), &[], &pattern(800_000));
    refused(&gateway, &refused_one, 503, "queue_disk_full");
    coming.clear();
    caller.accepted_in_the_end(&pattern(800_000));
}

#[test]
fn a_result_has_a_size() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head);
        if head.has("x-chunked") {
            conn.start_chunked();
            for piece in body.bytes.chunks(1_000) {
                if conn.write(chunk(piece)).is_err() {
                    return Next::Close;
                }
            }
            let _ = conn.write("0\r\n\r\n");
            return Next::Keep;
        }
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_QUEUE_RESULT_BYTES_MAX", 100_000)
        .start();
    let caller = gateway.caller();
    for headers in [vec![], vec![("x-chunked", "1")]] {
        let id = caller.accepted_as(&post(), &headers, &pattern(100_000));
        caller.ends(&id, "completed");
        assert!(caller.result(&id).body == pattern(100_000));
        let sent = backend.count();
        let id = caller.accepted_as(&post(), &headers, &pattern(100_001));
        let document = caller.fails(&id, "result_too_large");
        assert_eq!(document["attempts"], 1, "{document}");
        assert_eq!(
            problem(&[502], &caller.result(&id)),
            "async_result_too_large"
        );
        assert_eq!(backend.count(), sent + 1, "not tried again");
    }
}

/// Submits under an idempotency key.
fn once(caller: &Caller, line: &str, name: &str, body: &[u8]) -> Response {
    caller.submit(line, &[("idempotency-key", name)], body)
}

#[test]
fn the_same_submission_is_one_request() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = Gateway::with(iris(&backend).with(key(OTHER, "demo"))).start();
    let caller = gateway.caller();
    let body = pattern(80_000);
    let first = once(&caller, &post(), "mine", &body);
    let id = later::whole_document(&want(202, &first));
    assert!(!first.head.has("idempotency-replayed"));
    backend.wait_count(1);
    let same = |caller: &Caller, status: &str| {
        let again = once(caller, &post(), "mine", &body);
        let document = want(202, &again);
        assert_eq!(later::whole_document(&document), id);
        assert_eq!(document["status"], status);
        assert_eq!(again.get("idempotency-replayed").as_deref(), Some("true"));
        assert_eq!(again.get("location"), Some(format!("/async/{id}")));
    };
    caller.wait_status(&id, "running");
    same(&caller, "running");
    let mut other = body.clone();
    other[79_999] ^= 1;
    for (line, body) in [
        (post(), &other),
        (post(), &Vec::new()),
        (format!("{}?q=1", post()), &body),
        (format!("{}/v1", post()), &body),
        (format!("PUT {PREDICT}"), &body),
        ("POST /stream/demo/iris".to_owned(), &body),
    ] {
        let answer = once(&caller, &line, "mine", body);
        assert_eq!(problem(&[422], &answer), "idempotency_conflict", "{line}");
    }
    let theirs = once(&gateway.caller_with(OTHER), &post(), "mine", &other);
    assert_ne!(later::whole_document(&want(202, &theirs)), id);
    let unlike = once(&caller, &post(), "MINE", &other);
    assert_ne!(later::whole_document(&want(202, &unlike)), id);
    gate.open();
    caller.ends(&id, "completed");
    same(&caller, "completed");
    let sent = backend.count();
    for stop in [Stop::Kill, Stop::Term] {
        gateway.restart(stop);
        same(&gateway.caller(), "completed");
        let answer = once(&gateway.caller(), &post(), "mine", &other);
        assert_eq!(problem(&[422], &answer), "idempotency_conflict");
    }
    assert_eq!(gateway.caller().list("").len(), 2);
    eventually(WHOLE_LIFE, "all have ended", || {
        gateway.caller().list("status=completed").len() == 2
    });
    assert!(backend.count() <= sent + 2, "{} times", backend.count());
}

#[test]
fn sixteen_who_send_it_at_once_get_one_id() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    for round in 0..20 {
        let name = format!("round-{round}");
        // Every other body is beyond what a row holds.
        let body = pattern(1_000 + (round % 2) * 100_000);
        let answers = at_once(16, |_| once(&caller, &post(), &name, &body));
        let ids: BTreeSet<_> = answers
            .iter()
            .map(|answer| later::whole_document(&want(202, answer)))
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let fresh = answers
            .iter()
            .filter(|a| !a.head.has("idempotency-replayed"))
            .count();
        assert_eq!(fresh, 1);
        let id = ids.first().unwrap();
        caller.ends(id, "completed");
        assert!(caller.result(id).body == body);
    }
    assert_eq!(backend.count(), 20);
    assert_eq!(caller.list("").len(), 20);
    assert_eq!(gateway.caller_with(KEY).list("limit=1").len(), 20);
}
