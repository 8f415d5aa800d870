//! The phase between routing and the way to a backend: whether the key and the deployment may have
//! one more request.
//!
//! ```text
//! Limits ──take──▶ key ──▶ deployment ──▶ Limited: held by the exchange, charged as bytes pass
//!                   ▲          └ refuses: what the key gave is given back; so is what both gave to
//!                   └──────────── a request that there is no place for behind them (gate, queue)
//! ```

use std::sync::Arc;

use http::HeaderMap;

use super::{admit::Admitted, exchange::Exchange};
use crate::{
    base::clock::{Tick, unix_ms_coarse},
    fault::{Code, Fault},
    limit::{Arrival, Exceeded, Limiter, Permit},
    telemetry::{
        limits::{Refusal, Scope, What},
        meters::RoleMeters,
    },
    wire::rate_limit::{self, Item},
};

/// What limits a call; nearly always nothing.
pub(super) struct Limits {
    key: Option<Arc<Limiter>>,
    deployment: Option<Arc<Limiter>>,
}

/// What limits an exchange, and what it took, to be given back with its end.
#[derive(Debug)]
pub(super) struct Limited {
    key: Option<Side>,
    deployment: Option<Side>,
    entry: Arrival,
    /// Bytes that are charged already, and when.
    charged: u64,
    charged_at: Tick,
}

#[derive(Debug)]
struct Side {
    limiter: Arc<Limiter>,
    /// None for what was refused, or would have been.
    permit: Option<Permit>,
}

/// A long stream is charged whenever so many bytes have passed, or so much time.
const CHARGE_BYTES: u64 = 256 * 1024;
const CHARGE_NS: u64 = 1_000_000_000;

// === impl Limits ===

impl Limits {
    pub(super) fn of(admitted: &Admitted<'_>) -> Self {
        let principal = admitted.principal.as_deref();
        Self {
            key: principal.and_then(|principal| principal.limits().cloned()),
            deployment: admitted.route.limits().cloned(),
        }
    }

    /// Takes one request of each for the exchange, which is under them from then on. Refusals are
    /// counted for the deployment that was called, whosever limit it was.
    pub(super) fn take(
        self,
        entry: Arrival,
        meters: &RoleMeters,
        exchange: &mut Exchange,
    ) -> Result<(), Fault> {
        if self.key.is_none() && self.deployment.is_none() {
            return Ok(());
        }
        let side = |limiter| Side {
            limiter,
            permit: None,
        };
        let now = Tick::now();
        let mut limited = Box::new(Limited {
            key: self.key.map(side),
            deployment: self.deployment.map(side),
            entry,
            charged: 0,
            charged_at: now,
        });
        let taken = limited.take(meters, now);
        exchange.hold(limited);
        taken
    }
}

// === impl Limited ===

impl Limited {
    fn take(&mut self, meters: &RoleMeters, now: Tick) -> Result<(), Fault> {
        let (entry, unix_ms) = (self.entry, unix_ms_coarse());
        let take = |side: &mut Side, scope| {
            side.take(entry, now, unix_ms).or_else(|exceeded| {
                let is_enforced = side.limiter.is_enforced();
                meters.count_limited(Refusal {
                    scope,
                    what: exceeded.what,
                    is_enforced,
                });
                match is_enforced {
                    true => Err(fault(exceeded, scope)),
                    false => Ok(()),
                }
            })
        };
        if let Some(key) = &mut self.key {
            take(key, Scope::Key)?;
        }
        if let Some(deployment) = &mut self.deployment
            && let Err(fault) = take(deployment, Scope::Deployment)
        {
            self.give_back();
            return Err(fault);
        }
        Ok(())
    }

    /// The request gets no answer, for want of a place: it costs nothing but the bytes that passed.
    pub(super) fn give_back(&mut self) {
        let now = Tick::now();
        for side in [&mut self.key, &mut self.deployment].into_iter().flatten() {
            if let Some(permit) = side.permit.take() {
                permit.give_back(now);
            }
        }
    }

    /// So many bytes of bodies have passed, from the client and to it. They are charged now and then,
    /// so that a long stream's count while it runs.
    pub(super) fn pass(&mut self, sent: u64, received: u64) {
        let passed = self.passed(sent, received);
        let now = Tick::coarse();
        let is_much = passed.saturating_sub(self.charged) >= CHARGE_BYTES;
        if is_much || now.ns_since(self.charged_at) >= CHARGE_NS {
            self.charge(passed, now);
        }
    }

    /// The last byte has passed.
    pub(super) fn end(&mut self, sent: u64, received: u64) {
        let passed = self.passed(sent, received);
        self.charge(passed, Tick::coarse());
    }

    /// What is charged for: of a request that is to run later, its own body alone.
    fn passed(&self, sent: u64, received: u64) -> u64 {
        match self.entry {
            Arrival::Now => sent.saturating_add(received),
            Arrival::Later => sent,
        }
    }

    fn charge(&mut self, passed: u64, now: Tick) {
        let bytes = passed.saturating_sub(self.charged);
        self.charged_at = now;
        if bytes == 0 {
            return;
        }
        self.charged = passed;
        for side in [&self.key, &self.deployment].into_iter().flatten() {
            if let Some(permit) = &side.permit {
                permit.charge(bytes, now);
            }
        }
    }

    /// Tells the client how its limits stand, in place of what a backend says of its own.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let (now, unix_ms) = (Tick::now(), unix_ms_coarse());
        let sides = [
            (&self.key, ["key", "key-day"]),
            (&self.deployment, ["deployment", "deployment-day"]),
        ];
        let items = sides.iter().flat_map(|(side, names)| {
            let quotas = side
                .iter()
                .flat_map(|side| side.limiter.quotas(now, unix_ms));
            quotas.map(|quota| Item {
                name: names[usize::from(quota.is_of_day)],
                quota: quota.quota,
                window_s: quota.window_s,
                left: quota.left,
                reset_s: quota.reset_s,
            })
        });
        rate_limit::put(headers, items);
    }
}

// === impl Side ===

impl Side {
    fn take(&mut self, entry: Arrival, now: Tick, unix_ms: u64) -> Result<(), Exceeded> {
        self.permit = Some(self.limiter.take(entry, now, unix_ms)?);
        Ok(())
    }
}

fn fault(exceeded: Exceeded, scope: Scope) -> Fault {
    let code = match exceeded.what {
        What::Requests => Code::RateLimited,
        What::Concurrency => Code::ConcurrencyLimited,
        What::Bytes => Code::BytesLimited,
        What::Day => Code::QuotaSpent,
    };
    Fault::after_ms(code, exceeded.retry_ms).by(scope)
}
