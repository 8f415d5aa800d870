//! How challengers stand, now and over time, and who sees it.

use super::*;

#[tokio::test]
async fn how_a_challenger_stands_is_shown_in_the_shape_that_programs_expect() {
    let scene = Scene::new().await;
    scene.comparison.put_standing(&iris(), 1, &standing(1));
    let mut shown = scene.json(COMPARISON).await;
    assert!(shown["kinds"].take().is_object());
    let zero_of = |words: &[&str]| -> Value {
        words
            .iter()
            .map(|word| ((*word).to_owned(), json!(0)))
            .collect()
    };
    let mut skipped = zero_of(&Skipped::ALL.map(Skipped::as_str));
    (skipped["not_sampled"], skipped["pair_dropped"]) = (json!(300), json!(2));
    let expected = json!({
        "project": "demo", "deployment": "iris", "version": 1,
        "challenger": {"backends": ["http://127.0.0.1:2"], "sample": 0.5},
        "is_live": true, "is_stopped": false, "stopped": null, "share": shown["share"],
        "verdict": {"state": "reject", "reasons": ["agreement is surely below 0.95"],
            "since": "2026-01-01T12:00:00.000Z",
            "limits": {"min_agreement": 0.9, "max_error_increase": 0.02,
                "max_latency_ratio_p50": 1.5, "max_latency_ratio_p99": 0.0, "alpha": 0.05,
                "min_pairs": 100},
            "auto_promote": false, "auto_promoted_at": null, "auto_stop": true},
        "pairs": 300,
        "agreement": {"n": 290, "value": 0.75, "low": 0.5, "high": 0.875, "limit": 0.9},
        "errors": {"n": 299, "main": 3, "challenger": 9,
            "increase": {"n": 299, "value": 0.25, "low": -1.0, "high": null, "limit": null}},
        "latency": {
            "p50": {"main_ms": 1.5, "challenger_ms": 3.0,
                "ratio": {"n": 280, "value": 2.0, "low": null, "high": null, "limit": 1.5}},
            "p99": {"main_ms": null, "challenger_ms": null,
                "ratio": {"n": 0, "value": null, "low": 0.0, "high": null, "limit": null}}},
        "compared": {"agree": 280, "disagree": 10,
            "uncompared": {"main_failed": 1, "main_incomplete": 2, "too_large": 3, "encoded": 4,
                "unreadable": 0}},
        "skipped": skipped, "kinds": null,
        "first_pair_at": "2026-01-01T11:59:59.000Z", "last_pair_at": "2026-01-01T12:00:01.000Z",
    });
    assert_eq!(shown, expected);
    let share = shown["share"].as_f64().expect("a share");
    assert!((share - 0.5).abs() < 1e-9, "{share}");

    // In short, it stands with its deployment, wherever that is shown.
    let one = scene.json(&format!("GET {IRIS}")).await;
    let list = scene.json("GET /api/v1/deployments").await;
    for deployment in [&one, &list["items"][0]] {
        let expected = json!({"version": 1, "is_stopped": false, "share": share,
            "verdict": "reject", "agreement": 0.75, "pairs": 300});
        assert_eq!(deployment["challenger"], expected);
    }

    // A brake is in force at once.
    let snapshot = scene.world.current.load_full();
    let plan = snapshot.route("demo/iris").expect("it is there").live();
    let challenger = plan.expect("it is live").challenger.as_ref();
    challenger.expect("it has one").brake.set_stopped(true);
    let shown = scene.json(COMPARISON).await;
    let stopped = (&shown["is_stopped"], &shown["share"]);
    assert_eq!(stopped, (&json!(true), &json!(0.0)));
}

#[tokio::test]
async fn a_challenger_that_was_stopped_is_shown_with_the_reason_wherever_its_version_is() {
    let scene = Scene::new().await;
    let call = request("GET /api/v1/events", &[], "");
    let events = scene.world.router.clone().oneshot(call).await;
    let mut events = events.expect("infallible").into_body();
    scene.comparison.put_standing(&iris(), 1, &standing(1));
    let control = &scene.world.plane.control;
    control.watch_verdicts(Arc::clone(&scene.comparison));
    loop {
        let frame = events.frame().await.expect("it goes on").expect("a frame");
        let text = String::from_utf8(frame.into_data().expect("data").into()).expect("UTF-8");
        if text.contains("challenger-stop") {
            break;
        }
    }
    let reason = "the verdict is reject: agreement is surely below 0.95";
    let shown = scene.json(COMPARISON).await;
    assert_eq!(shown["is_stopped"], true);
    assert_eq!(shown["stopped"]["reason"], reason);
    let at = &shown["stopped"]["at"];
    assert!(at.is_string(), "{at}");
    let version = scene.json(&format!("GET {IRIS}/versions/1")).await;
    let stopped = json!({"at": at, "reason": reason});
    assert_eq!(version["challenger_stopped"], stopped);
    assert_eq!(version["auto_promoted_at"], Value::Null);

    // Another version has another challenger; this one stays as it is.
    scene.declare("").await;
    let shown = scene.json(&format!("{COMPARISON}?version=1")).await;
    assert_eq!(
        (&shown["is_live"], &shown["is_stopped"], &shown["stopped"]),
        (&json!(false), &json!(false), &stopped)
    );
}

#[tokio::test]
async fn a_challenger_of_which_nothing_was_seen_is_shown_without_figures() {
    let scene = Scene::new().await;
    let shown = scene.json(COMPARISON).await;
    assert_eq!(
        (
            &shown["pairs"],
            &shown["agreement"]["value"],
            &shown["verdict"]["since"]
        ),
        (&json!(0), &Value::Null, &Value::Null)
    );
    assert_eq!(shown["verdict"]["state"], "hold");
    assert_eq!(shown["verdict"]["limits"]["min_agreement"], 0.9);
    let deployment = scene.json(&format!("GET {IRIS}")).await;
    let challenger = &deployment["challenger"];
    assert_eq!(
        (&challenger["verdict"], &challenger["pairs"]),
        (&Value::Null, &json!(0))
    );
}

#[tokio::test]
async fn the_version_is_the_one_that_is_asked_for_or_that_people_mean() {
    let scene = Scene::new().await;
    let check = async |cases: &[(&str, u16, &str)]| {
        for (query, status, expected) in cases {
            for path in ["", "/series"] {
                let reply = scene.get(&format!("{COMPARISON}{path}{query}")).await;
                let body = reply.json();
                assert_eq!(reply.status, *status, "{path}{query}: {body}");
                let shown = match status {
                    200 => body["version"].to_string(),
                    _ => reply.code(),
                };
                assert_eq!(shown, *expected, "{path}{query}");
            }
        }
    };
    check(&[
        ("", 200, "1"),
        ("?version=1", 200, "1"),
        ("?version=iris_v1", 200, "1"),
        ("?version=rose_v1", 404, "version_unknown"),
        ("?version=v1", 404, "version_unknown"),
        ("?version=01", 404, "version_unknown"),
        ("?version=9999999999", 404, "version_unknown"),
        ("?version=", 400, "invalid"),
        ("?version=2", 404, "comparison_unknown"),
        ("?versions=1", 400, "invalid"),
    ])
    .await;
    // The live one has none any more.
    scene.declare("").await;
    check(&[
        ("", 404, "comparison_unknown"),
        ("?version=1", 200, "1"),
        ("?version=2", 404, "comparison_unknown"),
    ])
    .await;
    scene.comparison.put_standing(&iris(), 1, &standing(1));
    // Of a former life of the name.
    scene.comparison.put_standing(&iris(), 0, &standing(7));
    check(&[("", 200, "1"), ("?version=7", 404, "comparison_unknown")]).await;
    let shown = scene.json(COMPARISON).await;
    let running = (&shown["is_stopped"], &shown["share"]);
    assert_eq!(running, (&json!(false), &json!(0.0)), "it is not live");
    // What is kept outlives the version, and the deployment.
    let line = format!("DELETE {IRIS}/versions/1");
    let gone = scene.world.call(&line, &[], "").await;
    assert_eq!(gone.status, 204, "{}", String::from_utf8_lossy(&gone.body));
    let shown = scene.json(COMPARISON).await;
    assert_eq!(
        (
            &shown["challenger"],
            &shown["verdict"]["limits"]["min_agreement"]
        ),
        (&Value::Null, &json!(0.95)),
        "what it was judged by is kept with its evidence"
    );
    scene.declare_all("").await;
    let deployment = scene.json(&format!("GET {IRIS}")).await;
    assert_eq!(deployment["state"], "deleted");
    check(&[("", 200, "1")]).await;
    // What has the name next has versions, and pairs, of its own.
    scene.declare(CHALLENGER).await;
    check(&[
        ("", 200, "3"),
        ("?version=1", 404, "comparison_unknown"),
        ("?version=2", 404, "comparison_unknown"),
    ])
    .await;
}

#[tokio::test]
async fn a_series_is_shown_in_its_span_and_thinned_out() {
    let scene = Scene::new().await;
    let challenger = pair(1, 0, PairResult::Agree, 0.0).challenger;
    let points: Vec<_> = (0..10)
        .map(|second| {
            let point = Point::new(AT_MS + second * 1_000, &standing(1).judgement);
            (challenger.clone(), point.to_kept())
        })
        .collect();
    scene.journal.write(&[], &[], &points, AT_MS, false);
    let series = scene.json(&format!("{COMPARISON}/series")).await;
    let bounds =
        |value: Value, low: Value, high: Value| json!({"value": value, "low": low, "high": high});
    assert_eq!(
        series["points"][0],
        json!({"at": "2026-01-01T12:00:00.000Z", "pairs": 300, "state": "reject",
            "agreement": bounds(json!(0.75), json!(0.5), json!(0.875)),
            "error_increase": bounds(json!(0.25), json!(-1.0), Value::Null),
            "latency_ratio_p50": bounds(json!(2.0), Value::Null, Value::Null),
            "latency_ratio_p99": bounds(Value::Null, json!(0.0), Value::Null)})
    );
    for (query, seconds) in [
        ("", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..]),
        ("?points=2", &[0, 9]),
        ("?from=2026-01-01T12:00:08Z", &[8, 9]),
        ("?from=1767268802&to=1767268804", &[2, 3]),
        ("?from=1767268804&to=1767268802", &[]),
    ] {
        let series = scene.json(&format!("{COMPARISON}/series{query}")).await;
        let points = series["points"].as_array().expect("points");
        let expected: Vec<_> = seconds
            .iter()
            .map(|second| json!(format!("2026-01-01T12:00:0{second}.000Z")))
            .collect();
        let shown: Vec<_> = points.iter().map(|point| point["at"].clone()).collect();
        assert_eq!(shown, expected, "{query}");
    }
    for (query, words) in [
        ("?points=1", "\"points\" is a whole number from 2 to 1000"),
        ("?points=1001", "\"points\" is a whole number"),
        ("?from=soon", "\"from\" is a moment"),
    ] {
        let refused = scene.get(&format!("{COMPARISON}/series{query}")).await;
        assert_eq!(refused.code(), "invalid", "{query}");
        let detail = refused.json()["detail"].to_string().replace("\\\"", "\"");
        assert!(detail.contains(words), "{query}: {detail}");
    }
}

#[tokio::test]
async fn only_those_who_may_see_a_deployment_see_its_comparison() {
    let scene = Scene::new().await;
    scene.keep(&some_pairs());
    let project = r#"{"name": "other"}"#;
    let made = scene
        .world
        .call("POST /api/v1/projects", &[], project)
        .await;
    assert_eq!(made.status, 201);
    let far = scene.bearer("far", "member", "other").await;
    let viewer = scene.bearer("eye", "viewer", "demo").await;
    for path in ["", "/series", "/pairs", "/pairs?format=csv", "/pairs/1"] {
        let line = format!("{COMPARISON}{path}");
        for (bearer, status) in [(&far, 403), (&viewer, 200)] {
            let headers = [("authorization", bearer.as_str())];
            let reply = scene.world.call(&line, &headers, "").await;
            assert_eq!(reply.status, status, "{line}");
        }
        let nobody = scene.get(&line.replace("/iris/", "/nobody/")).await;
        assert_eq!(nobody.code(), "deployment_unknown", "{line}");
    }
}

#[tokio::test]
async fn without_a_comparison_there_is_a_503() {
    let world = World::new().await;
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "demo"}"#)
        .await;
    assert_eq!(made.status, 201);
    let body = json!({"name": "iris", "version": {"main": {"backends": [
        {"url": "http://127.0.0.1:1"}]}, "readiness": {"unreachable_ms": 0}}});
    let line = "POST /api/v1/projects/demo/deployments";
    let made = world.call(line, &[], &body.to_string()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["challenger"], Value::Null);
    for path in ["", "/series", "/pairs", "/pairs?format=ndjson", "/pairs/1"] {
        let reply = world.call(&format!("{COMPARISON}{path}"), &[], "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (503, "comparison_unavailable"),
            "{path}"
        );
    }
}
