//! What the parts of a request's way cost, each beside the plain version of itself:
//! `cargo bench --bench parts [-- NAME]`, under a minute for all.
//!
//! Each is named for a question. The plain version is what one would write first; where it is as
//! good, the clever one should go. `tests/allocations.rs` counts what a request allocates.

mod heads;
mod keys;
mod pools;
mod snapshots;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use criterion::Criterion;

fn main() {
    // Short: these tell factors apart, and a factor shows at once.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
        .configure_from_args();
    keys::bench(&mut criterion);
    heads::bench(&mut criterion);
    snapshots::bench_route(&mut criterion);
    pools::bench(&mut criterion);
    snapshots::bench_build(&mut criterion);
    snapshots::bench_publish(&mut criterion);
    criterion.final_summary();
}

/// Another thread that does something again and again until it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Busy {
    fn with(mut turn: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                turn();
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panicked already if this fails, and has said so.
            let _ = thread.join();
        }
    }
}
