//! Nothing runs for longer than somebody wants it: attempts and whole requests have limits in time,
//! and either can be cancelled.

use std::{
    sync::Arc, sync::Mutex, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration,
    time::Instant,
};

use crate::{
    async_run,
    support::{
        Backend, Ended, Gate, HANGUP_BOUND, Next, PATIENCE, at_once, client::chunk, eventually,
        later, post, problem, want,
    },
};

#[test]
fn past_its_deadline_it_expires_queued_or_running() {
    let gate = Gate::new();
    let ends = Arc::new(Mutex::new(Vec::new()));
    let (door, seen) = (gate.clone(), Arc::clone(&ends));
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.bytes == b"runs" {
            seen.lock().unwrap().push(conn.wait_end(PATIENCE * 2));
            return Next::Close;
        }
        while !door.wait() {}
        conn.answer(200, &[], b"")
    });
    let gateway = later::at_most(async_run::gateway(&backend), 1).start();
    let caller = gateway.caller();
    let limit = [("x-full-live-timeout", "2")];
    let running = caller.accepted_as(&post(), &limit, b"runs");
    backend.wait_count(1);
    let document = caller.ends(&running, "expired");
    assert_eq!(document["attempts"], 1, "{document}");
    eventually(PATIENCE, "its exchange is broken off", || {
        matches!(ends.lock().unwrap().first(), Some(Some(_)))
    });
    let blocker = caller.accepted(b"blocks");
    backend.wait_count(2);
    let queued = caller.accepted_as(&post(), &limit, b"never runs");
    let document = caller.ends(&queued, "expired");
    assert_eq!(document["attempts"], 0, "{document}");
    for id in [&running, &queued] {
        assert_eq!(problem(&[410], &caller.result(id)), "async_expired");
    }
    gate.open();
    caller.ends(&blocker, "completed");
    assert_eq!(backend.count(), 2);
}

#[test]
fn one_attempt_has_a_limit_of_its_own() {
    let count = AtomicUsize::new(0);
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if count.fetch_add(1, Ordering::SeqCst) == 0 || body.bytes == b"always" {
            conn.wait_end(PATIENCE * 2);
            return Next::Close;
        }
        conn.answer(200, &[], b"second")
    });
    let gateway = async_run::gateway(&backend)
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 2)
        .start();
    let caller = gateway.caller();
    let limit = [("x-request-timeout", "1")];
    let id = caller.accepted_as(&post(), &limit, b"once");
    let document = caller.ends(&id, "completed");
    assert_eq!(document["attempts"], 2, "{document}");
    assert_eq!(caller.result(&id).text(), "second");
    assert!(backend.end_of(backend.received()[0].conn).is_some());
    let id = caller.accepted_as(&post(), &limit, b"always");
    assert_eq!(caller.fails(&id, "exhausted")["attempts"], 2);
    assert_eq!(problem(&[502], &caller.result(&id)), "async_exhausted");
}

#[test]
fn limits_hold_behind_the_head_of_an_answer_too() {
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if head.get("x-async-attempt").as_deref() == Some("2") {
            return conn.answer(200, &[], &body.bytes);
        }
        conn.start_chunked();
        while conn.write(chunk("drop by drop\n")).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Next::Close
    });
    let gateway = async_run::gateway(&backend).start();
    let caller = gateway.caller();
    for line in [&post(), "POST /stream/demo/iris"] {
        let id = caller.accepted_as(line, &[("x-full-live-timeout", "1")], b"{}");
        let document = caller.ends(&id, "expired");
        assert_eq!(document["attempts"], 1, "{document}");
        assert_eq!(problem(&[410], &caller.result(&id)), "async_expired");
    }
    let limit = [("x-request-timeout", "1")];
    let id = caller.accepted_as(&post(), &limit, b"again");
    let document = caller.ends(&id, "completed");
    assert_eq!(document["attempts"], 2, "{document}");
    assert_eq!(caller.result(&id).text(), "again");
    // What was seen of a stream is not told anew.
    let id = caller.accepted_as("POST /stream/demo/iris", &limit, b"{}");
    let document = caller.fails(&id, "stream_broken");
    assert_eq!(document["attempts"], 1, "{document}");
}

#[test]
fn cancelled_it_does_not_run_or_stops_running() {
    let (told, ended) = std::sync::mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.bytes == b"done" {
            return conn.answer(200, &[], b"done");
        }
        told.send(conn.wait_end(PATIENCE * 2)).unwrap();
        Next::Close
    });
    let gateway = later::at_most(async_run::gateway(&backend), 1).start();
    let caller = gateway.caller();
    for (method, tail) in [("POST", "/cancel"), ("DELETE", "")] {
        let done = caller.accepted(b"done");
        caller.ends(&done, "completed");
        let sent = backend.count();
        let running = caller.accepted(b"hangs");
        backend.wait_count(sent + 1);
        let queued = caller.accepted(b"waits");
        let cancel = |id: &str| caller.send(&format!("{method} /async/{id}{tail}"), &[], b"");
        assert_eq!(want(200, &cancel(&queued))["status"], "cancelled");
        assert_eq!(caller.show(&queued)["status"], "cancelled");
        let asked = Instant::now();
        let document = want(202, &cancel(&running));
        assert_eq!(document["status"], "cancelled", "{document}");
        let (at, how) = ended.recv_timeout(PATIENCE).unwrap().expect("an end");
        assert!(matches!(how, Ended::Eof | Ended::Reset), "{how:?}");
        let took = at.saturating_duration_since(asked);
        assert!(took < HANGUP_BOUND, "closed after {took:?}");
        caller.ends(&running, "cancelled");
        for id in [&done, &running, &queued] {
            let before = caller.show(id);
            assert_eq!(problem(&[409], &cancel(id)), "async_ended");
            assert_eq!(caller.show(id), before);
        }
        assert_eq!(problem(&[410], &caller.result(&running)), "async_cancelled");
        assert_eq!(caller.result(&done).text(), "done");
        assert_eq!(backend.count(), sent + 1, "the queued one never ran");
    }
}

#[test]
fn a_cancel_and_an_end_that_meet_leave_one_of_them() {
    let backend = Backend::echo();
    let gateway = async_run::gateway(&backend).start();
    let caller = gateway.caller();
    let told = at_once(4, |thread| {
        let mut told = Vec::new();
        for n in 0..50 {
            let body = format!("{thread}-{n}").into_bytes();
            let id = caller.accepted(&body);
            // Now at once, now when it is about to have run.
            for _ in 0..n % 4 {
                caller.show(&id);
            }
            let answer = caller.cancel(&id);
            assert!(
                matches!(answer.status, 200 | 202 | 409),
                "{}",
                answer.text()
            );
            told.push((id, body, answer.status));
        }
        told
    });
    let mut cancelled = 0;
    for (id, body, status) in told.into_iter().flatten() {
        if status == 409 {
            caller.ends(&id, "completed");
            assert!(caller.result(&id).body == body);
        } else {
            cancelled += 1;
            caller.ends(&id, "cancelled");
            assert_eq!(problem(&[410], &caller.result(&id)), "async_cancelled");
        }
    }
    println!("{cancelled} of 200 were cancelled");
}
