//! A runner: a thread that makes the attempts at async requests, with connections to backends of its
//! own. What it does for an attempt is what a worker does for a call: the same pools, the same
//! picking, the same figures.
//!
//! ```text
//! queue ──Work──▶ attempt ──▶ conclude
//!    ▲ beats, from this thread   └ told to stop: dropped, and with it the backend's connection
//! ```

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use slab::Slab;
use tokio::{
    runtime::{LocalOptions, LocalRuntime},
    time::Instant,
};

use super::attempt::attempt;
use crate::{
    base::task::{self},
    gateway::{
        local::Local,
        worker::{Figures, Shared, tick_until},
    },
    net::watch::TICK,
    queue::{Held, Queue, Works},
};

/// How long the ends of attempts that were given back may take to be recorded.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A running runner.
#[derive(Debug)]
pub struct Runner {
    thread: thread::JoinHandle<()>,
}

/// The attempts of a runner.
struct Begun {
    held: RefCell<Slab<Arc<Held>>>,
    /// Whether the queue may hand out more: what it is just leasing counts as begun.
    more: Cell<bool>,
}

/// An attempt's place among them. It is left by a panic too, so that a request whose attempt is no
/// more is not held by beats.
struct Place {
    begun: Rc<Begun>,
    at: usize,
}

impl Begun {
    fn enter(self: &Rc<Self>, held: Arc<Held>) -> Place {
        Place {
            begun: Rc::clone(self),
            at: self.held.borrow_mut().insert(held),
        }
    }

    fn is_over(&self) -> bool {
        !self.more.get() && self.held.borrow().is_empty()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.begun.held.borrow_mut().try_remove(self.at);
    }
}

// === impl Runner ===

impl Runner {
    /// Starts a runner on a thread of its own. `index` is its place among the shared figures.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        index: usize,
        shared: Shared,
        queue: Arc<Queue>,
        works: Works,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name("async".into()).spawn(move || {
            if let Err(error) = run(index, &shared, queue, works) {
                tracing::error!(%error, "runner of async requests ended");
            }
        })?;
        Ok(Self { thread })
    }

    /// Waits until it has drained.
    pub fn join(self) {
        // A panic was logged by its task; there is nothing left to do about it.
        let _ = self.thread.join();
    }
}

fn run(index: usize, shared: &Shared, queue: Arc<Queue>, works: Works) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    let runtime: LocalRuntime = builder.build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let local = Local::of(shared);
        let figures: &Figures = &shared.figures[index];
        let begun = Rc::new(Begun {
            held: RefCell::default(),
            more: Cell::new(true),
        });
        task::spawn_local(
            "async attempts",
            take(
                Rc::clone(&local),
                Arc::clone(&queue),
                works,
                Rc::clone(&begun),
            ),
        );
        task::spawn_local("async beats", beat(Arc::clone(&queue), Rc::clone(&begun)));
        let mut drain = shared.drain.clone();
        tick_until(&local, figures, async {
            // An error means that the sender is gone, and with it everything else.
            let _ = drain.wait_for(|&drain| drain).await;
        })
        .await;
        local.draining.set(true);
        let idle_by = async |deadline: Instant| {
            while !begun.is_over() && Instant::now() < deadline {
                tokio::time::sleep(TICK / 4).await;
            }
        };
        let grace = Duration::from_millis(local.options.grace_ms);
        tick_until(&local, figures, idle_by(Instant::now() + grace)).await;
        if !begun.is_over() {
            let left = begun.held.borrow().len();
            tracing::info!(requests = left, "grace is over, giving async requests back");
            queue.give_back();
            tick_until(&local, figures, idle_by(Instant::now() + LAST_WORDS)).await;
        }
        local.teller.flush();
        local.mirror.pairs.flush();
        Ok(())
    })
}

/// Begins what the queue hands out.
async fn take(local: Rc<Local>, queue: Arc<Queue>, works: Works, begun: Rc<Begun>) {
    while let Some(work) = works.next().await {
        let (local, queue) = (Rc::clone(&local), Arc::clone(&queue));
        let place = begun.enter(work.held());
        task::spawn_local("async attempt", async move {
            let _place = place;
            let attempted = attempt(&local, &queue, &work).await;
            queue.conclude(&work, attempted).await;
        });
    }
    begun.more.set(false);
}

/// Shows the queue that its attempts are alive: from this thread, so that one that hangs does not.
async fn beat(queue: Arc<Queue>, begun: Rc<Begun>) {
    let mut beats = tokio::time::interval(queue.beat_every());
    loop {
        beats.tick().await;
        let held: Vec<Arc<Held>> = begun
            .held
            .borrow()
            .iter()
            .map(|(_, held)| Arc::clone(held))
            .collect();
        queue.beat(&held).await;
    }
}
