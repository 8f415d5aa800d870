//! Projects.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    deployments::{needs_project, overwrite},
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent},
    record::{Deed, Project, Stored, decode, place},
    shares::shared_by,
    state::State,
    tenants::exists,
    tidy::KeysOf,
};
use crate::{
    base::{clock::unix_ms, id::Revision, name::Name},
    spec::{
        Scope,
        body::{NewProject, ProjectPatch},
    },
    store::{If, Write},
};

impl Control {
    /// Projects that the caller may see, by name; of one tenant if one is named.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn projects(
        &self,
        caller: &Caller,
        tenant: Option<&str>,
        page: &Page,
    ) -> Result<Listed<Stored<Project>>, ControlError> {
        let state = self.state();
        let visible = state.projects().filter(|project| {
            let (name, of) = (project.value.name.as_str(), project.value.tenant.as_str());
            tenant.is_none_or(|tenant| tenant == of)
                && caller.is_allowed(Verb::Read, Object::Project(name), &state)
        });
        let listed = page.cut(visible, |project| project.value.name.as_str())?;
        Ok(listed.map(|project| Stored::clone(project)))
    }

    /// A project.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn project(&self, caller: &Caller, name: &str) -> Result<Stored<Project>, ControlError> {
        let state = self.state();
        caller.may(Verb::Read, Object::Project(name), &state)?;
        self.known_project(&state, name)
    }

    fn known_project(&self, state: &State, name: &str) -> Result<Stored<Project>, ControlError> {
        needs_project(state, name)?;
        let found = state.project(name).map(|project| Stored::clone(project));
        found.ok_or_else(|| ControlError::Internal(format!("the project {name} went")))
    }

    /// Makes a project.
    ///
    /// # Errors
    /// `exists`, `tenant_unknown`.
    pub async fn create_project(
        self: &Arc<Self>,
        caller: &Caller,
        body: NewProject,
        intent: &Intent,
    ) -> Result<Done<Stored<Project>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        {
            let state = self.state();
            let tenant = body.tenant.as_str();
            caller.may(Verb::Govern, Object::Tenant(tenant), &state)?;
            self.needs_tenant(&state, tenant)?;
            if state.project(body.name.as_str()).is_some() {
                return Err(exists("project", body.name.as_str()));
            }
            self.room(Limited::Projects, state.projects().count(), 1)?;
        }
        let former = self.former_tenant(body.name.as_str()).await?;
        if former.is_some_and(|former| former != body.tenant) {
            let words = format!(
                "the name {} was a project of another tenant, which its records, tokens and shares \
                 go by; choose another one",
                body.name
            );
            return Err(ControlError::conflict("exists", words));
        }
        let project = Project {
            name: body.name,
            tenant: body.tenant,
            description: body.description,
            created_at_ms: unix_ms(),
            created_by: caller.name.clone(),
        };
        let deed = Deed::new(&caller.name, "create", "project", project.name.as_str());
        self.put_project(turn, project, None, deed, intent).await
    }

    /// The tenant that a deleted project of this name was of. What is kept of it, and who was let
    /// into it, goes by its name, so that no other tenant may have that.
    pub(super) async fn former_tenant(&self, name: &str) -> Result<Option<Name>, ControlError> {
        let record = self.store.get(&place::former(name)).await?;
        let former = record.as_ref().map(decode).transpose()?;
        Ok(former.map(|former| former.value))
    }

    /// Changes a project's description.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn edit_project(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        patch: ProjectPatch,
        intent: &Intent,
    ) -> Result<Done<Stored<Project>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let stored = {
            let state = self.state();
            caller.may(Verb::Operate, Object::Project(name), &state)?;
            self.known_project(&state, name)?
        };
        intent.check(stored.revision)?;
        let mut project = stored.value;
        project.description = patch.description;
        let deed = Deed::new(&caller.name, "edit", "project", name);
        self.put_project(turn, project, Some(stored.revision), deed, intent)
            .await
    }

    async fn put_project(
        self: &Arc<Self>,
        turn: super::plane::Turn,
        project: Project,
        before: Option<Revision>,
        mut deed: Deed,
        intent: &Intent,
    ) -> Result<Done<Stored<Project>>, ControlError> {
        let mut change = Change::default();
        self.prepare_project(&mut change, &project, before);
        deed.project = Some(project.name.clone());
        deed.tenant = Some(project.tenant.clone());
        change.done(deed);
        self.commit_record(turn, change, before, project, intent)
            .await
    }

    /// Writes a project in a change. What is shared with its tenant opens to its keys with it.
    pub(super) fn prepare_project(
        &self,
        change: &mut Change,
        project: &Project,
        before: Option<Revision>,
    ) {
        change.put(place::project(project.name.as_str()), project, before);
        let value = project.clone();
        change.edit(move |state, revision| state.put_project(Stored { revision, value }));
        for name in shared_by(&self.state(), &project.tenant) {
            change.route(&name);
        }
    }

    /// Deletes a project that has no deployments. Its keys are revoked.
    ///
    /// # Errors
    /// `not_empty`.
    pub async fn delete_project(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        intent: &Intent,
    ) -> Result<Done<()>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let stored = {
            let state = self.state();
            caller.may(Verb::Govern, Object::Project(name), &state)?;
            let stored = self.known_project(&state, name)?;
            if state.deployments_of(name).next().is_some() {
                let words = format!("the project {name} still has deployments; delete them first");
                return Err(ControlError::conflict("not_empty", words));
            }
            stored
        };
        intent.check(stored.revision)?;
        if intent.dry_run {
            return Ok(self.unchanged(()));
        }
        let mut change = Change::default();
        self.revoke_all(
            &mut change,
            &Scope::Project(stored.value.name.clone()),
            &caller.name,
            unix_ms(),
            KeysOf::All,
        )
        .await?;
        self.prepare_unsubscribing_all(&mut change, name).await?;
        change.write(Write::Delete {
            key: place::project(name),
            condition: If::Revision(stored.revision),
        });
        change.write(overwrite(place::former(name), &stored.value.tenant));
        for shared in shared_by(&self.state(), &stored.value.tenant) {
            change.route(&shared);
        }
        let mut deed = Deed::new(&caller.name, "delete", "project", name);
        deed.project = Some(stored.value.name.clone());
        deed.tenant = Some(stored.value.tenant.clone());
        change.done(deed);
        change.edit(move |state, _| state.remove_project(&stored.value.name));
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: (),
            epoch: done.epoch,
        })
    }
}
