//! Who records.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{End, RecordError, Recording};
use crate::{
    base::async_id::AsyncId,
    queue::spill::{INLINE_BYTES_MAX, Opener, Spill, SpillError, SpillFile, SpillName},
    store::Content,
};

/// What is collected in memory: a row's worth, and then the same between two writes.
const BUFFER_BYTES: usize = INLINE_BYTES_MAX as usize;

/// Who records. Dropped unfinished, the recording is given up, and its file removed. Dropped
/// finished and not settled, it is given up for its followers, and the file stays: whoever recorded
/// the end may not know whether it is recorded.
#[derive(Debug)]
pub struct Recorder {
    recording: Arc<Recording>,
    spill: Spill,
    name: SpillName,
    bytes_max: u64,
    file: Option<SpillFile>,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    Taking,
    /// Something is under way that was not waited for, or has failed.
    Torn,
    Finished(Content),
}

// === impl Recorder ===

impl Recorder {
    /// Begins to record the answer of an attempt.
    pub fn new(
        spill: Spill,
        id: AsyncId,
        attempt: u32,
        status: StatusCode,
        headers: HeaderMap,
        bytes_max: u64,
    ) -> Self {
        Self {
            recording: Arc::new(Recording::new(attempt, status, headers)),
            spill,
            name: SpillName::Answer(id, attempt),
            bytes_max,
            file: None,
            stage: Stage::Taking,
        }
    }

    /// What others follow.
    pub fn recording(&self) -> Arc<Recording> {
        Arc::clone(&self.recording)
    }

    /// Appends. Followers see the bytes as soon as they are taken, before they are written.
    ///
    /// # Errors
    /// When it would be more than is kept, nothing of it is taken. Behind an error of the disk's
    /// nothing can be appended.
    ///
    /// # Cancellation
    /// Some of the bytes may have been taken: nothing more can be appended.
    pub async fn append(&mut self, mut bytes: Bytes) -> Result<(), RecordError> {
        let Stage::Taking = self.stage else {
            return Err(no_more().into());
        };
        let room = self.bytes_max.saturating_sub(self.recording.bytes());
        if bytes.len() as u64 > room {
            return Err(RecordError::TooLarge(self.bytes_max));
        }
        self.stage = Stage::Torn;
        while !bytes.is_empty() {
            let room = BUFFER_BYTES - self.recording.kept().unwritten();
            if room == 0 {
                self.write().await?;
                continue;
            }
            let taken = bytes.split_to(room.min(bytes.len()));
            self.recording.change(|kept| kept.append(&taken));
        }
        self.stage = Stage::Taking;
        Ok(())
    }

    /// Ends it; what was too large for a row is synced. Followers go on to the end. Until the
    /// `Recorder` is told [`Recorder::settle`], they are not told that it has ended: the end must be
    /// recorded first. Asked again, it answers the same.
    ///
    /// # Errors
    /// The disk's; also when an append has failed.
    ///
    /// # Cancellation
    /// It can't be finished any more.
    pub async fn finish(&mut self) -> Result<Content, RecordError> {
        match &self.stage {
            Stage::Taking => {}
            Stage::Torn => return Err(no_more().into()),
            Stage::Finished(content) => return Ok(content.clone()),
        }
        self.stage = Stage::Torn;
        if self.file.is_some() {
            self.write().await?;
        }
        let content = match self.file.take() {
            Some(file) => Content::Spilled(file.finish().await?),
            None => Content::Inline(self.recording.kept().hold()),
        };
        self.stage = Stage::Finished(content.clone());
        Ok(content)
    }

    /// The end is recorded: followers may have their last byte. Without [`Recorder::finish`] there
    /// is no end, and it is given up.
    pub fn settle(self) {
        if let Stage::Finished(_) = self.stage {
            self.recording.change(|kept| kept.end = End::Settled);
        }
    }

    /// Moves the buffer to the file, making it if need be.
    async fn write(&mut self) -> Result<(), SpillError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.spill.create(self.name, Opener::Attempt).await?),
        };
        let held = {
            let mut kept = self.recording.kept();
            kept.file.get_or_insert_with(|| file.descriptor());
            kept.hold()
        };
        file.write(held).await?;
        // Nobody waits for this: the bytes were there before.
        self.recording.kept().release();
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.recording.change(|kept| {
            if kept.end == End::Open {
                kept.end = End::GivenUp;
            }
        });
    }
}

fn no_more() -> SpillError {
    io::Error::other("this recording takes nothing any more").into()
}
