//! Bringing one request to one of a pool's backends: pick, connect, send, and try the next-best
//! where that is safe.
//!
//! What is safe: nothing was sent (no connection could be made), or the body can be sent from its
//! beginning and no byte of an answer was seen. Trying the next backend after a failed connect is
//! bounded by the pool alone; sending again what was sent before draws on the retry budget, except
//! once on a kept connection that turned out to have gone stale.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::{
    answer::Answer,
    backend::{Backend, Load},
    breaker::Verdict,
    connections::Connections,
    error::ExchangeError,
    h1::{
        self,
        exchange::{ExchangeLimits, Failed},
    },
    h2,
    pool::{Pool, Tried},
    request::Outgoing,
    upload::Upload,
};
use crate::{
    base::{chance::Chance, clock::Tick},
    net::watch::Watch,
    spec::TimeoutsSpec,
    telemetry::meters::Reason,
};

/// What a delivery needs beside the request.
pub struct Delivery<'a> {
    /// Where to.
    pub pool: &'a Pool,
    /// The worker's connections.
    pub connections: &'a Rc<Connections>,
    /// The worker's generator.
    pub chance: &'a Chance,
    /// The exchange's deadlines.
    pub watch: &'a Rc<Watch>,
    /// How long each part may take.
    pub timeouts: &'a TimeoutsSpec,
    /// How often a request that was sent may be sent again.
    pub retries_max: u32,
    /// Nanoseconds spent waiting for backends and for the client's body: not weir's own.
    pub waited_ns: &'a Cell<u64>,
}

/// An answer, and the load it is on its backend until its last byte.
pub struct Delivered {
    /// The answer.
    pub answer: Answer,
    /// To be kept as long as the answer's body.
    pub load: Load,
}

/// No answer.
pub struct Undelivered {
    /// Why the last attempt failed.
    pub error: ExchangeError,
    /// The request's body, as far as it was read.
    pub upload: Box<Upload>,
}

impl Delivery<'_> {
    /// Delivers a request.
    ///
    /// # Errors
    /// [`Undelivered`] when no backend answered.
    ///
    /// # Cancellation
    /// Closes what was opened, which tells the backend.
    pub async fn deliver(
        &self,
        request: &Outgoing<'_>,
        mut upload: Box<Upload>,
    ) -> Result<Delivered, Undelivered> {
        self.pool.budget().deposit();
        let mut tried = Tried::new();
        let mut resent = 0;
        let mut stale_allowed = true;
        let mut last = None;
        loop {
            let now = Tick::now();
            let Some(backend) = self.pool.pick(now, self.chance, &tried) else {
                let error = last.unwrap_or(ExchangeError::ConnectTimeout);
                return Err(Undelivered { error, upload });
            };
            let failed = match self
                .attempt(backend, request, upload, stale_allowed, now)
                .await
            {
                Ok(delivered) => return Ok(delivered),
                Err(failed) => failed,
            };
            upload = failed.upload;
            let error = failed.error;
            // A client that is still sending when the time is over used it up itself.
            let client_late = matches!(error, ExchangeError::TotalTimeout) && !upload.is_received();
            let stale = failed.reused && is_reset(&error);
            if error.blames_backend() && !stale && !client_late {
                self.pool.record(backend, Verdict::Failure, Tick::now());
            }
            tracing::debug!(backend = %backend.url(), %error, "attempt failed");
            let meters = self.pool.meters();
            if error.is_unsent() {
                tried.push(backend.id());
                if tried.len() < self.pool.members().len() {
                    meters.count(Reason::RetryConnect);
                }
                // A refusal tells more than the shortage of connections at another backend.
                let keep = matches!(error, ExchangeError::Busy(_)) && last.is_some();
                last = if keep { last } else { Some(error) };
                continue;
            }
            if !is_reset(&error) || !upload.can_restart() {
                return Err(Undelivered { error, upload });
            }
            if failed.reused && stale_allowed {
                stale_allowed = false;
                meters.count(Reason::RetryStale);
            } else if resent < self.retries_max {
                if !self.pool.budget().withdraw() {
                    meters.count(Reason::RetryRefused);
                    return Err(Undelivered { error, upload });
                }
                resent += 1;
                meters.count(Reason::RetryReset);
                // The next-best first; a pool of one gets its second chance.
                if tried.len() + 1 < self.pool.members().len() {
                    tried.push(backend.id());
                }
            } else {
                return Err(Undelivered { error, upload });
            }
            upload.restart();
            last = Some(error);
        }
    }

    async fn attempt(
        &self,
        backend: &Arc<Backend>,
        request: &Outgoing<'_>,
        upload: Box<Upload>,
        reuse: bool,
        began: Tick,
    ) -> Result<Delivered, Failed> {
        let load = backend.load();
        let limits = ExchangeLimits {
            first_byte_ms: self.timeouts.first_byte_ms,
            idle_ms: self.timeouts.idle_ms,
            head_bytes_max: self.connections.options().head_bytes_max,
        };
        let connect_ms = self.timeouts.connect_ms;
        let (connections, watch) = (self.connections, self.watch);
        let mut connecting = 0;
        let result = if backend.protocol().is_h2() {
            // Boxed, because it is larger than all the rest of the way together.
            let exchange = h2::exchange(
                connections,
                backend,
                connect_ms,
                request,
                upload,
                watch,
                limits,
            );
            Box::pin(exchange).await
        } else {
            // Behind a stale connection there may be more of them: the second try is on a new one.
            let idle = if reuse {
                connections.take_idle(backend)
            } else {
                None
            };
            let lease = match idle {
                Some(lease) => Ok(lease),
                None => {
                    // Boxed, because it is rare and large.
                    let connect = connections.connect(backend, connect_ms, watch);
                    let lease = Box::pin(connect).await;
                    connecting = Tick::now().ns_since(began);
                    lease
                }
            };
            match lease {
                Ok(lease) => {
                    h1::exchange::exchange(lease, backend, request, upload, watch, limits).await
                }
                Err(error) => Err(Failed {
                    error,
                    upload,
                    reused: false,
                }),
            }
        };
        let waited = match &result {
            Ok(answer) => connecting + answer.waited_ns,
            Err(_) => Tick::now().ns_since(began),
        };
        self.waited_ns.set(self.waited_ns.get() + waited);
        let answer = result?;
        // Two that talk in turns may take their time.
        answer.body.with_upload(Upload::lift_rate);
        let now = answer.head_at;
        self.pool.observe(backend, answer.waited_ns, now);
        let verdict = match answer.status.as_u16() {
            502..=504 => Verdict::Failure,
            500.. => Verdict::Errored,
            _ => Verdict::Success,
        };
        self.pool.record(backend, verdict, now);
        Ok(Delivered { answer, load })
    }
}

fn is_reset(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Reset(_))
}
