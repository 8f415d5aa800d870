//! `.../{deployment}/monitoring`: what a deployment did, step by step, for as long as that is kept and
//! whether or not the deployment is still there; `/api/v1/monitoring`: how all do just now.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Plane, Shared,
    answer::{Answer, Answered},
    call::{Call, OfDeployment},
    moment::{self, span_s},
    problem::Problem,
    shape::{List, Monitoring, MonitoringNow},
};
use crate::{
    base::clock::unix_ms,
    monitor::{Asked, Monitor},
};

/// How far back the series go when nothing is said, in seconds.
const BACK_S: u64 = 3_600;

/// Which part of a series.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct SpanParams {
    /// From when: as RFC 3339, in seconds since 1970, or as far before now as `-15m` says (`s`, `m`,
    /// `h`, `d`). An hour before the end when it is not given.
    #[param(example = "-15m")]
    from: Option<String>,
    /// Until when; now when it is not given.
    #[param(example = "2026-01-31T12:00:00Z")]
    to: Option<String>,
    /// How long a step is: `10s`, `1m`, `10m`, or any multiple of 10 in seconds. Never finer than what
    /// is kept of the time that is asked for. The finest that gives up to 1,000 steps when it is not
    /// given; with more than 11,000 it is refused.
    #[param(
        pattern = "^([1-9][0-9]{0,7}0s?|[1-9][0-9]{0,6}[mhd])$",
        example = "1m"
    )]
    step: Option<String>,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(list))
}

/// Shows what a deployment did, step by step; also of a deleted one.
///
/// The last step is the one that is running. Quantiles are right to a few percent in steps of any
/// length.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/monitoring",
    tag = "monitoring", operation_id = "monitoring_read", params(SpanParams),
    responses((status = 200, body = Monitoring)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let now_ms = unix_ms();
    let asked = asked(&mut call, now_ms)?;
    plane.control.readable(&call.caller, &name).await?;
    let reading = plane.monitor()?.read(name.clone(), asked, now_ms).await;
    let read = reading.map_err(|error| Problem::internal(error.to_string()))?;
    let series = read.map_err(|refused| Problem::invalid(refused.to_string()))?;
    Ok(Answer::ok(&Monitoring::new(&name, series)))
}

/// Shows how every deployment does just now: what its main pool did in the last 10 to 20 seconds.
#[utoipa::path(get, path = "/api/v1/monitoring", tag = "monitoring",
    operation_id = "monitoring_list", responses((status = 200, body = List<MonitoringNow>)))]
async fn list(State(plane): State<Shared>, mut call: Call) -> Answered {
    call.plain()?;
    let in_short = plane.control.in_short(&call.caller);
    let names = in_short.iter().map(|of| &of.name);
    let newest = plane.monitor()?.newest(names, unix_ms());
    let items = in_short.iter().zip(&newest);
    Ok(Answer::ok(&List {
        items: items
            .map(|(of, newest)| MonitoringNow::new(of, newest))
            .collect(),
        next: None,
    }))
}

impl Plane {
    /// What there is of monitoring series.
    ///
    /// # Errors
    /// 503 when this gateway keeps none.
    fn monitor(&self) -> Result<&Arc<Monitor>, Problem> {
        self.monitor.as_ref().ok_or_else(|| {
            let words = "this gateway keeps no monitoring series";
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "monitoring_unavailable",
                words,
            )
        })
    }
}

fn asked(call: &mut Call, now_ms: u64) -> Result<Asked, Problem> {
    let mut moment = |name| {
        let moment = moment::asked(&mut call.query, name, now_ms)?;
        Ok::<_, Problem>(moment.map(|ms| ms / 1_000))
    };
    let (from_s, to_s) = (moment("from")?, moment("to")?);
    let step_s = match call.query.short_text("step")? {
        None => None,
        Some(text) => Some(span_s(&text).ok_or_else(|| {
            let words =
                "the query parameter \"step\" is 10s, 1m, 10m or a multiple of 10 in seconds";
            Problem::invalid(words)
        })?),
    };
    call.plain()?;
    let to_s = to_s.unwrap_or(now_ms / 1_000);
    Ok(Asked {
        from_s: from_s.unwrap_or(to_s.saturating_sub(BACK_S)),
        to_s,
        step_s,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        admin::{Beside, testing::World},
        base::name::DeploymentName,
        fault::Code,
        monitor::MonitorOptions,
        telemetry::{
            meters::{Reason, RoleMeters},
            outcome::{Ended, Role},
            tally::Failed,
        },
    };

    const PATH: &str = "GET /api/v1/projects/monitored/deployments";

    async fn world(directory: &tempfile::TempDir) -> (World, Arc<Monitor>) {
        let file = directory.path().join("monitoring.db");
        // The monitor's clock begins a while ago, so that what it samples lies in the past.
        let begun_ms = unix_ms() - 60_000;
        let monitor = Monitor::open(&file, MonitorOptions::default(), begun_ms);
        let monitor = Arc::new(monitor);
        let world = World::beside(Beside {
            monitor: Some(Arc::clone(&monitor)),
            ..Beside::default()
        })
        .await;
        for (path, body) in [
            ("projects", json!({"name": "monitored"})),
            (
                "projects/monitored/deployments",
                json!({"name": "iris", "version": {"main": {"backends": [
                    {"url": "http://127.0.0.1:1"}]}, "readiness": {"unreachable_ms": 0}}}),
            ),
        ] {
            let line = format!("POST /api/v1/{path}");
            let made = world.call(&line, &[], &body.to_string()).await;
            assert_eq!(made.status, 201);
        }
        (world, monitor)
    }

    #[tokio::test]
    async fn a_deployments_steps_are_shown_in_the_shape_that_programs_expect() {
        let directory = tempfile::tempdir().expect("a directory");
        let (world, monitor) = world(&directory).await;
        let name = DeploymentName::parse("monitored/iris").expect("a name");
        let main = Arc::new(RoleMeters::new(&name, Role::Main));
        let challenger = Arc::new(RoleMeters::new(&name, Role::Challenger));
        for _ in 0..4 {
            main.record_first_byte(3_000_000, 10_000);
            main.record_end(5_000_000, 10, 20, Ended::Complete, None);
        }
        main.record_end(5_000_000, 0, 0, Ended::Complete, Some(Failed::BackendError));
        main.turn_away(Code::DeploymentStopped);
        main.count(Reason::RetryReset);
        challenger.count_copy();
        challenger.count(Reason::DropTimeout);
        let open = [main.enter(true), main.enter(false)];
        monitor.sample(unix_ms() - 50_000);
        drop(open);
        challenger.record_end(1_000_000, 1, 1, Ended::Complete, None);

        let reply = world
            .call(&format!("{PATH}/iris/monitoring"), &[], "")
            .await;
        assert_eq!(reply.status, 200, "{}", reply.json());
        let body = reply.json();
        assert_eq!(body["project"], "monitored");
        assert_eq!(body["deployment"], "iris");
        assert_eq!(body["step_s"], 10);
        let series = body["series"].as_array().expect("series");
        assert_eq!(
            (&series[0]["role"], &series[1]["role"]),
            (&json!("main"), &json!("challenger"))
        );
        let mut point = series[0]["points"][0].clone();
        for (quantiles, exact) in [("latency_ms", 5.0), ("first_byte_ms", 3.0)] {
            let quantiles = point[quantiles].take();
            for quantile in ["p50", "p90", "p95", "p99", "max"] {
                let ms = quantiles[quantile].as_f64().expect(quantile);
                assert!((ms / exact - 1.0).abs() < 0.1, "{quantile} {ms}");
            }
        }
        let at = point["at"].take();
        assert!(at.as_str().is_some_and(|at| at.ends_with("0.000Z")), "{at}");
        let expected = json!({"at": null, "seconds": 10, "requests": 6,
            "errors": {"backend_error": 1, "refused": 1}, "latency_ms": null,
            "first_byte_ms": null, "streams_open": 1, "in_flight": 2, "request_bytes": 40,
            "response_bytes": 80, "retries": 1, "mirror_copies": 0, "mirror_dropped": 0});
        assert_eq!(point, expected);
        let copies = series[1]["points"].as_array().expect("points");
        assert_eq!(
            (&copies[0]["mirror_copies"], &copies[0]["mirror_dropped"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(copies[0]["latency_ms"], Value::Null);
        // The running step is the last.
        assert_eq!(copies[1]["requests"], 1);

        let all = world.call("GET /api/v1/monitoring", &[], "").await.json();
        assert_eq!(all["next"], Value::Null);
        let item = &all["items"][0];
        assert_eq!(
            (&item["deployment"], &item["live_version"]),
            (&json!("iris"), &Value::Null)
        );
        assert_eq!(
            (&item["last"]["requests"], &item["last"]["errors"]),
            (&json!(6), &json!(2))
        );
        assert_eq!(item["last"]["in_flight"], 0);
        assert!(
            item["last"]["latency_ms"]["p99"]
                .as_f64()
                .is_some_and(|ms| ms > 4.5)
        );
        assert!(
            item["last"]["seconds"]
                .as_f64()
                .is_some_and(|s| (10.0..=20.0).contains(&s))
        );
    }

    #[tokio::test]
    async fn what_can_not_be_answered_is_told_in_words() {
        let directory = tempfile::tempdir().expect("a directory");
        let (world, _monitor) = world(&directory).await;
        for (query, status, words) in [
            ("", 200, ""),
            ("?from=-15m&to=-5m&step=1m", 200, ""),
            ("?from=0", 200, ""),
            ("?from=0&to=253402300799", 200, ""),
            ("?to=253402300800", 400, "\"to\" is a moment"),
            ("?from=soon", 400, "\"from\" is a moment"),
            ("?step=15", 400, "`step` is a multiple of 10 s"),
            ("?step=ten", 400, "\"step\" is 10s"),
            ("?from=-1m&to=-2m", 400, "`to` must be later than `from`"),
            ("?from=-71h&step=10s", 400, "a step of 30 s would do"),
            ("?since=-1m", 400, "\"since\" is not known here"),
        ] {
            let line = format!("{PATH}/iris/monitoring{query}");
            let reply = world.call(&line, &[], "").await;
            assert_eq!(reply.status, status, "{query}: {}", reply.json());
            let detail = reply.json()["detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(detail.contains(words), "{query}: {detail}");
        }
        let unknown = world
            .call(&format!("{PATH}/nobody/monitoring"), &[], "")
            .await;
        assert_eq!(
            (unknown.status.as_u16(), unknown.code().as_str()),
            (404, "deployment_unknown")
        );
        let none = World::new()
            .await
            .call("GET /api/v1/monitoring", &[], "")
            .await;
        assert_eq!(
            (none.status.as_u16(), none.code().as_str()),
            (503, "monitoring_unavailable")
        );
    }
}
