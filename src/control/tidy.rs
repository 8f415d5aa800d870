//! What is kept for a while only: when keys were used is written down now and then, and tasks and
//! idempotency ids go when they are old.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    deployments::overwrite,
    error::ControlError,
    plane::{Change, Control},
    record::{Idempotency, Key, KeyStatus, Task, decode, place},
};
use crate::{
    base::{clock::unix_ms, secret::KeyDigest, task},
    spec::Scope,
    store::{If, Write},
};

/// How often use is written down. What a kill loses is at most this much of it.
const FLUSH_EVERY: Duration = Duration::from_secs(30);

/// Rounds between two looks for what is old.
const ROUNDS_PER_SWEEP: u64 = 20;

/// How long an idempotency id stands for its task.
const IDEMPOTENCY_MS: u64 = 24 * 3_600_000;

/// How many tasks are kept.
const TASKS_KEPT: usize = 20_000;

/// Which keys go with their scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysOf {
    /// All of them.
    All,
    /// Those that people made; a file that still declares others speaks for them itself.
    People,
}

impl Control {
    pub(super) fn keep_tidy(self: &Arc<Self>) {
        let control = Arc::clone(self);
        task::spawn("tidy", async move {
            let mut written = HashMap::new();
            let mut rounds = tokio::time::interval(FLUSH_EVERY);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for count in 1u64.. {
                rounds.tick().await;
                let flushed = control.flush_use(&mut written).await;
                let swept = match count % ROUNDS_PER_SWEEP {
                    1 => control.sweep().await,
                    _ => Ok(()),
                };
                if let Err(error) = flushed.and(swept) {
                    tracing::warn!(%error, "the store was not tidied");
                }
            }
        });
    }

    /// Writes down when keys were used; also called when the gateway ends.
    ///
    /// # Errors
    /// When the store did not take it.
    pub async fn flush(&self) -> Result<(), ControlError> {
        self.flush_use(&mut HashMap::new()).await
    }

    async fn flush_use(&self, written: &mut HashMap<KeyDigest, u64>) -> Result<(), ControlError> {
        let used = self.current.keys().uses();
        let news: Vec<_> = used
            .into_iter()
            .filter(|(digest, at_ms)| written.get(digest) != Some(at_ms))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let writes = news.iter().map(|(digest, at)| self.note_used(digest, *at));
        self.store.commit(writes.collect()).await?;
        written.extend(news);
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "beside its kin")]
    pub(super) fn note_used(&self, digest: &KeyDigest, at_ms: u64) -> Write {
        overwrite(place::used(digest), &at_ms)
    }

    /// When a key was last used, as written down.
    pub(super) async fn used_before(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<u64>, ControlError> {
        let record = self.store.get(&place::used(digest)).await?;
        Ok(record
            .as_ref()
            .map(decode)
            .transpose()?
            .map(|used| used.value))
    }

    async fn sweep(&self) -> Result<(), ControlError> {
        let old = unix_ms().saturating_sub(IDEMPOTENCY_MS);
        let mut gone = Vec::new();
        let mut gather = |record: &crate::store::Record| {
            gone.push(Write::Delete {
                key: record.key.clone(),
                condition: If::Revision(record.revision),
            });
        };
        self.each(place::IDEMPOTENCY, |record| {
            if decode::<Idempotency>(record)?.value.created_at_ms < old {
                gather(record);
            }
            Ok(())
        })
        .await?;
        let mut ended = Vec::new();
        self.each(place::TASKS, |record| {
            if decode::<Task>(record)?.value.status.is_final() {
                ended.push((record.key.clone(), record.revision));
            }
            Ok(())
        })
        .await?;
        let latest: std::collections::HashSet<String> = {
            let state = self.state();
            let tasks = state
                .deployments()
                .filter_map(|(_, held)| held.record.latest_task.clone());
            tasks.map(|id| place::task(&id)).collect()
        };
        let surplus = ended.len().saturating_sub(TASKS_KEPT);
        for (key, revision) in ended.into_iter().take(surplus) {
            if !latest.contains(&key) {
                gone.push(Write::Delete {
                    key,
                    condition: If::Revision(revision),
                });
            }
        }
        if !gone.is_empty() {
            // One that changed meanwhile is looked at again at the next sweep.
            self.store.commit(gone).await?;
        }
        Ok(())
    }

    /// Revokes every key of a scope in a change.
    pub(super) async fn revoke_all(
        &self,
        change: &mut Change,
        scope: &Scope,
        by: &str,
        now_ms: u64,
        which: KeysOf,
    ) -> Result<(), ControlError> {
        let mut keys = Vec::new();
        self.each(&place::keys_of(scope), |record| {
            keys.push(decode::<Key>(record)?);
            Ok(())
        })
        .await?;
        for mut key in keys {
            let is_meant = which == KeysOf::All || !key.value.managed;
            if key.value.status == KeyStatus::Live && is_meant {
                key.value.status = KeyStatus::Revoked;
                key.value.revoked_at_ms = Some(now_ms);
                key.value.revoked_by = Some(by.to_owned());
                key.value.sealed = None;
                change.put(key.value.place(), &key.value, Some(key.revision));
                change.key(key.value.digest, None);
            }
        }
        Ok(())
    }
}
