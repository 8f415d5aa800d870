//! How many lines a deployment's exchanges may still put into its ring of log lines this second.
//!
//! ```text
//! worker ──take──▶ Credit ◀──refill, once a second── control
//!                   └ what was over is counted, and becomes one line that says so
//! ```
//!
//! Faults have a credit of their own, so that a flood of ordinary requests does not hide them.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::outcome::Ended;

/// What there is before the first refill: a deployment that is called right after it came to be has
/// its first lines, too. See [`begin_with`].
static FIRST: AtomicI32 = AtomicI32::new(100);

/// Which of the two credits a line is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It went as it should, or the client was told what it did wrong by the backend.
    Usual,
    /// weir answered instead of a backend, the backend failed, or the exchange did not end in order.
    Fault,
}

/// The credits of one deployment in one role. Shared by all workers.
#[derive(Debug)]
pub struct Credit {
    usual: Purse,
    faults: Purse,
}

/// What was over the limit since it was asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Over {
    /// Ordinary lines.
    pub usual: u32,
    /// Lines of faults.
    pub faults: u32,
}

#[derive(Debug)]
struct Purse {
    left: AtomicI32,
    over: AtomicU32,
}

/// What deployments that come to be have in their first second, as in any other. Said once, at start;
/// the default of `logs.lines_per_second` until then.
pub fn begin_with(lines: u32) {
    // Relaxed: it is said before there is any deployment.
    FIRST.store(whole(lines), Ordering::Relaxed);
}

fn whole(lines: u32) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}

// === impl Class ===

impl Class {
    /// The class of an exchange that ended so.
    pub fn of(status: Option<u16>, is_fault: bool, ended: Ended) -> Self {
        let failed = status.is_none_or(|status| status >= 500);
        if failed || is_fault || ended != Ended::Complete {
            Self::Fault
        } else {
            Self::Usual
        }
    }
}

// === impl Credit ===

impl Default for Credit {
    fn default() -> Self {
        let purse = || Purse {
            left: AtomicI32::new(FIRST.load(Ordering::Relaxed)),
            over: AtomicU32::new(0),
        };
        Self {
            usual: purse(),
            faults: purse(),
        }
    }
}

impl Credit {
    /// Takes a line's worth, or counts it as over.
    pub fn take(&self, class: Class) -> bool {
        self.purse(class).take()
    }

    /// Counts a line that was paid for and still did not get through.
    pub fn lose(&self, class: Class) {
        let over = &self.purse(class).over;
        over.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a line may still be taken.
    pub fn is_left(&self, class: Class) -> bool {
        self.purse(class).is_left()
    }

    /// Makes both what they are each second, and says what was over.
    pub fn refill(&self, lines: u32) -> Over {
        Over {
            usual: self.usual.refill(lines),
            faults: self.faults.refill(lines),
        }
    }

    fn purse(&self, class: Class) -> &Purse {
        match class {
            Class::Usual => &self.usual,
            Class::Fault => &self.faults,
        }
    }
}

// === impl Purse ===

impl Purse {
    // Relaxed throughout: counts that guard nothing else. Two workers that race for the last line
    // take it below zero, which a refill mends.
    fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        // The load comes first so that a deployment over its limit is no contended write more.
        let taken = self.is_left() && self.left.fetch_sub(1, Ordering::Relaxed) > 0;
        if !taken {
            self.over.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn refill(&self, lines: u32) -> u32 {
        let lines = whole(lines);
        // Nobody else writes while nobody is served; an untouched one stays in every cache.
        if self.left.load(Ordering::Relaxed) != lines {
            self.left.store(lines, Ordering::Relaxed);
        }
        match self.over.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.over.swap(0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_takes_nothing_from_faults_and_is_counted() {
        let credit = Credit::default();
        assert_eq!(credit.refill(3), Over::default());
        let taken = (0..10).filter(|_| credit.take(Class::Usual)).count();
        assert_eq!(taken, 3);
        assert!(!credit.is_left(Class::Usual) && credit.take(Class::Fault));
        credit.lose(Class::Fault);
        let over = Over {
            usual: 7,
            faults: 1,
        };
        assert_eq!(credit.refill(3), over);
        assert_eq!(credit.refill(0), Over::default());
        assert!(!credit.take(Class::Usual) && !credit.take(Class::Fault));
    }

    #[test]
    fn what_went_wrong_is_a_fault() {
        use Ended::{BackendBroke, ClientGone, Complete};
        for (status, is_fault, ended, class) in [
            (Some(200), false, Complete, Class::Usual),
            (Some(404), false, Complete, Class::Usual),
            (Some(413), true, Complete, Class::Fault),
            (Some(500), false, Complete, Class::Fault),
            (Some(200), false, BackendBroke, Class::Fault),
            (Some(200), false, ClientGone, Class::Fault),
            (None, false, Complete, Class::Fault),
        ] {
            let found = Class::of(status, is_fault, ended);
            assert_eq!(found, class, "{status:?} {is_fault} {ended:?}");
        }
    }
}
