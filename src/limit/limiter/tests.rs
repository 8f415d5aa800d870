//! The limits together, on a clock of the tests' own.

use std::sync::Barrier;

use super::*;

/// A second after the midnight of a day.
const UNIX_MS: u64 = 20_000 * 86_400_000 + 1_000;

fn ms(ms: u64) -> Tick {
    Tick::from_ns(1_000_000_000_000).plus_ms(ms)
}

fn limiter(spec: LimitsSpec) -> Arc<Limiter> {
    Limiter::new(spec, None, ms(0))
}

fn take(limiter: &Arc<Limiter>, at_ms: u64) -> Result<Permit, Exceeded> {
    limiter.take(Arrival::Now, ms(at_ms), UNIX_MS + at_ms)
}

#[track_caller]
fn refused(limiter: &Arc<Limiter>, at_ms: u64) -> (What, u64) {
    let exceeded = take(limiter, at_ms).expect_err("beyond a limit");
    (exceeded.what, exceeded.retry_ms)
}

fn all() -> LimitsSpec {
    LimitsSpec {
        requests_per_second: Some(2.0),
        burst: Some(4),
        concurrency_max: Some(3),
        bytes_per_second: Some(1_000),
        requests_per_day: Some(6),
        ..LimitsSpec::default()
    }
}

#[test]
fn each_limit_refuses_by_its_own_rule() {
    let limiter = limiter(all());
    let mut held: Vec<_> = (0..3)
        .map(|_| take(&limiter, 0).expect("a place"))
        .collect();
    assert_eq!(refused(&limiter, 0), (What::Concurrency, 1_000));
    held.pop();
    held.push(take(&limiter, 0).expect("the place that was left"));
    held.pop();
    assert_eq!(refused(&limiter, 0), (What::Requests, 500));
    assert_eq!(refused(&limiter, 499), (What::Requests, 1));
    held[0].charge(3_500, ms(500));
    assert_eq!(refused(&limiter, 500), (What::Bytes, 2_501));
    held.push(take(&limiter, 3_001).expect("it is paid for"));
    held.clear();
    drop(take(&limiter, 3_001).expect("the sixth of the day"));
    let left_ms = 86_400_000 - 1_000 - 3_001;
    assert_eq!(refused(&limiter, 3_001), (What::Day, left_ms));
    drop(take(&limiter, 3_001 + left_ms).expect("another day"));
    let standing = limiter.standing(ms(3_001), UNIX_MS + 3_001 + left_ms);
    assert_eq!((standing.in_flight, standing.requests_today), (0, 1));
    let refused = Refusals {
        requests: 2,
        concurrency: 1,
        bytes: 1,
        day: 1,
    };
    assert_eq!(standing.refused, refused);
}

#[test]
fn what_is_refused_takes_nothing() {
    let limiter = limiter(LimitsSpec {
        requests_per_second: Some(1.0),
        burst: Some(2),
        concurrency_max: Some(1),
        requests_per_day: Some(10),
        ..LimitsSpec::default()
    });
    let inside = take(&limiter, 0).expect("the first");
    for _ in 0..50 {
        assert_eq!(refused(&limiter, 0).0, What::Concurrency);
    }
    let standing = limiter.standing(ms(0), UNIX_MS);
    assert_eq!(standing.requests_available, Some(1));
    assert_eq!((standing.in_flight, standing.requests_today), (1, 1));
    // Taken after all, and given back: as if it had not come.
    drop(inside);
    take(&limiter, 0).expect("a place").give_back(ms(0));
    let standing = limiter.standing(ms(0), UNIX_MS);
    assert_eq!(standing.requests_available, Some(1));
    assert_eq!((standing.in_flight, standing.requests_today), (0, 1));
}

#[test]
fn one_that_runs_later_takes_no_place() {
    let limiter = limiter(LimitsSpec {
        concurrency_max: Some(1),
        requests_per_day: Some(3),
        ..LimitsSpec::default()
    });
    let _inside = take(&limiter, 0).expect("the only place");
    let later = || limiter.take(Arrival::Later, ms(0), UNIX_MS);
    let (_first, _second) = (later().expect("no place"), later().expect("no place"));
    assert_eq!(later().expect_err("the day is spent").what, What::Day);
    assert_eq!(limiter.standing(ms(0), UNIX_MS).in_flight, 1);
}

#[test]
fn an_edit_keeps_what_was_taken() {
    let first = limiter(all());
    let held = take(&first, 0).expect("the first");
    drop(take(&first, 0).expect("the second"));
    let same = Limiter::new(all(), Some(&first), ms(0));
    assert!(Arc::ptr_eq(&first, &same));
    // Another rule changes: the rate's count is the very same.
    let spec = LimitsSpec {
        concurrency_max: Some(1),
        ..all()
    };
    let second = Limiter::new(spec, Some(&first), ms(0));
    assert_eq!(refused(&second, 0).0, What::Concurrency);
    assert_eq!(second.standing(ms(0), UNIX_MS).requests_available, Some(2));
    // A stream that began before the edit is charged to what is in force, and leaves its place.
    let spec = LimitsSpec {
        bytes_per_second: Some(10),
        requests_per_second: Some(100.0),
        burst: Some(100),
        ..spec
    };
    let third = Limiter::new(spec, Some(&second), ms(0));
    assert_eq!(third.standing(ms(0), UNIX_MS).requests_available, Some(98));
    held.charge(25, ms(0));
    drop(held);
    assert_eq!(refused(&third, 0), (What::Bytes, 1_600));
    assert_eq!(third.standing(ms(0), UNIX_MS).requests_today, 2);
    assert_eq!(third.standing(ms(0), UNIX_MS).in_flight, 0);
}

#[test]
fn what_was_refused_is_not_what_would_have_been() {
    let day = |requests_per_day, mode| LimitsSpec {
        requests_per_day: Some(requests_per_day),
        mode,
        ..LimitsSpec::default()
    };
    let of_day = |limiter: &Arc<Limiter>| limiter.standing(ms(0), UNIX_MS).refused.day;
    let counting = limiter(day(1, LimitMode::Count));
    drop(take(&counting, 0).expect("the first"));
    for _ in 0..3 {
        assert_eq!(refused(&counting, 0).0, What::Day);
    }
    assert_eq!(of_day(&counting), 3);
    let enforced = Limiter::new(day(1, LimitMode::Enforce), Some(&counting), ms(0));
    assert_eq!(of_day(&enforced), 0);
    assert_eq!(refused(&enforced, 0).0, What::Day, "the day goes on");
    // A request that began before the change is counted where it was let in.
    assert_eq!(refused(&counting, 0).0, What::Day);
    assert_eq!((of_day(&counting), of_day(&enforced)), (4, 1));
    let more = Limiter::new(day(2, LimitMode::Enforce), Some(&enforced), ms(0));
    assert_eq!(of_day(&more), 1, "the mode is as it was");
}

#[test]
fn clients_are_told_how_it_stands() {
    let quota = |limiter: &Arc<Limiter>, at_ms| -> Vec<_> {
        let quotas = limiter.quotas(ms(at_ms), UNIX_MS + at_ms);
        quotas
            .map(|q| (q.is_of_day, q.quota, q.window_s, q.left, q.reset_s))
            .collect()
    };
    let limiter = limiter(all());
    let at_rest = [(false, 4, 2, 4, 0), (true, 6, 86_400, 6, 86_399)];
    assert_eq!(quota(&limiter, 0), at_rest);
    for _ in 0..3 {
        drop(take(&limiter, 0).expect("there is one"));
    }
    assert_eq!(quota(&limiter, 0)[0], (false, 4, 2, 1, 2));
    assert_eq!(quota(&limiter, 0)[1].3, 3);
    drop(take(&limiter, 0).expect("the last"));
    assert_eq!(quota(&limiter, 400)[0], (false, 4, 2, 0, 2));
    assert_eq!(quota(&limiter, 500)[0], (false, 4, 2, 1, 2));
    let counted = LimitsSpec {
        mode: LimitMode::Count,
        ..all()
    };
    assert_eq!(
        quota(&super::super::Limiter::new(counted, None, ms(0)), 0),
        []
    );
}

#[test]
fn windows_and_bursts_are_whole_numbers() {
    for (rate, declared, at_once, window) in [
        (3.0, None, 3, 1),
        (0.25, None, 1, 4),
        (0.7, Some(7), 7, 10),
        (2.5, None, 3, 2),
        (1_000_000.0, Some(1), 1, 1),
        (0.001, Some(1_000_000), 1_000_000, 1_000_000_000),
    ] {
        let spec = LimitsSpec {
            requests_per_second: Some(rate),
            burst: declared,
            ..LimitsSpec::default()
        };
        assert_eq!(burst(&spec, rate), at_once, "{rate}");
        assert_eq!(window_s(at_once, rate), window, "{rate}");
        // All taken at once: full again after the window, not a second later.
        let limiter = limiter(spec);
        if at_once < 10 {
            (0..at_once).for_each(|_| drop(take(&limiter, 0).expect("within the burst")));
            let quota = limiter.quotas(ms(0), UNIX_MS).next().expect("one");
            assert_eq!((quota.left, quota.reset_s), (0, window), "{rate}");
        }
    }
}

/// Eight threads at once; each tells how many it got.
fn race(limiter: &Arc<Limiter>, tries: usize, entry: Arrival) -> Vec<Permit> {
    let barrier = Arc::new(Barrier::new(8));
    let threads = (0..8).map(|_| {
        let (limiter, barrier) = (Arc::clone(limiter), Arc::clone(&barrier));
        std::thread::spawn(move || {
            barrier.wait();
            let tries = (0..tries).map(|_| limiter.take(entry, ms(0), UNIX_MS));
            tries.filter_map(Result::ok).collect::<Vec<_>>()
        })
    });
    let threads: Vec<_> = threads.collect();
    let permits = threads.into_iter().flat_map(|t| t.join().expect("ends"));
    permits.collect()
}

#[test]
fn threads_together_get_each_limit_exactly() {
    for _ in 0..20 {
        let day = limiter(LimitsSpec {
            requests_per_day: Some(777),
            ..LimitsSpec::default()
        });
        assert_eq!(race(&day, 300, Arrival::Now).len(), 777);
        assert_eq!(day.standing(ms(0), UNIX_MS).requests_today, 777);
        let concurrency = limiter(LimitsSpec {
            concurrency_max: Some(100),
            ..LimitsSpec::default()
        });
        let held = race(&concurrency, 50, Arrival::Now);
        assert_eq!(held.len(), 100);
        drop(held);
        assert_eq!(concurrency.standing(ms(0), UNIX_MS).in_flight, 0);
        let rate = limiter(LimitsSpec {
            requests_per_second: Some(1.0),
            burst: Some(500),
            requests_per_day: Some(1_000_000),
            ..LimitsSpec::default()
        });
        assert_eq!(race(&rate, 200, Arrival::Now).len(), 500);
        // Those that lost a race for the last ones gave back what they held of the day.
        assert_eq!(rate.standing(ms(0), UNIX_MS).requests_today, 500);
    }
}
