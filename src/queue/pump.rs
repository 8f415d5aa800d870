//! What runs beside the queue, on the control runtime: the way in, the way out, and who looks after
//! what nobody asks about.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::sync::{Mutex, mpsc};

use super::{
    end::Ending,
    held::{Stop, Work},
    intake::{self, Pending},
    plane::Queue,
    request::{Ended, Reason},
    schedule::GroupKey,
    spill::SpillName,
    work::dispatch,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        clock::unix_ms,
        task,
    },
    store::{Forgotten, Holder, JobError, JobFilter, JobStatus, Kept, Lane, StoreError},
};

/// How often the store is asked what is overdue, lapsed or to be forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Requests that are dealt with in one go.
const PAGE: usize = 256;

/// Pages of overdue requests, or of those that wait at one deployment that is gone, behind which
/// other upkeep has its turn.
const PAGES_MAX: usize = 32;

/// Requests that are ended at once: each waits for a commit, which those of one moment share.
const ENDING_MAX: usize = 64;

/// A spilled file that nobody knows is removed when it is older: a submission under way has written
/// it before the store knows it.
const ORPHAN_AGE: Duration = Duration::from_secs(3_600);

/// How often files are looked at that nobody knows.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// What is to run beside a queue.
pub struct Pump {
    queue: Arc<Queue>,
    pending: mpsc::Receiver<Pending>,
}

/// Attempts that wait for a runner. Any number of them may take from it.
#[derive(Debug, Clone)]
pub struct Works(Arc<Mutex<mpsc::Receiver<Work>>>);

// === impl Pump ===

impl Pump {
    pub(super) fn new(queue: Arc<Queue>, pending: mpsc::Receiver<Pending>) -> Self {
        Self { queue, pending }
    }

    /// Starts it. Called on the control runtime.
    pub fn start(self) -> Works {
        let Self { queue, pending } = self;
        let (works, work) = mpsc::channel(1);
        task::spawn("async intake", intake::run(Arc::clone(&queue), pending));
        task::spawn("async dispatch", dispatch(Arc::clone(&queue), works));
        task::spawn("async files", sweep_files(Arc::clone(&queue)));
        task::spawn("async upkeep", look_after(queue));
        Works(Arc::new(Mutex::new(work)))
    }
}

// === impl Works ===

impl Works {
    /// From which nothing comes.
    #[cfg(test)]
    pub(super) fn nobody() -> Self {
        Self(Arc::new(Mutex::new(mpsc::channel(1).1)))
    }

    /// The next attempt to be made; none once the queue drains.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&self) -> Option<Work> {
        self.0.lock().await.recv().await
    }
}

async fn look_after(queue: Arc<Queue>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(error) = look(&queue).await {
            tracing::debug!(%error, "async upkeep waits for the store");
        }
    }
}

async fn look(queue: &Queue) -> Result<(), StoreError> {
    intake::clear_doubts(queue).await;
    let room = Arc::clone(&queue.room);
    // Its outcome is the file; a blocking thread that is gone makes none.
    let _ = tokio::task::spawn_blocking(move || room.take_ballast()).await;
    // Each in any case: what can't be ended keeps nothing from being forgotten.
    let lapsed = lapse(queue).await;
    let expired = expire(queue).await;
    let condemned = condemn(queue).await;
    let forgotten = forget(queue).await;
    lapsed.and(expired).and(condemned).and(forgotten)
}

/// Gives requests back whose attempts have shown no sign of life for too long.
async fn lapse(queue: &Queue) -> Result<(), StoreError> {
    for (id, attempt) in queue.store.lapsed(unix_ms(), PAGE).await? {
        let now_ms = unix_ms();
        let held = queue.running.get(&id.position());
        let held = held.map(|held| Arc::clone(&held));
        let held = held.filter(|held| held.attempt == attempt);
        if let Some(held) = &held {
            // Before it is queued: whoever ends it there takes it out of the caps.
            queue.caps.rejoin(held.lane.owner);
        }
        if let Err(error) = queue.store.requeue(id, attempt, now_ms, true).await {
            if let Some(held) = &held {
                queue.caps.leave(held.lane.owner);
            }
            match error {
                JobError::Fenced(_) => continue,
                JobError::Store(error) => return Err(error),
            }
        }
        tracing::warn!(%id, attempt, "an attempt's lease has lapsed; its request runs again");
        queue.meters.lapsed();
        if let Some(held) = held {
            held.tell(Stop::Over);
            let position = id.position();
            queue
                .schedule()
                .push_again(&held.lane, position, held.weight, None);
            queue.release(&held);
        } else if let Some(job) = queue.store.job(id).await? {
            // It was leased in the dark.
            let weight = intake::weight(&crate::store::Content::Spilled(job.body.bytes()));
            queue
                .schedule()
                .push_again(&job.lane, id.position(), weight, None);
        }
        queue.wake.notify_one();
    }
    Ok(())
}

/// Ends requests whose time is over.
async fn expire(queue: &Queue) -> Result<(), StoreError> {
    for _ in 0..PAGES_MAX {
        let overdue = queue.store.overdue(unix_ms(), PAGE).await?;
        let page = overdue.len();
        let ends = overdue.into_iter().map(|id| {
            let status = JobStatus::Expired;
            end(queue, id, Holder::Anybody, status, Ended::default())
        });
        all(ends).await?;
        if page < PAGE {
            break;
        }
    }
    Ok(())
}

/// Ends what waits at deployments that are gone.
async fn condemn(queue: &Queue) -> Result<(), StoreError> {
    let view = queue.current.load_full();
    let gone = |key: &GroupKey| match view.route(&key.deployment) {
        None => true,
        Some(route) => route.queue().life != key.life,
    };
    let condemned: Vec<GroupKey> = {
        let schedule = queue.schedule();
        schedule.groups().filter(|key| gone(key)).cloned().collect()
    };
    for key in condemned {
        let some = queue.schedule().some_of(&key, PAGE * PAGES_MAX);
        let ends = some.into_iter().map(|(owner, position)| {
            let lane = Lane {
                deployment: key.deployment.clone(),
                life: key.life,
                owner,
            };
            condemn_one(queue, lane, position)
        });
        all(ends).await?;
    }
    Ok(())
}

async fn condemn_one(queue: &Queue, lane: Lane, position: Position) -> Result<(), StoreError> {
    let filter = JobFilter {
        owner: Some(lane.owner),
        deployment: Some(lane.deployment),
        ..JobFilter::default()
    };
    // The place alone does not make an id: its tag is in the store.
    let below = Position::from_u64(position.as_u64() + 1);
    let page = queue.store.jobs(&filter, below, 1).await?;
    let mut jobs = page.jobs.into_iter();
    let Some(job) = jobs.find(|job| job.id.position() == position) else {
        return Ok(());
    };
    let ended = Ended {
        reason: Some(Reason::DeploymentDeleted),
        detail: Some("its deployment was deleted".to_owned()),
        ..Ended::default()
    };
    end(queue, job.id, Holder::Queued, JobStatus::Error, ended).await
}

/// Several at a time, to the last one; the first error, if there was any. One that can't be ended
/// keeps none of the others.
async fn all(
    ends: impl Iterator<Item = impl Future<Output = Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    let ends = futures_util::stream::iter(ends).buffer_unordered(ENDING_MAX);
    ends.fold(Ok(()), async |so_far, ended| so_far.and(ended))
        .await
}

/// Ends a request that no attempt speaks for; nothing happens when it has ended or is not so.
async fn end(
    queue: &Queue,
    id: AsyncId,
    holder: Holder,
    status: JobStatus,
    ended: Ended,
) -> Result<(), StoreError> {
    let Some(request) = queue.request(id).await? else {
        return Ok(());
    };
    let lane = request.job.lane.clone();
    let end = queue.end_of(Ending::of(&request), status, ended, None);
    let was = match queue.store.finish(id, holder, end.clone()).await {
        Ok(was) => was,
        Err(JobError::Fenced(_)) => return Ok(()),
        Err(JobError::Store(error)) => return Err(error),
    };
    queue.call_off(id, &lane);
    queue.has_ended(id, &lane, was.status, request.job.body.bytes(), &end);
    Ok(())
}

async fn forget(queue: &Queue) -> Result<(), StoreError> {
    loop {
        let forgotten = queue.store.forget(unix_ms(), PAGE).await?;
        let page = forgotten.len();
        queue.forgotten(forgotten);
        if page < PAGE {
            return Ok(());
        }
    }
}

async fn sweep_files(queue: Arc<Queue>) {
    let mut sweeps = tokio::time::interval(SWEEP_EVERY);
    loop {
        sweeps.tick().await;
        let before = std::time::SystemTime::now() - ORPHAN_AGE;
        let store = Arc::clone(&queue.store);
        let known = move |names: Vec<SpillName>| {
            let store = Arc::clone(&store);
            async move {
                let mut known = Vec::with_capacity(names.len());
                for name in names {
                    let job = match name {
                        SpillName::Body(id) | SpillName::Answer(id, _) => store.job(id).await,
                    };
                    known.push(match (name, job) {
                        (_, Err(_)) => true,
                        (_, Ok(None)) => false,
                        (SpillName::Body(_), Ok(Some(job))) => matches!(job.body, Kept::Spilled(_)),
                        (SpillName::Answer(_, attempt), Ok(Some(job))) => {
                            let kept = matches!(job.answer, Kept::Spilled(_));
                            job.attempt == attempt && (kept || !job.status.has_ended())
                        }
                    });
                }
                known
            }
        };
        match queue.spill.sweep(before, known).await {
            Ok(swept) if swept.files == 0 => {}
            Ok(swept) => tracing::info!(?swept, "files of nobody removed"),
            Err(error) => tracing::warn!(%error, "spilled files can't be looked through"),
        }
    }
}

impl Queue {
    /// Requests are gone from the store: so are their files and what was counted for them.
    pub(super) fn forgotten(&self, forgotten: Vec<Forgotten>) {
        for gone in forgotten {
            self.caps.shrink(gone.bytes);
            if matches!(gone.body, Kept::Spilled(_)) {
                self.remove_file(SpillName::Body(gone.id));
            }
            if matches!(gone.answer, Kept::Spilled(_)) {
                self.remove_file(SpillName::Answer(gone.id, gone.attempt));
            }
        }
    }
}
