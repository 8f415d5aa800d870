//! The least that a client sends of a request's body, on average over the time that it is waited for.

use crate::base::clock::Tick;

/// How slow a body may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BodyRate {
    /// Bytes a second, in the long run; 0: as slow as it likes.
    pub bytes_per_second_min: u64,
    /// So much longer it may take, in milliseconds.
    pub grace_ms: u64,
}

/// How long a body was waited for so far. What the backend takes to take it is not its client's.
#[derive(Debug, Default)]
pub struct BodyPace {
    rate: BodyRate,
    waited_ns: u64,
    since: Option<Tick>,
    is_bound: bool,
}

// === impl BodyPace ===

impl BodyPace {
    /// Nothing was waited for yet.
    pub fn new(rate: BodyRate) -> Self {
        Self {
            rate,
            ..Self::default()
        }
    }

    /// The client is waited for from now on, with so many bytes received before. How long it may take
    /// to send the next ones: `timeout_ms`, or what the rate leaves of it. To be asked at the start of
    /// a wait alone, so that bytes that come in time cost nothing.
    pub fn begin(&mut self, received: u64, timeout_ms: u64, now: Tick) -> u64 {
        self.since = Some(now);
        let Some(earned_ms) =
            (received.saturating_mul(1_000)).checked_div(self.rate.bytes_per_second_min)
        else {
            return timeout_ms;
        };
        let allowed_ms = earned_ms.saturating_add(self.rate.grace_ms);
        let left_ms = allowed_ms.saturating_sub(self.waited_ns / 1_000_000);
        self.is_bound = left_ms < timeout_ms;
        left_ms.min(timeout_ms)
    }

    /// Something came.
    pub fn end(&mut self, now: Tick) {
        if let Some(since) = self.since.take() {
            self.waited_ns += now.ns_since(since);
        }
    }

    /// The rate holds no more: the backend has answered, and the two may talk at leisure.
    pub fn lift(&mut self) {
        self.rate = BodyRate::default();
        self.is_bound = false;
    }

    /// Whether it is the rate that ends the wait, and not the pause between two pieces.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Tick {
        Tick::from_ns(1_000_000_000_000).plus_ms(ms)
    }

    /// When a body is cut that sends so much at a time, so long after it was asked for; none where it
    /// goes on for a day.
    fn cut_at(rate: BodyRate, bytes: u64, every_ms: u64) -> Option<u64> {
        let mut pace = BodyPace::new(rate);
        let (mut now, mut received) = (0, 0);
        while now < 86_400_000 {
            let limit_ms = pace.begin(received, 30_000, at(now));
            if limit_ms < every_ms {
                assert_eq!(pace.is_bound(), limit_ms < 30_000);
                return Some(now + limit_ms);
            }
            now += every_ms;
            received += bytes;
            pace.end(at(now));
        }
        None
    }

    #[test]
    fn the_average_counts_and_not_the_pauses() {
        let rate = BodyRate {
            bytes_per_second_min: 128,
            grace_ms: 10_000,
        };
        // A byte a second: each is 8 ms, so that the grace is over a little later.
        let cut = cut_at(rate, 1, 1_000);
        assert!(
            cut.is_some_and(|at| (10_000..11_000).contains(&at)),
            "{cut:?}"
        );
        let cut = cut_at(rate, 64, 1_000);
        assert!(
            cut.is_some_and(|at| (19_000..21_000).contains(&at)),
            "{cut:?}"
        );
        assert_eq!(cut_at(rate, 200, 1_000), None);
        assert_eq!(cut_at(BodyRate::default(), 1, 29_000), None);
        assert_eq!(cut_at(BodyRate::default(), 1, 31_000), Some(30_000));
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_client_is_not_its_own() {
        let rate = BodyRate {
            bytes_per_second_min: 1_000,
            grace_ms: 1_000,
        };
        let mut pace = BodyPace::new(rate);
        assert_eq!(pace.begin(0, 30_000, at(0)), 1_000);
        pace.end(at(400));
        // The backend took a minute to take it.
        assert_eq!(pace.begin(100, 30_000, at(60_000)), 700);
        pace.end(at(60_600));
        assert_eq!(pace.begin(100, 30_000, at(60_600)), 100);
        pace.lift();
        assert_eq!(pace.begin(100, 30_000, at(60_700)), 30_000);
    }
}
