//! Requests refused by the limits of keys and of deployments, and those that would have been where
//! limits are only counted.

use std::sync::OnceLock;

use super::{series::LazyCounter, table};
use crate::base::name::DeploymentName;
pub use crate::fault::Scope;

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Requests a second.
    Requests,
    /// Exchanges at once.
    Concurrency,
    /// Bytes a second.
    Bytes,
    /// Requests of a day.
    Day,
}

/// A request beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub what: What,
    /// Whether it was refused, and not only counted.
    pub is_enforced: bool,
}

/// The counters of one deployment. Few have limits, and of those few refuse: they are made with the
/// first refusal.
#[derive(Default)]
pub struct LimitMeters(OnceLock<Box<[LazyCounter; SLOTS]>>);

const SLOTS: usize = What::ALL.len() * 2 * 2;

// === impl LimitMeters ===

impl LimitMeters {
    /// Counts a refusal by what this deployment was asked.
    pub fn count(&self, name: &DeploymentName, refusal: Refusal) {
        let slots = self.0.get_or_init(Box::default);
        slots[refusal.slot()].add(&table::LIMIT_REFUSED, 1, || {
            let [scope, limit, mode] = refusal.words();
            [name.project(), name.deployment(), scope, limit, mode]
        });
    }

    /// Keeps the series from being forgotten.
    pub fn touch(&self) {
        let slots = self.0.get().map(|slots| &slots[..]).unwrap_or_default();
        slots.iter().for_each(LazyCounter::touch);
    }
}

// === impl Refusal ===

impl Refusal {
    fn slot(self) -> usize {
        let (scope, mode) = (self.scope as usize, usize::from(self.is_enforced));
        (self.what as usize * 2 + scope) * 2 + mode
    }

    fn words(self) -> [&'static str; 3] {
        let scope = match self.scope {
            Scope::Key => "key",
            Scope::Deployment => "deployment",
        };
        let mode = if self.is_enforced { "enforce" } else { "count" };
        [scope, self.what.as_str(), mode]
    }
}

// === impl What ===

impl What {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Concurrency, Self::Bytes, Self::Day];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrency => "concurrency",
            Self::Bytes => "bytes",
            Self::Day => "day",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_refusal_has_a_counter_of_its_own() {
        let mut slots = HashSet::new();
        for what in What::ALL {
            for scope in [Scope::Key, Scope::Deployment] {
                for is_enforced in [true, false] {
                    let refusal = Refusal {
                        scope,
                        what,
                        is_enforced,
                    };
                    assert!(refusal.slot() < SLOTS);
                    assert!(slots.insert(refusal.slot()), "{:?}", refusal.words());
                }
            }
        }
    }
}
