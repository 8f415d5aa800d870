//! A file that is being written.

use std::{io, os::unix::fs::FileExt, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    SpillError, SpillName,
    disk::{Descriptor, Root, Unfinished, blocking},
};
use crate::net::descriptors;

/// What is collected before it is written.
const PIECE_BYTES: usize = 256 * 1024;

/// A file that is being written. Dropped unfinished, it is removed.
///
/// After an error, or when a write was not waited for, nobody knows what is in it: it takes nothing
/// more and does not finish.
#[derive(Debug)]
pub struct SpillFile {
    root: Arc<Root>,
    name: SpillName,
    entry: Unfinished,
    file: Arc<Descriptor>,
    collected: BytesMut,
    written: u64,
    is_torn: bool,
}

// === impl SpillFile ===

impl SpillFile {
    /// Makes it; blocks.
    pub(super) fn create(
        root: Arc<Root>,
        name: SpillName,
        place: descriptors::Descriptor,
    ) -> io::Result<Self> {
        let (file, entry) = root.create(name, place)?;
        Ok(Self::of(root, name, file, entry))
    }

    pub(super) fn of(
        root: Arc<Root>,
        name: SpillName,
        file: Descriptor,
        entry: Unfinished,
    ) -> Self {
        Self {
            root,
            name,
            entry,
            file: Arc::new(file),
            collected: BytesMut::new(),
            written: 0,
            is_torn: false,
        }
    }

    /// Appends; not durable yet.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancellation
    /// The file is good for nothing any more.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), SpillError> {
        self.check()?;
        if self.collected.len() + bytes.len() > PIECE_BYTES {
            let piece = self.collected.split().freeze();
            self.write(piece).await?;
        }
        if bytes.len() > PIECE_BYTES {
            return self.write(bytes).await;
        }
        self.collected.extend_from_slice(&bytes);
        Ok(())
    }

    /// Syncs the file and its directory entry; answers its length.
    ///
    /// # Errors
    /// The disk's. The file is removed then.
    ///
    /// # Cancellation
    /// The file is removed.
    pub async fn finish(self) -> Result<u64, SpillError> {
        self.check()?;
        let Self {
            root,
            name,
            entry,
            file,
            mut collected,
            written,
            ..
        } = self;
        let rest = collected.split().freeze();
        let bytes = written + rest.len() as u64;
        blocking(move || {
            file.get()?.write_all_at(&rest, written)?;
            file.get()?.sync_data()?;
            root.sync_entry(name)
        })
        .await?;
        entry.keep();
        Ok(bytes)
    }

    /// Appends and waits until those who share the file can read it there.
    ///
    /// # Cancellation
    /// As for [`SpillFile::append`].
    pub(in crate::queue) async fn write(&mut self, bytes: Bytes) -> Result<(), SpillError> {
        self.check()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let (file, at, length) = (Arc::clone(&self.file), self.written, bytes.len() as u64);
        self.is_torn = true;
        blocking(move || file.get()?.write_all_at(&bytes, at)).await?;
        self.is_torn = false;
        self.written += length;
        Ok(())
    }

    /// The file, for those who read it while it is written, and after it was removed.
    pub(in crate::queue) fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.file)
    }

    fn check(&self) -> Result<(), SpillError> {
        match self.is_torn {
            true => Err(io::Error::other("an earlier write of this file has failed").into()),
            false => Ok(()),
        }
    }
}
