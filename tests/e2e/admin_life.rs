//! Stopping, starting again and deleting: nothing under way is cut, and the record stays.

use serde_json::{Value, json};

use crate::support::{
    Backend, Gate, Gateway, Next, PATIENCE, Stop, admin, at, client::chunk, eventually, post,
    problem, version, want,
};

/// A backend whose stream has a second half behind a gate.
fn halves(gate: &Gate) -> Backend {
    let door = gate.clone();
    Backend::start(move |conn, head| {
        conn.body(head);
        if head.target() == "/stream" {
            conn.start_chunked();
            let _ = conn.write(chunk("first"));
            door.wait();
            let _ = conn.write([chunk("last"), b"0\r\n\r\n".to_vec()].concat());
            return Next::Keep;
        }
        conn.answer(200, &[], b"ok")
    })
}

#[test]
fn a_stopped_deployment_says_so_and_comes_back_as_it_was() {
    let gate = Gate::new();
    let backend = halves(&gate);
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &version(&backend.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    let mut stream = gateway.connect();
    stream
        .request("POST /stream/demo/iris", &headers, b"{}")
        .head();
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    let mut kept = gateway.connect();
    assert_eq!(kept.call(&post(), &headers, b"").status, 200);
    let stop = api.begin(&format!("{}/stop", at("demo/iris")), &Value::Null);
    eventually(PATIENCE, "no new requests", || {
        kept.call(&post(), &headers, b"").status == 503
    });
    let state = api.show(&at("demo/iris"))["state"].clone();
    assert!(state == "stopping" || state == "stopped", "{state}");
    gate.open();
    assert_eq!(
        stream.read_chunk().unwrap(),
        b"last",
        "what was under way ends in order"
    );
    assert_eq!(stream.read_chunk().unwrap(), b"");
    api.done(&stop);
    let check = |gateway: &Gateway| {
        assert_eq!(gateway.api().show(&at("demo/iris"))["state"], "stopped");
        let answer = gateway.call(&post(), &headers, b"");
        assert_eq!(answer.status, 503, "{}", answer.text());
        let after = answer.get("retry-after").expect("Retry-After");
        assert!(after.parse::<u64>().is_ok(), "{after}");
        assert_eq!(
            gateway.call(&post(), &[], b"").status,
            401,
            "who asks comes first"
        );
    };
    check(&gateway);
    let before = backend.count();
    gateway.restart(Stop::Kill);
    check(&gateway);
    assert_eq!(backend.count(), before);
    let api = gateway.api();
    let done = want(
        202,
        &api.poke(&format!("{}/restart?wait=15", at("demo/iris"))),
    );
    assert_eq!(done["task"]["status"], "done", "{done}");
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("ok", "iris_v2"),
        "no new one"
    );
    assert_eq!(api.show(&at("demo/iris"))["state"], "live");
    assert_eq!(api.deploy("demo/iris", &version(&backend.url())), 3);
}

#[test]
fn a_restart_of_what_is_live_changes_no_version() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let done = want(
        202,
        &api.poke(&format!("{}/restart?wait=15", at("demo/iris"))),
    );
    assert_eq!(
        (&done["task"]["status"], &done["task"]["kind"]),
        (&json!("done"), &json!("restart"))
    );
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"x");
    assert_eq!((answer.status, answer.version().as_str()), (200, "iris_v1"));
}

#[test]
fn a_deleted_deployment_leaves_its_record_and_nothing_else() {
    let gate = Gate::new();
    let backend = halves(&gate);
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &version(&backend.url()));
    let (own_id, own) = api.key(&at("demo/iris"), &json!({}));
    let (_, project) = api.key("/projects/demo", &json!({}));
    let (_, instance) = api.key("", &json!({}));
    let readme = format!("{}/readme", at("demo/iris"));
    api.json("PUT", &readme, &[], &json!({"text": "# kept\n"}));
    let history = format!("{}/history", at("demo/iris"));
    let before = api.list(&history);
    let mut stream = gateway.connect();
    stream
        .request(
            "POST /stream/demo/iris",
            &[("x-api-key", own.as_str())],
            b"{}",
        )
        .head();
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    let answer = api.json(
        "DELETE",
        &at("demo/iris"),
        &[],
        &json!({"reason": "season is over"}),
    );
    let task = admin::text(&want(202, &answer)["task"]["id"]);
    eventually(PATIENCE, "no new requests", || {
        gateway.call(&post(), &[("x-api-key", &own)], b"").status != 200
    });
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b"last");
    assert_eq!(stream.read_chunk().unwrap(), b"");
    let ended = api.done(&task);
    assert_eq!(ended["kind"], "delete", "{ended}");

    let check = |gateway: &Gateway| {
        for (key, status) in [
            (&own, 401),
            (&made.secret, 401),
            (&project, 404),
            (&instance, 404),
        ] {
            for line in [post(), "POST /stream/demo/iris/x".to_owned()] {
                let answer = gateway.call(&line, &[("x-api-key", key)], b"");
                assert_eq!(answer.status, status, "{line}: {}", answer.text());
            }
        }
        let api = gateway.api();
        let shown = api.show(&at("demo/iris"));
        assert_eq!(shown["state"], "deleted", "{shown}");
        assert_eq!(shown["live_version"], Value::Null, "{shown}");
        assert!(shown.to_string().contains("season is over"), "{shown}");
        let now = api.list(&history);
        assert!(now.len() > before.len());
        for entry in &before {
            assert!(now.contains(entry), "{entry} was in the history");
        }
        assert!(json!(now).to_string().contains("season is over"));
        assert_eq!(api.get(&readme).text(), "# kept\n");
        assert_eq!(api.task(&task)["status"], "done");
    };
    check(&gateway);
    for (method, path, body) in [
        ("POST", "/versions", version(&backend.url())),
        ("POST", "/rollback", json!({})),
        ("POST", "/rollback", json!({"version": 1, "force": true})),
        ("POST", "/promote", Value::Null),
        ("POST", "/stop", Value::Null),
        ("POST", "/restart", Value::Null),
        ("POST", "/keys", json!({})),
        ("POST", "/shares", json!({"project": "demo"})),
        ("PATCH", "", json!({"access": "public"})),
        ("DELETE", "", json!({"reason": "again"})),
    ] {
        let answer = api.verb(method, &format!("{}{path}", at("demo/iris")), &body);
        problem(&[404, 409, 410], &answer);
    }
    let revoke = api.poke(&format!("{}/keys/{own_id}/revoke", at("demo/iris")));
    assert!(
        matches!(revoke.status, 200 | 404 | 409),
        "{}",
        revoke.text()
    );
    check(&gateway);
    for stop in [Stop::Kill, Stop::Term] {
        gateway.restart(stop);
        check(&gateway);
    }
    // Its name does not come back to life with its old keys or numbers.
    let again = gateway.api().post(
        "/projects/demo/deployments?wait=15",
        &json!({"name": "iris", "version": version(&backend.url())}),
    );
    if again.status == 201 {
        assert_eq!(
            again.json()["task"]["version"],
            3,
            "numbers only grow: {}",
            again.text()
        );
        for dead in [&own, &made.secret] {
            assert_eq!(
                gateway.call(&post(), &[("x-api-key", dead)], b"").status,
                401
            );
        }
    } else {
        problem(&[409], &again);
    }
}

#[test]
fn deleting_a_stopped_or_failed_or_waiting_deployment_ends_too() {
    let backend = Backend::echo();
    let never = Backend::echo();
    never.set_healthy(false);
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/stopped", &version(&backend.url()));
    want(
        202,
        &api.poke(&format!("{}/stop?wait=15", at("demo/stopped"))),
    );
    let mut waiting = version(&never.url());
    waiting["main"]["health_path"] = json!("/health");
    let made = api.post(
        "/projects/demo/deployments",
        &json!({"name": "waiting", "version": waiting}),
    );
    let first = admin::text(&want(201, &made)["task"]["id"]);
    api.wait_status(&first, "processing");
    for name in ["demo/stopped", "demo/waiting"] {
        let line = format!("{}?wait=15", at(name));
        let answer = api.json("DELETE", &line, &[], &json!({"reason": "gone"}));
        let mut task = want(202, &answer)["task"].clone();
        if task["status"] != "done" && name == "demo/waiting" {
            // One task at a time: the delete may wait for the deploy, which can be canceled.
            api.poke(&format!("/tasks/{first}/cancel"));
            task = api.ended(&admin::text(&task["id"]));
        }
        assert_eq!(task["status"], "done", "{name}: {task}");
        assert_eq!(api.show(&at(name))["state"], "deleted");
    }
    assert!(admin::is_terminal(&api.task(&first)));
}

#[test]
fn history_only_grows_and_says_who() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let (id, secret) =
        api.token(&json!({"name": "release-bot", "role": "org-admin", "description": ""}));
    let bot = api.with_token(&secret);
    let history = format!("{}/history", at("demo/iris"));
    let mut before = api.list(&history);
    for step in 0..5 {
        match step {
            0 => drop(bot.deploy("demo/iris", &version(&backend.url()))),
            1 => drop(want(
                202,
                &bot.post(&format!("{}/rollback?wait=15", at("demo/iris")), &json!({})),
            )),
            2 => drop(bot.key(&at("demo/iris"), &json!({"description": "for the app"}))),
            3 => drop(want(
                202,
                &bot.poke(&format!("{}/stop?wait=15", at("demo/iris"))),
            )),
            _ => drop(want(
                202,
                &bot.poke(&format!("{}/restart?wait=15", at("demo/iris"))),
            )),
        }
        let now = api.list(&history);
        assert!(
            now.len() > before.len(),
            "step {step} is not in the history"
        );
        let tail = if now.starts_with(&before) {
            &now[before.len()..]
        } else {
            assert!(
                now.ends_with(&before),
                "step {step} changed what was written"
            );
            &now[..now.len() - before.len()]
        };
        let added = json!(tail).to_string();
        let who = added.contains("release-bot") || added.contains(&id);
        assert!(who, "step {step}: {added}");
        assert!(!added.contains(&secret));
        before = now;
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(
            api.verb(method, &history, &json!({})).status,
            405,
            "{method}"
        );
    }
    assert_eq!(api.list(&history), before);
}
