//! The id of an async request: when it was accepted, and 128 random bits.
//!
//! ```text
//! text   11 letters       22 letters          of [0-9A-Za-z]
//! is     Position         tag
//! ```
//!
//! The position finds the request without an index over ids; the tag makes the id a secret that
//! can't be guessed. Who knows a position and not its tag knows nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::draw;

/// A place in the order of acceptance: milliseconds since 1970 times 2^20, and a number within the
/// millisecond. Only grows, over restarts too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Position(u64);

/// An async request's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AsyncId {
    position: Position,
    tag: u128,
}

/// Bits of a position below its milliseconds.
const WITHIN_BITS: u32 = 20;

/// Letters of a position: the least that hold 63 bits.
const POSITION_LETTERS: usize = 11;

/// Letters of a tag: the least that hold 128 bits.
const TAG_LETTERS: usize = 22;

/// Letters of an id.
pub const LETTERS: usize = POSITION_LETTERS + TAG_LETTERS;

// === impl Position ===

impl Position {
    /// The first place of a moment.
    pub const fn at(unix_ms: u64) -> Self {
        Self((unix_ms << WITHIN_BITS) & (u64::MAX >> 1))
    }

    /// The place after this one, at this moment if that is later.
    #[must_use]
    pub fn next(self, unix_ms: u64) -> Self {
        Self((self.0 + 1).max(Self::at(unix_ms).0))
    }

    /// When it was given.
    pub const fn unix_ms(self) -> u64 {
        self.0 >> WITHIN_BITS
    }

    /// As a store keeps it.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From a store; none for what no position can be.
    pub const fn from_u64(number: u64) -> Option<Self> {
        if number > u64::MAX >> 1 {
            return None;
        }
        Some(Self(number))
    }
}

// === impl AsyncId ===

impl AsyncId {
    /// The id of a request at this place, with a tag from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn draw(position: Position) -> Result<Self, getrandom::Error> {
        let mut tag = [0; 16];
        getrandom::fill(&mut tag)?;
        Ok(Self::of(position, tag))
    }

    /// The id made of these.
    pub fn of(position: Position, tag: [u8; 16]) -> Self {
        let tag = u128::from_be_bytes(tag);
        Self { position, tag }
    }

    /// Its place.
    pub fn position(self) -> Position {
        self.position
    }

    /// Its random half.
    pub fn tag(self) -> [u8; 16] {
        self.tag.to_be_bytes()
    }

    /// Reads its text; none for anything that [`fmt::Display`] does not write.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != LETTERS {
            return None;
        }
        let (position, tag) = bytes.split_at(POSITION_LETTERS);
        let position = u64::try_from(draw::number(position)?).ok()?;
        Some(Self {
            position: Position::from_u64(position)?,
            tag: draw::number(tag)?,
        })
    }
}

impl fmt::Display for AsyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LETTERS];
        let (position, tag) = text.split_at_mut(POSITION_LETTERS);
        draw::write_number(u128::from(self.position.0), position);
        draw::write_number(self.tag, tag);
        // The alphabet is ASCII.
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for AsyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncId({self})")
    }
}

impl Serialize for AsyncId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AsyncId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not the id of an async request"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn positions_grow_whatever_the_clock_does() {
        let first = Position::at(1_790_000_000_000);
        let second = first.next(1_790_000_000_000);
        assert!(second > first && second.unix_ms() == first.unix_ms());
        let back = second.next(1_000);
        assert!(back > second);
        assert_eq!(
            back.next(1_790_000_000_001),
            Position::at(1_790_000_000_001)
        );
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let id = AsyncId::draw(Position::at(1)).expect("random").to_string();
        assert!(AsyncId::parse(&id).is_some());
        for bad in [
            String::new(),
            id.clone() + "0",
            "z".repeat(LETTERS),
            id.replacen('0', "-", 1),
        ] {
            assert_eq!(AsyncId::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(ms in 0u64..1 << 42, tag in any::<[u8; 16]>()) {
            let id = AsyncId::of(Position::at(ms).next(ms), tag);
            prop_assert_eq!(AsyncId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(id.tag(), tag);
        }

        #[test]
        fn any_text(text in "\\PC{0,40}|[0-9A-Za-z]{33}") {
            if let Some(id) = AsyncId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
