//! The third phase: which version answers.

use std::sync::Arc;

use super::{admit::Admitted, call::Call};
use crate::{
    fault::{Code, Fault},
    snapshot::{Idle, Plan, Principal},
    wire::headers,
};

/// Proof that an admitted call has a version to go to, which forwards its tail.
pub(super) struct Routed {
    pub(super) plan: Arc<Plan>,
    pub(super) principal: Option<Arc<Principal>>,
}

/// Chooses the live version, or the one that the request pins.
pub(super) fn route(admitted: Admitted<'_>, call: &Call<'_, '_>) -> Result<Routed, Fault> {
    let Admitted { route, principal } = admitted;
    if call.seen.is_async {
        // Answering at once what was asked for later would break the caller in another place.
        return Err(Code::AsyncUnavailable.into());
    }
    let plan = match &call.seen.pin {
        None => route.live().map_err(code_of)?,
        Some(pin) => {
            if !principal
                .as_ref()
                .is_some_and(|principal| principal.may_pin())
            {
                return Err(Code::PinDenied.into());
            }
            headers::pinned_version(pin, call.target.deployment)
                .and_then(|number| route.deployed(number))
                .ok_or(Code::VersionUnknown)?
        }
    };
    if plan
        .main
        .path(call.target.operation, call.target.tail)
        .is_none()
    {
        return Err(Code::TailUnknown.into());
    }
    Ok(Routed {
        plan: Arc::clone(plan),
        principal,
    })
}

fn code_of(idle: Idle) -> Code {
    match idle {
        Idle::NotLive => Code::DeploymentNotLive,
        Idle::Stopped => Code::DeploymentStopped,
    }
}
