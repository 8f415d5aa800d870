//! `[comparison]`: pairs of main's and challengers' answers.

use serde::Serialize;

use super::sections::integer;
use crate::spec::Reader;

/// Ten years, in hours.
const KEPT_H_MAX: u64 = 87_600;
/// Bytes of the file: less than 16 MiB has no room for what comes while the oldest goes.
const DISK_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=1 << 40;
/// Pairs that wait: each has a few hundred bytes beside its bodies.
const PENDING_PAIRS: std::ops::RangeInclusive<u64> = 1..=10_000_000;

/// `[comparison]`: pairs of main's and challengers' answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonSettings {
    /// How long pairs are kept, and verdicts whose evidence no longer grows; 0: not at all.
    pub kept_h: u64,
    /// Bytes of the file; beyond, the oldest pairs go.
    pub disk_bytes_max: u64,
    /// Pairs that wait to be compared; beyond, they are dropped and counted.
    pub pending_pairs_max: usize,
    /// Bytes of their bodies.
    pub pending_bytes_max: usize,
}

impl Default for ComparisonSettings {
    fn default() -> Self {
        Self {
            kept_h: 168,
            disk_bytes_max: 1 << 30,
            pending_pairs_max: 16_384,
            pending_bytes_max: 64 << 20,
        }
    }
}

pub(super) fn comparison(reader: &mut Reader<'_>, comparison: &mut ComparisonSettings) {
    integer(reader, "kept_h", 0..=KEPT_H_MAX, &mut comparison.kept_h);
    integer(
        reader,
        "disk_bytes_max",
        DISK_BYTES,
        &mut comparison.disk_bytes_max,
    );
    integer(
        reader,
        "pending_pairs_max",
        PENDING_PAIRS,
        &mut comparison.pending_pairs_max,
    );
    integer(
        reader,
        "pending_bytes_max",
        0..=1 << 40,
        &mut comparison.pending_bytes_max,
    );
}
