//! What drives it: a task that ends steps when the clock says so, and a thread that writes.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::task;

use super::{Monitor, level::STEP_MS};
use crate::base::{
    clock::{Tick, unix_ms},
    task::spawn,
};

/// From one writing to the next. With a step on top it is what a kill may cost: half a minute.
const WRITE_EVERY: Duration = Duration::from_secs(20);
/// When the wall's clock has moved by so much more or less than time has passed, it was set.
const SET_MS: u64 = 60_000;
/// For how long a clock that was set is not trusted with what is too old: one that was wrong is often
/// set again soon, and what was forgotten meanwhile would be gone.
const CALM_MS: u64 = 600_000;

/// The monitor at work.
pub struct Running {
    monitor: Arc<Monitor>,
    sampling: task::JoinHandle<()>,
    /// Dropped, it ends the thread.
    stop: mpsc::Sender<()>,
    writing: JoinHandle<()>,
}

/// Whether the wall's clock can be trusted.
struct Trust {
    wall_ms: u64,
    tick: Tick,
    calm_at: Tick,
}

// === impl Running ===

impl Running {
    /// Starts on the runtime of this thread.
    ///
    /// # Errors
    /// When the system has no thread.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn start(monitor: Arc<Monitor>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let mine = Arc::clone(&monitor);
        let writing = thread::Builder::new()
            .name("monitoring".into())
            .spawn(move || {
                let mut trust = Trust::new(unix_ms(), Tick::now());
                while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(WRITE_EVERY) {
                    let now_ms = unix_ms();
                    let may_forget = trust.is_calm(now_ms, Tick::now());
                    mine.write(now_ms, may_forget);
                }
            })?;
        let mine = Arc::clone(&monitor);
        let sampling = spawn("monitoring", async move {
            loop {
                let left_ms = STEP_MS - unix_ms() % STEP_MS;
                tokio::time::sleep(Duration::from_millis(left_ms)).await;
                mine.sample(unix_ms());
            }
        });
        Ok(Self {
            monitor,
            sampling,
            stop,
            writing,
        })
    }

    /// Ends the running step and writes down what there is. Blocks for as long as the disk takes.
    pub fn stop(self) {
        self.sampling.abort();
        drop(self.stop);
        // A thread that panicked has said so; what is left is written below.
        let _ = self.writing.join();
        self.monitor.finish(unix_ms());
    }
}

// === impl Trust ===

impl Trust {
    fn new(wall_ms: u64, tick: Tick) -> Self {
        Self {
            wall_ms,
            tick,
            calm_at: tick,
        }
    }

    fn is_calm(&mut self, wall_ms: u64, tick: Tick) -> bool {
        let passed_ms = tick.ns_since(self.tick) / 1_000_000;
        if wall_ms.abs_diff(self.wall_ms + passed_ms) > SET_MS {
            self.calm_at = tick.plus_ms(CALM_MS);
        }
        (self.wall_ms, self.tick) = (wall_ms, tick);
        tick >= self.calm_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_trusted_for_a_while() {
        let at = |ms| Tick::default().plus_ms(ms);
        let mut trust = Trust::new(1_000_000, at(0));
        assert!(trust.is_calm(1_020_000, at(20_000)));
        // A day ahead, and back.
        assert!(!trust.is_calm(87_440_000, at(40_000)));
        assert!(!trust.is_calm(1_060_000, at(60_000)));
        assert!(!trust.is_calm(1_640_000, at(640_000)));
        assert!(trust.is_calm(1_680_000, at(680_000)));
    }
}
