//! What became of the copies that a challenger might have got: counted where it is decided, and taken
//! over by the comparison, so that the bias of what was compared can be seen.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::meters::Reason;

/// Counts of one version's challenger since they were taken over last.
#[derive(Debug, Default)]
pub struct Books {
    counts: [AtomicU64; Skipped::ALL.len()],
}

/// Why a request has no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Skipped {
    /// It does not belong to the sample.
    NotSampled,
    /// The challenger was stopped.
    Stopped,
    /// The share was shrunk while main was slow.
    BudgetAdaptive,
    /// There were as many copies in this second as there may be.
    BudgetRate,
    /// There were as many bytes in this second as there may be.
    BudgetBytes,
    /// Its body is larger than is copied.
    BodyTooLarge,
    /// The queue was full.
    QueueFull,
    /// The bytes waiting in the queue were at their cap.
    QueueBytes,
    /// Its client left before it was complete.
    MainIncomplete,
    /// The copy took too long.
    Timeout,
    /// The comparison had no room for the pair.
    PairDropped,
    /// The challenger's pool does not forward its tail.
    TailNotForwarded,
    /// Its copy was under way when weir ended, or weir failed on it.
    Aborted,
    /// No backend of main took it, so that its body was not read.
    MainUnreachable,
    /// weir was short of memory.
    Memory,
}

// === impl Books ===

impl Books {
    /// Counts a request that has no pair.
    pub fn count(&self, skipped: Skipped) {
        // Relaxed: each is a count by itself.
        self.counts[skipped as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What came since the last time, in the order of [`Skipped::ALL`].
    pub fn take(&self) -> [u64; Skipped::ALL.len()] {
        let mut taken = [0; Skipped::ALL.len()];
        for (taken, count) in taken.iter_mut().zip(&self.counts) {
            // A look before, so that what nobody counts is not written to.
            if count.load(Ordering::Relaxed) > 0 {
                *taken = count.swap(0, Ordering::Relaxed);
            }
        }
        taken
    }
}

impl PartialEq for Books {
    /// Counts are no part of what is declared.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

// === impl Skipped ===

impl Skipped {
    /// All of them, in the order in which they are kept: new ones come last.
    pub const ALL: [Self; 15] = [
        Self::NotSampled,
        Self::Stopped,
        Self::BudgetAdaptive,
        Self::BudgetRate,
        Self::BudgetBytes,
        Self::BodyTooLarge,
        Self::QueueFull,
        Self::QueueBytes,
        Self::MainIncomplete,
        Self::Timeout,
        Self::PairDropped,
        Self::TailNotForwarded,
        Self::Aborted,
        Self::MainUnreachable,
        Self::Memory,
    ];

    /// Its word in what is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSampled => "not_sampled",
            Self::Stopped => "stopped",
            Self::BudgetAdaptive => "budget_adaptive",
            Self::BudgetRate => "budget_rate",
            Self::BudgetBytes => "budget_bytes",
            Self::BodyTooLarge => "body_too_large",
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::MainIncomplete => "main_incomplete",
            Self::Timeout => "timeout",
            Self::PairDropped => "pair_dropped",
            Self::TailNotForwarded => "tail_not_forwarded",
            Self::Aborted => "aborted",
            Self::MainUnreachable => "main_unreachable",
            Self::Memory => "memory",
        }
    }

    /// The same as the metric of copies that were not made says it; none for what is no such copy.
    pub fn reason(self) -> Option<Reason> {
        Some(match self {
            Self::NotSampled
            | Self::Stopped
            | Self::PairDropped
            | Self::TailNotForwarded
            | Self::Aborted
            | Self::MainUnreachable => return None,
            Self::BudgetAdaptive => Reason::DropBudgetAdaptive,
            Self::BudgetRate => Reason::DropBudgetRate,
            Self::BudgetBytes => Reason::DropBudgetBytes,
            Self::BodyTooLarge => Reason::DropBodyTooLarge,
            Self::QueueFull => Reason::DropQueueFull,
            Self::QueueBytes => Reason::DropQueueBytes,
            Self::MainIncomplete => Reason::DropMainIncomplete,
            Self::Timeout => Reason::DropTimeout,
            Self::Memory => Reason::DropMemory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_in_its_place_and_is_taken_once() {
        let books = Books::default();
        for (place, skipped) in Skipped::ALL.into_iter().enumerate() {
            assert_eq!(skipped as usize, place);
            books.count(skipped);
        }
        assert_eq!(books.take(), [1; Skipped::ALL.len()]);
        assert_eq!(books.take(), [0; Skipped::ALL.len()]);
    }
}
