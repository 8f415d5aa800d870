//! Places in JSON, as RFC 6901 writes them.

use std::fmt;

use serde::{Serialize, Serializer};

/// A place in a JSON text: `/outputs/0/data`. The empty pointer is the whole text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct JsonPointer(Vec<String>);

/// Why a text is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonPointerError {
    /// It does not begin with a slash.
    #[error(
        "is no JSON pointer: one is empty or starts with /, such as /outputs/0/data (RFC 6901)"
    )]
    Start,
    /// A tilde that is no escape.
    #[error("is no JSON pointer: a ~ in one is written ~0, and a / within a name ~1 (RFC 6901)")]
    Escape,
    /// It is too long.
    #[error("is no JSON pointer: one has 1024 bytes and 64 steps at most")]
    Length,
}

/// The longest pointer, in bytes.
const BYTES_MAX: usize = 1_024;
/// The most steps of a pointer.
const STEPS_MAX: usize = 64;

// === impl JsonPointer ===

impl JsonPointer {
    /// Parses a pointer.
    ///
    /// # Errors
    /// [`JsonPointerError`].
    pub fn parse(text: &str) -> Result<Self, JsonPointerError> {
        if text.len() > BYTES_MAX {
            return Err(JsonPointerError::Length);
        }
        let Some(steps) = text.strip_prefix('/') else {
            return match text {
                "" => Ok(Self::default()),
                _ => Err(JsonPointerError::Start),
            };
        };
        let steps: Vec<_> = steps.split('/').map(unescape).collect::<Result<_, _>>()?;
        if steps.len() > STEPS_MAX {
            return Err(JsonPointerError::Length);
        }
        Ok(Self(steps))
    }

    /// Its steps, unescaped: names of members, or indices of items.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// Appends a step to the text of a pointer.
    pub fn push(text: &mut String, step: &str) {
        text.push('/');
        for c in step.chars() {
            match c {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                c => text.push(c),
            }
        }
    }
}

fn unescape(step: &str) -> Result<String, JsonPointerError> {
    let mut plain = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(JsonPointerError::Escape),
            },
            c => c,
        });
    }
    Ok(plain)
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.iter().for_each(|step| Self::push(&mut text, step));
        f.write_str(&text)
    }
}

impl fmt::Debug for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for JsonPointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_of_the_rfc() {
        for text in ["", "/", "/foo/0", "/a~1b", "/m~0n", "/ ", "/*/id", "//"] {
            let pointer = JsonPointer::parse(text).expect(text);
            assert_eq!(pointer.to_string(), text);
        }
        assert_eq!(JsonPointer::parse("/a~1b").expect("one").steps(), ["a/b"]);
        for (text, error) in [
            ("a", JsonPointerError::Start),
            ("/a~", JsonPointerError::Escape),
            ("/a~2", JsonPointerError::Escape),
            (
                &format!("/{}", "a".repeat(BYTES_MAX)),
                JsonPointerError::Length,
            ),
            (&"/".repeat(65), JsonPointerError::Length),
        ] {
            assert_eq!(JsonPointer::parse(text), Err(error), "{text}");
        }
    }
}
