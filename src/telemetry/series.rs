//! Handles to metric series, made from rows of the table.
//!
//! The exporter forgets a series that nobody has written for `series_idle`: that is how retired
//! versions and deleted deployments leave `/metrics`. A handle that outlives its series would
//! write into nothing, so what is live is touched regularly ([`LazyCounter::touch`]). Histograms
//! are not the exporter's; see `seconds`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use super::table::{self, Kind, Metric};

static METADATA: Metadata<'static> = Metadata::new("weir", Level::INFO, None);

/// Why the exporter could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct InstallError(String);

/// Makes the process's exporter from the table. Series unwritten for `series_idle_ms` are
/// forgotten at a later rendering.
///
/// # Errors
/// When a recorder is installed already.
pub fn install(series_idle_ms: u64) -> Result<PrometheusHandle, InstallError> {
    let idle = std::time::Duration::from_millis(series_idle_ms);
    let builder = PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(idle));
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| InstallError(error.to_string()))?;
    metrics::with_recorder(|recorder| {
        for metric in table::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                // These are rendered by `seconds`.
                Kind::Histogram => {}
            }
        }
    });
    Ok(handle)
}

/// The key of the series of `metric` with these label values, in the order of the table.
pub fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(&label, &value)| Label::new(label, value.to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}

/// A counter, registered now.
pub fn counter(metric: &Metric, values: &[&str]) -> Counter {
    metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, values), &METADATA))
}

/// A gauge, registered now. It is forgotten unless it is set regularly.
pub fn gauge(metric: &Metric, values: &[&str]) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(metric, values), &METADATA))
}

/// The counters that [`count`] has written. They belong to no deployment and never go: there are as
/// many as this program has words for their labels.
static COUNTED: Mutex<BTreeMap<Key, Counter>> = Mutex::new(BTreeMap::new());

/// Adds to a counter that is written too rarely for its writers to keep a handle.
pub fn count(metric: &Metric, values: &[&str], by: u64) {
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let counter = counted
        .entry(key(metric, values))
        .or_insert_with(|| counter(metric, values));
    counter.increment(by);
}

/// Keeps what [`count`] has written from being forgotten.
pub fn touch_counted() {
    let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    counted.values().for_each(|counter| counter.increment(0));
}

/// A counter that registers when it is first written, so that what never happens has no series.
#[derive(Default)]
pub struct LazyCounter(OnceLock<Counter>);

impl LazyCounter {
    /// Adds `by`; `labels` is called when this is the first time.
    pub fn add<'a, const N: usize>(
        &self,
        metric: &Metric,
        by: u64,
        labels: impl FnOnce() -> [&'a str; N],
    ) {
        self.0
            .get_or_init(|| counter(metric, &labels()))
            .increment(by);
    }

    /// Keeps the series from being forgotten.
    pub fn touch(&self) {
        if let Some(counter) = self.0.get() {
            counter.increment(0);
        }
    }
}
