//! What happened to a deployment in one step of time, and how steps are added up.

use crate::telemetry::{
    scale,
    tally::{Counts, Failed},
};

/// What happened in one step of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Point {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed, in the order of [`Failed::ALL`].
    pub failed: [u64; Failed::ALL.len()],
    /// From a request's head to its last byte.
    pub latency: Histogram,
    /// From a request's head to the head of its answer.
    pub first_byte: Histogram,
    /// The most streams that were open at once.
    pub streams_open: u64,
    /// Exchanges under way at the end; of several steps the most.
    pub in_flight: u64,
    /// Bytes of requests' bodies.
    pub request_bytes: u64,
    /// Bytes of answers' bodies.
    pub response_bytes: u64,
    /// Requests sent again to a backend.
    pub retries: u64,
    /// Copies sent to the challenger.
    pub copies: u64,
    /// Copies not made, or given up.
    pub drops: u64,
}

/// Durations by the slot of the fine scale that they fall into; only slots that hold some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Slot and count, in the order of slots.
    pub(super) slots: Vec<(u8, u64)>,
}

// Slots are kept in a byte.
const _: () = assert!(scale::SLOTS <= 256);

// === impl Point ===

impl Point {
    /// What was counted between two readings.
    pub(super) fn between(before: &Counts, now: &Counts) -> Self {
        let mut failed = [0; Failed::ALL.len()];
        for (slot, (now, before)) in failed.iter_mut().zip(now.failed.iter().zip(before.failed)) {
            *slot = now.saturating_sub(before);
        }
        Self {
            requests: now.turned_away.saturating_sub(before.turned_away),
            failed,
            request_bytes: now.request_bytes.saturating_sub(before.request_bytes),
            response_bytes: now.response_bytes.saturating_sub(before.response_bytes),
            retries: now.retries.saturating_sub(before.retries),
            copies: now.copies.saturating_sub(before.copies),
            drops: now.drops.saturating_sub(before.drops),
            ..Self::default()
        }
    }

    /// Whether nothing happened and nothing was under way.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what happened in another step. Exact: quantiles of the sum are those of all its requests.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        for (own, other) in self.failed.iter_mut().zip(other.failed) {
            *own += other;
        }
        self.latency.add(&other.latency);
        self.first_byte.add(&other.first_byte);
        self.streams_open = self.streams_open.max(other.streams_open);
        self.in_flight = self.in_flight.max(other.in_flight);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.retries += other.retries;
        self.copies += other.copies;
        self.drops += other.drops;
    }

    /// Failures that are not the client's own doing.
    pub fn errors(&self) -> u64 {
        let all = Failed::ALL.iter().zip(self.failed);
        let ours = all.filter(|(failed, _)| !failed.is_clients());
        ours.map(|(_, count)| count).sum()
    }
}

// === impl Histogram ===

impl Histogram {
    /// How many durations it holds.
    pub fn total(&self) -> u64 {
        self.slots.iter().map(|(_, count)| count).sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        if self.slots.is_empty() {
            self.slots.clone_from(&other.slots);
            return;
        }
        for &(slot, count) in &other.slots {
            match self.slots.binary_search_by_key(&slot, |(slot, _)| *slot) {
                Ok(at) => self.slots[at].1 += count,
                Err(at) => self.slots.insert(at, (slot, count)),
            }
        }
    }

    /// The duration, in nanoseconds, that a share of all are not above; none without any. Within a
    /// slot durations are taken to be spread evenly on a logarithmic scale.
    pub fn quantile_ns(&self, share: f64) -> Option<f64> {
        let total = self.total();
        let rank = share * total as f64;
        let mut below = 0.0;
        for &(slot, count) in &self.slots {
            let count = count as f64;
            if below + count >= rank {
                let (lower, upper) = scale::range_ns(slot.into());
                let within = ((rank - below) / count).clamp(0.0, 1.0);
                return Some(lower * (upper / lower).powf(within));
            }
            below += count;
        }
        self.max_ns()
    }

    /// Where the slot of the longest duration ends, in nanoseconds.
    pub fn max_ns(&self) -> Option<f64> {
        let (slot, _) = self.slots.last()?;
        Some(scale::range_ns((*slot).into()).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations_ms: &[f64]) -> Histogram {
        let mut sum = Histogram::default();
        for ms in durations_ms {
            let slot = scale::slot_of((ms * 1e6) as u64) as u8;
            sum.add(&Histogram {
                slots: vec![(slot, 1)],
            });
        }
        sum
    }

    #[test]
    fn quantiles_of_known_durations_are_right_to_a_tenth() {
        let uniform: Vec<f64> = (1..=10_000).map(|i| f64::from(i) / 10.0).collect();
        let long: Vec<f64> = (0..1_000).map(|i| 1.02f64.powi(i % 500) * 0.05).collect();
        for mut durations in [uniform, long, vec![3.0; 100], vec![0.02, 900.0], vec![47.0]] {
            let histogram = of(&durations);
            durations.sort_by(f64::total_cmp);
            for share in [0.5, 0.9, 0.95, 0.99] {
                let rank = (share * durations.len() as f64).ceil() as usize;
                let exact = durations[rank.max(1) - 1];
                let read = histogram.quantile_ns(share).expect("not empty") / 1e6;
                assert!(
                    (read / exact - 1.0).abs() < 0.1,
                    "{share}: {read} for {exact}"
                );
            }
            let (max, exact) = (histogram.max_ns(), durations[durations.len() - 1]);
            let max = max.expect("not empty") / 1e6;
            assert!(
                max >= exact * 0.999_999 && max < exact * 1.1,
                "{max} for {exact}"
            );
        }
        assert_eq!(Histogram::default().quantile_ns(0.5), None);
    }
}
