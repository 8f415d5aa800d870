//! The thread that compares.

use std::{
    collections::HashMap,
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
        trust::Trust,
    },
    shadow::{
        door::PairListener,
        journal::{Challenger, NewPair, Wrote},
        pair::Pair,
    },
    snapshot::Rules,
};

/// How long it waits for pairs before it looks at the time.
const PATIENCE: Duration = Duration::from_millis(200);
/// From one writing to the next: what a kill may cost.
const WRITE_EVERY_MS: u64 = 1_000;
/// Pairs that are written at once, without waiting for the time.
const WRITE_PAIRS: usize = 4_096;
/// Before what could not be read is tried again.
const READ_AGAIN_NS: u64 = 5_000_000_000;
/// How much less right to the processor the thread has than those that answer clients.
const NICENESS: i32 = 10;

/// The comparison at work.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the thread has in hand.
struct Work {
    comparison: Arc<Comparison>,
    unwritten: Vec<NewPair>,
    /// The challengers that were deployed when it looked last. Those that are not any more are looked
    /// at once more, for what was counted meanwhile.
    deployed: HashMap<Challenger, Arc<Rules>>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut work = Work {
            comparison: Arc::clone(comparison),
            unwritten: Vec::new(),
            deployed: HashMap::new(),
            unread: HashMap::new(),
            trust: Trust::new(unix_ms(), Tick::now()),
            written: Tick::now(),
        };
        let thread = thread::Builder::new()
            .name("comparison".into())
            .spawn(move || {
                // With Linux this is the thread's own. Where it is refused, there is no harm but for
                // the place in the queue.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                work.run(&listener, &stopped);
            })?;
        Ok(Self { stop, thread })
    }

    /// Compares what there is, and writes it down. Blocks for as long as that takes.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}

// === impl Work ===

impl Work {
    fn run(&mut self, listener: &PairListener, stopped: &AtomicBool) {
        self.round();
        loop {
            // Read before the channel, so that what was sent before the stop is still taken.
            let is_last = stopped.load(Ordering::Relaxed);
            let patience = if is_last { Duration::ZERO } else { PATIENCE };
            let batch = listener.next(patience);
            let is_over = match batch {
                Ok(Some(batch)) => {
                    self.take(&batch);
                    false
                }
                Ok(None) => is_last,
                Err(_) => true,
            };
            let passed_ms = Tick::now().ns_since(self.written) / 1_000_000;
            if is_over || passed_ms >= WRITE_EVERY_MS || self.unwritten.len() >= WRITE_PAIRS {
                self.round();
            }
            if is_over {
                return;
            }
        }
    }

    fn take(&mut self, batch: &[Pair]) {
        // Compared, and opened, before anything is locked: whoever asks how a challenger stands does
        // not wait for that.
        let examined: Vec<Examined> = batch.iter().map(examine).collect();
        self.open(batch.iter().map(|pair| &pair.rules));
        let mut cases = self.comparison.cases();
        for (pair, examined) in batch.iter().zip(examined) {
            let key = key_of(&pair.rules);
            if let Some(case) = cases.get_mut(&key) {
                case.add(&key, &examined);
            }
            self.unwritten.push(NewPair {
                challenger: key,
                record: examined.record,
                bodies: examined.bodies,
            });
        }
    }

    /// Looks after the cases, and writes down what is new.
    fn round(&mut self) {
        let now_ms = unix_ms();
        let snapshot = self.comparison.current.load_full();
        let deployed: HashMap<_, _> = deployed(&snapshot)
            .map(|rules| (key_of(rules), Arc::clone(rules)))
            .collect();
        drop(snapshot);
        self.read_again();
        self.open(deployed.values());
        let before = std::mem::take(&mut self.deployed);
        let (mut states, mut points) = (Vec::new(), Vec::new());
        {
            let mut cases = self.comparison.cases();
            let replaced = before.iter().filter(|(key, rules)| {
                let now = deployed.get(*key);
                now.is_none_or(|now| !Arc::ptr_eq(now, rules))
            });
            for (key, rules) in deployed.iter().chain(replaced) {
                if let Some(case) = cases.get_mut(key) {
                    case.skip(&rules.books.take());
                }
            }
            for (key, case) in cases.iter_mut() {
                let limits = deployed.get(key).map(|rules| &rules.verdict);
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
        let pairs = std::mem::take(&mut self.unwritten);
        let may_forget = self.trust.is_calm(now_ms, Tick::now());
        let journal = &self.comparison.journal;
        let wrote = journal.write(&pairs, &states, &points, now_ms, may_forget);
        {
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
                cases.retain(|key, _| deployed.contains_key(key) || before.contains_key(key));
                self.unread.retain(|key, _| cases.contains_key(key));
            }
        }
        self.deployed = deployed;
        self.written = Tick::now();
    }

    /// Has a case for each of these, with what was written down of it.
    fn open<'r>(&mut self, rules: impl Iterator<Item = &'r Arc<Rules>>) {
        let mut missing = Vec::new();
        {
            let cases = self.comparison.cases();
            for rules in rules {
                let key = key_of(rules);
                let is_known = cases.contains_key(&key);
                if !is_known && !missing.iter().any(|(known, _)| *known == key) {
                    missing.push((key, Arc::clone(rules)));
                }
            }
        }
        for (key, rules) in missing {
            let case = match self.comparison.journal.state(&key) {
                Ok(kept) => kept.and_then(|kept| Case::restored(&kept, Some(rules.verdict))),
                Err(_) => {
                    self.unread.insert(key.clone(), Tick::now());
                    None
                }
            };
            let case = case.unwrap_or_else(|| Case::new(rules.verdict));
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
