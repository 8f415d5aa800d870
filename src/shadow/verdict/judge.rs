//! From estimates to what is to be done.
//!
//! ```text
//! limit ──▶ kept (interval wholly within) │ broken (wholly beyond) │ open
//! any broken ▶ reject     all kept, and pairs enough ▶ promote     else ▶ hold
//! ```

use super::{Estimate, Evidence, Judgement, VerdictState, words};
use crate::spec::VerdictSpec;

/// What a limit is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// The share that agrees: it must not be less.
    Agreement,
    /// The increase of errors: it must not be more, as all below.
    Errors,
    /// The ratio of median latencies.
    P50,
    /// The ratio of 99th percentiles.
    P99,
}

/// How things stand with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is surely kept.
    Kept,
    /// It is surely broken.
    Broken,
    /// Neither.
    Open,
}

/// What follows from the evidence, with reasons.
pub(super) fn judge(evidence: &Evidence, limits: &VerdictSpec) -> Judgement {
    let mut judgement = weigh(evidence, limits);
    judgement.reasons = words::reasons(&judgement, limits);
    judgement
}

/// The same without a word.
pub(super) fn weigh(evidence: &Evidence, limits: &VerdictSpec) -> Judgement {
    // A limit that nothing could break can't be judged wrongly, and needs no part of alpha.
    let agreement = (limits.min_agreement > 0.0).then_some(limits.min_agreement);
    let errors = (limits.max_error_increase < 1.0).then_some(limits.max_error_increase);
    let ratio = |limit: f64| (limit > 0.0).then_some(limit);
    let p50 = ratio(limits.max_latency_ratio_p50);
    let p99 = ratio(limits.max_latency_ratio_p99);
    let judged = [agreement, errors, p50, p99].iter().flatten().count();
    let alpha = limits.alpha / judged.max(1) as f64;

    let mut judgement = Judgement {
        state: VerdictState::Hold,
        reasons: Vec::new(),
        pairs: evidence.pairs(),
        agreement: evidence.agreement(alpha),
        error_increase: evidence.error_increase(alpha),
        errors: evidence.errors(),
        latency_p50: evidence.latency_p50(alpha),
        latency_p99: evidence.latency_p99(alpha),
    };
    judgement.agreement.limit = agreement;
    judgement.error_increase.limit = errors;
    judgement.latency_p50.ratio.limit = p50;
    judgement.latency_p99.ratio.limit = p99;
    judgement.state = state(&judgement, limits.min_pairs);
    judgement
}

fn state(judgement: &Judgement, min_pairs: u64) -> VerdictState {
    let any = |standing| judgement.standings().any(|(_, _, found)| found == standing);
    if any(Standing::Broken) {
        return VerdictState::Reject;
    }
    let is_kept = any(Standing::Kept) && !any(Standing::Open);
    if is_kept && judgement.pairs >= min_pairs {
        return VerdictState::Promote;
    }
    VerdictState::Hold
}

// === impl Judgement ===

impl Judgement {
    /// How things stand with each limit that is judged.
    pub(super) fn standings(&self) -> impl Iterator<Item = (Judged, Estimate, Standing)> {
        let all = [
            (Judged::Agreement, self.agreement),
            (Judged::Errors, self.error_increase),
            (Judged::P50, self.latency_p50.ratio),
            (Judged::P99, self.latency_p99.ratio),
        ];
        all.into_iter().filter_map(|(judged, estimate)| {
            let limit = estimate.limit?;
            Some((judged, estimate, judged.standing(estimate, limit)))
        })
    }
}

// === impl Judged ===

impl Judged {
    fn standing(self, Estimate { low, high, .. }: Estimate, limit: f64) -> Standing {
        let (is_kept, is_broken) = match self {
            Self::Agreement => (low >= limit, high < limit),
            Self::Errors | Self::P50 | Self::P99 => (high <= limit, low > limit),
        };
        match (is_kept, is_broken) {
            (true, _) => Standing::Kept,
            (_, true) => Standing::Broken,
            (false, false) => Standing::Open,
        }
    }
}
