//! Tokens of the admin plane as settings.

use std::fmt;

use serde::{Serialize, Serializer};

/// The longest token, in bytes: what fits into a header with room to spare.
const TOKEN_BYTES_MAX: usize = 512;

/// A token that callers have to present; empty when none is set. Never shown.
#[derive(Clone, Default)]
pub struct Token(Box<str>);

// === impl Token ===

impl Token {
    /// Checks that it can be presented in a header: visible ASCII, 512 bytes at most. May be empty.
    ///
    /// # Errors
    /// Words that say so and don't repeat it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err("a token is up to 512 visible ASCII characters")
        }
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token itself, for the few places that hand it to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this token, in a time that tells nothing about it. An empty token is
    /// nobody's: nothing matches it.
    pub fn matches(&self, presented: &[u8]) -> bool {
        !self.is_empty() && blake3::hash(self.0.as_bytes()) == blake3::hash(presented)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        // `blake3::Hash` compares in constant time.
        blake3::hash(self.0.as_bytes()) == blake3::hash(other.0.as_bytes())
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { "***" })
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_hides_and_matches_only_itself() {
        let token = Token::parse("hunter2").expect("visible");
        assert_eq!(format!("{token:?}"), "***");
        assert_eq!(serde_json::json!(token), "***");
        assert!(token.matches(b"hunter2"));
        assert!(!token.matches(b"hunter") && !token.matches(b"hunter22") && !token.matches(b""));
        assert!(!Token::default().matches(b""));
        for bad in ["a b", "é", "a\n", &"a".repeat(513)] {
            assert!(Token::parse(bad).is_err(), "{bad}");
        }
    }
}
