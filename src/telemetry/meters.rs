//! The handles that one deployment's exchanges write to: resolved when a snapshot is built, so
//! that a request looks nothing up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge};

use super::{
    credit::Credit,
    limits::{LimitMeters, Refusal},
    outcome::{Ended, Role},
    seconds::Seconds,
    series::{self, LazyCounter},
    table,
    tally::{Failed, Tally},
};
use crate::base::{id::VersionNumber, name::DeploymentName};

/// What one deployment's exchanges in one role write to, whatever the version. Handed from
/// snapshot to snapshot.
pub struct RoleMeters {
    name: DeploymentName,
    role: Role,
    /// What is counted, read by the monitoring series; also the source of some of the rest.
    tally: Arc<Tally>,
    overhead: Seconds,
    in_flight_gauge: Gauge,
    request_bytes: Published,
    response_bytes: Published,
    broken: [LazyCounter; 4],
    reasons: [LazyCounter; Reason::COUNT],
    copies: LazyCounter,
    limits: LimitMeters,
    backends: [Gauge; 3],
    credit: Credit,
}

/// The series of a number that is counted elsewhere.
#[derive(Default)]
struct Published {
    series: LazyCounter,
    /// How much of the number the series has.
    so_far: AtomicU64,
}

/// What one version's exchanges in one role write to.
pub struct VersionMeters {
    name: DeploymentName,
    role: Role,
    version: String,
    by_status: Box<[LazyCounter; STATUSES.len() + 2]>,
    /// Statuses between 100 and 599 that hardly ever occur; together with [`STATUSES`] as many
    /// series as there are such statuses, no more.
    rare: Mutex<BTreeMap<u16, Counter>>,
}

/// Brings the count of exchanges under way down again when it is dropped.
pub struct InFlight {
    meters: Arc<RoleMeters>,
    is_stream: bool,
}

/// Statuses that are counted without a lock. Those above 599 share `other`: a backend may answer
/// anything up to 999.
const STATUSES: [u16; 30] = [
    200, 201, 202, 203, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409,
    410, 413, 415, 422, 429, 500, 501, 502, 503, 504, 529,
];

/// Events that are counted with a reason, each in its own metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// A retry because no connection could be made.
    RetryConnect,
    /// A retry because the connection broke before the answer's first byte.
    RetryReset,
    /// A retry because a pooled connection had gone stale.
    RetryStale,
    /// A retry that the budget refused.
    RetryRefused,
    /// An ejection after failures in a row.
    EjectedConsecutive,
    /// An ejection for a poor success rate.
    EjectedSuccessRate,
    /// No copy: the request's body is larger than is copied.
    DropBodyTooLarge,
    /// No copy: the queue is full.
    DropQueueFull,
    /// No copy: the bytes waiting in the queue are at their cap.
    DropQueueBytes,
    /// No copy: the client went away before its request was complete.
    DropMainIncomplete,
    /// A copy given up because it took too long.
    DropTimeout,
    /// A copy that no backend took.
    DropUnreachable,
    /// No copy: the challenger has had as many requests in this second as it may.
    DropBudgetRate,
    /// No copy: the challenger has had as many bytes in this second as it may.
    DropBudgetBytes,
    /// No copy: the share was shrunk while main was slow.
    DropBudgetAdaptive,
    /// No copy: weir was short of memory.
    DropMemory,
}

// === impl Reason ===

impl Reason {
    const COUNT: usize = 16;

    const fn row(self) -> (&'static table::Metric, &'static str) {
        match self {
            Self::RetryConnect => (&table::RETRIES, "connect"),
            Self::RetryReset => (&table::RETRIES, "reset"),
            Self::RetryStale => (&table::RETRIES, "stale"),
            Self::RetryRefused => (&table::RETRIES_REFUSED, ""),
            Self::EjectedConsecutive => (&table::EJECTIONS, "consecutive"),
            Self::EjectedSuccessRate => (&table::EJECTIONS, "success_rate"),
            Self::DropBodyTooLarge => (&table::MIRROR_DROPPED, "body_too_large"),
            Self::DropQueueFull => (&table::MIRROR_DROPPED, "queue_full"),
            Self::DropQueueBytes => (&table::MIRROR_DROPPED, "queue_bytes"),
            Self::DropMainIncomplete => (&table::MIRROR_DROPPED, "main_incomplete"),
            Self::DropTimeout => (&table::MIRROR_DROPPED, "timeout"),
            Self::DropUnreachable => (&table::MIRROR_DROPPED, "unreachable"),
            Self::DropBudgetRate => (&table::MIRROR_DROPPED, "budget_rate"),
            Self::DropBudgetBytes => (&table::MIRROR_DROPPED, "budget_bytes"),
            Self::DropBudgetAdaptive => (&table::MIRROR_DROPPED, "budget_adaptive"),
            Self::DropMemory => (&table::MIRROR_DROPPED, "memory"),
        }
    }
}

// === impl RoleMeters ===

impl RoleMeters {
    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What its exchanges may still put into the deployment's ring of log lines.
    pub fn credit(&self) -> &Credit {
        &self.credit
    }

    /// The meters of a deployment in a role.
    pub fn new(name: &DeploymentName, role: Role) -> Self {
        let labels = [name.project(), name.deployment(), role.as_str()];
        let state = |state| {
            let [project, deployment, role] = labels;
            series::gauge(&table::BACKENDS, &[project, deployment, role, state])
        };
        Self {
            tally: Tally::new(name, role),
            overhead: Seconds::new(&table::OVERHEAD, &labels[..2]),
            in_flight_gauge: series::gauge(&table::IN_FLIGHT, &labels),
            request_bytes: Published::default(),
            response_bytes: Published::default(),
            broken: Default::default(),
            reasons: Default::default(),
            copies: LazyCounter::default(),
            limits: LimitMeters::default(),
            backends: [state("available"), state("unhealthy"), state("ejected")],
            credit: Credit::default(),
            name: name.clone(),
            role,
        }
    }

    fn labels(&self) -> [&str; 3] {
        let name = &self.name;
        [name.project(), name.deployment(), self.role.as_str()]
    }

    /// From a request's head to the head of its answer.
    pub fn first_byte(&self) -> &Seconds {
        self.tally.first_byte()
    }

    /// Exchanges under way.
    pub fn in_flight(&self) -> u64 {
        self.tally.in_flight()
    }

    /// Counts an exchange, of `/stream` or not, as under way until the guard is dropped.
    pub fn enter(self: &Arc<Self>, is_stream: bool) -> InFlight {
        self.tally.enter(is_stream);
        InFlight {
            meters: Arc::clone(self),
            is_stream,
        }
    }

    /// Counts a request that was refused before it became an exchange.
    pub fn turn_away(&self, code: crate::fault::Code) {
        self.tally.turn_away(code);
    }

    /// Counts a request beyond a limit.
    pub fn count_limited(&self, refusal: Refusal) {
        self.limits.count(&self.name, refusal);
    }

    /// Records the head of an answer: `first_byte_ns` after the request's head, of which
    /// `own_ns` were weir's.
    pub fn record_first_byte(&self, first_byte_ns: u64, own_ns: u64) {
        self.tally.first_byte.record_ns(first_byte_ns);
        if self.role == Role::Main {
            self.overhead.record_ns(own_ns);
        }
    }

    /// Records the end of an exchange, and how it failed if it did.
    pub fn record_end(
        &self,
        duration_ns: u64,
        sent: u64,
        received: u64,
        ended: Ended,
        failed: Option<Failed>,
    ) {
        let tally = &self.tally;
        tally.duration.record_ns(duration_ns);
        if sent > 0 {
            tally.request_bytes.fetch_add(sent, Ordering::Relaxed);
        }
        if received > 0 {
            tally.response_bytes.fetch_add(received, Ordering::Relaxed);
        }
        if let Some(failed) = failed {
            tally.fail(failed);
        }
        let slot = match ended {
            Ended::Complete => return,
            Ended::ClientGone => 0,
            Ended::BackendBroke => 1,
            Ended::TimedOut => 2,
            Ended::TooLarge => 3,
        };
        self.broken[slot].add(&table::BROKEN, 1, || {
            let [project, deployment, role] = self.labels();
            [project, deployment, role, ended.as_str()]
        });
    }

    /// Counts an event of the given reason.
    pub fn count(&self, reason: Reason) {
        match reason {
            Reason::RetryConnect | Reason::RetryReset | Reason::RetryStale => self.tally.retry(),
            Reason::RetryRefused | Reason::EjectedConsecutive | Reason::EjectedSuccessRate => {}
            Reason::DropBodyTooLarge
            | Reason::DropQueueFull
            | Reason::DropQueueBytes
            | Reason::DropMainIncomplete
            | Reason::DropTimeout
            | Reason::DropUnreachable
            | Reason::DropBudgetRate
            | Reason::DropBudgetBytes
            | Reason::DropBudgetAdaptive
            | Reason::DropMemory => self.tally.drop_copy(),
        }
        let (metric, word) = reason.row();
        let slot = &self.reasons[reason as usize];
        let [project, deployment, role] = self.labels();
        match metric.labels.len() {
            2 => slot.add(metric, 1, || [project, deployment]),
            3 => slot.add(metric, 1, || [project, deployment, word]),
            _ => slot.add(metric, 1, || [project, deployment, role, word]),
        }
    }

    /// Counts a copy sent to the challenger.
    pub fn count_copy(&self) {
        self.tally.copy();
        self.copies.add(&table::MIRRORED, 1, || {
            [self.name.project(), self.name.deployment()]
        });
    }

    /// Shows how many backends are available, unhealthy and ejected.
    pub fn show_backends(&self, available: usize, unhealthy: usize, ejected: usize) {
        for (gauge, count) in self.backends.iter().zip([available, unhealthy, ejected]) {
            gauge.set(count as f64);
        }
    }

    /// Publishes what is kept as plain numbers, and keeps the series of a live deployment from
    /// being forgotten. Called by control, every so often.
    pub fn touch(&self) {
        self.in_flight_gauge.set(self.in_flight() as f64);
        self.publish();
        for counter in [&self.copies].into_iter().chain(&self.broken) {
            counter.touch();
        }
        self.reasons.iter().for_each(LazyCounter::touch);
        self.limits.touch();
    }

    /// Brings the series of bytes up to what was counted.
    fn publish(&self) {
        let (tally, labels) = (&self.tally, || self.labels());
        let (sent, received) = (&tally.request_bytes, &tally.response_bytes);
        self.request_bytes
            .raise(&table::REQUEST_BYTES, sent, labels);
        self.response_bytes
            .raise(&table::RESPONSE_BYTES, received, labels);
    }
}

impl Drop for RoleMeters {
    fn drop(&mut self) {
        self.publish();
        self.tally.end();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.meters.tally.leave(self.is_stream);
    }
}

// === impl Published ===

impl Published {
    /// Raises the series to the number, and keeps it from being forgotten.
    fn raise<'a, const N: usize>(
        &self,
        metric: &table::Metric,
        number: &AtomicU64,
        labels: impl FnOnce() -> [&'a str; N],
    ) {
        let now = number.load(Ordering::Relaxed);
        // The greatest wins: of two that raise at once, neither adds what the other has added.
        let before = self.so_far.fetch_max(now, Ordering::Relaxed);
        match now.saturating_sub(before) {
            0 => self.series.touch(),
            more => self.series.add(metric, more, labels),
        }
    }
}

// === impl VersionMeters ===

impl VersionMeters {
    /// The meters of one version in a role.
    pub fn new(name: &DeploymentName, version: VersionNumber, role: Role) -> Self {
        Self {
            name: name.clone(),
            role,
            version: version.to_string(),
            by_status: Box::new(std::array::from_fn(|_| LazyCounter::default())),
            rare: Mutex::default(),
        }
    }

    /// Counts a finished exchange by the status answered.
    pub fn count(&self, status: Option<u16>) {
        let slot = match status {
            None => STATUSES.len() + 1,
            Some(status) => match STATUSES.binary_search(&status) {
                Ok(slot) => slot,
                Err(_) if status < 600 => return self.count_rare(status),
                Err(_) => STATUSES.len(),
            },
        };
        self.by_status[slot].add(&table::REQUESTS, 1, || {
            let (project, deployment) = (self.name.project(), self.name.deployment());
            [
                project,
                deployment,
                &self.version,
                self.role.as_str(),
                STATUS_LABELS[slot],
            ]
        });
    }

    #[cold]
    fn count_rare(&self, status: u16) {
        let mut rare = self.rare.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = rare.entry(status).or_insert_with(|| {
            let (project, deployment) = (self.name.project(), self.name.deployment());
            let role = self.role.as_str();
            let labels = [
                project,
                deployment,
                &self.version,
                role,
                &status.to_string(),
            ];
            series::counter(&table::REQUESTS, &labels)
        });
        counter.increment(1);
    }

    /// Keeps the series of a live version from being forgotten.
    pub fn touch(&self) {
        self.by_status.iter().for_each(LazyCounter::touch);
        let rare = self.rare.lock().unwrap_or_else(PoisonError::into_inner);
        rare.values().for_each(|counter| counter.increment(0));
    }
}

/// The label of each slot of [`VersionMeters`]: [`STATUSES`], then the two that gather the rest.
const STATUS_LABELS: [&str; STATUSES.len() + 2] = [
    "200", "201", "202", "203", "204", "206", "301", "302", "303", "304", "307", "308", "400",
    "401", "403", "404", "405", "408", "409", "410", "413", "415", "422", "429", "500", "501",
    "502", "503", "504", "529", "other", "none",
];

/// Faults by their code, for all deployments together: a fault may strike before a deployment is
/// known.
pub struct FaultMeters(Vec<Counter>);

impl FaultMeters {
    /// Registers one counter for each code of the catalogue.
    pub fn new() -> Self {
        let codes = crate::fault::Code::ALL.iter();
        Self(
            codes
                .map(|code| series::counter(&table::FAULTS, &[code.entry().code]))
                .collect(),
        )
    }

    /// Counts a fault.
    pub fn count(&self, code: crate::fault::Code) {
        self.0[code as usize].increment(1);
    }

    /// Keeps the series from being forgotten.
    pub fn touch(&self) {
        self.0.iter().for_each(|counter| counter.increment(0));
    }
}

impl Default for FaultMeters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_label_or_the_common_one() {
        assert!(STATUSES.is_sorted());
        for (status, label) in STATUSES.iter().zip(STATUS_LABELS) {
            assert_eq!(status.to_string(), label);
        }
    }
}
