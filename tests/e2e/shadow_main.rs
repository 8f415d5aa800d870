//! Main's answer is the same, byte by byte, whatever becomes of the challenger, of the comparison and
//! of its file.

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, Ended, Gateway, Next, Nowhere, PATIENCE, Response, at_once,
    client::chunk,
    duel::{alike, challenged, puppet, puppets},
    pattern, version,
};

/// What a client can see of an answer, but for what is each answer's own.
type Seen = (u16, Vec<(String, Vec<u8>)>, Vec<u8>, Ended);

fn seen(answer: Response) -> Seen {
    let own = ["date", "x-request-id", "x-config-epoch"];
    let mut headers = answer.head.headers;
    headers.retain(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()));
    (answer.status, headers, answer.body, answer.ended)
}

/// Every kind of answer that the main puppet can give.
fn asked() -> Vec<(&'static str, String)> {
    let big: String = pattern(150_000)
        .iter()
        .map(|b| (b'a' + b % 26) as char)
        .collect();
    let main = |part: Value| json!({"main": part}).to_string();
    let mut asked = Vec::new();
    for n in 0..5 {
        asked.push(("predict", main(json!({"text": format!("{n}")}))));
        asked.push(("predict", main(json!({"text": big}))));
        asked.push(("predict", main(json!({"status": 422, "text": "no"}))));
        asked.push(("predict", main(json!({"status": 500, "text": "oh"}))));
        let packed = json!({"encoding": "gzip", "bytes": [31, 139, 8, 0]});
        asked.push(("predict", main(packed)));
        asked.push((
            "stream",
            main(json!({"stream": ["data: a\n\n", "data: b\n\n"]})),
        ));
    }
    asked
}

#[track_caller]
fn answers(duel: &Duel) -> Vec<Seen> {
    let asked = asked();
    let each = asked.iter().map(|(url, body)| {
        let line = format!("POST /{url}/demo/iris");
        seen(duel.ask_at(&line, &[("accept-encoding", "gzip")], body))
    });
    each.collect()
}

/// Challengers that do what none should.
fn awful() -> Vec<(&'static str, Backend)> {
    vec![
        (
            "hangs",
            Backend::start(|conn, _| {
                conn.wait_end(PATIENCE * 4);
                Next::Close
            }),
        ),
        (
            "lies",
            Backend::raw(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n\
                 {\"label\": \"\u{fffd}\", \"a\": [[[[[[[",
                Next::Keep,
            ),
        ),
        (
            "talks no http",
            Backend::raw("220 mail\r\n\r\n", Next::Close),
        ),
        (
            "streams for ever",
            Backend::start(|conn, head| {
                conn.body(head);
                conn.start_chunked();
                let piece = chunk(vec![b'x'; 60_000]);
                while conn.write(&piece).is_ok() {}
                Next::Close
            }),
        ),
        (
            "fails",
            Backend::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", Next::Keep),
        ),
    ]
}

#[test]
fn its_bytes_are_those_without_a_challenger() {
    let main = puppet("main");
    let alone = answers(&Duel::start(&version(&main.url())));
    let statuses: Vec<_> = alone.iter().take(6).map(|seen| seen.0).collect();
    assert_eq!(statuses, [200, 200, 422, 500, 200, 200]);
    let nobody = Nowhere::new();
    let awful = awful();
    let urls = awful.iter().map(|(name, backend)| (*name, backend.url()));
    let urls: Vec<_> = urls.chain([("is not there", nobody.url())]).collect();
    at_once(urls.len(), |at| {
        let (name, url) = &urls[at];
        let more = json!({"response_bytes_max": 200_000, "timeout_ms": 1_000,
            "keep_bodies": {"sample": 1.0}, "compare": {"kind": "json"}});
        let duel = Duel::start(&challenged(&main.url(), url, more));
        let beside = answers(&duel);
        for (at, (alone, beside)) in alone.iter().zip(&beside).enumerate() {
            assert!(
                alone == beside,
                "{name}, {at}: {alone:?}\nis now\n{beside:?}"
            );
        }
        // Each request made a pair, or is counted among those that made none.
        let shown = duel.shows("every request is accounted for", |shown| {
            accounted(shown) >= alone.len() as u64
        });
        assert_eq!(accounted(&shown), alone.len() as u64, "{name}: {shown}");
        assert_eq!(shown["compared"]["agree"], 0, "{name}: {shown}");
        assert_eq!(
            shown["errors"]["main"],
            shown["compared"]["uncompared"]["main_failed"]
        );
    });
}

/// Pairs, and requests that made none.
fn accounted(shown: &Value) -> u64 {
    let skipped = shown["skipped"].as_object().expect("skipped").values();
    let skipped: u64 = skipped.map(|n| n.as_u64().expect("a count")).sum();
    shown["pairs"].as_u64().expect("pairs") + skipped
}

#[test]
fn what_finds_no_room_is_counted_by_reason() {
    let (main, hangs) = (
        puppet("main"),
        Backend::start(|conn, _| {
            conn.wait_end(PATIENCE * 4);
            Next::Close
        }),
    );
    let more = json!({"concurrency_max": 2, "queue_max": 3, "body_bytes_max": 1_000});
    let duel = Duel::start(&challenged(&main.url(), &hangs.url(), more));
    for _ in 0..20 {
        assert_eq!(duel.ask("{}").status, 200);
    }
    let large = format!("{{\"x\": \"{}\"}}", "y".repeat(2_000));
    for _ in 0..4 {
        assert_eq!(duel.ask(&large).status, 200);
    }
    let shown = duel.shows("19 were skipped", |shown| accounted(shown) >= 19);
    assert_eq!(shown["skipped"]["queue_full"], 15, "{shown}");
    assert_eq!(shown["skipped"]["body_too_large"], 4, "{shown}");
    assert_eq!(accounted(&shown), 19, "{shown}");
    assert_eq!(shown["pairs"], 0, "{shown}");
    let dropped = duel.gateway.metric("weir_mirror_dropped_total", &[]);
    assert!((dropped - 19.0).abs() < 0.5, "{dropped}");
}

#[test]
fn a_comparison_without_room_costs_pairs_and_nothing_else() {
    let sides = puppets();
    let spec = challenged(&sides.0.url(), &sides.1.url(), json!({}));
    let builder = Gateway::bare()
        .env("WEIR_COMPARISON_PENDING_PAIRS_MAX", 1)
        .env("WEIR_COMPARISON_PENDING_BYTES_MAX", 2_000);
    let duel = Duel::on(builder, &spec);
    let text = "z".repeat(1_500);
    let body = alike(json!({"type": "text/plain", "text": text}));
    let served = duel.asks_until(
        4,
        |_| body.clone(),
        || duel.shown()["skipped"]["pair_dropped"].as_u64() > Some(20),
    );
    let shown = duel.shows("every request is accounted for", |shown| {
        accounted(shown) >= served as u64
    });
    assert_eq!(accounted(&shown), served as u64, "{shown}");
    // What was cut for want of room is no disagreement.
    assert_eq!(shown["compared"]["disagree"], 0, "{shown}");
    let dropped = duel
        .gateway
        .metric("weir_comparison_pairs_dropped_total", &[]);
    assert!(dropped > 20.0, "{dropped}");
}
