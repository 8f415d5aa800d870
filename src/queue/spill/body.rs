//! A file as a body.

use std::{
    fs::File,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    BLOCK_BYTES,
    disk::{Descriptor, read_block, too_short},
};
use crate::net::descriptors;

/// Reads a file from some byte on, as a body: a block ahead of who takes it. It ends with the bytes
/// that were asked for, or in an error.
#[derive(Debug)]
pub struct SpillBody {
    file: Arc<Descriptor>,
    at: u64,
    end: u64,
    ahead: Option<Ahead>,
}

/// The block at `at`.
#[derive(Debug)]
enum Ahead {
    Read(Bytes),
    Reading(JoinHandle<io::Result<Bytes>>),
}

// === impl SpillBody ===

impl SpillBody {
    /// Opens a file, and reads the first block with it; blocks.
    pub(super) fn open(
        path: &Path,
        from: u64,
        bytes: u64,
        place: descriptors::Descriptor,
    ) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = from.checked_add(bytes).ok_or_else(too_short)?;
        if file.metadata()?.len() < end {
            return Err(too_short());
        }
        let file = Arc::new(Descriptor::of(file, place));
        let mut body = Self {
            file,
            at: from,
            end,
            ahead: None,
        };
        if bytes > 0 {
            let first = read_block(&body.file, from, body.block_bytes())?;
            body.ahead = Some(Ahead::Read(first));
        }
        Ok(body)
    }

    fn block_bytes(&self) -> usize {
        BLOCK_BYTES.min(self.end - self.at) as usize
    }

    fn read_ahead(&self) -> Ahead {
        let (file, at, bytes) = (Arc::clone(&self.file), self.at, self.block_bytes());
        Ahead::Reading(spawn_blocking(move || read_block(&file, at, bytes)))
    }
}

impl Body for SpillBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.at == this.end {
            return Poll::Ready(None);
        }
        let ahead = this.ahead.take();
        let block = match ahead.unwrap_or_else(|| this.read_ahead()) {
            Ahead::Read(block) => block,
            Ahead::Reading(mut reading) => match Pin::new(&mut reading).poll(cx) {
                Poll::Ready(Ok(Ok(block))) => block,
                Poll::Ready(Ok(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                Poll::Pending => {
                    this.ahead = Some(Ahead::Reading(reading));
                    return Poll::Pending;
                }
            },
        };
        this.at += block.len() as u64;
        if this.at < this.end {
            this.ahead = Some(this.read_ahead());
        }
        Poll::Ready(Some(Ok(Frame::data(block))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
