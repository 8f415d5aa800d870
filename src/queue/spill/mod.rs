//! Bodies and answers that are too large for a row: each a file of its own beside the store.
//!
//! ```text
//! create ──▶ SpillFile ──append──▶ pieces ──finish──▶ file synced, folder synced ──▶ the row may say so
//!                └── dropped before that: the file goes
//! read   ──▶ SpillBody: a block ahead of who reads it
//! sweep  ──▶ what no row knows (its process died in between) goes
//! ```
//!
//! An open file is one of the process's descriptors, of which some are left for others: it takes its
//! place among them, or is not opened.
//!
//! A file stands in one of 256 folders, by a byte of its id's random half. The disk is touched on
//! the blocking threads of whichever runtime calls.

use std::{io, path::Path, sync::Arc, time::SystemTime};

mod body;
mod disk;
mod file;
mod name;
mod sweep;

pub use body::SpillBody;
pub(super) use disk::{Descriptor, read_block};
use disk::{Root, blocking};
pub use file::SpillFile;
pub use name::SpillName;
pub use sweep::Swept;

use crate::net::descriptors;

/// A file beside the folders that only takes up room. See `room`.
pub(super) const BALLAST: &str = "ballast";

/// What a row holds of a body or an answer; what is larger is spilled.
pub const INLINE_BYTES_MAX: u64 = 64 * 1024;

/// What is read at once. Two of these are held for each body that is being read.
pub(super) const BLOCK_BYTES: u64 = 64 * 1024;

/// Why bytes were not kept.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The disk is full.
    #[error("the disk is full: {0}")]
    Full(#[source] io::Error),
    /// The process has as many files and sockets open as it may.
    #[error("too many connections and files are open (see the limit of descriptors)")]
    Descriptors,
    /// Anything else.
    #[error("{0}")]
    Io(#[source] io::Error),
}

/// For whom a file is opened. Who asks now is refused before work is that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// Somebody who asks for it.
    Caller,
    /// An attempt at a request that was accepted.
    Attempt,
    /// Whoever operates the deployment: what callers hold open must not keep them out.
    Operator,
}

/// The directory of spilled files.
#[derive(Debug, Clone)]
pub struct Spill {
    root: Arc<Root>,
}

// === impl Spill ===

impl Spill {
    /// Opens the directory, making it if need be. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(directory: &Path) -> Result<Self, SpillError> {
        let root = Arc::new(Root::open(directory)?);
        Ok(Self { root })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.root.directory()
    }

    /// Begins a file. An answer's that is there already was left by a process that died, and is
    /// replaced.
    ///
    /// # Errors
    /// The disk's; when a body of this name is there already; when there is no descriptor for it.
    ///
    /// # Cancellation
    /// The file, if it was made, is removed.
    pub async fn create(&self, name: SpillName, opener: Opener) -> Result<SpillFile, SpillError> {
        let place = opener.place()?;
        let root = Arc::clone(&self.root);
        // The blocking thread makes the guard that removes the file: nobody may be here to take it.
        Ok(blocking(move || SpillFile::create(root, name, place)).await?)
    }

    /// Removes a file, if it is there. After a crash it may be there again; the sweep finds it.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancellation
    /// The file may be removed all the same.
    pub async fn remove(&self, name: SpillName) -> Result<(), SpillError> {
        let path = self.root.path(name);
        Ok(blocking(move || disk::remove(&path)).await?)
    }

    /// The bytes of a finished file from `from` on, `bytes` in all.
    ///
    /// # Errors
    /// The disk's; when the file is shorter than that; when there is no descriptor for it.
    pub async fn read(
        &self,
        name: SpillName,
        from: u64,
        bytes: u64,
        opener: Opener,
    ) -> Result<SpillBody, SpillError> {
        let place = opener.place()?;
        let path = self.root.path(name);
        Ok(blocking(move || SpillBody::open(&path, from, bytes, place)).await?)
    }

    /// Removes files that nobody knows and that were last written before a moment: those of
    /// submissions and attempts under way are younger than that. `known` is asked a page of names
    /// at a time; a name that it gives no answer for counts as known. What is no name of ours is
    /// left alone. Answers what went.
    ///
    /// # Errors
    /// When a folder can't be read. A file that can't be removed is logged and passed over.
    ///
    /// # Cancellation
    /// It stops behind the page that is at hand.
    pub async fn sweep<F, K>(&self, before: SystemTime, known: F) -> Result<Swept, SpillError>
    where
        F: Fn(Vec<SpillName>) -> K,
        K: Future<Output = Vec<bool>>,
    {
        Ok(sweep::sweep(&self.root, before, known).await?)
    }
}

// === impl Opener ===

impl Opener {
    fn place(self) -> Result<descriptors::Descriptor, SpillError> {
        let place = match self {
            Self::Caller => descriptors::Descriptor::for_file(),
            Self::Attempt | Self::Operator => descriptors::Descriptor::for_work(),
        };
        place.ok_or(SpillError::Descriptors)
    }
}

// === impl SpillError ===

impl From<io::Error> for SpillError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            // The process's limit was lowered under way, say, or others have used up the system's.
            _ if descriptors::is_exhausted(&error) => Self::Descriptors,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
