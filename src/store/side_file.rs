//! A file beside the store that holds figures and nothing that anything rests on: written by one
//! thread, without a sync for each write, and set aside when it is broken.
//!
//! ```text
//! SideFile ──writer, reader──▶ connections ──▶ what.db (+ -wal) ──broken──▶ what.db.broken
//! Standing ──tell──▶ the log, once when it can't be used, and once when it can again
//! ```

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::base::varint::Malformed;

/// The log is cut to this when it begins anew.
const WAL_KEPT_BYTES: i64 = 4 << 20;
/// Whoever else has the file open, with `sqlite3` say, may hold us up this long.
const BUSY: Duration = Duration::from_millis(500);

/// What a file is.
#[derive(Debug)]
pub struct SideFile {
    /// What it holds, in words for the log: a plural.
    pub what: &'static str,
    /// So that `file` and we ourselves know what this is.
    pub application_id: i32,
    /// The layout: another one is not read.
    pub layout: i32,
    /// How its tables are made.
    pub tables: &'static str,
    /// Bytes of a page of a new file.
    pub page_bytes: u32,
    /// Memory that a connection keeps pages in.
    pub cache_kib: i64,
    /// Pages in the log at which a commit moves them to their place; 0: the writer does so itself.
    pub checkpoint_pages: u32,
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is damaged, or something else.
    #[error("it is damaged or not weir's: {0}")]
    Broken(String),
    /// There is no room in it, or none on the disk.
    #[error("{0}")]
    Full(String),
    /// The system or another program refuses, for now.
    #[error("{0}")]
    Refused(String),
}

/// Whether a file takes writes, and whether the log has been told.
#[derive(Debug)]
pub struct Standing {
    is_available: AtomicBool,
}

// === impl FileError ===

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> Self {
        let words = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Broken(words),
            Some(ErrorCode::DiskFull) => Self::Full(words),
            // A table or a column that is not there.
            Some(ErrorCode::Unknown) => Self::Broken(words),
            _ => Self::Refused(words),
        }
    }
}

impl From<Malformed> for FileError {
    fn from(error: Malformed) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

// === impl SideFile ===

impl SideFile {
    /// Opens the file for writing, making it if there is none. It takes no more than so many bytes.
    ///
    /// # Errors
    /// [`FileError`]; when it says `Broken`, the file is to be set aside.
    pub fn writer(&self, path: &Path, bytes_max: u64) -> Result<Connection, FileError> {
        // Made here, so that its mode is right from the start.
        let made = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path);
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(path, flags)?;
        self.set_up(&sql)?;
        // Before anything is written: another program's file is left as it is.
        let is_new = self.identify(&sql)?;
        // These two hold for a file that is empty, and change nothing otherwise.
        sql.pragma_update(None, "page_size", self.page_bytes)?;
        sql.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        let mode: String =
            sql.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(FileError::Refused(format!(
                "no write-ahead log here, only {mode:?}"
            )));
        }
        // A crash of the system may cost what came since the last checkpoint, and breaks nothing.
        sql.pragma_update(None, "synchronous", "NORMAL")?;
        sql.pragma_update(None, "wal_autocheckpoint", self.checkpoint_pages)?;
        sql.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
        let page: u64 = sql.pragma_query_value(None, "page_size", |row| row.get(0))?;
        sql.pragma_update(
            None,
            "max_page_count",
            (bytes_max / page.max(512)).max(16) as i64,
        )?;
        if is_new {
            self.lay_out(&sql)?;
        }
        Ok(sql)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn reader(&self, path: &Path) -> Result<Connection, FileError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(path, flags)?;
        self.set_up(&sql)?;
        Ok(sql)
    }

    /// Moves a broken file and what belongs to it out of the way, and says so, with the words that
    /// tell why. What belonged to one that is gone must go too, lest a new one takes it for its own.
    /// Nobody may have it open.
    ///
    /// # Errors
    /// The system's.
    pub fn set_aside(&self, path: &Path, words: &str) -> io::Result<()> {
        let aside = beside(path, ".broken");
        match fs::rename(path, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for suffix in ["-wal", "-shm"] {
            match fs::remove_file(beside(path, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        tracing::warn!(
            file = %path.display(), set_aside = %aside.display(), words,
            "the {} can't be read; a new file is begun", self.what
        );
        Ok(())
    }

    fn set_up(&self, sql: &Connection) -> Result<(), rusqlite::Error> {
        sql.busy_timeout(BUSY)?;
        sql.pragma_update(None, "trusted_schema", false)?;
        sql.pragma_update(None, "mmap_size", 0)?;
        sql.pragma_update(None, "cache_size", -self.cache_kib)?;
        sql.pragma_update(None, "temp_store", "MEMORY")
    }

    fn lay_out(&self, sql: &Connection) -> Result<(), FileError> {
        let transaction = sql.unchecked_transaction()?;
        transaction.execute_batch(self.tables)?;
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.pragma_update(None, "user_version", self.layout)?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether there is nothing in it yet.
    fn identify(&self, sql: &Connection) -> Result<bool, FileError> {
        let id: i32 = sql.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let layout: i32 = sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = sql.query_row(tables, [], |row| row.get(0))?;
        if (id, layout, tables) == (0, 0, 0) {
            return Ok(true);
        }
        match (id == self.application_id, layout == self.layout) {
            (true, true) => Ok(false),
            (true, false) => Err(FileError::Broken(format!(
                "its layout is {layout}, and {} is the one that is known",
                self.layout
            ))),
            (false, _) => Err(FileError::Broken(format!(
                "it is not a file of {}",
                self.what
            ))),
        }
    }
}

// === impl Standing ===

impl Default for Standing {
    fn default() -> Self {
        Self {
            is_available: AtomicBool::new(true),
        }
    }
}

impl Standing {
    /// Whether the file took what was written last.
    pub fn is_available(&self) -> bool {
        // Relaxed: nothing else is read after it.
        self.is_available.load(Ordering::Relaxed)
    }

    /// Notes how the last writing went. Says once that the file can't be used, and once that it can be
    /// again.
    pub fn tell<T>(&self, file: &SideFile, path: &Path, result: Result<T, FileError>) {
        let was_available = self.is_available.swap(result.is_ok(), Ordering::Relaxed);
        let (what, file) = (file.what, path.display());
        match result {
            Err(error) if was_available => {
                tracing::warn!(%file, %error, "{what} are not written down for now");
            }
            Ok(_) if !was_available => tracing::info!(%file, "{what} are written again"),
            _ => {}
        }
    }
}

/// Bytes of the file and its log.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    size(path) + size(&beside(path, "-wal"))
}

/// Bytes of its log.
pub fn log_bytes(path: &Path) -> u64 {
    fs::metadata(beside(path, "-wal")).map_or(0, |found| found.len())
}

/// Moves all of the log to its place and empties it, unless somebody else is in the way: a log begins
/// anew only when nobody reads from it, and with readers that take turns that never happens by itself.
///
/// # Errors
/// [`FileError`].
pub fn empty_log(sql: &Connection) -> Result<(), FileError> {
    // Busy is an answer here, and no error.
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Bytes of the pages that hold something.
///
/// # Errors
/// [`FileError`].
pub fn used_bytes(sql: &Connection) -> Result<u64, FileError> {
    let get = |name| sql.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((get("page_count")? - get("freelist_count")?) * get("page_size")?)
}

/// Gives up to so many pages back to the system, where more are free than what comes will need.
///
/// # Errors
/// [`FileError`].
pub fn give_back(sql: &Connection, pages_at_once: u32) -> Result<(), FileError> {
    let get = |name| sql.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    // What goes makes room for what comes; only more than that is given back.
    if get("freelist_count")? > get("page_count")? / 4 {
        sql.execute_batch(&format!("PRAGMA incremental_vacuum({pages_at_once})"))?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
