//! Work is spread over backends and workers; the sick are stepped past and come back.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, Next, Nowhere, PATIENCE, PREDICT, RawClient,
    deployment, eventually, iris, key, pattern,
};

fn post() -> String {
    format!("POST {PREDICT}")
}

fn pool(backends: &[&Backend]) -> Declarations {
    let mut iris = deployment("demo/iris");
    for backend in backends {
        iris = iris.backend(backend);
    }
    Declarations::new().with(iris).with(key(KEY, "demo"))
}

/// A backend that resets every request while `sick` says so.
fn moody(sick: &Arc<AtomicBool>) -> Backend {
    let sick = Arc::clone(sick);
    Backend::start(move |conn, head| {
        conn.body(head);
        if sick.load(Ordering::SeqCst) {
            return Next::Reset;
        }
        conn.answer(200, &[], b"ok")
    })
}

#[test]
fn weights_are_shares() {
    let backends = [Backend::echo(), Backend::echo(), Backend::echo()];
    let gateway = Gateway::with(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&backends[0].url(), ", weight = 3")
                    .backend_at(&backends[1].url(), ", weight = 1")
                    .backend_at(&backends[2].url(), ", weight = 0"),
            )
            .with(key(KEY, "demo")),
    )
    .start();
    let addr = gateway.addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut client = RawClient::connect(addr);
                for _ in 0..150 {
                    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                }
            });
        }
    });
    let [heavy, light, none] = [0, 1, 2].map(|n| backends[n].count());
    println!("weights 3, 1, 0 took {heavy}, {light}, {none}");
    assert_eq!((heavy + light, none), (600, 0));
    assert!(
        (360..=540).contains(&heavy),
        "{heavy} of 600 to the one of weight 3"
    );
}

#[test]
fn equal_backends_share_evenly() {
    let backends = [
        Backend::echo(),
        Backend::echo(),
        Backend::echo(),
        Backend::echo(),
    ];
    let gateway = Gateway::start(pool(&backends.each_ref()));
    let mut client = gateway.connect();
    for _ in 0..400 {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
    }
    for backend in &backends {
        assert!(
            backend.count() >= 30,
            "{} of 400 to one of four",
            backend.count()
        );
    }
}

#[test]
fn a_slow_backend_is_avoided() {
    let slow = Backend::start(|conn, head| {
        conn.body(head);
        // Its slowness is the script.
        thread::sleep(Duration::from_millis(150));
        conn.answer(200, &[], b"slow")
    });
    let fast = Backend::says("fast");
    let gateway = Gateway::with(pool(&[&slow, &fast]))
        .env("WEIR_WORKERS", 1)
        .start();
    let addr = gateway.addr();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let mut client = RawClient::connect(addr);
                for _ in 0..40 {
                    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                }
            });
        }
    });
    println!("slow {} fast {}", slow.count(), fast.count());
    assert_eq!(slow.count() + fast.count(), 320);
    assert!(
        slow.count() * 4 < fast.count(),
        "slow {} fast {}",
        slow.count(),
        fast.count()
    );
}

/// Processor time of each thread of a process, in nanoseconds.
fn thread_times(pid: u32) -> HashMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let time = text.split(' ').next()?.parse().ok()?;
            Some((task.file_name().into_string().ok()?, time))
        })
        .collect()
}

#[test]
fn eight_long_connections_never_sit_on_one_of_two_workers() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for round in 0..10 {
        let mut clients: Vec<_> = (0..8)
            .map(|_| {
                let mut client = gateway.connect();
                assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                client
            })
            .collect();
        // The worker of a connection is the thread that works while only it asks.
        let mut loads: HashMap<String, usize> = HashMap::new();
        for client in &mut clients {
            let before = thread_times(gateway.pid());
            for _ in 0..15 {
                assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
            }
            let after = thread_times(gateway.pid());
            let spent = |id: &String| after[id] - before.get(id).copied().unwrap_or(0);
            let worker = after.keys().max_by_key(|id| spent(id)).unwrap();
            *loads.entry(worker.clone()).or_default() += 1;
        }
        println!("round {round}: {:?}", loads.values());
        assert!(loads.len() >= 2, "round {round}: all eight on one worker");
    }
}

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
        .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 1_000_000)
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
