//! Deadlines that cost nothing while they are met.
//!
//! Every phase of every exchange has a time limit, and nearly none is ever reached. A timer entry
//! armed and cancelled several times a request would be work for nothing, so a [`Watch`] is a
//! cell with a deadline in it; the worker's [`Watchdog`] looks at all of them every [`TICK`] and
//! wakes the task of one that is past. A deadline is therefore met late by up to one tick.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::base::clock::Tick;

/// How often deadlines are looked at. Limits are given in milliseconds and are seconds in
/// practice; at 20 ms a sweep over 1,000 streams was not visible in a profile.
pub const TICK: Duration = Duration::from_millis(20);

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A request on a kept connection.
    Idle,
    /// The rest of a request's head.
    Head,
    /// The client to take bytes of its answer.
    ClientRead,
    /// The client to send more of its body.
    ClientBody,
    /// A turn at the deployment's gate.
    Turn,
    /// A connection to a backend.
    Connect,
    /// A backend to take bytes of the request.
    BackendRead,
    /// The head of a backend's answer.
    FirstByte,
    /// More of a backend's body.
    BackendBody,
    /// Nothing that has a limit of its own.
    Unlimited,
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// That of a phase.
    Phase(Phase),
    /// That of the whole exchange.
    Total,
}

/// The deadlines of one worker's connections and exchanges.
#[derive(Debug, Default)]
pub struct Watchdog {
    watched: RefCell<Slab<Rc<State>>>,
}

/// One deadline, or rather two: the current phase's and the whole exchange's.
#[derive(Debug)]
pub struct Watch {
    dog: Rc<Watchdog>,
    place: usize,
    state: Rc<State>,
}

#[derive(Debug)]
struct State {
    phase: Cell<Phase>,
    phase_ends: Cell<u64>,
    total_ends: Cell<u64>,
    /// A sweep found a limit passed. The clock is looked at only then.
    due: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

const NEVER: u64 = u64::MAX;

// === impl Watchdog ===

impl Watchdog {
    /// A new watch without a deadline.
    pub fn watch(self: &Rc<Self>) -> Rc<Watch> {
        let state = Rc::new(State {
            phase: Cell::new(Phase::Unlimited),
            phase_ends: Cell::new(NEVER),
            total_ends: Cell::new(NEVER),
            due: Cell::new(false),
            waker: RefCell::default(),
        });
        let place = self.watched.borrow_mut().insert(Rc::clone(&state));
        Rc::new(Watch {
            dog: Rc::clone(self),
            place,
            state,
        })
    }

    /// Wakes the tasks whose deadline is past.
    pub fn sweep(&self, now: Tick) {
        for (_, state) in &*self.watched.borrow() {
            if state.next_end() <= now.as_ns() {
                state.due.set(true);
                state.wake();
            }
        }
    }

    /// Wakes every task that is watched, so that it looks around: the worker drains.
    pub fn wake_all(&self) {
        for (_, state) in &*self.watched.borrow() {
            state.wake();
        }
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        self.watched.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Watch ===

impl Watch {
    /// Enters a phase that may last `limit_ms` from now on; its predecessor's deadline is gone.
    pub fn enter(&self, phase: Phase, limit_ms: u64) {
        self.enter_at(phase, limit_ms, Tick::coarse());
    }

    /// The same for a caller who knows the time.
    pub fn enter_at(&self, phase: Phase, limit_ms: u64, now: Tick) {
        self.state.phase.set(phase);
        self.state.phase_ends.set(now.plus_ms(limit_ms).as_ns());
    }

    /// Gives the phase its time anew: something moved.
    pub fn renew(&self, limit_ms: u64) {
        let ends = Tick::coarse().plus_ms(limit_ms);
        self.state.phase_ends.set(ends.as_ns());
    }

    /// Ends the phase; nothing takes its place.
    pub fn rest(&self) {
        self.state.phase.set(Phase::Unlimited);
        self.state.phase_ends.set(NEVER);
    }

    /// Limits everything from now until [`Watch::end_total`].
    pub fn start_total(&self, limit_ms: u64, now: Tick) {
        self.state.total_ends.set(now.plus_ms(limit_ms).as_ns());
    }

    /// Lifts the total limit.
    pub fn end_total(&self) {
        self.state.total_ends.set(NEVER);
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.state.phase.get()
    }

    /// Wakes the task that waits.
    pub fn wake(&self) {
        self.state.wake();
    }

    /// The limit that was passed, if one was; otherwise the task of `cx` is woken when one is.
    pub fn check(&self, cx: &Context<'_>) -> Option<Expired> {
        let mut waker = self.state.waker.borrow_mut();
        match &mut *waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            slot => *slot = Some(cx.waker().clone()),
        }
        drop(waker);
        if self.state.due.get() {
            return self.expired(Tick::coarse());
        }
        None
    }

    /// The same for the body of an answer that is being asked for more: being asked says that the
    /// client has taken what there was.
    pub fn check_asked(&self, cx: &Context<'_>) -> Option<Expired> {
        self.check(cx)
            .filter(|expired| *expired != Expired::Phase(Phase::ClientRead))
    }

    fn expired(&self, now: Tick) -> Option<Expired> {
        if self.state.phase_ends.get() <= now.as_ns() {
            Some(Expired::Phase(self.state.phase.get()))
        } else if self.state.total_ends.get() <= now.as_ns() {
            Some(Expired::Total)
        } else {
            // The limit was lifted, or something moved, before the task came to look.
            self.state.due.set(false);
            None
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.dog.watched.borrow_mut().try_remove(self.place);
    }
}

pin_project! {
    /// A future that ends with the limit that passes first, if one does.
    pub struct Within<'a, F> {
        watch: &'a Watch,
        #[pin]
        future: F,
    }
}

/// Runs a future until a limit of `watch` passes.
pub fn within<F: Future>(watch: &Watch, future: F) -> Within<'_, F> {
    Within { watch, future }
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Result<F::Output, Expired>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.watch.check(cx) {
            Some(expired) => Poll::Ready(Err(expired)),
            None => this.future.poll(cx).map(Ok),
        }
    }
}

// === impl State ===

impl State {
    fn next_end(&self) -> u64 {
        self.phase_ends.get().min(self.total_ends.get())
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_deadline_wakes_its_task_and_says_which_it_was() {
        let dog = Rc::new(Watchdog::default());
        let watch = dog.watch();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        assert_eq!(watch.check(&cx), None);

        watch.enter(Phase::FirstByte, 1_000);
        dog.sweep(Tick::coarse());
        assert_eq!(
            (watch.check(&cx), count.0.load(Ordering::Relaxed)),
            (None, 0)
        );

        watch.enter(Phase::FirstByte, 0);
        dog.sweep(Tick::coarse());
        assert_eq!(watch.check(&cx), Some(Expired::Phase(Phase::FirstByte)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);

        watch.rest();
        watch.start_total(0, Tick::from_ns(1));
        dog.sweep(Tick::coarse());
        assert_eq!(watch.check(&cx), Some(Expired::Total));
        watch.end_total();
        assert_eq!(watch.check(&cx), None);

        drop(watch);
        assert!(dog.is_empty());
    }
}
