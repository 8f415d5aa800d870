//! What is counted of pairs is what happened: every request of a deployment with a challenger is a pair
//! or has a reason why it is none, and what a client takes of the time is not a model's.

use std::{thread, time::Duration};

use serde_json::Value;

use crate::async_run::moody;
use crate::mirror::gateway;
use crate::support::{
    AUTH, Backend, Gateway, Next, PATIENCE, Stop, at, client::chunk, eventually, later, pattern,
    post,
};

/// A body that a challenger never answers.
const HANG: &[u8] = b"hang";
/// A body of whose answer main gives half.
const HALF: &[u8] = b"half";

/// Pairs, and requests without one.
fn sums(seen: &Value) -> (u64, u64) {
    let skipped = seen["skipped"].as_object().expect("a map");
    let count = |count: &Value| count.as_u64().expect("a count");
    (count(&seen["pairs"]), skipped.values().map(count).sum())
}

fn comparison(gateway: &Gateway) -> Value {
    gateway
        .api()
        .show(&format!("{}/comparison", at("demo/iris")))
}

fn adds_up(gateway: &Gateway, asked: u64) {
    eventually(PATIENCE, "every request is a pair or has a reason", || {
        let (pairs, skipped) = sums(&comparison(gateway));
        assert!(pairs + skipped <= asked, "{}", comparison(gateway));
        pairs + skipped == asked
    });
}

#[test]
fn every_request_is_a_pair_or_has_a_reason() {
    let main = Backend::start(|conn, head| {
        let body = conn.body(head);
        match &body.bytes[..] {
            b"fail" => conn.answer(500, &[], b"no"),
            HALF => {
                conn.start_chunked();
                let _ = conn.write(chunk(b"half of it"));
                conn.wait_end(PATIENCE);
                Next::Close
            }
            bytes => conn.answer(200, &[], bytes),
        }
    });
    let challenger = Backend::start(|conn, head| {
        let body = conn.body(head);
        match &body.bytes[..] {
            HANG => {
                conn.wait_end(PATIENCE * 4);
                Next::Close
            }
            bytes => conn.answer(200, &[], bytes),
        }
    });
    let lines = "sample = 0.8\nbody_bytes_max = 1000\nconcurrency_max = 2\nqueue_max = 2\n\
                 timeout_ms = 60000";
    let mut gateway = gateway(&main, &challenger, lines).start();
    let mut asked = 0;
    {
        let mut client = gateway.connect();
        let mut ask = |body: &[u8]| {
            asked += 1;
            client.call(&post(), &[AUTH], body).status
        };
        for n in 0..40 {
            assert_eq!(ask(format!("{n}").as_bytes()), 200);
            assert_eq!(ask(&pattern(1_001 + n)), 200);
        }
        for _ in 0..12 {
            assert_eq!(ask(b"fail"), 500);
        }
    }
    for _ in 0..12 {
        // Gone in the middle of the answer.
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], HALF);
        assert_eq!(client.head().status(), Ok(200));
        // Gone in the middle of the request.
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH, ("transfer-encoding", "chunked")], b"");
        client.send(chunk(b"some"));
        asked += 2;
    }
    adds_up(&gateway, asked);
    // Those under way and those that wait end with the process.
    let mut client = gateway.connect();
    for _ in 0..10 {
        assert_eq!(client.call(&post(), &[AUTH], HANG).status, 200);
        asked += 1;
    }
    drop(client);
    gateway.restart(Stop::Term);
    adds_up(&gateway, asked);
    let seen = comparison(&gateway);
    println!("{}", seen["skipped"]);
    let count = |why: &str| seen["skipped"][why].as_u64().expect("a count");
    for why in [
        "not_sampled",
        "body_too_large",
        "main_incomplete",
        "aborted",
    ] {
        assert!(count(why) > 0, "{why}: {seen}");
    }
    assert!(seen["compared"]["uncompared"]["main_failed"].as_u64() > Some(0));
}

#[test]
fn an_async_request_counts_once_however_often_it_is_tried() {
    let (main, challenger) = (moody(&[503, 503, 200]), Backend::echo());
    let gateway = later::impatient(gateway(&main, &challenger, "sample = 0.0")).start();
    let caller = gateway.caller();
    let document = caller.ends(&caller.accepted(b"{}"), "completed");
    assert_eq!(document["attempts"], 3, "{document}");
    let caller = gateway.caller();
    caller.ends(&caller.accepted(b"{}"), "completed");
    adds_up(&gateway, 2);
    assert_eq!(comparison(&gateway)["skipped"]["not_sampled"], 2);
}

#[test]
fn a_client_that_sends_slowly_does_not_make_main_slow() {
    const SLOWNESS: Duration = Duration::from_millis(600);
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "").start();
    let body = pattern(20_000);
    let mut client = gateway.connect();
    let length = body.len().to_string();
    client.request(&post(), &[AUTH, ("content-length", &length)], b"");
    for piece in body.chunks(10_000) {
        // Its slowness is the script.
        thread::sleep(SLOWNESS / 2);
        client.send(piece);
    }
    assert!(client.response("POST").body == body);
    let pairs = format!("{}/comparison/pairs", at("demo/iris"));
    eventually(PATIENCE, "the pair", || {
        !gateway.api().list(&pairs).is_empty()
    });
    let pair = &gateway.api().list(&pairs)[0];
    for time in ["first_byte_ms", "latency_ms"] {
        for side in ["main", "challenger"] {
            let ms = pair[side][time].as_f64().expect("a time");
            assert!(
                ms < SLOWNESS.as_millis() as f64 / 2.0,
                "{side} {time}: {pair}"
            );
        }
    }
}

#[test]
fn answers_that_are_too_large_to_be_compared_are_no_errors() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(
        &main,
        &challenger,
        "response_bytes_max = 1000\ncompare = { kind = \"json\" }",
    )
    .start();
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_eq!(client.call(&post(), &[AUTH], &pattern(100_000)).status, 200);
    }
    adds_up(&gateway, 20);
    let seen = comparison(&gateway);
    assert_eq!(seen["errors"]["challenger"], 0, "{seen}");
    assert_eq!(seen["compared"]["disagree"], 0, "{seen}");
    assert_eq!(seen["compared"]["uncompared"]["too_large"], 20, "{seen}");
}

/// A model that takes so long for each answer.
fn slow(takes: Duration) -> Backend {
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        // Its slowness is the script.
        thread::sleep(takes);
        conn.answer(200, &[], &body.bytes)
    })
}

#[test]
fn time_in_the_queue_is_not_the_challengers() {
    let (main, challenger) = (Backend::echo(), slow(Duration::from_millis(600)));
    // The second copy waits for the first one, and has its whole time then.
    let lines = "concurrency_max = 1\ntimeout_ms = 1000";
    let gateway = gateway(&main, &challenger, lines).start();
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
    }
    adds_up(&gateway, 2);
    let seen = comparison(&gateway);
    assert_eq!(seen["compared"]["agree"], 2, "{seen}");
    assert_eq!(seen["errors"]["challenger"], 0, "{seen}");
}

#[test]
fn a_copy_that_may_take_less_time_than_main_takes_is_no_error() {
    let (main, challenger) = (
        slow(Duration::from_millis(900)),
        slow(Duration::from_millis(900)),
    );
    let gateway = gateway(&main, &challenger, "timeout_ms = 300").start();
    let mut client = gateway.connect();
    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
    adds_up(&gateway, 1);
    let seen = comparison(&gateway);
    assert_eq!(
        (&seen["pairs"], &seen["skipped"]["timeout"]),
        (&0.into(), &1.into()),
        "{seen}"
    );
}
