//! What runs later is run until it has an answer: again after a failure, on the version that is
//! live then, within its limits, and never for longer than somebody wants it.

use std::{
    sync::Arc, sync::Mutex, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration,
    time::Instant,
};

use serde_json::json;

use crate::support::{
    Backend, Gateway, Next, Nowhere, PATIENCE, admin, deployment, eventually, gateway::Builder,
    iris, key, later, problem, want,
};

/// Answers with these statuses in turn, the last one from then on; the body tells which it was.
pub(crate) fn moody(statuses: &[u16]) -> Backend {
    let (statuses, count) = (statuses.to_vec(), AtomicUsize::new(0));
    Backend::start(move |conn, head| {
        conn.body(head);
        let n = count.fetch_add(1, Ordering::SeqCst);
        let status = statuses[n.min(statuses.len() - 1)];
        conn.answer(status, &[("x-model", "m")], format!("{n}").as_bytes())
    })
}

pub(crate) fn gateway(backend: &Backend) -> Builder {
    later::impatient(Gateway::with(iris(backend)))
}

fn attempts(backend: &Backend) -> Vec<String> {
    let received = backend.received();
    received
        .iter()
        .filter_map(|r| r.head.get("x-async-attempt"))
        .collect()
}

#[test]
fn what_may_pass_is_tried_again() {
    for passing in [429, 502, 503, 504] {
        let backend = moody(&[passing, passing, 200]);
        let gateway = gateway(&backend).start();
        let caller = gateway.caller();
        let id = caller.accepted(b"{}");
        let document = caller.ends(&id, "completed");
        assert_eq!(document["attempts"], 3, "{document}");
        assert_eq!(caller.result(&id).text(), "2");
        assert_eq!(attempts(&backend), ["1", "2", "3"], "{passing}");
    }
    // A reset and a close before the head are no answers either.
    for next in [Next::Reset, Next::Close] {
        let count = AtomicUsize::new(0);
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            if count.fetch_add(1, Ordering::SeqCst) < 2 {
                return next;
            }
            conn.answer(200, &[], b"third")
        });
        let gateway = gateway(&backend).start();
        let caller = gateway.caller();
        let id = caller.accepted(b"{}");
        assert_eq!(caller.ends(&id, "completed")["attempts"], 3);
        assert_eq!(caller.result(&id).text(), "third");
    }
}

#[test]
fn attempts_are_spent_after_five_and_the_last_answer_is_kept() {
    for passing in [429, 502, 503, 504] {
        let backend = moody(&[passing]);
        let gateway = gateway(&backend).start();
        let caller = gateway.caller();
        let id = caller.accepted(b"{}");
        let document = caller.fails(&id, "exhausted");
        assert_eq!(document["attempts"], 5, "{document}");
        assert_eq!(document["result_status"], passing);
        assert_eq!(attempts(&backend), ["1", "2", "3", "4", "5"]);
        let result = caller.result(&id);
        assert_eq!((result.status, result.text().as_str()), (passing, "4"));
        assert_eq!(result.get("x-async-status").as_deref(), Some("error"));
        assert_eq!(result.get("x-model").as_deref(), Some("m"));
    }
    let backend = Backend::start(|_, _| Next::Reset);
    let gateway = gateway(&backend).start();
    let caller = gateway.caller();
    let id = caller.accepted(b"{}");
    assert_eq!(caller.fails(&id, "exhausted")["attempts"], 5);
    let result = caller.result(&id);
    assert_eq!(problem(&[502], &result), "async_exhausted");
    assert_eq!(result.get("x-async-status").as_deref(), Some("error"));
    assert_eq!(backend.count(), 5);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for status in [500, 501, 505] {
        let backend = moody(&[status, 200]);
        let gateway = gateway(&backend).start();
        let caller = gateway.caller();
        let id = caller.accepted(b"{}");
        let document = caller.fails(&id, "unprocessable");
        assert_eq!(
            (&document["attempts"], &document["result_status"]),
            (&json!(1), &json!(status))
        );
        let result = caller.result(&id);
        assert_eq!((result.status, result.text().as_str()), (status, "0"));
        assert_eq!(backend.count(), 1);
    }
    for said in [
        "no http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        let backend = Backend::raw(said, Next::Close);
        let gateway = gateway(&backend).start();
        let caller = gateway.caller();
        let id = caller.accepted(b"{}");
        assert_eq!(caller.fails(&id, "unprocessable")["attempts"], 1);
        let result = caller.result(&id);
        assert_eq!(problem(&[502], &result), "async_unprocessable", "{said:?}");
        assert_eq!(backend.count(), 1, "{said:?}");
    }
}

#[test]
fn a_backend_that_is_not_there_yet_is_waited_for() {
    let nowhere = Nowhere::new();
    let declared = crate::support::Declarations::new()
        .with(deployment("demo/iris").backend_at(&nowhere.url(), ""))
        .with(key(crate::support::KEY, "demo"));
    let gateway = later::impatient(Gateway::with(declared))
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 100_000)
        .start();
    let caller = gateway.caller();
    let id = caller.accepted(b"patient");
    eventually(PATIENCE, "it is tried and fails", || {
        caller.show(&id)["attempts"].as_u64() >= Some(2)
    });
    let backend = Backend::listen(nowhere.addr(), |conn, head| {
        let body = conn.body(head);
        conn.answer(200, &[], &body.bytes)
    });
    caller.ends(&id, "completed");
    assert_eq!(caller.result(&id).text(), "patient");
    assert_eq!(backend.count(), 1);
}

#[test]
fn between_two_attempts_it_is_queued_and_says_until_when() {
    let backend = moody(&[503]);
    let gateway = gateway(&backend)
        .env("WEIR_QUEUE_RETRY_MIN_MS", 60_000)
        .env("WEIR_QUEUE_RETRY_MAX_MS", 60_000)
        .start();
    let caller = gateway.caller();
    let id = caller.accepted(b"{}");
    eventually(PATIENCE, "the first attempt fails", || {
        let shown = caller.show(&id);
        shown["status"] == "queued" && shown["attempts"] == 1
    });
    let shown = caller.show(&id);
    let next: jiff::Timestamp = admin::text(&shown["next_attempt_at"]).parse().unwrap();
    let wait = next.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((20..=61).contains(&wait), "{shown}");
    want(200, &caller.cancel(&id));
    assert_eq!(backend.count(), 1);
}

#[test]
fn a_backend_that_asks_for_time_gets_it() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        match seen.len() {
            1 => conn.answer(503, &[("retry-after", "2")], b""),
            _ => conn.answer(200, &[], b"later"),
        }
    });
    let gateway = gateway(&backend)
        .env("WEIR_QUEUE_RETRY_MAX_MS", 5_000)
        .start();
    let caller = gateway.caller();
    let id = caller.accepted(b"{}");
    caller.ends(&id, "completed");
    let times = times.lock().unwrap();
    let waited = times[1] - times[0];
    assert!(waited >= Duration::from_millis(1_950), "{waited:?}");
}
