//! What is shown of comparisons, over a real control plane and a real journal.

mod downloads;
mod pairs;
mod standing;

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
    spec::{CompareKind, Declarations, VerdictSpec},
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
        limits: VerdictSpec::default(),
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
