//! A store in memory, for tests: simple enough to be right at a glance. What it answers is what the
//! real one has to answer.

mod jobs;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use super::{
    Change, CommitError, Entry, If, Journal, Order, Record, Records, StoreError, Watch, Write,
    limits,
};
use crate::base::id::Revision;

/// A store that ends with the process.
pub(crate) struct Memory {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Clone, Default)]
struct State {
    revision: u64,
    records: BTreeMap<String, Record>,
    topics: BTreeMap<String, Topic>,
    requests: jobs::Requests,
}

#[derive(Clone, Default)]
struct Topic {
    last: u64,
    entries: Vec<Entry>,
}

// === impl Memory ===

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changes: broadcast::Sender::new(1_024),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic inside")
    }

    fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            let _ = self.changes.send(change);
        }
    }
}

fn in_order<T>(items: impl DoubleEndedIterator<Item = T>, order: Order, limit: usize) -> Vec<T> {
    match order {
        Order::Up => items.take(limit).collect(),
        Order::Down => items.rev().take(limit).collect(),
    }
}

fn beyond<T: PartialOrd + ?Sized>(item: &T, after: Option<&T>, order: Order) -> bool {
    after.is_none_or(|after| match order {
        Order::Up => item > after,
        Order::Down => item < after,
    })
}

#[async_trait]
impl Records for Memory {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.state().records.get(key).cloned())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Record>, StoreError> {
        let state = self.state();
        let all = state.records.values().filter(|record| {
            record.key.starts_with(prefix) && beyond(record.key.as_str(), after, order)
        });
        Ok(in_order(all.cloned(), order, limit))
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, CommitError> {
        limits::batch(&batch)?;
        let mut state = self.state();
        let mut next = state.clone();
        let changes = next.write_all(batch)?;
        *state = next;
        self.tell(changes);
        Ok(Revision(state.revision))
    }

    fn watch(&self, prefix: &str) -> Watch {
        Watch::new(prefix, self.changes.subscribe())
    }
}

#[async_trait]
impl Journal for Memory {
    async fn append(&self, topic: &str, entries: Vec<Bytes>) -> Result<u64, StoreError> {
        limits::append(topic, &entries)?;
        let mut state = self.state();
        state.revision += 1;
        for entry in entries {
            state.append(topic, entry);
        }
        Ok(state.topics[topic].last)
    }

    async fn range(
        &self,
        topic: &str,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let Some(topic) = state.topics.get(topic) else {
            return Ok(Vec::new());
        };
        let all = topic.entries.iter();
        let all = all.filter(|entry| beyond(&entry.sequence, after.as_ref(), order));
        Ok(in_order(all.cloned(), order, limit))
    }

    async fn trim(&self, topic: &str, keep: u64) -> Result<u64, StoreError> {
        let mut state = self.state();
        let Some(topic) = state.topics.get_mut(topic) else {
            return Ok(0);
        };
        let gone = (topic.entries.len() as u64).saturating_sub(keep);
        topic.entries.drain(..gone as usize);
        Ok(gone)
    }
}

// === impl State ===

impl State {
    fn write_all(&mut self, batch: Vec<Write>) -> Result<Vec<Change>, CommitError> {
        self.revision += 1;
        let revision = Revision(self.revision);
        let mut changes = Vec::new();
        for write in batch {
            match write {
                Write::Put {
                    key,
                    value,
                    condition,
                } => {
                    self.hold(&key, condition)?;
                    let record = Record {
                        key: key.clone(),
                        revision,
                        value: value.clone(),
                    };
                    self.records.insert(key.clone(), record);
                    let value = Some(value);
                    changes.push(Change {
                        revision,
                        key,
                        value,
                    });
                }
                Write::Delete { key, condition } => {
                    self.hold(&key, condition)?;
                    if self.records.remove(&key).is_some() {
                        let value = None;
                        changes.push(Change {
                            revision,
                            key,
                            value,
                        });
                    }
                }
                Write::Append { topic, value } => self.append(&topic, value),
            }
        }
        Ok(changes)
    }

    fn hold(&self, key: &str, condition: If) -> Result<(), CommitError> {
        let found = self.records.get(key).map(|record| record.revision);
        let holds = match condition {
            If::Any => true,
            If::Absent => found.is_none(),
            If::Revision(expected) => found == Some(expected),
        };
        let key = key.to_owned();
        let conflict = CommitError::Conflict { key, found };
        holds.then_some(()).ok_or(conflict)
    }

    fn append(&mut self, topic: &str, value: Bytes) {
        let topic = self.topics.entry(topic.to_owned()).or_default();
        topic.last += 1;
        let sequence = topic.last;
        topic.entries.push(Entry { sequence, value });
    }
}
