//! Admin tokens: made, seen, edited, revoked.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Reach, Verb},
    deployments::needs_project,
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent},
    record::{Deed, Stored, Token, place},
    state::State,
};
use crate::{
    base::{clock::unix_ms, draw, id::Revision, name::Name, secret::KeyDigest},
    spec::{
        Mistakes, Role,
        body::{NewToken, TokenPatch},
    },
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
        let turn = self.turn_by(caller).await?;
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
        let turn = self.turn_by(caller).await?;
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
        let turn = self.turn_by(caller).await?;
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
        let mut change = Change::default();
        change.put(place::token(&token.id), &token, before);
        deed.tenant.clone_from(&token.tenant);
        deed.reason = Some(format!("for {}", token.name));
        change.done(deed);
        let value = token.clone();
        change.edit(move |state, revision| state.put_token(Stored { revision, value }));
        self.commit_record(turn, change, before, token, intent)
            .await
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
