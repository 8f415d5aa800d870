//! What is kept for a while only: when keys were used is written down now and then, and tasks and
//! idempotency ids go when they are old.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    deployments::overwrite,
    error::ControlError,
    plane::{Change, Control},
    quotas::Ahead,
    record::{Idempotency, Key, KeyStatus, Task, Version, VersionStatus, decode, place},
};
use crate::{
    base::{clock::unix_ms, id::VersionNumber, name::DeploymentName, secret::KeyDigest, task},
    spec::Scope,
    store::{If, Order, Write},
};

/// How often use is written down. What a kill loses is at most this much of it.
const FLUSH_EVERY: Duration = Duration::from_secs(30);

/// Rounds between two looks for what is old.
const ROUNDS_PER_SWEEP: u64 = 20;

/// Records that one sweep removes at most, of each kind.
const SWEPT_MAX: usize = 1_000;

/// How long an idempotency id stands for its task.
const IDEMPOTENCY_MS: u64 = 24 * 3_600_000;

/// How long an admin token that opens nothing any more is still shown.
const ENDED_TOKEN_MS: u64 = 30 * 24 * 3_600_000;

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

    /// Writes down when keys were used and what was taken of daily quotas; called when the gateway
    /// ends.
    ///
    /// # Errors
    /// When the store did not take it.
    pub async fn flush(&self) -> Result<(), ControlError> {
        let used = self.flush_use(&mut HashMap::new()).await;
        let quotas = self.write_quotas(Ahead::Exact, unix_ms()).await;
        used.and(quotas)
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

    /// Removes what is old, or beyond its limit.
    pub(super) async fn sweep(self: &Arc<Self>) -> Result<(), ControlError> {
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
        let surplus = ended
            .len()
            .saturating_sub(self.options.limits.tasks_kept_max);
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
        self.sweep_deployments().await?;
        self.sweep_tokens().await
    }

    /// Removes what is beyond the limits of each deployment: the oldest entries of its history, and
    /// versions that nothing needs.
    async fn sweep_deployments(self: &Arc<Self>) -> Result<(), ControlError> {
        let limits = self.options.limits;
        let mut names = Vec::new();
        self.each(place::DEPLOYMENTS, |record| {
            let name = record.key.trim_start_matches(place::DEPLOYMENTS);
            names.extend(DeploymentName::parse(name));
            Ok(())
        })
        .await?;
        for name in names {
            let topic = place::history(&name);
            self.store.trim(&topic, limits.history_kept_max).await?;
            let Some(held) = self.state().deployment(&name).cloned() else {
                continue;
            };
            let record = &held.record;
            let oldest = record.versions.saturating_sub(limits.versions_kept_max);
            let first = place::version(&name, VersionNumber(1));
            let last = place::version(&name, VersionNumber(oldest));
            if oldest == 0 {
                continue;
            }
            let turn = self.turn().await?;
            let prefix = place::versions_of(&name);
            let old = self.store.list(&prefix, None, SWEPT_MAX, Order::Up).await?;
            let needed: Vec<String> = [record.live, record.last_live, record.before]
                .into_iter()
                .chain(record.kept.iter().map(|kept| Some(*kept)))
                .chain([record.managed.as_ref().map(|managed| managed.version)])
                .flatten()
                .map(|number| place::version(&name, number))
                .collect();
            let mut change = Change::default();
            for version in old {
                let is_old = version.key >= first && version.key <= last;
                let ended = decode::<Version>(&version)?.value.status != VersionStatus::Deploying;
                if is_old && ended && !needed.contains(&version.key) {
                    change.write(Write::Delete {
                        key: version.key,
                        condition: If::Revision(version.revision),
                    });
                }
            }
            self.commit(turn, change).await?;
        }
        Ok(())
    }

    async fn sweep_tokens(self: &Arc<Self>) -> Result<(), ControlError> {
        let turn = self.turn().await?;
        let old = unix_ms().saturating_sub(ENDED_TOKEN_MS);
        let ended: Vec<_> = {
            let state = self.state();
            let ended = state.tokens().filter(|token| {
                let value = &token.value;
                let ends = [value.revoked_at_ms, value.expires_at_ms];
                ends.into_iter().flatten().any(|end| end < old)
            });
            ended.take(SWEPT_MAX).cloned().collect()
        };
        let mut change = Change::default();
        for token in ended {
            change.write(Write::Delete {
                key: place::token(&token.value.id),
                condition: If::Revision(token.revision),
            });
            self.tokens_used.remove(&token.value.id);
            change.edit(move |state, _| state.remove_token(&token.value));
        }
        self.commit(turn, change).await?;
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
