//! Answers and requests of every form make pairs: packed, large, empty, in chunks, over HTTP/2, later.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    AUTH, Backend, Declarations, Duel, Gateway, KEY, PATIENCE,
    client::chunk,
    deployment,
    duel::{alike, both, challenged, puppets},
    h2::H2Client,
    holds_within, key, later, problem, version, want,
};

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[test]
fn packed_answers_are_unpacked_or_said_to_be_packed() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"compare": {"kind": "json"}}));
    let packed = |text: &str| json!({"encoding": "gzip", "bytes": gzip(text)});
    let plain = |text: &str| json!({"text": text});
    let rows = [
        (
            "same",
            packed("{\"a\":1}"),
            packed("{\"a\": 1}"),
            "agree",
            "",
        ),
        (
            "mixed",
            packed("{\"a\":1}"),
            plain("{\"a\":1}"),
            "agree",
            "",
        ),
        (
            "other",
            plain("{\"a\":1}"),
            packed("{\"a\":2}"),
            "disagree",
            "",
        ),
        (
            "brotli",
            json!({"encoding": "br", "bytes": [11, 1, 128, 1, 2, 3]}),
            plain("{\"a\":1}"),
            "uncompared",
            "encoded",
        ),
        (
            "no-gzip-in-main",
            json!({"encoding": "gzip", "bytes": [1, 2, 3, 4]}),
            plain("{\"a\":1}"),
            "uncompared",
            "unreadable",
        ),
        (
            "no-gzip-in-the-challenger",
            plain("{\"a\":1}"),
            json!({"encoding": "gzip", "bytes": [1, 2, 3, 4]}),
            "disagree",
            "",
        ),
        (
            "no-json-in-main",
            plain("<a>"),
            plain("{}"),
            "uncompared",
            "unreadable",
        ),
        (
            "no-json-in-the-challenger",
            plain("{}"),
            plain("<a>"),
            "disagree",
            "",
        ),
    ];
    let asked = rows
        .iter()
        .map(|(id, main, challenger, ..)| (*id, both(main.clone(), challenger.clone())));
    let pairs = duel.pairs_of(asked);
    for ((id, .., result, reason), pair) in rows.iter().zip(&pairs) {
        let reason = if reason.is_empty() {
            Value::Null
        } else {
            json!(reason)
        };
        assert_eq!(
            (&pair["result"], &pair["reason"]),
            (&json!(result), &reason),
            "{id}: {pair}"
        );
    }
    let shown = duel.saw(8);
    assert_eq!(shown["agreement"]["n"], 5, "{shown}");
    assert_eq!(shown["compared"]["uncompared"]["encoded"], 1, "{shown}");
    assert_eq!(shown["compared"]["uncompared"]["unreadable"], 2, "{shown}");
}

/// What unpacks to a thousand times its size must not be taken at its word.
#[test]
fn a_bomb_is_not_unpacked() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let zeros = "0".repeat(40 << 20);
    let bomb = gzip(&zeros);
    let before = duel.gateway.rss_kib();
    let body = alike(json!({"encoding": "gzip", "bytes": bomb, "type": "text/plain"}));
    let pair = duel.pair("bomb", &body);
    assert_eq!(pair["result"], "uncompared", "{pair}");
    assert!(
        pair["reason"] == "too_large" || pair["reason"] == "encoded",
        "{pair}"
    );
    let grown = duel.gateway.rss_kib().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB");
}

#[test]
fn what_is_too_large_to_keep_is_not_compared() {
    let sides = puppets();
    let more = json!({"response_bytes_max": 10_000, "compare": {"kind": "json"}});
    let duel = Duel::of(&sides, more);
    let text = |n: usize| json!({"text": format!("\"{}\"", "x".repeat(n))});
    let pair = duel.pair("main-large", &both(text(20_000), text(10)));
    assert_eq!(
        (&pair["result"], &pair["reason"]),
        (&json!("uncompared"), &json!("too_large"))
    );
    assert_eq!(pair["main"]["bytes"], 20_002, "{pair}");
    let pair = duel.pair("fits", &alike(text(9_000)));
    assert_eq!(pair["result"], "agree", "{pair}");
}

#[test]
fn answers_without_a_body_are_compared_too() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let empty = json!({"status": 204});
    let pair = duel.pair("204", &alike(empty));
    assert_eq!(
        (&pair["result"], &pair["main"]["bytes"]),
        (&json!("agree"), &json!(0)),
        "{pair}"
    );
    let line = "HEAD /predict/demo/iris";
    assert_eq!(
        duel.ask_at(line, &[("x-request-id", "head")], "").status,
        200
    );
    let pair = duel.pair_of("head");
    assert_eq!(
        (&pair["result"], &pair["main"]["bytes"]),
        (&json!("agree"), &json!(0)),
        "{pair}"
    );
    let nothing = json!({"text": "", "type": "text/plain"});
    assert_eq!(duel.pair("empty", &alike(nothing))["result"], "agree");
}

#[test]
fn uploads_in_chunks_and_over_http2_make_pairs() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"keep_bodies": {"sample": 1.0}}));
    let body = both(json!({"text": "1"}), json!({"text": "2"}));
    let mut client = duel.gateway.connect();
    let headers = [
        ("x-api-key", duel.secret.as_str()),
        ("x-request-id", "chunked"),
        ("transfer-encoding", "chunked"),
    ];
    client.request("POST /predict/demo/iris", &headers, b"");
    for piece in body.as_bytes().chunks(7) {
        client.send(chunk(piece));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response("POST").text(), "1");
    let second = H2Client::connect(duel.gateway.addr());
    let headers = [("x-api-key", duel.secret.as_str()), ("x-request-id", "two")];
    let answer = second.call("POST", "/predict/demo/iris", &headers, body.as_bytes());
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"1"[..]));
    for id in ["chunked", "two"] {
        let pair = duel.pair_of(id);
        assert_eq!(
            (&pair["result"], &pair["kind"]),
            (&json!("disagree"), &json!("json"))
        );
        let bodies = &pair["bodies"];
        assert_eq!(bodies["request"]["text"], body.as_str(), "{id}: {pair}");
        assert_eq!(
            (&bodies["main"]["text"], &bodies["challenger"]["text"]),
            (&json!("1"), &json!("2"))
        );
    }
}

#[test]
fn async_requests_make_pairs() {
    let sides = puppets();
    let duel = Duel::on(
        later::impatient(Gateway::bare()),
        &challenged(&sides.0.url(), &sides.1.url(), json!({})),
    );
    let caller = duel.gateway.caller_with(&duel.secret);
    let body = both(json!({"text": "{\"a\":1}"}), json!({"text": "{\"a\":2}"}));
    let line = "POST /predict/demo/iris";
    let ids: Vec<_> = (0..5)
        .map(|_| caller.accepted_as(line, &[], body.as_bytes()))
        .collect();
    for id in &ids {
        caller.ends(id, "completed");
        assert_eq!(caller.result(id).text(), "{\"a\":1}");
    }
    let shown = duel.saw(5);
    assert_eq!(shown["compared"]["disagree"], 5, "{shown}");
    assert_eq!(duel.listed("result=disagree", 5).len(), 5);
}

#[test]
fn what_is_not_sampled_is_counted() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"sample": 0.3}));
    duel.asks(300, &alike(json!({})));
    let shown = duel.shows("all are accounted for", |shown| {
        let not = shown["skipped"]["not_sampled"].as_u64().expect("a count");
        not + shown["pairs"].as_u64().expect("pairs") >= 300
    });
    let (pairs, not) = (&shown["pairs"], &shown["skipped"]["not_sampled"]);
    assert_eq!(
        pairs.as_u64().unwrap() + not.as_u64().unwrap(),
        300,
        "{shown}"
    );
    // Six standard deviations.
    assert!((42..=138).contains(&pairs.as_u64().unwrap()), "{shown}");
    assert_eq!(shown["challenger"]["sample"], 0.3, "{shown}");
    assert_eq!(shown["share"], 0.3, "{shown}");
}

/// A deployment that comes from a file is compared like any other.
#[test]
fn declared_challengers_are_compared() {
    let (main, challenger) = puppets();
    let lines = "compare = { kind = \"number\", pointer = \"/p\", tolerance_abs = 0.1 }\n\
                 verdict = { min_agreement = 0.5, min_pairs = 5 }\nkeep_bodies = { sample = 1.0 }";
    let declared = |more: &str| {
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&main)
                    .challenger(&challenger.url(), &format!("{lines}\n{more}")),
            )
            .with(key(KEY, "demo"))
    };
    let gateway = Gateway::start(declared(""));
    let ask = || {
        let body = both(
            json!({"text": "{\"p\": 0.5}"}),
            json!({"text": "{\"p\": 0.55}"}),
        );
        let answer = gateway.call("POST /predict/demo/iris", &[AUTH], body.as_bytes());
        assert_eq!(answer.status, 200);
    };
    let path = "/projects/demo/deployments/iris/comparison";
    let sees = |version: u64, pairs: u64| {
        let mut shown = Value::Null;
        let came = holds_within(PATIENCE, || {
            shown = gateway.api().show(path);
            shown["version"] == version && shown["pairs"] == pairs
        });
        assert!(came, "never {pairs} pairs of version {version}: {shown}");
        shown
    };
    (0..6).for_each(|_| ask());
    let shown = sees(1, 6);
    assert_eq!(shown["compared"]["agree"], 6, "{shown}");
    assert_eq!(shown["kinds"]["number"]["pairs"], 6, "{shown}");
    // Changed on the spot, it is another version, and begins with nothing.
    gateway.redeclare(declared("sample = 0.999999"));
    sees(2, 0);
    ask();
    sees(2, 1);
    let old = want(200, &gateway.api().get(&format!("{path}?version=1")));
    assert_eq!(old["pairs"], 6, "{old}");
}

/// Nobody is compared with nobody.
#[test]
fn without_a_challenger_there_is_nothing_to_show() {
    let backend = Backend::echo();
    let duel = Duel::start(&version(&backend.url()));
    duel.ask("{}");
    for path in ["", "?version=1", "/series"] {
        let answer = duel
            .api
            .get(&format!("/projects/demo/deployments/iris/comparison{path}"));
        assert_eq!(problem(&[404], &answer), "comparison_unknown", "{path}");
    }
    let pairs = duel
        .api
        .show("/projects/demo/deployments/iris/comparison/pairs");
    assert_eq!(pairs["items"], json!([]));
}
