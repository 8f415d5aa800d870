//! What a store takes: checked before anything is asked of it, by every implementation.

use bytes::Bytes;

use super::{BATCH_WRITES_MAX, KEY_BYTES_MAX, NewJob, StoreError, VALUE_BYTES_MAX, Write};

/// A batch of writes.
pub(super) fn batch(batch: &[Write]) -> Result<(), StoreError> {
    count("a batch", batch.len())?;
    batch.iter().try_for_each(|write| match write {
        Write::Put { key, value, .. } => record(key, value),
        Write::Delete { key, .. } => name("a key", key),
        Write::Append { topic, value } => {
            name("a topic", topic)?;
            size("an entry", value)
        }
    })
}

/// One record.
pub(super) fn record(key: &str, value: &Bytes) -> Result<(), StoreError> {
    name("a key", key)?;
    size("a value", value)
}

/// Entries to be appended to one topic.
pub(super) fn append(topic: &str, entries: &[Bytes]) -> Result<(), StoreError> {
    count("an append", entries.len())?;
    name("a topic", topic)?;
    entries.iter().try_for_each(|entry| size("an entry", entry))
}

/// Jobs to be enqueued; there may be none.
pub(super) fn jobs(jobs: &[NewJob]) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    count("an enqueueing", jobs.len())?;
    jobs.iter().try_for_each(|job| {
        name("a job's id", &job.id)?;
        name("a lane", &job.lane)?;
        size("a payload", &job.payload)
    })
}

fn count(what: &str, found: usize) -> Result<(), StoreError> {
    if found == 0 {
        return Err(StoreError::Invalid(format!("{what} of nothing")));
    }
    within(what, "writes", found, BATCH_WRITES_MAX)
}

fn name(what: &str, text: &str) -> Result<(), StoreError> {
    if text.is_empty() {
        return Err(StoreError::Invalid(format!("{what} is empty")));
    }
    within(what, "bytes", text.len(), KEY_BYTES_MAX)
}

fn size(what: &str, value: &Bytes) -> Result<(), StoreError> {
    within(what, "bytes", value.len(), VALUE_BYTES_MAX)
}

fn within(what: &str, unit: &str, found: usize, most: usize) -> Result<(), StoreError> {
    if found <= most {
        return Ok(());
    }
    let words = format!("{what} of {found} {unit}; at most {most}");
    Err(StoreError::Invalid(words))
}

/// The latest time that a store tells from never: what a signed number holds.
const LATEST_MS: u64 = i64::MAX as u64;

/// The time of a leasing, and the end of its leases. They last a millisecond at least, or a job
/// could be given away twice in one call.
pub(super) fn lease(now_ms: u64, lease_ms: u64) -> (u64, u64) {
    let now_ms = now_ms.min(LATEST_MS - 1);
    let until_ms = now_ms.saturating_add(lease_ms.max(1)).min(LATEST_MS);
    (now_ms, until_ms)
}
