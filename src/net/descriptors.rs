//! How many sockets the process has open, of clients and to backends together, and files of async
//! requests, so that there is always a descriptor left for operators, health and the store.
//!
//! ```text
//! the limit (RLIMIT_NOFILE)
//! │ in use at the start │ reserve: 64, or 5 % │ sockets, files                                 │
//!                                             │ clients ... │ to backends │ beyond the cap: 64 │
//! ```
//!
//! The limit is looked up again every so often, as it may be changed from outside; what else is in use is
//! counted again once the system has none left although by this count it should. Newcomers are turned away
//! then until there are as many again as are to be left alone: else they would take each one that an
//! operator gives back.

use std::{
    fs::File,
    io,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Descriptors that sockets leave alone, at least.
const RESERVE_MIN: usize = 64;
/// What is in use at the start, where the system does not say.
const USED_FALLBACK: usize = 32;
/// Connections beyond the cap that are still taken, to say so.
const BEYOND_MAX: usize = 64;
/// Sockets to backends that clients leave room for, at least.
const BACKENDS_MIN: usize = 16;

/// What a process does with its descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Sockets of clients and to backends, and files of async requests.
    pub sockets_max: usize,
    /// Of these, of clients.
    pub clients_max: usize,
    /// And of clients beyond that, who are told that there are too many.
    pub beyond_max: usize,
    /// What is in use by others.
    used: usize,
}

/// One socket or file, until it is dropped.
#[derive(Debug)]
pub struct Descriptor(());

/// A descriptor kept back, to be able to accept one more connection where there is none left: a client
/// in the system's queue would otherwise wait for an answer that nobody can give.
#[derive(Debug)]
pub struct Spare(Option<File>);

/// What is known of others who have more than they were to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shortage {
    /// They may have.
    is_there: bool,
    /// It was counted how many they have since the last look: with thousands open that takes
    /// milliseconds.
    is_counted: bool,
    /// What they had when it was counted last.
    others: usize,
}

// Of the process, as descriptors are. Relaxed: numbers that guard nothing.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);
static BEYOND: AtomicUsize = AtomicUsize::new(0);
/// What was to be in use by others, at the start.
static USED: AtomicUsize = AtomicUsize::new(0);
static SHORTAGE: Mutex<Shortage> = Mutex::new(Shortage::NONE);

// === impl Budget ===

impl Budget {
    /// Of `limit` descriptors, `used` of which are in use by what is no socket of a client or to a
    /// backend. Where there are very few, clients get what is left.
    pub fn new(limit: usize, used: usize) -> Self {
        let reserve = reserve(limit);
        let sockets_max = limit.saturating_sub(used + reserve).max(8);
        let beyond_max = BEYOND_MAX.min(limit / 16);
        let clients_max = sockets_max.saturating_sub(beyond_max + BACKENDS_MIN);
        Self {
            sockets_max,
            clients_max: clients_max.min(limit / 5 * 4).max(1),
            beyond_max,
            used,
        }
    }

    /// Of this process, which is to have so many more descriptors that are no sockets; none where the
    /// system does not say.
    pub fn of_process(more: usize) -> Option<Self> {
        let used = in_use().unwrap_or(USED_FALLBACK);
        Some(Self::new(limit()?, used + more))
    }

    /// From now on it holds.
    pub fn begin(&self) {
        USED.store(self.used, Ordering::Relaxed);
        self.hold();
    }

    fn hold(&self) {
        MOST.store(self.sockets_max, Ordering::Relaxed);
        BEYOND.store(self.beyond_max, Ordering::Relaxed);
    }
}

/// What sockets of clients and to backends leave alone, of so many.
fn reserve(limit: usize) -> usize {
    RESERVE_MIN.max(limit / 20)
}

/// Connections of operators at once: half of what is left alone for them, the store and the rest.
pub fn operators_max() -> usize {
    limit().map_or(usize::MAX, |limit| reserve(limit) / 2)
}

/// Has the budget follow what there is; to be called every second or so.
pub fn keep_up() {
    let mut shortage = SHORTAGE.lock().unwrap_or_else(PoisonError::into_inner);
    shortage.is_counted = false;
    if shortage.is_there {
        // Without one left to count with, who runs out next counts with what is lent.
        shortage.count(in_use());
    }
    follow(&shortage);
}

/// The system has none left. To be called while there is one: what has been lent.
fn ran_out() {
    let mut shortage = match SHORTAGE.try_lock() {
        Ok(shortage) => shortage,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Whoever has it counts, or will be here again.
        Err(TryLockError::WouldBlock) => return,
    };
    shortage.is_there = true;
    if !shortage.is_counted {
        shortage.count(in_use());
        follow(&shortage);
    }
}

fn follow(shortage: &Shortage) {
    // Nothing was begun: there is no limit, or nobody counts.
    let (Some(limit), false) = (limit(), MOST.load(Ordering::Relaxed) == usize::MAX) else {
        return;
    };
    let used = USED.load(Ordering::Relaxed).max(shortage.others);
    Budget::new(limit, used).hold();
}

/// How many the process may have; none where the system does not say.
fn limit() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    usize::try_from(limit?).ok()
}

/// How many it has; none where the system does not say, or has none left to ask with.
fn in_use() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

// === impl Shortage ===

impl Shortage {
    const NONE: Self = Self {
        is_there: false,
        is_counted: false,
        others: 0,
    };

    /// So many are in use, of all; none where nobody can say.
    fn count(&mut self, in_use: Option<usize>) {
        let Some(all) = in_use else { return };
        let others = all.saturating_sub(OPEN.load(Ordering::Relaxed));
        *self = match others > USED.load(Ordering::Relaxed) {
            true => Self {
                is_there: true,
                is_counted: true,
                others,
            },
            false => Self {
                is_counted: true,
                ..Self::NONE
            },
        };
    }
}

// === impl Descriptor ===

impl Descriptor {
    /// For a client, as long as there are some left for backends and for the others.
    pub fn for_client() -> Option<Self> {
        Self::take(BEYOND.load(Ordering::Relaxed) + BACKENDS_MIN)
    }

    /// For a connection to a backend.
    pub fn for_backend() -> Option<Self> {
        Self::take(BEYOND.load(Ordering::Relaxed))
    }

    /// For a file that a caller has read or written, as long as there are some left for backends.
    pub fn for_file() -> Option<Self> {
        Self::for_client()
    }

    /// For a file of work that was taken in before: as long as there is any that is no reserve.
    pub fn for_work() -> Option<Self> {
        Self::take(0)
    }

    /// For a client who is told that there are too many.
    pub fn beyond() -> Option<Self> {
        Self::take(0)
    }

    fn take(keep: usize) -> Option<Self> {
        // Added first, so that two that race for the last one may both be refused, but never both have it.
        let taken = Self(());
        let open = OPEN.fetch_add(1, Ordering::Relaxed);
        let most = MOST.load(Ordering::Relaxed);
        (open.saturating_add(keep) < most || most == usize::MAX).then_some(taken)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Spare ===

impl Spare {
    /// Keeps one back.
    pub fn new() -> Self {
        let mut spare = Self(None);
        spare.restore();
        spare
    }

    /// Gives it up, if `error` says that there is no other; whether it did.
    pub fn lend_for(&mut self, error: &io::Error) -> bool {
        let lent = is_exhausted(error) && self.0.take().is_some();
        if lent {
            ran_out();
        }
        lent
    }

    /// Keeps one back again, once there is one.
    pub fn restore(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }
}

impl Default for Spare {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the process, or the system, has no descriptor left.
pub fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_suffices_for_everything_else() {
        let usual = Budget::new(20_000, 60);
        assert_eq!(usual.clients_max, 16_000);
        assert_eq!((usual.sockets_max, usual.beyond_max), (18_940, 64));
        for (limit, used) in [
            (1_024, 60),
            (256, 50),
            (200, 40),
            (64, 40),
            (1_000_000, 100),
        ] {
            let budget = Budget::new(limit, used);
            assert!(budget.clients_max >= 1, "{limit}");
            if limit >= 200 {
                let all = used + RESERVE_MIN + budget.sockets_max;
                let sockets = budget.clients_max + budget.beyond_max + BACKENDS_MIN;
                assert!(all <= limit && sockets <= budget.sockets_max, "{budget:?}");
            }
        }
    }

    #[test]
    fn a_count_that_fails_is_made_up_for_by_who_runs_out_next() {
        let mut shortage = Shortage {
            is_there: true,
            ..Shortage::NONE
        };
        shortage.count(None);
        assert!(shortage.is_there && !shortage.is_counted);
        // Of sockets there may be some in other tests; of others there are this many at least.
        shortage.count(Some(1_000_000));
        assert!(shortage.is_there && shortage.is_counted && shortage.others > 900_000);
        let known = shortage.others;
        shortage.is_counted = false;
        shortage.count(None);
        assert_eq!((shortage.others, shortage.is_counted), (known, false));
        shortage.count(Some(0));
        assert!(!shortage.is_there && shortage.others == 0);
    }

    #[test]
    fn a_spare_one_is_lent_once_and_kept_again() {
        let none_left = || io::Error::from(rustix::io::Errno::MFILE);
        let mut spare = Spare::new();
        assert!(!spare.lend_for(&io::ErrorKind::ConnectionAborted.into()));
        assert!(spare.lend_for(&none_left()));
        assert!(!spare.lend_for(&none_left()));
        spare.restore();
        assert!(spare.lend_for(&none_left()));
    }
}
