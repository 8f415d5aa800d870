//! Callers of the admin plane: who they are, and what was done to what is no deployment.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Reach, Verb},
    error::ControlError,
    list::{Listed, Page},
    plane::Control,
    record::{Deed, place},
};
use crate::{
    base::{clock::unix_ms, secret::KeyDigest},
    spec::{Role, Scope},
};

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

    /// Whether somebody who was let in may stay.
    pub(super) fn is_still_valid(&self, caller: &Caller) -> bool {
        let Some(id) = &caller.token else {
            return true;
        };
        let state = self.state();
        let token = state.token(id);
        token.is_some_and(|token| token.value.is_valid(unix_ms()))
    }

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
