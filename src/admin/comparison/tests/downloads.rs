//! Pairs as downloads.

use super::*;

#[tokio::test]
async fn a_download_has_all_that_match_in_pages() {
    let scene = Scene::new().await;
    let count = PAGE as u64 * 2 + 7;
    let pairs: Vec<_> = (0..count)
        .map(|second| pair(1, second, PairResult::Disagree, second as f64))
        .collect();
    scene.keep(&pairs);
    let csv = [("accept", "text/csv")];
    for (query, headers, expected) in [
        (
            "?format=ndjson",
            &[][..],
            (1..=count).rev().collect::<Vec<_>>(),
        ),
        (
            "",
            &[("accept", "application/x-ndjson")],
            (1..=count).rev().collect(),
        ),
        ("?format=ndjson&order=oldest", &csv, (1..=count).collect()),
        (
            "?format=ndjson&order=worst&limit=3",
            &[],
            vec![count, count - 1, count - 2],
        ),
        (
            "?format=ndjson&limit=300&order=oldest",
            &[],
            (1..=300).collect(),
        ),
        ("?format=ndjson&result=agree", &[], vec![]),
    ] {
        let reply = scene
            .world
            .call(&format!("{PAIRS}{query}"), headers, "")
            .await;
        assert_eq!(reply.status, 200, "{query}");
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        assert_eq!(
            reply.header("content-disposition"),
            "attachment; filename=\"demo-iris-pairs.ndjson\""
        );
        let lines = String::from_utf8(reply.body).expect("text");
        let shown: Vec<_> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter_map(|pair| pair["id"].as_u64())
            .collect();
        assert_eq!(shown, expected, "{query}");
    }
    // From where a page ended.
    let page = scene.json(&format!("{PAIRS}?limit=1")).await;
    let next = page["next"].as_str().expect("a cursor");
    let rest = scene
        .get(&format!("{PAIRS}?format=csv&limit=2&cursor={next}"))
        .await;
    let rows = String::from_utf8(rest.body).expect("text");
    let rows: Vec<_> = rows.split("\r\n").skip(1).collect();
    assert!(
        rows[0].starts_with(&format!("{},", count - 1)),
        "{}",
        rows[0]
    );
    assert_eq!((rows.len(), rows[2]), (3, ""));
}

#[tokio::test]
async fn a_table_keeps_what_comes_from_outside_in_its_cell() {
    let scene = Scene::new().await;
    let mut new = pair(1, 0, PairResult::Disagree, 0.5);
    new.record.request_id = "=cmd|' /C calc'!A0".into();
    new.record.detail = Some(Detail::Label {
        main: "a\"b".to_owned(),
        challenger: "c,d".to_owned(),
    });
    new.record.challenger.error = Some("-1, \"no\"".into());
    let exchange = new.record.exchange.to_string();
    scene.keep(&[new]);
    let csv = [("accept", "text/csv")];
    let reply = scene.world.call(PAIRS, &csv, "").await;
    assert_eq!(
        (reply.header("content-type"), reply.header("vary")),
        ("text/csv; charset=utf-8; header=present", "accept")
    );
    assert_eq!(
        reply.header("content-disposition"),
        "attachment; filename=\"demo-iris-pairs.csv\""
    );
    let text = String::from_utf8(reply.body).expect("text");
    let expected = format!(
        "id,at,version,request_id,exchange,is_stream,result,reason,kind,distance,detail,has_bodies,\
         main_status,main_error,main_ended,main_latency_ms,main_first_byte_ms,main_bytes,main_gaps,\
         main_gap_p50_ms,main_gap_p99_ms,main_gap_max_ms,challenger_status,challenger_error,\
         challenger_ended,challenger_latency_ms,challenger_first_byte_ms,challenger_bytes,\
         challenger_gaps,challenger_gap_p50_ms,challenger_gap_p99_ms,challenger_gap_max_ms\r\n\
         1,2026-01-01T12:00:00.000Z,1,'=cmd|' /C calc'!A0,{exchange},false,disagree,,json,0.5,\
         \"{{\"\"what\"\":\"\"label\"\",\"\"main\"\":\"\"a\\\"\"b\"\",\"\"challenger\"\":\"\"c,d\"\"}}\",\
         false,200,,complete,2.5,1.0,17,,,,,200,\"'-1, \"\"no\"\"\",complete,2.5,1.0,17,,,,\r\n"
    );
    assert_eq!(text, expected);
    let none = scene
        .world
        .call(&format!("{PAIRS}?result=agree"), &csv, "")
        .await;
    let text = String::from_utf8(none.body).expect("text");
    assert_eq!(text.lines().count(), 1, "the names alone: {text}");
}

#[tokio::test]
async fn a_download_breaks_off_when_its_token_is_taken_back() {
    let scene = Scene::new().await;
    let pairs: Vec<_> = (0..PAGE as u64 * 3)
        .map(|second| pair(1, second, PairResult::Agree, 0.0))
        .collect();
    scene.keep(&pairs);
    let viewer = scene.bearer("eye", "viewer", "demo").await;
    let tokens = scene.json("GET /api/v1/tokens").await;
    let token = tokens["items"][0]["id"]
        .as_str()
        .expect("a token")
        .to_owned();
    let begin = async || -> Body {
        let headers = [("authorization", viewer.as_str())];
        let line = format!("{PAIRS}?format=ndjson");
        let request = request(&line, &headers, "");
        let response = scene.world.router.clone().oneshot(request).await;
        let mut body = response.expect("infallible").into_body();
        let first = body.frame().await.expect("a frame").expect("good");
        assert!(!first.into_data().expect("data").is_empty());
        body
    };
    let mut revoked = begin().await;
    let mut went_on = begin().await;
    let second = went_on.frame().await.expect("a frame");
    assert!(second.is_ok());
    let gone = scene
        .world
        .call(&format!("POST /api/v1/tokens/{token}/revoke"), &[], "{}")
        .await;
    assert!(gone.status.is_success(), "{}", gone.json());
    let broken = revoked
        .frame()
        .await
        .expect("an error")
        .expect_err("the token is gone");
    assert!(format!("{broken:?}").contains("token"), "{broken:?}");
    assert!(revoked.frame().await.is_none());
}

#[tokio::test]
async fn a_download_ends_with_its_listener_whoever_reads_it() {
    let scene = Scene::new().await;
    let pairs: Vec<_> = (0..PAGE as u64 + 1)
        .map(|second| pair(1, second, PairResult::Agree, 0.0))
        .collect();
    scene.keep(&pairs);
    let request = request(&format!("{PAIRS}?format=csv"), &[], "");
    let response = scene.world.router.clone().oneshot(request).await;
    let mut body = response.expect("infallible").into_body();
    assert!(body.frame().await.expect("a frame").is_ok());
    scene.world.close.send(true).expect("it listens");
    let broken = body
        .frame()
        .await
        .expect("an error")
        .expect_err("it closed");
    assert!(format!("{broken:?}").contains("stops"), "{broken:?}");
    assert!(body.frame().await.is_none());
}
