//! A request runs on what is live when it runs: what operators do to its deployment meanwhile holds
//! it, rescues it or ends it, and never loses it.

use std::time::Duration;

use serde_json::json;

use crate::{
    async_run::moody,
    support::{
        Backend, Gate, Gateway, PATIENCE, at, eventually, holds_within, later, post, problem,
        version, want,
    },
};

#[test]
fn a_stopped_deployments_queue_waits_and_goes_on() {
    let backend = Backend::echo();
    let gateway = later::impatient(Gateway::bare()).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let caller = gateway.caller_with(&made.secret);
    let done = |path: &str| {
        let body = want(
            202,
            &api.poke(&format!("{}/{path}?wait=15", at("demo/iris"))),
        );
        assert_eq!(body["task"]["status"], "done", "{body}");
    };
    done("stop");
    let id = caller.accepted(b"patient");
    assert!(
        !holds_within(Duration::from_millis(300), || backend.count() > 0
            || caller.show(&id)["status"] != "queued"),
        "{}",
        caller.show(&id)
    );
    assert_eq!(caller.show(&id)["attempts"], 0);
    done("restart");
    caller.ends(&id, "completed");
    assert_eq!(caller.result(&id).text(), "patient");
}

#[test]
fn with_its_deployment_deleted_it_is_an_error() {
    let backend = Backend::echo();
    let gateway = later::impatient(Gateway::bare()).start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let (_, secret) = api.key("/projects/demo", &json!({}));
    let caller = gateway.caller_with(&secret);
    let done = caller.accepted(b"done");
    caller.ends(&done, "completed");
    want(202, &api.poke(&format!("{}/stop?wait=15", at("demo/iris"))));
    let id = caller.accepted(b"waits");
    let answer = api.json(
        "DELETE",
        &format!("{}?wait=15", at("demo/iris")),
        &[],
        &json!({"reason": "a test"}),
    );
    assert_eq!(want(202, &answer)["task"]["status"], "done");
    let document = caller.fails(&id, "deployment_deleted");
    assert_eq!(document["attempts"], 0, "{document}");
    assert_eq!(
        problem(&[502], &caller.result(&id)),
        "async_deployment_deleted"
    );
    assert_eq!(caller.result(&done).text(), "done", "what ended stays");
    assert_eq!(backend.count(), 1);
}

#[test]
fn it_runs_on_what_is_live_then_unless_it_is_pinned() {
    let gate = Gate::new();
    let (first, second) = (later::held_echo(&gate), Backend::says("two"));
    let gateway = later::at_most(later::impatient(Gateway::bare()), 1).start();
    let api = gateway.api();
    api.create("demo/iris", &version(&first.url()));
    let (_, secret) = api.key(&at("demo/iris"), &json!({"may_pin": true}));
    let caller = gateway.caller_with(&secret);
    let begun = caller.accepted(b"one");
    first.wait_count(1);
    let queued = caller.accepted(b"queued");
    let pin = [("x-deployment-version", "1")];
    let pinned = caller.accepted_as(&post(), &pin, b"pinned");
    assert_eq!(caller.show(&pinned)["pinned_version"], 1);
    let unknown = caller.submit(&post(), &[("x-deployment-version", "9")], b"");
    assert_eq!(problem(&[404], &unknown), "version_unknown");
    api.deploy("demo/iris", &version(&second.url()));
    gate.open();
    for (id, words, ran) in [(&begun, "one", "iris_v1"), (&queued, "two", "iris_v2")] {
        assert_eq!(caller.ends(id, "completed")["version"], ran);
        let result = caller.result(id);
        assert_eq!(
            (result.text().as_str(), result.version().as_str()),
            (words, ran)
        );
    }
    caller.fails(&pinned, "version_gone");
    assert_eq!(
        problem(&[502], &caller.result(&pinned)),
        "async_version_gone"
    );
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[test]
fn a_rollback_rescues_what_waits() {
    let (good, bad) = (Backend::says("good"), moody(&[503]));
    let gateway = later::impatient(Gateway::bare())
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 100_000)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&good.url()));
    api.deploy("demo/iris", &version(&bad.url()));
    let caller = gateway.caller_with(&made.secret);
    let id = caller.accepted(b"{}");
    bad.wait_count(2);
    let body = want(
        202,
        &api.post(&format!("{}/rollback?wait=15", at("demo/iris")), &json!({})),
    );
    assert_eq!(body["task"]["status"], "done", "{body}");
    caller.ends(&id, "completed");
    let result = caller.result(&id);
    assert_eq!(
        (result.text().as_str(), result.version().as_str()),
        ("good", "iris_v1")
    );
}

#[test]
fn the_challenger_gets_its_copy() {
    let (main, challenger) = (Backend::echo(), Backend::says("never shown"));
    let gateway = crate::mirror::gateway(&main, &challenger, "").start();
    let caller = gateway.caller();
    let body = crate::support::pattern(20_000);
    let headers = [("x-request-id", "mine"), ("cookie", "crumbs")];
    let id = caller.accepted_as(&format!("{}/v1?q=1", post()), &headers, &body);
    caller.ends(&id, "completed");
    challenger.wait_count(1);
    eventually(PATIENCE, "its body", || challenger.last().body.is_some());
    let copy = challenger.last();
    assert_eq!(copy.head.start, "POST /v1?q=1 HTTP/1.1");
    assert!(copy.body.unwrap().bytes == body);
    assert_eq!(copy.head.get("x-request-id").as_deref(), Some("mine"));
    assert!(!copy.head.has("cookie") && !copy.head.has("x-api-key"));
    assert!(caller.result(&id).body == body, "main's answer");
}

#[test]
fn a_revoked_keys_request_still_runs_and_is_the_admins_to_read() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(later::impatient(Gateway::bare()), 1).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    gateway.caller_with(&made.secret).accepted(b"blocks");
    backend.wait_count(1);
    let (key_id, secret) = api.key(&at("demo/iris"), &json!({}));
    let caller = gateway.caller_with(&secret);
    let id = caller.accepted(b"last words");
    want(
        200,
        &api.poke(&format!("{}/keys/{key_id}/revoke", at("demo/iris"))),
    );
    for path in [
        "/async".to_owned(),
        format!("/async/{id}"),
        format!("/async/{id}/result"),
    ] {
        assert_eq!(problem(&[401], &caller.get(&path)), "key_invalid");
    }
    problem(&[401], &caller.cancel(&id));
    problem(&[401], &caller.submit(&post(), &[], b""));
    gate.open();
    let shown = format!("{}/async/{id}", at("demo/iris"));
    eventually(PATIENCE, "it runs", || {
        api.show(&shown)["status"] == "completed"
    });
    assert_eq!(api.get(&format!("{shown}/result")).text(), "last words");
    assert_eq!(
        gateway
            .caller_with(&made.secret)
            .get(&format!("/async/{id}"))
            .status,
        404
    );
}
