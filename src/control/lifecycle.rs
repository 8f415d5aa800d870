//! What people ask of a deployment that takes time: each becomes a task.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    deployments::json,
    error::ControlError,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent, Turn},
    record::{
        Action, Deployment, DeploymentState, Happening, Stored, Task, TaskKind, Version,
        VersionStatus, decode, display, place,
    },
    state::Held,
    tasks::{Ask, NewTask},
};
use crate::{
    base::{
        clock::unix_ms,
        id::{Revision, VersionNumber},
        name::DeploymentName,
    },
    snapshot::Numbered,
    spec::{
        ChallengerSpec, VersionSpec,
        body::{DeleteBody, PromoteBody, RestartBody, RollbackBody, StopBody},
    },
    store::{If, Order, Write},
};

impl Control {
    /// Deploys a new version in the background.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn deploy(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        spec: VersionSpec,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        self.standing(caller, Verb::Operate, name)?;
        self.way.guard().check_version("", &spec)?;
        let ask = Ask::new(caller, "deploy", name, &spec, intent);
        let turn = self.turn_by(caller).await?;
        let task = NewTask::new(TaskKind::Deploy, None);
        self.deploy_now(turn, &ask, Change::default(), &spec, task)
            .await
    }

    /// Makes the challenger of the live version main, as a new version.
    ///
    /// # Errors
    /// `no_challenger`, `not_live`, and all of [`Control::deploy`].
    pub async fn promote(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: PromoteBody,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Operate, name)?;
        let keeps = body.keep_main_as_challenger;
        let ask = Ask::new(caller, "promote", name, &(keeps, &body.reason), intent);
        if let Some(known) = self.known_task(&ask).await? {
            return Ok(self.unchanged(known));
        }
        let live = held.live.as_ref().ok_or_else(|| not_live(name, &held))?;
        let spec = promoted(name, live, keeps).ok_or_else(|| {
            let words = format!(
                "{} has no challenger to promote",
                display(&held.record, live.number)
            );
            ControlError::conflict("no_challenger", words)
        })?;
        let mut task = NewTask::new(TaskKind::Deploy, None);
        task.promotes = true;
        task.note = body.reason;
        self.deploy_now(turn, &ask, Change::default(), &spec, task)
            .await
    }

    /// Takes a new version on, in this change.
    pub(super) async fn deploy_now(
        self: &Arc<Self>,
        turn: Turn,
        ask: &Ask<'_>,
        mut change: Change,
        spec: &VersionSpec,
        mut task: NewTask,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        if let Some(known) = self.known_task(ask).await? {
            return Ok(self.unchanged(known));
        }
        let turn = self.refuse_if_busy(turn, ask, TaskKind::Deploy).await?;
        let held = self.unleaving(ask)?;
        let now = unix_ms();
        let number = VersionNumber(held.record.versions + 1);
        let version = Version::new(number, json(spec), &ask.caller.name, now);
        change.put(version.place(ask.name), &version, None);
        task.version = Some(number);
        self.begin_task(turn, ask, change, &held, task, |record| {
            record.versions = number.0;
        })
        .await
    }

    /// Makes an earlier version live again: the one named, or the one that was live before.
    ///
    /// # Errors
    /// `nothing_to_roll_back_to`, `version_live`, `version_never_live`, `version_unknown`.
    pub async fn rollback(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: RollbackBody,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.standing(caller, Verb::Operate, name)?;
        let asked = (body.version, body.force, &body.reason);
        let ask = Ask::new(caller, "rollback", name, &asked, intent);
        if let Some(known) = self.known_task(&ask).await? {
            return Ok(self.unchanged(known));
        }
        let turn = self.refuse_if_busy(turn, &ask, TaskKind::Rollback).await?;
        let held = self.unleaving(&ask)?;
        let target = body.version.or(held.record.before).ok_or_else(|| {
            let words = format!("no version of {name} was live before; name one");
            ControlError::conflict("nothing_to_roll_back_to", words)
        })?;
        let version = self.stored_version(name, target).await?;
        if held.live_number() == Some(target) {
            let words = format!("{} is live already", display(&held.record, target));
            return Err(ControlError::conflict("version_live", words));
        }
        if !version.value.succeeded || target.0 < held.record.first_version {
            let words = format!(
                "{} was never live; a rollback goes to a version that was",
                display(&held.record, target)
            );
            return Err(ControlError::conflict("version_never_live", words));
        }
        let mut task = NewTask::new(TaskKind::Rollback, Some(target));
        task.force = body.force;
        task.note = body.reason;
        self.begin_task(turn, &ask, Change::default(), &held, task, |_| ())
            .await
    }

    /// Takes a deployment out of service until it is restarted.
    ///
    /// # Errors
    /// `not_live` when there is nothing to stop.
    pub async fn stop(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: StopBody,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.standing(caller, Verb::Operate, name)?;
        let ask = Ask::new(caller, "stop", name, &body.reason, intent);
        if let Some(known) = self.known_task(&ask).await? {
            return Ok(self.unchanged(known));
        }
        let turn = self.refuse_if_busy(turn, &ask, TaskKind::Stop).await?;
        let held = self.unleaving(&ask)?;
        if held.live.is_none() && self.state().turn_of(name).is_none() {
            return Err(not_live(name, &held));
        }
        let mut task = NewTask::new(TaskKind::Stop, held.live_number());
        task.note = body.reason;
        self.begin_task(turn, &ask, Change::default(), &held, task, |_| ())
            .await
    }

    /// Makes a deployment live afresh: the version that is live, or the one that was last.
    ///
    /// # Errors
    /// `not_live` when no version of it was ever live.
    pub async fn restart(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: RestartBody,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.standing(caller, Verb::Operate, name)?;
        let ask = Ask::new(caller, "restart", name, &body.reason, intent);
        if let Some(known) = self.known_task(&ask).await? {
            return Ok(self.unchanged(known));
        }
        let turn = self.refuse_if_busy(turn, &ask, TaskKind::Restart).await?;
        let held = self.unleaving(&ask)?;
        let target = held.live_number().or(held.record.last_live);
        if target.is_none() && self.state().turn_of(name).is_none() {
            return Err(not_live(name, &held));
        }
        let mut task = NewTask::new(TaskKind::Restart, target);
        task.note = body.reason;
        self.begin_task(turn, &ask, Change::default(), &held, task, |_| ())
            .await
    }

    /// Takes a deployment away for good; its history stays.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn delete_deployment(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: DeleteBody,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        {
            let state = self.state();
            caller.may(Verb::Own, Object::Deployment(name), &state)?;
        }
        let ask = Ask::new(caller, "delete", name, &body.reason, intent);
        if let Some(known) = self.known_task(&ask).await? {
            return Ok(self.unchanged(known));
        }
        self.standing(caller, Verb::Own, name)?;
        let turn = self.refuse_if_busy(turn, &ask, TaskKind::Delete).await?;
        let held = self.unleaving(&ask)?;
        let mut task = NewTask::new(TaskKind::Delete, None);
        task.note = Some(body.reason);
        // What was to be made live is not wanted any more, and might never be ready.
        let mut change = Change::default();
        let reason = format!("{name} is being deleted");
        if !intent.dry_run {
            self.call_off(&mut change, name, &reason, unix_ms()).await?;
        }
        self.begin_task(turn, &ask, change, &held, task, |_| ())
            .await
    }

    /// The deployment that a task is asked for, unless it is being deleted.
    fn unleaving(&self, ask: &Ask<'_>) -> Result<Arc<Held>, ControlError> {
        let state = self.state();
        let held = state
            .deployment(ask.name)
            .ok_or_else(|| super::deployments::unknown(&state, ask.name))?;
        ask.intent.check(held.revision)?;
        let is_leaving = |id: &str| {
            let task = state.task(id);
            task.is_some_and(|task| task.value.kind == TaskKind::Delete)
        };
        if held.record.state == DeploymentState::Deleting
            || state.unfinished(ask.name).any(is_leaving)
        {
            let words = format!("{} is being deleted", ask.name);
            return Err(ControlError::conflict("deleting", words));
        }
        Ok(Arc::clone(held))
    }

    async fn begin_task(
        self: &Arc<Self>,
        turn: Turn,
        ask: &Ask<'_>,
        mut change: Change,
        held: &Held,
        task: NewTask,
        also: impl FnOnce(&mut Deployment),
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let mut new = Held::clone(held);
        also(&mut new.record);
        let taken = self.prepare_task(ask, &mut change, &mut new.record, task)?;
        change.deployment(ask.name, Some(held.revision), new);
        if ask.intent.dry_run {
            return Ok(self.unchanged(taken.at(Revision(0))));
        }
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: taken.at(done.revision),
            epoch: done.epoch,
        })
    }

    /// The versions of a deployment, newest first; also of a deleted one.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn versions(
        &self,
        caller: &Caller,
        name: &DeploymentName,
        page: &Page,
    ) -> Result<Listed<Stored<Version>>, ControlError> {
        self.readable(caller, name).await?;
        let number = page.last()?.and_then(|last| last.parse().ok());
        let after = number.map(|number| place::version(name, VersionNumber(number)));
        let prefix = place::versions_of(name);
        let records = self
            .store
            .list(&prefix, after.as_deref(), page.limit + 1, Order::Down)
            .await?;
        let more = records.len() > page.limit;
        let mut items = Vec::new();
        for record in records.iter().take(page.limit) {
            items.push(decode::<Version>(record)?);
        }
        let next = items.last().filter(|_| more);
        Ok(Listed {
            next: next.map(|version| Page::cursor(&version.value.number.to_string())),
            items,
        })
    }

    /// A version.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn version(
        &self,
        caller: &Caller,
        name: &DeploymentName,
        number: VersionNumber,
    ) -> Result<Stored<Version>, ControlError> {
        self.readable(caller, name).await?;
        self.stored_version(name, number).await
    }

    /// Deletes a version that is neither live nor on its way there. Its number is not used again.
    ///
    /// # Errors
    /// `version_live`, `version_deploying`.
    pub async fn delete_version(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        number: VersionNumber,
        intent: &Intent,
    ) -> Result<Done<()>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Operate, name)?;
        let version = self.stored_version(name, number).await?;
        intent.check(version.revision)?;
        let title = display(&held.record, number);
        if held.live_number() == Some(number) {
            let words = format!("{title} is live; deploy or roll back to another one first");
            return Err(ControlError::conflict("version_live", words));
        }
        if held.live.is_none() && held.record.last_live == Some(number) {
            let words = format!("{title} is what a restart brings back; delete the deployment");
            return Err(ControlError::conflict("version_live", words));
        }
        let is_wanted = {
            let state = self.state();
            state.unfinished(name).any(|id| {
                let task = state.task(id);
                task.is_some_and(|task| task.value.version == Some(number))
            })
        };
        if is_wanted || version.value.status == VersionStatus::Deploying {
            let words = format!("a task with {title} has not ended");
            return Err(ControlError::conflict("version_deploying", words));
        }
        if intent.dry_run {
            return Ok(self.unchanged(()));
        }
        let now = unix_ms();
        let mut new = Held::clone(&held);
        new.kept.retain(|kept| kept.number != number);
        new.record.kept.retain(|kept| *kept != number);
        if new.record.before == Some(number) {
            new.record.before = None;
        }
        new.record.updated_at_ms = now;
        let mut change = Change::default();
        change.write(Write::Delete {
            key: place::version(name, number),
            condition: If::Revision(version.revision),
        });
        let mut happening = Happening::new(name, Action::VersionDelete, &caller.name, title, now);
        happening.version = Some(number);
        change.happened(happening).route(name);
        change.deployment(name, Some(held.revision), new);
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: (),
            epoch: done.epoch,
        })
    }
}

/// What a version is whose main is the challenger of this one, with or without the old main for its
/// challenger; none when there is no challenger. It is not promoted by itself again: the two would
/// change places for ever.
pub(super) fn promoted(
    name: &DeploymentName,
    live: &Numbered,
    keeps_main: bool,
) -> Option<VersionSpec> {
    let challenger = live.spec.challenger.as_ref()?;
    let mut spec = VersionSpec::clone(&live.spec);
    spec.main = challenger.pool.clone();
    spec.challenger = keeps_main.then(|| ChallengerSpec {
        pool: live.spec.main.clone(),
        ..challenger.clone()
    });
    spec.auto_promote = false;
    spec.auto_stop &= keeps_main;
    spec.notes = format!("The challenger of {}_v{}.", name.deployment(), live.number);
    Some(spec)
}

fn not_live(name: &DeploymentName, held: &Held) -> ControlError {
    let state = held.record.state.as_str();
    ControlError::conflict("not_live", format!("{name} is not live: it is {state}"))
}
