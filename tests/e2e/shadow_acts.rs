//! A verdict is acted on where a version asks for it, once, on the record, and without a failed request.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, PATIENCE, Stop, at,
    duel::{NAME, alike, both, challenged, lenient, puppets},
    eventually, holds_within, load, version,
};

/// Longer than two looks at the verdicts.
const LOOKS: Duration = Duration::from_millis(2_500);

fn told(sides: &(Backend, Backend), to: &[&str], model: &str) -> Value {
    let verdict = lenient(json!({"min_pairs": 10, "max_error_increase": 1.0}));
    let mut spec = challenged(&sides.0.url(), &sides.1.url(), json!({"verdict": verdict}));
    spec["model"] = json!(model);
    for member in to {
        spec[*member] = json!(true);
    }
    spec
}

/// Says `main` or `challenger` beside what it is asked.
fn named() -> (Backend, Backend) {
    (Backend::says("main"), Backend::says("challenger"))
}

fn differ() -> String {
    both(json!({"text": "{\"a\":1}"}), json!({"text": "{\"a\":2}"}))
}

/// The entries of the history with this action.
fn entries(duel: &Duel, action: &str) -> Vec<Value> {
    let all = duel.api.list(&format!("{}/history", at(NAME)));
    all.into_iter().filter(|e| e["action"] == action).collect()
}

#[track_caller]
fn evidence(entry: &Value, state: &str) {
    let evidence = &entry["evidence"];
    assert_eq!(evidence["state"], state, "{entry}");
    assert!(evidence["pairs"].as_u64() > Some(0), "{entry}");
    let bound = |member: &str| evidence["agreement"][member].as_f64().expect(member);
    assert!(
        bound("low") <= bound("value") && bound("value") <= bound("high"),
        "{entry}"
    );
    assert!(evidence["limits"]["min_agreement"].is_number(), "{entry}");
    assert!(
        !evidence["reasons"].as_array().expect("reasons").is_empty(),
        "{entry}"
    );
}

#[test]
fn a_rejected_challenger_is_stopped_and_stays_so() {
    let sides = puppets();
    let mut duel = Duel::start(&told(&sides, &["auto_stop"], "m:1"));
    let shown = duel.shown();
    assert_eq!(
        (&shown["verdict"]["auto_stop"], &shown["is_stopped"]),
        (&json!(true), &json!(false))
    );
    let mut stopped = Value::Null;
    let served = duel.asks_until(
        2,
        |_| differ(),
        || {
            stopped = duel.shown();
            stopped["is_stopped"] == true
        },
    );
    assert_eq!(stopped["verdict"]["state"], "reject", "{stopped}");
    println!(
        "stopped after {} pairs, {served} requests",
        stopped["pairs"]
    );
    let found = entries(&duel, "challenger-stop");
    assert_eq!(found.len(), 1, "{found:?}");
    evidence(&found[0], "reject");
    assert_eq!(
        (&found[0]["version"], &found[0]["by"]),
        (&json!(1), &json!("system")),
        "{:?}",
        found[0]
    );
    assert!(
        found[0]["reason"]
            .as_str()
            .is_some_and(|r| r.contains("agreement")),
        "{:?}",
        found[0]
    );
    // What had its ticket already may still arrive; then none more.
    let copies = settled(&sides.1);
    let skipped = duel.shown()["skipped"]["stopped"]
        .as_u64()
        .expect("stopped");
    duel.asks(30, &alike(json!({})));
    duel.shows("30 more without a copy", |shown| {
        shown["skipped"]["stopped"].as_u64() >= Some(skipped + 30)
    });
    assert_eq!(sides.1.count(), copies, "no copy more");
    for stop in [Stop::Term, Stop::Kill] {
        duel.gateway.restart(stop);
        duel.came_back();
        duel.asks(10, &alike(json!({})));
        let shown = duel.shown();
        assert_eq!(shown["is_stopped"], true, "{stop:?}: {shown}");
        assert_eq!(sides.1.count(), copies, "after {stop:?}");
    }
    assert_eq!(entries(&duel, "challenger-stop").len(), 1, "once");
    // A new version is another challenger.
    duel.api.deploy(NAME, &told(&sides, &["auto_stop"], "m:2"));
    duel.asks(5, &alike(json!({})));
    sides.1.wait_count(copies + 5);
    let shown = duel.saw(5);
    assert_eq!(
        (&shown["is_stopped"], &shown["version"]),
        (&json!(false), &json!(2)),
        "{shown}"
    );
    // And the old one, live again, is still the one that was stopped.
    duel.gateway
        .cli()
        .ok("deployment rollback demo/iris --to 1 --reason back");
    duel.asks(5, &alike(json!({})));
    assert_eq!(duel.shown()["is_stopped"], true);
    assert_eq!(settled(&sides.1), copies + 5);
}

/// How many requests a backend has had once no more come for a while.
fn settled(backend: &Backend) -> usize {
    let mut count = backend.count();
    while holds_within(Duration::from_millis(300), || backend.count() != count) {
        count = backend.count();
    }
    count
}

#[test]
fn a_cleared_challenger_is_promoted_once() {
    let sides = named();
    let mut spec = told(&sides, &["auto_promote"], "m:1");
    // They say different things so that it shows who answers: that is no limit here.
    spec["challenger"]["verdict"]["min_agreement"] = json!(0.0);
    spec["challenger"]["verdict"]["max_error_increase"] = json!(0.5);
    let duel = Duel::start(&spec);
    let path = "/predict/demo/iris";
    let asking = load::Load {
        path,
        key: &duel.secret,
        http1: 3,
        http2: 1,
    };
    let judge = |shot: &load::Shot| match (shot.status, shot.version.as_str(), shot.text.as_str()) {
        (200, "iris_v1", "main") | (200, "iris_v2", "challenger") => Ok(()),
        _ => Err(format!("{shot:?}")),
    };
    let (wrong, ()) = load::during(&duel.gateway, asking, judge, |going| {
        eventually(PATIENCE * 2, "the challenger is main", || {
            duel.api.live_version(NAME) == Some(2)
        });
        going.wait_each(20);
    });
    assert!(
        wrong.is_empty(),
        "{} failed: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(3)]
    );
    assert_eq!(duel.ask("{}").text(), "challenger");
    let promoted = entries(&duel, "promote");
    assert_eq!(promoted.len(), 1, "{promoted:?}");
    evidence(&promoted[0], "promote");
    assert_eq!(
        (&promoted[0]["version"], &promoted[0]["by"]),
        (&json!(2), &json!("system")),
        "{promoted:?}"
    );
    let version = duel.api.show(&format!("{}/versions/2", at(NAME)));
    let text = version.to_string();
    assert!(
        text.contains(&sides.1.url()) && !text.contains(&sides.0.url()),
        "{version}"
    );
    // Once: neither a look later, nor after a restart, nor when the old version is live again.
    let count = || duel.api.list(&format!("{}/versions", at(NAME))).len();
    assert!(!holds_within(LOOKS, || count() != 2), "a third version");
    duel.gateway
        .cli()
        .ok("deployment rollback demo/iris --to 1 --reason back");
    duel.asks(20, "{}");
    assert!(
        !holds_within(LOOKS, || count() != 2),
        "promoted again after a rollback"
    );
    assert_eq!(duel.ask("{}").text(), "main");
}

#[test]
fn nothing_is_done_unless_it_is_asked_for() {
    let sides = puppets();
    let bad = Duel::start(&told(&sides, &["auto_promote"], "m:1"));
    bad.asks(60, &differ());
    let shown = bad.saw(60);
    assert_eq!(shown["verdict"]["state"], "reject", "{shown}");
    let others = puppets();
    let good = Duel::start(&told(&others, &["auto_stop"], "m:1"));
    good.asks(300, &alike(json!({})));
    let shown = good.saw(300);
    assert_eq!(shown["verdict"]["state"], "promote", "{shown}");
    let acted = || {
        bad.shown()["is_stopped"] == true
            || good.shown()["is_stopped"] == true
            || bad.api.live_version(NAME) != Some(1)
            || good.api.live_version(NAME) != Some(1)
    };
    assert!(!holds_within(LOOKS, acted), "neither was told to");
    bad.asks(5, &differ());
    bad.saw(65);
    for duel in [&bad, &good] {
        assert!(entries(duel, "challenger-stop").is_empty() && entries(duel, "promote").is_empty());
    }
}

#[test]
fn what_acts_needs_a_challenger() {
    let backend = Backend::says("x");
    let duel = Duel::start(&version(&backend.url()));
    for member in ["auto_stop", "auto_promote"] {
        let mut spec = version(&backend.url());
        spec[member] = json!(true);
        let refused = duel.api.post(&format!("{}/versions", at(NAME)), &spec);
        let text = refused.text();
        assert!(refused.status == 422 && text.contains(member), "{text}");
    }
}
