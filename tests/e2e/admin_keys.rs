//! Keys are made, listed without their secret, described, and revoked for good.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{
    Backend, Gateway, PATIENCE, Stop, admin, at, at_once, eventually, gateway::ADMIN_TOKEN, post,
    problem, version, want,
};

const IMPORTED: &str = "sk-imported:any-visible-ascii/~!";

#[test]
fn a_key_works_when_its_answer_comes_and_in_its_scope_only() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    api.create("demo/text", &version(&backend.url()));
    api.create("other/shut", &version(&backend.url()));
    let mut kept: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    for _ in 0..10 {
        //                                        iris text shut none
        for (path, scope, want_statuses) in [
            (at("demo/iris"), "demo/iris", [200, 403, 403, 403]),
            ("/projects/demo".to_owned(), "demo", [200, 200, 403, 404]),
            (String::new(), "instance", [200, 200, 200, 404]),
        ] {
            let body = json!({"description": "for the app", "expires_at": null, "may_pin": false});
            let answer = api.post(&format!("{path}/keys"), &body);
            let key = want(201, &answer);
            let epoch = admin::epoch_of(&answer);
            let secret = admin::text(&key["secret"]);
            for client in &mut kept {
                for (name, status) in ["demo/iris", "demo/text", "other/shut", "demo/none"]
                    .iter()
                    .zip(want_statuses)
                {
                    let line = format!("POST /predict/{name}");
                    let got = client.call(&line, &[("x-api-key", &secret)], b"");
                    assert_eq!(got.status, status, "{scope} on {name}: {}", got.text());
                    if status == 200 {
                        let seen: u64 = got.get("x-config-epoch").unwrap().parse().unwrap();
                        assert!(seen >= epoch, "{seen} after {epoch}");
                    }
                }
            }
            assert_eq!(key["scope"], scope, "{key}");
            assert_eq!(key["status"], "live");
            assert_eq!(key["description"], "for the app");
            assert!(!key["owner"].is_null(), "{key}");
            let created: jiff::Timestamp = admin::text(&key["created_at"]).parse().unwrap();
            assert!(created <= jiff::Timestamp::now());
        }
    }
}

#[test]
fn listings_show_everything_but_the_secret() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let keys = format!("{}/keys", at("demo/iris"));
    let (id, secret) = api.key(&at("demo/iris"), &json!({"description": "a"}));
    let (project_id, project) = api.key("/projects/demo", &json!({}));
    let (instance_id, instance) = api.key("", &json!({}));
    let all = [&made.secret, &secret, &project, &instance];
    let ids = |path: &str| -> BTreeSet<String> {
        let list = api.list(path);
        let text = json!(list).to_string();
        for secret in all {
            assert!(!text.contains(secret.as_str()), "{path} shows a secret");
            let digest = blake3::hash(secret.as_bytes()).to_hex();
            assert!(!text.contains(digest.as_str()), "{path} shows a digest");
        }
        list.iter()
            .for_each(|k| assert!(k.get("secret").is_none(), "{k}"));
        list.iter().map(|k| admin::text(&k["id"])).collect()
    };
    let own: BTreeSet<_> = [made.key_id.clone(), id.clone()].into();
    assert_eq!(ids(&keys), own);
    assert!(ids("/projects/demo/keys").contains(&project_id));
    assert!(ids("/keys").contains(&instance_id));
    let shown = api.show(&format!("{keys}/{id}"));
    assert_eq!(shown["description"], "a");
    assert!(shown.get("secret").is_none() && !shown.to_string().contains(&secret));
    assert!(shown["last_used_at"].is_null(), "{shown}");
    assert_eq!(
        gateway.call(&post(), &[("x-api-key", &secret)], b"").status,
        200
    );
    eventually(PATIENCE, "the use shows", || {
        api.show(&format!("{keys}/{id}"))["last_used_at"].is_string()
    });
    let path = format!("{keys}/{id}");
    let answer = api.patch(&path, &json!({"description": "b"}));
    assert_eq!(want(200, &answer)["description"], "b");
    assert!(!answer.text().contains(&secret));
    for bad in [
        json!({"secret": "0123456789abcdefghij"}),
        json!({"status": "live"}),
        json!({"id": "x"}),
    ] {
        problem(&[400, 422], &api.patch(&path, &bad));
    }
    let stale = api.json(
        "PATCH",
        &path,
        &[("if-match", "\"stale\"")],
        &json!({"description": "c"}),
    );
    assert_eq!(problem(&[412], &stale), "revision_mismatch");
    assert_eq!(api.show(&path)["description"], "b");
    // A key is found where it belongs, not under another's name.
    api.create("demo/text", &version(&backend.url()));
    let elsewhere = format!("{}/keys/{id}", at("demo/text"));
    assert_eq!(problem(&[404], &api.get(&elsewhere)), "key_unknown");
    assert_eq!(
        problem(&[404], &api.poke(&format!("{elsewhere}/revoke"))),
        "key_unknown"
    );
    assert_eq!(
        gateway.call(&post(), &[("x-api-key", &secret)], b"").status,
        200
    );
}

#[test]
fn the_first_key_can_be_neither_edited_nor_revoked() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let path = format!("{}/keys/{}", at("demo/iris"), made.key_id);
    for query in ["", "?dry_run=true"] {
        let edit = api.patch(&format!("{path}{query}"), &json!({"description": "mine"}));
        assert_eq!(problem(&[409], &edit), "first_key");
        assert_eq!(
            problem(&[409], &api.poke(&format!("{path}/revoke{query}"))),
            "first_key"
        );
    }
    let shown = api.show(&path);
    assert_eq!(
        (&shown["description"], &shown["status"]),
        (&json!("First Key"), &json!("live"))
    );
    assert_eq!(
        gateway
            .call(&post(), &[("x-api-key", &made.secret)], b"")
            .status,
        200
    );
    // Nor through another door.
    for door in ["/keys", "/projects/demo/keys"] {
        let answer = api.poke(&format!("{door}/{}/revoke", made.key_id));
        assert!(
            matches!(answer.status, 404 | 405 | 409),
            "{door}: {}",
            answer.text()
        );
    }
    assert_eq!(
        gateway
            .call(&post(), &[("x-api-key", &made.secret)], b"")
            .status,
        200
    );
}

#[test]
fn revoked_is_final() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let keys = format!("{}/keys", at("demo/iris"));
    let (id, secret) = api.key(&at("demo/iris"), &json!({"description": "d"}));
    let answers = at_once(8, |_| api.poke(&format!("{keys}/{id}/revoke")));
    assert!(answers.iter().any(|a| a.status == 200));
    for answer in &answers {
        match answer.status {
            200 => assert_eq!(answer.json()["status"], "revoked", "{}", answer.text()),
            _ => assert_eq!(problem(&[409], answer), "key_revoked"),
        }
        assert!(!answer.text().contains(&secret));
    }
    let call = |gateway: &Gateway| gateway.call(&post(), &[("x-api-key", &secret)], b"").status;
    assert_eq!(call(&gateway), 401);
    assert_eq!(api.show(&format!("{keys}/{id}"))["status"], "revoked");
    problem(
        &[400, 409, 422],
        &api.patch(&format!("{keys}/{id}"), &json!({"status": "live"})),
    );
    // The same value does not come back as another key, of whatever scope.
    for path in [keys.as_str(), "/projects/demo/keys", "/keys"] {
        let again = api.post(path, &json!({"secret": secret}));
        assert_eq!(problem(&[409], &again), "exists", "{path}");
        assert!(!again.text().contains(&secret));
    }
    for stop in [Stop::Kill, Stop::Term] {
        gateway.restart(stop);
        assert_eq!(call(&gateway), 401);
        let again = gateway.api().post("/keys", &json!({"secret": secret}));
        assert_eq!(problem(&[409], &again), "exists", "after {stop:?}");
        assert_eq!(call(&gateway), 401);
    }
}

#[test]
fn keys_that_exist_are_imported_once() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let keys = format!("{}/keys", at("demo/iris"));
    let answers = at_once(8, |i| {
        let path = ["/keys", keys.as_str()][i % 2];
        api.post(path, &json!({"secret": IMPORTED, "description": "old one"}))
    });
    let made = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(made, 1, "one of eight");
    for answer in answers.iter().filter(|a| a.status != 201) {
        assert_eq!(problem(&[409], answer), "exists");
    }
    let call =
        |gateway: &Gateway, key: &str| gateway.call(&post(), &[("x-api-key", key)], b"").status;
    assert_eq!(call(&gateway, IMPORTED), 200);
    let (least, most) = ("k".repeat(16), "m".repeat(512));
    for (secret, fits) in [
        (least.as_str(), true),
        (&most, true),
        (&least[..15], false),
        (&format!("{most}m"), false),
        ("with a space in it", false),
        ("with-a-\u{e9}-in-it-somewhere", false),
        ("with-a-\n-in-it-somewhere", false),
        ("", false),
    ] {
        let answer = api.post(&keys, &json!({"secret": secret}));
        if fits {
            want(201, &answer);
            assert_eq!(call(&gateway, secret), 200);
        } else {
            problem(&[422], &answer);
            let said = answer.text();
            assert!(
                secret.is_empty() || !said.contains(secret),
                "echoed: {said}"
            );
        }
    }
    // An admin token is no key: each is 401 on the other plane, whatever is imported.
    let token = api.post(&keys, &json!({"secret": ADMIN_TOKEN}));
    if token.status == 201 {
        panic!("the operator's token became an API key");
    }
    gateway.restart(Stop::Kill);
    assert_eq!(call(&gateway, IMPORTED), 200);
    assert_eq!(
        gateway.api().with_token(IMPORTED).get("/status").status,
        401
    );
}

#[test]
fn an_expired_key_is_refused_from_that_moment() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    // Of whole milliseconds, as it is kept: what is finer than that is cut off, and the key with it.
    let soon_ms = jiff::Timestamp::now().as_millisecond() + 1_500;
    let soon = jiff::Timestamp::from_millisecond(soon_ms).unwrap();
    let (_, secret) = api.key(&at("demo/iris"), &json!({"expires_at": soon.to_string()}));
    let mut kept = gateway.connect();
    let headers = [("x-api-key", secret.as_str())];
    let first = kept.call(&post(), &headers, b"").status;
    assert!(
        first == 200 || jiff::Timestamp::now() >= soon,
        "{first} before its time"
    );
    eventually(PATIENCE, "it is refused", || {
        let before = jiff::Timestamp::now();
        let status = kept.call(&post(), &headers, b"").status;
        assert!(
            status == 401 || before < soon,
            "{status} at {before}, expired at {soon}"
        );
        status == 401
    });
    assert!(jiff::Timestamp::now() >= soon, "too early");
    for bad in [json!("tomorrow"), json!(7), json!("2020-13-01T00:00:00Z")] {
        let body = json!({"expires_at": bad});
        problem(
            &[400, 422],
            &api.post(&format!("{}/keys", at("demo/iris")), &body),
        );
    }
}
