//! Backends that fail are stepped past, and come back when they are well.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::balance::{moody, pool};
use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, Next, Nowhere, PATIENCE, PREDICT, deployment,
    eventually, key, post,
};

#[test]
fn a_backend_that_fails_is_ejected_and_returns() {
    let sick = Arc::new(AtomicBool::new(true));
    let bad = moody(&sick);
    let good = Backend::says("ok");
    let gateway = Gateway::with(pool(&[&bad, &good]))
        .env("WEIR_WORKERS", 1)
        .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 3)
        .env("WEIR_EJECTION_BASE_MS", 1_500)
        .env("WEIR_EJECTION_MAX_MS", 1_500)
        .env("WEIR_EJECTION_RETURN_RAMP_MS", 100)
        .start();
    let mut client = gateway.connect();
    eventually(PATIENCE, "the ejection", || {
        client.call(&post(), &[AUTH], b"{}");
        gateway.metric("weir_ejections_total", &[]) > 0.5
    });
    let reached = bad.count();
    for _ in 0..30 {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
    }
    assert!(
        bad.count() <= reached + 1,
        "an ejected backend was asked {} times",
        bad.count() - reached
    );
    sick.store(false, Ordering::SeqCst);
    let back = bad.count();
    eventually(PATIENCE, "the return", || {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
        bad.count() > back + 5
    });
}

#[test]
fn at_most_half_of_a_pool_is_ejected() {
    let sick = Arc::new(AtomicBool::new(true));
    for (size, at_most) in [(1, 0.0), (2, 1.0), (3, 1.0), (5, 2.0)] {
        let backends: Vec<_> = (0..size).map(|_| moody(&sick)).collect();
        let gateway = Gateway::with(pool(&backends.iter().collect::<Vec<_>>()))
            .env("WEIR_WORKERS", 1)
            .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 2)
            .env("WEIR_EJECTION_BASE_MS", 60_000)
            .env("WEIR_EJECTION_MAX_MS", 60_000)
            .start();
        let mut client = gateway.connect();
        for _ in 0..60 {
            assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 502);
        }
        let asked: usize = backends.iter().map(Backend::count).sum();
        assert!(asked >= 60, "{size}: only {asked} of 60 were tried");
        let ejected = gateway.metric("weir_ejections_total", &[]);
        println!("{size} sick backends: {ejected} ejected");
        assert!(ejected <= at_most, "{ejected} of {size} ejected");
        if at_most > 0.5 {
            assert!(ejected > 0.5, "none of {size} ejected");
        }
    }
}

#[test]
fn probes_take_a_backend_out_and_bring_it_back() {
    let backends = [Backend::says("a"), Backend::says("b")];
    let gateway = Gateway::with(pool(&backends.each_ref()))
        .env("WEIR_HEALTH_INTERVAL_MS", 50)
        .env("WEIR_HEALTH_TIMEOUT_MS", 1_000)
        .env("WEIR_HEALTH_UNHEALTHY_AFTER", 2)
        .env("WEIR_HEALTH_HEALTHY_AFTER", 2)
        .env("WEIR_EJECTION_RETURN_RAMP_MS", 100)
        .start();
    let mut client = gateway.connect();
    let mut run = |n: usize| {
        let before = backends.each_ref().map(Backend::count);
        for _ in 0..n {
            assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
        }
        [0, 1].map(|at| backends[at].count() - before[at])
    };
    assert!(run(40).iter().all(|n| *n > 0), "both serve at first");
    // No health path declared: below 500 is well, 503 is not.
    backends[0].set_healthy(false);
    eventually(PATIENCE, "out", || run(20)[0] == 0);
    assert_eq!(run(40), [0, 40], "it stays out");
    backends[0].set_healthy(true);
    eventually(PATIENCE, "back in", || run(20)[0] > 0);
    backends[0].set_healthy(false);
    backends[1].set_healthy(false);
    let (a, b) = (backends[0].probes(), backends[1].probes());
    eventually(PATIENCE, "both are known to be bad", || {
        backends[0].probes() > a + 4 && backends[1].probes() > b + 4
    });
    assert_eq!(run(20).iter().sum::<usize>(), 20, "all bad: tried anyway");
}

#[test]
fn a_declared_health_path_is_asked_and_must_say_2xx() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let picky = Backend::start(move |conn, head| {
        conn.body(head);
        if head.target() == "/base/ready" {
            seen.store(true, Ordering::SeqCst);
            return conn.answer(404, &[], b"");
        }
        conn.answer(200, &[], b"picky")
    });
    let other = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(
            if head.target() == "/base/ready" {
                204
            } else {
                200
            },
            &[],
            b"",
        )
    });
    let gateway = Gateway::with(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&format!("{}/base", picky.url()), "")
                    .backend_at(&format!("{}/base", other.url()), "")
                    .main("health_path = \"/ready\""),
            )
            .with(key(KEY, "demo")),
    )
    .env("WEIR_HEALTH_INTERVAL_MS", 50)
    .env("WEIR_HEALTH_UNHEALTHY_AFTER", 2)
    .start();
    eventually(PATIENCE, "the probe", || asked.load(Ordering::SeqCst));
    let mut client = gateway.connect();
    let picked = || {
        picky
            .received()
            .iter()
            .filter(|r| r.head.target() == "/base/predict")
            .count()
    };
    eventually(PATIENCE, "404 is not ready", || {
        let before = picked();
        for _ in 0..20 {
            assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
        }
        picked() == before
    });
}

#[test]
fn one_dead_of_two_backends_costs_no_request() {
    let nobody = Nowhere::new();
    let good = Backend::says("ok");
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&nobody.url(), "")
                    .backend(&good),
            )
            .with(key(KEY, "demo")),
    );
    let mut client = gateway.connect();
    for n in 0..100 {
        let answer = client.call(&post(), &[AUTH], b"{}");
        assert_eq!(answer.status, 200, "request {n}: {}", answer.text());
    }
}

#[test]
fn clients_that_are_too_slow_for_the_total_limit_eject_nobody() {
    let upload = || {
        Backend::start(|conn, head| {
            conn.body(head);
            Next::Close
        })
    };
    let (one, two) = (upload(), upload());
    let gateway = Gateway::with(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&one)
                    .backend(&two)
                    .timeouts("total_ms = 300"),
            )
            .with(key(KEY, "demo")),
    )
    .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 2)
    .start();
    let mut clients: Vec<_> = (0..12).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\ncontent-length: 9\r\n\r\nx"
        ));
    }
    for mut client in clients {
        assert_eq!(client.response("POST").status, 504);
    }
    assert!(gateway.metric("weir_ejections_total", &[]) < 0.5);
}

/// A backend that starts every answer and ends none passes for well at each head; its success rate
/// beside the others' gives it away.
#[test]
fn a_backend_that_always_breaks_off_is_ejected() {
    let torn = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let bad = Backend::raw(torn, Next::Close);
    let good = Backend::says("ok");
    let gateway = Gateway::with(pool(&[&bad, &good]))
        .env("WEIR_EJECTION_SUCCESS_RATE_MIN_REQUESTS", 5)
        .start();
    eventually(PATIENCE, "the ejection", || {
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], b"{}");
        // A torn answer is torn for the client too.
        let _ = client.try_response("POST");
        gateway.metric("weir_ejections_total", &[("reason", "success_rate")]) > 0.5
    });
    assert!(bad.count() >= 5 && good.count() >= 5);
}
