//! What the comparators have found over all pairs of a challenger, kind by kind, in bounded memory:
//! some tens of KiB at the very most, whatever was compared and however often.
//!
//! ```text
//! Found ──by its detail──▶ status, exact   counts
//!                          label           Confusion: a table of labels        ┐
//!                          number          Spread: log-scaled signed buckets   │ each bounded,
//!                          tensor          sums, largest                       │ with what did not
//!                          text            buckets of a hundredth              │ fit counted
//!                          json            Places: where texts differ          ┘
//! ```
//!
//! It is kept as JSON beside the evidence, so it is read back with patience: members that are missing
//! or make no sense are as if nothing had been found, those that are not known are passed over.
//! Nothing in it is ever infinite or not a number: see [`LIMIT`].

mod confusion;
mod kinds;
mod places;
mod spread;
mod sum;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use confusion::{Confusion, LABEL_BYTES_MAX, LABELS_MAX};
pub use kinds::{Count, Json, Number, Tensor, Text};
pub use places::{PLACES_MAX, Places};
pub use spread::{BARS_MAX, Bar, Spread};
pub use sum::LIMIT;

use super::compare::{Detail, Found};

/// What was found, kind by kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    status: Count,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    unreadable: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    exact: Count,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    json: Json,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    label: Confusion,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    number: Number,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    tensor: Tensor,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "patiently")]
    text: Text,
}

/// What is as new is not written.
fn is_default<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

/// Reads a part; as new when it is not what it should be.
fn patiently<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

// === impl Findings ===

impl Findings {
    /// Takes what was found of a pair into account.
    pub fn add(&mut self, found: &Found) {
        let agrees = found.agrees;
        match &found.detail {
            Detail::Status => self.status.add(agrees),
            Detail::Unreadable => self.unreadable = self.unreadable.saturating_add(1),
            Detail::Exact { .. } => self.exact.add(agrees),
            Detail::Json {
                differences,
                places,
                max_abs,
                max_rel,
            } => self.json.add(*differences, places, *max_abs, *max_rel),
            Detail::Label { main, challenger } => self.label.add(main, challenger),
            Detail::Number { main, challenger } => {
                // Only what is infinite on both sides differs by what is not a number.
                if !self.number.add(challenger - main) {
                    self.unreadable = self.unreadable.saturating_add(1);
                }
            }
            Detail::Tensor {
                max_abs,
                mean_abs,
                mismatch,
                ..
            } => self.tensor.add(*max_abs, *mean_abs, mismatch.is_some()),
            Detail::Text { similarity, .. } => self.text.add(*similarity),
        }
    }

    /// Pairs of which the statuses decided; none without any, like all of these.
    pub fn status(&self) -> Option<&Count> {
        seen(&self.status)
    }

    /// Pairs of which the challenger's answer could not be read.
    pub fn unreadable(&self) -> Option<u64> {
        seen(&self.unreadable).copied()
    }

    /// Pairs compared byte by byte.
    pub fn exact(&self) -> Option<&Count> {
        seen(&self.exact)
    }

    /// Pairs compared as JSON.
    pub fn json(&self) -> Option<&Json> {
        seen(&self.json)
    }

    /// Pairs of labels.
    pub fn label(&self) -> Option<&Confusion> {
        seen(&self.label)
    }

    /// Pairs of numbers.
    pub fn number(&self) -> Option<&Number> {
        seen(&self.number)
    }

    /// Pairs of tensors.
    pub fn tensor(&self) -> Option<&Tensor> {
        seen(&self.tensor)
    }

    /// Pairs of texts.
    pub fn text(&self) -> Option<&Text> {
        seen(&self.text)
    }
}

/// A part, unless nothing was found by it.
fn seen<T: Default + PartialEq>(part: &T) -> Option<&T> {
    (!is_default(part)).then_some(part)
}
