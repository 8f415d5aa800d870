//! The journal of pairs: what main and its challengers answered, for some days, in a file of its own.
//!
//! ```text
//! comparison ──write: pairs, states, points──▶ disk ─▶ comparison.db ─▶ read ──▶ admin
//!                                               └─▶ forget: too old, too much
//! ```
//!
//! A pair for each request must not take the store's one writer and its syncs, and no answer rests on
//! this file: while it can't be used pairs are counted and dropped, and when it is broken it is set
//! aside and begun anew. A crash of the system may cost what came since the log was moved to its place.
//!
//! `write` has one caller, the comparison's thread. Readers are on connections of their own, and see
//! what was committed.

mod codec;
mod disk;
mod forget;
mod page;
mod read;
mod record;
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
use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
};

use self::disk::{Batch, Disk};
pub use self::{
    disk::POINTS_MAX,
    page::{Cursor, Filter, Order, PAGE_MAX, Page, Wanted},
    record::{
        Bodies, Body, Challenger, GapsRecord, Kept, NewPair, PLACES_MAX, PairResult, Record,
        SeriesPoint, SideRecord, StateBlob, WORDS_BYTES_MAX,
    },
};
use crate::{
    base::name::DeploymentName,
    store::side_file::{self, FileError, Standing},
    telemetry::{series, table},
};

/// How long is kept what, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// How long pairs are kept, and the evidence and the points of a challenger to which nothing is
    /// added, in seconds; 0: not at all.
    pub kept_s: u64,
    /// Bytes of the file and its log; beyond, the oldest pairs go.
    pub disk_bytes_max: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// It was written.
    All,
    /// It was written, into a file that was begun anew: what was there before is gone, and the states
    /// of all challengers are to be written again.
    Anew,
    /// Nothing of it was written. Its pairs were counted as dropped; its states are to be written again.
    Nothing,
}

/// The settings' defaults.
impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            kept_s: 168 * 3_600,
            disk_bytes_max: 1 << 30,
        }
    }
}

/// Threads that read at once, and connections that are kept for them.
const READING_MAX: usize = 2;

/// Bytes of the log beyond which readers are made to wait until it is emptied.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The pairs of all challengers.
pub struct Journal {
    path: PathBuf,
    options: JournalOptions,
    /// One permit for each thread that may read.
    reading: Arc<Semaphore>,
    // Locked in the order in which they stand here.
    disk: Mutex<Option<Disk>>,
    /// Held by those who read, so that nobody has the file open while it is set aside, and nobody reads
    /// from the log while it is emptied.
    moving: RwLock<()>,
    readers: Mutex<Vec<Connection>>,
    /// A reader found the file broken.
    is_broken: AtomicBool,
    /// The file was begun anew, and nobody was told yet.
    is_anew: AtomicBool,
    standing: Standing,
}

// === impl Journal ===

impl Journal {
    /// Opens the file, or makes one. Does not fail: while the file can't be used, pairs are counted and
    /// dropped. Blocks.
    pub fn open(path: &Path, options: JournalOptions) -> Self {
        let journal = Self {
            path: path.to_owned(),
            options,
            reading: Arc::new(Semaphore::new(READING_MAX)),
            disk: Mutex::default(),
            moving: RwLock::default(),
            readers: Mutex::default(),
            is_broken: AtomicBool::new(false),
            is_anew: AtomicBool::new(false),
            standing: Standing::default(),
        };
        let mut disk = lock(&journal.disk);
        let opened = match Disk::open(path, &options) {
            Ok(opened) => {
                *disk = Some(opened);
                Ok(())
            }
            Err(FileError::Broken(words)) => journal.begin_anew(&mut disk, &words),
            Err(error) => Err(error),
        };
        drop(disk);
        journal.standing.tell(&schema::FILE, path, opened);
        journal
    }

    /// Writes pairs, replaces states and adds points, all in one commit or nothing; then forgets a
    /// little. A batch should not have more than some MiB of bodies: the log grows by as much.
    /// `may_forget` says whether the clock can be trusted with what is too old. To be called now and
    /// then, also with nothing to write. Blocks.
    pub fn write(
        &self,
        pairs: &[NewPair],
        states: &[(Challenger, StateBlob)],
        points: &[(Challenger, SeriesPoint)],
        now_ms: u64,
        may_forget: bool,
    ) -> Wrote {
        let batch = match self.options.kept_s {
            0 => Batch::default(),
            _ => Batch {
                pairs,
                states,
                points,
            },
        };
        let mut disk = lock(&self.disk);
        let mut is_written = false;
        // Relaxed: who sees it late is told again by the next reader.
        let mut result = match self.is_broken.swap(false, Ordering::Relaxed) {
            true => Err(FileError::Broken("what it holds can't be read".to_owned())),
            // What is written to a file without a name is lost, and readers have none to open.
            false if disk.is_some() && matches!(self.path.try_exists(), Ok(false)) => {
                Err(FileError::Broken("it was removed".to_owned()))
            }
            false => self.try_write(&mut disk, batch, now_ms, may_forget, &mut is_written),
        };
        if let Err(FileError::Broken(words)) = &result {
            is_written = false;
            result = self.begin_anew(&mut disk, words).and_then(|()| {
                self.try_write(&mut disk, batch, now_ms, may_forget, &mut is_written)
            });
        }
        if result.is_err() {
            // Opened anew the next time.
            *disk = None;
        }
        drop(disk);
        self.standing.tell(&schema::FILE, &self.path, result);
        if !is_written {
            note_dropped("unwritten", batch.pairs.len() as u64);
            return Wrote::Nothing;
        }
        match self.is_anew.swap(false, Ordering::Relaxed) {
            true => Wrote::Anew,
            false => Wrote::All,
        }
    }

    fn try_write(
        &self,
        disk: &mut Option<Disk>,
        batch: Batch<'_>,
        now_ms: u64,
        may_forget: bool,
        is_written: &mut bool,
    ) -> Result<(), FileError> {
        let disk = match disk {
            Some(disk) => disk,
            none => none.insert(Disk::open(&self.path, &self.options)?),
        };
        let added = batch.pairs.len();
        if !batch.is_empty() {
            match disk.write(batch, now_ms) {
                Err(FileError::Full(_)) => {
                    let needed = 2 * batch.bytes() + (1 << 20);
                    note_dropped("full", disk.make_room(&self.options, needed, added)?);
                    disk.write(batch, now_ms)?;
                }
                written => written?,
            }
        }
        *is_written = true;
        if may_forget {
            let kept_ms = self.options.kept_s.saturating_mul(1_000);
            let before_ms = match kept_ms {
                0 => i64::MAX as u64,
                _ => now_ms.saturating_sub(kept_ms),
            };
            disk.forget(before_ms, added)?;
        }
        note_dropped("full", disk.make_room(&self.options, 0, added)?);
        disk.tidy()?;
        if side_file::log_bytes(&self.path) > LOG_BYTES_MAX {
            // Whoever reads ends the page, and the next one waits.
            let _alone = self.moving.write().unwrap_or_else(PoisonError::into_inner);
            side_file::empty_log(&disk.sql)?;
        }
        Ok(())
    }

    /// Sets the file aside and makes a new one.
    fn begin_anew(&self, disk: &mut Option<Disk>, words: &str) -> Result<(), FileError> {
        *disk = None;
        let alone = self.moving.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.readers).clear();
        schema::FILE.set_aside(&self.path, words)?;
        *disk = Some(Disk::open(&self.path, &self.options)?);
        drop(alone);
        self.is_anew.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the gauges. They are forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let bytes = side_file::bytes_on_disk(&self.path);
        series::gauge(&table::COMPARISON_BYTES, &[]).set(bytes as f64);
        let is_available = f64::from(u8::from(self.standing.is_available()));
        series::gauge(&table::COMPARISON_AVAILABLE, &[]).set(is_available);
    }
}

/// Reading. All of it blocks; see [`Journal::read`].
impl Journal {
    /// Runs what reads on a thread that may block, of which a few are taken at most.
    ///
    /// # Errors
    /// When the reading panicked.
    ///
    /// # Cancellation
    /// The reading goes on to its end, for nobody.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.reading).acquire_owned().await;
        let journal = Arc::clone(self);
        let reading = move || {
            // Held until the thread is free, also when nobody waits any more.
            let _permit = permit;
            read(&journal)
        };
        spawn_blocking(reading).await
    }

    /// A page of pairs.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read.
    pub fn pairs(&self, filter: &Filter) -> Result<Page<Kept>, FileError> {
        self.with_reader(|sql| read::pairs(sql, filter))
    }

    /// A deployment's pair, with its bodies where they are kept; without a life, of any deployment that
    /// has had this name.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read.
    pub fn pair(
        &self,
        name: &DeploymentName,
        life: Option<u32>,
        id: u64,
    ) -> Result<Option<(Kept, Option<Bodies>)>, FileError> {
        self.with_reader(|sql| read::pair(sql, name, life, id))
    }

    /// What is known of all challengers.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read; nothing should be written before this was read.
    pub fn states(&self) -> Result<Vec<(Challenger, StateBlob)>, FileError> {
        self.with_reader(read::states)
    }

    /// What is known of one of them.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read; nothing of it should be written before it was read.
    pub fn state(&self, challenger: &Challenger) -> Result<Option<StateBlob>, FileError> {
        self.with_reader(|sql| read::state(sql, challenger))
    }

    /// How that of one of them looked between two moments, in at most so many points, two at least.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read.
    pub fn series(
        &self,
        challenger: &Challenger,
        span_ms: std::ops::Range<u64>,
        points_max: usize,
    ) -> Result<Vec<SeriesPoint>, FileError> {
        self.with_reader(|sql| read::series(sql, challenger, span_ms, points_max))
    }

    /// The challengers of a deployment, and of others that had its name, of which anything is known:
    /// the newest life first, and in it the newest version.
    ///
    /// # Errors
    /// [`FileError`] while the file can't be read.
    pub fn challengers(&self, name: &DeploymentName) -> Result<Vec<Challenger>, FileError> {
        self.with_reader(|sql| read::challengers(sql, name))
    }

    fn with_reader<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let _unmoved = self.moving.read().unwrap_or_else(PoisonError::into_inner);
        let idle = lock(&self.readers).pop();
        let opened = idle.map_or_else(|| schema::FILE.reader(&self.path), Ok);
        let result = opened.and_then(|sql| {
            let result = read(&sql)?;
            let mut readers = lock(&self.readers);
            if readers.len() < READING_MAX {
                readers.push(sql);
            }
            Ok(result)
        });
        if let Err(error) = &result {
            if matches!(error, FileError::Broken(_)) {
                // The thread that writes sets it aside.
                self.is_broken.store(true, Ordering::Relaxed);
            }
            let file = self.path.display();
            tracing::warn!(%file, %error, "pairs of challengers can't be read");
        }
        result
    }
}

fn note_dropped(reason: &str, pairs: u64) {
    if pairs > 0 {
        series::count(&table::COMPARISON_DROPPED, &[reason], pairs);
    }
}

/// What is locked here is whole whenever it is let go of.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
