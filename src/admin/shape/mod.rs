//! What the admin plane shows and takes, as JSON: one type per thing. What is kept has other types,
//! in `control::record`, which are free to change.
//!
//! `request` holds the bodies as the document describes them. They are read in `spec`, with every
//! mistake at once; a test holds the two against each other.

mod comparison;
mod deployment;
mod findings;
mod happening;
mod key;
mod later;
mod limits;
mod log;
mod monitoring;
mod pair;
pub mod people;
pub mod request;
mod subscription;
mod task;
mod time;
mod version;

pub use comparison::{
    Bounds, Compared, ComparedErrors, ComparedLatency, ComparedPairs, ComparedPool, Comparison,
    ComparisonPoint, ComparisonSeries, DeploymentChallenger, Estimate, LatencyRatio, Verdict,
    VerdictLimits, VerdictState,
};
pub use deployment::{Backend, Created, Deployment, FirstKey, Readme, Share, State, Status};
pub use findings::{
    ConfusionCell, DifferingPairs, HistogramBar, JsonFindings, JsonPlace, Kinds, LabelFindings,
    NumberFindings, TensorFindings, TextFindings, UnreadablePairs,
};
pub use happening::{Deed, FieldChange, Happening, Refusal};
pub use key::{Key, NewKeyShown, Revealed};
pub use later::{
    AsyncQueue, AsyncRequest, AsyncStatus, Delivery, DeliveryAttempt, Purged, Replayed, Telling,
    Webhook,
};
pub use limits::{LimitsNow, OverloadNow, RefusedNow, TurnedAwayNow};
pub use log::{LogLifecycle, LogLine, LogLost, LogRequest, LogWhat};
pub use monitoring::{Monitoring, MonitoringNow};
pub use pair::{Pair, PairBodies, PairBody, PairDetail, PairGaps, PairSide, PairWhole, PairWord};
pub use people::{NewTokenShown, Project, Tenant, Token};
pub use subscription::{Subscription, SubscriptionDelivery, Target};
pub use task::{Task, TaskAnswer, TaskKind, TaskStatus};
pub use time::Time;
pub use version::{ChallengerStopped, Version};

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::Listed;

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next part; null when this is the last.
    pub next: Option<String>,
}

/// What a dry run shows: the answer of the real one, with a mark.
#[derive(Serialize)]
pub struct Tried<T> {
    /// Always true.
    dry_run: bool,
    #[serde(flatten)]
    would_be: T,
}

/// What a dry run shows where the real one has no body.
#[derive(Serialize)]
pub struct Nothing {}

// === impl List ===

impl<T> List<T> {
    /// Shapes each item of a list.
    pub fn of<U>(listed: Listed<U>, shape: impl FnMut(U) -> T) -> Self {
        Self {
            items: listed.items.into_iter().map(shape).collect(),
            next: listed.next,
        }
    }
}

// === impl Tried ===

impl<T> Tried<T> {
    /// Marks what would be.
    pub fn new(would_be: T) -> Self {
        Self {
            dry_run: true,
            would_be,
        }
    }
}
