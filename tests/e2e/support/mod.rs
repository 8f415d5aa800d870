//! What the suite is made of: a gateway process, scripted backends, clients that see every byte.
//!
//! ```text
//!  RawClient / H2Client ──▶ Gateway (the built binary) ──▶ Backend / H2Backend (scripted)
//!                  Admin ──▶
//! ```
//!
//! Threads and blocking sockets on purpose: a script reads from top to bottom, and the harness
//! shares no runtime, parser or pool with what it tests.

pub(crate) mod admin;
pub(crate) mod backend;
pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod declare;
pub(crate) mod duel;
pub(crate) mod events;
pub(crate) mod gateway;
pub(crate) mod h2;
pub(crate) mod hmac;
pub(crate) mod http1;
pub(crate) mod later;
pub(crate) mod load;
pub(crate) mod log_lines;
pub(crate) mod metrics;
pub(crate) mod own;
pub(crate) mod raw;
pub(crate) mod raw_h2;
pub(crate) mod running;
pub(crate) mod screen;
pub(crate) mod smtp;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tls_backend;

use std::{
    sync::{
        Arc, Barrier, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) use admin::{Admin, at, problem, version, want};
pub(crate) use backend::{Backend, Conn, Next, Nowhere};
pub(crate) use cli::Cli;
pub(crate) use client::{RawClient, Response};
pub(crate) use declare::{Declarations, Deployment, deployment, key};
pub(crate) use duel::Duel;
pub(crate) use events::Events;
pub(crate) use gateway::{Gateway, Stop};
pub(crate) use http1::{Ended, Head};

/// The longest any step of a test may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// What a promise of 50 ms is held to here: the promise, and slack for a machine whose cores also
/// run the rest of this suite.
pub(crate) const HANGUP_BOUND: Duration = Duration::from_millis(50 + 250);

/// A key of the project `demo`.
pub(crate) const KEY: &str = "wk_demo_0123456789abcdefghijklmnopqrstuv";

/// The header that presents it.
pub(crate) const AUTH: (&str, &str) = ("x-api-key", KEY);

/// The deployment most tests call.
pub(crate) const PREDICT: &str = "/predict/demo/iris";

/// The request line most tests send.
pub(crate) fn post() -> String {
    format!("POST {PREDICT}")
}

/// `demo/iris` on one backend, and [`KEY`].
pub(crate) fn iris(backend: &Backend) -> Declarations {
    Declarations::new()
        .with(deployment("demo/iris").backend(backend))
        .with(key(KEY, "demo"))
}

/// Polls `cond` until it holds.
///
/// # Panics
/// When it still does not hold after `limit`.
#[track_caller]
pub(crate) fn eventually(limit: Duration, what: &str, mut cond: impl FnMut() -> bool) {
    assert!(
        holds_within(limit, &mut cond),
        "not within {limit:?}: {what}"
    );
}

/// Whether `cond` comes to hold within `limit`.
pub(crate) fn holds_within(limit: Duration, mut cond: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if cond() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A body whose every position is recognisable, so that a shifted or repeated piece shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What `n` threads get when they ask at the same moment.
pub(crate) fn at_once<T: Send>(n: usize, ask: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(n);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..n)
            .map(|i| {
                let (start, ask) = (&start, &ask);
                scope.spawn(move || {
                    start.wait();
                    ask(i)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Sets a flag when the test's part ends, however it ends, so that a failure leaves no thread working.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A door that a script waits at until the test opens it; it stays open.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<u64>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = u64::MAX;
        self.0.1.notify_all();
    }

    /// Lets one waiter through.
    pub(crate) fn step(&self) {
        let mut permits = self.0.0.lock().unwrap();
        *permits = permits.saturating_add(1);
        self.0.1.notify_all();
    }

    /// Waits for the door; whether it opened before the suite's patience ran out.
    pub(crate) fn wait(&self) -> bool {
        let permits = self.0.0.lock().unwrap();
        let (mut permits, timeout) = self
            .0
            .1
            .wait_timeout_while(permits, PATIENCE, |permits| *permits == 0)
            .unwrap();
        if *permits != u64::MAX && *permits > 0 {
            *permits -= 1;
        }
        !timeout.timed_out()
    }
}
