//! The second phase: who asks, and whether they may.

use std::sync::Arc;

use super::{call::Call, seen::Presented};
use crate::{
    base::clock::unix_ms_coarse,
    fault::{Code, Fault},
    snapshot::{Keys, Principal, Route, Snapshot},
    spec::{Access, Priority, Scope},
};

/// Proof that a call may reach its deployment.
pub(super) struct Admitted<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) principal: Option<Arc<Principal>>,
}

impl Admitted<'_> {
    /// In which class it waits, and is let go of.
    pub(super) fn priority(&self) -> Priority {
        class_of(self.principal.as_deref())
    }
}

/// The class of a caller: the one of its key.
pub(super) fn class_of(principal: Option<&Principal>) -> Priority {
    principal.map_or_else(Priority::default, Principal::priority)
}

/// Checks the presented key, even where access is public, and what it opens. To a caller without
/// a key every name that is not public looks the same, and to a key so does every name outside its
/// scope: whether a deployment exists is told only inside.
pub(super) fn admit<'a>(
    call: &Call<'_, '_>,
    view: &'a Snapshot,
    keys: &Keys,
) -> Result<Admitted<'a>, Fault> {
    let principal = identify(call.seen.presented, keys)?;
    if call.seen.later.is_some() && principal.is_none() {
        return Err(Code::KeyInvalid.into());
    }
    let route = view.route(call.target.name);
    let (project, deployment) = (call.target.project, call.target.deployment);
    match (&principal, route) {
        (_, Some(route)) if route.access() == Access::Public => {}
        (None, _) => return Err(Code::KeyInvalid.into()),
        (Some(principal), route) => {
            let scope = principal.scope();
            let widened = match route.map(|route| route.access()) {
                Some(Access::Project) => scope.is_of_project(project),
                Some(Access::Instance | Access::Public) => true,
                Some(Access::Keys) | None => false,
            };
            if !widened
                && !scope.covers(project, deployment)
                && !route.is_some_and(|route| is_shared(route, scope))
            {
                return Err(Code::ScopeDenied.into());
            }
        }
    }
    Ok(Admitted {
        route: route.ok_or(Code::DeploymentUnknown)?,
        principal,
    })
}

/// Whose key is presented; none without one.
pub(super) fn identify(presented: Presented, keys: &Keys) -> Result<Option<Arc<Principal>>, Fault> {
    let digest = match presented {
        Presented::Nothing => return Ok(None),
        Presented::Wrong => return Err(Code::KeyInvalid.into()),
        Presented::Key(digest) => digest,
    };
    let principal = keys.get(&digest).ok_or(Code::KeyInvalid)?;
    keys.touch(&digest, &principal, unix_ms_coarse());
    Ok(Some(principal))
}

/// Whether the deployment is shared with the project that a key is for. A key for one deployment
/// opens that one and no other.
fn is_shared(route: &Route, scope: &Scope) -> bool {
    match scope {
        Scope::Project(project) => route.is_shared_with(project.as_str()),
        Scope::Instance | Scope::Deployment(_) => false,
    }
}
