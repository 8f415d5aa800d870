//! Deliveries, as kept: one for each message and subscription that wants it.
//!
//! ```text
//! notify/of/{subscription}/{id}                     of what, and what came of each attempt
//! notify/due/{lane}/{due_ms}/{subscription}/{id}    its turn, while it is pending; the value is the site
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Message, Subscription};
use crate::{
    base::{async_id::AsyncId, id::Revision, name::Name},
    hook::{Attempt, DeliveryState, Verdict, turn_key},
    spec::EventName,
    store::{If, Order, Record, Records, StoreError, Write},
};

pub(super) const DUE: &str = "notify/due/";
const OF: &str = "notify/of/";

/// How a delivery stands, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same in every attempt.
    pub id: AsyncId,
    /// Of what it tells.
    pub event: EventName,
    /// Of which deployment; none when it concerns the project itself.
    pub deployment: Option<Name>,
    /// How it stands.
    pub state: DeliveryState,
    /// When what it tells of happened, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Every attempt so far, the first one first.
    pub attempts: Vec<Attempt>,
    /// When the next one is due, in milliseconds since 1970.
    pub next_attempt_at_ms: Option<u64>,
}

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) project: Name,
    pub(super) subscription: String,
    pub(super) message: Message,
    pub(super) state: DeliveryState,
    /// When its turn is, or was last.
    pub(super) due_at_ms: u64,
    /// What its turn is counted by.
    pub(super) site: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attempts: Vec<Attempt>,
}

/// What is written in the commit of what happened, so that a subscription tells of it.
pub fn deliver(subscription: &Subscription, id: AsyncId, message: &Message) -> Vec<Write> {
    let kept = Kept {
        project: subscription.project.clone(),
        subscription: subscription.id.clone(),
        message: message.clone(),
        state: DeliveryState::Pending,
        due_at_ms: message.at_ms,
        site: subscription.site(),
        attempts: Vec::new(),
    };
    // Without conditions: what happens is never refused for its notifications' sake.
    vec![kept.put(id, If::Any), kept.put_turn(id)]
}

/// What the keys of a subscription's deliveries begin with.
pub fn delivery_prefix(subscription: &str) -> String {
    format!("{OF}{subscription}/")
}

/// Up to `limit` deliveries of a subscription that are older than `before`, newest first.
///
/// # Errors
/// The store's.
pub async fn deliveries(
    records: &dyn Records,
    subscription: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let prefix = delivery_prefix(subscription);
    let before = before.map(|id| format!("{prefix}{id}"));
    let found = records
        .list(&prefix, before.as_deref(), limit, Order::Down)
        .await?;
    let read = |record: &Record| {
        let id = id_of(&record.key)?;
        Kept::read(record).ok().map(|kept| kept.shown(id))
    };
    Ok(found.iter().filter_map(read).collect())
}

/// The key of a delivery.
pub(super) fn key_of(subscription: &str, id: AsyncId) -> String {
    format!("{OF}{subscription}/{id}")
}

/// The id that ends a key.
pub(super) fn id_of(key: &str) -> Option<AsyncId> {
    AsyncId::parse(key.rsplit('/').next()?)
}

/// The subscription that a turn is of.
pub(super) fn subscription_of(turn: &str) -> Option<&str> {
    turn.rsplit('/').nth(1)
}

/// What takes a delivery away, with its turn if it has one.
pub fn withdraw(record: &Record) -> Vec<Write> {
    let waits = Kept::read(record)
        .ok()
        .filter(|kept| kept.state == DeliveryState::Pending);
    let turn = waits.and_then(|kept| Some(kept.turn(id_of(&record.key)?)));
    let keys = [Some(record.key.clone()), turn];
    let gone = |key| Write::Delete {
        key,
        condition: If::Any,
    };
    keys.into_iter().flatten().map(gone).collect()
}

// === impl Kept ===

impl Kept {
    pub(super) fn read(record: &Record) -> Result<Self, StoreError> {
        serde_json::from_slice(&record.value)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", record.key)))
    }

    /// The key of its turn.
    pub(super) fn turn(&self, id: AsyncId) -> String {
        let of = format!("{}/{id}", self.subscription);
        turn_key(DUE, &self.site, self.due_at_ms, &of)
    }

    /// The delivery after an attempt; `site` is where the next one goes.
    pub(super) fn after(&self, attempt: Attempt, verdict: Verdict, site: String) -> Self {
        let mut after = match verdict {
            Verdict::Again(at_ms) => self.later(at_ms, site),
            Verdict::Delivered | Verdict::Failed => self.clone(),
        };
        after.attempts.push(attempt);
        after.state = match verdict {
            Verdict::Delivered => DeliveryState::Delivered,
            Verdict::Failed => DeliveryState::Failed,
            Verdict::Again(_) => DeliveryState::Pending,
        };
        after
    }

    /// The delivery with a later turn.
    pub(super) fn later(&self, at_ms: u64, site: String) -> Self {
        Self {
            // A turn of its own: the one before has passed already.
            due_at_ms: at_ms.max(self.due_at_ms + 1),
            site,
            ..self.clone()
        }
    }

    /// The commit from this delivery, as it was read at `revision`, to the one after.
    pub(super) fn step(&self, id: AsyncId, revision: Revision, after: &Self) -> Vec<Write> {
        let mut writes = vec![
            after.put(id, If::Revision(revision)),
            Write::Delete {
                key: self.turn(id),
                condition: If::Any,
            },
        ];
        if after.state == DeliveryState::Pending {
            writes.push(after.put_turn(id));
        }
        writes
    }

    fn put(&self, id: AsyncId, condition: If) -> Write {
        Write::Put {
            key: key_of(&self.subscription, id),
            // Texts and numbers under names: this can't fail.
            value: serde_json::to_vec(self).unwrap_or_default().into(),
            condition,
        }
    }

    fn put_turn(&self, id: AsyncId) -> Write {
        Write::Put {
            key: self.turn(id),
            value: Bytes::from(self.site.clone()),
            condition: If::Any,
        }
    }

    fn shown(self, id: AsyncId) -> Delivery {
        let is_pending = self.state == DeliveryState::Pending;
        Delivery {
            id,
            event: self.message.event,
            deployment: self.message.deployment,
            state: self.state,
            created_at_ms: self.message.at_ms,
            attempts: self.attempts,
            next_attempt_at_ms: is_pending.then_some(self.due_at_ms),
        }
    }
}
