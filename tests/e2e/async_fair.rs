//! Everybody gets a fair share: neither a flood of one key nor a request that kills its backend
//! keeps the others waiting.

use std::{
    sync::Arc, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration, time::Instant,
};

use crate::{
    async_run,
    support::{
        Backend, Gate, Gateway, KEY, Next, PATIENCE, Stop, at, eventually, iris, key, later,
        later::LATER, post, version, want,
    },
};

const FLOOD: &str = "wk_flood_0123456789abcdefghijklmnopqrstu";
const QUIET: [&str; 2] = [
    "wk_quiet_0123456789abcdefghijklmnopqrstu",
    "wk_modest_0123456789abcdefghijklmnopqrst",
];

/// How many requests a quiet key has; the flooding one has ten times as many.
const FEW: usize = 60;

/// Submits so many over one connection, each with these words; their ids.
fn submit(gateway: &Gateway, key: &str, words: &str, count: usize) -> Vec<String> {
    let mut client = gateway.connect();
    (0..count)
        .map(|_| {
            let headers = [("x-api-key", key), LATER, ("x-who", words)];
            let answer = client.call(&post(), &headers, words.as_bytes());
            later::whole_document(&want(202, &answer))
        })
        .collect()
}

#[test]
fn a_flood_of_one_key_leaves_the_others_their_share() {
    for concurrency in [1, 2] {
        let gate = Gate::new();
        let backend = later::held_echo(&gate);
        let declared = iris(&backend)
            .with(key(FLOOD, "demo"))
            .with(key(QUIET[0], "demo"))
            .with(key(QUIET[1], "demo"));
        let gateway = later::at_most(Gateway::with(declared), concurrency).start();
        // The workers are busy until everybody stands in line.
        let blocking = submit(&gateway, KEY, "blocks", concurrency);
        backend.wait_count(concurrency);
        let flood = submit(&gateway, FLOOD, "flood", 10 * FEW);
        let quiet = QUIET.map(|key| submit(&gateway, key, key, FEW));
        gate.open();
        for (key, ids) in QUIET.iter().zip(&quiet) {
            let caller = gateway.caller_with(key);
            for id in ids {
                caller.ends(id, "completed");
            }
        }
        for id in &flood {
            gateway.caller_with(FLOOD).ends(id, "completed");
        }
        for id in &blocking {
            gateway.caller().ends(id, "completed");
        }
        // Three stand in line: while all have something to run, each gets every third place.
        let order = backend.received();
        let shared = &order[concurrency..concurrency + 3 * FEW];
        for key in QUIET {
            let got = shared
                .iter()
                .filter(|r| r.head.get("x-who").as_deref() == Some(key))
                .count();
            println!("concurrency {concurrency}: {got} of {FEW} in the shared time");
            assert!(got * 100 >= FEW * 95, "{got} of {FEW}: {key}");
        }
        assert_eq!(order.len(), concurrency + 12 * FEW);
    }
}

#[test]
fn a_key_that_comes_late_does_not_wait_for_the_flood() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let declared = iris(&backend)
        .with(key(FLOOD, "demo"))
        .with(key(QUIET[0], "demo"));
    let gateway = later::at_most(Gateway::with(declared), 1).start();
    submit(&gateway, FLOOD, "flood", 300);
    backend.wait_count(1);
    for _ in 0..20 {
        gate.step();
    }
    backend.wait_count(21);
    let late = submit(&gateway, QUIET[0], "late", 1);
    for _ in 0..3 {
        gate.step();
    }
    backend.wait_count(24);
    let order = backend.received();
    let came = order
        .iter()
        .position(|r| r.head.get("x-who").as_deref() == Some("late"));
    // The one that ran, and at most one round of the other's.
    assert!(came.is_some_and(|at| at <= 23), "{came:?}");
    gate.open();
    gateway.caller_with(QUIET[0]).ends(&late[0], "completed");
}

#[test]
fn one_keys_requests_run_in_the_order_they_came() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(Gateway::with(iris(&backend)), 1).start();
    let caller = gateway.caller();
    let ids: Vec<_> = (0..50)
        .map(|n| caller.accepted(format!("{n}").as_bytes()))
        .collect();
    gate.open();
    for id in &ids {
        caller.ends(id, "completed");
    }
    let order: Vec<_> = backend
        .received()
        .into_iter()
        .map(|r| String::from_utf8(r.body.unwrap().bytes).unwrap())
        .collect();
    let right: Vec<_> = (0..50).map(|n| format!("{n}")).collect();
    assert_eq!(order, right);
}

/// Takes its time for each answer, and dies of some.
fn mortal() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head);
        if body.bytes == b"poison" {
            return Next::Reset;
        }
        // How long this model takes.
        if conn.wait_end(Duration::from_millis(20)).is_some() {
            return Next::Close;
        }
        conn.answer(200, &[], &body.bytes)
    })
}

/// Runs good requests with some that kill their backend among them; how long the good ones took.
fn run(gateway: &Gateway, secret: &str, poisonous: usize) -> Duration {
    let caller = gateway.caller_with(secret);
    let since = Instant::now();
    let deadly: Vec<_> = (0..poisonous).map(|_| caller.accepted(b"poison")).collect();
    let good = submit(gateway, secret, "good", 200);
    for id in &good {
        assert_eq!(caller.ends(id, "completed")["attempts"], 1);
    }
    let took = since.elapsed();
    for id in &deadly {
        assert_eq!(caller.fails(id, "exhausted")["attempts"], 5);
    }
    took
}

#[test]
fn a_request_that_kills_its_backend_ends_as_a_dead_letter_beside_the_others() {
    let backend = mortal();
    let mut gateway = later::at_most(later::impatient(Gateway::bare()), 2).start();
    let made = gateway.api().create("demo/iris", &version(&backend.url()));
    let alone = run(&gateway, &made.secret, 0);
    let beside = run(&gateway, &made.secret, 4);
    println!("200 requests took {alone:?} alone and {beside:?} beside poison");
    // At least 90 % of the rate, and a second for the machine's other work.
    assert!(
        beside <= alone * 10 / 9 + Duration::from_secs(1),
        "{beside:?} after {alone:?}"
    );
    gateway.restart(Stop::Kill);
    let dead = gateway
        .api()
        .list(&format!("{}/async?dead=true", at("demo/iris")));
    assert_eq!(dead.len(), 4);
}

#[test]
fn a_deployments_share_is_limited_and_direct_calls_pass_by_it() {
    let gate = Gate::new();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (door, now, max) = (gate.clone(), Arc::clone(&open), Arc::clone(&most));
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if !head.has("x-async-attempt") {
            return conn.answer(200, &[], b"direct");
        }
        max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        while !door.wait() {}
        now.fetch_sub(1, Ordering::SeqCst);
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = later::at_most(async_run::gateway(&backend), 3).start();
    let caller = gateway.caller();
    let ids: Vec<_> = (0..40)
        .map(|n| caller.accepted(format!("{n}").as_bytes()))
        .collect();
    eventually(PATIENCE, "three at once", || {
        open.load(Ordering::SeqCst) == 3
    });
    for _ in 0..50 {
        assert_eq!(caller.send(&post(), &[], b"{}").text(), "direct");
    }
    assert_eq!(open.load(Ordering::SeqCst), 3, "and no more");
    assert_eq!(caller.list("status=queued&limit=200").len(), 37);
    gate.open();
    for (n, id) in ids.iter().enumerate() {
        caller.ends(id, "completed");
        assert_eq!(caller.result(id).text(), format!("{n}"));
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
