//! The third phase: which version answers.

use std::sync::Arc;

use http::HeaderValue;

use super::{admit::Admitted, call::Call};
use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    fault::{Code, Fault},
    limit::Gate,
    snapshot::{Idle, Plan, Principal, Route},
    wire::headers,
};

/// Proof that an admitted call has a version to go to, which forwards its tail.
pub(super) struct Routed {
    pub(super) plan: Arc<Plan>,
    pub(super) principal: Option<Arc<Principal>>,
    /// What it has to pass before a backend.
    pub(super) gate: Option<Arc<Gate>>,
}

/// Proof that an admitted call may be taken in now and run later.
pub(super) struct Deferred {
    /// The deployment.
    pub(super) name: DeploymentName,
    /// Which life of the deployment's name it is for.
    pub(super) life: u32,
    /// The version that is live; none while the deployment is stopped, and its queue waits.
    pub(super) live: Option<Arc<Plan>>,
    /// The version that it shall run on and no other.
    pub(super) pinned: Option<VersionNumber>,
    pub(super) principal: Arc<Principal>,
}

/// Chooses the live version, or the one that the request pins.
pub(super) fn route(admitted: Admitted<'_>, call: &Call<'_, '_>) -> Result<Routed, Fault> {
    let Admitted { route, principal } = admitted;
    let plan = match &call.seen.pin {
        None => route.live().map_err(code_of)?,
        Some(pin) => pinned(pin, route, principal.as_deref(), call)?,
    };
    forwards(plan, call)?;
    Ok(Routed {
        plan: Arc::clone(plan),
        principal,
        gate: route.gate().cloned(),
    })
}

/// The same for a request that is to run later, on the version that is live then.
pub(super) fn defer(admitted: Admitted<'_>, call: &Call<'_, '_>) -> Result<Deferred, Fault> {
    let Admitted { route, principal } = admitted;
    let principal = principal.ok_or(Code::KeyInvalid)?;
    let pinned = match &call.seen.pin {
        None => None,
        Some(pin) => Some(pinned(pin, route, Some(&principal), call)?),
    };
    let live = match route.live() {
        Ok(live) => Some(live),
        Err(Idle::Stopped) => None,
        Err(idle) => return Err(code_of(idle).into()),
    };
    if let Some(plan) = pinned.or(live) {
        forwards(plan, call)?;
    }
    Ok(Deferred {
        name: route.name().clone(),
        life: route.queue().life,
        live: live.map(Arc::clone),
        pinned: pinned.map(|plan| plan.version),
        principal,
    })
}

fn pinned<'r>(
    pin: &HeaderValue,
    route: &'r Route,
    principal: Option<&Principal>,
    call: &Call<'_, '_>,
) -> Result<&'r Arc<Plan>, Fault> {
    if !principal.is_some_and(Principal::may_pin) {
        return Err(Code::PinDenied.into());
    }
    let number = headers::pinned_version(pin, call.target.deployment);
    let plan = number.and_then(|number| route.deployed(number));
    Ok(plan.ok_or(Code::VersionUnknown)?)
}

fn forwards(plan: &Plan, call: &Call<'_, '_>) -> Result<(), Fault> {
    let path = plan.main.path(call.target.operation, call.target.tail);
    path.map(drop).ok_or_else(|| Code::TailUnknown.into())
}

fn code_of(idle: Idle) -> Code {
    match idle {
        Idle::NotLive => Code::DeploymentNotLive,
        Idle::Stopped => Code::DeploymentStopped,
    }
}
