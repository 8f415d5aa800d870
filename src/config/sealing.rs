//! The operator's key that seals copies of API keys.

use std::fmt;

use serde::{Serialize, Serializer};

/// 32 bytes that only the operator knows. Never shown.
#[derive(Clone, Copy)]
pub struct SealingKey([u8; 32]);

// === impl SealingKey ===

impl SealingKey {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// Words that don't repeat them.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        blake3::Hash::from_hex(text)
            .map(|bytes| Self(*bytes.as_bytes()))
            .map_err(
                |_| "a sealing key is 64 hexadecimal digits, such as openssl rand -hex 32 prints",
            )
    }

    /// The bytes, for the one place that seals and opens.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        // `blake3::Hash` compares in constant time.
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }
}

impl Eq for SealingKey {}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// As a setting: empty when there is none, stars when there is one.
pub(super) fn show<S: Serializer>(key: &Option<SealingKey>, out: S) -> Result<S::Ok, S::Error> {
    if key.is_some() { "***" } else { "" }.serialize(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealing_key_is_64_digits_and_hides() {
        let digits = "0123456789abcdefABCDEF0000000000".repeat(2);
        let key = SealingKey::parse(&digits).expect("a key");
        assert_eq!(key.expose()[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(format!("{key:?}"), "***");
        assert!(key != SealingKey::parse(&"ab".repeat(32)).expect("a key"));
        for bad in [
            "",
            "ab",
            &"g".repeat(64),
            &"+1".repeat(32),
            &"a".repeat(65),
            &"a".repeat(63),
        ] {
            assert!(SealingKey::parse(bad).is_err(), "{bad}");
        }
    }
}
