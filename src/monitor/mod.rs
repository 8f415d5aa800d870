//! What each deployment did, step by step, kept for days: requests, errors by kind, quantiles.
//!
//! ```text
//! tallies ──every 10 s──▶ sampler ─▶ recent ──every 20 s──▶ journal ┐
//!                            │         │ └─10 min are full─▶ chunks ┴ of 10 s, 1 min, 10 min ─▶ gone
//!                            └────┬────┴───────────────────────┘
//!                               answer ◀── admin
//! ```
//!
//! A step holds how many durations fell into each slot of a fine scale, so that steps add up exactly:
//! a quantile of ten minutes is that of all their requests, and not a mean of quantiles. What was
//! counted is read from the data plane's own counters, and nothing is lost on the way; a kill loses
//! what came since the journal was written last. The file holds figures and nothing else: when it
//! can't be used the gateway serves on, and when it is broken it is set aside and begun anew.
//!
//! The clock is the wall's, and may be set. A step belongs to the time at which it began; going
//! through the same time twice adds up.

mod answer;
mod codec;
mod disk;
mod level;
mod past;
mod point;
mod recent;
mod run;
mod sampler;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

pub use self::{
    answer::{Newest, Series, Shown},
    level::{Asked, Refused},
    past::Past,
    point::{Histogram, Point},
    run::Running,
};
use self::{disk::Disk, recent::Recent, sampler::Sampler};
use crate::{
    store::side_file::{self, FileError, Standing},
    telemetry::{series, table},
};

/// How long is kept what, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorOptions {
    /// How long steps of 10 s, 1 min and 10 min are kept, in seconds; 0: not at all.
    pub kept_s: [u64; 3],
    /// Bytes of the file and its log; beyond, the oldest goes.
    pub disk_bytes_max: u64,
}

/// The settings' defaults.
impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            kept_s: [72 * 3_600, 336 * 3_600, 2_160 * 3_600],
            disk_bytes_max: 2 << 30,
        }
    }
}

/// Threads that read at once. They read one after the other; more would only take those away that the
/// store reads on.
const READING_MAX: usize = 2;

/// The monitoring series of all deployments.
pub struct Monitor {
    path: PathBuf,
    options: MonitorOptions,
    /// One permit for each thread that may read.
    reading: Arc<Semaphore>,
    // Locked in the order in which they stand here.
    /// Held by those who read, so that no points go from memory to their chunk meanwhile.
    moving: RwLock<()>,
    disk: Mutex<Option<Disk>>,
    reader: Mutex<Option<Connection>>,
    sampler: Mutex<Sampler>,
    recent: Mutex<Recent>,
    /// A reader found the file broken.
    is_broken: AtomicBool,
    standing: Standing,
}

// === impl Monitor ===

impl Monitor {
    /// Opens the file, or makes one; what is counted from now on gets into steps. Does not fail: while
    /// the file can't be used, what happens is kept in memory for some hours. Blocks.
    pub fn open(path: &Path, options: MonitorOptions, now_ms: u64) -> Self {
        let monitor = Self {
            path: path.to_owned(),
            options,
            reading: Arc::new(Semaphore::new(READING_MAX)),
            moving: RwLock::default(),
            disk: Mutex::default(),
            reader: Mutex::default(),
            sampler: Mutex::new(Sampler::new(now_ms)),
            recent: Mutex::default(),
            is_broken: AtomicBool::new(false),
            standing: Standing::default(),
        };
        let opened = monitor.reopen(&mut lock(&monitor.disk));
        monitor.standing.tell(&schema::FILE, &monitor.path, opened);
        monitor
    }

    /// Ends the running step if the clock shows another one. Does not block.
    pub fn sample(&self, now_ms: u64) {
        self.cut(now_ms, false);
    }

    fn cut(&self, now_ms: u64, now: bool) {
        let mut sampler = lock(&self.sampler);
        if let Some((step, points)) = sampler.cut(now_ms, now)
            && !points.is_empty()
        {
            let dropped = lock(&self.recent).push(step, &points);
            note_dropped("unwritten", dropped);
        }
    }

    /// Ends the running step, whatever the clock shows, and writes everything down: the end.
    pub fn finish(&self, now_ms: u64) {
        self.cut(now_ms, true);
        self.write(now_ms, false);
    }

    /// Writes down what came since the last time; `may_forget` says whether the clock can be trusted
    /// with what is too old. Blocks.
    pub fn write(&self, now_ms: u64, may_forget: bool) {
        let mut disk = lock(&self.disk);
        // Relaxed: who sees it late is told again by the next reader.
        let result = match self.is_broken.swap(false, Ordering::Relaxed) {
            true => Err(FileError::Broken("what it holds can't be read".to_owned())),
            false => self.try_write(&mut disk, now_ms, may_forget),
        };
        let result = match result {
            Err(FileError::Broken(words)) => self
                .begin_anew(&mut disk, &words)
                .and_then(|()| self.try_write(&mut disk, now_ms, may_forget)),
            result => result,
        };
        if result.is_err() {
            // Opened anew the next time.
            *disk = None;
        }
        drop(disk);
        self.standing.tell(&schema::FILE, &self.path, result);
        self.refresh();
    }

    /// Sets the gauges. They are forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let bytes = side_file::bytes_on_disk(&self.path);
        series::gauge(&table::MONITORING_BYTES, &[]).set(bytes as f64);
        let is_available = f64::from(u8::from(self.standing.is_available()));
        series::gauge(&table::MONITORING_AVAILABLE, &[]).set(is_available);
    }

    fn try_write(
        &self,
        disk: &mut Option<Disk>,
        now_ms: u64,
        may_forget: bool,
    ) -> Result<(), FileError> {
        if disk.is_none() {
            self.reopen(disk)?;
        }
        let Some(disk) = disk else { return Ok(()) };
        let unwritten = lock(&self.recent).take_unwritten();
        if let Err(error) = disk.note(&unwritten) {
            lock(&self.recent).give_back(unwritten);
            return Err(self.with_room(disk, error));
        }
        let filled = lock(&self.recent).filled(now_ms);
        for (chunk, filling) in &filled {
            let closed = disk.close(*chunk, filling, &self.options, |transaction| {
                let moving = self.moving.write().unwrap_or_else(PoisonError::into_inner);
                transaction.commit()?;
                lock(&self.recent).written(*chunk, filling);
                drop(moving);
                Ok(())
            });
            closed.map_err(|error| self.with_room(disk, error))?;
        }
        if !filled.is_empty() {
            if may_forget {
                disk.forget(now_ms / 1_000, &self.options)?;
            }
            note_dropped("full", disk.make_room(&self.options, false)?);
        }
        disk.tidy()
    }

    /// Makes room for the next time when that is what was missing.
    fn with_room(&self, disk: &mut Disk, error: FileError) -> FileError {
        if matches!(error, FileError::Full(_)) {
            match disk.make_room(&self.options, true) {
                Ok(dropped) => note_dropped("full", dropped),
                Err(error) => return error,
            }
        }
        error
    }

    /// Opens the file, and takes back what its journal has.
    fn reopen(&self, disk: &mut Option<Disk>) -> Result<(), FileError> {
        let opened = match self.try_open() {
            Err(FileError::Broken(words)) => return self.begin_anew(disk, &words),
            opened => opened?,
        };
        *disk = Some(opened);
        Ok(())
    }

    fn try_open(&self) -> Result<Disk, FileError> {
        let disk = Disk::open(&self.path, &self.options)?;
        // Only at the first time: later, memory has all that the journal has.
        let mut restored = Vec::new();
        let mut recent = lock(&self.recent);
        if recent.is_new() {
            disk.journal(|chunk, key, points| restored.push((chunk, key, points.to_vec())))?;
            for (chunk, key, points) in restored {
                recent.restore(chunk, key, &points);
            }
            recent.begun();
        }
        Ok(disk)
    }

    /// Sets the file aside and makes a new one.
    fn begin_anew(&self, disk: &mut Option<Disk>, words: &str) -> Result<(), FileError> {
        *disk = None;
        let mut reader = lock(&self.reader);
        *reader = None;
        schema::FILE.set_aside(&self.path, words)?;
        *disk = Some(Disk::open(&self.path, &self.options)?);
        let mut recent = lock(&self.recent);
        recent.forget_written();
        recent.begun();
        Ok(())
    }
}

fn note_dropped(reason: &str, steps: u64) {
    if steps > 0 {
        series::count(&table::MONITORING_DROPPED, &[reason], steps);
    }
}

/// What is locked here is whole whenever it is let go of.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
