//! What is kept of a webhook: the note, its turn, and the steps from one to the next.
//!
//! ```text
//! webhook/of/{id}                     the note: whom, of what, and what came of each attempt
//! webhook/due/{lane}/{due_ms}/{id}    its turn, while it is pending; the value is the site
//! webhook/end/{end_ms}/{id}           when it is forgotten, once nothing more is to come
//! ```
//!
//! A note that is kept has exactly one of the two others.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    base::{
        async_id::AsyncId,
        id::{Revision, VersionNumber},
    },
    hook::{Attempt, DeliveryState, Verdict, WebhookUrl, turn_key},
    queue::{Accepted, Ended, Reason},
    store::{If, JobStatus, Lane, Records, StoreError, Write},
};

pub(super) const DUE: &str = "webhook/due/";
pub(super) const END: &str = "webhook/end/";
const OF: &str = "webhook/of/";

/// The end of a request, as the queue knows it when it writes it down.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The request.
    pub id: AsyncId,
    /// Its lane.
    pub lane: &'a Lane,
    /// A final status.
    pub status: JobStatus,
    /// Its attempts so far.
    pub attempt: u32,
    /// What was known from the start.
    pub accepted: &'a Accepted,
    /// What is known of its end.
    pub ended: &'a Ended,
    /// Which of the deployment's signing secrets is in use.
    pub generation: u32,
    /// When the request is forgotten: its webhook's log is then, too, unless it is still pending.
    pub forget_at_ms: u64,
}

/// How the delivery of a request's end stands, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The receiver.
    pub url: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Every attempt so far, the first one first.
    pub attempts: Vec<Attempt>,
    /// When the next one is due, in milliseconds since 1970.
    pub next_attempt_at_ms: Option<u64>,
}

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) url: String,
    pub(super) state: DeliveryState,
    /// When its turn is; of one that is not pending, when it is forgotten.
    pub(super) due_at_ms: u64,
    /// When it may be forgotten at the earliest.
    pub(super) forget_at_ms: u64,
    pub(super) facts: Facts,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attempts: Vec<Attempt>,
}

/// What a receiver is told at the least, should the request itself be forgotten meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) deployment: String,
    pub(super) life: u32,
    pub(super) generation: u32,
    pub(super) request_id: String,
    /// The word of a final status.
    pub(super) status: String,
    pub(super) attempt: u32,
    pub(super) ended_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<VersionNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Reason>,
}

/// What is written in the commit that ends a request, so that `url` is told of it.
pub fn note(notice: &Notice<'_>, url: &str, now_ms: u64) -> Vec<Write> {
    let (accepted, ended) = (notice.accepted, notice.ended);
    let version = ended.version.or(accepted.pinned).or(accepted.version);
    let note = Note {
        url: url.to_owned(),
        state: DeliveryState::Pending,
        due_at_ms: now_ms,
        forget_at_ms: notice.forget_at_ms,
        facts: Facts {
            deployment: notice.lane.deployment.clone(),
            life: notice.lane.life,
            generation: notice.generation,
            request_id: accepted.request_id.clone(),
            status: notice.status.as_str().to_owned(),
            attempt: notice.attempt,
            ended_at_ms: ended.ended_at_ms,
            version,
            result_status: ended.result_status,
            reason: ended.reason,
        },
        attempts: Vec::new(),
    };
    // Without conditions: the end of a request is never refused for its webhook's sake.
    vec![note.put(notice.id, If::Any), note.put_turn(notice.id)]
}

/// How the delivery of a request's end stands; none when nobody is to be told, or it has not ended.
///
/// # Errors
/// The store's.
pub async fn delivery(records: &dyn Records, id: AsyncId) -> Result<Option<Delivery>, StoreError> {
    let Some(record) = records.get(&key_of(id)).await? else {
        return Ok(None);
    };
    let note = Note::read(id, &record.value)?;
    let is_pending = note.state == DeliveryState::Pending;
    Ok(Some(Delivery {
        url: note.url,
        state: note.state,
        attempts: note.attempts,
        next_attempt_at_ms: is_pending.then_some(note.due_at_ms),
    }))
}

/// The key of a request's note.
pub(super) fn key_of(id: AsyncId) -> String {
    format!("{OF}{id}")
}

/// The time and the id that end the key of an end.
pub(super) fn read_end(key: &str) -> Option<(u64, AsyncId)> {
    let mut parts = key.rsplit('/');
    let id = AsyncId::parse(parts.next()?)?;
    Some((u64::from_str_radix(parts.next()?, 16).ok()?, id))
}

/// What takes a note away whose time is over.
pub(super) fn forgotten(id: AsyncId, turn: &str) -> [Write; 2] {
    [key_of(id), turn.to_owned()].map(|key| Write::Delete {
        key,
        condition: If::Any,
    })
}

// === impl Note ===

impl Note {
    pub(super) fn read(id: AsyncId, value: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(value)
            .map_err(|error| StoreError::Unavailable(format!("webhook of {id}: {error}")))
    }

    /// The key of its turn, or of its end.
    pub(super) fn turn(&self, id: AsyncId) -> String {
        let due = self.due_at_ms;
        match self.state {
            DeliveryState::Pending => turn_key(DUE, &self.site(), due, &id.to_string()),
            DeliveryState::Delivered | DeliveryState::Failed => format!("{END}{due:016x}/{id}"),
        }
    }

    /// The note after an attempt.
    pub(super) fn after(&self, attempt: Attempt, verdict: Verdict, now_ms: u64) -> Self {
        let mut after = self.clone();
        after.attempts.push(attempt);
        (after.state, after.due_at_ms) = match verdict {
            Verdict::Delivered => (DeliveryState::Delivered, self.forget_at_ms),
            Verdict::Failed => (DeliveryState::Failed, self.forget_at_ms),
            // A turn of its own: the one before has passed already.
            Verdict::Again(at_ms) => (DeliveryState::Pending, at_ms.max(self.due_at_ms + 1)),
        };
        after.due_at_ms = after.due_at_ms.max(now_ms);
        after
    }

    /// The commit from this note, as it was read at `revision`, to the one after.
    pub(super) fn step(&self, id: AsyncId, revision: Revision, after: &Self) -> Vec<Write> {
        vec![
            after.put(id, If::Revision(revision)),
            Write::Delete {
                key: self.turn(id),
                condition: If::Any,
            },
            after.put_turn(id),
        ]
    }

    fn put(&self, id: AsyncId, condition: If) -> Write {
        Write::Put {
            key: key_of(id),
            // Texts and numbers under names: this can't fail.
            value: serde_json::to_vec(self).unwrap_or_default().into(),
            condition,
        }
    }

    fn put_turn(&self, id: AsyncId) -> Write {
        Write::Put {
            key: self.turn(id),
            value: Bytes::from(self.site()),
            condition: If::Any,
        }
    }

    /// Whatever can't be read has a site, too: its attempts say what is wrong with it.
    fn site(&self) -> String {
        WebhookUrl::parse(&self.url).map_or_else(|_| String::new(), |url| url.site())
    }
}
