//! Monitoring series, as shown.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{State, Time};
use crate::{
    base::name::DeploymentName,
    control::InShort,
    monitor::{Histogram, Newest, Series, Shown},
    telemetry::{outcome::Role, tally::Failed},
};

/// What a deployment did in a while, step by step.
#[derive(Serialize, ToSchema)]
pub struct Monitoring {
    /// Its project.
    pub project: String,
    /// Its URL name.
    pub deployment: String,
    /// When the first step begins.
    pub from: Time,
    /// When the last step ends.
    pub to: Time,
    /// How many seconds a step has.
    pub step_s: u64,
    /// The main pool's steps, and the challenger's if it had any.
    pub series: Vec<MonitoringSeries>,
}

/// What one pool did.
#[derive(Serialize, ToSchema)]
pub struct MonitoringSeries {
    /// `main` or `challenger`.
    #[schema(example = "main")]
    pub role: &'static str,
    /// Steps in which something happened, the oldest first. In those that are left out nothing did.
    pub points: Vec<MonitoringPoint>,
}

/// What happened in one step.
#[derive(Serialize, ToSchema)]
pub struct MonitoringPoint {
    /// When it began.
    pub at: Time,
    /// How long it took; less than a step for the one that is running.
    #[serde(serialize_with = "seconds")]
    pub seconds: f64,
    /// Requests that ended; of async requests, attempts.
    pub requests: u64,
    /// Those of them that failed, by kind: `client_error`, `backend_error`, `unreachable`,
    /// `bad_answer`, `timeout`, `broken`, `refused`, `client_gone`. What is left out did not happen.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub errors: BTreeMap<&'static str, u64>,
    /// From a request's head to the last byte of its answer, in milliseconds.
    pub latency_ms: Option<Quantiles>,
    /// From a request's head to the head of the backend's answer, in milliseconds.
    pub first_byte_ms: Option<Quantiles>,
    /// The most streams that were open at once.
    pub streams_open: u64,
    /// Exchanges under way at the step's end; in steps of more than 10 s the most at the end of any
    /// 10 s.
    pub in_flight: u64,
    /// Bytes of requests' bodies.
    pub request_bytes: u64,
    /// Bytes of answers' bodies.
    pub response_bytes: u64,
    /// Requests sent again to a backend.
    pub retries: u64,
    /// Copies sent to the challenger.
    pub mirror_copies: u64,
    /// Copies not made, or given up.
    pub mirror_dropped: u64,
}

/// Durations in milliseconds that so many percent of all requests did not exceed.
#[derive(Serialize, ToSchema)]
pub struct Quantiles {
    /// Half of them.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
    /// None was longer.
    pub max: f64,
}

/// How a deployment does just now.
#[derive(Serialize, ToSchema)]
pub struct MonitoringNow {
    /// Its project.
    pub project: String,
    /// Its URL name.
    pub deployment: String,
    /// What it is doing.
    pub state: State,
    /// The version that answers.
    pub live_version: Option<u32>,
    /// What its main pool did last.
    pub last: MonitoringLast,
}

/// What a main pool did last.
#[derive(Serialize, ToSchema)]
pub struct MonitoringLast {
    /// How many seconds the figures go back.
    #[serde(serialize_with = "seconds")]
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed, but for what was the client's own doing.
    pub errors: u64,
    /// From a request's head to the last byte of its answer, in milliseconds.
    pub latency_ms: Option<FewQuantiles>,
    /// Exchanges under way.
    pub in_flight: u64,
    /// The most streams that were open at once.
    pub streams_open: u64,
}

/// Durations in milliseconds that so many percent of all requests did not exceed.
#[derive(Serialize, ToSchema)]
pub struct FewQuantiles {
    /// Half of them.
    pub p50: f64,
    /// 99 %.
    pub p99: f64,
}

// === impl Monitoring ===

impl Monitoring {
    /// Shapes a deployment's series.
    pub fn new(name: &DeploymentName, series: Series) -> Self {
        let of = |role: Role, points: Vec<Shown>| MonitoringSeries {
            role: role.as_str(),
            points: points.into_iter().map(MonitoringPoint::from).collect(),
        };
        let mut shown = vec![of(Role::Main, series.main)];
        if !series.challenger.is_empty() {
            shown.push(of(Role::Challenger, series.challenger));
        }
        Self {
            project: name.project().to_owned(),
            deployment: name.deployment().to_owned(),
            from: Time(series.span_s.start.saturating_mul(1_000)),
            to: Time(series.span_s.end.saturating_mul(1_000)),
            step_s: series.step_s,
            series: shown,
        }
    }
}

impl From<Shown> for MonitoringPoint {
    fn from(shown: Shown) -> Self {
        let Shown { at_s, ms, point } = shown;
        let errors = Failed::ALL.iter().zip(point.failed);
        let errors = errors.filter(|(_, count)| *count > 0);
        Self {
            at: Time(at_s.saturating_mul(1_000)),
            seconds: ms as f64 / 1e3,
            requests: point.requests,
            errors: errors.map(|(kind, count)| (kind.as_str(), count)).collect(),
            latency_ms: Quantiles::of(&point.latency),
            first_byte_ms: Quantiles::of(&point.first_byte),
            streams_open: point.streams_open,
            in_flight: point.in_flight,
            request_bytes: point.request_bytes,
            response_bytes: point.response_bytes,
            retries: point.retries,
            mirror_copies: point.copies,
            mirror_dropped: point.drops,
        }
    }
}

impl Quantiles {
    fn of(durations: &Histogram) -> Option<Self> {
        let quantile = |share| durations.quantile_ns(share).map(ms);
        Some(Self {
            p50: quantile(0.5)?,
            p90: quantile(0.9)?,
            p95: quantile(0.95)?,
            p99: quantile(0.99)?,
            max: durations.max_ns().map(ms)?,
        })
    }
}

// === impl MonitoringNow ===

impl MonitoringNow {
    /// Shapes how a deployment does.
    pub fn new(of: &InShort, newest: &Newest) -> Self {
        let latency = &newest.point.latency;
        let quantile = |share| latency.quantile_ns(share).map(ms);
        let quantiles = quantile(0.5).zip(quantile(0.99));
        Self {
            project: of.name.project().to_owned(),
            deployment: of.name.deployment().to_owned(),
            state: State::from(of.state),
            live_version: of.live.map(|number| number.0),
            last: MonitoringLast {
                seconds: newest.ms as f64 / 1e3,
                requests: newest.point.requests,
                errors: newest.point.errors(),
                latency_ms: quantiles.map(|(p50, p99)| FewQuantiles { p50, p99 }),
                in_flight: newest.point.in_flight,
                streams_open: newest.point.streams_open,
            },
        }
    }
}

/// Milliseconds, to the microsecond: no more is known.
pub(super) fn ms(ns: f64) -> f64 {
    (ns / 1e3).round() / 1e3
}

/// Whole seconds as a whole number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn seconds<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if seconds.fract() == 0.0 {
        serializer.serialize_u64(*seconds as u64)
    } else {
        serializer.serialize_f64(*seconds)
    }
}
