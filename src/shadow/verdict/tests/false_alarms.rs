//! Challengers exactly on their limits, watched after every pair: how often anything wrong is ever
//! said.

use super::{super::judge::weigh, for_each_seed, is_full, unlimited, world::World};
use crate::{
    base::chance::Chance,
    shadow::verdict::{Evidence, VerdictState},
    spec::VerdictSpec,
};

/// A challenger on its limits, and which interval holds what truth.
struct Case {
    name: &'static str,
    world: World,
    limits: VerdictSpec,
}

/// What watching said ever.
#[derive(Default)]
struct Said {
    reject: bool,
    promote: bool,
    /// Which of the four intervals ever missed the truth.
    missed: [bool; 4],
}

fn cases() -> Vec<Case> {
    let limits = unlimited();
    let on_all = World {
        agreement: 0.95,
        ..World::with_errors(0.02)
    };
    let case = |name, world, limits| Case {
        name,
        world,
        limits,
    };
    vec![
        case(
            "A/A, and any difference is too much",
            World {
                stalls: 0.05,
                ..World::same()
            },
            VerdictSpec {
                max_error_increase: 0.0,
                max_latency_ratio_p50: 1.0,
                max_latency_ratio_p99: 1.0,
                ..limits
            },
        ),
        case(
            "all four on their limits",
            World {
                slower: 1.5,
                stalls: 0.05,
                ..on_all
            },
            VerdictSpec {
                min_agreement: 0.95,
                max_error_increase: 0.02,
                max_latency_ratio_p50: 1.5,
                max_latency_ratio_p99: 1.5,
                ..limits
            },
        ),
        case(
            "agreement alone",
            on_all,
            VerdictSpec {
                min_agreement: 0.95,
                ..limits
            },
        ),
        case(
            "errors alone",
            on_all,
            VerdictSpec {
                max_error_increase: 0.02,
                ..limits
            },
        ),
        case(
            "p50 alone",
            World {
                slower: 1.5,
                ..on_all
            },
            VerdictSpec {
                max_latency_ratio_p50: 1.5,
                ..limits
            },
        ),
        case(
            "p99 alone",
            World::with_p99(1.5),
            VerdictSpec {
                max_latency_ratio_p99: 1.5,
                ..limits
            },
        ),
    ]
}

fn watch(case: &Case, seed: u64, pairs: u64) -> Said {
    let chance = Chance::seeded(seed);
    let mut evidence = Evidence::default();
    let mut said = Said::default();
    let truth = [
        case.world.agreement,
        case.world.error_increase(),
        case.world.slower,
        case.world.p99_ratio(),
    ];
    for _ in 0..pairs {
        evidence.add(&case.world.draw(&chance));
        let judgement = weigh(&evidence, &case.limits);
        said.reject |= judgement.state == VerdictState::Reject;
        said.promote |= judgement.state == VerdictState::Promote;
        let estimates = [
            judgement.agreement,
            judgement.error_increase,
            judgement.latency_p50.ratio,
            judgement.latency_p99.ratio,
        ];
        for ((missed, estimate), truth) in said.missed.iter_mut().zip(estimates).zip(truth) {
            // Rounding of the truth itself is no miss.
            *missed |= truth < estimate.low - 1e-12 || estimate.high + 1e-12 < truth;
        }
    }
    said
}

/// False rejections, false promotions, and misses of each interval: none more often than `alpha`.
#[test]
fn on_the_limit_nothing_wrong_is_said_more_often_than_alpha() {
    let (runs, pairs) = if is_full() {
        (1_000, 10_000)
    } else {
        (40, 500)
    };
    println!("watched after every pair for {pairs} pairs, {runs} times, alpha 0.05:");
    for (number, case) in cases().iter().enumerate() {
        let seed = |run: u64| (number as u64 + 1) << 32 | run;
        let all = for_each_seed(runs, |run| watch(case, seed(run), pairs));
        let count =
            |said: &dyn Fn(&Said) -> bool| all.iter().filter(|run| said(run)).count() as f64;
        let judged = weigh(&Evidence::default(), &case.limits)
            .standings()
            .count();
        let [rejected, promoted] = [count(&|run| run.reject), count(&|run| run.promote)];
        let missed = [0, 1, 2, 3].map(|which| count(&|run| run.missed[which]));
        println!(
            "  {:36} rejected {rejected}, promoted {promoted}, intervals missed {missed:?}",
            case.name
        );
        let allowed = case.limits.alpha * runs as f64;
        assert!(rejected <= allowed, "{}", case.name);
        assert!(promoted <= allowed, "{}", case.name);
        for missed in missed {
            // Each interval's own promise is alpha / k; what its count exceeds that by is chance.
            let mean = allowed / judged as f64;
            assert!(missed <= mean + 3.0 * mean.sqrt(), "{}", case.name);
        }
    }
}

/// The same watching with a usual interval is wrong in a large part of all runs: the simulation can
/// tell the difference.
#[test]
fn a_usual_interval_is_ever_wrong_far_more_often() {
    let (runs, pairs) = if is_full() {
        (1_000, 10_000)
    } else {
        (100, 2_000)
    };
    let wrong = for_each_seed(runs, |run| {
        let chance = Chance::seeded(run);
        let (mut n, mut hits) = (0.0f64, 0.0);
        (0..pairs).any(|_| {
            n += 1.0;
            hits += f64::from(chance.unit() < 0.5);
            n >= 100.0 && (hits - n / 2.0).abs() > 1.96 * n.sqrt() / 2.0
        })
    });
    let wrong = wrong.iter().filter(|wrong| **wrong).count() as f64 / runs as f64;
    assert!(wrong > 0.15, "{wrong}");
}
