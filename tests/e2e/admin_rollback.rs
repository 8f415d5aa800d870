//! Rolling back is one atomic store: to what once answered, without one failed or mixed request.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::json;

use crate::support::{
    Backend, Gateway, Nowhere, Stop, admin, at, load, load::Load, post, problem, version, want,
};

/// A body to roll back with, waited for.
fn back(name: &str) -> String {
    format!("{}/rollback?wait=15", at(name))
}

#[test]
fn it_goes_to_what_was_live_before_or_where_it_is_told() {
    let backends = ["one", "two", "three", "four"].map(Backend::says);
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backends[0].url()));
    let headers = [("x-api-key", made.secret.as_str())];
    let only = api.post(&back("demo/iris"), &json!({}));
    assert_eq!(problem(&[409], &only), "nothing_to_roll_back_to");
    let dry = api.post(
        &format!("{}/rollback?dry_run=true", at("demo/iris")),
        &json!({}),
    );
    assert_eq!(problem(&[409], &dry), "nothing_to_roll_back_to");
    for (n, backend) in (2..).zip(&backends[1..3]) {
        assert_eq!(api.deploy("demo/iris", &version(&backend.url())), n);
    }
    let rolled = |body: serde_json::Value, to: u64, words: &str| {
        let done = want(202, &api.post(&back("demo/iris"), &body));
        let task = &done["task"];
        assert_eq!(
            (&task["status"], &task["kind"]),
            (&json!("done"), &json!("rollback")),
            "{done}"
        );
        assert_eq!(task["version"], to, "{done}");
        let answer = gateway.call(&post(), &headers, b"");
        assert_eq!(
            (answer.text(), answer.version()),
            (words.to_owned(), format!("iris_v{to}"))
        );
        let epoch: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
        assert!(epoch >= task["config_epoch"].as_u64().expect("an epoch"));
        assert_eq!(api.live_version("demo/iris"), Some(to));
    };
    rolled(json!({}), 2, "two");
    rolled(json!({}), 3, "three");
    rolled(json!({"version": 1}), 1, "one");
    rolled(json!({}), 3, "three");
    rolled(json!({"version": 1}), 1, "one");
    let path = |n: u64| format!("{}/versions/{n}", at("demo/iris"));
    assert_eq!(api.show(&path(1))["status"], "success", "it re-entered");
    assert_eq!(api.show(&path(3))["status"], "retired");
    let unknown = api.post(&back("demo/iris"), &json!({"version": 9}));
    assert_eq!(problem(&[404], &unknown), "version_unknown");
    for bad in [
        json!({"version": "one"}),
        json!({"version": -1}),
        json!({"verzion": 1}),
        json!(1),
    ] {
        problem(&[400, 422], &api.post(&back("demo/iris"), &bad));
    }
    // To where it already is: whatever the answer, nothing changes.
    let same = api.post(&back("demo/iris"), &json!({"version": 1}));
    assert!(matches!(same.status, 202 | 409), "{}", same.text());
    assert_eq!(
        api.deploy("demo/iris", &version(&backends[3].url())),
        4,
        "max and one"
    );
    rolled(json!({}), 1, "one");
    let history = api
        .show(&format!("{}/history", at("demo/iris")))
        .to_string();
    assert!(history.contains("roll"), "{history}");
    gateway.restart(Stop::Kill);
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("one", "iris_v1")
    );
    assert_eq!(
        gateway
            .api()
            .deploy("demo/iris", &version(&backends[3].url())),
        5
    );
}

#[test]
fn a_failed_deploy_is_skipped_by_it() {
    let backends = ["one", "two"].map(Backend::says);
    let nowhere = Nowhere::new();
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backends[0].url()));
    api.deploy("demo/iris", &version(&backends[1].url()));
    let failed = api.post(
        &format!("{}/versions?wait=15", at("demo/iris")),
        &version(&nowhere.url()),
    );
    assert_eq!(want(202, &failed)["task"]["status"], "failed");
    let to = want(202, &api.post(&back("demo/iris"), &json!({})));
    assert_eq!(
        (&to["task"]["status"], &to["task"]["version"]),
        (&json!("done"), &json!(1)),
        "{to}"
    );
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.text(), "one");
}

#[test]
fn it_checks_readiness_first_unless_forced() {
    let first = Backend::says("first");
    let second = Backend::says("second");
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&first.url()));
    api.deploy("demo/iris", &version(&second.url()));
    let url = first.url();
    drop(first);
    let done = want(202, &api.post(&back("demo/iris"), &json!({"version": 1})));
    assert_eq!(done["task"]["status"], "failed", "{done}");
    let reason = admin::text(&done["task"]["reason"]);
    assert!(reason.contains(&url), "{reason}");
    let headers = [("x-api-key", made.secret.as_str())];
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("second", "iris_v2")
    );
    assert_eq!(api.live_version("demo/iris"), Some(2));
    let done = want(
        202,
        &api.post(&back("demo/iris"), &json!({"version": 1, "force": true})),
    );
    assert_eq!(done["task"]["status"], "done", "{done}");
    let answer = gateway.call(&post(), &headers, b"");
    assert_eq!(answer.status, 503, "as it was told");
    assert_ne!(answer.version(), "iris_v2");
    assert_eq!(api.live_version("demo/iris"), Some(1));
    let done = want(202, &api.post(&back("demo/iris"), &json!({})));
    assert_eq!(done["task"]["status"], "done", "and back again: {done}");
    assert_eq!(gateway.call(&post(), &headers, b"").text(), "second");
}

#[test]
fn swaps_and_rollbacks_under_load_fail_nothing_and_mix_nothing() {
    let rounds = if std::env::var_os("WEIR_FULL").is_some() {
        1_000
    } else {
        60
    };
    let backends = ["odd", "even"].map(Backend::says);
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let of = |n: u64| version(&backends[usize::from(n.is_multiple_of(2))].url());
    let made = api.create("demo/iris", &of(1));
    // What is in force for certain: no later request may answer by an older epoch.
    let (epoch, served) = (AtomicU64::new(0), AtomicUsize::new(0));
    let floors: Vec<_> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let (wrong, ()) = load::during(
        &gateway,
        Load {
            path: "/predict/demo/iris",
            key: &made.secret,
            http1: 3,
            http2: 1,
        },
        |shot| {
            served.fetch_add(1, Ordering::SeqCst);
            // The floor that stood when this client's last answer had come, so before this start.
            let floor = floors[shot.client].swap(epoch.load(Ordering::SeqCst), Ordering::SeqCst);
            let n: u64 = shot
                .version
                .strip_prefix("iris_v")
                .and_then(|n| n.parse().ok())
                .unwrap_or_default();
            let words = if n.is_multiple_of(2) { "even" } else { "odd" };
            if shot.status != 200 || n == 0 || shot.text != words || shot.epoch < floor {
                return Err(format!("floor {floor}: {shot:?}"));
            }
            Ok(())
        },
        |going| {
            let mut max = 1;
            for round in 0..rounds {
                let done = match round % 3 {
                    0 => {
                        max += 1;
                        want(
                            202,
                            &api.post(&format!("{}/versions?wait=15", at("demo/iris")), &of(max)),
                        )
                    }
                    1 => want(202, &api.post(&back("demo/iris"), &json!({}))),
                    _ => {
                        let to = 1 + (round * 7) % max;
                        let body = json!({"version": to, "force": round % 2 == 0});
                        let answer = api.post(&back("demo/iris"), &body);
                        if answer.status == 409 && api.live_version("demo/iris") == Some(to) {
                            continue;
                        }
                        want(202, &answer)
                    }
                };
                assert_eq!(done["task"]["status"], "done", "{done}");
                epoch.store(
                    done["task"]["config_epoch"].as_u64().unwrap(),
                    Ordering::SeqCst,
                );
                if round % 2 == 0 {
                    going.wait_each(1);
                }
            }
            going.wait_each(2);
        },
    );
    let served = served.into_inner();
    println!("{served} requests during {rounds} swaps and rollbacks");
    assert!(
        wrong.is_empty(),
        "{} of {served}: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

#[test]
fn a_revoked_key_does_not_come_back_with_an_old_version() {
    let backends = ["one", "two"].map(Backend::says);
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backends[0].url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({"description": "as old as v1"}));
    api.deploy("demo/iris", &version(&backends[1].url()));
    let call = |gateway: &Gateway| gateway.call(&post(), &[("x-api-key", &secret)], b"").status;
    assert_eq!(call(&gateway), 200);
    want(
        200,
        &api.poke(&format!("{}/keys/{id}/revoke", at("demo/iris"))),
    );
    assert_eq!(call(&gateway), 401);
    let done = want(202, &api.post(&back("demo/iris"), &json!({"version": 1})));
    assert_eq!(done["task"]["status"], "done");
    assert_eq!(call(&gateway), 401, "after the rollback");
    for stop in [Stop::Term, Stop::Kill] {
        gateway.restart(stop);
        assert_eq!(call(&gateway), 401, "after {stop:?}");
        let api = gateway.api();
        want(202, &api.post(&back("demo/iris"), &json!({})));
        assert_eq!(call(&gateway), 401, "after {stop:?} and a rollback");
        let done = want(
            202,
            &api.poke(&format!("{}/restart?wait=15", at("demo/iris"))),
        );
        assert_eq!(done["task"]["status"], "done", "{done}");
        assert_eq!(
            call(&gateway),
            401,
            "after {stop:?} and a restart of the deployment"
        );
    }
}
