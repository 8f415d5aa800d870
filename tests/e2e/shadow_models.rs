//! The sample models against each other: each kind of challenger gets the verdict that it deserves,
//! and it is printed after how many pairs.

use serde_json::{Value, json};

use crate::support::{
    Duel, PATIENCE,
    duel::{Model, alike, both, challenged, flower, lenient, puppets},
    holds_within,
};

/// Asks more and more until the verdict is this one, and prints how much that took; it is never the
/// opposite. Each time all pairs are waited for, so that none comes between the verdict and its count.
#[track_caller]
fn reaches(what: &str, duel: &Duel, state: &str, body: impl Fn(usize) -> String + Sync) -> Value {
    let opposite = if state == "promote" {
        "reject"
    } else {
        "promote"
    };
    let (mut before, mut asked) = (0, 0);
    loop {
        let more = (asked * 3 / 5).max(10);
        duel.asks_each(2, asked..asked + more, &body);
        asked += more;
        let shown = duel.saw(asked as u64);
        let is = &shown["verdict"]["state"];
        assert_ne!(is, opposite, "{what}: {shown}");
        if is == state {
            let reasons = &shown["verdict"]["reasons"];
            println!("{what}: {state} after {asked} pairs, not yet after {before}: {reasons}");
            assert!(shown["verdict"]["since"].is_string(), "{shown}");
            return shown;
        }
        assert!(asked < 5_000, "{what}: never {state}: {shown}");
        before = asked;
    }
}

/// Whether some reason has all of these words.
fn says(shown: &Value, words: &[&str]) -> bool {
    let reasons = shown["verdict"]["reasons"].as_array().expect("reasons");
    let mut texts = reasons.iter().filter_map(Value::as_str);
    texts.any(|text| words.iter().all(|word| text.contains(word)))
}

#[track_caller]
fn within(estimate: &Value) {
    let number = |member: &str| estimate[member].as_f64();
    let (low, value) = (number("low").expect("low"), number("value").expect("value"));
    assert!(low <= value, "{estimate}");
    assert!(
        number("high").is_none_or(|high| value <= high),
        "{estimate}"
    );
}

#[test]
fn a_good_challenger_is_to_be_promoted() {
    // A few milliseconds of thought, beside which the noise of this machine is small.
    let (main, challenger) = (Model::start("iris", 5), Model::start("iris", 5));
    let more = json!({"compare": {"kind": "json"}, "verdict": {"max_latency_ratio_p50": 3.0}});
    let duel = Duel::start(&challenged(main.url(), challenger.url(), more));
    let shown = reaches("a good challenger", &duel, "promote", flower);
    assert_eq!(shown["agreement"]["value"], 1.0, "{shown}");
    assert_eq!(shown["compared"]["disagree"], 0, "{shown}");
    assert!(shown["pairs"].as_u64() >= Some(100), "min_pairs: {shown}");
    for pointer in ["/agreement", "/errors/increase", "/latency/p50/ratio"] {
        within(shown.pointer(pointer).expect(pointer));
    }
    let low = shown["agreement"]["low"].as_f64().expect("low");
    assert!((0.95..1.0).contains(&low), "{shown}");
    // Nothing acts on it unless it is told to.
    assert_eq!(duel.api.live_version("demo/iris"), Some(1));
}

#[test]
fn a_wrong_challenger_is_to_be_rejected_by_its_labels() {
    let (main, challenger) = (Model::start("iris", 0), Model::start("iris-challenger", 0));
    let label = json!({"kind": "label", "pointer": "/outputs/0/label"});
    let more = json!({"compare": label, "verdict": lenient(json!({}))});
    let duel = Duel::start(&challenged(main.url(), challenger.url(), more));
    let shown = reaches("a wrong challenger, by label", &duel, "reject", flower);
    assert!(says(&shown, &["agreement", "0.95"]), "{shown}");
    let high = shown["agreement"]["high"].as_f64().expect("high");
    assert!(high < 0.95, "{shown}");
    let cells = shown["kinds"]["label"]["confusion"]
        .as_array()
        .expect("cells");
    let count = |main: &str, challenger: &str| -> u64 {
        let of = |c: &&Value| c["main"] == main && c["challenger"] == challenger;
        cells
            .iter()
            .filter(of)
            .filter_map(|c| c["count"].as_u64())
            .sum()
    };
    // It takes one species for the other, and only that way round.
    assert!(count("versicolor", "virginica") > 0, "{shown}");
    assert_eq!(count("virginica", "versicolor"), 0, "{shown}");
    let all: u64 = cells.iter().filter_map(|c| c["count"].as_u64()).sum();
    assert_eq!(
        Some(all),
        shown["kinds"]["label"]["pairs"].as_u64(),
        "{shown}"
    );
    assert_eq!(shown["agreement"]["n"], all, "{shown}");
}

#[test]
fn a_wrong_challenger_is_to_be_rejected_by_its_json() {
    let (main, challenger) = (Model::start("iris", 0), Model::start("iris-challenger", 0));
    let compare = json!({"kind": "json", "tolerance_abs": 0.01, "ignore": ["/model"]});
    let more = json!({"compare": compare, "verdict": lenient(json!({}))});
    let duel = Duel::start(&challenged(main.url(), challenger.url(), more));
    let shown = reaches("a wrong challenger, by json", &duel, "reject", flower);
    assert!(says(&shown, &["agreement", "0.95"]), "{shown}");
    let places = shown["kinds"]["json"]["places"].as_array().expect("places");
    let named = |part: &str| {
        let mut pointers = places.iter().filter_map(|place| place["pointer"].as_str());
        pointers.any(|pointer| pointer.contains(part))
    };
    assert!(named("probabilities") && !named("/model"), "{shown}");
}

#[test]
fn a_slow_challenger_is_to_be_rejected() {
    let (main, challenger) = (Model::start("iris", 2), Model::start("iris", 20));
    let more = json!({"compare": {"kind": "json"}, "verdict": {"max_latency_ratio_p50": 1.5}});
    let duel = Duel::start(&challenged(main.url(), challenger.url(), more));
    let shown = reaches("a slow challenger", &duel, "reject", flower);
    assert!(says(&shown, &["latency", "1.5"]), "{shown}");
    assert_eq!(shown["compared"]["disagree"], 0, "{shown}");
    let p50 = &shown["latency"]["p50"];
    within(&p50["ratio"]);
    let ms = |member: &str| p50[member].as_f64().expect(member);
    assert!(ms("challenger_ms") > 19.0 && ms("main_ms") < 19.0, "{p50}");
    assert!(p50["ratio"]["low"].as_f64() > Some(1.5), "{p50}");
}

#[test]
fn an_erring_challenger_is_to_be_rejected_for_its_errors() {
    let sides = puppets();
    let verdict = lenient(json!({"min_agreement": 0.0}));
    let duel = Duel::of(&sides, json!({"verdict": verdict}));
    let fine = json!({"text": "{\"label\":\"a\"}"});
    let shown = reaches("a challenger that fails one in ten", &duel, "reject", |n| {
        let fails = n % 10 == 3;
        let challenger = if fails {
            json!({"status": 500})
        } else {
            fine.clone()
        };
        both(fine.clone(), challenger)
    });
    assert!(says(&shown, &["error", "0.02"]), "{shown}");
    assert!(!says(&shown, &["agreement"]), "not judged: {shown}");
    let errors = &shown["errors"];
    assert_eq!(errors["main"], 0, "{errors}");
    let share = errors["challenger"].as_f64().unwrap() / errors["n"].as_f64().unwrap();
    assert!((0.05..0.2).contains(&share), "{errors}");
    within(&errors["increase"]);
    assert!(errors["increase"]["low"].as_f64() > Some(0.02), "{errors}");
}

#[test]
fn what_is_not_sure_is_held_and_said_why() {
    let sides = puppets();
    let duel = Duel::of(
        &sides,
        json!({"verdict": lenient(json!({"min_pairs": 40}))}),
    );
    let shown = duel.shown();
    assert_eq!(shown["verdict"]["state"], "hold", "{shown}");
    assert!(shown["agreement"]["value"].is_null(), "{shown}");
    assert!(shown["first_pair_at"].is_null(), "{shown}");
    let limits = &shown["verdict"]["limits"];
    assert_eq!(
        (
            &limits["min_agreement"],
            &limits["alpha"],
            &limits["min_pairs"]
        ),
        (&json!(0.95), &json!(0.05), &json!(40)),
        "{shown}"
    );
    duel.asks(20, &alike(json!({})));
    let shown = duel.saw(20);
    assert_eq!(shown["verdict"]["state"], "hold", "{shown}");
    assert!(says(&shown, &["20", "40", "pairs"]), "{shown}");
    assert!(says(&shown, &["agreement", "0.95"]), "{shown}");
    assert!(shown["first_pair_at"].as_str() <= shown["last_pair_at"].as_str());
    // Of so few pairs nothing is sure, but that they all agree.
    assert_eq!(shown["agreement"]["value"], 1.0, "{shown}");
    assert!(shown["agreement"]["low"].as_f64() < Some(0.95), "{shown}");
}

#[test]
fn the_series_shows_how_it_came_to_that() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"verdict": lenient(json!({}))}));
    let differ = both(json!({"text": "1"}), json!({"text": "2"}));
    duel.asks(60, &differ);
    let shown = duel.saw(60);
    assert_eq!(shown["verdict"]["state"], "reject", "{shown}");
    let path = "/projects/demo/deployments/iris/comparison/series";
    let mut series = Value::Null;
    let came = holds_within(PATIENCE, || {
        series = duel.api.show(path);
        let points = series["points"].as_array().expect("points");
        // Made when the verdict turns, and every ten seconds: it need not have seen all.
        points.last().is_some_and(|last| last["state"] == "reject")
    });
    assert!(came, "the last point is no reject: {series}");
    let points = series["points"].as_array().expect("points");
    let pairs: Vec<_> = points.iter().map(|p| p["pairs"].as_u64()).collect();
    assert!(pairs.is_sorted(), "{series}");
    let last = points.last().expect("a point");
    assert_eq!(last["state"], "reject", "{series}");
    assert_eq!(last["agreement"]["value"], 0.0, "{series}");
    assert!(last["agreement"]["high"].as_f64() < Some(0.95), "{series}");
    // Asked for fewer points, the last is among them.
    let few = duel.api.show(&format!("{path}?points=2"));
    let few = few["points"].as_array().expect("points");
    assert!(few.len() <= 2 && few.last() == Some(last), "{few:?}");
    let none = duel.api.show(&format!("{path}?to=2020-01-01T00:00:00Z"));
    assert_eq!(none["points"], json!([]));
}
