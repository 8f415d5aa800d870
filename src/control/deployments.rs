//! Deployments: made, seen, edited, shared; and their readme and history.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    changed,
    error::ControlError,
    keys::{Drawn, NewSecret},
    limits::Limited,
    plane::{Change, Control, Done, Intent},
    record::{
        Action, Deployment, DeploymentState, Happening, Stored, Task, TaskKind, Version, decode,
        display, place,
    },
    state::{Held, State},
    tasks::{Ask, NewTask},
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::{Revision, VersionNumber},
        name::DeploymentName,
    },
    limit::{GateStanding, Standing},
    snapshot::Plan,
    spec::{
        DeploymentSpec, Scope, VersionSpec,
        body::{DeploymentPatch, NewDeployment},
    },
    store::{If, Write},
    upstream::backend::Health,
};

/// A deployment as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub name: DeploymentName,
    /// Its record.
    pub stored: Stored<Deployment>,
    /// Its newest task.
    pub task: Option<Stored<Task>>,
    /// The version that answers.
    pub live: Option<Arc<VersionSpec>>,
    /// The backends of that version, as they stand.
    pub backends: Vec<BackendShown>,
    /// Its challenger, if it has one.
    pub challenger: Option<ChallengerShown>,
    /// How its limits stand; none where nothing is limited.
    pub limits: Option<Standing>,
    /// How what protects its backends stands; none where nothing does.
    pub gate: Option<GateStanding>,
}

/// The challenger of a live version, as its brake lets it run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChallengerShown {
    /// The version.
    pub version: VersionNumber,
    /// Whether it gets no copies any more.
    pub is_stopped: bool,
    /// The share of requests that is copied just now, 0.0 to 1.0.
    pub share: f64,
}

/// A backend as it stands.
#[derive(Debug, Clone)]
pub struct BackendShown {
    /// `main` or `challenger`.
    pub role: &'static str,
    /// Its address.
    pub url: String,
    /// `available`, `unhealthy` or `ejected`.
    pub state: &'static str,
    /// Exchanges under way with it.
    pub in_flight: u32,
}

/// A deployment that was just made.
#[derive(Debug, Clone)]
pub struct Created {
    /// The deployment.
    pub shown: Shown,
    /// Its First Key; none when it was to have none, or the same request was answered before.
    pub first_key: Option<NewSecret>,
    /// The task that deploys its first version.
    pub task: Stored<Task>,
}

// === impl Control ===

impl Control {
    /// Makes a deployment, with its First Key unless it is to have none, and starts deploying its
    /// first version.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn create_deployment(
        self: &Arc<Self>,
        caller: &Caller,
        body: NewDeployment,
        intent: &Intent,
    ) -> Result<Done<Created>, ControlError> {
        let NewDeployment { spec, first_key } = body;
        let name = spec.name.clone();
        caller.may(Verb::Operate, Object::Deployment(&name), &self.state())?;
        self.way.guard().check_version("/version", &spec.version)?;
        let turn = self.turn_by(caller).await?;
        // With and without a key are two requests, which no id for one stands for both of.
        let verb = match first_key {
            true => "create",
            false => "create without a key",
        };
        let ask = Ask::new(caller, verb, &name, &spec, intent);
        if let Some(known) = self.known_task(&ask).await? {
            let shown = self.deployment(caller, &name).await?;
            return Ok(self.unchanged(Created {
                shown,
                first_key: None,
                task: known,
            }));
        }
        let before = self.free_place(&name).await?;
        let now = unix_ms();
        let number = VersionNumber(before.as_ref().map_or(0, |b| b.value.versions) + 1);
        let scope = Scope::Deployment(name.clone());
        let mut key = match first_key {
            true => Some(self.draw_key(scope, caller, None)?),
            false => None,
        };
        let mut record = new_record(&spec, caller, now);
        record.state = DeploymentState::Queued;
        record.versions = number.0;
        record.first_version = number.0;
        let mut change = Change::default();
        if let Some(Drawn { record: first, .. }) = &mut key {
            first.first = true;
            "First Key".clone_into(&mut first.description);
            record.first_key = Some(first.id.to_string());
            self.grant(&mut change, first);
        }
        let version = Version::new(number, json(&spec.version), &caller.name, now);
        change.put(version.place(&name), &version, None);
        let title = display(&record, number);
        let task = self.prepare_task(
            &ask,
            &mut change,
            &mut record,
            NewTask::new(TaskKind::Deploy, Some(number)),
        )?;
        change.happened(Happening::new(
            &name,
            Action::Create,
            &caller.name,
            title,
            now,
        ));
        let held = Held {
            revision: Revision(0),
            record: record.clone(),
            live: None,
            kept: Vec::new(),
        };
        change.deployment(&name, before.map(|before| before.revision), held);
        change.route(&name);
        let created = |revision| Created {
            shown: Shown {
                name: name.clone(),
                stored: Stored {
                    revision,
                    value: record.clone(),
                },
                task: Some(task.at(revision)),
                live: None,
                backends: Vec::new(),
                challenger: None,
                limits: None,
                gate: None,
            },
            first_key: key.as_ref().map(|drawn| NewSecret {
                key: Stored {
                    revision,
                    value: drawn.record.clone(),
                },
                secret: (!intent.dry_run).then(|| drawn.secret.clone()),
            }),
            task: task.at(revision),
        };
        if intent.dry_run {
            return Ok(self.unchanged(created(Revision(0))));
        }
        let done = self.commit(turn, change).await?;
        let mut value = created(done.revision);
        // It may have got further by now.
        value.shown = self.deployment(caller, &name).await.unwrap_or(value.shown);
        Ok(Done {
            value,
            epoch: done.epoch,
        })
    }

    /// The tombstone that a new deployment of this name takes the place of, if there is one.
    async fn free_place(
        &self,
        name: &DeploymentName,
    ) -> Result<Option<Stored<Deployment>>, ControlError> {
        {
            let state = self.state();
            needs_project(&state, name.project())?;
            if state.deployment(name).is_some() {
                let words = format!("there is a deployment {name} already");
                return Err(ControlError::conflict("exists", words));
            }
            self.room(Limited::Deployments, state.deployments().count(), 1)?;
        }
        self.tombstone(name).await
    }

    /// The record of a deleted deployment.
    pub(super) async fn tombstone(
        &self,
        name: &DeploymentName,
    ) -> Result<Option<Stored<Deployment>>, ControlError> {
        let record = self.store.get(&place::deployment(name)).await?;
        Ok(record.as_ref().map(decode).transpose()?)
    }

    /// A deployment, also one that is deleted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn deployment(
        &self,
        caller: &Caller,
        name: &DeploymentName,
    ) -> Result<Shown, ControlError> {
        let standing = {
            let state = self.state();
            caller.may(Verb::Read, Object::Deployment(name), &state)?;
            state
                .deployment(name)
                .map(|held| self.show(&state, name, held))
        };
        if let Some(shown) = standing {
            return self.with_task(shown).await;
        }
        let stored = self
            .tombstone(name)
            .await?
            .ok_or_else(|| unknown(&self.state(), name))?;
        self.with_task(Shown {
            name: name.clone(),
            stored,
            task: None,
            live: None,
            backends: Vec::new(),
            challenger: None,
            limits: None,
            gate: None,
        })
        .await
    }

    /// The same with its newest task, also when that ended too long ago to be known by heart.
    pub(super) async fn with_task(&self, mut shown: Shown) -> Result<Shown, ControlError> {
        if shown.task.is_none()
            && let Some(id) = &shown.stored.value.latest_task
        {
            shown.task = self.find_task(id).await?;
        }
        Ok(shown)
    }

    /// A deployment that is not deleted, and that the caller may do this to.
    pub(super) fn standing(
        &self,
        caller: &Caller,
        verb: Verb,
        name: &DeploymentName,
    ) -> Result<Arc<Held>, ControlError> {
        let state = self.state();
        caller.may(verb, Object::Deployment(name), &state)?;
        state
            .deployment(name)
            .cloned()
            .ok_or_else(|| unknown(&state, name))
    }

    pub(super) fn show(&self, state: &State, name: &DeploymentName, held: &Held) -> Shown {
        let task = held.record.latest_task.as_ref();
        let snapshot = self.current.load_full();
        let route = snapshot.route(name.as_str());
        let plan = route.and_then(|route| route.live().ok());
        let limits = route.and_then(|route| route.limits());
        let gate = route.and_then(|route| route.gate());
        Shown {
            name: name.clone(),
            stored: Stored {
                revision: held.revision,
                value: held.record.clone(),
            },
            task: task
                .and_then(|id| state.task(id))
                .map(|task| (**task).clone()),
            live: held.live.as_ref().map(|live| Arc::clone(&live.spec)),
            backends: plan.map(|plan| backends(plan)).unwrap_or_default(),
            challenger: plan.and_then(|plan| challenger(plan)),
            limits: limits.map(|limits| limits.standing(Tick::now(), unix_ms())),
            gate: gate.map(|gate| gate.standing()),
        }
    }

    /// Changes what people may change of a deployment.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn edit_deployment(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        patch: DeploymentPatch,
        intent: &Intent,
    ) -> Result<Done<Shown>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Operate, name)?;
        intent.check(held.revision)?;
        let mut new = Held::clone(&held);
        let record = &mut new.record;
        let set = |to: &mut String, from: Option<String>| *to = from.unwrap_or(to.clone());
        // An empty one means the URL name again.
        let named = |text: String| match text.is_empty() {
            true => name.deployment().to_owned(),
            false => text,
        };
        set(&mut record.display_name, patch.display_name.map(named));
        set(&mut record.description, patch.description);
        record.tags = patch.tags.unwrap_or(record.tags.clone());
        record.access = patch.access.unwrap_or(record.access);
        record.keep_previous = patch.keep_previous.unwrap_or(record.keep_previous);
        record.limits = patch.limits.unwrap_or(record.limits);
        record.overload = patch.overload.unwrap_or(record.overload);
        new.kept.truncate(new.record.keep_previous as usize);
        new.record.kept.truncate(new.record.keep_previous as usize);
        self.replace(caller, name, &held, new, Action::Edit, None, turn, intent)
            .await
    }

    /// Puts a changed record in the place of the old one.
    #[expect(clippy::too_many_arguments, reason = "private, and each is one word")]
    pub(super) async fn replace(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        old: &Held,
        mut new: Held,
        action: Action,
        reason: Option<String>,
        turn: super::plane::Turn,
        intent: &Intent,
    ) -> Result<Done<Shown>, ControlError> {
        if new.record != old.record && !intent.dry_run {
            let now = unix_ms();
            new.record.updated_at_ms = now;
            let mut change = Change::default();
            let title = new.record.display_name.clone();
            let mut happening = Happening::new(name, action, &caller.name, title, now);
            happening.reason = reason;
            happening.changes = changed::of_deployment(&old.record, &new.record);
            change.happened(happening).route(name);
            change.deployment(name, Some(old.revision), new);
            let done = self.commit(turn, change).await?;
            return Ok(Done {
                value: self.deployment(caller, name).await?,
                epoch: done.epoch,
            });
        }
        let state = self.state();
        Ok(self.unchanged(self.show(&state, name, &new)))
    }
}

fn backends(plan: &Plan) -> Vec<BackendShown> {
    let now = Tick::now();
    let roles = ["main", "challenger"].into_iter().zip(plan.legs());
    roles
        .flat_map(|(role, leg)| leg.pool.members().iter().map(move |m| (role, m)))
        .map(|(role, member)| {
            let backend = &member.backend;
            let state = match (backend.health(), backend.breaker.is_ejected(now)) {
                (Health::Down, _) => "unhealthy",
                (_, true) => "ejected",
                _ => "available",
            };
            BackendShown {
                role,
                url: backend.url().to_string(),
                state,
                in_flight: backend.in_flight(),
            }
        })
        .collect()
}

fn challenger(plan: &Plan) -> Option<ChallengerShown> {
    let challenger = plan.challenger.as_ref()?;
    let is_stopped = challenger.brake.is_stopped();
    // Samples are nested: of two shares, the smaller one is what is left.
    let share = challenger.share_max.min(challenger.brake.share());
    Some(ChallengerShown {
        version: plan.version,
        is_stopped,
        share: if is_stopped { 0.0 } else { share },
    })
}

/// The record of a deployment that is made from a declaration.
pub(super) fn new_record(spec: &DeploymentSpec, caller: &Caller, now_ms: u64) -> Deployment {
    Deployment {
        display_name: spec.display_name.clone(),
        description: spec.description.clone(),
        tags: spec.tags.clone(),
        access: spec.access,
        keep_previous: spec.keep_previous,
        limits: spec.limits,
        overload: spec.overload,
        owner: caller.name.clone(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        state: DeploymentState::Queued,
        reason: None,
        versions: 0,
        first_version: 1,
        live: None,
        live_since_ms: None,
        last_live: None,
        before: None,
        kept: Vec::new(),
        managed: None,
        shares: Vec::new(),
        first_key: None,
        queue_paused: false,
        webhook: None,
        webhook_generation: 0,
        pool_down_at_ms: None,
        pool_told_at_ms: None,
        latest_task: None,
        deleted_at_ms: None,
        deleted_by: None,
    }
}

/// A version as it is stored.
pub(super) fn json(version: &VersionSpec) -> serde_json::Value {
    // Nothing in it can fail to serialise; the round trip is tested in `spec`.
    serde_json::to_value(version).unwrap_or_default()
}

/// There is no such deployment, or not even its project.
pub(super) fn unknown(state: &State, name: &DeploymentName) -> ControlError {
    match needs_project(state, name.project()) {
        Ok(()) => {
            let words = format!("there is no deployment {name}");
            ControlError::unknown("deployment_unknown", words)
        }
        Err(unknown) => unknown,
    }
}

/// Whether there is such a project.
///
/// # Errors
/// `project_unknown`.
pub(super) fn needs_project(state: &State, project: &str) -> Result<(), ControlError> {
    match state.project(project) {
        Some(_) => Ok(()),
        None => Err(ControlError::unknown(
            "project_unknown",
            format!("there is no project {project}; create it with POST /api/v1/projects"),
        )),
    }
}

/// A record that is written whatever was there.
pub(super) fn overwrite(key: String, value: &impl serde::Serialize) -> Write {
    Write::Put {
        key,
        value: super::record::encode(value),
        condition: If::Any,
    }
}
