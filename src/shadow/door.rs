//! The door that pairs go through: from the workers to the comparison.
//!
//! ```text
//! worker ──tell──▶ its batch ──flush, a few times a second──▶ channel ──▶ comparison
//!             └ no room for more pairs or bytes: dropped, counted
//! ```
//!
//! Lossy by design, like the door for outcomes: when the comparison is slow, pairs are dropped, and
//! neither main nor the challenger waits. What bodies hold on their way is counted from their first
//! byte on, so that many large answers at once can't fill the memory either.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use super::pair::Pair;
/// What may be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorOptions {
    /// Pairs that wait for the comparison.
    pub pairs_max: u64,
    /// Bytes of answers that are held for the comparison, of pairs that are still being made included.
    pub bytes_max: u64,
}

/// The room on the way.
#[derive(Debug)]
pub struct Room {
    options: DoorOptions,
    pairs: AtomicU64,
    bytes: AtomicU64,
}

/// Makes tellers for any number of workers.
#[derive(Debug, Clone)]
pub struct PairDoor {
    channel: SyncSender<Vec<Pair>>,
    room: Arc<Room>,
}

/// A worker's side.
#[derive(Debug)]
pub struct PairTeller {
    door: PairDoor,
    batch: RefCell<Vec<Pair>>,
}

/// The comparison's side.
#[derive(Debug)]
pub struct PairListener {
    channel: Receiver<Vec<Pair>>,
    room: Arc<Room>,
}

/// Batches that may wait.
const BATCHES_MAX: usize = 256;
/// A batch of so many pairs is handed over at once: a wake-up for so many is cheap, and bodies do not
/// pile up until the next flush.
const BATCH_PAIRS: usize = 256;

/// Opens the door.
pub fn door(options: DoorOptions) -> (PairDoor, PairListener) {
    let (sender, receiver) = mpsc::sync_channel(BATCHES_MAX);
    let room = Arc::new(Room {
        options,
        pairs: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    let listener = PairListener {
        channel: receiver,
        room: Arc::clone(&room),
    };
    (
        PairDoor {
            channel: sender,
            room,
        },
        listener,
    )
}

// === impl Room ===

impl Room {
    /// Takes room for `bytes`, if there is so much.
    pub(super) fn take(&self, bytes: u64) -> bool {
        // Relaxed: a count by itself. Added first and looked at then, so that two that come at once
        // can't both take the last room.
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = held.saturating_add(bytes) <= self.options.bytes_max;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// How much is taken.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives room back.
    pub(super) fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl PairDoor ===

impl PairDoor {
    /// A worker's own teller.
    pub fn teller(&self) -> PairTeller {
        PairTeller {
            door: self.clone(),
            batch: RefCell::default(),
        }
    }
}

// === impl PairTeller ===

impl PairTeller {
    /// The room on the way.
    pub(super) fn room(&self) -> &Arc<Room> {
        &self.door.room
    }

    /// Tells of a pair, if there is room.
    pub(super) fn tell(&self, pair: Pair) {
        let room = self.room();
        if room.pairs.fetch_add(1, Ordering::Relaxed) >= room.options.pairs_max {
            room.pairs.fetch_sub(1, Ordering::Relaxed);
            return lose(&pair);
        }
        let is_full = {
            let mut batch = self.batch.borrow_mut();
            batch.push(pair);
            batch.len() >= BATCH_PAIRS
        };
        if is_full {
            self.flush();
        }
    }

    /// Hands what has gathered to the comparison, without waiting. What it can't take now waits for the
    /// next time: there are no more pairs than there may be, however few of them are in a batch.
    pub fn flush(&self) {
        if self.batch.borrow().is_empty() {
            return;
        }
        let batch = self.batch.take();
        match self.door.channel.try_send(batch) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(batch)) => *self.batch.borrow_mut() = batch,
            Err(mpsc::TrySendError::Disconnected(lost)) => self.lose_all(&lost),
        }
    }

    fn lose_all(&self, lost: &[Pair]) {
        let count = lost.len() as u64;
        self.room().pairs.fetch_sub(count, Ordering::Relaxed);
        lost.iter().for_each(lose);
    }
}

/// A worker's last copies end with it, behind its last flush.
impl Drop for PairTeller {
    fn drop(&mut self) {
        self.flush();
        self.lose_all(&self.batch.take());
    }
}

fn lose(pair: &Pair) {
    pair.drop_for("queue_full");
}

// === impl PairListener ===

impl PairListener {
    /// The next batch, waited for up to `patience`; none when that is over.
    ///
    /// # Errors
    /// When every teller is gone.
    pub fn next(&self, patience: Duration) -> Result<Option<Vec<Pair>>, Gone> {
        match self.channel.recv_timeout(patience) {
            Ok(batch) => {
                let count = batch.len() as u64;
                self.room.pairs.fetch_sub(count, Ordering::Relaxed);
                Ok(Some(batch))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }
}

/// Nobody tells anything any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody makes pairs any more")]
pub struct Gone;
