//! Limits, priorities and what protects backends, through the admin API: set, seen, in force when the
//! call returns, lifted, kept over versions and restarts, and written down.

use serde_json::{Value, json};

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, PREDICT, Response, Stop, admin, at, deployment, key,
    post, problem, version, want,
};

const NONE: Value = Value::Null;

fn call(gateway: &Gateway, secret: &str) -> Response {
    gateway.call(&post(), &[("x-api-key", secret)], b"")
}

/// One request in seventeen minutes: what is spent stays spent for as long as a test runs.
fn one() -> Value {
    json!({"requests_per_second": 0.001, "burst": 1})
}

#[test]
fn a_keys_limits_are_in_force_when_the_call_returns_and_lifted_when_it_returns() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({}));
    let (_, other) = api.key(&at("demo/iris"), &json!({}));
    let path = format!("{}/keys/{id}", at("demo/iris"));
    let shown = api.show(&path);
    assert_eq!(
        (&shown["limits"], &shown["limits_now"], &shown["priority"]),
        (&json!({}), &NONE, &json!("default"))
    );
    for _ in 0..5 {
        let answer = api.patch(&path, &json!({"limits": one(), "priority": "interactive"}));
        let patched = want(200, &answer);
        assert_eq!(patched["limits"], one(), "{patched}");
        assert_eq!(patched["priority"], "interactive", "{patched}");
        let epoch = admin::epoch_of(&answer);
        let first = call(&gateway, &secret);
        assert_eq!(first.status, 200, "{}", first.text());
        let seen: u64 = first
            .get("x-config-epoch")
            .expect("an epoch")
            .parse()
            .expect("a number");
        assert!(seen >= epoch, "{seen} after {epoch}");
        let refused = call(&gateway, &secret);
        assert_eq!(problem(&[429], &refused), "rate_limited");
        let after = refused.get("retry-after").expect("when to come again");
        let after: u64 = after.parse().expect("seconds");
        assert!((1..=1_000).contains(&after), "{after}");
        let now = &api.show(&path)["limits_now"];
        assert_eq!(now["requests_available"], 0, "{now}");
        assert!(now["refused"]["requests"].as_u64() >= Some(1), "{now}");
        assert_eq!(call(&gateway, &other).status, 200, "another's limits");
        let lifted = want(200, &api.patch(&path, &json!({"limits": null})));
        assert_eq!(
            (&lifted["limits"], &lifted["limits_now"]),
            (&json!({}), &NONE)
        );
        assert_eq!(lifted["priority"], "interactive", "left out, left alone");
        for _ in 0..3 {
            assert_eq!(call(&gateway, &secret).status, 200, "lifted");
        }
    }
    // As a whole: what a patch does not name is not limited.
    let both = json!({"limits": {"requests_per_day": 1_000_000, "concurrency_max": 9}});
    want(200, &api.patch(&path, &both));
    let fewer = want(
        200,
        &api.patch(&path, &json!({"limits": {"concurrency_max": 8}})),
    );
    assert_eq!(fewer["limits"], json!({"concurrency_max": 8}));
    let history = api.list(&format!("{}/history", at("demo/iris")));
    let newest = &history[0];
    assert_eq!(newest["action"], "key-edit", "{newest}");
    assert_eq!(
        (&newest["key"], &newest["by"]),
        (&json!(id), &json!("admin"))
    );
    assert_eq!(
        newest["changes"],
        json!([{"field": "limits", "from": {"concurrency_max": 9, "requests_per_day": 1_000_000},
            "to": {"concurrency_max": 8}}])
    );
}

#[test]
fn a_key_may_be_made_with_them_and_the_first_key_stays_as_it_is() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let keys = format!("{}/keys", at("demo/iris"));
    let body = json!({"limits": one(), "priority": "bulk"});
    let new = want(201, &api.post(&keys, &body));
    assert_eq!((&new["limits"], &new["priority"]), (&one(), &json!("bulk")));
    let secret = admin::text(&new["secret"]);
    assert_eq!(call(&gateway, &secret).status, 200);
    assert_eq!(call(&gateway, &secret).status, 429);
    let first = format!("{keys}/{}", made.key_id);
    for patch in [
        json!({"limits": one()}),
        json!({"limits": null}),
        json!({"priority": "bulk"}),
    ] {
        assert_eq!(problem(&[409], &api.patch(&first, &patch)), "first_key");
    }
    let path = format!("{keys}/{}", admin::text(&new["id"]));
    let stale = api.json(
        "PATCH",
        &path,
        &[("if-match", "\"stale\"")],
        &json!({"limits": null}),
    );
    assert_eq!(problem(&[412], &stale), "revision_mismatch");
    let tried = want(
        200,
        &api.patch(&format!("{path}?dry_run=true"), &json!({"limits": null})),
    );
    assert_eq!(tried["limits"], json!({}));
    assert_eq!(api.show(&path)["limits"], one(), "only tried");
    assert_eq!(call(&gateway, &secret).status, 429, "only tried");
    for (patch, places) in [
        (
            json!({"limits": {"burst": 0, "concurrency_max": 0}, "priority": "high"}),
            &["/limits/burst", "/limits/concurrency_max", "/priority"][..],
        ),
        (json!({"limits": {"burst": 5}}), &["/limits/burst"]),
        (
            json!({"limits": {"request_per_day": 5}}),
            &["/limits/request_per_day"],
        ),
        (json!({"overload": {}}), &["/overload"]),
    ] {
        let refused = api.patch(&path, &patch);
        problem(&[422], &refused);
        let text = refused.text();
        for place in places {
            assert!(text.contains(place), "no {place}: {text}");
        }
    }
}

#[test]
fn a_deployments_limits_hold_for_all_its_callers_and_for_every_version() {
    let backend = Backend::says("yes");
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create_with(
        "demo/iris",
        &version(&backend.url()),
        &json!({"limits": {"requests_per_second": 1_000_000}}),
    );
    let path = at("demo/iris");
    let shown = api.show(&path);
    assert_eq!(shown["limits"], json!({"requests_per_second": 1_000_000.0}));
    assert_eq!((&shown["overload"], &shown["overload_now"]), (&NONE, &NONE));
    let (_, other) = api.key(&at("demo/iris"), &json!({}));
    let overload = json!({"concurrency_max": 8, "queue_timeout_ms": 50});
    let patch = json!({"limits": one(), "overload": overload});
    let answer = api.patch(&path, &patch);
    let patched = want(200, &answer);
    assert_eq!(
        patched["overload"],
        json!({"concurrency_max": 8, "adaptive": false, "queue_max": 256, "queue_timeout_ms": 50})
    );
    assert_eq!(patched["overload_now"]["limit"], 8, "{patched}");
    assert_eq!(call(&gateway, &made.secret).status, 200);
    let refused = call(&gateway, &other);
    assert_eq!(problem(&[429], &refused), "rate_limited");
    assert!(
        refused
            .get("ratelimit")
            .expect("told")
            .contains("\"deployment\"")
    );
    let listed = &api.list("/projects/demo/deployments")[0];
    assert_eq!(
        (&listed["limits"], &listed["overload"]),
        (&one(), &patched["overload"])
    );
    // No part of a version.
    api.deploy("demo/iris", &version(&backend.url()));
    let task = api.begin(&format!("{path}/rollback"), &json!({"version": 1}));
    api.done(&task);
    let back = api.show(&path);
    assert_eq!(
        (&back["limits"], &back["live_version"]),
        (&one(), &json!(1))
    );
    assert!(back["version"].get("limits").is_none(), "{back}");
    gateway.restart(Stop::Term);
    let api = gateway.api();
    let kept = api.show(&path);
    assert_eq!(
        (&kept["limits"], &kept["overload"]),
        (&one(), &patched["overload"])
    );
    let lifted = want(
        200,
        &api.patch(&path, &json!({"limits": null, "overload": null})),
    );
    assert_eq!(
        (&lifted["limits"], &lifted["overload"]),
        (&json!({}), &NONE)
    );
    assert_eq!(
        (&lifted["limits_now"], &lifted["overload_now"]),
        (&NONE, &NONE)
    );
    for _ in 0..3 {
        assert_eq!(call(&gateway, &made.secret).status, 200);
    }
    let history = api.list(&format!("{path}/history"));
    let fields: Vec<_> = history[0]["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .collect();
    assert_eq!(
        fields[0],
        &json!({"field": "limits", "from": one(), "to": {}})
    );
    assert_eq!(
        (&fields[1]["field"], &fields[1]["to"]),
        (&json!("overload"), &NONE)
    );
}

#[test]
fn a_refusal_says_whose_limit_it_was_and_which() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({}));
    let (of_key, of_all) = (format!("{}/keys/{id}", at("demo/iris")), at("demo/iris"));
    let day = json!({"requests_per_day": 1});
    for (path, limits, code, words) in [
        (
            &of_key,
            one(),
            "rate_limited",
            "The API key's limit of requests by the second",
        ),
        (
            &of_key,
            day.clone(),
            "quota_spent",
            "The API key's quota of requests for this day",
        ),
        (
            &of_all,
            one(),
            "rate_limited",
            "The deployment's limit of requests by the second",
        ),
        (
            &of_all,
            day,
            "quota_spent",
            "The deployment's quota of requests for this day",
        ),
    ] {
        want(200, &api.patch(path, &json!({ "limits": limits })));
        let [.., refused] = [(); 3].map(|()| call(&gateway, &secret));
        assert_eq!(problem(&[429], &refused), code);
        let detail = admin::text(&refused.json()["detail"]);
        assert!(detail.starts_with(words), "{detail}");
        want(200, &api.patch(path, &json!({"limits": null})));
        assert_eq!(call(&gateway, &made.secret).status, 200);
    }
}

#[test]
fn a_quota_that_is_lifted_and_declared_again_on_the_same_day_goes_on() {
    let backend = Backend::says("yes");
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({}));
    let of_key = format!("{}/keys/{id}", at("demo/iris"));
    let paths = [(of_key, &secret), (at("demo/iris"), &made.secret)];
    let daily = json!({"limits": {"requests_per_day": 2}});
    for (path, secret) in &paths {
        let api = gateway.api();
        want(200, &api.patch(path, &daily));
        assert_eq!(call(&gateway, secret).status, 200);
        want(200, &api.patch(path, &json!({"limits": null})));
        gateway.restart(Stop::Term);
        let api = gateway.api();
        assert_eq!(call(&gateway, secret).status, 200, "lifted");
        let again = want(200, &api.patch(path, &daily));
        assert_eq!(again["limits_now"]["requests_today"], 1, "{path}: {again}");
        assert_eq!(call(&gateway, secret).status, 200);
        // Beside another limit it is lifted as well.
        for others in [json!(null), json!({"concurrency_max": 9})] {
            want(200, &api.patch(path, &json!({"limits": others})));
            want(200, &api.patch(path, &daily));
            let spent = call(&gateway, secret);
            assert_eq!(problem(&[429], &spent), "quota_spent", "{path}");
        }
        want(200, &api.patch(path, &json!({"limits": null})));
    }
    // Who is made anew begins anew.
    let api = gateway.api();
    let revoked = api.poke(&format!("{}/revoke", paths[0].0));
    assert_eq!(revoked.status / 100, 2, "{}", revoked.text());
    let (_, anew) = api.key(&at("demo/iris"), &daily);
    assert_eq!(call(&gateway, &anew).status, 200);
    let deleted = api.verb("DELETE", &at("demo/iris"), &json!({"reason": "over"}));
    api.done(&admin::text(&want(202, &deleted)["task"]["id"]));
    let made = api.create_with("demo/iris", &version(&backend.url()), &daily);
    assert_eq!(call(&gateway, &made.secret).status, 200);
}

#[test]
fn a_mode_without_a_limit_is_refused() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let (id, _) = api.key(&at("demo/iris"), &json!({}));
    let counted = json!({"limits": {"mode": "count"}});
    for path in [at("demo/iris"), format!("{}/keys/{id}", at("demo/iris"))] {
        let refused = want(422, &api.patch(&path, &counted));
        assert_eq!(refused["errors"][0]["pointer"], "/limits/mode", "{refused}");
    }
    let refused = want(
        422,
        &api.post(&format!("{}/keys", at("demo/iris")), &counted),
    );
    assert_eq!(refused["errors"][0]["pointer"], "/limits/mode", "{refused}");
}

#[test]
fn what_is_only_counted_passes() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut limits = one();
    limits["mode"] = json!("count");
    let path = at("demo/iris");
    want(200, &api.patch(&path, &json!({"limits": limits})));
    for _ in 0..4 {
        assert_eq!(call(&gateway, &made.secret).status, 200);
    }
    let now = &api.show(&path)["limits_now"];
    assert_eq!(now["refused"]["requests"], 3, "{now}");
    assert_eq!(now["in_flight"], 0, "{now}");
    // None of them was refused, and that is what the figure says from now on.
    let enforced = want(200, &api.patch(&path, &json!({"limits": one()})));
    let now = &enforced["limits_now"];
    assert_eq!(now["refused"]["requests"], 0, "{now}");
    assert_eq!(call(&gateway, &made.secret).status, 429);
    let now = &api.show(&path)["limits_now"];
    assert_eq!(now["refused"]["requests"], 1, "{now}");
}

#[test]
fn declarations_change_them_without_a_new_version() {
    let backend = Backend::says("yes");
    let file = |limits: &str, of_key: &str| {
        let iris = deployment("demo/iris").backend(&backend).to_string();
        let iris = iris.replace(
            "[deployment.version]",
            &format!("{limits}\n[deployment.version]"),
        );
        let key = key(KEY, "demo/iris");
        Declarations::new()
            .with(iris)
            .with(format!("{}\n{of_key}\n", key.trim_end()))
    };
    let gateway = Gateway::start(file("", ""));
    let call = || {
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"")
            .status
    };
    assert_eq!((call(), call()), (200, 200));
    let rate = "limits = { requests_per_second = 0.001, burst = 1 }";
    gateway.redeclare(file("", &format!("{rate}\npriority = 'bulk'")));
    assert_eq!((call(), call()), (200, 429));
    gateway.redeclare(file(rate, ""));
    assert_eq!((call(), call()), (200, 429));
    let api = gateway.api();
    let shown = api.show(&at("demo/iris"));
    assert_eq!(
        (&shown["limits"], &shown["live_version"]),
        (&one(), &json!(1))
    );
    let history = api.list(&format!("{}/history", at("demo/iris")));
    assert_eq!(
        (
            &history[0]["action"],
            &history[0]["by"],
            &history[0]["changes"]
        ),
        (
            &json!("edit"),
            &json!("declarations"),
            &json!([{"field": "limits", "from": {}, "to": one()}])
        )
    );
    gateway.redeclare(file("", ""));
    assert_eq!((call(), call()), (200, 200));
    assert_eq!(api.show(&at("demo/iris"))["limits"], json!({}));
}
