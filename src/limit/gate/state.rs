//! The two halves of a gate's state: who waits, and turns taken.

/// One more who waits.
pub(super) const ONE_WAITS: u64 = 1 << 32;

/// How many wait.
pub(super) fn waiting(state: u64) -> u32 {
    (state >> 32) as u32
}

/// How many turns are taken.
pub(super) fn taken(state: u64) -> u32 {
    state as u32
}
