//! What a recording holds, and who waits for more. Nothing here waits or touches the disk.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use smallvec::SmallVec;

use super::Descriptor;
use crate::queue::spill::BLOCK_BYTES;

/// The bytes, in the order in which they came: `written`, `held`, `buffer`.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The file, once there is one. It is kept open, since it may be removed meanwhile.
    pub(super) file: Option<Arc<Descriptor>>,
    /// Bytes that can be read from the file.
    written: u64,
    /// Bytes that don't change any more: on their way to the file, or all there are.
    held: Bytes,
    /// Bytes that wait for more.
    buffer: BytesMut,
    pub(super) end: End,
    waiting: Slab<Option<Waker>>,
}

/// How it stands with the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    /// There will be more, or the end is not recorded yet.
    #[default]
    Open,
    /// It is whole, and recorded as such.
    Settled,
    /// There will be no end.
    GivenUp,
}

/// Some bytes from a place on.
#[derive(Debug)]
pub(super) enum Piece {
    Here(Bytes),
    /// So many, at that place of this file.
    InFile(Arc<Descriptor>, usize),
    /// That place is the end, so far.
    Nothing,
}

// === impl Kept ===

impl Kept {
    pub(super) fn bytes(&self) -> u64 {
        self.written + (self.held.len() + self.buffer.len()) as u64
    }

    /// Bytes that are in no file.
    pub(super) fn unwritten(&self) -> usize {
        self.held.len() + self.buffer.len()
    }

    pub(super) fn piece(&self, at: u64) -> Piece {
        if let (Some(file), Some(left)) = (&self.file, self.written.checked_sub(at))
            && left > 0
        {
            return Piece::InFile(Arc::clone(file), left.min(BLOCK_BYTES) as usize);
        }
        let at = at.saturating_sub(self.written) as usize;
        if at < self.held.len() {
            return Piece::Here(self.held.slice(at..));
        }
        match self.buffer.get(at - self.held.len()..) {
            None | Some([]) => Piece::Nothing,
            // A copy: the buffer is still being filled.
            Some(bytes) => Piece::Here(Bytes::copy_from_slice(bytes)),
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer becomes what is held, and begins anew. What was held is in the file by then.
    pub(super) fn hold(&mut self) -> Bytes {
        debug_assert!(self.held.is_empty());
        self.held = self.buffer.split().freeze();
        self.held.clone()
    }

    /// What was held is in the file.
    pub(super) fn release(&mut self) {
        self.written += self.held.len() as u64;
        self.held = Bytes::new();
    }

    /// Who waits is to be woken; a place was given in an earlier call, if there was one.
    pub(super) fn wait(&mut self, place: &mut Option<usize>, cx: &Context<'_>) {
        match place.and_then(|place| self.waiting.get_mut(place)) {
            Some(Some(waker)) => waker.clone_from(cx.waker()),
            Some(woken) => *woken = Some(cx.waker().clone()),
            None => *place = Some(self.waiting.insert(Some(cx.waker().clone()))),
        }
    }

    /// Who had this place waits no more.
    pub(super) fn leave(&mut self, place: usize) {
        drop(self.waiting.try_remove(place));
    }

    /// Those who wait; each is woken once.
    pub(super) fn waiting(&mut self) -> SmallVec<[Waker; 4]> {
        self.waiting
            .iter_mut()
            .filter_map(|(_, waker)| waker.take())
            .collect()
    }
}
