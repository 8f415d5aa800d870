//! `weir deployment verdict`, `pairs` and `pair` against a running gateway.

use serde_json::{Value, json};

use crate::support::{
    Backend, Cli, Duel, Nowhere, PATIENCE,
    duel::{NAME, alike, both, challenged, flower, lenient, puppets},
    holds_within, version,
};

fn part(text: &str) -> Value {
    json!({"text": text})
}

#[test]
fn the_verdict_is_printed_and_is_an_exit_code() {
    let sides = puppets();
    let verdict = lenient(json!({"min_pairs": 10, "max_error_increase": 0.5}));
    let duel = Duel::of(&sides, json!({"verdict": verdict}));
    let cli = duel.gateway.cli();
    let said = |code: i32, words: &[&str]| {
        let ran = cli.run("deployment verdict demo/iris --exit-code");
        assert_eq!(ran.code, code, "{ran}");
        ran.plain();
        for word in words {
            assert!(ran.out.contains(word), "no {word:?} in {ran}");
        }
        // Without the flag, that it was told is a success.
        let told = cli.ok("deployment verdict demo/iris");
        let lasting = |out: &str| -> Vec<String> {
            let lines = out
                .lines()
                .filter(|line| !line.to_lowercase().contains(" ago"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(lasting(&told), lasting(&ran.out));
    };
    said(8, &["hold"]);
    duel.asks(30, &both(part("{\"a\":1}"), part("{\"a\":2}")));
    duel.saw(30);
    said(9, &["reject", "agreement", "0.95", "30"]);
    let spec = challenged(
        &sides.0.url(),
        &sides.1.url(),
        json!({"verdict": lenient(json!({"min_pairs": 10, "max_error_increase": 0.5}))}),
    );
    duel.api.deploy(NAME, &spec);
    duel.asks_until(
        2,
        |_| alike(part("{}")),
        || duel.shown()["verdict"]["state"] == "promote",
    );
    let ran = cli.run("deployment verdict demo/iris --exit-code");
    assert!(ran.code == 0 && ran.out.contains("promote"), "{ran}");
    let old = cli.ok("deployment verdict demo/iris --version 1");
    let first = old.lines().next().unwrap_or_default();
    assert!(
        first.contains("reject") && first.contains("iris_v1"),
        "{old}"
    );
    // For programs what the API says, as it is.
    let shown = cli.json("deployment verdict demo/iris --version 1");
    assert_eq!(shown["verdict"]["state"], "reject");
    assert_eq!(
        (&shown["pairs"], &shown["version"]),
        (&json!(30), &json!(1))
    );
    // A curve, drawn in characters.
    let drawn = old
        .chars()
        .any(|c| "▁▂▃▄▅▆▇█".contains(c) || ('\u{2800}'..'\u{28ff}').contains(&c));
    assert!(drawn, "no chart in {old}");
}

#[test]
fn pairs_are_listed_passed_on_and_shown() {
    let sides = puppets();
    let keep =
        json!({"keep_bodies": {"sample": 1.0}, "compare": {"kind": "number", "pointer": "/n"}});
    let duel = Duel::of(&sides, keep);
    for n in 1..=25 {
        let body = both(part("{\"n\":0}"), part(&format!("{{\"n\":{n}}}")));
        duel.ask(&body);
    }
    duel.asks(5, &alike(part("{\"n\":1}")));
    duel.listed("", 30);
    let cli = duel.gateway.cli();
    let rows = |line: &str| cli.ok(line).lines().count();
    assert_eq!(rows("deployment pairs demo/iris"), 21, "20 and their heads");
    assert_eq!(rows("deployment pairs demo/iris -n 100"), 31);
    assert_eq!(rows("deployment pairs demo/iris -n 3"), 4);
    assert_eq!(rows("deployment pairs demo/iris -n 100 --result agree"), 6);
    assert_eq!(rows("deployment pairs demo/iris -n 100 --since 1h"), 31);
    let worst = cli.json("deployment pairs demo/iris --result disagree --order worst -n 2");
    let items = worst
        .as_array()
        .or_else(|| worst["items"].as_array())
        .expect("a list");
    let differs: Vec<_> = items
        .iter()
        .map(|p| p["detail"]["challenger"].clone())
        .collect();
    assert_eq!(differs, [json!(25.0), json!(24.0)], "{worst}");
    let csv = cli.run("deployment pairs demo/iris --format csv").out;
    assert_eq!(csv.trim_end().lines().count(), 31, "{csv}");
    assert!(csv.starts_with("id,at,"), "{csv}");
    let lines = cli.ok("deployment pairs demo/iris --format ndjson --result agree");
    let pairs: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(
        pairs.len() == 5 && pairs.iter().all(|p| p["result"] == "agree"),
        "{lines}"
    );
    let id = &items[0]["id"];
    let shown = cli.ok(&format!("deployment pair demo/iris {id}"));
    for word in ["disagree", "number", "200", "25"] {
        assert!(shown.contains(word), "no {word:?} in {shown}");
    }
    let whole = cli.json(&format!("deployment pair demo/iris {id}"));
    assert_eq!(
        whole["bodies"]["challenger"]["text"], "{\"n\":25}",
        "{whole}"
    );
}

#[test]
fn mistakes_are_told_apart_by_their_codes() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let cli = duel.gateway.cli();
    let alone = Backend::says("x");
    duel.api.create("demo/alone", &version(&alone.url()));
    for (code, line, named) in [
        (4, "verdict demo/nobody", &["nobody"][..]),
        (4, "verdict demo/alone", &["challenger"]),
        (4, "verdict demo/iris --version 7", &["7"]),
        (4, "pairs demo/nobody", &["nobody"]),
        (4, "pair demo/iris 12345", &["12345"]),
    ] {
        cli.fails_with(code, &format!("deployment {line}"), named);
    }
    for line in [
        "verdict demo/iris --version x",
        "verdict demo/iris --watch --exit-code",
        "pairs demo/iris --result maybe",
        "pairs demo/iris --order best",
        "pairs demo/iris --since yesterday",
        "pairs demo/iris --format xml",
        "pair demo/iris x",
    ] {
        cli.fails(2, &format!("deployment {line}"));
    }
    assert_eq!(
        Cli::lost()
            .env("WEIR_ADMIN_URL", &Nowhere::new().url())
            .env("WEIR_ADMIN_TOKEN", "any")
            .run("deployment verdict demo/iris")
            .code,
        3
    );
}

#[test]
fn a_verdict_can_be_watched() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let cli = duel.gateway.cli();
    let watching = cli.start("deployment verdict demo/iris --watch -o json", "");
    let pairs = || -> Vec<u64> {
        let out = watching.out();
        let whole = out
            .lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok());
        whole.filter_map(|shown| shown["pairs"].as_u64()).collect()
    };
    assert!(
        holds_within(PATIENCE, || pairs().first() == Some(&0)),
        "{}",
        watching.err()
    );
    duel.asks(12, &flower(1));
    assert!(
        holds_within(PATIENCE, || pairs().last() == Some(&12)),
        "{:?}",
        pairs()
    );
    watching.interrupt();
    let ran = watching.ended(PATIENCE);
    assert!(
        [-1, 0, 130].contains(&ran.code) && ran.err.is_empty(),
        "{ran}"
    );
}
