//! The thread that compares.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Comparison,
    case::Case,
    deployed,
    examine::{Examined, examine},
    key_of,
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        task::attempt,
        trust::Trust,
    },
    shadow::{
        door::PairListener,
        journal::{Bodies, Challenger, NewPair, Wrote},
        pair::Pair,
    },
    snapshot::Rules,
    telemetry::{series, table},
};

/// How long it waits for pairs before it looks at the time.
const PATIENCE: Duration = Duration::from_millis(200);
/// From one writing to the next: what a kill may cost.
const WRITE_EVERY_MS: u64 = 1_000;
/// Pairs that are written at once, without waiting for the time.
const WRITE_PAIRS: usize = 4_096;
/// Bytes of bodies that are written at once: as much as the log should grow by.
const WRITE_BYTES: usize = 4 << 20;
/// How long it goes on comparing when it is to stop.
const LAST_WORDS_NS: u64 = 2_000_000_000;
/// Before what could not be read is tried again.
const READ_AGAIN_NS: u64 = 5_000_000_000;
/// How much less right to the processor the thread has than those that answer clients.
const NICENESS: i32 = 19;

/// The comparison at work.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the thread has in hand.
struct Work {
    comparison: Arc<Comparison>,
    /// What looks at a pair.
    examine: fn(&Pair) -> Examined,
    stop: Arc<AtomicBool>,
    /// When it was seen that it is to stop.
    stopped_at: Option<Tick>,
    unwritten: Vec<NewPair>,
    /// Bytes of bodies in them.
    unwritten_bytes: usize,
    /// The challengers that were deployed when it looked last.
    deployed: HashMap<Challenger, Arc<Rules>>,
    /// Those that are not any more, for as long as a request under way may still be counted there.
    leaving: Vec<(Challenger, Arc<Rules>)>,
    /// Cases whose past could not be read: they are not written down, lest it be lost.
    unread: HashMap<Challenger, Tick>,
    trust: Trust,
    written: Tick,
}

// === impl Running ===

impl Running {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread, or the comparison was started before.
    pub fn start(comparison: &Arc<Comparison>) -> io::Result<Self> {
        let mut listener = comparison
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let listener = listener
            .take()
            .ok_or_else(|| io::Error::other("the comparison runs already"))?;
        let mut work = Work::new(Arc::clone(comparison));
        let stop = Arc::clone(&work.stop);
        let thread = thread::Builder::new()
            .name("comparison".into())
            .spawn(move || {
                // With Linux this is the thread's own. Where it is refused, there is no harm but for
                // the place in the queue.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                work.run(&listener);
            })?;
        Ok(Self { stop, thread })
    }

    /// Compares what there is, for some seconds at most, and writes it down. Blocks for as long as that
    /// takes.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}

// === impl Work ===

impl Work {
    fn new(comparison: Arc<Comparison>) -> Self {
        Self {
            comparison,
            examine,
            stop: Arc::default(),
            stopped_at: None,
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            deployed: HashMap::new(),
            leaving: Vec::new(),
            unread: HashMap::new(),
            trust: Trust::new(unix_ms(), Tick::now()),
            written: Tick::now(),
        }
    }

    fn run(&mut self, listener: &PairListener) {
        self.write();
        loop {
            // Read before the channel, so that what was sent before the stop is still taken.
            let is_last = self.is_stopping();
            let patience = if is_last { Duration::ZERO } else { PATIENCE };
            let batch = listener.next(patience);
            let is_over = match batch {
                Ok(Some(batch)) => {
                    // One by one, so that what they hold is let go of one by one.
                    batch.into_iter().for_each(|pair| self.take(&pair));
                    false
                }
                Ok(None) => is_last,
                Err(_) => true,
            };
            if is_over || self.is_due() {
                self.write();
            }
            if is_over {
                return;
            }
        }
    }

    fn is_stopping(&mut self) -> bool {
        if self.stopped_at.is_none() && self.stop.load(Ordering::Relaxed) {
            self.stopped_at = Some(Tick::now());
        }
        self.stopped_at.is_some()
    }

    /// Whether it is time to write.
    fn is_due(&self) -> bool {
        self.unwritten.len() >= WRITE_PAIRS
            || self.unwritten_bytes >= WRITE_BYTES
            || Tick::now().ns_since(self.written) >= WRITE_EVERY_MS * 1_000_000
    }

    /// Takes a pair. What is wrong with one is no reason to lose the others.
    fn take(&mut self, pair: &Pair) {
        let now = Tick::now();
        let is_late = |stopped_at| now.ns_since(stopped_at) > LAST_WORDS_NS;
        if self.is_stopping() && self.stopped_at.is_some_and(is_late) {
            return pair.drop_for("stopping");
        }
        if attempt("comparison", || self.try_take(pair)).is_err() {
            pair.drop_for("panicked");
        }
        if self.is_due() {
            self.write();
        }
    }

    fn try_take(&mut self, pair: &Pair) {
        // Compared, and opened, before anything is locked: whoever asks how a challenger stands does
        // not wait for that.
        let examined = (self.examine)(pair);
        self.open([&pair.rules]);
        let key = key_of(&pair.rules);
        if let Some(case) = self.comparison.cases().get_mut(&key) {
            case.add(&key, &examined);
        }
        self.unwritten_bytes += examined.bodies.as_ref().map_or(0, Bodies::bytes);
        self.unwritten.push(NewPair {
            challenger: key,
            record: examined.record,
            bodies: examined.bodies,
        });
    }

    /// Looks after the cases, and writes down what is new.
    fn write(&mut self) {
        let pairs = std::mem::take(&mut self.unwritten);
        self.unwritten_bytes = 0;
        if attempt("comparison", || self.round(&pairs)).is_err() {
            series::count(
                &table::COMPARISON_DROPPED,
                &["unwritten"],
                pairs.len() as u64,
            );
        }
        self.written = Tick::now();
    }

    fn round(&mut self, pairs: &[NewPair]) {
        let now_ms = unix_ms();
        self.look_around();
        self.read_again();
        self.open(&self.deployed.values().map(Arc::clone).collect::<Vec<_>>());
        let (mut states, mut points) = (Vec::new(), Vec::new());
        {
            let mut cases = self.comparison.cases();
            for (key, rules) in self.deployed.iter() {
                if let Some(case) = cases.get_mut(key) {
                    case.skip(&rules.books.take());
                }
            }
            self.leaving.retain_mut(|(key, rules)| {
                // Asked first: whoever has let go of it counts nothing any more.
                let is_over = Arc::get_mut(rules).is_some();
                if let Some(case) = cases.get_mut(key) {
                    case.skip(&rules.books.take());
                }
                !is_over
            });
            for (key, case) in cases.iter_mut() {
                let limits = self.deployed.get(key).map(|rules| &rules.verdict);
                if let Some(point) = case.judge(limits, now_ms) {
                    points.push((key.clone(), point.to_kept()));
                }
                if !self.unread.contains_key(key)
                    && let Some(state) = case.unwritten()
                {
                    states.push((key.clone(), state));
                }
            }
        }
        let may_forget = self.trust.is_calm(now_ms, Tick::now());
        let journal = &self.comparison.journal;
        let wrote = journal.write(pairs, &states, &points, now_ms, may_forget);
        let mut cases = self.comparison.cases();
        match wrote {
            Wrote::All => {}
            Wrote::Anew => cases.values_mut().for_each(Case::lost),
            Wrote::Nothing => states
                .iter()
                .filter_map(|(key, _)| cases.get_mut(key).map(Case::lost))
                .for_each(drop),
        }
        if wrote != Wrote::Nothing {
            // What is not deployed is in the journal; pairs that are still to come open it again.
            let leaving: HashSet<_> = self.leaving.iter().map(|(key, _)| key).collect();
            cases.retain(|key, _| self.deployed.contains_key(key) || leaving.contains(key));
            self.unread.retain(|key, _| cases.contains_key(key));
        }
    }

    /// Sees what is deployed now.
    fn look_around(&mut self) {
        let snapshot = self.comparison.current.load_full();
        let deployed: HashMap<_, _> = deployed(&snapshot)
            .map(|rules| (key_of(rules), Arc::clone(rules)))
            .collect();
        let before = std::mem::take(&mut self.deployed);
        let left = before.into_iter().filter(|(key, rules)| {
            let now = deployed.get(key);
            now.is_none_or(|now| !Arc::ptr_eq(now, rules))
        });
        self.leaving.extend(left);
        self.deployed = deployed;
    }

    /// Has a case for each of these, with what was written down of it.
    fn open<'r>(&mut self, rules: impl IntoIterator<Item = &'r Arc<Rules>>) {
        let mut missing = HashMap::new();
        {
            let cases = self.comparison.cases();
            for rules in rules {
                let key = key_of(rules);
                if !cases.contains_key(&key) {
                    missing.insert(key, rules.verdict);
                }
            }
        }
        for (key, limits) in missing {
            let case = match self.comparison.journal.state(&key) {
                Ok(kept) => kept.and_then(|kept| Case::restored(&kept, Some(limits))),
                Err(_) => {
                    self.unread.insert(key.clone(), Tick::now());
                    None
                }
            };
            let case = case.unwrap_or_else(|| Case::new(limits));
            self.comparison.cases().insert(key, case);
        }
    }

    /// Reads what could not be read. What was seen meanwhile gives way to what is known from before.
    fn read_again(&mut self) {
        let now = Tick::now();
        let due = |since: &Tick| now.ns_since(*since) >= READ_AGAIN_NS;
        let keys: Vec<_> = (self.unread.iter())
            .filter(|(_, since)| due(since))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            match self.comparison.journal.state(&key) {
                Err(_) => drop(self.unread.insert(key, now)),
                Ok(kept) => {
                    self.unread.remove(&key);
                    let limits = self.deployed.get(&key).map(|rules| rules.verdict);
                    if let Some(case) = kept.and_then(|kept| Case::restored(&kept, limits)) {
                        self.comparison.cases().insert(key, case);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
