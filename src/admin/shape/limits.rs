//! How limits and what protects backends stand, as shown beside what is declared of them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::limit::{GateStanding, Standing, TurnedAway};

/// How the limits of a key or of a deployment stand.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"requests_available": 180, "in_flight": 4, "requests_today": 51_200,
    "refused": {"requests": 17, "concurrency": 0, "bytes": 0, "day": 0}}))]
pub struct LimitsNow {
    /// Requests that would pass at once; null where their rate is not limited.
    pub requests_available: Option<u64>,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests of this day (UTC).
    pub requests_today: u64,
    /// What was refused since the process began, with `mode` `count` what would have been; since the
    /// limits or their `mode` were declared if that is later. A daily quota that is lifted and declared
    /// again on the same day counts on.
    pub refused: RefusedNow,
}

/// Refusals by limit.
#[derive(Serialize, ToSchema)]
pub struct RefusedNow {
    /// By `requests_per_second`.
    pub requests: u64,
    /// By `concurrency_max`.
    pub concurrency: u64,
    /// By `bytes_per_second`.
    pub bytes: u64,
    /// By `requests_per_day`.
    pub day: u64,
}

/// How what protects a deployment's backends stands.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"limit": 64, "in_flight": 64, "waiting": 12,
    "refused": {"full": 0, "too_long": 31, "displaced": 2}}))]
pub struct OverloadNow {
    /// Exchanges that may be under way at once, as of now: with `adaptive`, what the backends bear.
    pub limit: u32,
    /// Exchanges under way.
    pub in_flight: u32,
    /// Requests that wait for their turn.
    pub waiting: u32,
    /// What got none since the process began, or since `overload` was declared if that is later; lifted
    /// and declared again with requests still under way, it counts on.
    pub refused: TurnedAwayNow,
}

/// Requests that got no turn, by reason. Calls are answered with 503; attempts at async requests come
/// again.
#[derive(Serialize, ToSchema)]
pub struct TurnedAwayNow {
    /// As many waited as may (`overloaded`).
    pub full: u64,
    /// They would have waited, or had waited, for longer than they may (`turn_timeout`).
    pub too_long: u64,
    /// They had to make place for requests of a higher priority (`overloaded`).
    pub displaced: u64,
}

impl From<Standing> for LimitsNow {
    fn from(now: Standing) -> Self {
        Self {
            requests_available: now.requests_available,
            in_flight: now.in_flight,
            requests_today: now.requests_today,
            refused: RefusedNow {
                requests: now.refused.requests,
                concurrency: now.refused.concurrency,
                bytes: now.refused.bytes,
                day: now.refused.day,
            },
        }
    }
}

impl From<GateStanding> for OverloadNow {
    fn from(now: GateStanding) -> Self {
        let GateStanding {
            limit,
            in_flight,
            waiting,
            refused,
        } = now;
        let TurnedAway {
            full,
            too_long,
            displaced,
        } = refused;
        Self {
            limit,
            in_flight,
            waiting,
            refused: TurnedAwayNow {
                full,
                too_long,
                displaced,
            },
        }
    }
}
