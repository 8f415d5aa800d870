//! The swap: one commit, one atomic store. What was live is retired in the same commit.

use std::sync::Arc;

use super::{
    error::ControlError,
    plane::{Change, Control},
    record::{Action, Deployment, Happening, TaskKind, TaskStatus, VersionStatus, display},
    runner::Ended,
    state::Held,
};
use crate::{
    base::{clock::unix_ms, id::VersionNumber, name::DeploymentName},
    snapshot::Numbered,
};

impl Control {
    /// The swap: one commit, one atomic store.
    pub(super) async fn swap(
        self: &Arc<Self>,
        id: &str,
        version: Numbered,
    ) -> Result<Ended, ControlError> {
        let turn = self.turn().await?;
        let Some((stored, held)) = self.at_work(id) else {
            return Ok(Ended::Canceled);
        };
        let task = &stored.value;
        let turn = turn.with(task.token.as_ref());
        let (name, number) = (&task.deployment, version.number);
        let now = unix_ms();
        let mut change = Change::default();
        let mut new = Held::clone(&held);
        self.prepare_swap(&mut change, name, &mut new, version, &task.actor, now)
            .await?;
        if task.kind == TaskKind::Restart {
            change.fresh();
        }
        let Some(done) = self.prepare_end(&mut change, &stored, TaskStatus::Done, None) else {
            return Ok(Ended::Canceled);
        };
        let mut happening = Happening::new(
            name,
            match (task.kind, task.promotes) {
                (TaskKind::Rollback, _) => Action::Rollback,
                (TaskKind::Restart, _) => Action::Restart,
                (_, true) => Action::Promote,
                (_, false) => Action::Deploy,
            },
            &task.actor,
            display(&new.record, number),
            now,
        );
        happening.version = Some(number);
        happening.reason.clone_from(&task.note);
        happening.evidence.clone_from(&task.evidence);
        happening.duration_ms = task.started_at_ms.map(|began| now.saturating_sub(began));
        happening.task = Some(task.id.clone());
        change.happened(happening).route(name);
        change.deployment(name, Some(held.revision), new);
        self.commit(turn, change).await?;
        drop(done);
        Ok(Ended::Done)
    }

    /// Makes a version the live one in a deployment's record, and retires the one before.
    pub(super) async fn prepare_swap(
        &self,
        change: &mut Change,
        name: &DeploymentName,
        new: &mut Held,
        mut version: Numbered,
        by: &str,
        now: u64,
    ) -> Result<(), ControlError> {
        let number = version.number;
        let mut entered = self.stored_version(name, number).await?;
        // It may have been stopped since the version was read: this is the turn.
        version.is_challenger_stopped = entered.value.challenger_stopped.is_some();
        let since = entered.value.created_at_ms;
        if entered.value.deploy_ms.is_none() {
            entered.value.deploy_ms = Some(now.saturating_sub(since));
        }
        let stays = new.record.live == Some(number);
        entered.value.status = VersionStatus::Success;
        entered.value.succeeded = true;
        entered.value.reason = None;
        if !stays {
            entered.value.live_from_ms = Some(now);
            entered.value.live_until_ms = None;
            entered.value.retired_by = None;
        }
        change.put(
            entered.value.place(name),
            &entered.value,
            Some(entered.revision),
        );
        if let Some(retired) = new.enter(version, now) {
            self.prepare_retirement(change, name, &new.record, retired, by, now)
                .await?;
        }
        Ok(())
    }

    /// Notes that a version is no longer live.
    pub(super) async fn prepare_retirement(
        &self,
        change: &mut Change,
        name: &DeploymentName,
        record: &Deployment,
        number: VersionNumber,
        by: &str,
        now: u64,
    ) -> Result<(), ControlError> {
        let mut retired = self.stored_version(name, number).await?;
        retired.value.status = VersionStatus::Retired;
        retired.value.live_until_ms = Some(now);
        retired.value.retired_by = Some(by.to_owned());
        change.put(
            retired.value.place(name),
            &retired.value,
            Some(retired.revision),
        );
        let title = display(record, number);
        let mut happening = Happening::new(name, Action::Retire, by, title, now);
        happening.version = Some(number);
        happening.started_at_ms = retired.value.live_from_ms;
        happening.ended_at_ms = Some(now);
        change.happened(happening);
        Ok(())
    }
}
