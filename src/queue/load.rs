//! What the store holds, put in order at start: places and lanes alone, so that a million requests
//! are read in moments and held in 16 bytes each.

use std::collections::HashMap;

use super::{caps::Caps, schedule::Schedule};
use crate::{
    base::clock::unix_ms,
    store::{Lane, Store, StoreError},
};

/// Requests that are read at once.
const PAGE: usize = 10_000;

/// Reads everything that waits.
pub(super) async fn load(store: &dyn Store, caps: &Caps) -> Result<Schedule, StoreError> {
    let lanes: HashMap<u32, Lane> = store.lanes().await?.into_iter().collect();
    let (mut schedule, now_ms) = (Schedule::default(), unix_ms());
    let mut found: HashMap<u32, u64> = HashMap::new();
    let mut after = None;
    loop {
        let page = store.queued(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for job in page {
            let Some(lane) = lanes.get(&job.lane) else {
                let words = format!("a request of lane {}, which is not there", job.lane);
                return Err(StoreError::Unavailable(words));
            };
            *found.entry(job.lane).or_default() += 1;
            match job.due_at_ms > now_ms {
                true => {
                    let due = Some(job.due_at_ms);
                    schedule.push_again(lane, job.position, job.weight, due);
                }
                false => schedule.push(lane, job.position, job.weight),
            }
        }
    }
    for (lane, requests) in found {
        if let Some(lane) = lanes.get(&lane) {
            caps.found(lane.owner, requests);
        }
    }
    Ok(schedule)
}
