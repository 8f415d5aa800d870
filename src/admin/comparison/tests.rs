//! What is shown of comparisons, over a real control plane and a real journal.

use std::sync::Arc;

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::download::PAGE;
use crate::{
    admin::{
        Beside,
        testing::{Reply, World, request},
    },
    base::{
        chance::Chance,
        id::{ExchangeId, VersionNumber},
        name::DeploymentName,
    },
    shadow::{
        compare::{Detail, Uncompared},
        comparison::{Comparison, Point, Standing},
        findings::Findings,
        journal::{
            Bodies, Body as KeptBody, Challenger, GapsRecord, Journal, JournalOptions, NewPair,
            PairResult, Record, SideRecord,
        },
        verdict::{Estimate, Judgement, Ratio, VerdictState},
    },
    snapshot::Skipped,
    spec::{CompareKind, Declarations},
    telemetry::outcome::Ended,
};

const IRIS: &str = "/api/v1/projects/demo/deployments/iris";
const COMPARISON: &str = "GET /api/v1/projects/demo/deployments/iris/comparison";
const PAIRS: &str = "GET /api/v1/projects/demo/deployments/iris/comparison/pairs";
const AT_MS: u64 = 1_767_268_800_000;

const CHALLENGER: &str = "version.challenger.backends = [{ url = 'http://127.0.0.1:2' }]\n\
    version.challenger.sample = 0.5\nversion.challenger.verdict.min_agreement = 0.9\n\
    version.auto_stop = true\n";

struct Scene {
    world: World,
    comparison: Arc<Comparison>,
    journal: Arc<Journal>,
    _directory: TempDir,
}

// === impl Scene ===

impl Scene {
    /// demo/iris, live, with a challenger.
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("comparison.db");
        let journal = Arc::new(Journal::open(&file, JournalOptions::default()));
        let comparison = Arc::new(Comparison::of_journal(Arc::clone(&journal)));
        let world = World::beside(Beside {
            comparison: Some(Arc::clone(&comparison)),
            ..Beside::default()
        })
        .await;
        let scene = Self {
            world,
            comparison,
            journal,
            _directory: directory,
        };
        scene.declare(CHALLENGER).await;
        scene
    }

    async fn declare(&self, lines: &str) {
        self.declare_all(&format!(
            "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
             version.main.backends = [{{ url = 'http://127.0.0.1:1' }}]\n{lines}"
        ))
        .await;
    }

    async fn declare_all(&self, text: &str) {
        let declarations = Declarations::from_toml(text).expect("declarations");
        let control = &self.world.plane.control;
        control.declare(declarations).await.expect("declared");
    }

    fn keep(&self, pairs: &[NewPair]) {
        self.journal.write(pairs, &[], &[], AT_MS, false);
    }

    async fn get(&self, line: &str) -> Reply {
        self.world.call(line, &[], "").await
    }

    async fn json(&self, line: &str) -> Value {
        let reply = self.get(line).await;
        assert_eq!(reply.status, 200, "{line}: {}", reply.json());
        reply.json()
    }

    /// The authorization of somebody new.
    async fn bearer(&self, name: &str, role: &str, project: &str) -> String {
        let body = json!({"name": name, "role": role, "projects": [project]}).to_string();
        let line = "POST /api/v1/tokens";
        let made = self.world.call(line, &[], &body).await.json();
        format!("Bearer {}", made["secret"].as_str().expect("a token"))
    }
}

fn iris() -> DeploymentName {
    DeploymentName::parse("demo/iris").expect("a name")
}

fn estimate(n: u64, value: Option<f64>, (low, high): (f64, f64), limit: Option<f64>) -> Estimate {
    Estimate {
        n,
        value,
        low,
        high,
        limit,
    }
}

/// Of 300 pairs, with every number that JSON does not have.
fn standing(version: u32) -> Standing {
    let mut skipped = [0; Skipped::ALL.len()];
    (
        skipped[Skipped::NotSampled as usize],
        skipped[Skipped::PairDropped as usize],
    ) = (300, 2);
    Standing {
        version: VersionNumber(version),
        limits: crate::spec::VerdictSpec::default(),
        judgement: Judgement {
            state: VerdictState::Reject,
            reasons: vec!["agreement is surely below 0.95".to_owned()],
            pairs: 300,
            agreement: estimate(290, Some(0.75), (0.5, 0.875), Some(0.9)),
            error_increase: estimate(299, Some(0.25), (-1.0, f64::INFINITY), None),
            errors: (3, 9),
            latency_p50: Ratio {
                main_ns: Some(1_500_000.0),
                challenger_ns: Some(3_000_000.0),
                ratio: estimate(280, Some(2.0), (f64::NEG_INFINITY, f64::NAN), Some(1.5)),
            },
            latency_p99: Ratio {
                main_ns: None,
                challenger_ns: Some(f64::INFINITY),
                ratio: estimate(0, None, (0.0, f64::INFINITY), None),
            },
        },
        since_ms: Some(AT_MS),
        first_pair_at_ms: Some(AT_MS - 1_000),
        last_pair_at_ms: Some(AT_MS + 1_000),
        agree: 280,
        disagree: 10,
        uncompared: [1, 2, 3, 4, 0],
        skipped,
        findings: Findings::default(),
    }
}

/// A pair of demo/iris, so many seconds after the first.
fn pair(version: u32, second: u64, result: PairResult, distance: f64) -> NewPair {
    let side = SideRecord {
        status: Some(200),
        ended: Some(Ended::Complete),
        latency_ns: Some(2_500_000),
        first_byte_ns: Some(1_000_000),
        bytes: 17,
        ..SideRecord::default()
    };
    NewPair {
        challenger: Challenger {
            name: iris(),
            life: 1,
            version: VersionNumber(version),
        },
        record: Record {
            at_ms: AT_MS + second * 1_000,
            exchange: ExchangeId::draw(&Chance::seeded(second)),
            request_id: format!("r{second}").into(),
            is_stream: false,
            result,
            has_error: false,
            kind: CompareKind::Json,
            distance,
            detail: None,
            main: side.clone(),
            challenger: side,
        },
        bodies: None,
    }
}

/// One of each kind, and two that differ by how much they do.
fn some_pairs() -> Vec<NewPair> {
    let mut pairs = vec![
        pair(1, 0, PairResult::Agree, 0.0),
        pair(1, 1, PairResult::Disagree, 0.5),
        pair(1, 2, PairResult::Uncompared(Uncompared::TooLarge), 0.0),
        pair(1, 3, PairResult::Disagree, 7.0),
        pair(2, 4, PairResult::Disagree, 1.0),
    ];
    pairs[3].record.has_error = true;
    pairs
}

fn ids(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .filter_map(|item| item["id"].as_u64())
        .collect()
}

#[tokio::test]
async fn how_a_challenger_stands_is_shown_in_the_shape_that_programs_expect() {
    let scene = Scene::new().await;
    scene.comparison.put_standing(&iris(), 1, &standing(1));
    let mut shown = scene.json(COMPARISON).await;
    assert!(shown["kinds"].take().is_object());
    let zero_of = |words: &[&str]| -> Value {
        words
            .iter()
            .map(|word| ((*word).to_owned(), json!(0)))
            .collect()
    };
    let mut skipped = zero_of(&Skipped::ALL.map(Skipped::as_str));
    (skipped["not_sampled"], skipped["pair_dropped"]) = (json!(300), json!(2));
    let expected = json!({
        "project": "demo", "deployment": "iris", "version": 1,
        "challenger": {"backends": ["http://127.0.0.1:2"], "sample": 0.5},
        "is_stopped": false, "share": shown["share"],
        "verdict": {"state": "reject", "reasons": ["agreement is surely below 0.95"],
            "since": "2026-01-01T12:00:00.000Z",
            "limits": {"min_agreement": 0.9, "max_error_increase": 0.02,
                "max_latency_ratio_p50": 1.5, "max_latency_ratio_p99": 0.0, "alpha": 0.05,
                "min_pairs": 100},
            "auto_promote": false, "auto_stop": true},
        "pairs": 300,
        "agreement": {"n": 290, "value": 0.75, "low": 0.5, "high": 0.875, "limit": 0.9},
        "errors": {"n": 299, "main": 3, "challenger": 9,
            "increase": {"n": 299, "value": 0.25, "low": -1.0, "high": null, "limit": null}},
        "latency": {
            "p50": {"main_ms": 1.5, "challenger_ms": 3.0,
                "ratio": {"n": 280, "value": 2.0, "low": null, "high": null, "limit": 1.5}},
            "p99": {"main_ms": null, "challenger_ms": null,
                "ratio": {"n": 0, "value": null, "low": 0.0, "high": null, "limit": null}}},
        "compared": {"agree": 280, "disagree": 10,
            "uncompared": {"main_failed": 1, "main_incomplete": 2, "too_large": 3, "encoded": 4,
                "unreadable": 0}},
        "skipped": skipped, "kinds": null,
        "first_pair_at": "2026-01-01T11:59:59.000Z", "last_pair_at": "2026-01-01T12:00:01.000Z",
    });
    assert_eq!(shown, expected);
    let share = shown["share"].as_f64().expect("a share");
    assert!((share - 0.5).abs() < 1e-9, "{share}");

    // In short, it stands with its deployment, wherever that is shown.
    let one = scene.json(&format!("GET {IRIS}")).await;
    let list = scene.json("GET /api/v1/deployments").await;
    for deployment in [&one, &list["items"][0]] {
        let expected = json!({"version": 1, "is_stopped": false, "share": share,
            "verdict": "reject", "agreement": 0.75, "pairs": 300});
        assert_eq!(deployment["challenger"], expected);
    }

    // A brake is in force at once.
    let snapshot = scene.world.current.load_full();
    let plan = snapshot.route("demo/iris").expect("it is there").live();
    let challenger = plan.expect("it is live").challenger.as_ref();
    challenger.expect("it has one").brake.set_stopped(true);
    let shown = scene.json(COMPARISON).await;
    let stopped = (&shown["is_stopped"], &shown["share"]);
    assert_eq!(stopped, (&json!(true), &json!(0.0)));
}

#[tokio::test]
async fn a_challenger_of_which_nothing_was_seen_is_shown_without_figures() {
    let scene = Scene::new().await;
    let shown = scene.json(COMPARISON).await;
    assert_eq!(
        (
            &shown["pairs"],
            &shown["agreement"]["value"],
            &shown["verdict"]["since"]
        ),
        (&json!(0), &Value::Null, &Value::Null)
    );
    assert_eq!(shown["verdict"]["state"], "hold");
    assert_eq!(shown["verdict"]["limits"]["min_agreement"], 0.9);
    let deployment = scene.json(&format!("GET {IRIS}")).await;
    let challenger = &deployment["challenger"];
    assert_eq!(
        (&challenger["verdict"], &challenger["pairs"]),
        (&Value::Null, &json!(0))
    );
}

#[tokio::test]
async fn the_version_is_the_one_that_is_asked_for_or_that_people_mean() {
    let scene = Scene::new().await;
    let check = async |cases: &[(&str, u16, &str)]| {
        for (query, status, expected) in cases {
            for path in ["", "/series"] {
                let reply = scene.get(&format!("{COMPARISON}{path}{query}")).await;
                let body = reply.json();
                assert_eq!(reply.status, *status, "{path}{query}: {body}");
                let shown = match status {
                    200 => body["version"].to_string(),
                    _ => reply.code(),
                };
                assert_eq!(shown, *expected, "{path}{query}");
            }
        }
    };
    check(&[
        ("", 200, "1"),
        ("?version=1", 200, "1"),
        ("?version=iris_v1", 200, "1"),
        ("?version=rose_v1", 404, "version_unknown"),
        ("?version=v1", 404, "version_unknown"),
        ("?version=01", 404, "version_unknown"),
        ("?version=9999999999", 404, "version_unknown"),
        ("?version=", 400, "invalid"),
        ("?version=2", 404, "comparison_unknown"),
        ("?versions=1", 400, "invalid"),
    ])
    .await;
    // The live one has none any more.
    scene.declare("").await;
    check(&[
        ("", 404, "comparison_unknown"),
        ("?version=1", 200, "1"),
        ("?version=2", 404, "comparison_unknown"),
    ])
    .await;
    scene.comparison.put_standing(&iris(), 1, &standing(1));
    // Of a former life of the name.
    scene.comparison.put_standing(&iris(), 0, &standing(7));
    check(&[("", 200, "1"), ("?version=7", 404, "comparison_unknown")]).await;
    let shown = scene.json(COMPARISON).await;
    let running = (&shown["is_stopped"], &shown["share"]);
    assert_eq!(running, (&json!(false), &json!(0.0)), "it is not live");
    // What is kept outlives the version, and the deployment.
    let line = format!("DELETE {IRIS}/versions/1");
    let gone = scene.world.call(&line, &[], "").await;
    assert_eq!(gone.status, 204, "{}", String::from_utf8_lossy(&gone.body));
    let shown = scene.json(COMPARISON).await;
    assert_eq!(
        (&shown["challenger"], &shown["verdict"]["limits"]),
        (&Value::Null, &Value::Null)
    );
    scene.declare_all("").await;
    let deployment = scene.json(&format!("GET {IRIS}")).await;
    assert_eq!(deployment["state"], "deleted");
    check(&[("", 200, "1")]).await;
}

#[tokio::test]
async fn a_series_is_shown_in_its_span_and_thinned_out() {
    let scene = Scene::new().await;
    let challenger = pair(1, 0, PairResult::Agree, 0.0).challenger;
    let points: Vec<_> = (0..10)
        .map(|second| {
            let point = Point::new(AT_MS + second * 1_000, &standing(1).judgement);
            (challenger.clone(), point.to_kept())
        })
        .collect();
    scene.journal.write(&[], &[], &points, AT_MS, false);
    let series = scene.json(&format!("{COMPARISON}/series")).await;
    let bounds =
        |value: Value, low: Value, high: Value| json!({"value": value, "low": low, "high": high});
    assert_eq!(
        series["points"][0],
        json!({"at": "2026-01-01T12:00:00.000Z", "pairs": 300, "state": "reject",
            "agreement": bounds(json!(0.75), json!(0.5), json!(0.875)),
            "error_increase": bounds(json!(0.25), json!(-1.0), Value::Null),
            "latency_ratio_p50": bounds(json!(2.0), Value::Null, Value::Null),
            "latency_ratio_p99": bounds(Value::Null, json!(0.0), Value::Null)})
    );
    for (query, seconds) in [
        ("", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..]),
        ("?points=2", &[0, 9]),
        ("?from=2026-01-01T12:00:08Z", &[8, 9]),
        ("?from=1767268802&to=1767268804", &[2, 3]),
        ("?from=1767268804&to=1767268802", &[]),
    ] {
        let series = scene.json(&format!("{COMPARISON}/series{query}")).await;
        let points = series["points"].as_array().expect("points");
        let expected: Vec<_> = seconds
            .iter()
            .map(|second| json!(format!("2026-01-01T12:00:0{second}.000Z")))
            .collect();
        let shown: Vec<_> = points.iter().map(|point| point["at"].clone()).collect();
        assert_eq!(shown, expected, "{query}");
    }
    for (query, words) in [
        ("?points=1", "\"points\" is a whole number from 2 to 1000"),
        ("?points=1001", "\"points\" is a whole number"),
        ("?from=soon", "\"from\" is a moment"),
    ] {
        let refused = scene.get(&format!("{COMPARISON}/series{query}")).await;
        assert_eq!(refused.code(), "invalid", "{query}");
        let detail = refused.json()["detail"].to_string().replace("\\\"", "\"");
        assert!(detail.contains(words), "{query}: {detail}");
    }
}

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
        "detail": {"kind": "number", "main": null, "challenger": 2.0},
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
         \"{{\"\"kind\"\":\"\"label\"\",\"\"main\"\":\"\"a\\\"\"b\"\",\"\"challenger\"\":\"\"c,d\"\"}}\",\
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

#[tokio::test]
async fn only_those_who_may_see_a_deployment_see_its_comparison() {
    let scene = Scene::new().await;
    scene.keep(&some_pairs());
    let project = r#"{"name": "other"}"#;
    let made = scene
        .world
        .call("POST /api/v1/projects", &[], project)
        .await;
    assert_eq!(made.status, 201);
    let far = scene.bearer("far", "member", "other").await;
    let viewer = scene.bearer("eye", "viewer", "demo").await;
    for path in ["", "/series", "/pairs", "/pairs?format=csv", "/pairs/1"] {
        let line = format!("{COMPARISON}{path}");
        for (bearer, status) in [(&far, 403), (&viewer, 200)] {
            let headers = [("authorization", bearer.as_str())];
            let reply = scene.world.call(&line, &headers, "").await;
            assert_eq!(reply.status, status, "{line}");
        }
        let nobody = scene.get(&line.replace("/iris/", "/nobody/")).await;
        assert_eq!(nobody.code(), "deployment_unknown", "{line}");
    }
}

#[tokio::test]
async fn without_a_comparison_there_is_a_503() {
    let world = World::new().await;
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "demo"}"#)
        .await;
    assert_eq!(made.status, 201);
    let body = json!({"name": "iris", "version": {"main": {"backends": [
        {"url": "http://127.0.0.1:1"}]}, "readiness": {"unreachable_ms": 0}}});
    let line = "POST /api/v1/projects/demo/deployments";
    let made = world.call(line, &[], &body.to_string()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["challenger"], Value::Null);
    for path in ["", "/series", "/pairs", "/pairs?format=ndjson", "/pairs/1"] {
        let reply = world.call(&format!("{COMPARISON}{path}"), &[], "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (503, "comparison_unavailable"),
            "{path}"
        );
    }
}
