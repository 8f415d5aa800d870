//! Readers: a few connections that cannot write, used on threads that may block.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{super::StoreError, SqliteOptions, open};

/// The handle to the readers.
pub(super) struct Readers {
    pool: Arc<Pool>,
    /// One permit for each connection; who finds none waits.
    permits: Arc<Semaphore>,
}

struct Pool {
    file: PathBuf,
    options: SqliteOptions,
    /// Those at rest. Connections are opened when they are first needed.
    idle: Mutex<Vec<Connection>>,
}

// === impl Readers ===

impl Readers {
    pub(super) fn new(file: PathBuf, options: SqliteOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.readers.max(1)));
        let idle = Mutex::new(Vec::new());
        let pool = Arc::new(Pool {
            file,
            options,
            idle,
        });
        Self { pool, permits }
    }

    /// Reads what was committed before this call, at least.
    ///
    /// # Cancellation
    /// The reading goes on to its end, for nobody.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let pool = Arc::clone(&self.pool);
        let reading = move || {
            // Held until the connection is at rest again, also when nobody waits any more.
            let _permit = permit;
            pool.with(work)
        };
        match tokio::task::spawn_blocking(reading).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

// === impl Pool ===

impl Pool {
    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let rested = self.idle().pop();
        let connection = match rested {
            Some(connection) => connection,
            None => open::reader(&self.file, &self.options)?,
        };
        // One that failed, or whose reading panicked, is not used again.
        let read = work(&connection)?;
        self.idle().push(connection);
        Ok(read)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
