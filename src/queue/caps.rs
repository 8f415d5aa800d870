//! How much the queue takes in: of all, of one key, and on the disk. What is turned away is told
//! apart and counted.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::{options::QueueOptions, submit::Refused};
use crate::base::secret::KeyDigest;

/// What is taken in so far.
#[derive(Debug)]
pub(super) struct Caps {
    waiting_max: u64,
    waiting_per_key_max: u64,
    bytes_max: u64,
    /// Requests that wait for their turn, and those that are about to be accepted. What runs is bounded
    /// by itself.
    waiting: AtomicU64,
    /// Of each key that has any.
    owners: DashMap<KeyDigest, u64>,
    bytes: AtomicU64,
}

// === impl Caps ===

impl Caps {
    pub(super) fn new(options: &QueueOptions) -> Self {
        Self {
            waiting_max: options.waiting_max,
            waiting_per_key_max: options.waiting_per_key_max,
            bytes_max: options.disk_bytes_max,
            waiting: AtomicU64::new(0),
            owners: DashMap::new(),
            bytes: AtomicU64::new(0),
        }
    }

    /// Makes room for a request of so many bytes, or says what there is no room in. The counters
    /// order nothing, hence relaxed; each is taken back by the step that fails behind it.
    pub(super) fn take(&self, owner: KeyDigest, bytes: u64) -> Result<(), Refused> {
        let below = |counter: &AtomicU64, by: u64, most: u64| {
            let add = |now: u64| now.checked_add(by).filter(|sum| *sum <= most);
            let updated = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            updated.is_ok()
        };
        if !below(&self.waiting, 1, self.waiting_max) {
            return Err(Refused::Full);
        }
        if !below(&self.bytes, bytes, self.bytes_max) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Disk);
        }
        let mut of_owner = self.owners.entry(owner).or_insert(0);
        if *of_owner >= self.waiting_per_key_max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refused::ShareSpent);
        }
        *of_owner += 1;
        Ok(())
    }

    /// More that wait, whatever the caps say.
    pub(super) fn found(&self, owner: KeyDigest, requests: u64) {
        self.waiting.fetch_add(requests, Ordering::Relaxed);
        *self.owners.entry(owner).or_insert(0) += requests;
    }

    /// A request that ran waits again; there is always room for it.
    pub(super) fn rejoin(&self, owner: KeyDigest) {
        self.found(owner, 1);
    }

    /// Makes room for bytes that are no request's yet, or says that there is none.
    pub(super) fn take_bytes(&self, bytes: u64) -> Result<(), Refused> {
        let add = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        let updated = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        updated.map(drop).map_err(|_| Refused::Disk)
    }

    /// A request waits no more, or was not accepted after all.
    pub(super) fn leave(&self, owner: KeyDigest) {
        let less = |now: u64| Some(now.saturating_sub(1));
        // Always succeeds: the closure always gives a value.
        let _ = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let dashmap::Entry::Occupied(mut entry) = self.owners.entry(owner) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// More is kept: what has been recorded is never turned away.
    pub(super) fn grow(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Less is kept.
    pub(super) fn shrink(&self, bytes: u64) {
        let less = |now: u64| Some(now.saturating_sub(bytes));
        // Always succeeds: the closure always gives a value.
        let _ = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_is_told_apart_and_nothing_leaks() {
        let caps = Caps::new(&QueueOptions {
            waiting_max: 4,
            waiting_per_key_max: 3,
            disk_bytes_max: 100,
            ..QueueOptions::default()
        });
        let key = |text: &str| KeyDigest::of_key(text.as_bytes()).expect("a key");
        let (one, other) = (key("0123456789abcdef"), key("0123456789abcdeg"));
        for _ in 0..3 {
            caps.take(one, 20).expect("room");
        }
        assert!(matches!(caps.take(one, 20), Err(Refused::ShareSpent)));
        assert!(matches!(caps.take(other, 41), Err(Refused::Disk)));
        caps.take(other, 40).expect("room");
        assert!(matches!(caps.take(other, 0), Err(Refused::Full)));
        assert_eq!((caps.waiting(), caps.bytes()), (4, 100));
        caps.leave(one);
        caps.shrink(20);
        caps.take(one, 20).expect("room again");
        (0..3).for_each(|_| caps.leave(one));
        caps.leave(other);
        assert_eq!((caps.waiting(), caps.owners.len()), (0, 0));
    }
}
