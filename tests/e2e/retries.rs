//! What is safe to send again is sent again, within a budget.

use std::sync::{Arc, atomic::AtomicBool};

use crate::balance::{moody, pool};
use crate::support::{AUTH, Backend, Gateway, Next, PATIENCE, eventually, iris, pattern, post};

#[test]
fn a_kept_connection_that_went_stale_costs_no_request() {
    // Closes after each answer without having said so: every reuse is a race.
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"ok");
        Next::Close
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let mut client = gateway.connect();
    for n in 0..200 {
        let answer = client.call(&post(), &[AUTH], b"{}");
        assert_eq!(answer.status, 200, "request {n}: {}", answer.text());
    }
    let large = pattern(200_000);
    for n in 0..20 {
        let answer = client.call(&post(), &[AUTH], &large);
        assert_eq!(answer.status, 200, "large request {n}: {}", answer.text());
        // Closed before the next is sent: that one need not be sent twice.
        let conn = backend.last().conn;
        eventually(PATIENCE, "the close", || backend.end_of(conn).is_some());
    }
}

#[test]
fn retries_have_a_budget() {
    let sick = Arc::new(AtomicBool::new(true));
    let backends = [moody(&sick), moody(&sick)];
    let gateway = Gateway::with(pool(&backends.each_ref()))
        .env("WEIR_WORKERS", 1)
        .env("WEIR_UPSTREAM_RETRY_MIN", 1)
        .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 100_000)
        .env("WEIR_EJECTION_SUCCESS_RATE_MIN_REQUESTS", 1_000_000)
        .start();
    let mut client = gateway.connect();
    for _ in 0..200 {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 502);
    }
    let asked: usize = backends.iter().map(Backend::count).sum();
    println!("200 failing requests were sent {asked} times");
    // 20 % of 200, and what the minimum may add in the few seconds this takes.
    assert!((200..=255).contains(&asked), "{asked}");
    let retries = gateway.metric("weir_retries_total", &[]);
    let sent_twice = asked - 200;
    assert!(
        (retries - f64::from(u32::try_from(sent_twice).unwrap())).abs() < 1.5,
        "{retries} counted, {sent_twice} seen"
    );
}

#[test]
fn a_body_too_large_to_keep_is_not_sent_twice() {
    let sick = Arc::new(AtomicBool::new(true));
    let backends = [moody(&sick), moody(&sick)];
    let gateway = Gateway::with(pool(&backends.each_ref()))
        .env("WEIR_UPSTREAM_RETRY_BODY_BYTES_MAX", 1_000)
        .start();
    let answer = gateway.call(&post(), &[AUTH], &pattern(100_000));
    assert_eq!(answer.status, 502);
    assert_eq!(backends.iter().map(Backend::count).sum::<usize>(), 1);
}

#[test]
fn an_answer_of_500_is_not_asked_for_again() {
    let backends = [0, 1].map(|_| {
        Backend::start(|conn, head| {
            conn.body(head);
            conn.answer(503, &[], b"busy")
        })
    });
    let gateway = Gateway::start(pool(&backends.each_ref()));
    let answer = gateway.call(&post(), &[AUTH], b"{}");
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!(backends.iter().map(Backend::count).sum::<usize>(), 1);
}
