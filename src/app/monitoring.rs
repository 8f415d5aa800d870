//! The monitoring series: opened before anything is counted, run beside the data plane, and written
//! down when the last exchange has ended.

use std::sync::Arc;

use crate::{
    base::clock::unix_ms,
    config::Settings,
    monitor::{Monitor, MonitorOptions},
};

/// The file's name in the data directory.
const FILE: &str = "monitoring.db";
/// Seconds of an hour.
const HOUR_S: u64 = 3_600;

/// Opens the series of the data directory.
pub(super) fn open(settings: &Settings) -> Arc<Monitor> {
    let path = settings.data_dir.join(FILE);
    Arc::new(Monitor::open(&path, options(settings), unix_ms()))
}

fn options(settings: &Settings) -> MonitorOptions {
    let monitoring = &settings.monitoring;
    let kept_h = [
        monitoring.step_10s_kept_h,
        monitoring.step_1m_kept_h,
        monitoring.step_10m_kept_h,
    ];
    MonitorOptions {
        kept_s: kept_h.map(|hours| hours * HOUR_S),
        disk_bytes_max: monitoring.disk_bytes_max,
    }
}
