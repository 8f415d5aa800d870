//! The promises, held against simulated challengers with fixed seeds.
//!
//! The plain run takes seconds. With `WEIR_FULL=1`, which wants a release build, it is the long form:
//! 10,000 pairs, 1,000 times, watched after each.

mod codec;
mod false_alarms;
mod judging;
mod power;
mod speed;
mod world;

use crate::spec::VerdictSpec;

/// Limits of which none is judged, for a test to set those that it is about.
fn unlimited() -> VerdictSpec {
    VerdictSpec {
        min_agreement: 0.0,
        max_error_increase: 1.0,
        max_latency_ratio_p50: 0.0,
        max_latency_ratio_p99: 0.0,
        alpha: 0.05,
        min_pairs: 1,
    }
}

/// Whether the long form is wanted.
fn is_full() -> bool {
    std::env::var_os("WEIR_FULL").is_some_and(|value| value == "1")
}

/// Runs `each` for every seed, on two threads, and gathers what it says.
fn for_each_seed<T: Send>(seeds: u64, each: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let half = |parity: u64| (parity..seeds).step_by(2).map(&each).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut all = half(0);
        all.extend(other.join().expect("no run panics"));
        all
    })
}
