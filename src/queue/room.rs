//! How much room the disk has left. Some of it is kept for what was accepted already: leasing, ending
//! and calling off need room too, and they go on when accepting has stopped.
//!
//! ```text
//! free ──▶ below the reserve: nothing more is accepted
//!      └─▶ nothing at all, others took it: the ballast, a file of ours, is given up for what has to end
//!                                          and made again once there is room
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::spill::BALLAST;
use crate::base::clock::Tick;

/// Room for some thousand ends and their log; a store's log is cut to twice that.
const BALLAST_BYTES: u64 = 4 << 20;

/// How old an answer of the system may be, in nanoseconds.
const FRESH_NS: u64 = 50_000_000;

/// The disk that the queue's directory is on.
#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    reserve: u64,
    free: AtomicU64,
    asked_ns: AtomicU64,
    /// Whether the ballast is there.
    ballast: AtomicBool,
}

// === impl Room ===

impl Room {
    pub(super) fn new(directory: &Path, reserve: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            reserve,
            free: AtomicU64::new(u64::MAX),
            asked_ns: AtomicU64::new(0),
            ballast: AtomicBool::new(false),
        }
    }

    /// Gives the ballast up, for what has to be written though there is no room. False when there is
    /// none. Relaxed, here and below: whoever loses a race finds the file as the other left it.
    pub(super) fn give_up_ballast(&self) -> bool {
        if !self.ballast.swap(false, Ordering::Relaxed) {
            return false;
        }
        tracing::warn!("the disk is full, its ballast is given up for what has to end");
        fs::remove_file(self.path()).is_ok()
    }

    /// Makes the ballast, unless it is there or would take the last room. Blocks on the disk.
    pub(super) fn take_ballast(&self) {
        if self.reserve == 0 || self.ballast.load(Ordering::Relaxed) {
            return;
        }
        if self.ask() < self.reserve.saturating_add(BALLAST_BYTES) {
            return;
        }
        match self.make_ballast() {
            Ok(()) => self.ballast.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::debug!(%error, "no ballast");
                let _ = fs::remove_file(self.path());
            }
        }
    }

    fn make_ballast(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file: File = options.open(self.path())?;
        fallocate(&file, FallocateFlags::empty(), 0, BALLAST_BYTES)?;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.join(BALLAST)
    }

    /// Whether so many bytes more leave the reserve untouched.
    pub(super) fn has(&self, bytes: u64) -> bool {
        let now_ns = Tick::coarse().as_ns();
        // Relaxed: two threads that ask at once get the same answer twice.
        if now_ns.saturating_sub(self.asked_ns.load(Ordering::Relaxed)) > FRESH_NS {
            self.asked_ns.store(now_ns, Ordering::Relaxed);
            self.free.store(self.ask(), Ordering::Relaxed);
        }
        let free = self.free.load(Ordering::Relaxed);
        let left = free.saturating_sub(bytes);
        let has = left >= self.reserve || self.reserve == 0;
        if has {
            // What is taken since the answer counts too; a rough figure between two answers.
            self.free.store(left, Ordering::Relaxed);
        }
        has
    }

    fn ask(&self) -> u64 {
        match statvfs(&self.directory) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            // A system that can't say does not stop anybody; the write itself will.
            Err(_) => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let room = Room::new(directory.path(), 1);
        assert!(room.has(1_000));
        assert!(!room.has(u64::MAX));
        assert!(room.has(1_000), "who is refused takes nothing");
        let all = Room::new(directory.path(), u64::MAX - 1);
        assert!(!all.has(0));
        assert!(Room::new(directory.path(), 0).has(u64::MAX));
    }

    #[test]
    fn ballast_is_made_given_up_and_made_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let room = Room::new(directory.path(), 1);
        let size = || fs::metadata(room.path()).map(|file| file.len()).ok();
        assert!(!room.give_up_ballast());
        for _ in 0..2 {
            room.take_ballast();
            assert_eq!(size(), Some(BALLAST_BYTES));
            assert!(room.give_up_ballast() && !room.give_up_ballast());
            assert_eq!(size(), None);
        }
        let none = Room::new(directory.path(), u64::MAX - 1);
        none.take_ballast();
        assert_eq!(size(), None);
    }
}
