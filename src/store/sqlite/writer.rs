//! The writer: one thread that owns the one write connection.
//!
//! ```text
//! callers ──▶ channel ──▶ take all that wait ──▶ group ──▶ COMMIT ──▶ tell watchers, answer callers
//!                                                  │ failed: not known what was written
//!                                                  ▼
//!                        out of service: drop the connection, open anew, check, begin a new log
//! ```
//!
//! While nothing is asked the thread sleeps without a timer. Out of service, whoever asks is told
//! so at once, and opening is tried again after a pause.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{broadcast, mpsc},
};

use super::{
    super::{Change, StoreError},
    SqliteOptions,
    batch::{self, Batch, Stop, Unit},
    figures::Figures,
    group::{self, Ended},
    open::{self, Held},
};
use crate::base::{clock::Tick, memory};

/// Batches that wait for the writer; who comes later waits to be let in.
const WAITING_MAX: usize = 1_024;
/// Batches of one group: enough to make a sync cheap for each, few enough to answer soon.
const GROUP_MAX: usize = 256;
/// Changes that a watcher may be behind.
const CHANGES_KEPT: usize = 1_024;
/// Changed rows after which the log is moved to its place, whatever the number of syncs. Commits wait
/// meanwhile, and little at a time costs no more than much at once: with 10,000 jobs of 1 KiB
/// accepted a second a checkpoint took 2.5 ms after 1,024 rows, 8 ms after 4,096 and 14 ms after
/// 16,384, and the 99th percentile of calls of ten was 4, 21 and 58 ms. The log had 3, 11 and 31 MiB.
const CHECKPOINT_ROWS: u64 = 1_024;
/// Changed rows of one group after which memory is given back: 10,000 keys declared at once left
/// 12 MB. Many small commits leave nothing, and would pay for it at each checkpoint.
const LARGE_ROWS: u64 = 8_192;

/// How long a new log waits for readers to end. Those whose commits failed wait meanwhile.
const REOPEN_BUSY: Duration = Duration::from_millis(500);

/// The handle to the writer. Dropping it waits until what was asked is done.
pub(super) struct Writer {
    asking: Option<mpsc::Sender<Box<dyn Unit>>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its handle both see.
pub(super) struct Shared {
    available: AtomicBool,
    /// Replaced when a commit that was given up turns out to have happened: those who watched the
    /// old one were not told of it, and have to begin anew.
    changes: Mutex<broadcast::Sender<Change>>,
    pub(super) figures: Figures,
}

/// The thread's own.
struct Desk {
    held: Held,
    options: SqliteOptions,
    /// None: out of service.
    connection: Option<Connection>,
    revision: u64,
    shared: Arc<Shared>,
    reopen_at: Instant,
    syncs: u32,
    rows: u64,
    /// Whether a group since the last checkpoint was large.
    was_large: bool,
}

// === impl Writer ===

impl Writer {
    /// Starts the thread on a connection that was just opened.
    pub(super) fn start(
        held: Held,
        connection: Connection,
        options: SqliteOptions,
    ) -> Result<Self, std::io::Error> {
        let shared = Arc::new(Shared {
            available: AtomicBool::new(true),
            changes: Mutex::new(broadcast::Sender::new(CHANGES_KEPT)),
            figures: Figures::new(),
        });
        let revision = revision(&connection).map_err(std::io::Error::other)?;
        let mut desk = Desk {
            held,
            options,
            connection: Some(connection),
            revision,
            shared: Arc::clone(&shared),
            reopen_at: Instant::now(),
            syncs: 0,
            rows: 0,
            was_large: false,
        };
        // For the pause of a writer out of service alone; no thread and no descriptor comes of it.
        let pause = Builder::new_current_thread().enable_time().build()?;
        let (asking, asked) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || desk.work(asked, &pause))?;
        Ok(Self {
            asking: Some(asking),
            shared,
            thread: Some(thread),
        })
    }

    /// Has `work` done in a transaction, and answers when it is durable. `work` may be called more
    /// than once, but all that it wrote in earlier calls has been rolled back then.
    ///
    /// # Cancellation
    /// The work may be done.
    pub(super) async fn ask<T, F>(&self, work: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Stop> + Send + 'static,
    {
        // Acquire pairs with the thread's Release in `reopen`; a stale look is answered the same by
        // the thread itself.
        if !self.shared.available.load(Ordering::Acquire) {
            self.shared.figures.failed(1);
            return Err(out_of_service());
        }
        let (unit, answer) = batch::ask(work);
        let gone = || Stop::Store(StoreError::Unavailable("the writer has ended".into()));
        let asking = self.asking.as_ref().ok_or_else(gone)?;
        asking.send(unit).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.sender().subscribe()
    }

    pub(super) fn available(&self) -> bool {
        self.shared.available.load(Ordering::Acquire)
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.shared.figures
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.asking.take());
        if let Some(thread) = self.thread.take() {
            // It catches its panics; there is nothing to learn from the result.
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn sender(&self) -> std::sync::MutexGuard<'_, broadcast::Sender<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Desk ===

impl Desk {
    fn work(&mut self, mut asked: mpsc::Receiver<Box<dyn Unit>>, pause: &Runtime) {
        loop {
            let first = match self.connection {
                Some(_) => asked.blocking_recv(),
                None => {
                    let until = self.reopen_at.into();
                    let next = async { tokio::time::timeout_at(until, asked.recv()).await };
                    match pause.block_on(next) {
                        Ok(first) => first,
                        Err(_) => {
                            self.reopen();
                            continue;
                        }
                    }
                }
            };
            let Some(first) = first else { return };
            let mut units = vec![first];
            while units.len() < GROUP_MAX
                && let Ok(unit) = asked.try_recv()
            {
                units.push(unit);
            }
            self.group(units);
        }
    }

    fn group(&mut self, mut units: Vec<Box<dyn Unit>>) {
        let Some(connection) = &self.connection else {
            self.shared.figures.failed(units.len() as u64);
            return refuse(units, out_of_service);
        };
        let began = Tick::now();
        let rows = connection.total_changes();
        // What a panic leaves half changed is not used again: the connection is dropped, and the
        // units are only told.
        let ran = AssertUnwindSafe(|| group::run(connection, &mut units, self.revision));
        let words = match catch_unwind(ran) {
            Ok(Ok(ended)) => {
                let rows = connection.total_changes() - rows;
                self.rows += rows;
                self.was_large |= rows >= LARGE_ROWS;
                self.syncs += u32::from(ended.synced);
                return self.settle(ended, units, began);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a panic while writing".to_owned(),
        };
        tracing::error!(
            error = words,
            batches = units.len(),
            "store: out of service"
        );
        self.shared.available.store(false, Ordering::Release);
        self.shared.figures.failed(units.len() as u64);
        // Before anybody is told, so that who asks again meets a store that is checked, or knows
        // that it is not there.
        self.reopen();
        refuse(units, || {
            Stop::Store(StoreError::Unavailable(words.clone()))
        });
    }

    fn settle(&mut self, ended: Ended, units: Vec<Box<dyn Unit>>, began: Tick) {
        self.revision = ended.revision;
        let took_ns = Tick::now().ns_since(began);
        self.shared.figures.ended(&ended, took_ns);
        // Before the callers, so that whoever knows of a commit finds it in the watch.
        let sender = self.shared.sender();
        for change in ended.changes {
            // An error means that nobody watches.
            let _ = sender.send(change);
        }
        drop(sender);
        for (unit, batch) in units.into_iter().zip(ended.batches) {
            unit.answer(batch);
        }
        let due = self.syncs >= self.options.checkpoint_syncs || self.rows >= CHECKPOINT_ROWS;
        if due && self.options.checkpoint_syncs > 0 {
            self.checkpoint();
        }
    }

    /// Moves what the log has to its place, while nobody waits for it. It is repeated later when it
    /// fails, or is held up by a reader; the log is not forgotten before it has succeeded.
    fn checkpoint(&mut self) {
        (self.syncs, self.rows) = (0, 0);
        let Some(connection) = &self.connection else {
            return;
        };
        if let Err(error) = checkpoint(connection, "PASSIVE") {
            tracing::warn!(%error, "store: checkpoint failed");
        }
        if std::mem::take(&mut self.was_large) {
            memory::give_back();
        }
    }

    /// Drops the connection and opens another; accepts it after a check.
    fn reopen(&mut self) {
        self.connection = None;
        match catch_unwind(AssertUnwindSafe(|| self.checked())) {
            Ok(Ok((connection, revision))) => {
                if revision != self.revision {
                    // A commit that was given up has happened after all.
                    *self.shared.sender() = broadcast::Sender::new(CHANGES_KEPT);
                }
                self.revision = revision;
                self.connection = Some(connection);
                // Release: who sees it sees the new sender.
                self.shared.available.store(true, Ordering::Release);
                tracing::info!(revision, "store: in service again");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "store: still out of service");
                self.reopen_at =
                    Instant::now() + Duration::from_millis(self.options.reopen_pause_ms);
            }
            Err(_) => {
                self.reopen_at =
                    Instant::now() + Duration::from_millis(self.options.reopen_pause_ms);
            }
        }
    }

    fn checked(&self) -> Result<(Connection, u64), rusqlite::Error> {
        let connection = open::writer(&self.held.file, &self.options)?;
        let words: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if words != "ok" {
            return Err(failure(rusqlite::ffi::SQLITE_CORRUPT, words));
        }
        // After a failed sync the system may hold pages of the log that are not on the disk, and
        // will not write them again. What the log says is therefore written to its place and synced
        // there, and the log begins anew: no later commit stands behind a hole.
        connection.busy_timeout(REOPEN_BUSY)?;
        if checkpoint(&connection, "TRUNCATE")? {
            let words = "somebody else has the file".to_owned();
            return Err(failure(rusqlite::ffi::SQLITE_BUSY, words));
        }
        connection.busy_timeout(open::BUSY)?;
        let revision = revision(&connection)?;
        Ok((connection, revision))
    }
}

/// Whether it was held up.
fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, rusqlite::Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| row.get(0))
}

fn revision(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let sql = "SELECT value FROM meta WHERE name = 'revision'";
    connection.query_row(sql, [], |row| row.get(0))
}

fn refuse(units: Vec<Box<dyn Unit>>, stop: impl Fn() -> Stop) {
    for unit in units {
        unit.answer(Err(stop()));
    }
}

fn out_of_service() -> Stop {
    let words = "out of service until its file can be opened and checked";
    Stop::Store(StoreError::Unavailable(words.into()))
}

fn failure(code: i32, words: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(words))
}
