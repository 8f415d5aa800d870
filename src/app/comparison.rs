//! The comparison of challengers: opened before anything is copied, run beside the data plane, and
//! written down when the last exchange has ended.

use std::sync::Arc;

use crate::{
    config::Settings,
    shadow::{comparison::Comparison, door::DoorOptions, journal::JournalOptions},
    snapshot::Current,
};

/// The file's name in the data directory.
const FILE: &str = "comparison.db";
/// Seconds of an hour.
const HOUR_S: u64 = 3_600;

/// Opens the pairs of the data directory.
pub(super) fn open(settings: &Settings, current: &Arc<Current>) -> Arc<Comparison> {
    let comparison = &settings.comparison;
    let journal = JournalOptions {
        kept_s: comparison.kept_h * HOUR_S,
        disk_bytes_max: comparison.disk_bytes_max,
    };
    let way = DoorOptions {
        pairs_max: comparison.pending_pairs_max as u64,
        bytes_max: comparison.pending_bytes_max as u64,
    };
    let path = settings.data_dir.join(FILE);
    Arc::new(Comparison::open(&path, journal, way, Arc::clone(current)))
}
