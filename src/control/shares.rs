//! Shares: people of another project or tenant see a deployment, and keys of that project call it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    access::{Caller, Verb},
    deployments::needs_project,
    error::ControlError,
    plane::{Control, Done, Intent},
    record::{Action, Share},
    state::{Held, State},
};
use crate::{
    base::name::{DeploymentName, Name},
    spec::body::NewShare,
};

/// Shares of one deployment.
const SHARES_MAX: usize = 256;

impl Control {
    /// With whom a deployment is shared.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn shares(
        &self,
        caller: &Caller,
        name: &DeploymentName,
    ) -> Result<Vec<Share>, ControlError> {
        let held = self.standing(caller, Verb::Read, name)?;
        Ok(held.record.shares.clone())
    }

    /// Shares a deployment: people of that project or tenant see it, and keys of that project call
    /// it.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn share(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: NewShare,
        intent: &Intent,
    ) -> Result<Done<Share>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Own, name)?;
        intent.check(held.revision)?;
        let share = match body {
            NewShare::Project(project) => {
                if project.as_str() == name.project() {
                    let words = format!("{name} is in the project {project} already");
                    return Err(ControlError::conflict("exists", words));
                }
                needs_project(&self.state(), project.as_str())?;
                Share::Project(project)
            }
            NewShare::Tenant(tenant) => {
                self.needs_tenant(&self.state(), tenant.as_str())?;
                Share::Tenant(tenant)
            }
        };
        let mut new = Held::clone(&held);
        if !new.record.shares.contains(&share) {
            if new.record.shares.len() == SHARES_MAX {
                let words = format!("a deployment has {SHARES_MAX} shares at most");
                return Err(ControlError::conflict("too_many_shares", words));
            }
            new.record.shares.push(share.clone());
        }
        let with = Some(format!("with {}", share.id()));
        let done = self
            .replace(caller, name, &held, new, Action::Share, with, turn, intent)
            .await?;
        Ok(Done {
            value: share,
            epoch: done.epoch,
        })
    }

    /// Takes a share back.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn unshare(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<()>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Own, name)?;
        intent.check(held.revision)?;
        let mut new = Held::clone(&held);
        let shares = &mut new.record.shares;
        let Some(at) = shares.iter().position(|share| share.id() == id) else {
            let words = format!("{name} is not shared with {id:?}; ids are like project:name");
            return Err(ControlError::unknown("share_unknown", words));
        };
        shares.remove(at);
        let with = Some(format!("with {id}"));
        let done = self
            .replace(
                caller,
                name,
                &held,
                new,
                Action::Unshare,
                with,
                turn,
                intent,
            )
            .await?;
        Ok(Done {
            value: (),
            epoch: done.epoch,
        })
    }
}

/// The projects whose keys open what is shared, or who see it.
pub(super) fn shared_by(state: &State, tenant: &Name) -> BTreeSet<DeploymentName> {
    let shared = state.deployments().filter(|(_, held)| {
        let shares = &held.record.shares;
        shares.contains(&Share::Tenant(tenant.clone()))
    });
    shared.map(|(name, _)| name.clone()).collect()
}
