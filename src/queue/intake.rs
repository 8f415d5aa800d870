//! The way in: everything that arrived while the last commit was under way goes into the next one.
//!
//! ```text
//! submit ──▶ channel ──▶ take all that wait (256 at most) ──▶ one commit ──▶ schedule ──▶ answers
//! ```
//!
//! Nobody waits for a timer: an idle intake commits the first that comes at once, and what comes
//! meanwhile makes up the next commit. It is a task of its own, so that a client who leaves takes
//! nothing with him: what the store has, the schedule has.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{
    plane::Queue,
    schedule::WEIGHT_MAX,
    spill::{INLINE_BYTES_MAX, SpillName},
    submit::Refused,
};
use crate::{
    base::clock::{Tick, unix_ms},
    store::{Content, Enqueued, JOB_BYTES, JobStatus, NewJob, StoreError},
};

/// Requests of one commit.
const BATCH_MAX: usize = 256;

/// Requests that wait for a commit; who comes on top waits to be let in.
pub(super) const WAITING_MAX: usize = 1_024;

/// A request on its way in, and who waits for it.
pub(super) struct Pending {
    pub(super) job: NewJob,
    pub(super) answer: oneshot::Sender<Result<Enqueued, Refused>>,
    /// What it was taken in for by the caps.
    pub(super) bytes: u64,
}

/// What a body costs its lane when its turn comes: one, and one more for each 64 KiB.
pub(super) fn weight(body: &Content) -> u32 {
    let blocks = u32::try_from(body.bytes() / INLINE_BYTES_MAX).unwrap_or(WEIGHT_MAX);
    blocks.saturating_add(1).min(WEIGHT_MAX)
}

/// Takes in what comes until every sender is gone.
pub(super) async fn run(queue: Arc<Queue>, mut pending: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while pending.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut jobs, mut waiting) = (Vec::new(), Vec::new());
        for Pending { job, answer, bytes } in batch.drain(..) {
            waiting.push((job.id, job.lane.clone(), job.weight, bytes, answer));
            jobs.push(job);
        }
        let began = Tick::now();
        let enqueued = queue.store.enqueue(jobs, unix_ms()).await;
        queue.meters.committed(waiting.len(), began);
        let enqueued = match enqueued {
            Ok(enqueued) => enqueued.into_iter().map(Ok).collect(),
            Err(error) => {
                let refused = refusal(error);
                if let Refused::Store(_) = refused {
                    queue.note_service(false);
                    queue.doubt(waiting.iter().map(|(id, ..)| *id));
                }
                vec![Err(refused); waiting.len()]
            }
        };
        {
            let mut schedule = queue.schedule();
            for ((id, lane, weight, bytes, _), enqueued) in waiting.iter().zip(&enqueued) {
                if matches!(enqueued, Ok(Enqueued::Added)) {
                    schedule.push(lane, id.position(), *weight);
                } else {
                    queue.caps.leave(lane.owner);
                    queue.caps.shrink(*bytes);
                }
            }
        }
        queue.wake.notify_one();
        for ((.., answer), enqueued) in waiting.into_iter().zip(enqueued) {
            // Who is gone has what he asked for all the same.
            let _ = answer.send(enqueued);
        }
    }
}

fn refusal(error: StoreError) -> Refused {
    match error {
        StoreError::Full(_) => Refused::Disk,
        other => Refused::Store(other),
    }
}

/// Looks for what was refused while nobody knew whether it was written, once the store is in service
/// again. What is there after all runs like any other: it may stand behind an idempotency key, and it
/// would be found at the next start. Of what is not there the file goes.
pub(super) async fn clear_doubts(queue: &Queue) {
    if !queue.is_out() && queue.doubts().is_empty() {
        return;
    }
    // Asks for nothing but an answer: it is in service again when its file is checked, and only then
    // what it does not show is not there.
    let is_in = queue.store.enqueue(Vec::new(), unix_ms()).await.is_ok();
    queue.note_service(is_in);
    if !is_in {
        return;
    }
    let doubted = std::mem::take(&mut *queue.doubts());
    for id in doubted {
        match queue.store.job(id).await {
            Ok(Some(job)) if job.status == JobStatus::Queued => {
                queue.caps.found(job.lane.owner, 1);
                queue.caps.grow(JOB_BYTES + job.body.bytes());
                let weight = weight(&Content::Spilled(job.body.bytes()));
                queue.schedule().push(&job.lane, id.position(), weight);
                queue.wake.notify_one();
            }
            Ok(Some(_)) => {}
            Ok(None) => queue.remove_file(SpillName::Body(id)),
            Err(_) => queue.doubt([id]),
        }
    }
}
