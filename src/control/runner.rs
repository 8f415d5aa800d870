//! Works off tasks, one at a time for each deployment.
//!
//! ```text
//! pending ──▶ processing ──reach──▶ warm up ──▶ one commit: swap, task done, history ──▶ in force
//!                 │ └ canceled            └ any failure: one commit, the old version stays
//!                 └ killed: begins again at the next start
//! ```

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    error::ControlError,
    plane::{Change, Control},
    reach::{self, ReachOptions},
    record::{
        Action, DeploymentState, Happening, Stored, Task, TaskKind, TaskStatus, VersionStatus,
        display,
    },
    state::Held,
    tasks::{Taken, count},
};
use crate::base::{clock::unix_ms, name::DeploymentName, task};

/// Before what the store refused is tried again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// How a task ended, short of the store's own trouble.
pub(super) enum Ended {
    /// It is done, and recorded so.
    Done,
    /// It could not be done.
    Failed(String),
    /// Somebody called it off, and recorded so.
    Canceled,
}

impl Control {
    /// Has a deployment's queue worked off, unless somebody is at it.
    pub(super) fn work_off(self: &Arc<Self>, name: DeploymentName) {
        if !self.with_state(|state| state.take_work(&name)) {
            return;
        }
        let control = Arc::clone(self);
        task::spawn("tasks", async move {
            while let Some(id) = control.with_state(|state| state.next_work(&name)) {
                let stopped = control.with_state(|state| state.begin_running(&id));
                // A panic ends its task as failed, not the queue.
                let run = task::caught("task", control.run(&id, stopped)).await;
                let run =
                    run.unwrap_or_else(|_| Ok(Ended::Failed("weir failed; see its log".into())));
                let ended = match run {
                    Ok(Ended::Failed(reason)) => control.end(&id, TaskStatus::Failed, reason).await,
                    Ok(Ended::Done | Ended::Canceled) => Ok(()),
                    Err(error) => Err(error),
                };
                control.with_state(|state| state.end_running(&id));
                if let Err(error) = ended {
                    // The task stands as it stood; it is tried again when the store is back.
                    tracing::warn!(task = %id, %error, "task interrupted, will be tried again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        });
    }

    async fn run(
        self: &Arc<Self>,
        id: &str,
        stopped: watch::Receiver<bool>,
    ) -> Result<Ended, ControlError> {
        let Some(task) = self.begin(id).await? else {
            return Ok(Ended::Canceled);
        };
        match task.kind {
            TaskKind::Deploy | TaskKind::Rollback | TaskKind::Restart => {
                self.run_deploy(&task, stopped).await
            }
            TaskKind::Stop => self.run_stop(&task).await,
            TaskKind::Delete => self.run_delete(&task).await,
        }
    }

    /// Notes that it is a task's turn. None when it was called off meanwhile.
    async fn begin(self: &Arc<Self>, id: &str) -> Result<Option<Task>, ControlError> {
        let turn = self.turn().await?;
        let (stored, held) = {
            let state = self.state();
            let Some(stored) = state.task(id).cloned() else {
                return Ok(None);
            };
            let held = state.deployment(&stored.value.deployment).cloned();
            (stored, held)
        };
        let mut task = stored.value.clone();
        if task.status.is_final() {
            return Ok(None);
        }
        let Some(held) = held else {
            return Ok(Some(task));
        };
        let now = unix_ms();
        task.status = TaskStatus::Processing;
        task.started_at_ms = task.started_at_ms.or(Some(now));
        task.reason = None;
        let mut new = Held::clone(&held);
        match task.kind {
            TaskKind::Deploy | TaskKind::Rollback | TaskKind::Restart => {
                task.phase = "reaching backends".to_owned();
                if task.kind == TaskKind::Restart {
                    task.version = held.live_number().or(held.record.last_live);
                }
                if held.live.is_none() {
                    new.record.state = DeploymentState::SettingUp;
                    new.record.reason = None;
                }
            }
            TaskKind::Stop => task.phase = "draining".to_owned(),
            TaskKind::Delete => task.phase = "draining".to_owned(),
        }
        let mut change = Change::default();
        change.task(&task, Some(stored.revision));
        if new.record != held.record {
            let name = task.deployment.clone();
            change
                .deployment(&name, Some(held.revision), new)
                .route(&name);
        }
        self.commit(turn, change).await?;
        Ok(Some(task))
    }

    /// Makes a version live, when its backends are ready.
    async fn run_deploy(
        self: &Arc<Self>,
        task: &Task,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Ended, ControlError> {
        let name = &task.deployment;
        let Some(number) = task.version else {
            return Ok(Ended::Failed("no version of it was ever live".to_owned()));
        };
        let version = match self.numbered(name, number).await {
            Ok(version) => version,
            Err(ControlError::Unknown { words, .. }) => return Ok(Ended::Failed(words)),
            Err(error) => return Err(error),
        };
        if !task.force {
            let readiness = &version.spec.readiness;
            let options = ReachOptions {
                unreachable_ms: readiness
                    .unreachable_ms
                    .unwrap_or(self.options.unreachable_ms),
                ready_ms: readiness.ready_ms.unwrap_or(self.options.ready_ms),
                probe_timeout_ms: self.options.probe_timeout_ms,
            };
            let progress =
                |phase: &str, reason: Option<String>| self.progress(&task.id, phase, reason);
            let reached = tokio::select! {
                reached = reach::reach(&version.spec, &options, &self.way, &progress) => reached,
                // The line is only ever closed together with the task.
                _ = stopped.wait_for(|&stopped| stopped) => return Ok(Ended::Canceled),
            };
            if let Err(reason) = reached {
                return Ok(Ended::Failed(reason));
            }
        }
        self.swap(&task.id, version).await
    }

    /// A task whose turn it is, with its deployment; none when it was called off.
    pub(super) fn at_work(&self, id: &str) -> Option<(Stored<Task>, Arc<Held>)> {
        let state = self.state();
        let stored = state.task(id)?;
        if stored.value.status != TaskStatus::Processing {
            return None;
        }
        let held = state.deployment(&stored.value.deployment)?;
        Some((Stored::clone(stored), Arc::clone(held)))
    }

    /// Ends a task in a change. A deployment that waited for its first version has then failed; one
    /// that has another task waiting goes on with that.
    pub(super) fn prepare_end(
        &self,
        change: &mut Change,
        stored: &Stored<Task>,
        status: TaskStatus,
        reason: Option<String>,
    ) -> Option<Taken> {
        if stored.value.status.is_final() {
            return None;
        }
        let mut task = stored.value.clone();
        task.status = status;
        task.phase = status.as_str().to_owned();
        task.reason = reason;
        task.ended_at_ms = Some(unix_ms());
        change.task(&task, Some(stored.revision));
        count(&task);
        Some(Taken::of(task))
    }

    /// Ends a task that could not be done or was called off: the version it was to make live has
    /// failed, what was live stays.
    async fn end(
        self: &Arc<Self>,
        id: &str,
        status: TaskStatus,
        reason: String,
    ) -> Result<(), ControlError> {
        let turn = self.turn().await?;
        let Some(stored) = self.state().task(id).map(|task| Stored::clone(task)) else {
            return Ok(());
        };
        let mut change = Change::default();
        if self
            .prepare_failure(&mut change, &stored, status, reason)
            .await?
        {
            self.commit(turn, change).await?;
        }
        Ok(())
    }

    /// What the end of a task that made nothing live changes. False when it had ended already.
    pub(super) async fn prepare_failure(
        &self,
        change: &mut Change,
        stored: &Stored<Task>,
        status: TaskStatus,
        reason: String,
    ) -> Result<bool, ControlError> {
        let task = &stored.value;
        let name = &task.deployment;
        let ended = self.prepare_end(change, stored, status, Some(reason.clone()));
        if ended.is_none() {
            return Ok(false);
        }
        let now = unix_ms();
        if task.kind == TaskKind::Deploy
            && let Some(number) = task.version
            && let Some(mut version) = self.version_if_kept(name, number).await?
        {
            version.value.status = VersionStatus::Failed;
            version.value.reason = Some(reason.clone());
            let since = version.value.created_at_ms;
            version.value.deploy_ms = Some(now.saturating_sub(since));
            change.put(
                version.value.place(name),
                &version.value,
                Some(version.revision),
            );
        }
        let held = self.state().deployment(name).cloned();
        let Some(held) = held else {
            return Ok(true);
        };
        let mut new = Held::clone(&held);
        let waited = matches!(
            new.record.state,
            DeploymentState::Queued | DeploymentState::SettingUp
        );
        // One that only waited for its turn says nothing about the one whose turn it is.
        let has_turn = self.state().turn_of(name) == Some(&*task.id);
        if waited && has_turn && new.live.is_none() {
            new.record.state = match task.kind {
                // It was stopped, and is again.
                TaskKind::Restart | TaskKind::Rollback if status == TaskStatus::Canceled => {
                    DeploymentState::Stopped
                }
                _ => DeploymentState::Failed,
            };
            new.record.reason = Some(reason.clone());
        }
        let subject = match task.version {
            Some(number) => display(&new.record, number),
            None => new.record.display_name.clone(),
        };
        let action = match (task.kind, task.promotes) {
            (TaskKind::Deploy, true) => Action::Promote,
            (TaskKind::Deploy, false) => Action::Deploy,
            (TaskKind::Rollback, _) => Action::Rollback,
            (TaskKind::Restart, _) => Action::Restart,
            (TaskKind::Stop, _) => Action::Stop,
            (TaskKind::Delete, _) => Action::Delete,
        };
        let mut happening = Happening::new(name, action, &task.actor, subject, now);
        happening.token.clone_from(&task.token);
        happening.version = task.version;
        happening.evidence.clone_from(&task.evidence);
        happening.status = status.as_str().to_owned();
        happening.reason = Some(reason);
        let began = task.started_at_ms.unwrap_or(now);
        happening.duration_ms = Some(now.saturating_sub(began));
        happening.task = Some(task.id.clone());
        change.happened(happening);
        if new.record != held.record {
            new.record.updated_at_ms = now;
            change
                .deployment(name, Some(held.revision), new)
                .route(name);
        }
        Ok(true)
    }

    /// Notes what a task is doing; told to listeners when it is something new.
    fn progress(&self, id: &str, phase: &str, reason: Option<String>) {
        let is_new = self.with_state(|state| state.note_progress(id, phase, reason));
        if is_new && let Some(task) = self.state().task(id) {
            self.tell_task(task);
        }
    }
}
