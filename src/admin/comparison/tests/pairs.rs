//! Pairs: which, in which order, and with their bodies.

use super::*;

#[tokio::test]
async fn pairs_are_filtered_ordered_and_paged() {
    let scene = Scene::new().await;
    scene.keep(&some_pairs());
    for (query, expected) in [
        ("", &[5, 4, 3, 2, 1][..]),
        ("?order=newest", &[5, 4, 3, 2, 1]),
        ("?order=oldest", &[1, 2, 3, 4, 5]),
        ("?order=worst", &[4, 5, 2]),
        ("?order=worst&result=agree", &[]),
        ("?result=agree", &[1]),
        ("?result=disagree", &[5, 4, 2]),
        ("?result=uncompared", &[3]),
        ("?result=error", &[4]),
        ("?version=1&result=disagree", &[4, 2]),
        ("?version=iris_v2", &[5]),
        ("?version=7", &[]),
        ("?from=2026-01-01T12:00:03Z", &[5, 4]),
        ("?from=1767268801&to=1767268803", &[3, 2]),
        ("?limit=2", &[5, 4]),
        ("?format=json", &[5, 4, 3, 2, 1]),
    ] {
        let page = scene.json(&format!("{PAIRS}{query}")).await;
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["next"].is_null(), query != "?limit=2", "{query}");
    }
    for order in ["newest", "oldest", "worst"] {
        let whole = ids(&scene.json(&format!("{PAIRS}?order={order}")).await);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let line = format!("{PAIRS}?order={order}&limit=1{cursor}");
            let page = scene.json(&line).await;
            seen.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{order}");
    }
    let next = scene.json(&format!("{PAIRS}?limit=1")).await["next"].clone();
    let next = next.as_str().expect("a cursor");
    for query in [
        format!("cursor={next}&order=oldest"),
        format!("cursor={}", &next[1..]),
        "result=failed".to_owned(),
        "order=best".to_owned(),
        "format=xml".to_owned(),
        "limit=0".to_owned(),
        "limit=1001".to_owned(),
        "from=soon".to_owned(),
        "since=-1m".to_owned(),
    ] {
        let refused = scene.get(&format!("{PAIRS}?{query}")).await;
        let told = (refused.status.as_u16(), refused.code());
        assert_eq!(told, (400, "invalid".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_pair_is_shown_whole_and_its_bodies_to_those_who_may_change_things() {
    let scene = Scene::new().await;
    let mut new = pair(
        1,
        0,
        PairResult::Uncompared(Uncompared::Unreadable),
        f64::NAN,
    );
    new.record.is_stream = true;
    new.record.kind = CompareKind::Number;
    new.record.detail = Some(Detail::Number {
        main: f64::NAN,
        challenger: 2.0,
    });
    new.record.challenger = SideRecord {
        error: Some("backend_timeout: no answer in 5 s".into()),
        gaps: Some(GapsRecord {
            count: 3,
            p50_us: 1_500,
            p99_us: 2_000,
            max_us: 2_500,
        }),
        ..SideRecord::default()
    };
    new.bodies = Some(Bodies {
        request: Some(KeptBody {
            bytes: b"{\"customer\":null}".to_vec(),
            is_redacted: true,
            ..KeptBody::default()
        }),
        main: Some(KeptBody {
            bytes: vec![0xff, 0x00],
            is_cut: true,
            ..KeptBody::default()
        }),
        challenger: None,
    });
    let exchange = new.record.exchange.to_string();
    scene.keep(&[new, pair(1, 1, PairResult::Agree, 0.0)]);
    let mut expected = json!({"id": 1, "at": "2026-01-01T12:00:00.000Z", "version": 1,
        "request_id": "r0", "exchange": exchange, "is_stream": true, "result": "uncompared",
        "reason": "unreadable", "kind": "number", "distance": f64::MAX,
        "detail": {"what": "number", "main": null, "challenger": 2.0},
        "main": {"status": 200, "error": null, "ended": "complete", "latency_ms": 2.5,
            "first_byte_ms": 1.0, "gaps": null, "bytes": 17},
        "challenger": {"status": null, "error": "backend_timeout: no answer in 5 s",
            "ended": null, "latency_ms": null, "first_byte_ms": null,
            "gaps": {"count": 3, "p50_ms": 1.5, "p99_ms": 2.0, "max_ms": 2.5}, "bytes": 0},
        "has_bodies": true});
    assert_eq!(scene.json(PAIRS).await["items"][1], expected);
    let body = |text: Value, base64: Value, is_cut: bool, is_redacted: bool| {
        json!({"text": text, "base64": base64, "is_cut": is_cut, "is_redacted": is_redacted,
            "is_withheld": false})
    };
    let bodies = json!({
        "request": body(json!("{\"customer\":null}"), Value::Null, false, true),
        "main": body(Value::Null, json!("/wA="), true, false), "challenger": null});
    let member = scene.bearer("ann", "member", "demo").await;
    let viewer = scene.bearer("eye", "viewer", "demo").await;
    for (bearer, bodies, hidden) in [(&member, bodies, false), (&viewer, Value::Null, true)] {
        expected["bodies"] = bodies;
        expected["bodies_hidden"] = json!(hidden);
        let headers = [("authorization", bearer.as_str())];
        let shown = scene.world.call(&format!("{PAIRS}/1"), &headers, "").await;
        assert_eq!(shown.json(), expected, "{hidden}");
        let known = [headers[0], ("if-none-match", shown.header("etag"))];
        let again = scene.world.call(&format!("{PAIRS}/1"), &known, "").await;
        assert_eq!(again.status, 304);
        // Where there are none, none are hidden.
        let plain = scene.world.call(&format!("{PAIRS}/2"), &headers, "").await;
        let shown = (
            plain.json()["bodies"].take(),
            plain.json()["bodies_hidden"].take(),
        );
        assert_eq!(shown, (Value::Null, json!(false)));
    }
    for id in [
        "0",
        "3",
        "01",
        "x",
        "-1",
        "9223372036854775807",
        "18446744073709551615",
    ] {
        let unknown = scene.get(&format!("{PAIRS}/{id}")).await;
        let told = (unknown.status.as_u16(), unknown.code());
        assert_eq!(told, (404, "pair_unknown".to_owned()), "{id}");
    }
}
