//! Sealed copies of API keys, for teams that must read a key again. Off unless the operator gives a
//! sealing key, which is theirs to keep: without it, what is stored tells nothing.

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::base::secret::KeyDigest;

/// Bytes of a nonce. At 192 bits, drawn nonces do not meet (draft-irtf-cfrg-xchacha).
const NONCE_BYTES: usize = 24;

/// Seals and opens copies with XChaCha20-Poly1305.
pub struct Sealer(XChaCha20Poly1305);

/// A copy that can't be opened: sealed with another key, or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed copy can't be opened: it was sealed with another sealing_key, or damaged")]
pub(super) struct SealError;

// === impl Sealer ===

impl Sealer {
    /// Seals with this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(*key)))
    }

    /// A sealed copy of a key, in hexadecimal. It is bound to the key's digest, so that a copy put
    /// beside another key does not open.
    pub(super) fn seal(&self, digest: &KeyDigest, secret: &str) -> Result<String, SealError> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError)?;
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: digest.as_bytes(),
        };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError)?;
        Ok(to_hex(nonce.iter().chain(&sealed)))
    }

    /// Opens a sealed copy.
    pub(super) fn open(&self, digest: &KeyDigest, sealed: &str) -> Result<String, SealError> {
        let bytes = from_hex(sealed).ok_or(SealError)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(SealError)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SealError)?;
        let payload = Payload {
            msg: sealed,
            aad: digest.as_bytes(),
        };
        let secret = self
            .0
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError)?;
        String::from_utf8(secret).map_err(|_| SealError)
    }
}

fn to_hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_a_copy_and_only_beside_its_own_digest() {
        let digest = |key: &str| KeyDigest::of_key(key.as_bytes()).expect("a key");
        let (secret, own) = ("a-secret-of-16-and-more", digest("a-secret-of-16-and-more"));
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(&own, secret).expect("sealed");
        assert!(!sealed.contains(secret));
        assert_ne!(sealed, sealer.seal(&own, secret).expect("sealed"));
        assert_eq!(sealer.open(&own, &sealed).as_deref(), Ok(secret));
        assert!(sealer.open(&digest("another-secret-16"), &sealed).is_err());
        assert!(Sealer::new(&[8; 32]).open(&own, &sealed).is_err());
        for bad in [
            "",
            "00",
            "zz",
            "é",
            &sealed[2..],
            &sealed[..sealed.len() - 2],
        ] {
            assert!(sealer.open(&own, bad).is_err(), "{bad}");
        }
    }
}
