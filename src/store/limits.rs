//! What a store takes: checked before anything is asked of it, by every implementation.

use bytes::Bytes;

use super::{
    BATCH_WRITES_MAX, Content, End, KEY_BYTES_MAX, NewJob, StoreError, VALUE_BYTES_MAX, Write,
};

/// The largest file of a body: so many of them can be summed up.
const SPILLED_BYTES_MAX: u64 = 1 << 40;

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
        name("a deployment", &job.lane.deployment)?;
        size("a job's doc", &job.doc)?;
        content("a body", &job.body)
    })
}

/// A job's end.
pub(super) fn end(end: &End) -> Result<(), StoreError> {
    if !end.status.has_ended() {
        let words = format!("{} is no end", end.status.as_str());
        return Err(StoreError::Invalid(words));
    }
    size("the doc of an end", &end.doc)?;
    if let Some((head, body)) = &end.answer {
        size("an answer's head", head)?;
        content("an answer", body)?;
    }
    match end.writes.as_slice() {
        [] => Ok(()),
        writes => batch(writes),
    }
}

fn content(what: &str, content: &Content) -> Result<(), StoreError> {
    match content {
        Content::Inline(bytes) => size(what, bytes),
        Content::Spilled(bytes) if *bytes <= SPILLED_BYTES_MAX => Ok(()),
        Content::Spilled(bytes) => {
            let words = format!("{what} of {bytes} bytes in a file; at most {SPILLED_BYTES_MAX}");
            Err(StoreError::Invalid(words))
        }
    }
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

/// A time, as a store keeps it.
pub(super) fn moment(ms: u64) -> u64 {
    ms.min(LATEST_MS)
}
