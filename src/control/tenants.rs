//! Tenants.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    load::DEFAULT_TENANT,
    plane::{Change, Control, Done, Intent},
    record::{Deed, Stored, Tenant, place},
    shares::shared_by,
    state::State,
};
use crate::{
    base::{clock::unix_ms, id::Revision},
    spec::body::{NewTenant, TenantPatch},
    store::{If, Write},
};

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
        let turn = self.turn_by(caller).await?;
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
        let turn = self.turn_by(caller).await?;
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
        let mut change = Change::default();
        change.put(place::tenant(tenant.name.as_str()), &tenant, before);
        deed.tenant = Some(tenant.name.clone());
        change.done(deed);
        let value = tenant.clone();
        change.edit(move |state, revision| state.put_tenant(Stored { revision, value }));
        self.commit_record(turn, change, before, tenant, intent)
            .await
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
        let turn = self.turn_by(caller).await?;
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

pub(super) fn exists(what: &str, name: &str) -> ControlError {
    ControlError::conflict("exists", format!("there is a {what} {name} already"))
}
