//! Operators see every async request of a deployment, and can hold, end, repeat and clear them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    admin_people::someone,
    support::{
        Admin, Backend, Gate, Gateway, PATIENCE, Stop, admin, at, eventually, gateway::Builder,
        holds_within, later, later::Caller, pattern, post, problem, version, want,
    },
};

/// The path of the deployment's async requests.
fn queue(more: &str) -> String {
    format!("{}/async{more}", at("demo/iris"))
}

/// A gateway where nothing was declared, so that everything can be changed.
fn gateway() -> Builder {
    later::impatient(Gateway::bare())
}

/// Answers as the body asks: `busy` 503 while it is sick, `no` 500, all else as it came.
fn moody(sick: &Arc<AtomicBool>) -> Backend {
    let sick = Arc::clone(sick);
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        match body.bytes.as_slice() {
            b"busy" if sick.load(Ordering::SeqCst) => conn.answer(503, &[], b"busy"),
            b"no" if sick.load(Ordering::SeqCst) => conn.answer(500, &[], b"why"),
            _ => conn.answer(200, &[("x-model", "m")], &body.bytes),
        }
    })
}

/// Waits until the operator sees this state.
fn wait_status(api: &Admin, id: &str, status: &str) -> Value {
    let mut shown = Value::Null;
    let came = holds_within(PATIENCE, || {
        shown = api.show(&queue(&format!("/{id}")));
        shown["status"] == status
    });
    assert!(came, "never {status}: {shown}");
    shown
}

/// `demo/iris` on this backend, and who may call it.
fn iris(gateway: &Gateway, backend: &Backend) -> (Admin, Caller, String) {
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    (api, gateway.caller_with(&made.secret), made.key_id)
}

#[test]
fn requests_are_listed_with_what_a_person_needs_to_find_one() {
    let sick = Arc::new(AtomicBool::new(true));
    let backend = moody(&sick);
    let gateway = gateway().start();
    let (api, caller, key_id) = iris(&gateway, &backend);
    let (other_id, other) = api.key(&at("demo/iris"), &json!({"description": "other"}));
    let body = pattern(70_000);
    let line = format!("PUT {}/v1/x?q=1", post().trim_start_matches("POST "));
    let done = caller.accepted_as(&line, &[("x-request-id", "find-me")], &body);
    caller.ends(&done, "completed");
    let failed = caller.accepted(b"no");
    caller.fails(&failed, "unprocessable");
    let spent = gateway.caller_with(&other).accepted(b"busy");
    gateway.caller_with(&other).fails(&spent, "exhausted");
    let of = |query: &str| -> Vec<String> {
        let list = api.list(&queue(query));
        list.iter().map(later::whole_document).collect()
    };
    let all = [spent.clone(), failed.clone(), done.clone()];
    assert_eq!(of(""), all, "newest first");
    assert_eq!(of("?limit=1"), all);
    assert_eq!(of("?status=completed"), all[2..]);
    assert_eq!(of("?status=error"), all[..2]);
    assert_eq!(of("?dead=true"), all[..2]);
    assert_eq!(of(&format!("?key={key_id}")), all[1..]);
    assert_eq!(of(&format!("?key={other_id}&status=error")), all[..1]);
    assert_eq!(of("?request_id=find-me"), all[2..]);
    assert!(of("?request_id=nobody").is_empty());
    for bad in [
        "?status=done",
        "?limit=0",
        "?dead=perhaps",
        "?cursor=x",
        "?color=red",
    ] {
        problem(&[400], &api.get(&queue(bad)));
    }
    let shown = api.show(&queue(&format!("/{done}")));
    for (member, right) in [
        ("key", json!(key_id)),
        ("method", json!("PUT")),
        ("body_bytes", json!(70_000)),
        ("result_bytes", json!(70_000)),
        ("result_status", json!(200)),
        ("dead_letter", json!(false)),
        ("request_id", json!("find-me")),
    ] {
        assert_eq!(shown[member], right, "{member}: {shown}");
    }
    let path = admin::text(&shown["path"]);
    assert!(path.contains("/v1/x"), "{path}");
    assert_eq!(api.show(&queue(&format!("/{spent}")))["dead_letter"], true);
    let result = api.get(&queue(&format!("/{done}/result")));
    assert_eq!(
        (result.status, result.get("x-model").as_deref()),
        (200, Some("m"))
    );
    assert_eq!(result.get("x-async-status").as_deref(), Some("completed"));
    assert!(result.body == body);
    let line = format!("GET /api/v1{}", queue(&format!("/{failed}/result")));
    let result = api.try_send(&line, &[], b"").unwrap();
    assert_eq!((result.status, result.text().as_str()), (500, "why"));
    let listing = json!(api.list(&queue(""))).to_string();
    assert!(!listing.contains(&other), "a secret is shown");
}

#[test]
fn it_stays_within_its_deployment() {
    let backend = Backend::echo();
    let gateway = gateway().start();
    let (api, caller, _) = iris(&gateway, &backend);
    api.create("demo/text", &version(&backend.url()));
    let id = caller.accepted(b"{}");
    caller.ends(&id, "completed");
    let elsewhere = format!("{}/async", at("demo/text"));
    assert_eq!(api.list(&elsewhere).len(), 0);
    for path in [
        format!("{elsewhere}/{id}"),
        format!("{elsewhere}/{id}/result"),
        queue("/0123456789abcdefghijABCDEFGHIJ01234"),
        queue("/x"),
    ] {
        problem(&[404], &api.get(&path));
    }
    problem(&[404], &api.poke(&format!("{elsewhere}/{id}/cancel")));
    problem(&[404], &api.get(&format!("{}/async", at("demo/none"))));
}

#[test]
fn a_queue_is_paused_seen_and_resumed() {
    let backend = Backend::echo();
    let mut gateway = gateway().start();
    let (api, caller, _) = iris(&gateway, &backend);
    let empty = api.show(&queue("/queue"));
    for (member, right) in [
        ("paused", json!(false)),
        ("queued", json!(0)),
        ("running", json!(0)),
        ("waiting_retry", json!(0)),
        ("oldest_queued_age_ms", Value::Null),
    ] {
        assert_eq!(empty[member], right, "{member}: {empty}");
    }
    let paused = api.poke(&queue("/pause"));
    assert_eq!(want(200, &paused)["paused"], true);
    let epoch = admin::epoch_of(&paused);
    let ids: Vec<_> = (0..5)
        .map(|n| caller.accepted(format!("{n}").as_bytes()))
        .collect();
    assert_eq!(caller.send(&post(), &[], b"direct").text(), "direct");
    assert!(
        !holds_within(std::time::Duration::from_millis(300), || backend.count()
            > 1),
        "it went on"
    );
    let shown = api.show(&queue("/queue"));
    assert_eq!(
        (&shown["paused"], &shown["queued"]),
        (&json!(true), &json!(5))
    );
    assert!(
        shown["oldest_queued_age_ms"].as_u64() >= Some(200),
        "{shown}"
    );
    assert_eq!(
        want(200, &api.poke(&queue("/pause")))["paused"],
        true,
        "again"
    );
    gateway.restart(Stop::Kill);
    let (api, caller) = (gateway.api(), caller_again(&gateway, &caller));
    assert_eq!(
        api.show(&queue("/queue"))["paused"],
        true,
        "after a restart"
    );
    assert_eq!(caller.show(&ids[0])["status"], "queued");
    assert_eq!(backend.count(), 1);
    let resumed = api.poke(&queue("/resume"));
    assert_eq!(want(200, &resumed)["paused"], false);
    assert!(admin::epoch_of(&resumed) > epoch);
    for (n, id) in ids.iter().enumerate() {
        caller.ends(id, "completed");
        assert_eq!(caller.result(id).text(), format!("{n}"));
    }
    let history = api.list(&format!("{}/history", at("demo/iris")));
    let history = json!(history).to_string();
    assert!(
        history.contains("pause") && history.contains("resume"),
        "{history}"
    );
}

/// The same application after a restart, which moved the gateway.
fn caller_again(gateway: &Gateway, caller: &Caller) -> Caller {
    gateway.caller_with(caller.key())
}

#[test]
fn operators_cancel_as_the_owner_would() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(gateway(), 1).start();
    let (api, caller, _) = iris(&gateway, &backend);
    let running = caller.accepted(b"runs");
    backend.wait_count(1);
    let queued = caller.accepted(b"waits");
    let shown = api.show(&queue("/queue"));
    assert_eq!(
        (&shown["running"], &shown["queued"]),
        (&json!(1), &json!(1))
    );
    let cancel = |id: &str| api.poke(&queue(&format!("/{id}/cancel")));
    assert_eq!(want(200, &cancel(&queued))["status"], "cancelled");
    assert_eq!(want(202, &cancel(&running))["status"], "cancelled");
    for id in [&queued, &running] {
        caller.ends(id, "cancelled");
        problem(&[409], &cancel(id));
    }
    gate.open();
    let next = caller.accepted(b"next");
    caller.ends(&next, "completed");
    problem(&[409], &cancel(&next));
}

#[test]
fn a_retry_makes_what_waits_due_and_what_failed_new() {
    let sick = Arc::new(AtomicBool::new(true));
    let backend = moody(&sick);
    let gateway = gateway()
        .env("WEIR_QUEUE_RETRY_MIN_MS", 60_000)
        .env("WEIR_QUEUE_RETRY_MAX_MS", 60_000)
        .start();
    let (api, caller, key_id) = iris(&gateway, &backend);
    let retry = |id: &str| api.poke(&queue(&format!("/{id}/retry")));
    let waiting = caller.accepted(b"busy");
    eventually(PATIENCE, "it waits for its second attempt", || {
        let shown = caller.show(&waiting);
        shown["attempts"] == 1 && shown["status"] == "queued"
    });
    assert_eq!(api.show(&queue("/queue"))["waiting_retry"], 1);
    let headers = [("x-own", "kept"), ("content-type", "text/own")];
    let failed = caller.accepted_as(&format!("{}/v1?q=1", post()), &headers, b"no");
    caller.fails(&failed, "unprocessable");
    sick.store(false, Ordering::SeqCst);
    want(200, &retry(&waiting));
    caller.ends(&waiting, "completed");
    let answer = want(202, &retry(&failed));
    let again = later::whole_document(&answer);
    assert_ne!(again, failed);
    assert_eq!(answer["retry_of"], failed);
    let document = caller.ends(&again, "completed");
    assert_eq!(document["attempts"], 1);
    assert_eq!(caller.result(&again).text(), "no", "the same content");
    let got = backend.last();
    assert_eq!(got.head.start, "POST /v1?q=1 HTTP/1.1");
    assert_eq!(got.head.get("x-own").as_deref(), Some("kept"));
    let shown = api.show(&queue(&format!("/{again}")));
    assert_eq!(
        (&shown["key"], &shown["retry_of"]),
        (&json!(key_id), &json!(failed))
    );
    assert_eq!(caller.show(&failed)["status"], "error", "what ended stays");
    assert_eq!(caller.result(&failed).text(), "why");
    problem(&[409], &retry(&waiting));
    problem(&[409], &retry(&again));
}

#[test]
fn dead_letters_are_replayed_once_and_purged() {
    let sick = Arc::new(AtomicBool::new(true));
    let backend = moody(&sick);
    let mut gateway = gateway().start();
    let (api, caller, _) = iris(&gateway, &backend);
    let mut dead = Vec::new();
    for n in 0..6 {
        let (body, reason) = if n % 2 == 0 {
            (b"busy".as_slice(), "exhausted")
        } else {
            (b"no".as_slice(), "unprocessable")
        };
        let id = caller.accepted(body);
        caller.fails(&id, reason);
        dead.push(id);
    }
    let fine = caller.accepted(b"fine");
    caller.ends(&fine, "completed");
    sick.store(false, Ordering::SeqCst);
    let replay = |api: &Admin, body: Value| want(200, &api.post(&queue("/replay"), &body));
    assert_eq!(replay(&api, json!({"limit": 2}))["replayed"], 2);
    gateway.restart(Stop::Kill);
    let (api, caller) = (gateway.api(), caller_again(&gateway, &caller));
    assert_eq!(replay(&api, json!({}))["replayed"], 4, "the others");
    assert_eq!(replay(&api, json!({}))["replayed"], 0, "each once");
    let mut origins = Vec::new();
    for document in api.list(&queue("")) {
        if let Some(of) = document["retry_of"].as_str() {
            origins.push(of.to_owned());
            let id = later::whole_document(&document);
            wait_status(&api, &id, "completed");
            let words = caller.result(&id).text();
            assert!(words == "busy" || words == "no", "{words}");
        }
    }
    origins.sort();
    dead.sort();
    assert_eq!(origins, dead);
    assert_eq!(want(200, &api.poke(&queue("/purge")))["purged"], 6);
    assert_eq!(want(200, &api.poke(&queue("/purge")))["purged"], 0);
    assert_eq!(api.list(&queue("?dead=true")).len(), 0);
    for id in &dead {
        assert_eq!(caller.get(&format!("/async/{id}")).status, 404);
    }
    assert_eq!(api.list(&queue("")).len(), 7);
    assert_eq!(caller.result(&fine).text(), "fine");
}

#[test]
fn viewers_read_members_act_and_others_do_neither() {
    let sick = Arc::new(AtomicBool::new(true));
    let backend = moody(&sick);
    let gateway = gateway().start();
    let (api, caller, _) = iris(&gateway, &backend);
    api.project("other");
    let id = caller.accepted(b"no");
    caller.fails(&id, "unprocessable");
    let member = someone(&api, "m", "member", &json!({"projects": ["demo"]}));
    let viewer = someone(&api, "v", "viewer", &json!({"projects": ["demo"]}));
    let stranger = someone(&api, "s", "member", &json!({"projects": ["other"]}));
    for (method, path, by_member) in [
        ("GET", queue(""), 200),
        ("GET", queue("/queue"), 200),
        ("GET", queue(&format!("/{id}")), 200),
        ("GET", queue(&format!("/{id}/result")), 500),
        ("GET", queue(&format!("/{id}/webhook")), 200),
        ("POST", queue(&format!("/{id}/cancel")), 409),
        ("POST", queue("/pause"), 200),
        ("POST", queue(&format!("/{id}/retry")), 202),
        ("POST", queue("/resume"), 200),
        ("POST", queue("/purge"), 200),
    ] {
        let line = format!("{method} /api/v1{path}");
        let ask = |who: &Admin| who.try_send(&line, &[], b"").unwrap();
        problem(&[401], &ask(&api.nobody()));
        problem(&[401], &ask(&api.with_token(caller.key())));
        assert_eq!(problem(&[403], &ask(&stranger)), "forbidden", "{line}");
        let seen = ask(&viewer);
        // An answer is for its owner and for who operates the deployment.
        if method == "GET" && !line.ends_with("/result") {
            assert_eq!(seen.status, by_member, "{line}: {}", seen.text());
        } else {
            assert_eq!(problem(&[403], &seen), "forbidden", "{line}");
        }
        let done = ask(&member);
        assert_eq!(done.status, by_member, "{line}: {}", done.text());
    }
    let replay = queue("/replay");
    assert_eq!(
        problem(&[403], &viewer.post(&replay, &json!({}))),
        "forbidden"
    );
    want(200, &member.post(&replay, &json!({})));
    // A token of the admin plane opens nothing on the data plane.
    let token = member.token_presented().unwrap();
    assert_eq!(gateway.caller_with(token).get("/async").status, 401);
}
