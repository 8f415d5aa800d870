//! Who follows.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{End, GivenUp, Piece, Recording};
use crate::queue::spill::read_block;

/// Follows a recording from some byte on, live, to its end. It fails as soon as the recording is
/// given up, whatever it has not seen by then; and it goes on failing.
#[derive(Debug)]
pub struct Follower {
    recording: Arc<Recording>,
    at: u64,
    /// Among those who wait, once it had to.
    place: Option<usize>,
    /// The bytes at `at`, which are in the file.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    is_lost: bool,
}

// === impl Follower ===

impl Follower {
    pub(super) fn new(recording: Arc<Recording>, from: u64) -> Self {
        let is_lost = from > recording.bytes();
        Self {
            recording,
            at: from,
            place: None,
            reading: None,
            is_lost,
        }
    }

    /// The bytes at `at`; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, GivenUp>>> {
        let recording = Arc::clone(&self.recording);
        let (file, bytes) = {
            let mut kept = recording.kept();
            if self.is_lost || kept.end == End::GivenUp {
                return Poll::Ready(Some(Err(GivenUp)));
            }
            match kept.piece(self.at) {
                Piece::Here(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Piece::InFile(file, bytes) => (file, bytes),
                Piece::Nothing if kept.end == End::Settled => return Poll::Ready(None),
                Piece::Nothing => {
                    // Under the lock: what comes from now on wakes it.
                    kept.wait(&mut self.place, cx);
                    return Poll::Pending;
                }
            }
        };
        let at = self.at;
        let reading = self
            .reading
            .get_or_insert_with(|| spawn_blocking(move || read_block(&file, at, bytes)));
        let read = match Pin::new(reading).poll(cx) {
            Poll::Ready(read) => read.unwrap_or_else(|error| Err(io::Error::other(error))),
            Poll::Pending => return Poll::Pending,
        };
        self.reading = None;
        Poll::Ready(Some(read.map_err(|error| {
            tracing::warn!(%error, "a recording could not be read");
            self.is_lost = true;
            GivenUp
        })))
    }
}

impl Body for Follower {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let this = self.get_mut();
        this.poll_bytes(cx).map_ok(|bytes| {
            this.at += bytes.len() as u64;
            Frame::data(bytes)
        })
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.recording.kept();
        !self.is_lost && kept.end == End::Settled && self.at == kept.bytes()
    }

    /// Exact once it has ended; before that, nobody knows.
    fn size_hint(&self) -> SizeHint {
        let kept = self.recording.kept();
        match kept.end {
            End::Settled if !self.is_lost => SizeHint::with_exact(kept.bytes() - self.at),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.recording.kept().leave(place);
        }
    }
}
