//! A deployment under way: the old version answers until the new one can, and a new one that can't
//! leaves a reason, a spent number and nothing else.

use serde_json::{Value, json};

use crate::support::{
    Backend, Gate, Gateway, Next, Nowhere, PATIENCE, Stop, admin, at, client::chunk, eventually,
    post, problem, version, want,
};

/// Settings under which an unreachable backend is given up soon.
fn impatient() -> Gateway {
    Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 400)
        .start()
}

#[test]
fn a_failed_deploy_leaves_the_old_version_and_says_why() {
    let backend = Backend::says("old");
    let nowhere = Nowhere::new();
    let mut gateway = impatient();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let answer = api.post(
        &format!("{}/versions?wait=15", at("demo/iris")),
        &version(&nowhere.url()),
    );
    let body = want(202, &answer);
    assert_eq!(
        (&body["version"], &body["task"]["status"]),
        (&json!(2), &json!("failed")),
        "{body}"
    );
    let reason = admin::text(&body["task"]["reason"]);
    assert!(
        reason.contains(&nowhere.url()) && reason.to_lowercase().contains("connection refused"),
        "{reason}"
    );
    assert!(reason.contains("main"), "which pool: {reason}");
    let check = |gateway: &Gateway| {
        let api = gateway.api();
        let shown = api.show(&at("demo/iris"));
        assert_eq!(
            (&shown["state"], &shown["live_version"]),
            (&json!("live"), &json!(1)),
            "{shown}"
        );
        let failed = api.show(&format!("{}/versions/2", at("demo/iris")));
        assert_eq!(failed["status"], "failed", "{failed}");
        assert!(
            failed["reason"]
                .as_str()
                .is_some_and(|r| r.contains(&nowhere.url())),
            "{failed}"
        );
        let history = api
            .show(&format!("{}/history", at("demo/iris")))
            .to_string();
        assert!(
            history.to_lowercase().contains("connection refused"),
            "{history}"
        );
        let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
        assert_eq!(
            (answer.text().as_str(), answer.version().as_str()),
            ("old", "iris_v1")
        );
    };
    check(&gateway);
    gateway.restart(Stop::Kill);
    check(&gateway);
    let api = gateway.api();
    let refused = api.post(
        &format!("{}/rollback", at("demo/iris")),
        &json!({"version": 2}),
    );
    problem(&[409], &refused);
    assert_eq!(
        api.deploy("demo/iris", &version(&backend.url())),
        3,
        "the number is spent"
    );
    assert_eq!(api.live_version("demo/iris"), Some(3));
}

#[test]
fn a_first_version_that_fails_leaves_a_deployment_that_can_be_mended() {
    let backend = Backend::says("mended");
    let nowhere = Nowhere::new();
    let gateway = impatient();
    let api = gateway.api();
    api.project("demo");
    let made = api.post(
        "/projects/demo/deployments?wait=15",
        &json!({"name": "iris", "version": version(&nowhere.url())}),
    );
    let made = want(201, &made);
    assert_eq!(made["task"]["status"], "failed", "{made}");
    let shown = api.show(&at("demo/iris"));
    assert_eq!(
        (&shown["state"], &shown["live_version"]),
        (&json!("failed"), &Value::Null),
        "{shown}"
    );
    let secret = admin::text(&made["first_key"]["secret"]);
    let headers = [("x-api-key", secret.as_str())];
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(answer.status, 503);
    assert!(answer.get("retry-after").is_some());
    let none = api.post(&format!("{}/rollback", at("demo/iris")), &json!({}));
    assert_eq!(problem(&[409], &none), "nothing_to_roll_back_to");
    assert_eq!(api.deploy("demo/iris", &version(&backend.url())), 2);
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "mended");
}

#[test]
fn a_live_version_is_not_deleted_and_a_deleted_number_is_not_given_again() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    for n in 2..=3 {
        assert_eq!(api.deploy("demo/iris", &version(&backend.url())), n);
    }
    let path = |n: u64| format!("{}/versions/{n}", at("demo/iris"));
    assert_eq!(problem(&[409], &api.delete(&path(3))), "version_live");
    let gone = api.delete(&path(2));
    assert!(matches!(gone.status, 200..=204), "{}", gone.text());
    if let Some(task) = serde_json::from_slice::<Value>(&gone.body)
        .ok()
        .and_then(|body| body["task"]["id"].as_str().map(str::to_owned))
    {
        api.done(&task);
    }
    let back = api.post(
        &format!("{}/rollback?wait=15", at("demo/iris")),
        &json!({"version": 2}),
    );
    problem(&[404, 409], &back);
    // What was live before 2 went is 1 or nothing; it is never the deleted one.
    let back = api.post(&format!("{}/rollback?wait=15", at("demo/iris")), &json!({}));
    assert!(matches!(back.status, 202 | 409), "{}", back.text());
    let live = api.live_version("demo/iris");
    assert!(matches!(live, Some(1 | 3)), "{live:?}");
    let top = live.unwrap();
    assert_eq!(problem(&[409], &api.delete(&path(top))), "version_live");
    if top == 1 {
        assert!(
            matches!(api.delete(&path(3)).status, 200..=204),
            "3 is live no more"
        );
    }
    gateway.restart(Stop::Kill);
    let api = gateway.api();
    assert_eq!(
        api.deploy("demo/iris", &version(&backend.url())),
        4,
        "numbers only grow"
    );
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.version(), "iris_v4");
}

#[test]
fn kept_versions_answer_who_may_pin_them() {
    let backends = ["one", "two", "three"].map(Backend::says);
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create_with(
        "demo/iris",
        &version(&backends[0].url()),
        &json!({"keep_previous": 1}),
    );
    let (_, pins) = api.key(&at("demo/iris"), &json!({"may_pin": true}));
    let pinned = |version: &str, key: &str| {
        let headers = [("x-api-key", key), ("x-deployment-version", version)];
        let answer = gateway.call(&post(), &headers, b"");
        (
            answer.status,
            if answer.status == 200 {
                answer.text()
            } else {
                String::new()
            },
        )
    };
    let ok = |words: &str| (200, words.to_owned());
    let no = |status: u16| (status, String::new());
    assert_eq!(pinned("1", &pins), ok("one"));
    assert_eq!(pinned("1", &made.secret), no(403), "the First Key may not");
    api.deploy("demo/iris", &version(&backends[1].url()));
    assert_eq!(pinned("1", &pins), ok("one"), "kept warm");
    assert_eq!(pinned("iris_v1", &pins), ok("one"));
    assert_eq!(pinned("iris_v2", &pins), ok("two"));
    assert_eq!(pinned("3", &pins), no(404));
    let kept = api.delete(&format!("{}/versions/1", at("demo/iris")));
    assert!(kept.status < 500, "{}", kept.text());
    api.deploy("demo/iris", &version(&backends[2].url()));
    assert_eq!(pinned("1", &pins), no(404), "only the last one is kept");
    assert_eq!(pinned("2", &pins), ok("two"));
    // Without the setting nothing is kept.
    let plain = api.create("demo/plain", &version(&backends[0].url()));
    let (_, pins) = api.key(&at("demo/plain"), &json!({"may_pin": true}));
    api.deploy("demo/plain", &version(&backends[1].url()));
    for (key, version, status) in [
        (&pins, "1", 404),
        (&pins, "2", 200),
        (&plain.secret, "2", 403),
    ] {
        let headers = [
            ("x-api-key", key.as_str()),
            ("x-deployment-version", version),
        ];
        let answer = gateway.call("POST /predict/demo/plain", &headers, b"");
        assert_eq!(answer.status, status, "{version}: {}", answer.text());
    }
}

#[test]
fn a_challenger_is_promoted_as_a_new_version() {
    let (main, challenger) = (Backend::says("main"), Backend::says("challenger"));
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let mut body = version(&main.url());
    let made = api.create("demo/iris", &body);
    let headers = [("x-api-key", made.secret.as_str())];
    let promote = format!("{}/promote?wait=15", at("demo/iris"));
    assert_eq!(problem(&[409], &api.poke(&promote)), "no_challenger");
    body["challenger"] = json!({"backends": [{"url": challenger.url()}], "sample": 1.0});
    assert_eq!(api.deploy("demo/iris", &body), 2);
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "main");
    let done = want(
        202,
        &api.post(&promote, &json!({"keep_main_as_challenger": true})),
    );
    assert_eq!(done["task"]["status"], "done", "{done}");
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("challenger", "iris_v3")
    );
    let copies = main.count();
    eventually(PATIENCE, "the old main gets copies", || {
        gateway.call(&post(), &headers, b"");
        main.count() > copies
    });
    // And back, without keeping.
    let done = want(202, &api.poke(&promote));
    assert_eq!(done["task"]["status"], "done", "{done}");
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("main", "iris_v4")
    );
    assert_eq!(problem(&[409], &api.poke(&promote)), "no_challenger");
}

#[test]
fn a_stream_outlives_its_version_however_long_that_takes() {
    let gate = Gate::new();
    let door = gate.clone();
    let old = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("first"));
        door.wait();
        let _ = conn.write([chunk("last"), b"0\r\n\r\n".to_vec()].concat());
        Next::Keep
    });
    let new = Backend::says("new");
    let gateway = Gateway::bare().env("WEIR_DEPLOY_DRAIN_MS", 200).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&old.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    let mut stream = gateway.connect();
    let head = stream
        .request("POST /stream/demo/iris", &headers, b"{}")
        .head();
    assert_eq!(head.get("x-deployment-version").as_deref(), Some("iris_v1"));
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    // The swap, the end of the drain's time, a deletion and a stop: none of it touches the stream.
    assert_eq!(api.deploy("demo/iris", &version(&new.url())), 2);
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "new");
    let gone = api.delete(&format!("{}/versions/1", at("demo/iris")));
    assert!(gone.status < 500, "{}", gone.text());
    let stop = api.begin(&format!("{}/stop", at("demo/iris")), &Value::Null);
    eventually(PATIENCE, "it stops", || {
        gateway.call(&post(), &headers, b"").status == 503
    });
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b"last");
    assert_eq!(stream.read_chunk().unwrap(), b"");
    api.done(&stop);
}
