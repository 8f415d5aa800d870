//! Gauges that are shown for as long as somebody holds them.
//!
//! The exporter forgets a gauge only after nobody has set it for `series_idle`: until then it shows what
//! was true once. Where a figure of what is gone would mislead, its series is kept here.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::table::Metric;

/// A gauge of a whole number. With the last of those of one name its series is gone.
#[derive(Debug, Clone)]
pub struct HeldGauge(Arc<Series>);

#[derive(Debug)]
struct Series {
    metric: &'static Metric,
    value: AtomicU64,
}

/// A series' metric and its label values, in the order of the table.
type Name = (&'static str, Box<[Box<str>]>);

static ALL: Mutex<BTreeMap<Name, Weak<Series>>> = Mutex::new(BTreeMap::new());

impl HeldGauge {
    /// The series of `metric` with these label values, in the order of the table.
    pub fn new(metric: &'static Metric, values: &[&str]) -> Self {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (metric.name, values.iter().map(|&it| it.into()).collect());
        // Two of the same name would make the whole exposition invalid.
        if let Some(known) = all.get(&name).and_then(Weak::upgrade) {
            return Self(known);
        }
        let series = Arc::new(Series {
            metric,
            value: AtomicU64::new(0),
        });
        all.insert(name, Arc::downgrade(&series));
        Self(series)
    }

    /// Shows another number.
    pub fn set(&self, value: u64) {
        // Relaxed: a figure by itself.
        self.0.value.store(value, Ordering::Relaxed);
    }
}

/// Appends them to an exposition, in the text format of Prometheus (version 0.0.4).
pub fn render(out: &mut String) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|_, series| series.strong_count() > 0);
    let mut told = "";
    // By name, and so a metric's stand together.
    for ((name, values), series) in &*all {
        let Some(series) = series.upgrade() else {
            continue;
        };
        // Writing to a string does not fail.
        if std::mem::replace(&mut told, name) != *name {
            let _ = writeln!(out, "# HELP {name} {}", series.metric.help);
            let _ = writeln!(out, "# TYPE {name} gauge");
        }
        let labels = series.metric.labels.iter().zip(values);
        // Declared names hold nothing to be escaped.
        let labels: Vec<String> = labels.map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let value = series.value.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::table;

    fn shown(needle: &str) -> Vec<String> {
        let mut out = String::new();
        render(&mut out);
        let lines = out.lines().filter(|line| line.contains(needle));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_series_goes_with_its_last_holder_and_is_never_twice() {
        let first = HeldGauge::new(&table::GATE_LIMIT, &["p", "held"]);
        let second = HeldGauge::new(&table::GATE_LIMIT, &["p", "held"]);
        first.set(7);
        let line = "weir_gate_limit{project=\"p\",deployment=\"held\"} 7";
        assert_eq!(shown("\"held\""), [line]);
        let of_metric = shown("weir_gate_limit");
        assert!(of_metric[0].starts_with("# HELP "), "{of_metric:?}");
        assert_eq!(of_metric[1], "# TYPE weir_gate_limit gauge");
        drop(first);
        assert_eq!(shown("\"held\""), [line], "one still holds it");
        drop(second);
        assert!(shown("\"held\"").is_empty());
    }
}
