//! Copies of the files of a moment, whole and torn: what a machine that loses its power leaves.

use std::fs;

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{
    crash::{Acknowledged, Committing, check},
    *,
};
use crate::base::chance::Chance;

/// Copies the database and its log while the process that writes them stands still. A copy of files
/// that move would be of no moment at all.
fn copy(committing: &Committing, from: &Path, to: &Path) {
    let pid = Pid::from_raw(committing.child.id() as i32);
    kill(pid, Signal::SIGSTOP).expect("alive");
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("its end, or its stop");
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    for name in ["weir.db", "weir.db-wal"] {
        fs::copy(from.join(name), to.join(name)).expect(name);
    }
    kill(pid, Signal::SIGCONT).expect("alive");
}

#[test]
fn a_copy_of_any_moment_opens_with_all_that_was_acknowledged() {
    let seed = Chance::from_os().next_u64();
    println!("seed {seed}");
    let chance = Chance::seeded(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::new();
    let mut committing = Committing::start(directory.path(), 5);
    let mut found = 0;
    for _ in 0..8 {
        committing.take(1 + chance.below(60), &mut acknowledged);
        // It may be far ahead of what was read of it, and stand still until there is room to tell
        // more: read on, past all that the copy before showed.
        while acknowledged.len() as u64 <= found {
            committing.take(1, &mut acknowledged);
        }
        let copied = tempfile::tempdir().expect("a directory");
        copy(&committing, directory.path(), copied.path());
        let before = found;
        found = check(copied.path(), &acknowledged);
        assert!(found > before, "{found} after {before}");
    }
    committing.kill(&mut acknowledged);
}

#[test]
fn a_torn_log_opens_with_what_stands_before_the_tear() {
    let seed = Chance::from_os().next_u64();
    println!("seed {seed}");
    let chance = Chance::seeded(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let copied = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::new();
    // Nothing is moved out of the log: what is torn off it is gone.
    let mut committing = Committing::start(directory.path(), 0);
    committing.take(80, &mut acknowledged);
    copy(&committing, directory.path(), copied.path());
    committing.kill(&mut acknowledged);
    let whole = fs::read(copied.path().join("weir.db-wal")).expect("a log");
    let mut tears: Vec<usize> = (0..24)
        .map(|_| chance.below(whole.len() as u64) as usize)
        .collect();
    tears.sort_unstable();
    let mut found = 0;
    for tear in tears {
        let mut torn = whole.clone();
        match chance.below(3) {
            0 => torn.truncate(tear),
            1 => torn[tear..].fill(0),
            _ => torn[tear] ^= 1 << chance.below(8),
        }
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("weir.db");
        fs::copy(copied.path().join("weir.db"), file).expect("a copy");
        fs::write(place.path().join("weir.db-wal"), torn).expect("a log");
        let before = found;
        found = check(place.path(), &Acknowledged::new());
        assert!(found >= before, "a later tear leaves no less");
    }
    assert!(found > 0, "not one tear behind the first commit");
    fs::write(copied.path().join("weir.db-wal"), whole).expect("a log");
    assert!(check(copied.path(), &Acknowledged::new()) >= 80);
}
