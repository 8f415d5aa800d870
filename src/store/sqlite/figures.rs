//! What the store tells about itself.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{batch::Stop, group::Ended};
use crate::telemetry::{seconds::Seconds, series, table};

/// Counts since it was opened, and the handles to the metrics.
pub(super) struct Figures {
    commits: AtomicU64,
    syncs: AtomicU64,
    commit: Seconds,
}

// === impl Figures ===

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            commit: Seconds::new(&table::STORE_COMMIT, &[]),
        }
    }

    /// A group has ended.
    pub(super) fn ended(&self, ended: &Ended, took_ns: u64) {
        let (mut ok, mut conflict, mut failed) = (0, 0, 0);
        for batch in &ended.batches {
            *match batch {
                Ok(()) => &mut ok,
                Err(Stop::Conflict { .. } | Stop::Fenced) => &mut conflict,
                Err(Stop::Store(_) | Stop::Sql(_)) => &mut failed,
            } += 1;
        }
        count("ok", ok);
        count("conflict", conflict);
        self.failed(failed);
        // Relaxed: figures, which order nothing.
        self.commits.fetch_add(ok, Ordering::Relaxed);
        if ended.synced {
            self.syncs.fetch_add(1, Ordering::Relaxed);
            series::count(&table::STORE_SYNCS, &[], 1);
            self.commit.record_ns(took_ns);
        }
    }

    /// So many batches were not written, through no fault of who asked.
    pub(super) fn failed(&self, batches: u64) {
        count("failed", batches);
    }

    /// Batches that were committed.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Groups that were synced.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

fn count(result: &str, batches: u64) {
    if batches > 0 {
        series::count(&table::STORE_COMMITS, &[result], batches);
    }
}

/// Sets the gauges, which are forgotten unless this is called regularly.
pub(super) fn refresh(file: &Path, available: bool) {
    series::gauge(&table::STORE_AVAILABLE, &[]).set(f64::from(u8::from(available)));
    // By name: opening and closing the file would drop the locks that SQLite has on it.
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = size(file) + size(&file.with_extension("db-wal"));
    series::gauge(&table::STORE_BYTES, &[]).set(bytes as f64);
}
