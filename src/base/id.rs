//! The ids that weir makes, each a type of its own.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::chance::{Chance, mix};

/// One exchange: a client's request with everything done for it, the challenger's copy included.
/// Internal: clients can't choose it, so a sample taken by it can't be steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeId(u128);

/// An API key's public id: what listings, logs and outcomes show instead of the key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

/// A backend's identity within this process; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub u64);

/// A snapshot's number. Only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct Epoch(pub u64);

/// A commit's number in the store. Only grows; a snapshot's epoch is that of the last commit in it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

/// A version's number within its deployment, from 1 up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VersionNumber(pub u32);

// === impl ExchangeId ===

impl ExchangeId {
    /// A new id with 128 random bits.
    pub fn draw(chance: &Chance) -> Self {
        Self(u128::from(chance.next_u64()) << 64 | u128::from(chance.next_u64()))
    }

    /// As bytes, to be kept.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From bytes that were kept.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Whether this exchange belongs to a sample of the given share, in 2^-64ths. Stable: the same
    /// id always gives the same answer, and a larger share contains every smaller one.
    pub fn sampled(self, share: SampleShare) -> bool {
        let hash = mix((self.0 >> 64) as u64 ^ mix(self.0 as u64));
        share.0 == u64::MAX || hash < share.0
    }
}

/// A share of all exchanges, `0.0..=1.0` turned into a threshold once, when a snapshot is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleShare(u64);

impl SampleShare {
    /// From a number between 0 and 1; what lies outside is clamped.
    pub fn new(share: f64) -> Self {
        if share >= 1.0 {
            Self(u64::MAX)
        } else {
            Self((share.max(0.0) * u64::MAX as f64) as u64)
        }
    }

    /// As a number that an atomic can keep.
    pub fn as_threshold(self) -> u64 {
        self.0
    }

    /// From a number that [`Self::as_threshold`] gave.
    pub fn from_threshold(threshold: u64) -> Self {
        Self(threshold)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

// === impl KeyId ===

impl KeyId {
    /// Wraps an id that was checked by whoever declares keys.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|id| Self::new(&id))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_stable_nested_and_of_the_right_size() {
        let chance = Chance::seeded(1);
        let (tenth, third, all, none) = (
            SampleShare::new(0.1),
            SampleShare::new(0.33),
            SampleShare::new(1.0),
            SampleShare::new(0.0),
        );
        let mut hits = 0;
        for _ in 0..10_000 {
            let id = ExchangeId::draw(&chance);
            hits += u32::from(id.sampled(tenth));
            assert!(!id.sampled(tenth) || id.sampled(third));
            assert!(id.sampled(all) && !id.sampled(none));
            assert_eq!(id.sampled(third), id.sampled(third));
        }
        assert!((900..1100).contains(&hits), "{hits}");
    }
}
