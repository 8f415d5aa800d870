//! The retry budget: retries may add at most a share of the requests, so that a failing backend
//! is not buried under its own retries.

use std::sync::atomic::{AtomicI64, Ordering};

/// What the budget allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetOptions {
    /// Retries for every hundred requests.
    pub percent: u32,
    /// Retries that are possible at any time after a quiet second, whatever the traffic.
    pub min: u32,
}

/// The settings' defaults.
impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            percent: 20,
            min: 3,
        }
    }
}

/// A balance that requests pay into and retries draw from. A retry costs `COST`; a request
/// pays `percent`, so that `percent` retries are paid for by a hundred requests.
#[derive(Debug)]
pub struct Budget {
    balance: AtomicI64,
    options: BudgetOptions,
}

const COST: i64 = 100;

/// Retries that can be saved up, in requests' worth: ten seconds of a hundred requests a second.
const SAVED_MAX: i64 = 1_000;

impl Budget {
    /// A budget with its minimum in hand.
    pub fn new(options: BudgetOptions) -> Self {
        Self {
            balance: AtomicI64::new(i64::from(options.min) * COST),
            options,
        }
    }

    /// A request pays in.
    pub fn deposit(&self) {
        let most = SAVED_MAX * i64::from(self.options.percent.max(1));
        // Relaxed: the balance guards nothing but itself, and one deposit too many does no harm.
        if self.balance.load(Ordering::Relaxed) < most {
            let paid = i64::from(self.options.percent);
            self.balance.fetch_add(paid, Ordering::Relaxed);
        }
    }

    /// A retry draws; `false` when there is not enough.
    pub fn withdraw(&self) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                (balance >= COST).then_some(balance - COST)
            })
            .is_ok()
    }

    /// Brings the balance up to its minimum; called about once a second.
    pub fn refill(&self) {
        let least = i64::from(self.options.min) * COST;
        self.balance.fetch_max(least, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_and_a_few_in_any_case() {
        let budget = Budget::new(BudgetOptions {
            percent: 20,
            min: 3,
        });
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 3);
        (0..100).for_each(|_| budget.deposit());
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 20);
        budget.refill();
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 3);
    }
}
