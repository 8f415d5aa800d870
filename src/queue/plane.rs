//! The queue itself: what clients and operators do with async requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dashmap::DashMap;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    QueueOptions,
    caps::Caps,
    held::{Held, Stop},
    intake::{self, Pending},
    load,
    look::Waiters,
    meters::Meters,
    pump::Pump,
    room::Room,
    schedule::{GroupKey, Schedule},
    spill::Spill,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        clock::unix_ms,
        name::DeploymentName,
    },
    net::guard::AddressGuard,
    snapshot::Current,
    store::{Store, StoreError},
};

/// The queue of async requests.
pub struct Queue {
    pub(super) store: Arc<dyn Store>,
    pub(super) current: Arc<Current>,
    pub(super) spill: Spill,
    pub(super) webhook_guard: Arc<AddressGuard>,
    pub(super) options: QueueOptions,
    pub(super) caps: Caps,
    pub(super) room: Arc<Room>,
    pub(super) meters: Meters,
    /// Never held across an await.
    pub(super) schedule: Mutex<Schedule>,
    /// Something may begin, or is due at another time.
    pub(super) wake: Notify,
    /// Attempts under way.
    pub(super) running: DashMap<Position, Arc<Held>>,
    /// What was asked for by a lease that has not answered, and whether it was called off meanwhile.
    pub(super) leasing: Mutex<HashMap<Position, bool>>,
    /// Who waits for a request's end.
    pub(super) waiting: DashMap<Position, Waiters>,
    pub(super) last: AtomicU64,
    pub(super) intake: mpsc::Sender<Pending>,
    /// What was refused while nobody knew whether it was written.
    pub(super) doubts: Mutex<Vec<AsyncId>>,
    /// Whether the store was out of service when it was last asked to accept something. Until it is
    /// back, nothing is taken that would only be refused behind its upload.
    pub(super) out: AtomicBool,
    /// True when nothing more is to begin.
    pub(super) draining: watch::Sender<bool>,
    /// True when nothing more is to be waited for.
    pub(super) dark: watch::Sender<bool>,
}

/// How a deployment's queue stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that wait, those that wait for a further attempt included.
    pub queued: u64,
    /// Of these, those whose next attempt is not due yet.
    pub waiting_retry: u64,
    /// Requests under way.
    pub running: u64,
    /// When the oldest that waits was accepted, in milliseconds since 1970.
    pub oldest_at_ms: Option<u64>,
}

// === impl Queue ===

impl Queue {
    /// A queue over what the store holds, and what is to be run beside it. Leases are void: whoever
    /// held them is dead.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: Arc<dyn Store>,
        current: Arc<Current>,
        spill: Spill,
        webhook_guard: Arc<AddressGuard>,
        options: QueueOptions,
    ) -> Result<(Arc<Self>, Pump), StoreError> {
        let (intake, pending) = mpsc::channel(intake::WAITING_MAX);
        let voided = store.void_leases().await?;
        let totals = store.totals().await?;
        let caps = Caps::new(&options);
        caps.grow(totals.bytes);
        let schedule = load::load(&*store, &caps).await?;
        if totals.open > 0 {
            tracing::info!(
                requests = totals.open,
                cut_off = voided,
                "async requests found again"
            );
        }
        let room = Arc::new(Room::new(spill.directory(), options.disk_reserve_bytes));
        room.take_ballast();
        let last = totals.last.map_or(0, Position::as_u64);
        let queue = Arc::new(Self {
            store,
            current,
            spill,
            webhook_guard,
            options,
            caps,
            room,
            meters: Meters::new(),
            schedule: Mutex::new(schedule),
            wake: Notify::new(),
            running: DashMap::new(),
            leasing: Mutex::default(),
            waiting: DashMap::new(),
            last: AtomicU64::new(last),
            intake,
            doubts: Mutex::default(),
            out: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            dark: watch::Sender::new(false),
        });
        let pump = Pump::new(Arc::clone(&queue), pending);
        Ok((queue, pump))
    }

    /// Its limits.
    pub fn options(&self) -> &QueueOptions {
        &self.options
    }

    /// Where large bodies go.
    pub fn spill(&self) -> &Spill {
        &self.spill
    }

    /// How a deployment's queue stands, in all its lives.
    pub fn figures(&self, deployment: &DeploymentName) -> Figures {
        let schedule = self.schedule();
        let mut figures = Figures::default();
        let groups = schedule.groups();
        for key in groups.filter(|key| key.deployment == deployment.as_str()) {
            let standing = schedule.standing(key);
            figures.queued += standing.queued;
            figures.waiting_retry += standing.later;
            figures.running += u64::from(standing.running);
            let oldest = standing.oldest.map(Position::unix_ms);
            figures.oldest_at_ms = figures.oldest_at_ms.into_iter().chain(oldest).min();
        }
        figures
    }

    /// Sets the gauges, which are forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let schedule = self.schedule();
        let groups: Vec<&GroupKey> = schedule.groups().collect();
        let standings = groups.iter().map(|key| (*key, schedule.standing(key)));
        self.meters.show(standings, unix_ms());
        self.meters
            .show_totals(self.caps.waiting(), self.caps.bytes());
        self.meters.touch(&self.current.load());
    }

    /// Nothing more begins; what is under way goes on.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// What is still under way is given back, and nothing is waited for much longer.
    pub fn give_back(&self) {
        for held in &self.running {
            held.tell(Stop::GiveBack);
        }
    }

    /// The store is no longer waited for.
    pub fn go_dark(&self) {
        self.dark.send_replace(true);
    }

    /// Attempts under way.
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_dark(&self) -> bool {
        *self.dark.borrow()
    }

    /// Notes whether the store is in service.
    pub(super) fn note_service(&self, is_in: bool) {
        self.out.store(!is_in, Ordering::Relaxed);
    }

    /// Whether nothing is known but that the store was out of service.
    pub(super) fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    pub(super) fn doubt(&self, ids: impl IntoIterator<Item = AsyncId>) {
        self.doubts().extend(ids);
    }

    pub(super) fn doubts(&self) -> MutexGuard<'_, Vec<AsyncId>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never held across an await, nor while the schedule is.
    pub(super) fn leasing(&self) -> MutexGuard<'_, HashMap<Position, bool>> {
        self.leasing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}
