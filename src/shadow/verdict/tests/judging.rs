//! What is said of given evidence.

use super::unlimited;
use crate::{
    shadow::verdict::{Evidence, Judgement, Seen, VerdictState},
    spec::VerdictSpec,
};

const MS: u64 = 1_000_000;

/// `n` pairs of which every `each`-th is `odd`, the others agree and take as long.
fn pairs(n: u64, each: u64, odd: Seen) -> Evidence {
    let mut evidence = Evidence::default();
    let usual = Seen {
        agrees: Some(true),
        errors: Some((false, false)),
        latency_ns: Some((10 * MS, 10 * MS)),
    };
    for i in 1..=n {
        evidence.add(if i % each == 0 { &odd } else { &usual });
    }
    evidence
}

fn usual(n: u64) -> Evidence {
    pairs(n, u64::MAX, Seen::default())
}

fn differs() -> Seen {
    Seen {
        agrees: Some(false),
        errors: Some((false, false)),
        latency_ns: Some((10 * MS, 10 * MS)),
    }
}

fn fails() -> Seen {
    Seen {
        agrees: Some(false),
        errors: Some((false, true)),
        latency_ns: None,
    }
}

fn judged(evidence: &Evidence, limits: &VerdictSpec) -> Judgement {
    let judgement = evidence.judge(limits);
    assert!(!judgement.reasons.is_empty(), "{judgement:?}");
    judgement
}

#[test]
fn nothing_seen_is_hold_and_says_what_is_missing() {
    let judgement = judged(&Evidence::default(), &VerdictSpec::default());
    assert_eq!(judgement.state, VerdictState::Hold);
    assert_eq!(
        judgement.reasons,
        [
            "0 of at least 100 pairs were seen",
            "no answers were compared yet",
            "no pair told of errors yet",
            "median latency has no bounds on both sides yet, after 0 pairs without an error",
        ]
    );
    let agreement = judgement.agreement;
    assert_eq!(
        (agreement.value, agreement.low, agreement.high),
        (None, 0.0, 1.0)
    );
    let ratio = judgement.latency_p99.ratio;
    assert_eq!(
        (ratio.value, ratio.low, ratio.high),
        (None, 0.0, f64::INFINITY)
    );
    assert_eq!(ratio.limit, None);
}

#[test]
fn pairs_that_can_not_be_compared_are_told_apart_from_none() {
    let mut evidence = Evidence::default();
    (0..500).for_each(|_| {
        evidence.add(&Seen {
            errors: Some((false, false)),
            ..Seen::default()
        });
    });
    let limits = VerdictSpec {
        min_agreement: 0.95,
        ..unlimited()
    };
    let judgement = judged(&evidence, &limits);
    assert_eq!(judgement.state, VerdictState::Hold);
    assert_eq!(
        judgement.reasons,
        ["none of the pairs could be compared so far: 500 of them"]
    );
}

#[test]
fn what_is_as_good_is_promoted_once_pairs_are_enough() {
    let limits = VerdictSpec {
        min_pairs: 400,
        ..VerdictSpec::default()
    };
    let early = judged(&usual(399), &limits);
    assert_eq!(early.state, VerdictState::Hold);
    assert_eq!(early.reasons, ["399 of at least 400 pairs were seen"]);
    let judgement = judged(&usual(400), &limits);
    assert_eq!(judgement.state, VerdictState::Promote);
    assert_eq!(judgement.reasons.len(), 3);
    assert_eq!(
        judgement.reasons[0],
        "agreement is surely 0.95 or more: 0.99 to 1.00 in 400 pairs"
    );
    let beyond = VerdictSpec {
        min_pairs: 0,
        ..VerdictSpec::default()
    };
    assert_eq!(judged(&usual(20), &beyond).state, VerdictState::Hold);
}

#[test]
fn what_disagrees_is_rejected_and_only_that_is_the_reason() {
    let limits = VerdictSpec {
        min_pairs: 10_000,
        ..VerdictSpec::default()
    };
    let judgement = judged(&pairs(120, 3, differs()), &limits);
    assert_eq!(judgement.state, VerdictState::Reject);
    assert_eq!(
        judgement.reasons,
        ["agreement is surely below 0.95: 0.50 to 0.81 in 120 pairs"]
    );
}

#[test]
fn errors_are_rejected_and_shared_ones_are_not() {
    let limits = VerdictSpec {
        max_error_increase: 0.02,
        ..unlimited()
    };
    let judgement = judged(&pairs(300, 5, fails()), &limits);
    assert_eq!(judgement.state, VerdictState::Reject);
    assert_eq!(judgement.errors, (0, 60));
    assert!(judgement.reasons[0].starts_with("the share of errors surely exceeds main's by more"));
    assert_eq!(judgement.agreement.limit, None);

    let both = Seen {
        errors: Some((true, true)),
        ..Seen::default()
    };
    let judgement = judged(&pairs(400, 2, both), &limits);
    assert_eq!(judgement.state, VerdictState::Promote);
    assert_eq!(judgement.errors, (200, 200));
}

#[test]
fn a_slow_one_is_rejected_by_its_median_and_by_its_tail() {
    let slow = Seen {
        latency_ns: Some((10 * MS, 20 * MS)),
        ..differs()
    };
    let p50 = VerdictSpec {
        max_latency_ratio_p50: 1.5,
        ..unlimited()
    };
    let judgement = judged(&pairs(200, 1, slow), &p50);
    assert_eq!(judgement.state, VerdictState::Reject);
    assert_eq!(
        judgement.reasons,
        ["median latency is surely above 1.5 times main's: 1.97 to 2.03 times in 200 pairs"]
    );
    // One in twenty is slow: the median is the same, the 99th percentile is not.
    let tail = pairs(2_000, 20, slow);
    assert_eq!(judged(&tail, &p50).state, VerdictState::Promote);
    let p99 = VerdictSpec {
        max_latency_ratio_p99: 1.5,
        ..unlimited()
    };
    assert_eq!(judged(&tail, &p99).state, VerdictState::Reject);
    assert_eq!(judged(&usual(200), &p99).state, VerdictState::Hold);
    assert_eq!(
        judged(&usual(200), &p99).reasons,
        ["p99 latency has no bounds on both sides yet, after 200 pairs without an error"]
    );
}

#[test]
fn that_all_agree_is_disproved_by_one_pair_and_never_sure() {
    let limits = VerdictSpec {
        min_agreement: 1.0,
        ..unlimited()
    };
    let judgement = judged(&usual(100_000), &limits);
    assert_eq!(judgement.state, VerdictState::Hold);
    assert!(judgement.reasons[0].ends_with("can be disproved, but never be sure"));
    assert_eq!(
        judged(&pairs(100_000, 100_000, differs()), &limits).state,
        VerdictState::Reject
    );
}

#[test]
fn limits_that_nothing_breaks_take_no_part_of_alpha_and_promote_nothing() {
    let judgement = judged(&pairs(1_000, 2, fails()), &unlimited());
    assert_eq!(judgement.state, VerdictState::Hold);
    assert_eq!(
        judgement.reasons,
        ["no limit is declared that an answer could break"]
    );
    // With fewer limits judged, each is judged by more of alpha.
    let evidence = pairs(500, 50, differs());
    let alone = evidence.judge(&VerdictSpec {
        min_agreement: 0.9,
        ..unlimited()
    });
    let beside = evidence.judge(&VerdictSpec {
        min_agreement: 0.9,
        ..VerdictSpec::default()
    });
    assert!(alone.agreement.low > beside.agreement.low);
    assert!(alone.agreement.high < beside.agreement.high);
}

#[test]
fn an_estimate_lies_between_its_ends() {
    for n in [1, 2, 3, 10, 100, 1_000, 5_000] {
        let odd = Seen {
            latency_ns: Some((30 * MS, 40 * MS)),
            ..differs()
        };
        let judgement = pairs(n, 7, odd).judge(&VerdictSpec::default());
        let ratios = [judgement.latency_p50.ratio, judgement.latency_p99.ratio];
        for estimate in [judgement.agreement, judgement.error_increase]
            .into_iter()
            .chain(ratios)
        {
            let value = estimate.value.expect("pairs were seen");
            assert!(
                estimate.low <= value && value <= estimate.high,
                "{n}: {estimate:?}"
            );
            assert_eq!(estimate.n, n);
        }
    }
}

/// Latencies beyond the scale: no bound is made of what was not counted finely.
#[test]
fn latencies_off_the_scale_bound_nothing() {
    let limits = VerdictSpec {
        max_latency_ratio_p50: 1.5,
        ..unlimited()
    };
    let seen = Seen {
        latency_ns: Some((u64::MAX, u64::MAX)),
        ..Seen::default()
    };
    let judgement = judged(&pairs(2_000, 1, seen), &limits);
    assert_eq!(judgement.state, VerdictState::Hold);
    assert!(judgement.latency_p50.ratio.high.is_infinite());
    assert!(!judgement.latency_p50.ratio.low.is_nan());
}

/// What is faster than models are is the machine's affair; what is slower counts in full.
#[test]
fn latencies_below_the_floor_count_as_the_floor() {
    let limits = VerdictSpec {
        max_latency_ratio_p50: 1.5,
        ..unlimited()
    };
    for (latency_ns, state, ratio) in [
        ((0, 0), VerdictState::Promote, 1.0),
        ((100_000, 900_000), VerdictState::Promote, 1.0),
        ((100_000, 1_200_000), VerdictState::Promote, 1.2),
        ((100_000, 4_000_000), VerdictState::Reject, 4.0),
        ((4_000_000, 8_000_000), VerdictState::Reject, 2.0),
        ((4_000_000, 100_000), VerdictState::Promote, 0.25),
    ] {
        let seen = Seen {
            latency_ns: Some(latency_ns),
            ..Seen::default()
        };
        let judgement = judged(&pairs(2_000, 1, seen), &limits);
        assert_eq!(judgement.state, state, "{latency_ns:?}");
        let found = judgement.latency_p50.ratio.value.expect("a ratio");
        assert!(
            (found / ratio - 1.0).abs() < 0.02,
            "{latency_ns:?}: {found}"
        );
    }
}
