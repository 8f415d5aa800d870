//! How many sockets the process has open, of clients and to backends together, so that there is always
//! a descriptor left for operators, health, the store and files.
//!
//! ```text
//! the limit (RLIMIT_NOFILE)
//! │ in use at the start │ reserve: 64, or 5 % │ sockets                                        │
//!                                             │ clients ... │ to backends │ beyond the cap: 64 │
//! ```

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Descriptors that sockets leave alone, at least.
const RESERVE_MIN: usize = 64;
/// Connections beyond the cap that are still taken, to say so.
const BEYOND_MAX: usize = 64;
/// Sockets to backends that clients leave room for, at least.
const BACKENDS_MIN: usize = 16;

/// What a process does with its descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Sockets of clients and to backends.
    pub sockets_max: usize,
    /// Of these, of clients.
    pub clients_max: usize,
    /// And of clients beyond that, who are told that there are too many.
    pub beyond_max: usize,
}

/// One socket, until it is dropped.
#[derive(Debug)]
pub struct Descriptor(());

/// A descriptor kept back, to be able to accept one more connection where there is none left: a client
/// in the system's queue would otherwise wait for an answer that nobody can give.
#[derive(Debug)]
pub struct Spare(Option<File>);

// Of the process, as descriptors are. Relaxed: numbers that guard nothing.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);
static BEYOND: AtomicUsize = AtomicUsize::new(0);

// === impl Budget ===

impl Budget {
    /// Of `limit` descriptors, `used` of which are in use by what is no socket of a client or to a
    /// backend. Where there are very few, clients get what is left.
    pub fn new(limit: usize, used: usize) -> Self {
        let reserve = RESERVE_MIN.max(limit / 20);
        let sockets_max = limit.saturating_sub(used + reserve).max(8);
        let beyond_max = BEYOND_MAX.min(limit / 16);
        let clients_max = sockets_max.saturating_sub(beyond_max + BACKENDS_MIN);
        Self {
            sockets_max,
            clients_max: clients_max.min(limit / 5 * 4).max(1),
            beyond_max,
        }
    }

    /// Of this process, which is to have so many more descriptors that are no sockets; none where the
    /// system does not say.
    pub fn of_process(more: usize) -> Option<Self> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = usize::try_from(limit?).ok()?;
        let used = std::fs::read_dir("/proc/self/fd").map_or(32, Iterator::count);
        Some(Self::new(limit, used + more))
    }

    /// From now on it holds.
    pub fn begin(&self) {
        MOST.store(self.sockets_max, Ordering::Relaxed);
        BEYOND.store(self.beyond_max, Ordering::Relaxed);
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
        is_exhausted(error) && self.0.take().is_some()
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
fn is_exhausted(error: &io::Error) -> bool {
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
