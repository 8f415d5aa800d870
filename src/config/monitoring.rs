//! `[monitoring]`: what each deployment did, step by step.

use serde::Serialize;

use super::sections::integer;
use crate::spec::Reader;

/// Ten years, in hours.
const KEPT_H_MAX: u64 = 87_600;
/// Bytes of the file: less than 8 MiB has no room for a chunk of every deployment.
const DISK_BYTES: std::ops::RangeInclusive<u64> = 8 << 20..=1 << 40;

/// `[monitoring]`: what each deployment did, step by step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitoringSettings {
    /// How long steps of 10 s are kept; 0: not at all.
    pub step_10s_kept_h: u64,
    /// How long steps of 1 min are kept.
    pub step_1m_kept_h: u64,
    /// How long steps of 10 min are kept.
    pub step_10m_kept_h: u64,
    /// Bytes of the file; beyond, the oldest steps go.
    pub disk_bytes_max: u64,
}

impl Default for MonitoringSettings {
    fn default() -> Self {
        Self {
            step_10s_kept_h: 72,
            step_1m_kept_h: 336,
            step_10m_kept_h: 2_160,
            disk_bytes_max: 2 << 30,
        }
    }
}

pub(super) fn monitoring(reader: &mut Reader<'_>, monitoring: &mut MonitoringSettings) {
    let hours = || 0..=KEPT_H_MAX;
    let (ten, minute) = (
        &mut monitoring.step_10s_kept_h,
        &mut monitoring.step_1m_kept_h,
    );
    integer(reader, "step_10s_kept_h", hours(), ten);
    integer(reader, "step_1m_kept_h", hours(), minute);
    integer(
        reader,
        "step_10m_kept_h",
        hours(),
        &mut monitoring.step_10m_kept_h,
    );
    integer(
        reader,
        "disk_bytes_max",
        DISK_BYTES,
        &mut monitoring.disk_bytes_max,
    );
}
