//! The challenger: a bounded, lossy mirror of what main is asked, and what its answers say of it.
//!
//! ```text
//! worker: mirror ──▶ Pair ──lossy──▶ comparison: compare ▶ verdict ▶ journal ──▶ admin, control
//! ```

pub mod adaptive;
pub mod compare;
pub mod comparison;
pub mod door;
pub mod findings;
pub mod journal;
pub mod mirror;
pub mod pair;
pub mod ticket;
pub mod verdict;
pub mod witness;
