//! What a gate shows of itself.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{GateStanding, TurnedAway, Why};
use crate::{
    base::name::DeploymentName,
    spec::Priority,
    telemetry::{held::HeldGauge, series::LazyCounter, table},
};

/// The series of one gate; there are none until there is something to show, and no gauges any more
/// once it is lifted.
#[derive(Default)]
pub(super) struct Meters {
    gauges: Mutex<Option<[HeldGauge; 2]>>,
    refused: [[LazyCounter; Why::ALL.len()]; Priority::ALL.len()],
    /// The same, whatever their class, as numbers that can be read.
    counts: [AtomicU64; Why::ALL.len()],
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    pub(super) fn refused(&self, name: &DeploymentName, priority: Priority, why: Why) {
        // Relaxed: a figure for people.
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        self.refused[priority as usize][why as usize].add(&table::GATE_REFUSED, 1, || {
            let (priority, why) = (priority.as_str(), why.as_str());
            [name.project(), name.deployment(), priority, why]
        });
    }

    /// How many were refused.
    pub(super) fn turned_away(&self) -> TurnedAway {
        let count = |why: Why| self.counts[why as usize].load(Ordering::Relaxed);
        TurnedAway {
            full: count(Why::Full),
            too_long: count(Why::TooLong),
            displaced: count(Why::Displaced),
        }
    }

    /// Sets the gauges, and keeps the rest from being forgotten. Where nothing stands there are none.
    ///
    /// `standing` is asked behind the lock that [`Meters::hide`] takes: who shows a gate that is lifted
    /// meanwhile leaves nothing behind.
    pub(super) fn show(
        &self,
        name: &DeploymentName,
        standing: impl FnOnce() -> Option<GateStanding>,
    ) {
        // Also of one that is lifted: declared again while somebody is behind it, it counts on.
        self.refused.iter().flatten().for_each(LazyCounter::touch);
        let mut gauges = self.gauges();
        let Some(standing) = standing() else {
            *gauges = None;
            return;
        };
        let [limit, waiting] = gauges.get_or_insert_with(|| {
            [&table::GATE_LIMIT, &table::GATE_WAITING]
                .map(|metric| HeldGauge::new(metric, &[name.project(), name.deployment()]))
        });
        limit.set(standing.limit.into());
        waiting.set(standing.waiting.into());
    }

    /// Takes the gauges away.
    pub(super) fn hide(&self) {
        *self.gauges() = None;
    }

    fn gauges(&self) -> MutexGuard<'_, Option<[HeldGauge; 2]>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use metrics_exporter_prometheus::PrometheusBuilder;
    use metrics_util::MetricKindMask;

    use crate::{
        base::name::DeploymentName,
        limit::{Gate, Why},
        spec::{OverloadSpec, Priority},
        telemetry::held,
    };

    #[test]
    fn a_gate_that_is_lifted_shows_nothing_any_more() {
        let name = DeploymentName::parse("gauges/lifted").expect("a name");
        let shown = || {
            let mut out = String::new();
            held::render(&mut out);
            out.matches("deployment=\"lifted\"").count()
        };
        let gate = Gate::new(OverloadSpec::default(), None);
        assert_eq!(shown(), 0, "nobody has looked yet");
        gate.show(&name);
        assert_eq!(shown(), 2);
        gate.lift();
        assert_eq!(shown(), 0);
        // By one who still has the snapshot from before.
        gate.show(&name);
        assert_eq!(shown(), 0);
        let again = Gate::new(OverloadSpec::default(), Some(&gate));
        assert!(Arc::ptr_eq(&again, &gate));
        gate.show(&name);
        assert_eq!(shown(), 2);
        drop((gate, again));
        assert_eq!(shown(), 0);
    }

    /// Declared again while somebody is behind it, it is the same gate, and counts on.
    #[test]
    fn what_a_lifted_gate_has_refused_is_not_forgotten() {
        let idle = Duration::from_millis(10);
        let recorder = PrometheusBuilder::new()
            .idle_timeout(MetricKindMask::ALL, Some(idle))
            .build_recorder();
        let handle = recorder.handle();
        let name = DeploymentName::parse("gauges/refusing").expect("a name");
        metrics::with_local_recorder(&recorder, || {
            let gate = Gate::new(OverloadSpec::default(), None);
            gate.count_refused(&name, Priority::Bulk, Why::Full);
            gate.lift();
            let began = Instant::now();
            while began.elapsed() < idle * 10 {
                gate.show(&name);
                let shown = handle.render();
                assert!(shown.contains("deployment=\"refusing\""), "{shown}");
            }
        });
    }
}
