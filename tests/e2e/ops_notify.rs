//! Whoever subscribes to a project hears when something is ready or wrong: once, signed, until it is
//! heard, and only where weir may send.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Gateway, Nowhere, PATIENCE, Stop,
    admin::{self, problem},
    at, deployment, eventually,
    gateway::Builder,
    hmac, holds_within, key, later,
    smtp::Relay,
    version, want,
};

const SUBSCRIPTIONS: &str = "/projects/demo/subscriptions";
/// Within which nothing more comes: longer than two rounds of the control plane.
const QUIET: Duration = Duration::from_millis(2_500);

/// A gateway that may tell receivers on this machine, and gives up on backends soon.
fn gateway() -> Builder {
    later::impatient(Gateway::bare())
        .env("WEIR_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
        .env("WEIR_WEBHOOK_RETRY_FIRST_MS", 50)
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
}

/// Answers deliveries with these statuses in turn, the last one from then on.
fn receiver(statuses: &[u16]) -> Backend {
    let (statuses, count) = (statuses.to_vec(), AtomicUsize::new(0));
    Backend::start(move |conn, head| {
        conn.body(head);
        let n = count.fetch_add(1, Ordering::SeqCst);
        conn.answer(statuses[n.min(statuses.len() - 1)], &[], b"")
    })
}

/// A subscription; its path and what its messages are signed with.
fn subscribe(api: &Admin, url: &str, more: &Value) -> (String, Vec<u8>) {
    let mut body = json!({"target": {"kind": "webhook", "url": url}});
    for (member, value) in more.as_object().unwrap() {
        body[member] = value.clone();
    }
    let made = want(201, &api.post(SUBSCRIPTIONS, &body));
    let secret = admin::text(&made["secret"]);
    let secret = hmac::from_base64(secret.strip_prefix("whsec_").expect("whsec_"));
    assert!(secret.len() >= 24, "{} bytes", secret.len());
    let id = admin::text(&made["id"]);
    (format!("{SUBSCRIPTIONS}/{id}"), secret)
}

/// Every message so far that has come whole, each checked: its id beside what it says.
fn messages(receiver: &Backend, secret: &[u8]) -> Vec<(String, Value)> {
    let whole = receiver
        .received()
        .into_iter()
        .filter(|r| r.body.is_some())
        .collect::<Vec<_>>();
    let check = |got: &crate::support::backend::Received| {
        let body = got.body.clone().unwrap();
        let header = |name: &str| got.head.get(name).unwrap_or_else(|| panic!("no {name}"));
        let (id, stamp) = (header("webhook-id"), header("webhook-timestamp"));
        let seconds: i64 = stamp.parse().expect("seconds");
        let now = jiff::Timestamp::now().as_second();
        assert!((now - seconds).abs() < 300, "{stamp}");
        let signed = [format!("{id}.{stamp}.").as_bytes(), &body.bytes].concat();
        let right = format!("v1,{}", hmac::to_base64(&hmac::sign(secret, &signed)));
        assert_eq!(header("webhook-signature"), right);
        let told: Value = serde_json::from_slice(&body.bytes).unwrap();
        let _: jiff::Timestamp = admin::text(&told["timestamp"]).parse().unwrap();
        assert_eq!(told["data"]["project"], "demo", "{told}");
        (id.to_owned(), told)
    };
    whole.iter().map(check).collect()
}

/// The types of the messages so far, once there are so many.
fn types(receiver: &Backend, secret: &[u8], count: usize) -> Vec<String> {
    eventually(PATIENCE, &format!("{count} messages"), || {
        messages(receiver, secret).len() >= count
    });
    let all = messages(receiver, secret);
    all.iter()
        .map(|(_, told)| admin::text(&told["type"]))
        .collect()
}

/// A delivery of a subscription, once it is in this state.
fn delivery(api: &Admin, path: &str, event: &str, state: &str) -> Value {
    let mut shown = Value::Null;
    let came = holds_within(PATIENCE, || {
        let all = api.list(&format!("{path}/deliveries"));
        let found = all.into_iter().find(|one| one["event"] == event);
        shown = found.unwrap_or_default();
        shown["state"] == state
    });
    assert!(came, "never {state}: {shown}");
    shown
}

fn statuses(delivery: &Value) -> Vec<Value> {
    let attempts = delivery["attempts"].as_array().expect("attempts");
    attempts.iter().map(|made| made["status"].clone()).collect()
}

#[test]
fn every_event_is_told_once_and_signed() {
    let (backend, hook, nowhere) = (Backend::echo(), receiver(&[204]), Nowhere::new());
    let mut gateway = gateway().start();
    let api = gateway.api();
    api.project("demo");
    let (path, secret) = subscribe(&api, &format!("{}/hook?x=1", hook.url()), &json!({}));
    let made = api.create("demo/iris", &version(&backend.url()));
    assert_eq!(types(&hook, &secret, 1), ["version.ready"]);
    let versions = format!("{}/versions?wait=15", at("demo/iris"));
    let failed = want(202, &api.post(&versions, &version(&nowhere.url())));
    assert_eq!(failed["task"]["status"], "failed", "{failed}");
    api.deploy("demo/iris", &version(&backend.url()));
    let rollback = format!("{}/rollback", at("demo/iris"));
    let task = api.begin(&rollback, &json!({"reason": "it was better"}));
    api.done(&task);
    let (own, _) = api.key(&at("demo/iris"), &json!({}));
    let because = json!({"reason": "it leaked"});
    let revoke = format!("{}/keys/{own}/revoke", at("demo/iris"));
    want(200, &api.post(&revoke, &because));
    let (of_project, _) = api.key("/projects/demo", &json!({}));
    let revoke = format!("/projects/demo/keys/{of_project}/revoke");
    want(200, &api.post(&revoke, &json!({})));
    types(&hook, &secret, 6);
    backend.set_healthy(false);
    types(&hook, &secret, 7);
    // It stays down over a restart, of which nothing is told.
    gateway.restart(Stop::Kill);
    let api = gateway.api();
    assert!(
        !holds_within(QUIET, || hook.count() > 7),
        "it was told again after a restart"
    );
    backend.set_healthy(true);
    types(&hook, &secret, 8);
    assert!(!holds_within(QUIET, || hook.count() > 8), "one more");
    let all = messages(&hook, &secret);
    let seen = |kind: &str| {
        let found = all.iter().filter(|(_, told)| told["type"] == kind);
        found.map(|(_, told)| &told["data"]).collect::<Vec<_>>()
    };
    let ready = seen("version.ready");
    assert_eq!(ready.len(), 2);
    let first = ready.iter().find(|data| data["version"] == 1).unwrap();
    assert_eq!(first["deployment"], "iris");
    assert_eq!(first["version_name"], "iris_v1");
    assert_eq!(first["by"], "admin");
    assert_eq!(first["task"], made.body["task"]["id"]);
    let url = admin::text(&first["url"]);
    let shown = url.split_once("/api/v1").expect("the admin API").1;
    assert_eq!(api.show(shown)["name"], "iris");
    let [failed] = seen("version.failed")[..] else {
        panic!("not one failure: {all:?}");
    };
    assert_eq!(failed["version"], 2);
    admin::text(&failed["reason"]);
    let [rolled] = seen("deployment.rolled_back")[..] else {
        panic!("not one rollback: {all:?}");
    };
    assert_eq!(
        (&rolled["version"], &rolled["reason"]),
        (&json!(1), &json!("it was better"))
    );
    let revoked = seen("key.revoked");
    assert_eq!(revoked.len(), 2);
    let keys: BTreeSet<_> = revoked.iter().map(|data| data["key"].as_str()).collect();
    assert_eq!(keys, BTreeSet::from([Some(&*own), Some(&*of_project)]));
    for data in revoked {
        let is_own = data["key"] == *own;
        assert_eq!(data["deployment"].is_null(), !is_own, "{data}");
        assert_eq!(data["reason"] == "it leaked", is_own, "{data}");
    }
    let [down] = seen("pool.down")[..] else {
        panic!("not one pool down: {all:?}");
    };
    assert_eq!(
        (&down["by"], &down["version"]),
        (&json!("system"), &json!(1))
    );
    let reason = admin::text(&down["reason"]);
    assert!(reason.contains("1 unhealthy"), "{reason}");
    assert_eq!(seen("pool.up").len(), 1);
    let ids: BTreeSet<_> = all.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), all.len(), "each has an id of its own");
    // The log agrees.
    let log = api.list(&format!("{path}/deliveries?limit=3"));
    let logged: BTreeSet<_> = log.iter().map(|one| admin::text(&one["id"])).collect();
    assert_eq!(logged.iter().collect::<BTreeSet<_>>(), ids);
    assert!(log.iter().all(|one| one["state"] == "delivered"), "{log:?}");
    assert!(log.iter().all(|one| statuses(one) == [204]), "{log:?}");
    assert_eq!(log[0]["event"], "pool.up");
    let history = api.list(&format!("{}/history", at("demo/iris")));
    let pools: Vec<_> = history
        .iter()
        .filter(|entry| entry["action"].as_str().unwrap().starts_with("pool-"))
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["by"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(pools, [("pool-up", "system"), ("pool-down", "system")]);
    let told = gateway.metric(
        "weir_notifications_total",
        &[("kind", "webhook"), ("result", "delivered")],
    );
    assert_eq!(told, 1.0, "since the restart");
    gateway.wait_metric("weir_notifications_pending", &[], |pending| pending == 0.0);
}

/// Neither lost nor told as something else: whoever was not reached before a kill is told after it.
#[test]
fn a_failure_is_repeated_over_a_kill_as_the_same_message() {
    let hook = receiver(&[500, 200]);
    let gone = receiver(&[410]);
    let mut gateway = gateway().env("WEIR_WEBHOOK_RETRY_FIRST_MS", 3_000).start();
    let api = gateway.api();
    api.project("demo");
    let (path, secret) = subscribe(&api, &hook.url(), &json!({}));
    let (last, _) = subscribe(&api, &gone.url(), &json!({}));
    let (id, _) = api.key("/projects/demo", &json!({}));
    want(
        200,
        &api.post(&format!("/projects/demo/keys/{id}/revoke"), &json!({})),
    );
    let mut waits = Value::Null;
    eventually(PATIENCE, "an attempt is written down", || {
        waits = delivery(&api, &path, "key.revoked", "pending");
        !statuses(&waits).is_empty()
    });
    assert_eq!(statuses(&waits), [500], "{waits}");
    admin::text(&waits["next_attempt_at"]);
    let ended = delivery(&api, &last, "key.revoked", "failed");
    assert_eq!(statuses(&ended), [410], "{ended}");
    assert!(ended["next_attempt_at"].is_null());
    gateway.restart(Stop::Kill);
    let api = gateway.api();
    let done = delivery(&api, &path, "key.revoked", "delivered");
    assert_eq!(statuses(&done), [500, 200], "{done}");
    assert_eq!(done["id"], waits["id"]);
    let all = messages(&hook, &secret);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(id, _)| done["id"] == **id), "{all:?}");
    assert_eq!(all[0].1["type"], all[1].1["type"]);
    assert_eq!(gone.count(), 1, "who is gone was asked again");
}

/// Killed while keys are revoked and receivers told: each revocation that is in force is told under
/// one id, and none that is not.
#[test]
fn killed_at_any_moment_it_loses_and_doubles_nothing() {
    const KEYS: usize = 30;
    let hook = receiver(&[200]);
    let mut gateway = gateway().start();
    let api = gateway.api();
    api.project("demo");
    let (path, secret) = subscribe(&api, &hook.url(), &json!({"events": ["key.revoked"]}));
    let keys: Vec<_> = (0..KEYS)
        .map(|_| api.key("/projects/demo", &json!({})).0)
        .collect();
    for kill in 1..=3 {
        let api = gateway.api();
        std::thread::scope(|scope| {
            let (keys, count) = (&keys, hook.count());
            let revoking = scope.spawn(move || {
                for id in keys {
                    let path = format!("/projects/demo/keys/{id}/revoke");
                    // Those that are revoked already stay so; one that is cut off is asked again.
                    if api.try_json("POST", &path, &[], &json!({})).is_err() {
                        return;
                    }
                }
            });
            eventually(PATIENCE, "some more are told", || {
                hook.count() > count + kill
            });
            gateway.stop(Stop::Kill);
            revoking.join().unwrap();
        });
        gateway.start_again();
    }
    let api = gateway.api();
    for id in &keys {
        want(200, &api.poke(&format!("/projects/demo/keys/{id}/revoke")));
    }
    let of_key = |all: &[(String, Value)], key: &str| {
        let found = all.iter().filter(|(_, told)| told["data"]["key"] == key);
        found.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>()
    };
    eventually(PATIENCE, "every key is told of", || {
        let all = messages(&hook, &secret);
        keys.iter().all(|key| !of_key(&all, key).is_empty())
    });
    eventually(PATIENCE, "all is delivered", || {
        let log = api.list(&format!("{path}/deliveries"));
        log.iter().all(|one| one["state"] == "delivered")
    });
    let all = messages(&hook, &secret);
    for key in &keys {
        assert_eq!(of_key(&all, key).len(), 1, "{key} under one id");
    }
    let log = api.list(&format!("{path}/deliveries"));
    assert_eq!(log.len(), KEYS);
}

#[test]
fn it_is_not_sent_where_weir_may_not_reach() {
    let hook = receiver(&[200]);
    let gateway = later::impatient(Gateway::bare()).start();
    let api = gateway.api();
    api.project("demo");
    let own = format!("http://{}/", gateway.admin_addr());
    for url in [
        hook.url().as_str(),
        own.as_str(),
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "ftp://a.example/",
        "https://user:pass@a.example/",
    ] {
        let body = json!({"target": {"kind": "webhook", "url": url}});
        let answer = api.post(SUBSCRIPTIONS, &body);
        assert_eq!(problem(&[422], &answer), "invalid_fields", "{url}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/target/url");
    }
    assert!(api.list(SUBSCRIPTIONS).is_empty());
    // A name is judged by where it leads, when it is told at the latest.
    let named = format!("http://localhost:{}/", hook.addr().port());
    let (path, _) = subscribe(&api, &named, &json!({}));
    want(200, &api.poke(&format!("{path}/test")));
    let mut tried = Value::Null;
    eventually(PATIENCE, "it is tried", || {
        tried = delivery(&api, &path, "test", "pending");
        !statuses(&tried).is_empty()
    });
    let words = admin::text(&tried["attempts"][0]["error"]);
    assert!(words.contains("not allowed for webhooks"), "{words}");
    assert_eq!(hook.connections(), 0, "it was reached");
}

#[test]
fn subscriptions_are_made_changed_tried_and_deleted() {
    let hook = receiver(&[200]);
    let gateway = gateway().start();
    let api = gateway.api();
    api.project("demo");
    let target = json!({"kind": "webhook", "url": hook.url()});
    let absent = api.post("/projects/none/subscriptions", &json!({"target": target}));
    assert_eq!(problem(&[404], &absent), "project_unknown");
    let wrong = json!({"events": ["version.redy"], "target": {"kind": "email", "to": ["x"]}});
    let answer = api.post(SUBSCRIPTIONS, &wrong);
    assert_eq!(problem(&[422], &answer), "invalid_fields");
    let text = answer.text();
    assert!(text.contains("did you mean version.ready?"), "{text}");
    assert!(text.contains("/target/to/0"), "{text}");
    let mail = json!({"target": {"kind": "email", "to": ["a@b.example"]}});
    let off = api.post(SUBSCRIPTIONS, &mail);
    assert_eq!(problem(&[422], &off), "invalid_fields");
    assert!(off.text().contains("smtp.host"), "{}", off.text());
    let body = json!({"name": "on call", "target": target, "events": ["pool.down"]});
    let tried = want(
        200,
        &api.post(&format!("{SUBSCRIPTIONS}?dry_run=true"), &body),
    );
    assert!(
        tried["dry_run"] == true && tried["secret"].is_null(),
        "{tried}"
    );
    assert!(api.list(SUBSCRIPTIONS).is_empty());
    let answer = api.post(SUBSCRIPTIONS, &body);
    let made = want(201, &answer);
    let location = answer.get("location").expect("Location");
    let path = location
        .strip_prefix("/api/v1")
        .expect("the API")
        .to_owned();
    let answer = api.get(&path);
    assert_eq!(want(200, &answer), made);
    let tag = answer.get("etag").expect("ETag");
    let known = api.send(
        &format!("GET /api/v1{path}"),
        &[("if-none-match", &tag)],
        b"",
    );
    assert_eq!(known.status, 304);
    for (member, expected) in [
        ("project", json!("demo")),
        ("events", json!(["pool.down"])),
        ("deployments", json!([])),
        ("paused", json!(false)),
        ("created_by", json!("admin")),
        ("target", target.clone()),
    ] {
        assert_eq!(made[member], expected, "{member}");
    }
    // Who may not operate sees nothing of them: there are secrets.
    let (_, viewer) = api.token(&json!({"name": "eye", "role": "viewer"}));
    let eye = api.with_token(&viewer);
    assert_eq!(problem(&[403], &eye.get(&path)), "forbidden");
    assert_eq!(problem(&[403], &eye.get(SUBSCRIPTIONS)), "forbidden");
    let patch = json!({"paused": true});
    let changed = api.json("PATCH", &path, &[("if-match", &tag)], &patch);
    assert_eq!(want(200, &changed)["paused"], true);
    let late = api.json("PATCH", &path, &[("if-match", &tag)], &json!({"name": "x"}));
    assert_eq!(problem(&[412], &late), "revision_mismatch");
    want(200, &api.patch(&path, &json!({"paused": false})));
    let rotated = want(200, &api.poke(&format!("{path}/rotate")));
    assert_ne!(rotated["secret"], made["secret"]);
    let secret = admin::text(&rotated["secret"]);
    let secret = hmac::from_base64(secret.strip_prefix("whsec_").expect("whsec_"));
    let tested = want(200, &api.poke(&format!("{path}/test")));
    assert_eq!(
        (&tested["event"], &tested["state"]),
        (&json!("test"), &json!("pending"))
    );
    assert_eq!(types(&hook, &secret, 1), ["test"]);
    let done = delivery(&api, &path, "test", "delivered");
    assert_eq!(done["id"], tested["id"]);
    assert!(done["deployment"].is_null());
    let gone = api.delete(&path);
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(problem(&[404], &api.get(&path)), "subscription_unknown");
    let deeds = api.list("/history");
    let deeds: Vec<_> = deeds
        .iter()
        .filter(|deed| deed["kind"] == "subscription")
        .map(|deed| deed["action"].as_str().unwrap())
        .collect();
    assert_eq!(deeds, ["delete", "rotate", "edit", "edit", "create"]);
}

/// What a declarations file puts in force is told as well.
#[test]
fn what_a_file_declares_is_told() {
    let (backend, hook) = (Backend::echo(), receiver(&[200]));
    let iris = |model: &str| deployment("demo/iris").model(model).backend(&backend);
    let own = key("wk_demo_0123456789abcdefghijklmnopqrstuv", "demo");
    let declared = |model: &str| {
        crate::support::Declarations::new()
            .with(iris(model))
            .with(&own)
    };
    let gateway = later::impatient(Gateway::with(declared("model:1")))
        .env("WEIR_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
        .start();
    let api = gateway.api();
    let (_, secret) = subscribe(&api, &hook.url(), &json!({}));
    gateway.declare(declared("model:2"));
    assert_eq!(types(&hook, &secret, 1), ["version.ready"]);
    gateway.declare(crate::support::Declarations::new().with(iris("model:2")));
    assert_eq!(types(&hook, &secret, 2)[1], "key.revoked");
    let all = messages(&hook, &secret);
    assert_eq!(all[0].1["data"]["by"], "declarations");
    assert_eq!(all[0].1["data"]["version"], 2);
    assert!(!holds_within(QUIET, || hook.count() > 2), "one more");
}

fn with_relay(relay: &Relay, tls: &str) -> Builder {
    gateway()
        .env("WEIR_SMTP_HOST", "127.0.0.1")
        .env("WEIR_SMTP_PORT", relay.port())
        .env("WEIR_SMTP_TLS", tls)
        .env("WEIR_SMTP_FROM", "weir <weir@gateway.example>")
}

fn people(api: &Admin) -> String {
    let to = ["ops@example.org", "dev@example.org"];
    let body = json!({"target": {"kind": "email", "to": to}, "events": ["version.ready"]});
    let made = want(201, &api.post(SUBSCRIPTIONS, &body));
    assert!(made["secret"].is_null(), "{made}");
    format!("{SUBSCRIPTIONS}/{}", admin::text(&made["id"]))
}

#[test]
fn people_are_told_by_mail_again_when_the_relay_is_busy() {
    let relay = Relay::start(&["451 later", "250 taken"]);
    let backend = Backend::echo();
    let gateway = with_relay(&relay, "none").start();
    let api = gateway.api();
    api.project("demo");
    let path = people(&api);
    let more = json!({"display_name": "Iris \u{2603}"});
    api.create_with("demo/iris", &version(&backend.url()), &more);
    let done = delivery(&api, &path, "version.ready", "delivered");
    assert_eq!(statuses(&done), [451, 250], "{done}");
    let mails = relay.mails();
    assert_eq!(mails.len(), 2);
    let id = format!("Message-ID: <{}@gateway.example>", admin::text(&done["id"]));
    for mail in &mails {
        assert!(!mail.is_secret && mail.login.is_none());
        assert!(mail.from.contains("<weir@gateway.example>"), "{mail:?}");
        let to = ["TO:<ops@example.org>", "TO:<dev@example.org>"];
        assert!(
            mail.to.iter().zip(to).all(|(own, to)| own.starts_with(to)),
            "{mail:?}"
        );
        assert_eq!(mail.to.len(), 2);
        assert!(mail.text.lines().any(|line| line == id), "{mail:?}");
        assert!(mail.text.contains("text/plain"), "{mail:?}");
    }
    assert_eq!(mails[0].text, mails[1].text);
    let told = [("kind", "email"), ("result", "delivered")];
    assert_eq!(gateway.metric("weir_notifications_total", &told), 1.0);
}

#[test]
fn mail_goes_over_tls_or_not_at_all() {
    let (relay, pem) = Relay::secret(&["550 never"]);
    let backend = Backend::echo();
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), pem).unwrap();
    let start = |builder: Builder| {
        let gateway = builder
            .env("WEIR_SMTP_USERNAME", "weir")
            .env("WEIR_SMTP_PASSWORD", "hunter2 hunter2")
            .start();
        let api = gateway.api();
        api.project("demo");
        let path = people(&api);
        api.create("demo/iris", &version(&backend.url()));
        (gateway, api, path)
    };
    // Whoever it is that can't show who it is, is told nothing.
    let (gateway, api, path) = start(with_relay(&relay, "starttls"));
    let mut waits = Value::Null;
    eventually(PATIENCE, "it is tried", || {
        waits = delivery(&api, &path, "version.ready", "pending");
        waits["attempts"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    assert!(relay.mails().is_empty(), "{:?}", relay.mails());
    admin::text(&waits["attempts"][0]["error"]);
    assert!(!gateway.log().contains("hunter2"), "a password in the log");
    drop(gateway);
    let plain = Relay::start(&["250 taken"]);
    let (gateway, api, path) = start(with_relay(&plain, "starttls"));
    eventually(PATIENCE, "it is tried", || {
        let waits = delivery(&api, &path, "version.ready", "pending");
        waits["attempts"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    assert!(plain.mails().is_empty(), "{:?}", plain.mails());
    drop(gateway);
    let (_gateway, api, path) =
        start(with_relay(&relay, "starttls").env("WEIR_SMTP_CA_FILE", trusted.path().display()));
    // What is refused for good is sent once more to each alone, should one of them be the reason, and
    // then not again.
    let ended = delivery(&api, &path, "version.ready", "failed");
    assert_eq!(statuses(&ended), [550], "{ended}");
    let mails = relay.mails();
    let to: Vec<_> = mails.iter().map(|mail| mail.to.join(" ")).collect();
    let (ops, dev) = ("TO:<ops@example.org>", "TO:<dev@example.org>");
    assert_eq!(to, [&format!("{ops} {dev}"), ops, dev], "{mails:?}");
    let mail = &mails[0];
    assert!(mail.is_secret);
    assert_eq!(mail.login.as_deref(), Some(" weir hunter2 hunter2"));
    let subject = "Subject: [weir] demo/iris: iris_v1 is live";
    assert!(mail.text.lines().any(|line| line == subject), "{mail:?}");
}
