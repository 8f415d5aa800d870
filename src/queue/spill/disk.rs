//! What is done on the disk. All of it blocks, but for [`blocking`] itself.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io, mem,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use super::name::{SpillName, folder_name};
use crate::net::descriptors;

/// The directory.
#[derive(Debug)]
pub(super) struct Root {
    directory: PathBuf,
    /// Folders whose own entry in the directory was synced, by us. Read and written in any order:
    /// what is missed is synced once more.
    synced: [AtomicBool; 256],
}

/// An open file. The last to let go of one that was removed frees its pages and blocks, which for a
/// large one takes milliseconds; so that is done on a blocking thread, if there is one.
#[derive(Debug)]
pub(in crate::queue) struct Descriptor {
    file: Option<(File, descriptors::Descriptor)>,
}

/// A file's entry until the file is finished. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
}

/// Runs on a blocking thread.
///
/// # Cancellation
/// What has begun goes on to its end; what it answers is dropped.
pub(super) async fn blocking<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// So many bytes from `from` on; fewer than these are an error.
pub(in crate::queue) fn read_block(
    file: &Descriptor,
    from: u64,
    bytes: usize,
) -> io::Result<Bytes> {
    let mut block = BytesMut::zeroed(bytes);
    match file.get()?.read_exact_at(&mut block, from) {
        Ok(()) => Ok(block.freeze()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(too_short()),
        Err(error) => Err(error),
    }
}

pub(super) fn too_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "a spilled file is shorter than what was written to it",
    )
}

// === impl Root ===

impl Root {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        make_directory(directory)?;
        // Also when it was there: whoever made it may have died before this.
        let parent = directory.parent().filter(|it| !it.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))?;
        Ok(Self {
            directory: directory.to_owned(),
            synced: [const { AtomicBool::new(false) }; 256],
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, name: SpillName) -> PathBuf {
        self.directory.join(name.path())
    }

    pub(super) fn folder(&self, folder: u8) -> PathBuf {
        self.directory.join(folder_name(folder))
    }

    /// Makes a file that is not there, and its folder if need be.
    pub(super) fn create(
        &self,
        name: SpillName,
        place: descriptors::Descriptor,
    ) -> io::Result<(Descriptor, Unfinished)> {
        let path = self.path(name);
        let made = match create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.synced(name).store(false, Ordering::Relaxed);
                make_directory(&self.folder(name.folder()))?;
                create_new(&path)
            }
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && matches!(name, SpillName::Answer(..)) =>
            {
                fs::remove_file(&path)?;
                create_new(&path)
            }
            made => made,
        };
        Ok((Descriptor::of(made?, place), Unfinished { path }))
    }

    /// Syncs a file's entry, and that of its folder unless that was done.
    pub(super) fn sync_entry(&self, name: SpillName) -> io::Result<()> {
        sync_directory(&self.folder(name.folder()))?;
        if !self.synced(name).load(Ordering::Relaxed) {
            sync_directory(&self.directory)?;
            self.synced(name).store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn synced(&self, name: SpillName) -> &AtomicBool {
        &self.synced[usize::from(name.folder())]
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

// === impl Descriptor ===

impl Descriptor {
    /// A file, with its place among the process's descriptors.
    pub(super) fn of(file: File, place: descriptors::Descriptor) -> Self {
        let file = Some((file, place));
        Self { file }
    }

    pub(super) fn get(&self) -> io::Result<&File> {
        // Only dropping takes it.
        let (file, _) = self.file.as_ref().ok_or_else(too_short)?;
        Ok(file)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let file = self.file.take();
        if let Ok(runtime) = Handle::try_current() {
            // On a runtime that shuts down it is closed right here. The file first, then its place.
            drop(runtime.spawn_blocking(move || drop(file)));
        }
    }
}

// === impl Unfinished ===

impl Unfinished {
    /// At the place that is given, for tests.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file is finished, and stays.
    pub(super) fn keep(mut self) {
        drop(mem::take(&mut self.path));
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        // Here and now, since the file is open and only its entry goes: who begins it anew must not
        // lose the new one to an old one's end.
        if let Err(error) = remove(&self.path) {
            let path = self.path.display();
            tracing::warn!(file = %path, %error, "an unfinished file was not removed");
        }
    }
}
