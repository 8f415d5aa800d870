//! Whoever asks for it is told when a request has ended: signed, until it is heard, and only where
//! weir may send.

use std::{sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Gate, Gateway, Next, Nowhere, PATIENCE, Stop, admin, at, eventually,
    gateway::Builder, hmac, holds_within, later, later::WHOLE_LIFE, post, problem, version, want,
};

/// A gateway that may tell receivers on this machine.
fn gateway() -> Builder {
    later::impatient(Gateway::bare()).env("WEIR_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
}

/// Answers deliveries with these statuses in turn, the last one from then on.
fn receiver(statuses: &[u16]) -> Backend {
    let (statuses, count) = (statuses.to_vec(), AtomicUsize::new(0));
    Backend::start(move |conn, head| {
        conn.body(head);
        let n = count.fetch_add(1, Ordering::SeqCst);
        let status = statuses[n.min(statuses.len() - 1)];
        conn.answer(status, &[("location", "/elsewhere")], b"")
    })
}

/// What the deployment's webhooks are signed with, and tells by default.
fn secret(api: &Admin, url: &str) -> Vec<u8> {
    let path = format!("{}/webhook", at("demo/iris"));
    let put = want(200, &api.json("PUT", &path, &[], &json!({"url": url})));
    assert_eq!(put["url"], url);
    let words = admin::text(&api.show(&path)["secret"]);
    hmac::from_base64(words.strip_prefix("whsec_").expect("whsec_"))
}

/// Waits for the receiver's `nth` delivery; its body, once everything about it has been checked.
fn delivery(receiver: &Backend, nth: usize, secret: &[u8]) -> Value {
    eventually(WHOLE_LIFE, "a delivery", || {
        receiver
            .received()
            .get(nth)
            .is_some_and(|r| r.body.is_some())
    });
    let got = receiver.received()[nth].clone();
    let body = got.body.unwrap();
    assert_eq!(got.head.method(), "POST");
    let header = |name: &str| got.head.get(name).unwrap_or_else(|| panic!("no {name}"));
    assert!(header("content-type").starts_with("application/json"));
    let (id, stamp) = (header("webhook-id"), header("webhook-timestamp"));
    let seconds: i64 = stamp.parse().expect("seconds");
    assert!(
        (jiff::Timestamp::now().as_second() - seconds).abs() < 300,
        "{stamp}"
    );
    let signed = [format!("{id}.{stamp}.").as_bytes(), &body.bytes].concat();
    let right = format!("v1,{}", hmac::to_base64(&hmac::sign(secret, &signed)));
    let given = header("webhook-signature");
    assert!(
        given.split(' ').any(|one| one == right),
        "{given} is not {right}"
    );
    let told: Value = serde_json::from_slice(&body.bytes).unwrap();
    let _: jiff::Timestamp = admin::text(&told["timestamp"]).parse().unwrap();
    told
}

/// The delivery log of a request, once it is in this state.
fn log(api: &Admin, id: &str, state: &str) -> Value {
    let path = format!("{}/async/{id}/webhook", at("demo/iris"));
    let mut shown = Value::Null;
    let came = holds_within(WHOLE_LIFE, || {
        shown = api.show(&path);
        shown["state"] == state
    });
    assert!(came, "never {state}: {shown}");
    shown
}

#[test]
fn every_end_is_told_and_signed() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.bytes == b"held" {
            while !door.wait() {}
        }
        let status = if body.bytes == b"no" { 500 } else { 201 };
        conn.answer(status, &[], &body.bytes)
    });
    let (own, default) = (receiver(&[204]), receiver(&[200]));
    let gateway = later::at_most(gateway(), 1).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let caller = gateway.caller_with(&made.secret);
    let secret = secret(&api, &format!("{}/default", default.url()));
    assert!(secret.len() >= 24, "{} bytes", secret.len());
    let url = format!("{}/own?q=1", own.url());
    let told = [("x-webhook-url", url.as_str())];
    let mut seen = 0;
    let mut check = |id: &str, status: &str| {
        caller.ends(id, status);
        let told = delivery(&own, seen, &secret);
        seen += 1;
        assert_eq!(told["type"], format!("async.{status}"));
        assert_eq!(later::whole_document(&told["data"]), id);
        assert_eq!(told["data"]["status"], status);
        let log = log(&api, id, "delivered");
        assert_eq!(log["url"], url);
        assert_eq!(log["attempts"].as_array().unwrap().len(), 1, "{log}");
        assert_eq!(log["attempts"][0]["status"], 204, "{log}");
        assert_eq!(caller.show(id)["webhook"]["state"], "delivered");
    };
    let done = caller.accepted_as(&post(), &told, b"yes");
    check(&done, "completed");
    let failed = caller.accepted_as(&post(), &told, b"no");
    check(&failed, "error");
    caller.accepted(b"held");
    backend.wait_count(3);
    let cancelled = caller.accepted_as(&post(), &told, b"yes");
    want(200, &caller.cancel(&cancelled));
    check(&cancelled, "cancelled");
    let limited = [told[0], ("x-full-live-timeout", "1")];
    let expired = caller.accepted_as(&post(), &limited, b"yes");
    check(&expired, "expired");
    gate.open();
    // Who names no receiver has the deployment's.
    let told = delivery(&default, 0, &secret);
    assert_eq!(told["type"], "async.completed");
    let heads: Vec<_> = own.received().into_iter().map(|r| r.head).collect();
    assert!(heads.iter().all(|head| head.target() == "/own?q=1"));
    let mut ids: Vec<_> = heads.iter().filter_map(|h| h.get("webhook-id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each delivery has an id of its own");
    for head in heads {
        assert!(!head.has("x-api-key") && !head.has("authorization"));
    }
    assert!(!backend.last().head.has("x-webhook-url"));
}

#[test]
fn who_was_not_reached_is_told_again_and_who_is_gone_is_not() {
    let backend = Backend::echo();
    let (failing, moved, gone) = (
        receiver(&[500, 200]),
        receiver(&[302, 200]),
        receiver(&[410]),
    );
    let nowhere = Nowhere::new();
    let mut gateway = gateway().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let caller = gateway.caller_with(&made.secret);
    let secret = secret(&api, &format!("{}/", failing.url()));
    let ids: Vec<_> = [failing.url(), moved.url(), gone.url(), nowhere.url()]
        .iter()
        .map(|url| {
            let url = format!("{url}/hook");
            caller.accepted_as(&post(), &[("x-webhook-url", &url)], b"{}")
        })
        .collect();
    for id in &ids {
        caller.ends(id, "completed");
    }
    let given_up = log(&api, &ids[2], "failed");
    assert_eq!(given_up["attempts"].as_array().unwrap().len(), 1);
    assert!(given_up["next_attempt_at"].is_null(), "{given_up}");
    for (hook, id, first) in [(&failing, &ids[0], 500), (&moved, &ids[1], 302)] {
        delivery(hook, 0, &secret);
        let told = delivery(hook, 1, &secret);
        assert_eq!(later::whole_document(&told["data"]), *id);
        let heads: Vec<_> = hook.received().into_iter().map(|r| r.head).collect();
        assert_eq!(heads[0].get("webhook-id"), heads[1].get("webhook-id"));
        assert!(heads.iter().all(|h| h.target() == "/hook"), "it followed");
        let log = log(&api, id, "delivered");
        let statuses: Vec<_> = log["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["status"].clone())
            .collect();
        assert_eq!(statuses, [json!(first), json!(200)], "{log}");
    }
    // What is still to be told outlives the process.
    let pending = log(&api, &ids[3], "pending");
    admin::text(&pending["next_attempt_at"]);
    let told = pending["attempts"].as_array().unwrap();
    assert!(!told.is_empty() && told[0]["status"].is_null(), "{pending}");
    gateway.restart(Stop::Kill);
    let pending = log(&gateway.api(), &ids[3], "pending");
    admin::text(&pending["next_attempt_at"]);
    assert_eq!(gone.count(), 1, "who is gone was asked again");
    assert_eq!((failing.count(), moved.count()), (2, 2));
}

#[test]
fn it_is_not_sent_where_weir_may_not_reach() {
    let backend = Backend::echo();
    let hook = receiver(&[200]);
    let gateway = later::impatient(Gateway::bare()).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let caller = gateway.caller_with(&made.secret);
    let own = format!("http://{}/", gateway.admin_addr());
    for url in [
        hook.url().as_str(),
        own.as_str(),
        "http://10.1.2.3/",
        "http://192.168.1.1:8080/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
    ] {
        let answer = caller.submit(&post(), &[("x-webhook-url", url)], b"{}");
        let code = problem(&[400], &answer);
        assert_eq!(code, "webhook_denied", "{url}");
    }
    assert_eq!(caller.list("").len(), 0);
    // A name is judged by where it leads, when it is told at the latest.
    let port = hook.addr().port();
    let named = format!("http://localhost:{port}/");
    let answer = caller.submit(&post(), &[("x-webhook-url", &named)], b"{}");
    if answer.status == 202 {
        let id = later::whole_document(&answer.json());
        caller.ends(&id, "completed");
        eventually(PATIENCE, "it is tried, or given up", || {
            let path = format!("{}/async/{id}/webhook", at("demo/iris"));
            let log = api.show(&path);
            log["state"] == "failed"
                || log["attempts"]
                    .as_array()
                    .is_some_and(|tried| !tried.is_empty())
        });
    } else {
        assert_eq!(problem(&[400], &answer), "webhook_denied");
    }
    assert!(
        !holds_within(Duration::from_millis(300), || hook.connections() > 0),
        "it was reached"
    );
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody() {
    let backend = Backend::echo();
    let hanging = Backend::start(|conn, _| {
        conn.wait_end(PATIENCE * 2);
        Next::Close
    });
    let hook = receiver(&[200]);
    let gateway = gateway().env("WEIR_WEBHOOK_TIMEOUT_MS", 2_000).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let caller = gateway.caller_with(&made.secret);
    let secret = secret(&api, &hook.url());
    let slow: Vec<_> = (0..5)
        .map(|_| caller.accepted_as(&post(), &[("x-webhook-url", &hanging.url())], b"slow"))
        .collect();
    hanging.wait_count(1);
    let id = caller.accepted(b"quick");
    let told = delivery(&hook, 0, &secret);
    assert_eq!(later::whole_document(&told["data"]), id);
    for id in &slow {
        caller.ends(id, "completed");
        assert_eq!(caller.result(id).text(), "slow");
    }
    let log = log(&api, &slow[0], "pending");
    eventually(PATIENCE, "its exchange is given up", || {
        hanging.end_of(hanging.received()[0].conn).is_some()
    });
    assert_eq!(log["url"], hanging.url());
}
