//! What the queue tells about itself.

use std::{collections::BTreeMap, sync::Arc};

use dashmap::DashMap;

use super::schedule::{GroupKey, Standing};
use crate::{
    base::clock::Tick,
    snapshot::Snapshot,
    store::{JobStatus, Lane},
    telemetry::{
        seconds::Seconds,
        series::{self, LazyCounter},
        table,
    },
};

/// The handles that are written often.
pub(super) struct Meters {
    commit: Seconds,
    /// Of each deployment that had async requests, for as long as it is there.
    deployments: DashMap<String, Arc<OfDeployment>>,
}

#[derive(Default)]
struct OfDeployment {
    accepted: LazyCounter,
    attempts: LazyCounter,
    finished: [LazyCounter; JobStatus::ALL.len()],
}

// === impl Meters ===

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            commit: Seconds::new(&table::ASYNC_COMMIT, &[]),
            deployments: DashMap::new(),
        }
    }

    /// So many were made durable together.
    pub(super) fn committed(&self, requests: usize, began: Tick) {
        self.commit.record_ns(Tick::now().ns_since(began));
        series::count(&table::ASYNC_COMMIT_REQUESTS, &[], requests as u64);
    }

    pub(super) fn accepted(&self, lane: &Lane) {
        self.of(lane, |of, labels| {
            of.accepted.add(&table::ASYNC_ACCEPTED, 1, || labels);
        });
    }

    pub(super) fn refused(&self, reason: &str) {
        series::count(&table::ASYNC_REFUSED, &[reason], 1);
    }

    pub(super) fn attempted(&self, lane: &Lane) {
        self.of(lane, |of, labels| {
            of.attempts.add(&table::ASYNC_ATTEMPTS, 1, || labels);
        });
    }

    pub(super) fn finished(&self, lane: &Lane, status: JobStatus) {
        self.of(lane, |of, [project, deployment]| {
            let labels = || [project, deployment, status.as_str()];
            of.finished[status as usize].add(&table::ASYNC_FINISHED, 1, labels);
        });
    }

    pub(super) fn fenced(&self) {
        series::count(&table::ASYNC_FENCED, &[], 1);
    }

    pub(super) fn lapsed(&self) {
        series::count(&table::ASYNC_LAPSED, &[], 1);
    }

    fn of(&self, lane: &Lane, write: impl FnOnce(&OfDeployment, [&str; 2])) {
        let known = self
            .deployments
            .get(&lane.deployment)
            .map(|of| Arc::clone(&of));
        let of = known.unwrap_or_else(|| {
            let entry = self.deployments.entry(lane.deployment.clone());
            Arc::clone(&entry.or_default())
        });
        if let Some((project, deployment)) = lane.deployment.split_once('/') {
            write(&of, [project, deployment]);
        }
    }

    /// Keeps the series of deployments that are there from being forgotten, and lets go of others'.
    pub(super) fn touch(&self, view: &Snapshot) {
        self.deployments.retain(|deployment, of| {
            let finished = of.finished.iter();
            finished
                .chain([&of.accepted, &of.attempts])
                .for_each(LazyCounter::touch);
            view.route(deployment).is_some()
        });
    }

    /// Depth and age of each deployment's queue.
    pub(super) fn show<'a>(
        &self,
        standings: impl Iterator<Item = (&'a GroupKey, Standing)>,
        now_ms: u64,
    ) {
        // A name may have several lives at once, for a moment.
        let mut shown: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
        for (key, standing) in standings {
            let figures = shown.entry(&key.deployment).or_default();
            figures.0 += standing.queued;
            figures.1 += u64::from(standing.running);
            let age_ms = standing
                .oldest
                .map_or(0, |oldest| now_ms.saturating_sub(oldest.unix_ms()));
            figures.2 = figures.2.max(age_ms);
        }
        for (deployment, (queued, running, age_ms)) in shown {
            let Some((project, deployment)) = deployment.split_once('/') else {
                continue;
            };
            let depth = |state| series::gauge(&table::ASYNC_DEPTH, &[project, deployment, state]);
            depth("queued").set(queued as f64);
            depth("running").set(running as f64);
            series::gauge(&table::ASYNC_OLDEST, &[project, deployment]).set(age_ms as f64 / 1e3);
        }
    }

    pub(super) fn show_totals(&self, open: u64, bytes: u64) {
        series::gauge(&table::ASYNC_OPEN, &[]).set(open as f64);
        series::gauge(&table::ASYNC_BYTES, &[]).set(bytes as f64);
    }
}
