//! Evidence outlives the process, and belongs to one version of one deployment.

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, Gate, PATIENCE, Stop, at,
    duel::{NAME, alike, both, challenged, lenient, puppets},
    eventually, holds_within, problem, want,
};

fn differ() -> String {
    both(json!({"text": "{\"a\":1}"}), json!({"text": "{\"a\":2}"}))
}

fn spec(sides: &(Backend, Backend), model: &str) -> Value {
    let verdict = lenient(json!({"min_pairs": 10}));
    let keep = json!({"sample": 1.0});
    let more = json!({"verdict": verdict, "keep_bodies": keep});
    let mut spec = challenged(&sides.0.url(), &sides.1.url(), more);
    spec["model"] = json!(model);
    spec
}

/// What a restart must not change of it.
fn lasting(shown: &Value) -> Value {
    let mut lasting = shown.clone();
    for passing in ["share", "is_stopped"] {
        lasting.as_object_mut().unwrap().remove(passing);
    }
    lasting
}

#[test]
fn a_restart_keeps_pairs_verdict_and_series() {
    let sides = puppets();
    let mut duel = Duel::start(&spec(&sides, "m:1"));
    duel.asks(40, &differ());
    duel.asks(10, &alike(json!({})));
    duel.ask(&both(json!({"status": 500}), json!({})));
    let before = duel.saw(51);
    assert_eq!(before["verdict"]["state"], "reject", "{before}");
    let pairs = duel.listed("", 51);
    let whole = duel.whole(pairs[3]["id"].as_u64().unwrap());
    assert!(whole["bodies"].is_object(), "{whole}");
    duel.gateway.restart(Stop::Term);
    duel.came_back();
    let after = duel.saw(51);
    assert_eq!(lasting(&after), lasting(&before));
    assert_eq!(duel.listed("", 51), pairs);
    assert_eq!(duel.whole(whole["id"].as_u64().unwrap()), whole);
    // It goes on from there.
    duel.asks(9, &alike(json!({})));
    let shown = duel.saw(60);
    assert_eq!(shown["compared"]["agree"], 19, "{shown}");
    assert_eq!(shown["first_pair_at"], before["first_pair_at"], "{shown}");
    let newest = &duel.listed("", 60)[0];
    assert!(newest["id"].as_u64() > pairs[0]["id"].as_u64(), "{newest}");
    let series = duel.api.show(&format!("{}/comparison/series", at(NAME)));
    let points = series["points"].as_array().expect("points");
    let counts: Vec<_> = points.iter().filter_map(|p| p["pairs"].as_u64()).collect();
    assert!(counts.is_sorted() && !counts.is_empty(), "{series}");
    // What came just before the end was waited for.
    duel.asks(30, &alike(json!({})));
    sides.1.wait_count(90);
    duel.gateway.restart(Stop::Term);
    duel.came_back();
    let shown = duel.shows("all that was whole", |shown| {
        shown["pairs"].as_u64() > Some(60)
    });
    assert!(
        shown["pairs"].as_u64() >= Some(89),
        "an orderly end loses next to nothing: {shown}"
    );
}

#[test]
fn a_kill_costs_the_last_moment_and_never_the_file() {
    let sides = puppets();
    let mut duel = Duel::start(&spec(&sides, "m:1"));
    let mut told = 0;
    let rounds = if std::env::var_os("WEIR_FULL").is_some() {
        30
    } else {
        3
    };
    for round in 0..rounds {
        duel.asks(40, &differ());
        let mut at_rest = 0;
        // What is listed is on the disk.
        let path = format!("{}/comparison/pairs?limit=1000", at(NAME));
        eventually(PATIENCE, "they are listed", || {
            at_rest = duel.api.list(&path).len() as u64;
            at_rest >= told + 40
        });
        // Killed while more come.
        duel.asks(10 * (round + 1), &differ());
        duel.gateway.restart(Stop::Kill);
        duel.came_back();
        let listed = duel.api.list(&path);
        assert!(
            listed.len() as u64 >= at_rest,
            "{} of {at_rest} are left",
            listed.len()
        );
        let mut ids: Vec<_> = listed
            .iter()
            .filter_map(|pair| pair["id"].as_u64())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), listed.len(), "no number twice");
        // What the pairs say together is as new as they are, give or take the last moment.
        let pairs = duel.shown()["pairs"].as_u64().expect("pairs");
        assert!(
            pairs >= at_rest,
            "{pairs} pairs weighed, {at_rest} listed before"
        );
        told = listed.len() as u64;
        let aside = duel.gateway.data_dir().join("comparison.db.broken");
        assert!(!aside.exists(), "the file was whole");
    }
}

#[test]
fn each_version_has_evidence_of_its_own() {
    let sides = puppets();
    let mut duel = Duel::start(&spec(&sides, "m:1"));
    duel.asks(30, &differ());
    let first = duel.saw(30);
    assert_eq!(first["verdict"]["state"], "reject", "{first}");
    assert_eq!(duel.api.deploy(NAME, &spec(&sides, "m:2")), 2);
    let fresh = duel.shown();
    assert_eq!(
        (&fresh["version"], &fresh["pairs"]),
        (&json!(2), &json!(0)),
        "{fresh}"
    );
    assert_eq!(fresh["verdict"]["state"], "hold", "{fresh}");
    duel.asks(20, &alike(json!({})));
    let second = duel.saw(20);
    assert_eq!(second["agreement"]["value"], 1.0, "{second}");
    // The other is as it was.
    let old = duel.shown_of("?version=1");
    assert_eq!(
        (&old["version"], &old["pairs"], &old["verdict"]["state"]),
        (&json!(1), &json!(30), &json!("reject"))
    );
    assert_eq!(old["share"], 0.0, "it is not live: {old}");
    duel.listed("version=1", 30);
    duel.listed("version=2", 20);
    duel.listed("", 50);
    // Live again, it goes on where it was.
    let path = format!("{}/rollback?wait=15", at(NAME));
    let back = want(
        202,
        &duel
            .api
            .post(&path, &json!({"version": 1, "reason": "better"})),
    );
    assert_eq!(back["task"]["status"], "done", "{back}");
    let shown = duel.shown();
    assert_eq!(
        (&shown["version"], &shown["pairs"]),
        (&json!(1), &json!(30)),
        "{shown}"
    );
    duel.asks(5, &differ());
    duel.saw(35);
    duel.gateway.restart(Stop::Kill);
    duel.came_back();
    let shown = duel.shown_of("?version=2");
    assert_eq!(shown["pairs"], 20, "{shown}");
}

#[test]
fn a_deleted_deployments_evidence_stays_and_is_nobody_elses() {
    let sides = puppets();
    let mut duel = Duel::start(&spec(&sides, "m:1"));
    duel.asks(30, &differ());
    duel.saw(30);
    duel.listed("", 30);
    duel.gateway
        .cli()
        .ok("deployment delete demo/iris --reason done --yes");
    for _ in 0..2 {
        let shown = duel.saw(30);
        assert_eq!(
            (&shown["version"], &shown["share"]),
            (&json!(1), &json!(0.0)),
            "{shown}"
        );
        assert_eq!(shown["verdict"]["state"], "reject", "{shown}");
        duel.listed("", 30);
        duel.gateway.restart(Stop::Term);
        duel.came_back();
    }
    // Another deployment of the same name begins with nothing, and shows nothing of the first.
    let made = duel.api.create(NAME, &spec(&sides, "m:2"));
    duel.secret = made.secret;
    let shown = duel.shown();
    assert_eq!(shown["pairs"], 0, "{shown}");
    duel.listed("", 0);
    let ids: Vec<_> = (1..=30).collect();
    for id in ids {
        let answer = duel.api.get(&format!("{}/comparison/pairs/{id}", at(NAME)));
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    duel.asks(3, &alike(json!({})));
    duel.saw(3);
    duel.listed("", 3);
    let all = want(
        200,
        &duel
            .api
            .get(&format!("{}/comparison/pairs?format=json", at(NAME))),
    );
    assert_eq!(all["items"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_challenger_that_became_main_leaves_its_evidence() {
    let sides = puppets();
    let duel = Duel::start(&spec(&sides, "m:1"));
    let short = || -> Value { duel.api.show(&at(NAME))["challenger"].clone() };
    assert_eq!(short()["pairs"], 0, "{}", short());
    duel.asks(30, &differ());
    duel.saw(30);
    let shown = short();
    assert_eq!(
        (
            &shown["pairs"],
            &shown["verdict"],
            &shown["agreement"],
            &shown["version"]
        ),
        (&json!(30), &json!("reject"), &json!(0.0), &json!(1)),
        "in short: {shown}"
    );
    // Whatever is said of it, people decide.
    duel.gateway
        .cli()
        .ok("deployment promote demo/iris --reason tried");
    assert_eq!(duel.api.live_version(NAME), Some(2));
    duel.asks(3, &differ());
    assert_eq!(short(), Value::Null);
    // There is no challenger any more: what is shown is the newest of which anything is known.
    let shown = duel.saw(30);
    assert_eq!(
        (&shown["version"], &shown["share"]),
        (&json!(1), &json!(0.0)),
        "{shown}"
    );
    assert_eq!(shown["verdict"]["state"], "reject", "{shown}");
    let answer = duel.api.get(&format!("{}/comparison?version=2", at(NAME)));
    assert_eq!(problem(&[404], &answer), "comparison_unknown");
}

/// Pairs of a version that is not live any more when they are complete still count for theirs.
#[test]
fn what_was_under_way_at_a_swap_counts_for_its_own_version() {
    let gate = Gate::new();
    let door = gate.clone();
    let main = Backend::says("m");
    let slow = Backend::start(move |conn, head| {
        conn.body(head);
        door.wait();
        conn.answer(200, &[], b"c")
    });
    let sides = (main, slow);
    let duel = Duel::start(&spec(&sides, "m:1"));
    duel.ask("{}");
    sides.1.wait_count(1);
    duel.api.deploy(NAME, &spec(&sides, "m:2"));
    gate.open();
    let mut old = Value::Null;
    let came = holds_within(PATIENCE, || {
        old = duel.shown_of("?version=1");
        old["pairs"] == 1
    });
    assert!(came, "{old}");
    duel.ask("{}");
    let new = duel.saw(1);
    assert_eq!(new["version"], 2, "{new}");
}
