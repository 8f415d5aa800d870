//! `[overload]`: what happens when weir itself is short of memory.

use serde::Serialize;

use super::sections::integer;
use crate::spec::Reader;

/// `[overload]`: what happens when weir itself is short of memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverloadSettings {
    /// Bytes in memory from which on work is shed; 0: 80 % of what there may be.
    pub memory_high_bytes: u64,
    /// How often that is looked at.
    pub memory_check_ms: u64,
}

impl Default for OverloadSettings {
    fn default() -> Self {
        Self {
            memory_high_bytes: 0,
            memory_check_ms: 100,
        }
    }
}

pub(super) fn overload(reader: &mut Reader<'_>, overload: &mut OverloadSettings) {
    let high = &mut overload.memory_high_bytes;
    integer(reader, "memory_high_bytes", 0..=1 << 50, high);
    let every = &mut overload.memory_check_ms;
    integer(reader, "memory_check_ms", 1..=60_000, every);
}
