//! Short of memory, weir begins less: bulk work first, then everything but health.

use std::time::Duration;

use crate::support::{
    AUTH, Backend, Gate, Gateway, PATIENCE, PREDICT, eventually, holds_within, iris, post,
};

fn gateway(backend: &Backend, mark: u64) -> Gateway {
    Gateway::with(iris(backend))
        .env("WEIR_OVERLOAD_MEMORY_HIGH_BYTES", mark)
        .env("WEIR_OVERLOAD_MEMORY_CHECK_MS", 10)
        .env("WEIR_UPSTREAM_RETRY_BODY_BYTES_MAX", HELD_BYTES)
        .start()
}

/// What one call holds that waits for its backend with its body kept to be sent again.
const HELD_BYTES: usize = 2 << 20;

#[test]
fn beyond_the_mark_async_submissions_are_shed_and_calls_are_not() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.bytes.len() >= HELD_BYTES {
            held.wait();
        }
        conn.answer(200, &[], b"ok")
    });
    // What a gateway has that does nothing, and room for a dozen calls: the next step of the mark is
    // further away than one of them.
    let size = gateway(&backend, 1 << 40).rss_kib() << 10;
    let gateway = gateway(&backend, size + 12 * HELD_BYTES as u64);
    let is_high = || gateway.metric("weir_memory_high", &[]) > 0.5;
    let mut calls = Vec::new();
    while !is_high() {
        assert!(calls.len() < 64, "{} KiB", gateway.rss_kib());
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], &vec![b'x'; HELD_BYTES]);
        calls.push(client);
        backend.wait_count(calls.len());
        // Longer than it takes to be looked at.
        holds_within(Duration::from_millis(100), is_high);
    }
    let level = gateway.metric("weir_memory_high", &[]);
    assert!(level < 1.5, "all is shed at {} KiB", gateway.rss_kib());
    assert_eq!(gateway.call(&post(), &[AUTH], b"now").status, 200);
    let later = [AUTH, ("x-async-request", "true")];
    let answer = gateway.call(&post(), &later, b"later");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["code"], "shedding");
    let shed = [("reason", "memory"), ("priority", "bulk")];
    assert!(gateway.metric("weir_shed_total", &shed) > 0.5);
    // What is under way goes on.
    gate.open();
    for client in &mut calls {
        assert_eq!(client.response("POST").status, 200);
    }
}

#[test]
fn far_beyond_it_health_alone_is_answered_and_operators_are() {
    let backend = Backend::echo();
    let gateway = gateway(&backend, 1 << 20);
    eventually(PATIENCE, "the mark is reached", || {
        gateway.metric("weir_memory_high", &[]) > 1.5
    });
    let answer = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"x");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["code"], "shedding");
    assert!(answer.head.get("retry-after").is_some());
    assert_eq!(gateway.call("GET /v2/health/live", &[], b"").status, 200);
    assert_eq!(gateway.admin("GET /healthz").status, 200);
    assert_eq!(backend.count(), 0);
    let told = gateway.log().matches("short of memory").count();
    assert_eq!(told, 1, "{}", gateway.log());
}
