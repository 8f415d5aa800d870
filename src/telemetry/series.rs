//! Handles to metric series, made from rows of the table.
//!
//! The exporter forgets a series that nobody has written for `series_idle`: that is how retired
//! versions and deleted deployments leave `/metrics`. A handle that outlives its series would
//! write into nothing, so each kind guards against it in its own way: counters of live
//! deployments are touched regularly ([`LazyCounter::touch`]), histograms, which can't be written
//! without a sample, register again before they could have been forgotten ([`Seconds`]).

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use super::table::{self, Kind, Metric};
use crate::base::clock::Tick;

static METADATA: Metadata<'static> = Metadata::new("weir", Level::INFO, None);

/// How long a series may go unwritten before it is forgotten, in milliseconds; set by [`install`].
static SERIES_IDLE_MS: AtomicU64 = AtomicU64::new(600_000);

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
    let failed = |error: &dyn std::fmt::Display| InstallError(error.to_string());
    SERIES_IDLE_MS.store(series_idle_ms, Ordering::Relaxed);
    let mut builder = PrometheusBuilder::new().idle_timeout(
        MetricKindMask::ALL,
        Some(std::time::Duration::from_millis(series_idle_ms)),
    );
    for metric in table::ALL.iter().filter(|m| m.kind == Kind::Histogram) {
        builder = builder
            .set_buckets_for_metric(
                Matcher::Full(metric.name.to_owned()),
                table::SECONDS_BUCKETS,
            )
            .map_err(|error| failed(&error))?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    metrics::with_recorder(|recorder| {
        for metric in table::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
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

/// Adds to a counter that is written too rarely to keep a handle for it.
pub fn count(metric: &Metric, values: &[&str], by: u64) {
    counter(metric, values).increment(by);
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

/// A histogram of seconds.
pub struct Seconds {
    key: Key,
    handle: ArcSwapOption<Histogram>,
    written_ms: AtomicU64,
}

impl Seconds {
    /// The series of `metric` with these label values; registered when first written.
    pub fn new(metric: &Metric, values: &[&str]) -> Self {
        Self {
            key: key(metric, values),
            handle: ArcSwapOption::empty(),
            written_ms: AtomicU64::new(0),
        }
    }

    /// Records `ns` nanoseconds at the time `now`.
    pub fn record_ns(&self, ns: u64, now: Tick) {
        // Relaxed: two workers may both register again, which gives both the same series.
        let (written, now_ms) = (self.written_ms.load(Ordering::Relaxed), now.as_ms());
        // The stamp is renewed once in a sixteenth of the time that a series may idle, not with
        // every sample, so that workers do not pass its cache line to and fro.
        let idle_ms = SERIES_IDLE_MS.load(Ordering::Relaxed);
        if written == 0 || now_ms.saturating_sub(written) > idle_ms / 16 {
            self.renew(written, now_ms, idle_ms);
        }
        if let Some(histogram) = &*self.handle.load() {
            histogram.record(ns as f64 / 1e9);
        }
    }

    #[cold]
    fn renew(&self, written: u64, now_ms: u64, idle_ms: u64) {
        if written == 0 || now_ms.saturating_sub(written) > idle_ms / 2 {
            let fresh = metrics::with_recorder(|r| r.register_histogram(&self.key, &METADATA));
            self.handle.store(Some(fresh.into()));
        }
        self.written_ms.store(now_ms.max(1), Ordering::Relaxed);
    }
}
