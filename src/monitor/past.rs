//! A histogram as it stood, to tell what was recorded since.

use super::point::Histogram;
use crate::telemetry::seconds::Seconds;

/// A histogram as it stood.
#[derive(Debug, Default)]
pub struct Past {
    sum_ns: u64,
    slots: Vec<(u8, u64)>,
}

impl Past {
    /// What was recorded since the last time this was asked; the first time, everything.
    pub fn take(&mut self, seconds: &Seconds) -> Histogram {
        let (grown, now) = self.since(seconds);
        if let Some(now) = now {
            *self = now;
        }
        grown
    }

    /// What was recorded since, and how it stands now if anything was.
    pub(super) fn since(&self, seconds: &Seconds) -> (Histogram, Option<Past>) {
        // Read before the slots: a sample that comes in between is seen again, not lost.
        let sum_ns = seconds.sum_ns();
        if sum_ns == self.sum_ns {
            return (Histogram::default(), None);
        }
        let mut now = Past {
            sum_ns,
            slots: Vec::with_capacity(self.slots.len()),
        };
        let mut grown = Histogram::default();
        let mut before = self.slots.iter().peekable();
        seconds.slots(|slot, count| {
            let slot = slot as u8;
            let old = before
                .next_if(|(old, _)| *old == slot)
                .map_or(0, |(_, old)| *old);
            if count > old {
                grown.slots.push((slot, count - old));
            }
            now.slots.push((slot, count));
        });
        (grown, Some(now))
    }
}
