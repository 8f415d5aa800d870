//! Tenants, projects and admin tokens.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Reach, Verb},
    deployments::{needs_project, overwrite, shared_by},
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    load::DEFAULT_TENANT,
    plane::{Change, Control, Done, Intent},
    record::{Deed, Project, Stored, Tenant, Token, decode, place},
    state::State,
    tidy::KeysOf,
};
use crate::{
    base::{clock::unix_ms, draw, id::Revision, name::Name, secret::KeyDigest},
    spec::{
        Mistakes, Role, Scope,
        body::{NewProject, NewTenant, NewToken, ProjectPatch, TenantPatch, TokenPatch},
    },
    store::{If, Write},
};

/// Names that nobody's token may carry: the history uses them for others.
const RESERVED: [&str; 3] = ["admin", "system", "declarations"];

/// An admin token as it is shown: never the secret.
#[derive(Debug, Clone)]
pub struct TokenShown {
    /// Its record.
    pub stored: Stored<Token>,
    /// When it was last used, since this gateway started.
    pub used_at_ms: Option<u64>,
}

/// An admin token that was just made.
#[derive(Debug, Clone)]
pub struct NewTokenSecret {
    /// The token.
    pub token: Stored<Token>,
    /// The secret, shown this once.
    pub secret: Option<String>,
}

// === callers ===

impl Control {
    /// Who presents this. None when it is no token, or one that opens nothing any more. Takes the same
    /// time for all that are unknown: what is presented is hashed before it is looked up.
    pub fn authenticate(&self, presented: &[u8]) -> Option<Arc<Caller>> {
        if (self.root)(presented) {
            return Some(Arc::new(Caller::root()));
        }
        let digest = KeyDigest::of_key(presented).ok()?;
        let now = unix_ms();
        let token = {
            let state = self.state();
            let token = state.token_of(&digest)?;
            token.value.is_valid(now).then(|| Arc::clone(token))?
        };
        self.tokens_used.insert(token.value.id.clone(), now);
        let token = &token.value;
        Some(Arc::new(Caller {
            name: token.name.clone(),
            token: Some(token.id.clone()),
            role: token.role,
            // The narrower of the two holds.
            reach: match (&token.tenant, &*token.projects) {
                (Some(tenant), []) => Reach::Tenant(tenant.clone()),
                (None, []) if matches!(token.role, Role::OrgAdmin | Role::Viewer) => {
                    Reach::Instance
                }
                (_, projects) => Reach::Projects(projects.to_vec()),
            },
        }))
    }
}

impl Control {
    /// Whether the caller may do this at all. Asked before a body is read, so that whoever may not is
    /// told so, and not what is wrong with what they sent.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub fn permit(
        &self,
        caller: &Caller,
        verb: Verb,
        object: Object<'_>,
    ) -> Result<(), ControlError> {
        caller.may(verb, object, &self.state())
    }

    /// The same for the keys of a scope.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub fn permit_keys(
        &self,
        caller: &Caller,
        verb: Verb,
        scope: &Scope,
    ) -> Result<(), ControlError> {
        super::keys::allow(caller, verb, scope, &self.state())
    }

    /// The same for whoever makes admin tokens.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub fn permit_tokens(&self, caller: &Caller) -> Result<(), ControlError> {
        match caller.role {
            Role::OrgAdmin | Role::TenantAdmin => Ok(()),
            Role::Member | Role::Viewer => self.permit(caller, Verb::Rule, Object::Instance),
        }
    }

    /// The same for whoever makes projects, in whatever tenant.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub fn permit_projects(&self, caller: &Caller) -> Result<(), ControlError> {
        self.permit_tokens(caller)
    }

    /// Whether this is an admin token, valid or not: the two planes share no secret.
    pub(super) fn is_admin_token(&self, presented: &[u8], digest: &KeyDigest) -> bool {
        (self.root)(presented) || self.state().token_of(digest).is_some()
    }

    /// Whether somebody who was let in may stay.
    pub(super) fn is_still_valid(&self, caller: &Caller) -> bool {
        let Some(id) = &caller.token else {
            return true;
        };
        let state = self.state();
        let token = state.token(id);
        token.is_some_and(|token| token.value.is_valid(unix_ms()))
    }
}

impl Control {
    /// What was done to what is no deployment, newest first. For org-admins.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn deeds(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Listed<(u64, Deed)>, ControlError> {
        caller.may(Verb::Rule, Object::Instance, &self.state())?;
        self.journal(place::DEEDS, page).await
    }
}

// === tenants ===

impl Control {
    /// Tenants that the caller may see, by name.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn tenants(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Listed<Stored<Tenant>>, ControlError> {
        let state = self.state();
        let visible = state.tenants().filter(|tenant| {
            let name = tenant.value.name.as_str();
            caller.is_allowed(Verb::Read, Object::Tenant(name), &state)
        });
        let listed = page.cut(visible, |tenant| tenant.value.name.as_str())?;
        Ok(listed.map(|tenant| Stored::clone(tenant)))
    }

    /// A tenant.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn tenant(&self, caller: &Caller, name: &str) -> Result<Stored<Tenant>, ControlError> {
        let state = self.state();
        caller.may(Verb::Read, Object::Tenant(name), &state)?;
        Ok(Stored::clone(self.needs_tenant(&state, name)?))
    }

    pub(super) fn needs_tenant<'a>(
        &self,
        state: &'a State,
        name: &str,
    ) -> Result<&'a Arc<Stored<Tenant>>, ControlError> {
        state.tenant(name).ok_or_else(|| {
            ControlError::unknown("tenant_unknown", format!("there is no tenant {name}"))
        })
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `exists`.
    pub async fn create_tenant(
        self: &Arc<Self>,
        caller: &Caller,
        body: NewTenant,
        intent: &Intent,
    ) -> Result<Done<Stored<Tenant>>, ControlError> {
        let turn = self.turn().await?;
        {
            let state = self.state();
            caller.may(Verb::Rule, Object::Instance, &state)?;
            if state.tenant(body.name.as_str()).is_some() {
                return Err(exists("tenant", body.name.as_str()));
            }
            self.room(Limited::Tenants, state.tenants().count(), 1)?;
        }
        let tenant = Tenant {
            name: body.name,
            description: body.description,
            created_at_ms: unix_ms(),
            created_by: caller.name.clone(),
        };
        let deed = Deed::new(&caller.name, "create", "tenant", tenant.name.as_str());
        self.put_tenant(turn, tenant, None, deed, intent).await
    }

    /// Changes a tenant's description.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn edit_tenant(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        patch: TenantPatch,
        intent: &Intent,
    ) -> Result<Done<Stored<Tenant>>, ControlError> {
        let turn = self.turn().await?;
        let stored = {
            let state = self.state();
            caller.may(Verb::Govern, Object::Tenant(name), &state)?;
            Stored::clone(self.needs_tenant(&state, name)?)
        };
        intent.check(stored.revision)?;
        let mut tenant = stored.value;
        tenant.description = patch.description;
        let deed = Deed::new(&caller.name, "edit", "tenant", name);
        self.put_tenant(turn, tenant, Some(stored.revision), deed, intent)
            .await
    }

    async fn put_tenant(
        self: &Arc<Self>,
        turn: super::plane::Turn,
        tenant: Tenant,
        before: Option<Revision>,
        mut deed: Deed,
        intent: &Intent,
    ) -> Result<Done<Stored<Tenant>>, ControlError> {
        let stored = |revision, value| Stored { revision, value };
        if intent.dry_run {
            return Ok(self.unchanged(stored(before.unwrap_or_default(), tenant)));
        }
        let mut change = Change::default();
        change.put(place::tenant(tenant.name.as_str()), &tenant, before);
        deed.tenant = Some(tenant.name.clone());
        change.done(deed);
        let value = tenant.clone();
        change.edit(move |state, revision| state.put_tenant(Stored { revision, value }));
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: stored(done.revision, tenant),
            epoch: done.epoch,
        })
    }

    /// Deletes a tenant that has no projects.
    ///
    /// # Errors
    /// `not_empty`.
    pub async fn delete_tenant(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        intent: &Intent,
    ) -> Result<Done<()>, ControlError> {
        let turn = self.turn().await?;
        let stored = {
            let state = self.state();
            caller.may(Verb::Rule, Object::Instance, &state)?;
            let stored = Stored::clone(self.needs_tenant(&state, name)?);
            if name == DEFAULT_TENANT {
                let words = "the tenant default stays: it is whose nobody else's projects are";
                return Err(ControlError::conflict("not_empty", words));
            }
            let is_used = state
                .projects()
                .any(|project| project.value.tenant == stored.value.name)
                || !shared_by(&state, &stored.value.name).is_empty()
                || state.tokens().any(|token| {
                    token.value.tenant.as_ref() == Some(&stored.value.name)
                        && token.value.revoked_at_ms.is_none()
                });
            if is_used {
                let words =
                    format!("the tenant {name} still has projects, tokens, or shares with it");
                return Err(ControlError::conflict("not_empty", words));
            }
            stored
        };
        intent.check(stored.revision)?;
        if intent.dry_run {
            return Ok(self.unchanged(()));
        }
        let mut change = Change::default();
        change.write(Write::Delete {
            key: place::tenant(name),
            condition: If::Revision(stored.revision),
        });
        let mut deed = Deed::new(&caller.name, "delete", "tenant", name);
        deed.tenant = Some(stored.value.name.clone());
        change.done(deed);
        change.edit(move |state, _| state.remove_tenant(&stored.value.name));
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: (),
            epoch: done.epoch,
        })
    }
}

// === projects ===

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
        let turn = self.turn().await?;
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
        let turn = self.turn().await?;
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
        let stored = |revision, value| Stored { revision, value };
        if intent.dry_run {
            return Ok(self.unchanged(stored(before.unwrap_or_default(), project)));
        }
        let mut change = Change::default();
        self.prepare_project(&mut change, &project, before);
        deed.project = Some(project.name.clone());
        deed.tenant = Some(project.tenant.clone());
        change.done(deed);
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: stored(done.revision, project),
            epoch: done.epoch,
        })
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
        let turn = self.turn().await?;
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

// === tokens ===

impl Control {
    /// Admin tokens that the caller orders, oldest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn tokens(&self, caller: &Caller, page: &Page) -> Result<Listed<TokenShown>, ControlError> {
        let state = self.state();
        if !matches!(caller.role, Role::OrgAdmin | Role::TenantAdmin) {
            caller.may(Verb::Rule, Object::Instance, &state)?;
        }
        let visible = state
            .tokens()
            .filter(|token| orders(caller, &token.value, &state));
        let listed = page.cut(visible, |token| &token.value.id)?;
        Ok(listed.map(|token| self.show_token(Stored::clone(token))))
    }

    fn show_token(&self, stored: Stored<Token>) -> TokenShown {
        TokenShown {
            used_at_ms: self.tokens_used.get(&stored.value.id).map(|used| *used),
            stored,
        }
    }

    fn known_token(&self, caller: &Caller, id: &str) -> Result<Stored<Token>, ControlError> {
        let state = self.state();
        if !matches!(caller.role, Role::OrgAdmin | Role::TenantAdmin) {
            caller.may(Verb::Rule, Object::Instance, &state)?;
        }
        let found = state.token(id);
        let visible = found.filter(|token| orders(caller, &token.value, &state));
        visible.map(|token| Stored::clone(token)).ok_or_else(|| {
            let shown: String = id.chars().take(64).collect();
            ControlError::unknown("token_unknown", format!("there is no token {shown:?}"))
        })
    }

    /// An admin token.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn token(&self, caller: &Caller, id: &str) -> Result<TokenShown, ControlError> {
        Ok(self.show_token(self.known_token(caller, id)?))
    }

    /// Makes an admin token.
    ///
    /// # Errors
    /// `tenant_unknown`, `project_unknown`, `name_reserved`.
    pub async fn create_token(
        self: &Arc<Self>,
        caller: &Caller,
        body: NewToken,
        intent: &Intent,
    ) -> Result<Done<NewTokenSecret>, ControlError> {
        let turn = self.turn().await?;
        let internal = |error: String| ControlError::Internal(error);
        let id = self.draw_id()?;
        let secret = draw::secret("wt", &id).map_err(|error| internal(error.to_string()))?;
        let digest = KeyDigest::of_key(secret.as_bytes());
        let token = Token {
            id,
            digest: digest.map_err(|error| internal(error.to_string()))?,
            name: body.name,
            description: body.description,
            role: body.role,
            tenant: body.tenant,
            projects: body.projects,
            created_at_ms: unix_ms(),
            created_by: caller.name.clone(),
            expires_at_ms: body.expires_at_ms,
            revoked_at_ms: None,
        };
        {
            let state = self.state();
            if !orders(caller, &token, &state) {
                let words = format!(
                    "the role {} of this token may not make this one: it would reach further",
                    caller.role.as_str()
                );
                return Err(ControlError::Forbidden(words));
            }
            let is_others = |other: &&Arc<Stored<Token>>| {
                other.value.name == token.name && !orders(caller, &other.value, &state)
            };
            if state.tokens().any(|other| is_others(&other)) {
                let words = format!(
                    "the name {} is somebody's whose tokens are not yours to make; choose another one",
                    token.name
                );
                return Err(ControlError::conflict("name_reserved", words));
            }
            let now = unix_ms();
            let valid = state.tokens().filter(|token| token.value.is_valid(now));
            self.room(Limited::Tokens, valid.count(), 1)?;
            if let Some(tenant) = &token.tenant {
                self.needs_tenant(&state, tenant.as_str())?;
            }
            let mut strange = Vec::new();
            for (i, name) in token.projects.iter().enumerate() {
                needs_project(&state, name.as_str())?;
                let of = state
                    .project(name.as_str())
                    .map(|found| &found.value.tenant);
                if token.tenant.is_some() && of != token.tenant.as_ref() {
                    let words = format!("{name} is no project of this tenant");
                    strange.push((format!("/projects/{i}"), words));
                }
            }
            if let Some(mistakes) = Mistakes::found(strange) {
                return Err(mistakes.into());
            }
        }
        if RESERVED.contains(&token.name.as_str()) {
            let words = format!("the name {} is taken by weir itself", token.name);
            return Err(ControlError::conflict("name_reserved", words));
        }
        let secret = (!intent.dry_run).then_some(secret);
        let deed = Deed::new(&caller.name, "create", "token", &token.id);
        let done = self.put_token(turn, token, None, deed, intent).await?;
        Ok(Done {
            value: NewTokenSecret {
                token: done.value,
                secret,
            },
            epoch: done.epoch,
        })
    }

    /// Changes a token's description.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn edit_token(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        patch: TokenPatch,
        intent: &Intent,
    ) -> Result<Done<TokenShown>, ControlError> {
        let turn = self.turn().await?;
        let stored = self.known_token(caller, id)?;
        intent.check(stored.revision)?;
        let mut token = stored.value;
        token.description = patch.description;
        let before = Some(stored.revision);
        let deed = Deed::new(&caller.name, "edit", "token", id);
        let done = self.put_token(turn, token, before, deed, intent).await?;
        Ok(Done {
            value: self.show_token(done.value),
            epoch: done.epoch,
        })
    }

    /// Revokes a token. When this returns, it opens nothing.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn revoke_token(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<TokenShown>, ControlError> {
        let turn = self.turn().await?;
        let stored = self.known_token(caller, id)?;
        intent.check(stored.revision)?;
        let mut token = stored.value.clone();
        if token.revoked_at_ms.is_some() {
            return Ok(self.unchanged(self.show_token(stored)));
        }
        token.revoked_at_ms = Some(unix_ms());
        let before = Some(stored.revision);
        let deed = Deed::new(&caller.name, "revoke", "token", id);
        let done = self.put_token(turn, token, before, deed, intent).await?;
        Ok(Done {
            value: self.show_token(done.value),
            epoch: done.epoch,
        })
    }

    async fn put_token(
        self: &Arc<Self>,
        turn: super::plane::Turn,
        token: Token,
        before: Option<Revision>,
        mut deed: Deed,
        intent: &Intent,
    ) -> Result<Done<Stored<Token>>, ControlError> {
        let stored = |revision, value| Stored { revision, value };
        if intent.dry_run {
            return Ok(self.unchanged(stored(before.unwrap_or_default(), token)));
        }
        let mut change = Change::default();
        change.put(place::token(&token.id), &token, before);
        deed.tenant.clone_from(&token.tenant);
        deed.reason = Some(format!("for {}", token.name));
        change.done(deed);
        let value = token.clone();
        change.edit(move |state, revision| state.put_token(Stored { revision, value }));
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: stored(done.revision, token),
            epoch: done.epoch,
        })
    }
}

/// Whether a caller orders such a token: an org-admin every one, a tenant-admin those that reach no
/// further than its tenant.
fn orders(caller: &Caller, token: &Token, state: &State) -> bool {
    match (caller.role, &caller.reach) {
        (Role::OrgAdmin, _) => true,
        (Role::TenantAdmin, Reach::Tenant(own)) => {
            let inside = |project: &Name| {
                let found = state.project(project.as_str());
                found.is_some_and(|found| found.value.tenant == *own)
            };
            let of_tenant = token.tenant.as_ref() == Some(own);
            let of_projects = !token.projects.is_empty() && token.projects.iter().all(inside);
            token.role != Role::OrgAdmin && (of_tenant && token.projects.is_empty() || of_projects)
        }
        _ => false,
    }
}

fn exists(what: &str, name: &str) -> ControlError {
    ControlError::conflict("exists", format!("there is a {what} {name} already"))
}
