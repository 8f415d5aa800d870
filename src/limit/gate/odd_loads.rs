//! The limit that is found out, where answers tell it little or mislead it: it stays between its bounds,
//! and finds back when they make sense again.

use proptest::prelude::*;

use super::adaptive::Adaptive;
use crate::{
    base::{chance::Chance, clock::Tick},
    spec::OverloadSpec,
};

const MIN: u32 = 4;
const MAX: u32 = 64;

fn adaptive() -> Adaptive {
    Adaptive::new(&OverloadSpec {
        concurrency_max: MAX,
        concurrency_min: Some(MIN),
        adaptive: true,
        ..OverloadSpec::default()
    })
}

fn at(ms: u64) -> Tick {
    Tick::from_ns(1_000_000_000_000).plus_ms(ms)
}

/// A backend without a queue of its own that is asked for as much as may be, `count` times, one a
/// millisecond; the mean limit.
fn busy(adaptive: &mut Adaptive, from: u64, count: u64, ms: impl Fn(u64) -> f64) -> f64 {
    let mut sum = 0.0;
    for step in from..from + count {
        let in_flight = adaptive.limit();
        sum += f64::from(in_flight);
        adaptive.tick(at(step));
        let ns = (ms(step) * 1e6) as u64;
        adaptive.answered(at(step), at(step), ns, in_flight);
    }
    sum / count as f64
}

#[test]
fn answers_of_two_kinds_are_no_queue() {
    for slow_ms in [100.0, 1_000.0, 10_000.0] {
        let chance = Chance::seeded(11);
        let mut adaptive = adaptive();
        let two_kinds = |_| match chance.below(2) {
            0 => 10.0,
            _ => slow_ms,
        };
        busy(&mut adaptive, 0, 20_000, two_kinds);
        let mean = busy(&mut adaptive, 20_000, 100_000, two_kinds);
        println!("10 ms and {slow_ms} ms: {mean}");
        assert!(mean > f64::from(MAX) * 0.75, "{slow_ms}: {mean}");
    }
}

#[test]
fn a_pause_of_an_hour_and_a_request_a_minute_change_nothing() {
    let mut adaptive = adaptive();
    busy(&mut adaptive, 0, 5_000, |_| 10.0);
    assert_eq!(adaptive.limit(), MAX);
    let mut now = 5_000 + 3_600_000;
    for _ in 0..600 {
        adaptive.tick(at(now));
        adaptive.answered(at(now), at(now), 10_000_000, 1);
        now += 60_000;
    }
    assert_eq!(adaptive.limit(), MAX);
    let mean = busy(&mut adaptive, now, 10_000, |_| 10.0);
    assert!(mean > f64::from(MAX) * 0.9, "{mean}");
}

#[test]
fn a_backend_that_fails_fast_for_an_hour_is_asked_for_more_again_at_once() {
    let mut adaptive = adaptive();
    busy(&mut adaptive, 0, 5_000, |_| 10.0);
    for step in 5_000..3_605_000 {
        adaptive.refused(at(step));
        adaptive.tick(at(step));
    }
    assert_eq!(adaptive.limit(), MIN);
    busy(&mut adaptive, 3_605_000, 3_000, |_| 10.0);
    assert!(adaptive.limit() >= MAX / 2, "{}", adaptive.limit());
}

#[derive(Debug, Clone)]
enum Step {
    Answered(u64),
    Refused,
    Nobody,
}

proptest! {
    #[test]
    fn whatever_comes_it_stays_between_its_bounds_and_finds_back(
        steps in proptest::collection::vec(
            (
                prop_oneof![
                    any::<u64>().prop_map(Step::Answered),
                    (0u64..100_000_000).prop_map(Step::Answered),
                    Just(Step::Refused),
                    Just(Step::Nobody),
                ],
                prop_oneof![0u64..50, 0u64..10_000_000],
                1u32..=MAX,
                1u32..200,
            ),
            1..60,
        ),
    ) {
        let mut adaptive = adaptive();
        let mut now = 0;
        for (step, pause, in_flight, times) in steps {
            for _ in 0..times {
                now += pause;
                match step {
                    Step::Answered(ns) => adaptive.answered(at(now), at(now), ns, in_flight),
                    Step::Refused => adaptive.refused(at(now)),
                    Step::Nobody => adaptive.tick(at(now)),
                }
                prop_assert!((MIN..=MAX).contains(&adaptive.limit()));
            }
        }
        // Once the time without load is measured again, which is due by then.
        busy(&mut adaptive, now, 5_000, |_| 10.0);
        now += 1_300_000;
        busy(&mut adaptive, now, 60_000, |_| 10.0);
        let mean = busy(&mut adaptive, now + 60_000, 10_000, |_| 10.0);
        prop_assert!(mean > f64::from(MAX) * 0.8, "{mean}");
    }
}
