//! The file of the monitoring series: how it is opened, what is in it, and how it is set aside.
//!
//! ```text
//! series    id ── deployment, role
//! journal   points since their chunk began, as they came, all series of a write together
//! chunk_L   points of one series and one chunk's time; the id is the time, then the series, so that
//!           writing appends and what is old lies together
//! meta      bytes of each level, and from when on it is whole
//! ```

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// "wmon", so that `file` and we ourselves know what this is.
const APPLICATION_ID: i32 = 0x776d_6f6e;
/// The layout, the scale of durations included: another one is not read.
const LAYOUT: i32 = 1;
/// Chunks have one to three KiB: in smaller pages a third of the room would be lost.
const PAGE_BYTES: u32 = 8_192;
/// The log is cut to this when it begins anew.
const WAL_KEPT_BYTES: i64 = 4 << 20;
/// Memory that a connection keeps pages in.
const CACHE_KIB: i64 = 2_048;
/// Whoever else has the file open, with `sqlite3` say, may hold us up this long.
const BUSY: Duration = Duration::from_millis(500);

const TABLES: &str = "
    CREATE TABLE series (id INTEGER PRIMARY KEY, deployment TEXT NOT NULL, role INTEGER NOT NULL,
        seen INTEGER NOT NULL, UNIQUE (deployment, role));
    CREATE TABLE journal (id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_0 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_1 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_2 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
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

impl From<super::codec::Malformed> for FileError {
    fn from(error: super::codec::Malformed) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Opens the file for writing, making it if there is none.
pub(super) fn writer(path: &Path, bytes_max: u64) -> Result<Connection, FileError> {
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
    common(&sql)?;
    // These two hold for a file that is empty, and change nothing otherwise.
    sql.pragma_update(None, "page_size", PAGE_BYTES)?;
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
    sql.pragma_update(None, "wal_autocheckpoint", 0)?;
    sql.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    let page: u64 = sql.pragma_query_value(None, "page_size", |row| row.get(0))?;
    sql.pragma_update(
        None,
        "max_page_count",
        (bytes_max / page.max(512)).max(16) as i64,
    )?;
    identify(&sql)?;
    Ok(sql)
}

fn identify(sql: &Connection) -> Result<(), FileError> {
    let id: i32 = sql.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let layout: i32 = sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = sql.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (id, layout, tables) {
        (0, 0, 0) => {
            let transaction = sql.unchecked_transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", LAYOUT)?;
            transaction.commit()?;
            Ok(())
        }
        (APPLICATION_ID, LAYOUT, _) => Ok(()),
        (APPLICATION_ID, other, _) => {
            let words = format!("its layout is {other}, and {LAYOUT} is the one that is known");
            Err(FileError::Broken(words))
        }
        _ => Err(FileError::Broken(
            "it is not a file of monitoring series".to_owned(),
        )),
    }
}

/// Opens the file for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    common(&sql)?;
    Ok(sql)
}

fn common(sql: &Connection) -> Result<(), rusqlite::Error> {
    sql.busy_timeout(BUSY)?;
    sql.pragma_update(None, "trusted_schema", false)?;
    sql.pragma_update(None, "mmap_size", 0)?;
    sql.pragma_update(None, "cache_size", -CACHE_KIB)?;
    sql.pragma_update(None, "temp_store", "MEMORY")
}

/// Moves a broken file and what belongs to it out of the way; says where it is now. Nobody may have
/// it open.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = beside(".broken");
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// Bytes of the file and its log.
pub(super) fn bytes_on_disk(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    size(path) + size(Path::new(&log))
}
