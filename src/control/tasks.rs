//! Tasks: taken on, looked up, waited for, called off.

use std::{sync::Arc, time::Duration};

use super::{
    access::{Caller, Object, Verb},
    deployments::overwrite,
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    plane::{Change, Control, Done, IfBusy, Intent},
    record::{Deployment, Idempotency, Stored, Task, TaskKind, TaskStatus, decode, encode, place},
};
use crate::{
    base::{
        clock::unix_ms,
        draw,
        id::{Revision, VersionNumber},
        name::DeploymentName,
    },
    store::Order,
    telemetry::{series, table},
};

/// Records that are looked through at a time.
const SCAN: usize = 500;

/// Which tasks are asked for.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Of this deployment.
    pub deployment: Option<DeploymentName>,
    /// That stand like this.
    pub status: Option<TaskStatus>,
    /// That do this.
    pub kind: Option<TaskKind>,
}

/// A request that starts a task: who asks for what, and how.
pub(super) struct Ask<'a> {
    pub(super) caller: &'a Caller,
    pub(super) name: &'a DeploymentName,
    pub(super) intent: &'a Intent,
    /// blake3 of what is asked for, to tell a request that is sent again from another one.
    request: String,
}

/// A task to be taken on.
pub(super) struct NewTask {
    pub(super) kind: TaskKind,
    pub(super) version: Option<VersionNumber>,
    pub(super) force: bool,
    pub(super) promotes: bool,
    pub(super) note: Option<String>,
    pub(super) evidence: Option<serde_json::Value>,
}

/// A task that was taken on, not yet stored.
#[derive(Clone)]
pub(super) struct Taken(Task);

// === impl Ask ===

impl<'a> Ask<'a> {
    pub(super) fn new(
        caller: &'a Caller,
        verb: &str,
        name: &'a DeploymentName,
        body: &impl serde::Serialize,
        intent: &'a Intent,
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [verb.as_bytes(), b"\0", name.as_str().as_bytes(), b"\0"] {
            hasher.update(part);
        }
        hasher.update(&encode(body));
        Self {
            caller,
            name,
            intent,
            request: hasher.finalize().to_hex().to_string(),
        }
    }

    /// Where the caller's id for this request lies. Ids of different callers do not meet.
    fn place(&self) -> Option<String> {
        let id = self.intent.idempotency.as_ref()?;
        let who = self.caller.token.as_deref().unwrap_or("root");
        let hash = blake3::hash(id.as_bytes()).to_hex();
        Some(format!("{}{who}/{hash}", place::IDEMPOTENCY))
    }
}

// === impl NewTask ===

impl NewTask {
    pub(super) fn new(kind: TaskKind, version: Option<VersionNumber>) -> Self {
        Self {
            kind,
            version,
            force: false,
            promotes: false,
            note: None,
            evidence: None,
        }
    }
}

// === impl Taken ===

impl Taken {
    pub(super) fn of(task: Task) -> Self {
        Self(task)
    }

    /// The task as stored by a commit.
    pub(super) fn at(&self, revision: Revision) -> Stored<Task> {
        Stored {
            revision,
            value: self.0.clone(),
        }
    }
}

// === impl Control ===

impl Control {
    /// The task that this request started when it came before.
    pub(super) async fn known_task(
        &self,
        ask: &Ask<'_>,
    ) -> Result<Option<Stored<Task>>, ControlError> {
        let Some(key) = ask.place() else {
            return Ok(None);
        };
        let Some(record) = self.store.get(&key).await? else {
            return Ok(None);
        };
        let known = decode::<Idempotency>(&record)?.value;
        if known.request != ask.request {
            return Err(ControlError::Mismatch);
        }
        self.find_task(&known.task).await
    }

    /// Takes a task on: it is written with the change, and its deployment remembers it.
    ///
    /// # Errors
    /// `busy` when another task runs and the caller does not want to wait.
    pub(super) fn prepare_task(
        &self,
        ask: &Ask<'_>,
        change: &mut Change,
        deployment: &mut Deployment,
        new: NewTask,
    ) -> Result<Taken, ControlError> {
        let unfinished = self.state().unfinished(ask.name).count();
        // A delete ends the queue, and there is never a second one.
        if new.kind != TaskKind::Delete {
            self.room(Limited::Tasks, unfinished, 1)?;
        }
        let now = unix_ms();
        let id = self.draw_id()?;
        let running = self.state().turn_of(ask.name).map(str::to_owned);
        let (phase, reason) = match &running {
            Some(running) => ("waiting", Some(format!("waits for the task {running}"))),
            None => ("queued", None),
        };
        let task = Task {
            id,
            kind: new.kind,
            deployment: ask.name.clone(),
            version: new.version,
            status: TaskStatus::Pending,
            phase: phase.to_owned(),
            reason,
            actor: ask.caller.name.clone(),
            token: ask.caller.token.clone(),
            note: new.note,
            force: new.force,
            promotes: new.promotes,
            evidence: new.evidence,
            created_at_ms: now,
            started_at_ms: None,
            ended_at_ms: None,
        };
        deployment.latest_task = Some(task.id.clone());
        deployment.updated_at_ms = now;
        change.task(&task, None);
        if let Some(key) = ask.place() {
            let idempotency = Idempotency {
                task: task.id.clone(),
                request: ask.request.clone(),
                created_at_ms: now,
            };
            change.write(overwrite(key, &idempotency));
        }
        change.wake(ask.name);
        Ok(Taken(task))
    }

    /// Refuses when another task of the deployment runs and the caller does not want to wait. The
    /// refused task is kept, so that it can be looked up.
    pub(super) async fn refuse_if_busy(
        self: &Arc<Self>,
        turn: super::plane::Turn,
        ask: &Ask<'_>,
        kind: TaskKind,
    ) -> Result<super::plane::Turn, ControlError> {
        let running = self.state().turn_of(ask.name).map(str::to_owned);
        let (IfBusy::Refuse, Some(running)) = (ask.intent.if_busy, running) else {
            return Ok(turn);
        };
        let now = unix_ms();
        let words = format!("the task {running} of {} has not ended", ask.name);
        let mut refused = Conflicting {
            words: words.clone(),
            task: None,
        };
        if !ask.intent.dry_run {
            let task = Task {
                id: self.draw_id()?,
                kind,
                deployment: ask.name.clone(),
                version: None,
                status: TaskStatus::Refused,
                phase: "refused".to_owned(),
                reason: Some(words),
                actor: ask.caller.name.clone(),
                token: ask.caller.token.clone(),
                note: None,
                force: false,
                promotes: false,
                evidence: None,
                created_at_ms: now,
                started_at_ms: None,
                ended_at_ms: Some(now),
            };
            let mut change = Change::default();
            change.task(&task, None);
            count(&task);
            self.commit(turn, change).await?;
            refused.task = Some(task.id);
        }
        Err(ControlError::Conflict {
            code: "busy",
            words: refused.words,
            task: refused.task,
        })
    }

    pub(super) fn draw_id(&self) -> Result<String, ControlError> {
        draw::id(self.id_ms()).map_err(|error| ControlError::Internal(error.to_string()))
    }

    /// A task by its id, wherever it is kept.
    pub(super) async fn find_task(&self, id: &str) -> Result<Option<Stored<Task>>, ControlError> {
        if let Some(task) = self.state().task(id) {
            return Ok(Some((**task).clone()));
        }
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || id.len() > 64 {
            return Ok(None);
        }
        let record = self.store.get(&place::task(id)).await?;
        Ok(record.as_ref().map(decode).transpose()?)
    }

    /// A task.
    ///
    /// # Errors
    /// [`ControlError`]. What the caller may not see is as unknown as what is not there: ids do not
    /// tell where they belong.
    pub async fn task(&self, caller: &Caller, id: &str) -> Result<Stored<Task>, ControlError> {
        let found = self.find_task(id).await?;
        let visible = found.filter(|task| {
            let object = Object::Deployment(&task.value.deployment);
            caller.is_allowed(Verb::Read, object, &self.state())
        });
        visible.ok_or_else(|| task_unknown(id))
    }

    /// Tasks, newest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn tasks(
        &self,
        caller: &Caller,
        filter: &TaskFilter,
        page: &Page,
    ) -> Result<Listed<Stored<Task>>, ControlError> {
        if let Some(name) = &filter.deployment {
            self.readable(caller, name).await?;
        }
        let mut items = Vec::new();
        let mut after = page.last()?.map(place::task);
        while items.len() <= page.limit {
            let records = self
                .store
                .list(place::TASKS, after.as_deref(), SCAN, Order::Down)
                .await?;
            let state = self.state();
            for record in &records {
                let mut task = decode::<Task>(record)?;
                // What is known by heart shows what is in force, and what it is doing right now.
                if let Some(known) = state.task(&task.value.id) {
                    task = (**known).clone();
                }
                let value = &task.value;
                let of_name = filter.deployment.as_ref();
                let fits = of_name.is_none_or(|name| *name == value.deployment)
                    && filter.status.is_none_or(|status| status == value.status)
                    && filter.kind.is_none_or(|kind| kind == value.kind)
                    && caller.is_allowed(Verb::Read, Object::Deployment(&value.deployment), &state);
                if fits {
                    items.push(task);
                }
            }
            match records.last() {
                Some(last) if records.len() == SCAN => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more);
        Ok(Listed {
            next: next.map(|task| Page::cursor(&task.value.id)),
            items,
        })
    }

    /// Waits until a task has ended, or the time is up; answers how it stands then.
    ///
    /// # Cancellation
    /// Leaves nothing behind.
    pub async fn wait_task(&self, id: &str, limit: Duration) -> Option<Stored<Task>> {
        let mut events = self.feed.listen();
        let ended = async {
            loop {
                match self.find_task(id).await {
                    Ok(Some(task)) if !task.value.status.is_final() => {}
                    Ok(found) => return found,
                    Err(_) => return None,
                }
                if events.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(limit, ended).await {
            Ok(found) => found,
            Err(_) => self.find_task(id).await.ok().flatten(),
        }
    }

    /// Calls a task off: one that waits for its turn, or for readiness.
    ///
    /// # Errors
    /// `task_ended` when it has ended, `task_committed` when it is past the point of return.
    pub async fn cancel_task(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<Stored<Task>>, ControlError> {
        let turn = self.turn().await?;
        let found = self.task(caller, id).await?;
        let name = &found.value.deployment;
        caller.may(Verb::Operate, Object::Deployment(name), &self.state())?;
        intent.check(found.revision)?;
        match (found.value.status, found.value.kind) {
            (status, _) if status.is_final() => {
                let words = format!("the task {id} has ended: {}", status.as_str());
                return Err(ControlError::conflict("task_ended", words));
            }
            (TaskStatus::Processing, TaskKind::Stop | TaskKind::Delete) => {
                let words = format!("the task {id} is under way and can't be called off");
                return Err(ControlError::conflict("task_committed", words));
            }
            _ => {}
        }
        if intent.dry_run {
            return Ok(self.unchanged(found));
        }
        let by = format!("canceled by {}", caller.name);
        let mut change = Change::default();
        self.prepare_failure(&mut change, &found, TaskStatus::Canceled, by)
            .await?;
        let done = self.commit(turn, change).await?;
        self.state().stop_running(id);
        Ok(Done {
            value: self.task(caller, id).await?,
            epoch: done.epoch,
        })
    }
}

struct Conflicting {
    words: String,
    task: Option<String>,
}

/// Counts a task that has ended.
pub(super) fn count(task: &Task) {
    let labels = [task.kind.as_str(), task.status.as_str()];
    series::count(&table::TASKS, &labels, 1);
}

fn task_unknown(id: &str) -> ControlError {
    let shown: String = id.chars().take(64).collect();
    ControlError::unknown("task_unknown", format!("there is no task {shown:?}"))
}
