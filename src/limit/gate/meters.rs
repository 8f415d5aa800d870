//! What a gate shows of itself.

use std::sync::OnceLock;

use metrics::Gauge;

use super::{GateStanding, Why};
use crate::{
    base::name::DeploymentName,
    spec::Priority,
    telemetry::{
        series::{self, LazyCounter},
        table,
    },
};

/// The series of one gate; there are none until there is something to show.
#[derive(Default)]
pub(super) struct Meters {
    gauges: OnceLock<[Gauge; 2]>,
    refused: [[LazyCounter; Why::ALL.len()]; Priority::ALL.len()],
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    pub(super) fn refused(&self, name: &DeploymentName, priority: Priority, why: Why) {
        self.refused[priority as usize][why as usize].add(&table::GATE_REFUSED, 1, || {
            let (priority, why) = (priority.as_str(), why.as_str());
            [name.project(), name.deployment(), priority, why]
        });
    }

    /// Sets the gauges, and keeps the rest from being forgotten.
    pub(super) fn show(&self, name: &DeploymentName, standing: GateStanding) {
        let [limit, waiting] = self.gauges.get_or_init(|| {
            [&table::GATE_LIMIT, &table::GATE_WAITING]
                .map(|metric| series::gauge(metric, &[name.project(), name.deployment()]))
        });
        limit.set(f64::from(standing.limit));
        waiting.set(f64::from(standing.waiting));
        self.refused.iter().flatten().for_each(LazyCounter::touch);
    }
}
