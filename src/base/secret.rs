//! API keys as secrets: what a key may look like, and the digest that stands for it everywhere.

use std::{cell::RefCell, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::id::KeyId;

/// The shortest and the longest key, in bytes (design: any 16 to 512 visible ASCII characters).
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// blake3 of a whole key. All that weir keeps of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

/// A text that stands for a key but can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormError {
    /// Too short, too long, or with a character that is not visible ASCII.
    #[error("a key is 16 to 512 visible ASCII characters")]
    Secret,
    /// Not 64 hexadecimal digits.
    #[error("a digest is the key's blake3 hash in 64 hexadecimal digits")]
    Digest,
}

impl KeyDigest {
    /// The digest of a presented or declared key.
    ///
    /// # Errors
    /// [`KeyFormError::Secret`] when the bytes can't be a key.
    pub fn of_key(key: &[u8]) -> Result<Self, KeyFormError> {
        if KEY_BYTES.contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) {
            Ok(Self(*blake3::hash(key).as_bytes()))
        } else {
            Err(KeyFormError::Secret)
        }
    }

    /// From its hexadecimal form.
    ///
    /// # Errors
    /// [`KeyFormError::Digest`] when it is anything but 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyFormError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| KeyFormError::Digest)
    }

    /// Its hexadecimal form.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// From the digest's bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes. They are uniformly distributed, so tables may use them as their hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public id of a key that brought none of its own: a prefix of its digest, which tells
    /// nothing about the key.
    pub fn to_key_id(self) -> KeyId {
        let hex = blake3::Hash::from_bytes(self.0).to_hex();
        KeyId::new(&format!("d{}", &hex[..16]))
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_hex(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Remembers the digest of the key that was presented last: a connection nearly always presents the
/// same one, and comparing it costs a thirtieth of the digest.
#[derive(Default)]
pub struct DigestMemo(RefCell<(Vec<u8>, Option<KeyDigest>)>);

impl DigestMemo {
    /// The digest of a presented key, like [`KeyDigest::of_key`].
    ///
    /// # Errors
    /// [`KeyFormError::Secret`] when the bytes can't be a key.
    pub fn digest_of(&self, key: &[u8]) -> Result<KeyDigest, KeyFormError> {
        let (known, last) = &mut *self.0.borrow_mut();
        match last {
            Some(digest) if known == key => Ok(*digest),
            _ => {
                let digest = KeyDigest::of_key(key)?;
                // The buffer is kept: a proxy in front may present another key each time.
                known.clear();
                known.extend_from_slice(key);
                *last = Some(digest);
                Ok(digest)
            }
        }
    }
}

impl fmt::Debug for DigestMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestMemo(***)")
    }
}

/// How it is told that a key was given in place of its public id.
pub const IS_A_KEY: &str = "that is a key itself";

/// The public id inside a key of weir's own form, `wk_{id}_{secret}` with parts of `[0-9a-zA-Z]`
/// and at least 32 characters of secret.
pub fn id_within(key: &str) -> Option<KeyId> {
    let (id, secret) = key.strip_prefix("wk_")?.split_once('_')?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(id) && plain(secret) && secret.len() >= 32).then(|| KeyId::new(id))
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_forms() {
        for good in ["0123456789abcdef", &"~".repeat(512), "wk_a_b!\"#$%&'()*+"] {
            assert!(KeyDigest::of_key(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "short",
            "0123456789abcde",
            "with a space inside",
            "tab\tinside 012345",
        ] {
            assert!(KeyDigest::of_key(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(KeyDigest::of_key("~".repeat(513).as_bytes()).is_err());
    }

    #[test]
    fn only_keys_of_our_own_form_carry_an_id() {
        let secret = "s".repeat(32);
        assert_eq!(
            id_within(&format!("wk_k7_{secret}")),
            Some(KeyId::new("k7"))
        );
        for other in [
            format!("wk__{secret}"),
            format!("sk_k7_{secret}"),
            "wk_k7_short".into(),
            format!("wk_k7_{secret}_more"),
        ] {
            assert_eq!(id_within(&other), None, "{other}");
        }
    }

    #[test]
    fn a_memo_gives_each_key_its_own_digest() {
        let memo = DigestMemo::default();
        for key in [
            "0123456789abcdef",
            "0123456789abcdef",
            "0123456789abcdeg",
            "short",
        ] {
            let own = KeyDigest::of_key(key.as_bytes());
            assert_eq!(memo.digest_of(key.as_bytes()), own, "{key}");
        }
        assert_eq!(format!("{memo:?}"), "DigestMemo(***)");
    }

    #[test]
    fn a_digest_survives_hex_and_hides_in_debug() {
        let digest = KeyDigest::of_key(b"0123456789abcdef").expect("a key");
        let hex = blake3::Hash::from_bytes(*digest.as_bytes()).to_hex();
        assert_eq!(KeyDigest::from_hex(&hex), Ok(digest));
        assert_eq!(format!("{digest:?}"), "KeyDigest(***)");
        assert!(KeyDigest::from_hex("xyz").is_err());
    }
}
