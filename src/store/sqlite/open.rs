//! Opening: the lock, the file's identity, and how each connection is set.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{SqliteOptions, schema};

/// Its fixes of the log's resetting are what our durability rests on.
const SQLITE_MIN: i32 = 3_051_003;
/// How long a connection waits for another one's lock. Ours never hold one for long.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// The log is cut to this when it begins anew, whatever one large commit made of it.
const WAL_KEPT_BYTES: i64 = 8 << 20;
/// A backstop: the writer checkpoints long before, while nobody waits for it.
const WAL_PAGES_MAX: i64 = 8_000;
/// Statements that each connection keeps prepared.
const STATEMENTS: usize = 64;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite in this program is too old.
    #[error("this program was built with SQLite {0}, whose log can lose commits; 3.51.3 is needed")]
    TooOld(&'static str),
    /// Another process, or another part of this one, has it.
    #[error("the store {} is in use by another weir; stop that one first", .0.display())]
    Taken(PathBuf),
    /// A newer weir wrote it.
    #[error(
        "the store {} was written by a newer weir (schema {found}; this one knows up to {known}); \
         it was left as it is: run the newer weir, or go back to a copy made before it",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Something else is in its place.
    #[error(
        "{} is not a store of weir; it was left as it is: move it away, or set WEIR_DATA_DIR",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// It is damaged.
    #[error(
        "the store {} is damaged ({words}); it was left as it is: put a copy of it back (with its \
         -wal file, if the copy has one), or move it and its -wal away to begin with an empty one",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        words: String,
    },
    /// The system refuses.
    #[error("the store: {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// SQLite refuses.
    #[error("the store {}: {words}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        words: String,
    },
}

/// The store's file, held by this process alone as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    /// The database.
    pub(super) file: PathBuf,
    /// The system releases the lock with the descriptor. It is on a file of its own: closing any
    /// descriptor of the database would drop the locks that SQLite has on it.
    _lock: File,
}

/// Takes the directory's store and brings its schema up to date.
pub(super) fn open(
    directory: &Path,
    options: &SqliteOptions,
) -> Result<(Held, Connection), OpenError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(OpenError::TooOld(rusqlite::version()));
    }
    let held = hold(directory)?;
    create(directory, &held.file)?;
    let told = |error: rusqlite::Error| explain(&held.file, &error);
    identify(&held.file)?;
    let mut connection = writer(&held.file, options).map_err(told)?;
    schema::migrate(&mut connection).map_err(told)?;
    Ok((held, connection))
}

fn hold(directory: &Path) -> Result<Held, OpenError> {
    let file = directory.join("weir.db");
    let path = directory.join("weir.db-lock");
    let failed = |error| OpenError::Io {
        path: path.clone(),
        error,
    };
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { file, _lock: lock }),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Taken(file)),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Makes the file if need be, so that its mode is right from the start; SQLite gives the same mode
/// to the files that it puts beside.
fn create(directory: &Path, file: &Path) -> Result<(), OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Io { path, error }
    };
    let made = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(made) => made.sync_all().map_err(at(file))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(at(file)(error)),
    }
    // Also when the file was there: whoever made it may have died before this.
    let opened = File::open(directory).map_err(at(directory))?;
    opened.sync_all().map_err(at(directory))
}

/// Looks at the file without a right to write it.
fn identify(file: &Path) -> Result<(), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = |connection: &Connection| -> Result<(i32, i64, i64), rusqlite::Error> {
        let id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let count = "SELECT count(*) FROM sqlite_schema";
        let tables = connection.query_row(count, [], |row| row.get(0))?;
        Ok((id, version, tables))
    };
    let (id, version, tables) = Connection::open_with_flags(file, flags)
        .and_then(|connection| read(&connection))
        .map_err(|error| explain(file, &error))?;
    match (id, version, tables) {
        (0, 0, 0) => Ok(()),
        (schema::APPLICATION_ID, found, _) if found > schema::version() => Err(OpenError::Newer {
            file: file.to_owned(),
            found,
            known: schema::version(),
        }),
        (schema::APPLICATION_ID, 1.., 1..) => Ok(()),
        _ => Err(OpenError::NotOurs(file.to_owned())),
    }
}

fn explain(file: &Path, error: &rusqlite::Error) -> OpenError {
    let file = file.to_owned();
    let words = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs(file),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { file, words },
        _ => OpenError::Refused { file, words },
    }
}

/// The one connection that writes.
pub(super) fn writer(file: &Path, options: &SqliteOptions) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    common(&connection, options)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let words = format!("this file system does not allow a write-ahead log, only {mode:?}");
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(rusqlite::Error::SqliteFailure(error, Some(words)));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Elsewhere than on Linux, what is called a sync may stop at the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MAX)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    if let Some(most) = options.bytes_max {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(most).unwrap_or(i64::MAX) / page;
        connection.pragma_update(None, "max_page_count", pages.max(1))?;
    }
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(file: &Path, options: &SqliteOptions) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    common(&connection, options)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn common(connection: &Connection, options: &SqliteOptions) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // An error of a mapped page is a signal that kills; one of a read is an answer.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    // What a savepoint sets aside would go to a temporary directory, which may not be writable.
    connection.pragma_update(None, "temp_store", "MEMORY")
}
