//! Histograms of durations, kept by weir itself.
//!
//! The exporter's own keep every sample, with the time it was taken, until somebody folds them
//! into buckets: memory that grows with traffic between two upkeeps, and 250 instructions a sample
//! (three samples a request made 3 % of what a request costs at 5,000/s). The buckets are known
//! beforehand, so a sample here is two additions, and a series lives exactly as long as somebody
//! can write to it.
//!
//! Some are kept on a finer scale than is shown, for quantiles: see `scale`. Their counters are made
//! with the first sample, so that what is idle takes no room.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    scale::{self, CUTS, SLOTS},
    table::{self, Kind, Metric},
};

/// A histogram of durations.
#[derive(Clone)]
pub struct Seconds(Arc<Series>);

struct Series {
    metric: &'static Metric,
    labels: Box<[Box<str>]>,
    counts: Counts,
    sum_ns: AtomicU64,
    /// How many still write to it: the monitoring series reads on for a moment.
    writers: AtomicUsize,
}

enum Counts {
    /// As they are shown.
    Shown([AtomicU64; BUCKETS + 1]),
    /// On the fine scale, from the first sample on.
    Fine(OnceLock<Box<[AtomicU64; SLOTS]>>),
}

const BUCKETS: usize = table::SECONDS_BUCKETS.len();

/// The upper bounds in nanoseconds.
const BOUNDS_NS: [u64; BUCKETS] = {
    let mut bounds = [0; BUCKETS];
    let mut i = 0;
    while i < BUCKETS {
        bounds[i] = (table::SECONDS_BUCKETS[i] * 1e9 + 0.5) as u64;
        i += 1;
    }
    bounds
};

/// A series' metric and its label values.
type Name = (&'static str, Box<[Box<str>]>);

/// Every series that somebody can write to, and some that nobody can any more. In order, so that a
/// metric's stand together; found by name, since ten thousand deployments bring forty thousand.
static ALL: Mutex<BTreeMap<Name, Weak<Series>>> = Mutex::new(BTreeMap::new());

impl Seconds {
    /// The series of `metric` with these label values, in the order of the table.
    pub fn new(metric: &'static Metric, values: &[&str]) -> Self {
        let counts = Counts::Shown([const { AtomicU64::new(0) }; BUCKETS + 1]);
        Self::with(metric, values, counts)
    }

    /// The same, kept on the fine scale.
    pub fn fine(metric: &'static Metric, values: &[&str]) -> Self {
        Self::with(metric, values, Counts::Fine(OnceLock::new()))
    }

    fn with(metric: &'static Metric, values: &[&str], counts: Counts) -> Self {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let labels: Box<[Box<str>]> = values.iter().map(|&value| value.into()).collect();
        // A deployment that is declared again while its last exchange still runs goes on writing
        // to the same series; two of the same name would make the whole exposition invalid.
        let name = (metric.name, labels.clone());
        if let Some(known) = all.get(&name).and_then(Weak::upgrade) {
            known.writers.fetch_add(1, Ordering::Relaxed);
            return Self(known);
        }
        let series = Arc::new(Series {
            metric,
            labels,
            counts,
            sum_ns: AtomicU64::new(0),
            writers: AtomicUsize::new(1),
        });
        all.insert(name, Arc::downgrade(&series));
        Self(series)
    }

    /// Records `ns` nanoseconds.
    pub fn record_ns(&self, ns: u64) {
        let count = match &self.0.counts {
            Counts::Shown(counts) => &counts[BOUNDS_NS.partition_point(|&bound| bound < ns)],
            Counts::Fine(counts) => &counts.get_or_init(none)[scale::slot_of(ns)],
        };
        // Relaxed: each is a figure by itself; a scrape may see the one without the other.
        count.fetch_add(1, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Says that one of those who made it writes to it no more. When none does, it is not shown any
    /// longer, though it may still be read.
    pub fn let_go(&self) {
        self.0.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// The sum of all samples. As long as it stands still, there was none.
    pub fn sum_ns(&self) -> u64 {
        self.0.sum_ns.load(Ordering::Relaxed)
    }

    /// Goes through the slots of the fine scale that hold samples, in order, with how many. A series
    /// that is not kept on it has none.
    pub fn slots(&self, mut each: impl FnMut(usize, u64)) {
        if let Counts::Fine(counts) = &self.0.counts
            && let Some(counts) = counts.get()
        {
            for (slot, count) in counts.iter().enumerate() {
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => each(slot, count),
                }
            }
        }
    }
}

/// Appends all histograms to an exposition, in the text format of Prometheus (version 0.0.4).
/// Series without a sample are left out.
pub fn render(out: &mut String) {
    let live: Vec<Arc<Series>> = {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, series| series.strong_count() > 0);
        let live = all.values().filter_map(Weak::upgrade);
        live.filter(|series| series.writers.load(Ordering::Relaxed) > 0)
            .collect()
    };
    for metric in table::ALL
        .iter()
        .filter(|metric| metric.kind == Kind::Histogram)
    {
        let mut told = false;
        for series in live
            .iter()
            .filter(|series| series.metric.name == metric.name)
        {
            // Writing to a string does not fail.
            if !std::mem::replace(&mut told, true) {
                let _ = writeln!(out, "# HELP {} {}", metric.name, metric.help);
                let _ = writeln!(out, "# TYPE {} histogram", metric.name);
            }
            series.render(out);
        }
    }
}

fn none() -> Box<[AtomicU64; SLOTS]> {
    Box::new([const { AtomicU64::new(0) }; SLOTS])
}

impl Counts {
    /// As they are shown.
    fn read(&self) -> [u64; BUCKETS + 1] {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        match self {
            Self::Shown(counts) => counts.each_ref().map(get),
            Self::Fine(counts) => match counts.get() {
                None => [0; BUCKETS + 1],
                Some(counts) => std::array::from_fn(|bucket| {
                    let cuts = &counts[bucket * CUTS..(bucket + 1) * CUTS];
                    cuts.iter().map(get).sum()
                }),
            },
        }
    }
}

impl Series {
    fn render(&self, out: &mut String) {
        let counts = self.counts.read();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let name = self.metric.name;
        let mut labels = String::new();
        for (label, value) in self.metric.labels.iter().zip(&self.labels) {
            // Declared names hold nothing to be escaped.
            let _ = write!(labels, "{label}=\"{value}\",");
        }
        let mut below = 0;
        for (count, bound) in counts.iter().zip(table::SECONDS_BUCKETS) {
            below += count;
            let _ = writeln!(out, "{name}_bucket{{{labels}le=\"{bound}\"}} {below}");
        }
        let _ = writeln!(out, "{name}_bucket{{{labels}le=\"+Inf\"}} {total}");
        let labels = match labels.strip_suffix(',') {
            Some(labels) => format!("{{{labels}}}"),
            None => String::new(),
        };
        let sum = self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        let _ = writeln!(out, "{name}_sum{labels} {sum}");
        let _ = writeln!(out, "{name}_count{labels} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rendering holds on to every series for a moment, also to one that another test lets go of.
    static TURN: Mutex<()> = Mutex::new(());

    fn lines(needle: &str) -> Vec<String> {
        let mut out = String::new();
        render(&mut out);
        let lines = out.lines().filter(|line| line.contains(needle));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn samples_fall_into_their_buckets() {
        fall_into_their_buckets(Seconds::new, "buckets");
        fall_into_their_buckets(Seconds::fine, "cuts");
    }

    fn fall_into_their_buckets(make: fn(&'static Metric, &[&str]) -> Seconds, name: &str) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = make(&table::OVERHEAD, &["p", name]);
        let lines = |quoted: String| lines(&quoted);
        let quoted = format!("\"{name}\"");
        assert!(lines(quoted.clone()).is_empty(), "nothing to tell yet");
        for ns in [1, 10_000, 10_001, 999_000_000_000] {
            seconds.record_ns(ns);
        }
        let lines = lines(quoted);
        let ends = |le: &str, count: u64| {
            let end = format!("le=\"{le}\"}} {count}");
            assert!(
                lines.iter().any(|line| line.ends_with(&end)),
                "{end}: {lines:#?}"
            );
        };
        ends("0.00001", 2);
        ends("0.000025", 3);
        ends("600", 3);
        ends("+Inf", 4);
        assert!(
            lines
                .iter()
                .any(|line| line.contains("_count{") && line.ends_with(" 4"))
        );
    }

    #[test]
    fn a_series_goes_with_its_last_writer_and_is_never_twice() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Seconds::new(&table::OVERHEAD, &["p", "twice"]);
        let second = Seconds::new(&table::OVERHEAD, &["p", "twice"]);
        first.record_ns(5);
        second.record_ns(5);
        let counts = |lines: Vec<String>| lines.iter().filter(|l| l.contains("_count")).count();
        assert_eq!(counts(lines("\"twice\"")), 1);
        first.let_go();
        assert_eq!(counts(lines("\"twice\"")), 1, "one still writes");
        second.let_go();
        assert_eq!(counts(lines("\"twice\"")), 0, "it is only read");
        let third = Seconds::new(&table::OVERHEAD, &["p", "twice"]);
        assert_eq!(counts(lines("\"twice\"")), 1, "it goes on where it was");
        drop((first, second, third));
        assert_eq!(counts(lines("\"twice\"")), 0);
    }
}
