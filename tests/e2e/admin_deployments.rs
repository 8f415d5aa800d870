//! What an operator creates is there, answers, and can be described and found again.

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Declarations, Gateway, PATIENCE, Stop, admin, at, deployment, eventually, iris,
    post, problem, version, want,
};

#[test]
fn a_deployment_goes_from_nothing_to_an_answer() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let body = want(
        201,
        &api.post("/projects", &json!({"name": "demo", "tenant": "default"})),
    );
    assert_eq!(
        (&body["name"], &body["tenant"]),
        (&json!("demo"), &json!("default"))
    );
    let made = want(
        201,
        &api.post(
            "/projects/demo/deployments",
            &json!({"name": "iris", "version": version(&backend.url())}),
        ),
    );
    for (member, value) in [
        ("project", json!("demo")),
        ("name", json!("iris")),
        ("live_version", Value::Null),
    ] {
        assert_eq!(made[member], value, "{made}");
    }
    assert!(
        matches!(made["state"].as_str(), Some("queued" | "setting-up")),
        "{made}"
    );
    assert_eq!(made["task"]["kind"], "deploy");
    assert_eq!(made["task"]["version"], 1);
    assert!(matches!(
        made["task"]["status"].as_str(),
        Some("pending" | "processing")
    ));
    let first = &made["first_key"];
    assert_eq!(first["description"], "First Key");
    let secret = admin::text(&first["secret"]);
    let id = admin::text(&first["id"]);
    let parts: Vec<_> = secret.splitn(3, '_').collect();
    assert_eq!(
        (parts[0], parts[1]),
        ("wk", id.trim_start_matches("wk_")),
        "{secret}"
    );
    assert!(parts[2].len() >= 32 && parts[2].bytes().all(|b| b.is_ascii_alphanumeric()));

    let task = api.done(&admin::text(&made["task"]["id"]));
    assert_eq!(task["deployment"], "demo/iris");
    assert_eq!(task["project"], "demo");
    assert!(
        task["config_epoch"].as_u64().is_some_and(|e| e > 0),
        "{task}"
    );
    let shown = api.show(&at("demo/iris"));
    assert_eq!(
        (&shown["state"], &shown["live_version"]),
        (&json!("live"), &json!(1)),
        "{shown}"
    );
    assert_eq!(shown["access"], "keys");
    assert!(!shown.to_string().contains(&secret), "shown once");
    // The very next request, on the address that the answer named.
    let url = admin::text(&made["predict_url"]);
    assert!(url.ends_with("/predict/demo/iris"), "{url}");
    assert!(
        url.starts_with(&format!("http://{}", gateway.addr())),
        "{url}"
    );
    assert!(admin::text(&made["stream_url"]).ends_with("/stream/demo/iris"));
    let answer = gateway.call(&post(), &[("x-api-key", &secret)], b"hello");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.version(), "iris_v1");
    let epoch: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
    assert!(epoch >= task["config_epoch"].as_u64().unwrap());
}

#[test]
fn what_a_version_carries_is_shown_again() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let carried = json!({
        "model": "iris-logreg:1.2", "parameters": {"depth": 3, "name": "ы"}, "notes": "first",
        "image": "registry/iris:1", "hardware": "cpu", "optimization": "none",
        "arch": "x86", "instances": 2, "labels": {"team": "a"},
        "main": {"backends": [{"url": backend.url(), "weight": 3}], "predict_path": "/p",
                 "stream_path": "/s", "health_path": "/health"},
        "timeouts": {"connect_ms": 1500, "first_byte_ms": 61000, "idle_ms": 62000, "total_ms": 600000}
    });
    let tags = json!(["tabular", "small"]);
    api.create_with(
        "demo/iris",
        &carried,
        &json!({"description": "words", "tags": tags, "display_name": "Flan T5_v2"}),
    );
    let check = |api: &Admin| {
        let shown = api.show(&at("demo/iris"));
        assert_eq!(shown["description"], "words");
        assert_eq!(shown["tags"], tags);
        assert_eq!(shown["display_name"], "Flan T5_v2");
        let shown = api.show(&format!("{}/versions/1", at("demo/iris")));
        // Wherever the version's own members stand, beside its number or in a member of their own.
        let inner = [&shown["version"], &shown["spec"], &shown["config"], &shown]
            .into_iter()
            .find(|v| v.get("model").is_some())
            .unwrap_or_else(|| panic!("no model in {shown}"));
        for (member, value) in carried.as_object().unwrap() {
            let pool = member;
            if member == "main" || member == "timeouts" {
                for (member, value) in value.as_object().unwrap() {
                    if member != "backends" {
                        assert_eq!(&inner[pool][member], value, "{member}: {shown}");
                    }
                }
                continue;
            }
            assert_eq!(&inner[member], value, "{member}: {shown}");
        }
        assert_eq!(inner["main"]["backends"][0]["weight"], 3);
    };
    check(&api);
    drop(api);
    let mut gateway = gateway;
    gateway.restart(Stop::Term);
    check(&gateway.api());
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create_with(
        "demo/iris",
        &version(&backend.url()),
        &json!({"description": "old", "tags": ["a"], "display_name": "Iris 1"}),
    );
    let path = at("demo/iris");
    let before = api.get(&path);
    let tag = before.get("etag").expect("an ETag");
    let answer = api.json(
        "PATCH",
        &path,
        &[("if-match", &tag)],
        &json!({"description": "new"}),
    );
    let after = want(200, &answer);
    assert_eq!(after["description"], "new");
    for member in ["tags", "access", "display_name", "live_version", "state"] {
        assert_eq!(after[member], before.json()[member], "{member}");
    }
    let newer = api.get(&path).get("etag").expect("an ETag");
    assert_ne!(newer, tag);
    let lost = api.json(
        "PATCH",
        &path,
        &[("if-match", &tag)],
        &json!({"description": "late"}),
    );
    assert_eq!(problem(&[412], &lost), "revision_mismatch");
    assert_eq!(api.show(&path)["description"], "new");
    // `*` means: whatever it is now.
    want(
        200,
        &api.json("PATCH", &path, &[("if-match", "*")], &json!({"tags": []})),
    );
    for bad in [
        json!({"name": "other"}),
        json!({"live_version": 7}),
        json!({"state": "stopped"}),
        json!({"project": "else"}),
        json!({"descripton": "typo"}),
        json!({"access": "everybody"}),
        json!([]),
    ] {
        problem(&[400, 422], &api.patch(&path, &bad));
    }
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(
        (answer.status, answer.version().as_str()),
        (200, "iris_v1"),
        "no new version"
    );
}

#[test]
fn access_is_in_force_when_the_answer_comes() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    api.project("other");
    let (_, sister) = api.key("/projects/demo", &json!({}));
    let (_, foreign) = api.key("/projects/other", &json!({}));
    let mut kept: Vec<_> = (0..6).map(|_| gateway.connect()).collect();
    for round in 0..12 {
        //                             none  sister foreign
        for (access, want_status) in [
            ("public", [200, 200, 200]),
            ("keys", [401, 200, 403]),
            ("instance", [401, 200, 200]),
            ("project", [401, 200, 403]),
        ] {
            let answer = api.patch(&at("demo/iris"), &json!({"access": access}));
            want(200, &answer);
            let epoch = admin::epoch_of(&answer);
            for client in &mut kept {
                for (key, status) in [None, Some(&sister), Some(&foreign)]
                    .iter()
                    .zip(want_status)
                {
                    let headers: Vec<_> = key.iter().map(|k| ("x-api-key", k.as_str())).collect();
                    let answer = client.call(&post(), &headers, b"");
                    assert_eq!(answer.status, status, "round {round}, {access}, {key:?}");
                    if status == 200 {
                        let seen: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
                        assert!(seen >= epoch, "{seen} after {epoch} was in force");
                    }
                }
            }
        }
    }
}

#[test]
fn a_readme_is_kept_as_it_was_written() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let path = format!("{}/readme", at("demo/iris"));
    let words = "# Iris\n\n<script>alert(1)</script> \u{1F33A} \"quoted\" \\ end\n";
    let line = format!("PUT /api/v1{path}");
    let put = api.send(
        &line,
        &[("content-type", "text/markdown")],
        words.as_bytes(),
    );
    assert!(matches!(put.status, 200 | 201 | 204), "{}", put.text());
    let read = |api: &Admin| {
        let answer = api.get(&path);
        assert_eq!((answer.status, answer.text().as_str()), (200, words));
        let kind = answer.get("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/markdown"), "{kind}");
        answer.get("etag").expect("an ETag")
    };
    let tag = read(&api);
    let json = api.json("PUT", &path, &[("if-match", &tag)], &json!({"text": words}));
    assert!(matches!(json.status, 200 | 201 | 204), "{}", json.text());
    read(&api);
    let headers = [
        ("content-type", "text/markdown"),
        ("if-match", "\"no-such-tag\""),
    ];
    assert_eq!(
        problem(&[412], &api.send(&line, &headers, b"lost")),
        "revision_mismatch"
    );
    let bad = api.send(&line, &[("content-type", "text/markdown")], b"\xff\xfe\x00");
    problem(&[400, 422], &bad);
    gateway.restart(Stop::Kill);
    read(&gateway.api());
}

#[test]
fn a_readme_has_a_size_and_editions_and_outlives_its_deployment() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let path = format!("{}/readme", at("demo/iris"));
    let put = |headers: &[(&str, &str)], text: &[u8]| {
        let headers = [&[("content-type", "text/markdown")], headers].concat();
        api.send(&format!("PUT /api/v1{path}"), &headers, text)
    };
    assert_eq!(problem(&[404], &api.get(&path)), "readme_unknown");
    want(200, &put(&[], &vec![b'a'; 256 << 10]));
    let first = api.get(&path).get("etag").expect("an ETag");
    // One byte more, in either form, is refused with the limit in words, and the old one stays.
    let text = vec![b'a'; (256 << 10) + 1];
    let json = json!({"text": String::from_utf8_lossy(&text)});
    for answer in [put(&[], &text), api.json("PUT", &path, &[], &json)] {
        assert_eq!(
            problem(&[422], &answer),
            "invalid_fields",
            "{}",
            answer.text()
        );
        let words = "is 262145 bytes long, 262144 are allowed";
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let read = |headers: &[(&str, &str)]| api.send(&format!("GET /api/v1{path}"), headers, b"");
    assert_eq!(read(&[("if-none-match", &first)]).status, 304);
    // Each edition has a tag of its own, also one that says what an earlier one said.
    let mut tags = vec![first];
    for text in ["# One", "# Two", "# One"] {
        let before = tags.last().expect("one").clone();
        want(200, &put(&[("if-match", &before)], text.as_bytes()));
        let lost = put(&[("if-match", &before)], b"# Lost");
        assert_eq!(problem(&[412], &lost), "revision_mismatch");
        let answer = read(&[("if-none-match", &before)]);
        assert_eq!((answer.status, answer.text().as_str()), (200, text));
        let tag = answer.get("etag").expect("an ETag");
        assert!(!tags.contains(&tag), "{tag}");
        tags.push(tag);
    }
    let last = tags.last().expect("one");
    let task = api.verb("DELETE", &at("demo/iris"), &json!({"reason": "over"}));
    api.done(&admin::text(&want(202, &task)["task"]["id"]));
    let kept = read(&[]);
    assert_eq!((kept.status, kept.text().as_str()), (200, "# One"));
    assert_eq!(kept.get("etag").as_ref(), Some(last));
    problem(&[404, 409], &put(&[], b"# Late"));
    assert_eq!(read(&[]).text(), "# One");
}

#[test]
fn declared_and_created_live_side_by_side() {
    let backend = Backend::echo();
    let mut gateway = Gateway::start(iris(&backend));
    let api = gateway.api();
    assert_eq!(api.live_version("demo/iris"), Some(1));
    let made = api.create("demo/made", &version(&backend.url()));
    gateway.redeclare(iris(&Backend::echo()).with(deployment("demo/more").backend(&backend)));
    let live = |gateway: &Gateway, name: &str, n: u64| {
        eventually(PATIENCE, &format!("{name} v{n}"), || {
            let shown = gateway.api().get(&at(name));
            shown.status == 200 && shown.json()["live_version"] == n
        });
    };
    live(&gateway, "demo/iris", 2);
    live(&gateway, "demo/more", 1);
    let headers = [("x-api-key", made.secret.as_str())];
    assert_eq!(
        gateway
            .call("POST /predict/demo/made", &headers, b"")
            .status,
        200
    );
    gateway.restart(Stop::Term);
    let api = gateway.api();
    assert_eq!(
        api.live_version("demo/iris"),
        Some(2),
        "the same file is no new version"
    );
    assert_eq!(
        gateway
            .call("POST /predict/demo/made", &headers, b"")
            .status,
        200
    );
    gateway.redeclare(Declarations::new().with(deployment("demo/iris").backend(&backend)));
    // Numbers go on after a restart.
    live(&gateway, "demo/iris", 3);
    assert_eq!(
        gateway
            .call("POST /predict/demo/made", &headers, b"")
            .status,
        200
    );
}
