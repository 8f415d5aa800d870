//! The caps on a challenger's copies, shared by all workers: how many run, how many wait, and how
//! many bytes those that wait hold. Outlives snapshots that leave the caps as they are.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneCaps {
    /// Copies under way.
    pub running_max: u32,
    /// Copies that wait.
    pub queued_max: u32,
    /// Bytes that waiting copies hold.
    pub queued_bytes_max: u64,
}

/// What is taken up of the caps.
#[derive(Debug)]
pub struct Lane {
    caps: LaneCaps,
    running: Arc<Semaphore>,
    queued: AtomicU32,
    queued_bytes: AtomicU64,
}

/// Why a copy gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// As many wait as may.
    Queue,
    /// What waits holds as many bytes as it may.
    Bytes,
}

/// A place in the lane: first among those that wait, then among those that run.
#[derive(Debug)]
pub struct Place {
    lane: Arc<Lane>,
    /// Bytes held while it waits.
    waiting: Option<u64>,
    permit: Option<OwnedSemaphorePermit>,
}

// === impl Lane ===

impl Lane {
    /// An empty lane.
    pub fn new(caps: LaneCaps) -> Self {
        Self {
            caps,
            running: Arc::new(Semaphore::new(caps.running_max as usize)),
            queued: AtomicU32::new(0),
            queued_bytes: AtomicU64::new(0),
        }
    }

    /// Its caps.
    pub fn caps(&self) -> LaneCaps {
        self.caps
    }

    /// A place for a copy of `bytes`, running already if there is room.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is taken up.
    pub fn enter(self: &Arc<Self>, bytes: u64) -> Result<Place, NoRoom> {
        let mut place = Place {
            lane: Arc::clone(self),
            waiting: None,
            permit: Arc::clone(&self.running).try_acquire_owned().ok(),
        };
        if place.permit.is_some() {
            return Ok(place);
        }
        // Relaxed: each is a count by itself. Added first and looked at then, so that two that
        // come at once can't both take the last room; `place` gives it back when it is dropped.
        place.waiting = Some(bytes);
        let queued = self.queued.fetch_add(1, Ordering::Relaxed);
        let held = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued >= self.caps.queued_max {
            Err(NoRoom::Queue)
        } else if held.saturating_add(bytes) > self.caps.queued_bytes_max {
            Err(NoRoom::Bytes)
        } else {
            Ok(place)
        }
    }
}

// === impl Place ===

impl Place {
    /// Waits until the copy may run.
    ///
    /// # Cancellation
    /// The place stays among those that wait until it is dropped.
    pub async fn run(&mut self) {
        if self.permit.is_none() {
            // The semaphore is never closed.
            self.permit = Arc::clone(&self.lane.running).acquire_owned().await.ok();
            self.leave_queue();
        }
    }

    fn leave_queue(&mut self) {
        if let Some(bytes) = self.waiting.take() {
            self.lane.queued.fetch_sub(1, Ordering::Relaxed);
            self.lane.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave_queue();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn caps_hold_and_places_come_back() {
        let lane = Arc::new(Lane::new(LaneCaps {
            running_max: 1,
            queued_max: 2,
            queued_bytes_max: 100,
        }));
        let mut first = lane.enter(50).expect("runs");
        first.run().await;
        let mut second = lane.enter(60).expect("waits");
        assert_eq!(lane.enter(60).err(), Some(NoRoom::Bytes));
        let third = lane.enter(40).expect("waits");
        assert_eq!(lane.enter(0).err(), Some(NoRoom::Queue));
        drop((first, third));
        second.run().await;
        assert_eq!(lane.queued.load(Ordering::Relaxed), 0);
        assert_eq!(lane.queued_bytes.load(Ordering::Relaxed), 0);
    }
}
