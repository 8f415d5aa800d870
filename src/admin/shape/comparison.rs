//! How a challenger stands beside main, as shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ChallengerStopped, Kinds, Time, monitoring::ms};
use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    control::{ChallengerShown, record},
    shadow::{
        compare::Uncompared,
        comparison::{self, InShort, Point, Standing},
        findings::Findings,
        verdict::{self, Evidence, Judgement},
    },
    snapshot::Skipped,
    spec::{ChallengerSpec, VerdictSpec, VersionSpec},
};

/// Whether a challenger is as good as main, and what says so.
#[derive(Serialize, ToSchema)]
pub struct Comparison {
    /// Its project.
    pub project: String,
    /// Its URL name.
    pub deployment: String,
    /// The version whose challenger it is.
    #[schema(minimum = 1)]
    pub version: u32,
    /// The challenger as declared; null when the version was deleted, which leaves what was seen of it.
    pub challenger: Option<ComparedPool>,
    /// Whether its version is live: no other one's challenger gets copies.
    pub is_live: bool,
    /// Whether it gets no copies any more, though its version is live.
    pub is_stopped: bool,
    /// Since when it is stopped whenever its version is live, and why; null while it is not.
    pub stopped: Option<ChallengerStopped>,
    /// The share of requests that is copied to it just now; 0 when its version is not live.
    pub share: f64,
    /// What is to be done with it.
    pub verdict: Verdict,
    /// Pairs of answers that were seen.
    pub pairs: u64,
    /// The share of compared pairs that agree.
    pub agreement: Estimate,
    /// Errors: no answer, one of 500 or more, one that broke off.
    pub errors: ComparedErrors,
    /// How long answers took; of streams, their first byte. Of pairs without an error.
    pub latency: ComparedLatency,
    /// How many pairs agree.
    pub compared: ComparedPairs,
    /// Requests that made no pair, by reason: `not_sampled`, `stopped`, `budget_adaptive`,
    /// `budget_rate`, `budget_bytes`, `body_too_large`, `queue_full`, `queue_bytes`, `main_incomplete`,
    /// `timeout`, `pair_dropped`, `tail_not_forwarded`, `aborted`, `main_unreachable`, `memory`. By them the sample's bias can be seen.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub skipped: BTreeMap<&'static str, u64>,
    /// What the comparators found.
    pub kinds: Kinds,
    /// When the first pair was made.
    pub first_pair_at: Option<Time>,
    /// When the last one was.
    pub last_pair_at: Option<Time>,
}

/// A challenger as declared.
#[derive(Serialize, ToSchema)]
pub struct ComparedPool {
    /// The addresses of its backends.
    pub backends: Vec<String>,
    /// The share of requests that is sampled.
    pub sample: f64,
}

/// What is to be done with a challenger.
#[derive(Serialize, ToSchema)]
pub struct Verdict {
    /// What.
    pub state: VerdictState,
    /// Why, in words for people: which limit is broken, or not sure yet.
    pub reasons: Vec<String>,
    /// Since when it is so.
    pub since: Option<Time>,
    /// What it is judged by; null when the version was deleted.
    pub limits: Option<VerdictLimits>,
    /// Whether `promote` makes it main, as a new version.
    pub auto_promote: bool,
    /// When weir took on to do so. It does it once for a version, whatever comes of it.
    pub auto_promoted_at: Option<Time>,
    /// Whether `reject` takes its copies away.
    pub auto_stop: bool,
}

/// What is to be done with a challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictState {
    /// Nothing is sure yet.
    Hold,
    /// Each limit is surely kept.
    Promote,
    /// A limit is surely broken.
    Reject,
}

/// What a challenger is judged by, as declared with its defaults.
#[derive(Serialize, ToSchema)]
pub struct VerdictLimits {
    /// The least share of compared pairs that agree.
    pub min_agreement: f64,
    /// By how much its share of errors may exceed main's.
    pub max_error_increase: f64,
    /// How many times main's its median latency may be; 0: not judged.
    pub max_latency_ratio_p50: f64,
    /// How many times main's the 99th percentile of its latency may be; 0: not judged.
    pub max_latency_ratio_p99: f64,
    /// How probable it may be that any `promote` or `reject` is wrong, however often one looks.
    pub alpha: f64,
    /// Pairs before it may be `promote`.
    pub min_pairs: u64,
}

/// A number as it looks, and between which two it surely lies, whenever and however often one looks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimate {
    /// From how many pairs.
    pub n: u64,
    /// As it looks; null without any pair.
    pub value: Option<f64>,
    /// It is surely not less; null while nothing is sure.
    pub low: Option<f64>,
    /// It is surely not more; null while nothing is sure.
    pub high: Option<f64>,
    /// What it is judged by; null when it is not.
    pub limit: Option<f64>,
}

/// Errors of both.
#[derive(Serialize, ToSchema)]
pub struct ComparedErrors {
    /// Pairs that say something of errors: those whose client stayed.
    pub n: u64,
    /// Main's errors among them.
    pub main: u64,
    /// The challenger's.
    pub challenger: u64,
    /// By how much the challenger's share of errors exceeds main's.
    pub increase: Estimate,
}

/// How long answers took.
#[derive(Serialize, ToSchema)]
pub struct ComparedLatency {
    /// The median.
    pub p50: LatencyRatio,
    /// The 99th percentile.
    pub p99: LatencyRatio,
}

/// Two latencies and how many times one the other is.
#[derive(Serialize, ToSchema)]
pub struct LatencyRatio {
    /// Main's, in milliseconds; null without any pair.
    pub main_ms: Option<f64>,
    /// The challenger's.
    pub challenger_ms: Option<f64>,
    /// How many times main's the challenger's is.
    pub ratio: Estimate,
}

/// How many pairs agree.
#[derive(Serialize, ToSchema)]
pub struct ComparedPairs {
    /// Those that do.
    pub agree: u64,
    /// Those that do not.
    pub disagree: u64,
    /// Those that were not compared, by reason: `main_failed`, `main_incomplete`, `too_large`,
    /// `encoded`, `unreadable`.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub uncompared: BTreeMap<&'static str, u64>,
}

/// How a challenger stood over time.
#[derive(Serialize, ToSchema)]
pub struct ComparisonSeries {
    /// Its project.
    pub project: String,
    /// Its URL name.
    pub deployment: String,
    /// The version whose challenger it is.
    #[schema(minimum = 1)]
    pub version: u32,
    /// Moments, the oldest first.
    pub points: Vec<ComparisonPoint>,
}

/// How a challenger stood at a moment.
#[derive(Serialize, ToSchema)]
pub struct ComparisonPoint {
    /// The moment.
    pub at: Time,
    /// Pairs seen until then.
    pub pairs: u64,
    /// What was to be done.
    pub state: VerdictState,
    /// The share of compared pairs that agreed.
    pub agreement: Bounds,
    /// By how much the challenger's share of errors exceeded main's.
    pub error_increase: Bounds,
    /// How many times main's median latency the challenger's was.
    pub latency_ratio_p50: Bounds,
    /// The same of the 99th percentile.
    pub latency_ratio_p99: Bounds,
}

/// A number as it looked, and between which two it surely lay.
#[derive(Serialize, ToSchema)]
pub struct Bounds {
    /// As it looked; null without any pair.
    pub value: Option<f64>,
    /// It was surely not less; null while nothing was sure.
    pub low: Option<f64>,
    /// It was surely not more; null while nothing was sure.
    pub high: Option<f64>,
}

/// The challenger of a live version, in short.
#[derive(Serialize, ToSchema)]
pub struct DeploymentChallenger {
    /// The version.
    #[schema(minimum = 1)]
    pub version: u32,
    /// Whether it gets no copies any more.
    pub is_stopped: bool,
    /// The share of requests that is copied to it just now.
    pub share: f64,
    /// What is to be done with it; null when nothing was seen of it.
    pub verdict: Option<VerdictState>,
    /// The share of compared pairs that agree; null without any.
    pub agreement: Option<f64>,
    /// Pairs of answers that were seen.
    pub pairs: u64,
}

/// What a comparison is shaped from.
pub struct Compared<'a> {
    /// The deployment.
    pub name: &'a DeploymentName,
    /// The version.
    pub version: VersionNumber,
    /// What it declares; none when it was deleted.
    pub spec: Option<&'a VersionSpec>,
    /// Its record; none when it was deleted.
    pub record: Option<record::Version>,
    /// Whether it is live.
    pub is_live: bool,
    /// What was seen of its challenger.
    pub standing: Option<Standing>,
    /// How its challenger runs; none when it is not live.
    pub running: Option<ChallengerShown>,
}

// === impl Comparison ===

impl Comparison {
    /// Shapes how a challenger stands.
    pub fn new(of: Compared<'_>) -> Self {
        let declared = of.spec.and_then(|spec| spec.challenger.as_ref());
        let seen = of.standing.as_ref().map(|standing| standing.limits);
        let limits = declared.map(|declared| declared.verdict).or(seen);
        let standing = of.standing.unwrap_or_else(|| {
            // Nothing was seen: what that says is what no evidence says.
            let judgement = Evidence::default().judge(&limits.unwrap_or_default());
            unseen(of.version, limits.unwrap_or_default(), judgement)
        });
        let mut judgement = standing.judgement;
        let (stopped, promoted_at_ms) = match of.record {
            Some(record) => (record.challenger_stopped, record.auto_promoted_at_ms),
            None => (None, None),
        };
        if let Some(stopped) = &stopped {
            // What came in after it was stopped decides nothing any more.
            judgement.state = verdict::VerdictState::Reject;
            judgement.reasons = vec![stopped.reason.clone()];
        } else if let Some(declared) = declared {
            judgement
                .reasons
                .extend(hint(declared, &standing.uncompared, &judgement));
        }
        Self {
            project: of.name.project().to_owned(),
            deployment: of.name.deployment().to_owned(),
            version: of.version.0,
            challenger: declared.map(|declared| ComparedPool {
                backends: declared
                    .pool
                    .backends
                    .iter()
                    .map(|backend| backend.url.to_string())
                    .collect(),
                sample: declared.sample,
            }),
            is_live: of.is_live,
            is_stopped: of.running.is_some_and(|running| running.is_stopped),
            stopped: stopped.map(Into::into),
            share: of.running.map_or(0.0, |running| running.share),
            verdict: Verdict {
                state: judgement.state.into(),
                reasons: judgement.reasons,
                since: standing.since_ms.map(Time),
                limits: limits.as_ref().map(VerdictLimits::from),
                auto_promote: of.spec.is_some_and(|spec| spec.auto_promote),
                auto_promoted_at: promoted_at_ms.map(Time),
                auto_stop: of.spec.is_some_and(|spec| spec.auto_stop),
            },
            pairs: judgement.pairs,
            agreement: (&judgement.agreement).into(),
            errors: ComparedErrors {
                n: judgement.error_increase.n,
                main: judgement.errors.0,
                challenger: judgement.errors.1,
                increase: (&judgement.error_increase).into(),
            },
            latency: ComparedLatency {
                p50: (&judgement.latency_p50).into(),
                p99: (&judgement.latency_p99).into(),
            },
            compared: ComparedPairs {
                agree: standing.agree,
                disagree: standing.disagree,
                uncompared: named(
                    &Uncompared::ALL.map(Uncompared::as_str),
                    &standing.uncompared,
                ),
            },
            skipped: named(&Skipped::ALL.map(Skipped::as_str), &standing.skipped),
            kinds: Kinds::new(&standing.findings),
            first_pair_at: standing.first_pair_at_ms.map(Time),
            last_pair_at: standing.last_pair_at_ms.map(Time),
        }
    }
}

/// What may be wrong with what is declared, when nothing is seen of it.
fn hint(
    declared: &ChallengerSpec,
    uncompared: &[u64; Uncompared::ALL.len()],
    judgement: &Judgement,
) -> Option<String> {
    let compare = &declared.compare;
    if declared.share() <= 0.0 {
        return Some("nothing is copied: its sample, or the share of its budget, is 0".to_owned());
    }
    let is_unread = judgement.agreement.n == 0 && uncompared[Uncompared::Unreadable as usize] > 0;
    let place = match &compare.pointer {
        Some(pointer) => format!(" with a value at {pointer}"),
        None => String::new(),
    };
    is_unread.then(|| {
        let kind = compare.kind.as_str();
        format!("main's answers can't be read as compare.kind {kind:?} asks for{place}")
    })
}

fn unseen(version: VersionNumber, limits: VerdictSpec, judgement: Judgement) -> Standing {
    Standing {
        version,
        limits,
        judgement,
        since_ms: None,
        first_pair_at_ms: None,
        last_pair_at_ms: None,
        agree: 0,
        disagree: 0,
        uncompared: Default::default(),
        skipped: Default::default(),
        findings: Findings::default(),
    }
}

fn named(words: &[&'static str], counts: &[u64]) -> BTreeMap<&'static str, u64> {
    words.iter().copied().zip(counts.iter().copied()).collect()
}

/// JSON has no other numbers.
pub(super) fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

// === its parts ===

impl From<verdict::VerdictState> for VerdictState {
    fn from(state: verdict::VerdictState) -> Self {
        match state {
            verdict::VerdictState::Hold => Self::Hold,
            verdict::VerdictState::Promote => Self::Promote,
            verdict::VerdictState::Reject => Self::Reject,
        }
    }
}

impl From<&VerdictSpec> for VerdictLimits {
    fn from(limits: &VerdictSpec) -> Self {
        Self {
            min_agreement: limits.min_agreement,
            max_error_increase: limits.max_error_increase,
            max_latency_ratio_p50: limits.max_latency_ratio_p50,
            max_latency_ratio_p99: limits.max_latency_ratio_p99,
            alpha: limits.alpha,
            min_pairs: limits.min_pairs,
        }
    }
}

impl From<&verdict::Estimate> for Estimate {
    fn from(estimate: &verdict::Estimate) -> Self {
        let Bounds { value, low, high } = comparison::Bounds::from(estimate).into();
        Self {
            n: estimate.n,
            value,
            low,
            high,
            limit: estimate.limit.and_then(finite),
        }
    }
}

impl From<comparison::Bounds> for Bounds {
    fn from(bounds: comparison::Bounds) -> Self {
        Self {
            value: bounds.value.and_then(finite),
            low: finite(bounds.low),
            high: finite(bounds.high),
        }
    }
}

impl From<&verdict::Ratio> for LatencyRatio {
    fn from(ratio: &verdict::Ratio) -> Self {
        Self {
            main_ms: ratio.main_ns.map(ms).and_then(finite),
            challenger_ms: ratio.challenger_ns.map(ms).and_then(finite),
            ratio: (&ratio.ratio).into(),
        }
    }
}

impl From<Point> for ComparisonPoint {
    fn from(point: Point) -> Self {
        Self {
            at: Time(point.at_ms),
            pairs: point.pairs,
            state: point.state.into(),
            agreement: point.agreement.into(),
            error_increase: point.error_increase.into(),
            latency_ratio_p50: point.latency_ratio_p50.into(),
            latency_ratio_p99: point.latency_ratio_p99.into(),
        }
    }
}

impl DeploymentChallenger {
    /// Shapes how a challenger runs and stands.
    pub fn new(running: &ChallengerShown, seen: Option<InShort>) -> Self {
        Self {
            version: running.version.0,
            is_stopped: running.is_stopped,
            share: running.share,
            // It was stopped for that, whatever came in after it.
            verdict: match running.is_stopped {
                true => Some(VerdictState::Reject),
                false => seen.map(|seen| seen.state.into()),
            },
            agreement: seen.and_then(|seen| seen.agreement).and_then(finite),
            pairs: seen.map_or(0, |seen| seen.pairs),
        }
    }
}
