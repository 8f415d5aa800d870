//! A pair tells what happened on both sides of one request: statuses, times, bytes, gaps, errors.

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, Gateway, Next, Nowhere, PATIENCE, at_once,
    client::chunk,
    duel::{alike, both, challenged, puppet, puppets},
    eventually, later, pattern,
};

fn number(pair: &Value, pointer: &str) -> f64 {
    let value = pair.pointer(pointer);
    value
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{pointer} of {pair}"))
}

#[track_caller]
fn is(pair: &Value, expected: &[(&str, Value)]) {
    for (pointer, value) in expected {
        assert_eq!(pair.pointer(pointer), Some(value), "{pointer} of {pair}");
    }
}

#[test]
fn a_pair_is_a_record_of_both_sides() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let before = jiff::Timestamp::now();
    let main = json!({"text": "{\"a\": 1}", "after_ms": 30});
    let pair = duel.pair(
        "mine-1",
        &both(main, json!({"text": "{\"a\": 22}", "after_ms": 60})),
    );
    is(
        &pair,
        &[
            ("/version", json!(1)),
            ("/request_id", json!("mine-1")),
            ("/is_stream", json!(false)),
            ("/result", json!("disagree")),
            ("/reason", Value::Null),
            ("/kind", json!("json")),
            ("/detail/what", json!("json")),
            ("/detail/places", json!(["/a"])),
            ("/has_bodies", json!(false)),
            ("/bodies", Value::Null),
            ("/main/status", json!(200)),
            ("/main/error", Value::Null),
            ("/main/ended", json!("complete")),
            ("/main/bytes", json!(8)),
            ("/main/gaps", Value::Null),
            ("/challenger/status", json!(200)),
            ("/challenger/error", Value::Null),
            ("/challenger/ended", json!("complete")),
            ("/challenger/bytes", json!(9)),
        ],
    );
    let at: jiff::Timestamp = pair["at"].as_str().expect("at").parse().expect("a time");
    let slack = jiff::SignedDuration::from_secs(1);
    assert!(
        before - slack <= at && at <= jiff::Timestamp::now() + slack,
        "{pair}"
    );
    // From when the request was written, which a busy machine may note late.
    for (side, least) in [("main", 30.0), ("challenger", 60.0)] {
        let ms = |member: &str| number(&pair, &format!("/{side}/{member}"));
        let (first, whole) = (ms("first_byte_ms"), ms("latency_ms"));
        assert!(
            (least * 0.7..least + 2_000.0).contains(&first) && first <= whole,
            "{pair}"
        );
    }
    // The same exchange as the backends are told, when they are told of one.
    let exchange = pair["exchange"].as_str().expect("exchange");
    assert!(exchange.len() >= 16 && exchange.bytes().all(|b| b.is_ascii_hexdigit()));
    let other = duel.pair("mine-2", &alike(json!({})));
    assert_ne!(other["exchange"], pair["exchange"]);
    assert!(other["id"].as_u64() > pair["id"].as_u64());
    is(
        &other,
        &[("/result", json!("agree")), ("/distance", json!(0.0))],
    );
}

#[test]
fn streams_have_first_bytes_and_gaps_on_both_sides() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let data = |words: &[&str]| -> Vec<String> {
        words
            .iter()
            .map(|word| format!("data: {{\"token\":\"{word}\"}}\n\n"))
            .collect()
    };
    let main = json!({"stream": data(&["the ", "river ", "runs ", "on"]), "gap_ms": 20});
    // Other pieces, the same text.
    let challenger = json!({"stream": data(&["the river ", "runs on"]), "gap_ms": 70});
    let answer = duel.ask_at(
        "POST /stream/demo/iris",
        &[("x-request-id", "s1")],
        &both(main, challenger),
    );
    assert_eq!(answer.status, 200);
    let pair = duel.pair_of("s1");
    is(
        &pair,
        &[
            ("/is_stream", json!(true)),
            ("/result", json!("agree")),
            ("/kind", json!("text")),
            ("/detail/similarity", json!(1.0)),
            ("/main/gaps/count", json!(3)),
            ("/challenger/gaps/count", json!(1)),
            ("/main/bytes", json!(answer.body.len())),
        ],
    );
    for (side, gap) in [("main", 20.0), ("challenger", 70.0)] {
        let ms = |member: &str| number(&pair, &format!("/{side}/{member}"));
        let (p50, p99, max) = (ms("gaps/p50_ms"), ms("gaps/p99_ms"), ms("gaps/max_ms"));
        // Two pieces may come at once, and a busy machine may be late.
        assert!(
            p50 <= p99 && p99 <= max + 0.001 && max >= gap * 0.8,
            "{pair}"
        );
        assert!(ms("first_byte_ms") <= ms("latency_ms"), "{pair}");
    }
    assert!(number(&pair, "/main/latency_ms") >= 40.0, "{pair}");
    let shown = duel.saw(1);
    assert!(!shown["first_byte"].is_null() || shown["latency"]["p50"]["main_ms"].is_number());
}

#[test]
fn statuses_decide_before_bodies_do() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let status = |status: u16, text: &str| json!({"status": status, "text": text});
    let rows = [
        ("200-201", status(200, "1"), status(201, "1"), "disagree"),
        ("404-404", status(404, "1"), status(404, "2"), "agree"),
        ("404-422", status(404, "1"), status(422, "1"), "disagree"),
        ("200-404", status(200, "1"), status(404, "1"), "disagree"),
        ("200-500", status(200, "1"), status(500, "1"), "disagree"),
        ("500-200", status(500, "1"), status(200, "1"), "uncompared"),
        ("500-500", status(500, "1"), status(500, "1"), "uncompared"),
    ];
    let asked = rows
        .iter()
        .map(|(id, main, challenger, _)| (*id, both(main.clone(), challenger.clone())));
    let pairs = duel.pairs_of(asked);
    for ((id, _, _, expected), pair) in rows.iter().zip(&pairs) {
        assert_eq!(pair["result"], *expected, "{id}: {pair}");
        if *expected == "uncompared" {
            is(pair, &[("/reason", json!("main_failed"))]);
        } else {
            is(
                pair,
                &[("/detail/what", json!("status")), ("/reason", Value::Null)],
            );
        }
    }
    let shown = duel.saw(7);
    is(
        &shown,
        &[
            ("/errors/n", json!(7)),
            ("/errors/main", json!(2)),
            ("/errors/challenger", json!(2)),
            ("/agreement/n", json!(5)),
            ("/agreement/value", json!(0.2)),
            ("/compared/agree", json!(1)),
            ("/compared/disagree", json!(4)),
            ("/compared/uncompared/main_failed", json!(2)),
        ],
    );
    assert_eq!(duel.listed("result=error", 3).len(), 3);
}

#[test]
fn a_challenger_that_gives_no_answer_is_an_error_and_a_disagreement() {
    let main = puppet("main");
    let nobody = Nowhere::new();
    let challengers: [(&str, Option<Backend>); 5] = [
        ("unreachable", None),
        (
            "garbage",
            Some(Backend::raw("220 mail\r\n\r\n", Next::Close)),
        ),
        (
            "torn",
            Some(Backend::raw(
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
                Next::Close,
            )),
        ),
        ("reset", Some(Backend::start(|_, _| Next::Reset))),
        (
            "flood",
            Some(Backend::start(|conn, head| {
                conn.body(head);
                conn.start_chunked();
                let piece = chunk(vec![b'x'; 60_000]);
                while conn.write(&piece).is_ok() {}
                Next::Close
            })),
        ),
    ];
    at_once(challengers.len(), |at| {
        let (name, challenger) = &challengers[at];
        let url = challenger.as_ref().map_or(nobody.url(), Backend::url);
        let more = json!({"response_bytes_max": 100_000});
        let duel = Duel::start(&challenged(&main.url(), &url, more));
        let pair = duel.pair("r1", "{}");
        is(
            &pair,
            &[("/result", json!("disagree")), ("/main/status", json!(200))],
        );
        assert!(pair["distance"].as_f64() >= Some(1e6), "{name}: {pair}");
        let (ended, error) = (&pair["challenger"]["ended"], &pair["challenger"]["error"]);
        println!("{name}: {ended} {error}");
        // What ended it, in words; one that went beyond its cap was ended by weir itself.
        let told = error.as_str().is_some_and(|error| error.len() > 5);
        assert!(told || ended == "too_large", "{name}: {pair}");
        let is_whole = ended == "complete" && !pair["challenger"]["status"].is_null();
        assert!(!is_whole, "{name}: {pair}");
        is(
            &duel.saw(1),
            &[
                // weir itself reads no further than the cap: that is no fault of the challenger's.
                ("/errors/challenger", json!(u64::from(*name != "flood"))),
                ("/errors/main", json!(0)),
            ],
        );
    });
}

#[test]
fn a_copy_that_takes_too_long_is_counted() {
    let (main, challenger) = (
        puppet("main"),
        Backend::start(|conn, _| {
            conn.wait_end(PATIENCE * 4);
            Next::Close
        }),
    );
    let more = json!({"timeout_ms": 200});
    let duel = Duel::start(&challenged(&main.url(), &challenger.url(), more));
    for _ in 0..3 {
        duel.ask("{}");
    }
    // It was under way: its challenger failed to answer, and that is an error of the challenger's.
    let shown = duel.shows("three are accounted for", |shown| {
        let pairs = shown["pairs"].as_u64().expect("pairs");
        pairs + shown["skipped"]["timeout"].as_u64().expect("timeout") >= 3
    });
    is(
        &shown,
        &[("/pairs", json!(3)), ("/errors/challenger", json!(3))],
    );
    let pair = &duel.listed("result=error", 3)[0];
    is(pair, &[("/result", json!("disagree"))]);
    assert!(pair["challenger"]["error"].is_string(), "{pair}");
}

#[test]
fn a_client_that_leaves_says_nothing_of_either() {
    let main = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: a\n\n"));
        conn.wait_end(PATIENCE);
        Next::Close
    });
    let challenger = puppet("challenger");
    let duel = Duel::start(&challenged(&main.url(), &challenger.url(), json!({})));
    let mut client = duel.gateway.connect();
    let headers = [
        ("x-api-key", duel.secret.as_str()),
        ("x-request-id", "gone"),
    ];
    let body = json!({"challenger": {"stream": ["data: a\n\n"]}}).to_string();
    client.request("POST /stream/demo/iris", &headers, body.as_bytes());
    assert_eq!(client.head().status(), Ok(200));
    client.read_chunk().expect("the first piece");
    drop(client);
    let pair = duel.pair_of("gone");
    is(
        &pair,
        &[
            ("/result", json!("uncompared")),
            ("/reason", json!("main_incomplete")),
            ("/main/ended", json!("client_gone")),
            ("/challenger/ended", json!("complete")),
        ],
    );
    is(
        &duel.saw(1),
        &[
            ("/errors/n", json!(0)),
            ("/agreement/n", json!(0)),
            ("/latency/p50/ratio/n", json!(0)),
            ("/compared/uncompared/main_incomplete", json!(1)),
        ],
    );
}

/// weir's own answers for a main that gives none never count against the challenger.
#[test]
fn a_main_that_gives_no_answer_failed() {
    let mains: [(&str, u16, Option<Backend>); 4] = [
        ("is not there", 503, None),
        (
            "talks no http",
            502,
            Some(Backend::raw("220 mail\r\n\r\n", Next::Close)),
        ),
        ("resets", 502, Some(Backend::start(|_, _| Next::Reset))),
        (
            "hangs",
            504,
            Some(Backend::start(|conn, head| {
                conn.body(head);
                conn.wait_end(PATIENCE);
                Next::Close
            })),
        ),
    ];
    let challenger = puppet("challenger");
    at_once(mains.len(), |at| {
        let (name, status, main) = &mains[at];
        let there = Backend::echo();
        let url = main.as_ref().map_or(there.url(), Backend::url);
        let mut spec = challenged(&url, &challenger.url(), json!({}));
        spec["timeouts"] = json!({"first_byte_ms": 300});
        let duel = Duel::on(later::impatient(Gateway::bare()), &spec);
        drop(there);
        for _ in 0..3 {
            assert_eq!(duel.ask("{}").status, *status, "{name}");
        }
        let shown = duel.shows("three are accounted for", |shown| {
            let skipped = shown["skipped"].as_object().expect("skipped").values();
            let skipped: u64 = skipped.filter_map(Value::as_u64).sum();
            shown["pairs"].as_u64().expect("pairs") + skipped >= 3
        });
        let (pairs, skipped) = (&shown["pairs"], &shown["skipped"]["main_incomplete"]);
        println!("main {name}: {pairs} pairs, {skipped} without one");
        assert_eq!(shown["agreement"]["n"], 0, "{name}: {shown}");
        assert_eq!(shown["errors"]["challenger"], 0, "{name}: {shown}");
        assert_eq!(&shown["errors"]["main"], pairs, "{name}: {shown}");
        assert_eq!(
            &shown["compared"]["uncompared"]["main_failed"], pairs,
            "{name}: {shown}"
        );
    });
}

#[test]
fn an_upload_that_is_cut_short_makes_no_pair() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let mut client = duel.gateway.connect();
    let headers = [
        ("x-api-key", duel.secret.as_str()),
        ("content-length", "100000"),
    ];
    client.request("POST /predict/demo/iris", &headers, b"");
    client.send(pattern(50_000));
    sides.0.wait_count(1);
    drop(client);
    let shown = duel.shows("it is skipped", |shown| {
        shown["skipped"]["main_incomplete"].as_u64() > Some(0)
    });
    is(
        &shown,
        &[("/pairs", json!(0)), ("/skipped/main_incomplete", json!(1))],
    );
    duel.ask("{}");
    duel.saw(1);
    eventually(PATIENCE, "the copy", || sides.1.count() == 1);
}
