//! A full disk refuses what is new and nothing else, and accepting goes on by itself once there is
//! room.
//!
//! Needs Linux and the right to mount a tmpfs; without it the tests say so and are skipped.
#![cfg(target_os = "linux")]

use std::{fs, io::Write, path::Path, path::PathBuf, process::Command, process::Stdio, thread};

use tempfile::TempDir;

use crate::{
    async_faults::{bodies, complete, refused},
    support::{
        Gate, Gateway, PATIENCE, Stop, eventually, iris, later, later::Caller, later::WHOLE_LIFE,
        pattern, post, want,
    },
};

/// A small file system of its own, gone when this is dropped.
struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    fn of(mib: usize) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { dir });
        }
        println!("skipped: a tmpfs can't be mounted here (needs CAP_SYS_ADMIN)");
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}

/// A file that takes up room until it is dropped.
struct Ballast(PathBuf);

impl Ballast {
    /// So many bytes, or all there is.
    fn of(disk: &Tmpfs, name: &str, bytes: usize) -> Self {
        let path = disk.path().join(name);
        let mut file = fs::File::create(&path).unwrap();
        let piece = vec![0_u8; 4_096];
        for _ in 0..bytes / piece.len() {
            if file.write_all(&piece).is_err() {
                break;
            }
        }
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Submits bodies of this size until the disk is full; what was accepted.
fn fill(caller: &Caller, tag: &str, size: usize) -> Vec<(String, Vec<u8>)> {
    let mut kept = Vec::new();
    loop {
        let mut body = format!("{tag} {}:", kept.len()).into_bytes();
        body.extend(pattern(size));
        let answer = caller.submit(&post(), &[], &body);
        if answer.status != 202 {
            refused(&answer, "queue_disk_full");
            return kept;
        }
        kept.push((later::whole_document(&answer.json()), body));
        assert!(kept.len() < 50_000, "the disk never fills");
    }
}

#[test]
fn a_full_disk_refuses_reads_on_and_accepts_again_by_itself() {
    let Some(disk) = Tmpfs::of(48) else { return };
    let ballast = Ballast::of(&disk, "ballast", 24 << 20);
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 1)
        .env("WEIR_DATA_DIR", disk.path().join("data").display())
        .start();
    let caller = gateway.caller();
    let first = caller.accepted(b"first");
    backend.wait_count(1);
    gate.step();
    caller.ends(&first, "completed");
    let large = fill(&caller, "large", 500_000);
    assert!(!large.is_empty());
    let small = fill(&caller, "small", 1_000);
    let metric = [("reason", "queue_disk_full")];
    gateway.wait_metric("weir_async_refused_total", &metric, |n| n > 1.5);
    // It reads, ends and answers directly as before.
    assert_eq!(caller.result(&first).text(), "first");
    assert!(caller.list("limit=200").len() > large.len());
    let direct = caller.send(&post(), &[], &pattern(300_000));
    assert_eq!(direct.status, 200);
    let (cancelled, rest) = large.split_at(large.len() / 2);
    for (id, _) in cancelled {
        // The first of them is running.
        let answer = caller.cancel(id);
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
        assert_eq!(answer.json()["status"], "cancelled");
    }
    for (id, _) in cancelled {
        caller.ends(id, "cancelled");
    }
    drop(ballast);
    let body = b"again".to_vec();
    let again = (caller.accepted_in_the_end(&body), body);
    gate.open();
    let mut kept = rest.to_vec();
    kept.extend(small);
    kept.push(again);
    complete(&caller, &kept);
    gateway.restart(Stop::Kill);
    let caller = gateway.caller();
    complete(&caller, &kept[..kept.len().min(20)]);
    for (id, _) in cancelled {
        caller.ends(id, "cancelled");
    }
    assert_eq!(caller.list("status=cancelled").len(), cancelled.len());
    assert_eq!(
        caller.list("limit=200").len(),
        1 + kept.len() + cancelled.len()
    );
    // Before its directory is unmounted.
    drop(gateway);
}

#[test]
fn a_disk_that_others_fill_stops_accepting_and_nothing_else() {
    let Some(disk) = Tmpfs::of(32) else { return };
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 2)
        .env("WEIR_DATA_DIR", disk.path().join("data").display())
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 100_000)
        .env("WEIR_QUEUE_LEASE_MS", 5_000)
        .start();
    let caller = gateway.caller();
    let kept: Vec<_> = bodies("before", 8)
        .into_iter()
        .map(|body| (caller.accepted(&body), body))
        .collect();
    backend.wait_count(2);
    let ballast = Ballast::of(&disk, "ballast", usize::MAX);
    refused(
        &caller.submit(&post(), &[], &pattern(1 << 20)),
        "queue_disk_full",
    );
    fill(&caller, "during", 10_000);
    for (id, _) in &kept {
        assert!(!later::has_ended(&caller.show(id)));
    }
    assert_eq!(caller.send(&post(), &[], b"direct").text(), "direct");
    // What runs has answers that there is no room for.
    gate.open();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| complete(&caller, &kept));
        eventually(PATIENCE, "it goes on reading", || {
            caller.get(&format!("/async/{}", kept[0].0)).status == 200
        });
        drop(ballast);
        waiting.join().unwrap();
    });
    eventually(WHOLE_LIFE, "accepting goes on", || {
        caller.submit(&post(), &[], b"again").status == 202
    });
    gateway.restart(Stop::Kill);
    complete(&gateway.caller(), &kept);
    want(200, &gateway.caller().get("/async?limit=1"));
    drop(gateway);
}
