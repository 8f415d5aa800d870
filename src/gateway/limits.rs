//! The phase between routing and the way to a backend: whether the key and the deployment may have
//! one more request.

use std::sync::Arc;

use super::admit::Admitted;
use crate::{
    base::clock::{Tick, unix_ms_coarse},
    fault::{Code, Fault},
    limit::{Exceeded, Limiter, Permit, What},
};

/// What limits a call; nearly always nothing.
pub(super) struct Limits {
    key: Option<Arc<Limiter>>,
    deployment: Option<Arc<Limiter>>,
}

/// What was taken, to be given back with the exchange's end.
#[derive(Debug, Default)]
pub(super) struct Taken {
    key: Option<Permit>,
    deployment: Option<Permit>,
}

impl Limits {
    pub(super) fn of(admitted: &Admitted<'_>) -> Self {
        let principal = admitted.principal.as_deref();
        Self {
            key: principal.and_then(|principal| principal.limits().cloned()),
            deployment: admitted.route.limits().cloned(),
        }
    }

    /// Takes one request of each.
    pub(super) fn take(&self) -> Result<Taken, Fault> {
        if self.key.is_none() && self.deployment.is_none() {
            return Ok(Taken::default());
        }
        let (now, unix_ms) = (Tick::now(), unix_ms_coarse());
        let take = |limiter: &Option<Arc<Limiter>>| {
            let permit = limiter.as_ref().map(|limiter| limiter.take(now, unix_ms));
            permit.transpose().map_err(fault)
        };
        Ok(Taken {
            key: take(&self.key)?,
            deployment: take(&self.deployment)?,
        })
    }
}

impl Taken {
    /// Bytes of bodies that passed, both ways.
    pub(super) fn charge(&self, bytes: u64) {
        let now = Tick::coarse();
        for permit in [&self.key, &self.deployment].into_iter().flatten() {
            permit.charge(bytes, now);
        }
    }
}

fn fault(exceeded: Exceeded) -> Fault {
    let code = match exceeded.what {
        What::Requests => Code::RateLimited,
        What::Concurrency => Code::ConcurrencyLimited,
        What::Bytes => Code::BytesLimited,
        What::Day => Code::QuotaSpent,
    };
    code.into()
}
