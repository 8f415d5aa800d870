//! When the disk fails or is slow, nothing is acknowledged that is not on it, nothing that was is
//! lost, direct calls do not notice, and it goes on by itself when the disk is well again.
//!
//! ```text
//! gateway ◀── strace, attached ── fsync fails or takes long, for as long as it is attached
//! ```
//!
//! Needs Linux and strace; where that is missing or may not attach, the tests say so and are skipped.
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Gate, Gateway, PATIENCE, Response, Stop, at_once, holds_within, iris, later,
    later::Caller, pattern, post, problem,
};

/// strace on a running gateway; its disk is well again when this is dropped.
pub(crate) struct Injected(Child);

impl Injected {
    /// Does `fault` to every fsync from now on; `None` where that can't be done.
    fn into(gateway: &Gateway, fault: &str) -> Option<Self> {
        Self::doing(gateway, "fsync,fdatasync", fault, &[])
    }

    /// Does it to these calls, and where files are named only to theirs.
    pub(crate) fn doing(
        gateway: &Gateway,
        calls: &str,
        fault: &str,
        files: &[PathBuf],
    ) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null"]);
        for file in files {
            command.arg("-P").arg(file);
        }
        let child = command
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{fault}")])
            .args(["-p", &gateway.pid().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            println!("skipped: strace is not installed (package strace)");
            return None;
        };
        let mut injected = Self(child);
        let mut refused = false;
        let attached = holds_within(PATIENCE, || {
            refused = injected.0.try_wait().unwrap().is_some();
            refused || traced(gateway.pid())
        });
        if refused {
            println!("skipped: strace may not attach here (ptrace_scope, or a container's limits)");
            return None;
        }
        assert!(attached, "strace did not attach to every thread");
        Some(injected)
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // Asked, so that it detaches and leaves the gateway running.
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.0.wait();
    }
}

/// Whether every thread of a process is being traced.
fn traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        fs::read_to_string(thread.path().join("status"))
            .is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    })
}

/// Checks a refusal for the sake of the disk.
pub(crate) fn refused(answer: &Response, code: &str) {
    assert_eq!(problem(&[503], answer), code);
    let after: u64 = answer.get("retry-after").unwrap().parse().unwrap();
    assert!(after > 0);
}

/// Checks that all of these end with their own bodies.
pub(crate) fn complete(caller: &Caller, ids: &[(String, Vec<u8>)]) {
    for (id, body) in ids {
        caller.ends(id, "completed");
        assert!(caller.result(id).body == *body, "{id} has another's result");
    }
}

/// Bodies of both kinds: in a row, and beyond it.
pub(crate) fn bodies(tag: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| {
            let mut body = format!("{tag} {n}:").into_bytes();
            body.extend(pattern(if n % 2 == 0 { 500 } else { 80_000 }));
            body
        })
        .collect()
}

#[test]
fn a_disk_that_fails_acknowledges_nothing_and_loses_nothing() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 2).start();
    let caller = gateway.caller();
    let mut kept: Vec<_> = bodies("before", 10)
        .into_iter()
        .map(|body| (caller.accepted(&body), body))
        .collect();
    backend.wait_count(2);
    let Some(fault) = Injected::into(&gateway, "error=EIO") else {
        gate.open();
        return;
    };
    for round in 0..3 {
        for (n, body) in bodies("during", 4).iter().enumerate() {
            let answer = caller.submit(&post(), &[], body);
            assert_ne!(answer.status, 202, "acknowledged without a disk");
            refused(&answer, "queue_unavailable");
            let direct = caller.send(&post(), &[], body);
            assert!(direct.status == 200 && direct.body == *body, "{round} {n}");
        }
        // What waits is there, and is not said to have ended.
        for (id, _) in &kept {
            let answer = caller.get(&format!("/async/{id}"));
            if answer.status == 200 {
                assert!(!later::has_ended(&answer.json()), "{}", answer.text());
            } else {
                refused(&answer, "queue_unavailable");
            }
        }
    }
    gateway.wait_metric(
        "weir_async_refused_total",
        &[("reason", "queue_unavailable")],
        |n| n > 11.5,
    );
    drop(fault);
    let body = b"after".to_vec();
    kept.push((caller.accepted_in_the_end(&body), body));
    for (id, _) in &kept {
        assert!(!later::has_ended(&caller.show(id)));
    }
    gate.open();
    complete(&caller, &kept);
    // The refused ones may be there or not; they never are under a name somebody was told.
    gateway.restart(Stop::Kill);
    complete(&gateway.caller(), &kept);
}

#[test]
fn what_ends_while_the_disk_fails_still_ends_once() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 1_000)
        .env("WEIR_QUEUE_LEASE_MS", 5_000)
        .start();
    let caller = gateway.caller();
    let kept: Vec<_> = bodies("running", 6)
        .into_iter()
        .map(|body| (caller.accepted(&body), body))
        .collect();
    backend.wait_count(6);
    let Some(fault) = Injected::into(&gateway, "error=EIO") else {
        gate.open();
        return;
    };
    // Their answers come while nothing can be recorded.
    gate.open();
    let ended = |caller: &Caller| {
        kept.iter().any(|(id, _)| {
            let answer = caller.get(&format!("/async/{id}"));
            answer.status == 200 && later::has_ended(&answer.json())
        })
    };
    assert!(
        !holds_within(Duration::from_millis(500), || ended(&caller)),
        "an end was told that no disk holds"
    );
    drop(fault);
    complete(&caller, &kept);
    let before: Vec<_> = kept.iter().map(|(id, _)| caller.show(id)).collect();
    gateway.restart(Stop::Kill);
    complete(&gateway.caller(), &kept);
    for ((id, _), document) in kept.iter().zip(before) {
        assert_eq!(gateway.caller().show(id), document);
    }
}

#[test]
fn a_gateway_killed_while_its_disk_fails_keeps_what_it_acknowledged() {
    let backend = Backend::echo();
    let mut gateway = later::impatient(Gateway::with(iris(&backend))).start();
    let mut kept = Vec::new();
    for round in 0..3 {
        let caller = gateway.caller();
        for body in bodies(&format!("round {round}"), 6) {
            kept.push((caller.accepted_in_the_end(&body), body));
        }
        let Some(fault) = Injected::into(&gateway, "error=EIO") else {
            return;
        };
        refused(&caller.submit(&post(), &[], b"lost"), "queue_unavailable");
        gateway.signal("KILL");
        gateway.wait_exit(PATIENCE);
        drop(fault);
        gateway.start_again();
    }
    complete(&gateway.caller(), &kept);
}

#[test]
fn a_disk_that_is_slow_makes_answers_late_and_no_less_right() {
    let backend = Backend::echo();
    let mut gateway = later::impatient(Gateway::with(iris(&backend))).start();
    let caller = gateway.caller();
    let delay = Duration::from_millis(200);
    let inject = format!("delay_enter={}", delay.as_micros());
    let Some(fault) = Injected::into(&gateway, &inject) else {
        return;
    };
    let all = bodies("slow", 16);
    let since = Instant::now();
    let told = at_once(16, |n| {
        let since = Instant::now();
        let id = caller.accepted(&all[n]);
        (id, since.elapsed())
    });
    println!("16 at once took {:?}", since.elapsed());
    for (_, late) in &told {
        assert!(
            *late >= delay * 9 / 10,
            "acknowledged after {late:?}, before the disk"
        );
    }
    let since = Instant::now();
    let small = at_once(16, |n| caller.accepted(format!("small {n}").as_bytes()));
    let took_small = since.elapsed();
    println!("16 small ones at once took {took_small:?}");
    // One after another they would wait for the disk 16 times.
    assert!(
        took_small < delay * 10,
        "{took_small:?}: nothing was gathered"
    );
    let direct = gateway.call(&post(), &[AUTH], b"direct");
    assert_eq!(direct.text(), "direct");
    let mut kept: Vec<_> = told.into_iter().map(|(id, _)| id).zip(all).collect();
    let words = (0..16).map(|n| format!("small {n}").into_bytes());
    kept.extend(small.into_iter().zip(words));
    complete(&caller, &kept);
    gateway.signal("KILL");
    gateway.wait_exit(PATIENCE);
    drop(fault);
    gateway.start_again();
    complete(&gateway.caller(), &kept);
    assert_eq!(backend.count(), 33);
}
