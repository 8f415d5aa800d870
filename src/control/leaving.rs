//! Out of service: stopping a deployment until it is restarted, and deleting it for good.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    error::ControlError,
    plane::{Change, Control},
    record::{Action, Deployment, DeploymentState, Happening, Stored, Task, TaskStatus},
    runner::Ended,
    state::Held,
    tidy::KeysOf,
};
use crate::{
    base::{clock::unix_ms, name::DeploymentName},
    snapshot::Plan,
    spec::Scope,
};

/// Between two looks at whether exchanges under way have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

impl Control {
    pub(super) async fn run_stop(self: &Arc<Self>, task: &Task) -> Result<Ended, ControlError> {
        let name = &task.deployment;
        let plans = self.plans(name);
        let turn = self.turn().await?.with(task.token.as_ref());
        let Some((_, held)) = self.at_work(&task.id) else {
            return Ok(Ended::Canceled);
        };
        let now = unix_ms();
        let mut new = Held::clone(&held);
        let mut change = Change::default();
        match new.live.take() {
            Some(live) => {
                let record = &new.record;
                self.prepare_retirement(&mut change, name, record, live.number, &task.actor, now)
                    .await?;
            }
            // Resumed after a restart: it is out of service already.
            None if held.record.state == DeploymentState::Stopping => {}
            None => {
                return Ok(Ended::Failed(
                    "it was not live when its turn came".to_owned(),
                ));
            }
        }
        new.kept.clear();
        let record = &mut new.record;
        record.kept.clear();
        record.live = None;
        record.live_since_ms = None;
        // What is out of service is not down.
        record.pool_down_at_ms = None;
        record.state = DeploymentState::Stopping;
        record.reason.clone_from(&task.note);
        record.updated_at_ms = now;
        change
            .deployment(name, Some(held.revision), new)
            .route(name);
        self.commit(turn, change).await?;
        self.drain(&task.id, plans).await;

        let turn = self.turn().await?.with(task.token.as_ref());
        let Some((stored, held)) = self.at_work(&task.id) else {
            return Ok(Ended::Canceled);
        };
        let mut new = Held::clone(&held);
        new.record.state = DeploymentState::Stopped;
        let title = new.record.display_name.clone();
        self.finish(turn, &stored, &held, new, Action::Stop, title)
            .await
    }

    pub(super) async fn run_delete(self: &Arc<Self>, task: &Task) -> Result<Ended, ControlError> {
        let name = &task.deployment;
        let plans = self.plans(name);
        let turn = self.turn().await?.with(task.token.as_ref());
        let Some((_, held)) = self.at_work(&task.id) else {
            return Ok(Ended::Canceled);
        };
        let now = unix_ms();
        let mut change = Change::default();
        let mut new = Held::clone(&held);
        self.prepare_leaving(&mut change, name, &mut new, &task.actor, now, KeysOf::All)
            .await?;
        new.record.state = DeploymentState::Deleting;
        new.record.reason.clone_from(&task.note);
        change
            .deployment(name, Some(held.revision), new)
            .route(name);
        self.commit(turn, change).await?;
        self.drain(&task.id, plans).await;

        let turn = self.turn().await?.with(task.token.as_ref());
        let Some((stored, held)) = self.at_work(&task.id) else {
            return Ok(Ended::Canceled);
        };
        let now = unix_ms();
        let mut new = Held::clone(&held);
        bury(&mut new.record, &task.actor, task.note.clone(), now);
        let title = new.record.display_name.clone();
        self.finish(turn, &stored, &held, new, Action::Delete, title)
            .await
    }

    /// Takes everything of a deployment out of force: its live version is retired, its keys are
    /// revoked.
    pub(super) async fn prepare_leaving(
        &self,
        change: &mut Change,
        name: &DeploymentName,
        new: &mut Held,
        by: &str,
        now: u64,
        keys: KeysOf,
    ) -> Result<(), ControlError> {
        if let Some(live) = new.live.take() {
            self.prepare_retirement(change, name, &new.record, live.number, by, now)
                .await?;
        }
        new.kept.clear();
        new.record.kept.clear();
        new.record.live = None;
        new.record.live_since_ms = None;
        new.record.pool_down_at_ms = None;
        new.record.updated_at_ms = now;
        let scope = Scope::Deployment(name.clone());
        self.revoke_all(change, &scope, by, now, keys).await?;
        Ok(())
    }

    async fn finish(
        self: &Arc<Self>,
        turn: super::plane::Turn,
        stored: &Stored<Task>,
        held: &Held,
        new: Held,
        action: Action,
        title: String,
    ) -> Result<Ended, ControlError> {
        let task = &stored.value;
        let now = unix_ms();
        let mut change = Change::default();
        let mut happening = Happening::new(&task.deployment, action, &task.actor, title, now);
        happening.reason.clone_from(&task.note);
        happening.duration_ms = task.started_at_ms.map(|began| now.saturating_sub(began));
        happening.task = Some(task.id.clone());
        change.happened(happening);
        if self
            .prepare_end(&mut change, stored, TaskStatus::Done, None)
            .is_none()
        {
            return Ok(Ended::Canceled);
        }
        change.route(&task.deployment);
        change.deployment(&task.deployment, Some(held.revision), new);
        self.commit(turn, change).await?;
        Ok(Ended::Done)
    }

    /// The plans of a deployment that are in force, without holding on to them.
    pub(super) fn plans(&self, name: &DeploymentName) -> Vec<Weak<Plan>> {
        let snapshot = self.current.load_full();
        let route = snapshot.route(name.as_str());
        route.map_or_else(Vec::new, |route| {
            route.plans().map(Arc::downgrade).collect()
        })
    }

    /// Waits until the exchanges of these plans have ended, or long enough. An exchange holds on to
    /// its plan to its last byte, and goes on to it whatever is decided here.
    async fn drain(&self, id: &str, plans: Vec<Weak<Plan>>) {
        let drained = async {
            let mut looks = tokio::time::interval(DRAIN_LOOK);
            while plans.iter().any(|plan| plan.strong_count() > 0) {
                looks.tick().await;
            }
        };
        let limit = Duration::from_millis(self.options.drain_ms);
        if tokio::time::timeout(limit, drained).await.is_err() {
            tracing::warn!(
                task = id,
                drain_ms = self.options.drain_ms,
                "exchanges outlive the drain"
            );
        }
    }
}

/// Turns a record into a tombstone.
pub(super) fn bury(record: &mut Deployment, by: &str, reason: Option<String>, now_ms: u64) {
    record.state = DeploymentState::Deleted;
    record.reason = reason;
    record.live = None;
    record.last_live = None;
    record.before = None;
    record.kept.clear();
    record.managed = None;
    record.shares.clear();
    record.queue_paused = false;
    record.webhook = None;
    record.webhook_generation = 0;
    record.deleted_at_ms = Some(now_ms);
    record.deleted_by = Some(by.to_owned());
    record.updated_at_ms = now_ms;
}
