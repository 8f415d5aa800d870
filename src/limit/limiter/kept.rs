//! Quotas of the day, for the whole day: one that is lifted and declared again on the same day goes on
//! where it was.
//!
//! ```text
//! requests_per_day ──lifted──▶ kept to the end of the day ──declared again──▶ the same count
//!                                         └ midnight (UTC) ──▶ forgotten
//! ```

use std::sync::Arc;

use super::Limiter;
use crate::{base::clock::Tick, limit::DayCount, spec::LimitsSpec};

/// Limits whose requests of the day are to be known: there is a quota of them, or was one today.
#[derive(Debug, Clone)]
pub struct Kept {
    limits: Arc<Limiter>,
    lifted_on: Option<u32>,
}

impl Kept {
    /// What is to be kept of these limits, or of those before them where there are none now.
    pub fn of(limits: Option<&Arc<Limiter>>, before: Option<&Self>, today: u32) -> Option<Self> {
        let declared = limits.filter(|limits| limits.spec().requests_per_day.is_some());
        if let Some(limits) = declared {
            return Some(Self {
                limits: Arc::clone(limits),
                lifted_on: None,
            });
        }
        let before = before.filter(|before| before.is_needed(today))?;
        Some(Self {
            limits: Arc::clone(limits.unwrap_or(&before.limits)),
            lifted_on: before.lifted_on.or(Some(today)),
        })
    }

    /// The same as it was written down: of limits that have no quota now, or of none.
    pub fn restored(limits: Option<&Arc<Limiter>>, count: DayCount, today: u32) -> Option<Self> {
        if count.day < today {
            return None;
        }
        let none = || Limiter::new(LimitsSpec::default(), None, Tick::now());
        let limits = limits.map_or_else(none, Arc::clone);
        limits.restore(count);
        Some(Self {
            limits,
            lifted_on: Some(today),
        })
    }

    /// Whether its count matters: a quota that was lifted is forgotten after its day.
    pub fn is_needed(&self, today: u32) -> bool {
        self.lifted_on.is_none_or(|day| day >= today)
    }

    /// The limits that count, or did until they were lifted.
    pub fn limits(&self) -> &Arc<Limiter> {
        &self.limits
    }
}
