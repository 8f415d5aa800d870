//! How many pairs it takes until a challenger that is worse is rejected, and one that is as good is
//! promoted; beside tests of a size that was fixed beforehand.

use super::{
    super::{judge::weigh, scale::Scale},
    for_each_seed, is_full, unlimited,
    world::World,
};
use crate::{
    base::chance::Chance,
    shadow::verdict::{Evidence, VerdictState},
    spec::VerdictSpec,
};

/// The normal distribution's quantiles: for two sides at 0.05, and for being found 8 and 9 times of
/// 10.
const Z_ALPHA: f64 = 1.959_963_985;
const Z_POWER: [f64; 2] = [0.841_621_234, 1.281_551_566];

/// Pairs until the verdict is `state`, sorted; more than `most` is `None`, and last.
fn pairs_until(
    state: VerdictState,
    world: &World,
    limits: &VerdictSpec,
    runs: u64,
    most: u64,
) -> Vec<Option<u64>> {
    let mut all = for_each_seed(runs, |run| {
        let chance = Chance::seeded(run ^ 0x9E37_79B9);
        let mut evidence = Evidence::default();
        (1..=most).find(|_| {
            evidence.add(&world.draw(&chance));
            weigh(&evidence, limits).state == state
        })
    });
    all.sort_unstable_by_key(|pairs| pairs.unwrap_or(u64::MAX));
    all
}

/// The median and the deciles around it.
fn spread(all: &[Option<u64>]) -> [Option<u64>; 3] {
    [10, 50, 90].map(|percent| all[(all.len() * percent / 100).min(all.len() - 1)])
}

fn shown(pairs: Option<u64>) -> String {
    pairs.map_or_else(|| "more".to_owned(), |pairs| pairs.to_string())
}

/// Pairs that a test of fixed size takes, of `effect` in a mean with this deviation.
fn fixed(deviation: f64, effect: f64) -> [u64; 2] {
    Z_POWER.map(|power| ((Z_ALPHA + power) * deviation / effect).powi(2).ceil() as u64)
}

/// The deviation of the difference of errors in one pair.
fn error_deviation(world: &World) -> f64 {
    let plus = world.own_errors * (1.0 - world.main_errors);
    let minus = world.main_errors * (1.0 - world.shared_errors);
    (plus + minus - (plus - minus).powi(2)).sqrt()
}

/// The deviation of the logarithm of the ratio of two 99th percentiles of `n` pairs, times the root
/// of `n`.
fn p99_deviation(world: &World) -> f64 {
    const PAIRS: u64 = 4_000;
    let logs = for_each_seed(400, |run| {
        p99_log_ratio(world, run, PAIRS, PAIRS, |_, _| false)
    });
    let logs: Vec<f64> = logs.into_iter().map(|(log, _)| log).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    (squares / logs.len() as f64 * PAIRS as f64).sqrt()
}

/// The logarithm of the ratio of the 99th percentiles after the last pair, and whether `is_wrong`
/// said so of it after any pair from `from` on.
fn p99_log_ratio(
    world: &World,
    seed: u64,
    from: u64,
    pairs: u64,
    is_wrong: impl Fn(f64, u64) -> bool,
) -> (f64, bool) {
    let chance = Chance::seeded(seed);
    let [mut main, mut challenger] = [Scale::default(), Scale::default()];
    let (mut log, mut wrong) = (0.0, false);
    for n in 1..=pairs {
        let (of_main, of_challenger) = world.latencies(&chance);
        main.add(of_main);
        challenger.add(of_challenger);
        if n >= from {
            let rank = (n as f64 * 0.99).ceil() as u64;
            let [a, b] =
                [&main, &challenger].map(|scale| scale.place(rank).map_or(1.0, |p| p.about));
            log = (b / a).ln();
            wrong |= is_wrong(log, n);
        }
    }
    (log, wrong)
}

/// How often a test of fixed size is wrong about an A/A stream, when it is done after every pair from
/// the 100th on instead of once.
fn peeking(runs: u64, pairs: u64) -> [f64; 2] {
    let world = World::same();
    let share =
        |wrong: Vec<bool>| wrong.iter().filter(|wrong| **wrong).count() as f64 / runs as f64;
    let errors = for_each_seed(runs, |run| {
        let chance = Chance::seeded(run);
        let (mut plus, mut minus) = (0.0f64, 0.0f64);
        (1..=pairs).any(|n| {
            if let Some((main, challenger)) = world.draw(&chance).errors {
                plus += f64::from(challenger && !main);
                minus += f64::from(main && !challenger);
            }
            n >= 100
                && plus + minus >= 5.0
                && (plus - minus).abs() > Z_ALPHA * (plus + minus).sqrt()
        })
    });
    let deviation = p99_deviation(&world);
    let p99 = for_each_seed(runs, |run| {
        let is_wrong = |log: f64, n: u64| log.abs() > Z_ALPHA * deviation / (n as f64).sqrt();
        p99_log_ratio(&world, run, 100, pairs, is_wrong).1
    });
    [share(errors), share(p99)]
}

/// Prints the table; and holds that watching costs no more than some times the pairs of one look.
#[test]
fn a_worse_challenger_is_rejected_within_some_times_the_pairs_of_one_look() {
    let (runs, peeks) = if is_full() {
        (1_000, (1_000, 10_000))
    } else {
        (9, (20, 1_000))
    };
    let only = unlimited();
    let all_four = VerdictSpec {
        min_agreement: 0.95,
        max_error_increase: 0.0,
        max_latency_ratio_p50: 1.5,
        max_latency_ratio_p99: 1.0,
        ..unlimited()
    };
    let errors = World::with_errors(0.02);
    let clean = World {
        main_errors: 0.0,
        own_errors: 0.02,
        ..World::same()
    };
    let tail = World::with_p99(1.5);
    let errors_only = VerdictSpec {
        max_error_increase: 0.0,
        ..only
    };
    let p99_only = VerdictSpec {
        max_latency_ratio_p99: 1.0,
        ..only
    };
    let p99_slack = VerdictSpec {
        max_latency_ratio_p99: 1.2,
        ..only
    };
    let fixed_errors = fixed(error_deviation(&errors), 0.02);
    let fixed_clean = fixed(error_deviation(&clean), 0.02);
    let deviation = p99_deviation(&tail);
    let fixed_p99 = fixed(deviation, f64::ln(1.5));
    let fixed_slack = fixed(deviation, f64::ln(1.5 / 1.2));
    let rows = [
        (
            "1 % -> 3 % errors, limit +0, alone",
            &errors,
            &errors_only,
            fixed_errors,
            4_000,
        ),
        (
            "1 % -> 3 % errors, limit +0, of 4",
            &errors,
            &all_four,
            fixed_errors,
            6_000,
        ),
        (
            "0 % -> 2 % errors, limit +0, alone",
            &clean,
            &errors_only,
            fixed_clean,
            4_000,
        ),
        (
            "p99 x 1.5, limit x 1.0, alone",
            &tail,
            &p99_only,
            fixed_p99,
            10_000,
        ),
        (
            "p99 x 1.5, limit x 1.0, of 4",
            &tail,
            &all_four,
            fixed_p99,
            12_000,
        ),
        (
            "p99 x 1.5, limit x 1.2, alone",
            &tail,
            &p99_slack,
            fixed_slack,
            30_000,
        ),
    ];
    println!("pairs until rejected, alpha 0.05, {runs} runs; fixed: pairs of a z-test, done once");
    println!(
        "  {:36} {:>6} {:>6} {:>6} | fixed 80 %   90 %",
        "challenger", "10 %", "median", "90 %"
    );
    for (name, world, limits, [fixed_80, fixed_90], most) in rows {
        let all = pairs_until(VerdictState::Reject, world, limits, runs, most);
        let [early, median, late] = spread(&all).map(shown);
        println!("  {name:36} {early:>6} {median:>6} {late:>6} | {fixed_80:>10} {fixed_90:>6}");
        let median = spread(&all)[1].expect("half of all runs end");
        assert!(median <= fixed_90 * 5, "{name}: {median}, fixed {fixed_90}");
    }
    let [of_errors, of_p99] = peeking(peeks.0, peeks.1);
    println!(
        "  the fixed tests after every pair, {} pairs of A/A: wrong in {:.0} % (errors), {:.0} % (p99)",
        peeks.1,
        of_errors * 100.0,
        of_p99 * 100.0
    );
}

/// Prints how soon a challenger that is as good is promoted, and holds that it is.
#[test]
fn a_challenger_that_is_as_good_is_promoted() {
    let runs = if is_full() { 1_000 } else { 9 };
    let defaults = VerdictSpec::default();
    let with_p99 = VerdictSpec {
        max_latency_ratio_p99: 1.5,
        ..VerdictSpec::default()
    };
    let flawless = World {
        main_errors: 0.0,
        own_errors: 0.0,
        ..World::same()
    };
    let some = World {
        agreement: 0.98,
        ..World::same()
    };
    let rows = [
        ("flawless, default limits", &flawless, &defaults, 2_000),
        (
            "98 % agree, 1 % errors, default limits",
            &some,
            &defaults,
            5_000,
        ),
        ("the same, and p99 x 1.5 at most", &some, &with_p99, 12_000),
    ];
    println!("pairs until promoted, alpha 0.05, {runs} runs");
    for (name, world, limits, most) in rows {
        let all = pairs_until(VerdictState::Promote, world, limits, runs, most);
        let [early, median, late] = spread(&all).map(shown);
        println!("  {name:40} {early:>6} {median:>6} {late:>6}");
        assert!(spread(&all)[1].is_some(), "{name}");
    }
}
