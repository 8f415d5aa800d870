//! Times as a table shows them, and weir's own histogram of them.

use crate::common::{Checked, meter::quantile};

/// Sorted times, in milliseconds: their median, their 99th percentile and the longest.
pub(crate) fn spread_ms(sorted_ns: &[i64]) -> [f64; 3] {
    [0.5, 0.99, 1.0].map(|share| quantile(sorted_ns, share) / 1e6)
}

/// `weir_mutation_seconds` at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// Upper bounds in seconds, each with the samples up to it.
    buckets: Vec<(f64, f64)>,
    sum: f64,
}

impl Histogram {
    /// Reads it from what `/metrics` shows.
    pub(crate) fn read(metrics: &str) -> Checked<Self> {
        let mut read = Self {
            buckets: Vec::new(),
            sum: 0.0,
        };
        let own = |line: &&str| line.starts_with("weir_mutation_seconds_");
        for line in metrics.lines().filter(own) {
            let (name, value) = line.rsplit_once(' ').ok_or("a metric without a value")?;
            let value: f64 = value.parse()?;
            if name.ends_with("_sum") {
                read.sum = value;
            } else if let Some((_, bound)) = name.split_once("le=\"") {
                read.buckets
                    .push((bound.trim_end_matches("\"}").parse()?, value));
            }
        }
        match read.buckets.is_empty() {
            true => Err("no weir_mutation_seconds".into()),
            false => Ok(read),
        }
    }

    /// Samples since an earlier moment: how many, their mean, and the bounds of the buckets that
    /// hold their median and 99th percentile, in milliseconds.
    pub(crate) fn since(&self, before: &Self) -> [f64; 4] {
        let added = |(now, then): (&(f64, f64), &(f64, f64))| (now.0, now.1 - then.1);
        let added: Vec<(f64, f64)> = self
            .buckets
            .iter()
            .zip(&before.buckets)
            .map(added)
            .collect();
        let count = added.last().map_or(0.0, |last| last.1);
        let bound = |share: f64| {
            let found = added.iter().find(|(_, up_to)| *up_to >= count * share);
            found.map_or(f64::NAN, |(bound, _)| bound * 1e3)
        };
        let mean = (self.sum - before.sum) / count * 1e3;
        [count, mean, bound(0.5), bound(0.99)]
    }
}
