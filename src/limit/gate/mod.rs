//! The gate before a deployment's backends: so many exchanges at once, the others wait for a turn, and
//! who would wait too long is told so at once.
//!
//! ```text
//! enter ──room, nobody waits: one compare-and-set──▶ Turn ──dropped──▶ leave ─┐
//!   └─ else, behind a short lock ──▶ judge: full, too long ──▶ NoTurn         │ somebody waits: the
//!                                      └──▶ Line, by class ◀── handed on ─────┘ turn goes straight to them
//! ```
//!
//! An exchange holds its turn to its last byte: a stream occupies a backend for as long as it lasts. How
//! many turns there are is declared, or found out (`adaptive`).

mod adaptive;
mod entry;
mod line;
mod meters;
#[cfg(test)]
mod odd_loads;
mod pace;
#[cfg(test)]
mod simulation;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod wait;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use adaptive::Adaptive;
pub use entry::{Entry, NoTurn, Why};
use line::{Line, Waiter};
use meters::Meters;
use pace::{Hold, Pace};
pub use standing::{GateStanding, TurnedAway};
use state::{ONE_WAITS, taken, waiting};
pub use turn::Turn;
pub use wait::Waiting;

use crate::{
    base::{clock::Tick, name::DeploymentName},
    spec::{OverloadSpec, Priority},
};

/// What is told to come again is told a time within these bounds, in milliseconds.
const RETRY_MS_MAX: u64 = 60_000;

/// A deployment's gate, shared by all workers. Handed on from one snapshot to the next, with who is
/// inside, who waits, and what it has learned.
#[derive(Debug)]
pub struct Gate {
    /// Those who wait in the upper half, turns taken in the lower one. Who waits is changed behind the
    /// lock only; turns are taken and left without it while nobody waits.
    state: AtomicU64,
    /// How many turns there are now.
    limit: AtomicU32,
    /// How long a turn is held, smoothed.
    hold: Hold,
    inner: Mutex<Inner>,
    /// What finds the limit out. Apart from the rest, so that who measures stands in nobody's way.
    adaptive: Mutex<Option<Adaptive>>,
    meters: Meters,
}

#[derive(Debug)]
struct Inner {
    spec: OverloadSpec,
    line: Line,
    pace: Pace,
}

// === impl Gate ===

impl Gate {
    /// A gate as declared. Where there was one before it is that one, with its rules changed: who is
    /// inside stays inside, who waits stays in line.
    pub fn new(spec: OverloadSpec, before: Option<&Arc<Self>>) -> Arc<Self> {
        if let Some(before) = before {
            before.declare(spec);
            return Arc::clone(before);
        }
        let adaptive = spec.adaptive.then(|| Adaptive::new(&spec));
        let limit = adaptive
            .as_ref()
            .map_or(spec.concurrency_max, Adaptive::limit);
        Arc::new(Self {
            state: AtomicU64::new(0),
            limit: AtomicU32::new(limit),
            hold: Hold::default(),
            inner: Mutex::new(Inner {
                spec,
                line: Line::default(),
                pace: Pace::default(),
            }),
            adaptive: Mutex::new(adaptive),
            meters: Meters::default(),
        })
    }

    /// Applies other rules to it.
    fn declare(&self, spec: OverloadSpec) {
        let mut inner = self.lock();
        if inner.spec == spec && self.limit() != u32::MAX {
            return;
        }
        inner.spec = spec;
        drop(inner);
        let mut adaptive = self.adaptive.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = match (&mut *adaptive, spec.adaptive) {
            (Some(learned), true) => learned.declare(&spec),
            (slot, true) => slot.insert(Adaptive::new(&spec)).limit(),
            (slot, false) => {
                *slot = None;
                spec.concurrency_max
            }
        };
        // Behind what finds the limit out: it must not set another one now.
        self.set_limit(limit, Tick::now());
    }

    /// Lets everybody through: the deployment is to have no gate any more.
    pub fn lift(&self) {
        let mut adaptive = self.adaptive.lock().unwrap_or_else(PoisonError::into_inner);
        *adaptive = None;
        self.set_limit(u32::MAX, Tick::now());
        // Behind the limit, which says that there is nothing to show.
        self.meters.hide();
    }

    /// How it stands.
    pub fn standing(&self) -> GateStanding {
        let state = self.state.load(Ordering::Relaxed);
        GateStanding {
            limit: self.limit(),
            in_flight: taken(state),
            waiting: waiting(state),
            refused: self.meters.turned_away(),
        }
    }

    /// Takes a turn, or a place in the line, whichever there is.
    pub fn enter(self: &Arc<Self>, priority: Priority, now: Tick) -> Entry {
        match self.take(now) {
            Some(turn) => Entry::Turn(turn),
            None => self.line_up(priority, now),
        }
    }

    /// How many more of a class would be let in or in line now, so that one who can wait elsewhere need
    /// not come: all turns that are free, one place in the line where it moves quickly enough, or none.
    pub fn room(&self, priority: Priority, now: Tick) -> u32 {
        let state = self.state.load(Ordering::Relaxed);
        let free = self.limit().saturating_sub(taken(state));
        if waiting(state) == 0 && free > 0 {
            return free;
        }
        let inner = self.lock();
        let may_wait =
            inner.line.len_of(priority) == 0 && self.judge(&inner, priority, now).is_ok();
        u32::from(may_wait && inner.line.len() < inner.spec.queue_max as usize)
    }

    /// Counts a refusal under the deployment's name.
    pub fn count_refused(&self, name: &DeploymentName, priority: Priority, why: Why) {
        self.meters.refused(name, priority, why);
    }

    /// Shows its figures under the deployment's name. Called by control, every so often.
    pub fn show(&self, name: &DeploymentName) {
        let standing = || (self.limit() != u32::MAX).then(|| self.standing());
        self.meters.show(name, standing);
    }

    /// The longest that somebody may wait, in milliseconds.
    pub fn patience_ms(&self) -> u64 {
        self.lock().spec.queue_timeout_ms
    }

    fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing behind it can be left half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn if one is free and nobody waits for it.
    fn take(self: &Arc<Self>, now: Tick) -> Option<Turn> {
        let mut state = self.state.load(Ordering::Relaxed);
        while waiting(state) == 0 && taken(state) < self.limit() {
            // Relaxed: a turn guards no memory, only a number.
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, state + 1, set, get) {
                Ok(_) => return Some(self.turn(now)),
                Err(other) => state = other,
            }
        }
        None
    }

    fn turn(self: &Arc<Self>, since: Tick) -> Turn {
        Turn {
            gate: Arc::clone(self),
            since,
        }
    }

    #[cold]
    fn line_up(self: &Arc<Self>, priority: Priority, now: Tick) -> Entry {
        self.measure(now, |adaptive| adaptive.tick(now));
        let mut inner = self.lock();
        loop {
            // Whoever leaves while this is counted as waiting comes to the lock, and finds it in line:
            // no turn is lost between the two.
            if let Some(turn) = self.take(now) {
                return Entry::Turn(turn);
            }
            if let Err(retry_ms) = self.judge(&inner, priority, now) {
                let why = Why::TooLong;
                return Entry::No(NoTurn { why, retry_ms });
            }
            let is_full = inner.line.len() >= inner.spec.queue_max as usize;
            if is_full && !inner.line.has_below(priority) {
                let why = Why::Full;
                let retry_ms = self.retry_ms(&inner, priority);
                return Entry::No(NoTurn { why, retry_ms });
            }
            let state = self.state.load(Ordering::Relaxed);
            if waiting(state) == 0 && taken(state) < self.limit() {
                continue;
            }
            if is_full {
                let displaced = inner.line.displace(priority);
                let (place, waiter) = inner.line.push(priority, now);
                let retry_ms = self.retry_ms(&inner, Priority::Bulk);
                drop(inner);
                if let Some(displaced) = displaced {
                    displaced.refuse(retry_ms);
                }
                return Entry::Wait(Waiting::new(self, priority, place, waiter));
            }
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            let counted = self
                .state
                .compare_exchange(state, state + ONE_WAITS, set, get);
            if counted.is_ok() {
                if inner.line.len() == 0 {
                    inner.pace.begin(now);
                }
                let (place, waiter) = inner.line.push(priority, now);
                return Entry::Wait(Waiting::new(self, priority, place, waiter));
            }
        }
    }

    /// Whether somebody who comes now would wait for too long; then, after how many milliseconds it may
    /// be worth coming again.
    fn judge(&self, inner: &Inner, priority: Priority, now: Tick) -> Result<(), u64> {
        let wait_ns = self.wait_ns(inner, priority, now);
        // Not to the last moment: the estimate is a mean, and who is refused at the end of the line has
        // waited for nothing. At three quarters 3.5 % of refusals came late where one request in ten takes
        // fifty times as long as the others, and p99 was 838 ms of a second's patience; at half 0.1 %, and
        // 610.
        let patience_ns = inner.spec.queue_timeout_ms as f64 * 1e6 * 0.5;
        match wait_ns > patience_ns {
            true => Err(retry(wait_ns)),
            false => Ok(()),
        }
    }

    fn wait_ns(&self, inner: &Inner, priority: Priority, now: Tick) -> f64 {
        let ahead = inner.line.ahead(priority);
        let modelled = self.hold.ns() / f64::from(self.limit().max(1));
        match inner.line.len() {
            // What waits took before says nothing of a line that is yet to begin: with few turns that are
            // held for long one wait in vain would turn everybody away for seconds.
            0 => modelled,
            _ => inner.pace.wait_ns(priority, ahead, modelled, now),
        }
    }

    fn retry_ms(&self, inner: &Inner, priority: Priority) -> u64 {
        let ahead = inner.line.ahead(priority) as f64;
        retry(ahead * self.hold.ns() / f64::from(self.limit().max(1)))
    }

    /// A turn is over, after `held_ns`.
    fn leave(&self, held_ns: u64, now: Tick) {
        self.hold.observe(held_ns);
        self.pass_on(now);
    }

    /// A turn is free, and goes to the next if somebody waits.
    fn pass_on(&self, now: Tick) {
        let mut state = self.state.load(Ordering::Relaxed);
        while waiting(state) == 0 {
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.state.compare_exchange_weak(state, state - 1, set, get) {
                Ok(_) => return,
                Err(other) => state = other,
            }
        }
        let inner = self.lock();
        self.state.fetch_sub(1, Ordering::Relaxed);
        self.hand_on(inner, now);
    }

    /// Hands the turns that are free to those who wait for them.
    fn hand_on(&self, mut inner: MutexGuard<'_, Inner>, now: Tick) {
        let mut next: smallvec::SmallVec<[Arc<Waiter>; 2]> = smallvec::SmallVec::new();
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if waiting(state) == 0 || taken(state) >= self.limit() {
                break;
            }
            // One fewer waits, one more is inside, in one step. While somebody waits turns are only
            // left, so that this fails for no longer than it takes.
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            let step = state - ONE_WAITS + 1;
            if self.state.compare_exchange(state, step, set, get).is_err() {
                continue;
            }
            match inner.line.pop() {
                Some((priority, waiter)) => {
                    let waited_ns = now.ns_since(waiter.since());
                    inner.pace.served(priority, waiter.ahead(), waited_ns, now);
                    // Handed behind the lock: whoever leaves the line looks there what it has got.
                    waiter.hand(now);
                    next.push(waiter);
                }
                None => {
                    debug_assert!(false, "as many wait as are counted");
                    self.state.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        drop(inner);
        next.iter().for_each(|waiter| waiter.wake());
    }

    fn set_limit(&self, limit: u32, now: Tick) {
        let inner = self.lock();
        self.limit.store(limit, Ordering::Relaxed);
        self.hand_on(inner, now);
    }

    /// Somebody leaves the line; true when it had been handed a turn meanwhile, which is then its own
    /// to give back.
    fn step_out(&self, priority: Priority, place: u64, waiter: &Waiter) -> bool {
        let mut inner = self.lock();
        if inner.line.remove(priority, place) {
            self.state.fetch_sub(ONE_WAITS, Ordering::Relaxed);
        }
        waiter.was_handed()
    }

    /// Somebody has waited for too long: what comes of that for those who come next.
    fn learn(&self, priority: Priority, waiter: &Waiter, now: Tick) -> NoTurn {
        let mut inner = self.lock();
        let waited_ns = now.ns_since(waiter.since());
        inner.pace.gave_up(priority, waiter.ahead(), waited_ns, now);
        let wait_ns = self.wait_ns(&inner, priority, now);
        NoTurn {
            why: Why::TooLong,
            retry_ms: retry(wait_ns),
        }
    }

    fn measure(&self, now: Tick, look: impl FnOnce(&mut Adaptive)) {
        // One that meets another is left out: there are more.
        let Ok(mut adaptive) = self.adaptive.try_lock() else {
            return;
        };
        let Some(learned) = &mut *adaptive else {
            return;
        };
        look(learned);
        let limit = learned.limit();
        if limit != self.limit() {
            self.set_limit(limit, now);
        }
    }
}

fn retry(wait_ns: f64) -> u64 {
    ((wait_ns / 1e6) as u64).clamp(1, RETRY_MS_MAX)
}
