//! A declarations file through control: compared with what is stored, and put in force in one commit.
//!
//! ```text
//! Declarations ──▶ what it says anew, against what it said last ──▶ one Change ──▶ commit
//! ```
//!
//! What the file says is in force at once: whoever writes it says how things are, so nothing is
//! waited for. What people change beside it stays until the file says something new about it. A key
//! that was revoked through the admin plane stays revoked whatever the file says.

use std::{collections::HashSet, sync::Arc};

use super::{
    access::Caller,
    changed,
    deployments::{json, new_record},
    error::ControlError,
    leaving::bury,
    limits::Limited,
    plane::{Change, Control, Turn},
    record::{
        Action, Happening, Managed, Stored, TaskStatus, Version, VersionStatus, display, encode,
    },
    state::Held,
    tidy::KeysOf,
};
use crate::{
    base::{
        clock::unix_ms,
        id::{Epoch, Revision, VersionNumber},
        name::DeploymentName,
    },
    snapshot::Numbered,
    spec::{Declarations, DeploymentSpec, Role},
};

/// Why what is under way is called off.
const SAYS_ELSE: &str = "the declarations say something else";

/// What declaring changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// The epoch in force.
    pub epoch: Epoch,
    /// Tenants that were missing.
    pub tenants_created: usize,
    /// Projects that were missing, named by themselves or by what is in them.
    pub projects_created: usize,
    /// Deployments that are new, or have a new version or new properties.
    pub deployments_changed: usize,
    /// Those of them that were not there before.
    pub deployments_created: usize,
    /// Deployments that are gone.
    pub deployments_removed: usize,
    /// Keys that are new or open something else.
    pub keys_granted: usize,
    /// Keys that are gone.
    pub keys_revoked: usize,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.deployments_changed + self.deployments_removed == 0
            && self.keys_granted + self.keys_revoked == 0
            && self.tenants_created + self.projects_created == 0
    }
}

/// Whoever speaks through a file.
pub(super) fn speaker() -> Caller {
    Caller {
        name: "declarations".to_owned(),
        token: None,
        role: Role::OrgAdmin,
        reach: super::access::Reach::Instance,
    }
}

impl Control {
    /// Puts declarations in force, all of them or, when the store refuses, none. When this returns,
    /// every request that starts sees them.
    ///
    /// # Errors
    /// [`ControlError`]; a backend where none may be is a mistake with its pointer.
    pub async fn declare(
        self: &Arc<Self>,
        declarations: Declarations,
    ) -> Result<Changes, ControlError> {
        let mistakes = declarations.deployments.iter().enumerate();
        for (i, spec) in mistakes {
            let at = format!("/deployment/{i}/version");
            self.way.guard().check_version(&at, &spec.version)?;
        }
        let turn = self.turn().await?;
        let mut changes = Changes::default();
        let mut change = Change::default();
        let now = unix_ms();
        self.declare_projects(&mut change, &mut changes, &declarations, now)
            .await?;
        self.declare_deployments(&mut change, &mut changes, declarations.deployments, now)
            .await?;
        self.declare_keys(&mut change, &mut changes, declarations.keys, now)
            .await?;
        let there = self.state().deployments().count();
        let fresh = (changes.deployments_created).saturating_sub(changes.deployments_removed);
        self.room(Limited::Deployments, there, fresh)?;
        let keys = changes.keys_granted.saturating_sub(changes.keys_revoked);
        self.room(Limited::Keys, self.current.keys().len(), keys)?;
        self.commit_declared(turn, change, changes).await
    }

    async fn commit_declared(
        self: &Arc<Self>,
        turn: Turn,
        change: Change,
        mut changes: Changes,
    ) -> Result<Changes, ControlError> {
        let done = self.commit(turn, change).await?;
        changes.epoch = done.epoch;
        Ok(changes)
    }

    async fn declare_deployments(
        &self,
        change: &mut Change,
        changes: &mut Changes,
        specs: Vec<DeploymentSpec>,
        now: u64,
    ) -> Result<(), ControlError> {
        let named: HashSet<DeploymentName> = specs.iter().map(|spec| spec.name.clone()).collect();
        for spec in specs {
            let is_new = self.state().deployment(&spec.name).is_none();
            if self.declare_deployment(change, spec, now).await? {
                changes.deployments_created += usize::from(is_new);
                changes.deployments_changed += 1;
            }
        }
        let gone: Vec<(DeploymentName, Arc<Held>)> = {
            let state = self.state();
            let managed = state
                .deployments()
                .filter(|(name, held)| held.record.managed.is_some() && !named.contains(*name));
            managed
                .map(|(name, held)| (name.clone(), Arc::clone(held)))
                .collect()
        };
        for (name, held) in gone {
            tracing::warn!(deployment = %name, "it is no longer declared, and is deleted");
            let by = speaker().name;
            let mut new = Held::clone(&held);
            self.call_off(change, &name, SAYS_ELSE, now).await?;
            self.prepare_leaving(change, &name, &mut new, &by, now, KeysOf::People)
                .await?;
            let reason = "it is no longer declared".to_owned();
            bury(&mut new.record, &by, Some(reason.clone()), now);
            let title = new.record.display_name.clone();
            let mut happening = Happening::new(&name, Action::Delete, &by, title, now);
            happening.reason = Some(reason);
            change.happened(happening).route(&name);
            change.deployment(&name, Some(held.revision), new);
            changes.deployments_removed += 1;
        }
        Ok(())
    }

    /// Whether the file says anything new about a deployment; then it is in the change.
    async fn declare_deployment(
        &self,
        change: &mut Change,
        spec: DeploymentSpec,
        now: u64,
    ) -> Result<bool, ControlError> {
        let by = speaker().name;
        let name = spec.name.clone();
        let fingerprint = fingerprint(&spec);
        let said = blake3::hash(&encode(&spec.version)).to_hex().to_string();
        let held = self.state().deployment(&name).cloned();
        let before = match &held {
            Some(held) => Some(held.revision),
            None => self.tombstone(&name).await?.map(|stored| stored.revision),
        };
        let mut new = match &held {
            Some(held) => Held::clone(held),
            None => {
                let mut record = new_record(&spec, &speaker(), now);
                if let Some(tombstone) = self.tombstone(&name).await? {
                    // Numbers only grow, also over a name's former lives.
                    record.versions = tombstone.value.versions;
                    record.first_version = record.versions + 1;
                }
                Held {
                    revision: Revision(0),
                    record,
                    live: None,
                    kept: Vec::new(),
                }
            }
        };
        let managed = new.record.managed.clone();
        let is_known = match &managed {
            // The version itself may be gone: that people deleted it says nothing new.
            Some(managed) if managed.said == said => true,
            // Tables in another order are the same version.
            Some(managed) => self.is_version(&name, &new, managed.version, &spec).await?,
            None => false,
        };
        let is_same = managed
            .as_ref()
            .is_some_and(|managed| managed.fingerprint == fingerprint);
        if is_known && is_same {
            return Ok(false);
        }
        if !is_same {
            let record = &mut new.record;
            record.display_name.clone_from(&spec.display_name);
            record.description.clone_from(&spec.description);
            record.tags.clone_from(&spec.tags);
            record.access = spec.access;
            record.keep_previous = spec.keep_previous;
            record.limits = spec.limits;
            record.overload = spec.overload;
        }
        let mut action = Action::Edit;
        let mut version = managed.map(|managed| managed.version);
        if !is_known {
            action = match &held {
                Some(_) => Action::Deploy,
                None => Action::Create,
            };
            // A deployment that the file takes over may run just this version already.
            let live = new.live.as_ref();
            let number = match live.filter(|live| *live.spec == spec.version) {
                Some(live) => live.number,
                None => {
                    self.call_off(change, &name, SAYS_ELSE, now).await?;
                    self.declare_version(change, &name, &mut new, spec, now)
                        .await?
                }
            };
            version = Some(number);
        }
        if let Some(version) = version {
            new.record.managed = Some(Managed {
                version,
                said,
                fingerprint,
            });
        }
        new.kept.truncate(new.record.keep_previous as usize);
        new.record.kept.truncate(new.record.keep_previous as usize);
        new.record.updated_at_ms = now;
        let title = match version {
            Some(version) if !is_known => display(&new.record, version),
            _ => new.record.display_name.clone(),
        };
        let mut happening = Happening::new(&name, action, &by, title, now);
        happening.version = version.filter(|_| !is_known);
        if let Some(held) = &held {
            happening.changes = changed::of_deployment(&held.record, &new.record);
        }
        change.happened(happening).route(&name);
        change.deployment(&name, before, new);
        Ok(true)
    }

    /// Whether a version of a deployment is what the file says.
    async fn is_version(
        &self,
        name: &DeploymentName,
        held: &Held,
        number: VersionNumber,
        spec: &DeploymentSpec,
    ) -> Result<bool, ControlError> {
        if let Some(live) = held.live.as_ref().filter(|live| live.number == number) {
            return Ok(*live.spec == spec.version);
        }
        match self.numbered(name, number).await {
            Ok(numbered) => Ok(*numbered.spec == spec.version),
            Err(ControlError::Unknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes what the file says the live version, under a new number.
    async fn declare_version(
        &self,
        change: &mut Change,
        name: &DeploymentName,
        new: &mut Held,
        spec: DeploymentSpec,
        now: u64,
    ) -> Result<VersionNumber, ControlError> {
        let by = speaker().name;
        let number = VersionNumber(new.record.versions + 1);
        let mut version = Version::new(number, json(&spec.version), &by, now);
        version.status = VersionStatus::Success;
        version.succeeded = true;
        version.deploy_ms = Some(0);
        version.live_from_ms = Some(now);
        change.put(version.place(name), &version, None);
        new.record.versions = number.0;
        let live = Numbered {
            number,
            spec: Arc::new(spec.version),
            is_challenger_stopped: false,
        };
        if let Some(retired) = new.enter(live, now) {
            self.prepare_retirement(change, name, &new.record, retired, &by, now)
                .await?;
        }
        Ok(number)
    }

    /// Calls off what was under way with a deployment.
    pub(super) async fn call_off(
        &self,
        change: &mut Change,
        name: &DeploymentName,
        reason: &str,
        now: u64,
    ) -> Result<(), ControlError> {
        let unfinished: Vec<_> = {
            let state = self.state();
            let ids = state.unfinished(name);
            ids.filter_map(|id| state.task(id).map(|task| Stored::clone(task)))
                .collect()
        };
        for stored in unfinished {
            let reason = reason.to_owned();
            let status = TaskStatus::Canceled;
            self.prepare_end(change, &stored, status, Some(reason.clone()));
            if stored.value.kind == super::record::TaskKind::Deploy
                && let Some(number) = stored.value.version
                && let Some(mut version) = self.version_if_kept(name, number).await?
            {
                version.value.status = VersionStatus::Failed;
                version.value.reason = Some(reason);
                version.value.deploy_ms = Some(now.saturating_sub(version.value.created_at_ms));
                let revision = Some(version.revision);
                change.put(version.value.place(name), &version.value, revision);
            }
            let id = stored.value.id.clone();
            change.edit(move |state, _| state.stop_running(&id));
        }
        Ok(())
    }
}

/// blake3 of all that a file says of a deployment beside its version.
fn fingerprint(spec: &DeploymentSpec) -> String {
    let said = (
        &spec.display_name,
        &spec.description,
        &spec.tags,
        spec.access,
        spec.keep_previous,
    );
    // A file that says nothing of these is what it was before they existed.
    let said = match (spec.limits.is_default(), &spec.overload) {
        (true, None) => encode(&said),
        _ => encode(&(said, spec.limits, spec.overload)),
    };
    blake3::hash(&said).to_hex().to_string()
}
