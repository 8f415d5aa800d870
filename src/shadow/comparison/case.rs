//! A case: all that is known of the challenger of one version, in bounded memory.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{examine::Examined, point::Point};
use crate::{
    base::id::VersionNumber,
    shadow::{
        compare::Uncompared,
        findings::Findings,
        journal::{Challenger, PairResult, StateBlob},
        verdict::{Evidence, Judgement, VerdictState},
    },
    snapshot::Skipped,
    spec::VerdictSpec,
    telemetry::{series::LazyCounter, table},
};

/// All that is known of a challenger.
pub(super) struct Case {
    evidence: Evidence,
    counts: Counts,
    /// By what it is judged.
    limits: VerdictSpec,
    /// What followed when it was judged last.
    judgement: Judgement,
    /// Whether it was judged since the last pair.
    is_judged: bool,
    /// What was counted when it was judged last; none while that is what is counted.
    judged: Option<Counts>,
    /// Whether anything is new since it was written down.
    is_dirty: bool,
    /// When its last point was made.
    point_at_ms: u64,
    /// Whether it was judged since.
    owes_point: bool,
    meters: [LazyCounter; 3],
}

/// What is counted beside the evidence; kept with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Counts {
    state: String,
    since_ms: Option<u64>,
    first_pair_at_ms: Option<u64>,
    last_pair_at_ms: Option<u64>,
    agree: u64,
    disagree: u64,
    uncompared: Vec<u64>,
    skipped: Vec<u64>,
    findings: Findings,
    /// The evidence, in base64.
    evidence: String,
    limits: Option<Limits>,
}

/// What a version is judged by, as it is kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Limits {
    min_agreement: f64,
    max_error_increase: f64,
    max_latency_ratio_p50: f64,
    max_latency_ratio_p99: f64,
    alpha: f64,
    min_pairs: u64,
}

/// How a challenger stands, in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InShort {
    /// What is to be done.
    pub state: VerdictState,
    /// The share of compared pairs that agree.
    pub agreement: Option<f64>,
    /// Pairs seen.
    pub pairs: u64,
}

/// How a challenger stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The version whose challenger it is.
    pub version: VersionNumber,
    /// By what it is judged.
    pub limits: VerdictSpec,
    /// What follows from what was seen.
    pub judgement: Judgement,
    /// Since when its verdict is what it is.
    pub since_ms: Option<u64>,
    /// When the first pair was made.
    pub first_pair_at_ms: Option<u64>,
    /// When the last one was.
    pub last_pair_at_ms: Option<u64>,
    /// Pairs that agree.
    pub agree: u64,
    /// Pairs that do not.
    pub disagree: u64,
    /// Pairs that were not compared, in the order of [`Uncompared::ALL`].
    pub uncompared: [u64; Uncompared::ALL.len()],
    /// Requests without a pair, in the order of [`Skipped::ALL`].
    pub skipped: [u64; Skipped::ALL.len()],
    /// What the comparators found.
    pub findings: Findings,
}

/// From one point of the series to the next at the least, unless the verdict changes.
const POINT_EVERY_MS: u64 = 10_000;

// === impl Case ===

impl Case {
    /// A case of which nothing is known.
    pub(super) fn new(limits: VerdictSpec) -> Self {
        let evidence = Evidence::default();
        Self {
            judgement: evidence.judge(&limits),
            evidence,
            counts: Counts::default(),
            limits,
            is_judged: true,
            judged: None,
            is_dirty: false,
            point_at_ms: 0,
            owes_point: false,
            meters: Default::default(),
        }
    }

    /// What was written down of it, judged by `limits`, or by those it was judged by then. None where
    /// that can't be read.
    pub(super) fn restored(kept: &StateBlob, limits: Option<VerdictSpec>) -> Option<Self> {
        let counts: Counts = serde_json::from_slice(&kept.0).ok()?;
        let evidence = BASE64_STANDARD.decode(&counts.evidence).ok()?;
        let evidence = Evidence::from_bytes(&evidence)?;
        let limits = limits.or_else(|| counts.limits.map(Limits::spec));
        let limits = limits.unwrap_or_default();
        Some(Self {
            judgement: evidence.judge(&limits),
            evidence,
            counts,
            ..Self::new(limits)
        })
    }

    /// What is to be written down of it, if anything is new.
    pub(super) fn unwritten(&mut self) -> Option<StateBlob> {
        if !std::mem::take(&mut self.is_dirty) {
            return None;
        }
        self.counts.evidence = BASE64_STANDARD.encode(self.evidence.to_bytes());
        self.counts.limits = Some(Limits::of(&self.limits));
        // Numbers and texts have a form in JSON.
        let bytes = serde_json::to_vec(&self.counts).unwrap_or_default();
        self.counts.evidence = String::new();
        Some(StateBlob(bytes))
    }

    /// What was to be written down was not, or is gone.
    pub(super) fn lost(&mut self) {
        self.is_dirty |= !self.is_empty();
    }

    /// Whether nothing was ever seen of it.
    pub(super) fn is_empty(&self) -> bool {
        self.evidence.pairs() == 0 && self.counts.skipped.is_empty()
    }

    /// Takes a pair into account.
    pub(super) fn add(&mut self, key: &Challenger, examined: &Examined) {
        self.judged.get_or_insert_with(|| self.counts.clone());
        self.evidence.add(&examined.seen);
        let at_ms = examined.record.at_ms;
        let counts = &mut self.counts;
        counts.first_pair_at_ms = counts.first_pair_at_ms.or(Some(at_ms));
        counts.last_pair_at_ms = counts.last_pair_at_ms.max(Some(at_ms));
        let (slot, word) = match examined.record.result {
            PairResult::Agree => {
                counts.agree += 1;
                (0, "agree")
            }
            PairResult::Disagree => {
                counts.disagree += 1;
                (1, "disagree")
            }
            PairResult::Uncompared(why) => {
                add(&mut counts.uncompared, why as usize, 1);
                (2, "uncompared")
            }
        };
        self.meters[slot].add(&table::COMPARISON_PAIRS, 1, || {
            [key.name.project(), key.name.deployment(), word]
        });
        if let Some(found) = &examined.found {
            counts.findings.add(found);
        }
        (self.is_judged, self.is_dirty) = (false, true);
    }

    /// Takes requests without a pair into account.
    pub(super) fn skip(&mut self, skipped: &[u64; Skipped::ALL.len()]) {
        for (slot, count) in skipped.iter().enumerate().filter(|(_, count)| **count > 0) {
            add(&mut self.counts.skipped, slot, *count);
            self.is_dirty = true;
        }
    }

    /// Judges it anew, if there is anything new; a point of its series, when it is time for one.
    pub(super) fn judge(&mut self, limits: Option<&VerdictSpec>, now_ms: u64) -> Option<Point> {
        let limits = *limits.unwrap_or(&self.limits);
        let is_time = now_ms.abs_diff(self.point_at_ms) >= POINT_EVERY_MS;
        if self.is_judged && self.limits == limits {
            // The last of what came, when nothing comes any more.
            let is_due = is_time && std::mem::take(&mut self.owes_point);
            return is_due.then(|| self.point(now_ms));
        }
        self.limits = limits;
        self.judgement = self.evidence.judge(&limits);
        (self.is_judged, self.judged) = (true, None);
        let state = self.judgement.state.as_str();
        let has_turned = self.counts.since_ms.is_none() || self.counts.state != state;
        if has_turned {
            self.counts.since_ms = Some(now_ms);
            state.clone_into(&mut self.counts.state);
            self.is_dirty = true;
        }
        self.owes_point = !has_turned && !is_time;
        (!self.owes_point).then(|| self.point(now_ms))
    }

    fn point(&mut self, now_ms: u64) -> Point {
        self.point_at_ms = now_ms;
        Point::new(now_ms, &self.judgement)
    }

    /// What followed when it was judged last.
    pub(super) fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// How it stands, in short.
    pub(super) fn in_short(&self) -> InShort {
        InShort {
            state: self.judgement.state,
            agreement: self.judgement.agreement.value,
            pairs: self.judgement.pairs,
        }
    }

    /// How it stood when it was judged last: its counts are those that the verdict is from.
    pub(super) fn standing(&self, version: VersionNumber) -> Standing {
        let counts = self.judged.as_ref().unwrap_or(&self.counts);
        Standing {
            version,
            limits: self.limits,
            judgement: self.judgement.clone(),
            since_ms: counts.since_ms,
            first_pair_at_ms: counts.first_pair_at_ms,
            last_pair_at_ms: counts.last_pair_at_ms,
            agree: counts.agree,
            disagree: counts.disagree,
            uncompared: filled(&counts.uncompared),
            skipped: filled(&counts.skipped),
            findings: counts.findings.clone(),
        }
    }

    /// A case that stands so.
    #[cfg(test)]
    pub(super) fn standing_so(standing: &Standing) -> Self {
        Self {
            judgement: standing.judgement.clone(),
            counts: Counts {
                since_ms: standing.since_ms,
                first_pair_at_ms: standing.first_pair_at_ms,
                last_pair_at_ms: standing.last_pair_at_ms,
                agree: standing.agree,
                disagree: standing.disagree,
                uncompared: standing.uncompared.to_vec(),
                skipped: standing.skipped.to_vec(),
                findings: standing.findings.clone(),
                ..Counts::default()
            },
            ..Self::new(standing.limits)
        }
    }

    /// Keeps its series from being forgotten.
    pub(super) fn touch(&self) {
        self.meters.iter().for_each(LazyCounter::touch);
    }
}

fn add(counts: &mut Vec<u64>, slot: usize, count: u64) {
    if counts.len() <= slot {
        counts.resize(slot + 1, 0);
    }
    counts[slot] += count;
}

fn filled<const N: usize>(counts: &[u64]) -> [u64; N] {
    std::array::from_fn(|slot| counts.get(slot).copied().unwrap_or(0))
}

// === impl Limits ===

impl Limits {
    fn of(spec: &VerdictSpec) -> Self {
        Self {
            min_agreement: spec.min_agreement,
            max_error_increase: spec.max_error_increase,
            max_latency_ratio_p50: spec.max_latency_ratio_p50,
            max_latency_ratio_p99: spec.max_latency_ratio_p99,
            alpha: spec.alpha,
            min_pairs: spec.min_pairs,
        }
    }

    fn spec(self) -> VerdictSpec {
        VerdictSpec {
            min_agreement: self.min_agreement,
            max_error_increase: self.max_error_increase,
            max_latency_ratio_p50: self.max_latency_ratio_p50,
            max_latency_ratio_p99: self.max_latency_ratio_p99,
            alpha: self.alpha,
            min_pairs: self.min_pairs,
        }
    }
}
