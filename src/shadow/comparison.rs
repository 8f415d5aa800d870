//! The comparison: takes pairs from the workers, compares them, weighs what they say, and writes them
//! down. A thread of its own, with less right to the processor than those that answer clients.
//!
//! ```text
//! workers ──PairTeller──▶ channel ──▶ thread: compare ▶ Evidence, Findings ▶ judge ▶ journal
//!                                                              │
//!                             admin, control ◀── Standing ─────┘
//! ```

use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    shadow::{compare::Uncompared, findings::Findings, verdict::Judgement},
    snapshot::Skipped,
};

/// The comparison of all challengers.
#[derive(Debug, Default)]
pub struct Comparison {}

/// How a challenger stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The version whose challenger it is.
    pub version: VersionNumber,
    /// What follows from what was seen.
    pub judgement: Judgement,
    /// Since when its verdict is what it is.
    pub since_ms: Option<u64>,
    /// When the first pair was made.
    pub first_pair_at_ms: Option<u64>,
    /// When the last one was.
    pub last_pair_at_ms: Option<u64>,
    /// Pairs that agree.
    pub agree: u64,
    /// Pairs that do not.
    pub disagree: u64,
    /// Pairs that were not compared, in the order of [`Uncompared::ALL`].
    pub uncompared: [u64; Uncompared::ALL.len()],
    /// Requests without a pair, in the order of [`Skipped::ALL`].
    pub skipped: [u64; Skipped::ALL.len()],
    /// What the comparators found.
    pub findings: Findings,
}

// === impl Comparison ===

impl Comparison {
    /// How the challenger of a version stands; none when nothing was ever seen of it. Reads memory
    /// alone.
    pub fn standing(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
    ) -> Option<Standing> {
        let _ = (self, name, life, version);
        None
    }

    /// The newest version of which anything was seen, in this life of the name.
    pub fn newest(&self, name: &DeploymentName, life: u32) -> Option<VersionNumber> {
        let _ = (self, name, life);
        None
    }
}
