//! What the comparators have found over all pairs of a challenger, kind by kind, in bounded memory.

use serde::{Deserialize, Serialize};

use super::compare::Found;

/// What was found, kind by kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Findings {}

// === impl Findings ===

impl Findings {
    /// Takes what was found of a pair into account.
    pub fn add(&mut self, found: &Found) {
        let _ = (&self, found);
    }
}
