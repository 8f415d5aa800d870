//! A deployment's log, followed: as lines come, to the end, and by somebody too slow.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Gateway, PATIENCE, Stop, at, eventually, log_lines::*, version, want};

#[test]
fn lines_are_followed_as_they_come_and_to_the_end() {
    let backend = obedient();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    call(&gateway, "/predict/demo/iris", &made.secret, "before", b"x");
    line_of(&api, "demo/iris", "before");
    let mut followed = Followed::begin(&api, "demo/iris", "?follow=true&limit=1");
    assert_eq!(followed.next().unwrap()["request_id"], "before");
    let mut errors = Followed::begin(&api, "demo/iris", "?follow=true&limit=0&level=error");
    for n in 0..3 {
        let id = format!("live-{n}");
        let since = Instant::now();
        call(&gateway, "/predict/demo/iris", &made.secret, &id, b"x");
        assert_eq!(followed.next().unwrap()["request_id"], *id);
        // Not in the next keep-alive's company.
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{:?}",
            since.elapsed()
        );
    }
    call(
        &gateway,
        "/predict/demo/iris",
        &made.secret,
        "wrong",
        b"503",
    );
    assert_eq!(errors.next().unwrap()["request_id"], "wrong");
    followed.until("request_id", "wrong");
    api.key(&at("demo/iris"), &json!({"description": "k"}));
    assert_eq!(followed.next().unwrap()["action"], "key-create");

    // A token that is taken back ends what it opened, and nothing else.
    let token = json!({"name": "m", "role": "viewer", "description": ""});
    let (id, secret) = api.token(&token);
    let mut revoked = Followed::begin(&api.with_token(&secret), "demo/iris", "?follow=true");
    want(200, &api.poke(&format!("/tokens/{id}/revoke")));
    while revoked.next().is_some() {}

    // So does the deployment's end, of which one still hears.
    let deleted = api.json("DELETE", &at("demo/iris"), &[], &json!({"reason": "over"}));
    assert_eq!(deleted.status, 202, "{}", deleted.text());
    followed.until("action", "delete");
    assert_eq!(followed.next(), None);
    let left = read(&api, "demo/iris", "");
    assert!(ids(&left).contains(&"live-2"), "{left:#?}");

    // A new life of the name has none of the old lines.
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut followed = Followed::begin(&api, "demo/iris", "?follow=true");
    assert_eq!(followed.next().unwrap()["action"], "create");
    call(&gateway, "/predict/demo/iris", &made.secret, "anew", b"x");
    followed.until("request_id", "anew");
    assert_eq!(ids(&read(&api, "demo/iris", "")), ["anew"]);

    // The gateway's end waits for no follower.
    let since = Instant::now();
    gateway.stop(Stop::Term);
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    let _ = followed.client.read_to_end(PATIENCE);
    gateway.start_again();
    let api = gateway.api();
    assert_eq!(read(&api, "demo/iris", "").len(), 0, "in memory only");
    api.json("DELETE", &at("demo/iris"), &[], &json!({"reason": "over"}));
    eventually(PATIENCE, "deleted", || {
        api.show(&at("demo/iris"))["state"] == "deleted"
    });
    gateway.restart(Stop::Term);
    let api = gateway.api();
    let history = read(&api, "demo/iris", "");
    assert_eq!(actions(&history).last(), Some(&"delete"), "{history:#?}");
    assert!(actions(&history).contains(&"create"), "{history:#?}");
    let warned = read(&api, "demo/iris", "?level=warn&limit=1");
    assert_eq!(actions(&warned), ["delete"]);
}

#[test]
fn a_follower_that_does_not_read_slows_nobody_and_is_told_what_it_missed() {
    const CALLS: usize = 3_000;
    let backend = obedient();
    let gateway = Gateway::bare()
        .env("WEIR_LOGS_LINES_PER_SECOND", 1_000_000)
        .env("WEIR_LOGS_LINES_PER_DEPLOYMENT", 50)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut slow = Followed::begin(&api, "demo/iris", "?follow=true&limit=0");
    let socket = socket2::SockRef::from(&slow.client.socket);
    socket.set_recv_buffer_size(4_096).unwrap();
    let line = format!("POST /predict/demo/iris/{}", "x".repeat(500));
    let mut client = gateway.connect();
    for n in 0..CALLS {
        let id = format!("n-{n:0120}");
        let headers = [("x-api-key", &*made.secret), ("x-request-id", &id)];
        assert_eq!(client.call(&line, &headers, b"x").status, 200);
    }
    let last = format!("n-{:0120}", CALLS - 1);
    line_of(&api, "demo/iris", &last);
    let (mut seen, mut lost) = (0, 0);
    loop {
        let line = slow.next().expect("it goes on");
        match line["kind"].as_str() {
            Some("lost") => lost += line["lines"].as_u64().unwrap() as usize,
            _ => seen += 1,
        }
        if line["request_id"] == last {
            break;
        }
    }
    println!("{lost} of {CALLS} lines were lost to it");
    assert!(lost > 0, "all of {seen} lines were kept for it");
    assert_eq!(seen + lost, CALLS, "each line is shown or counted");
}
