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
    trust::Trust,
};

/// From one writing to the next. With a step on top it is what a kill may cost: half a minute.
const WRITE_EVERY: Duration = Duration::from_secs(20);

/// The monitor at work.
pub struct Running {
    monitor: Arc<Monitor>,
    sampling: task::JoinHandle<()>,
    /// Dropped, it ends the thread.
    stop: mpsc::Sender<()>,
    writing: JoinHandle<()>,
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
