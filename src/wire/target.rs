//! One normalised path decides authorisation, routing and the upstream request alike.
//!
//! ```text
//! raw path ──normalise──▶ path ──Target::parse──▶ operation, deployment, tail
//! ```
//!
//! What different servers read differently is refused rather than repaired: dot segments (plain
//! or encoded, with or without `;` parameters), empty segments, encoded slashes and backslashes,
//! raw backslashes, control characters, broken escapes, and escapes that are not UTF-8. What is
//! left is unambiguous; escapes of unreserved characters are decoded and all others upper-cased
//! (RFC 3986 section 6.2.2), so that two spellings of one path are one path.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::base::name::DeploymentName;

/// Which of a deployment's two URLs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// `/predict/...`
    Predict,
    /// `/stream/...`
    Stream,
}

/// A path that names a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Which of its URLs.
    pub operation: Operation,
    /// `{project}/{deployment}`, as the route table knows it.
    pub name: &'a str,
    /// The project's half.
    pub project: &'a str,
    /// The deployment's half.
    pub deployment: &'a str,
    /// What stands behind, without its leading `/`; empty for none.
    pub tail: &'a str,
}

/// A path that different servers read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path is ambiguous or malformed")]
pub struct Malformed;

/// The path in its one normal form. Borrows when it had that form already.
///
/// # Errors
/// [`Malformed`] for what this module's page lists.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Malformed> {
    let bytes = path.as_bytes();
    let (mut escaped, mut suspicious, mut before) = (false, false, 0);
    for &byte in bytes {
        match byte {
            b'%' => escaped = true,
            b'\\' | 0..=0x20 | 0x7f.. => return Err(Malformed),
            // Nearly no path holds "/." or "//"; only those are looked at more closely.
            b'.' | b'/' => suspicious |= before == b'/',
            _ => {}
        }
        before = byte;
    }
    if !escaped {
        if suspicious || bytes.first() != Some(&b'/') {
            check_segments(path)?;
        }
        return Ok(Cow::Borrowed(path));
    }
    let path = unescape(bytes)?;
    check_segments(&path)?;
    Ok(Cow::Owned(path))
}

fn unescape(bytes: &[u8]) -> Result<String, Malformed> {
    let mut plain = String::with_capacity(bytes.len());
    // What the escapes stand for; only looked at as a whole, for being UTF-8.
    let mut meant = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        if byte != b'%' {
            plain.push(char::from(byte));
            meant.push(byte);
            rest = behind;
            continue;
        }
        let &[high, low, ref behind @ ..] = behind else {
            return Err(Malformed);
        };
        let digit = |b: u8| char::from(b).to_digit(16).ok_or(Malformed);
        let byte = (digit(high)? * 16 + digit(low)?) as u8;
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(Malformed),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                plain.push(char::from(byte));
            }
            _ => {
                plain.push('%');
                plain.push(char::from(high.to_ascii_uppercase()));
                plain.push(char::from(low.to_ascii_uppercase()));
            }
        }
        meant.push(byte);
        rest = behind;
    }
    // Overlong forms are not UTF-8, so this refuses them too.
    std::str::from_utf8(&meant).map_err(|_| Malformed)?;
    Ok(plain)
}

fn check_segments(path: &str) -> Result<(), Malformed> {
    let Some(segments) = path.strip_prefix('/') else {
        return Err(Malformed);
    };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        // Some servers cut `;parameters` off before they look for dot segments.
        let name = segment.split(';').next().unwrap_or(segment);
        let empty = segment.is_empty() && segments.peek().is_some();
        if empty || name == "." || name == ".." {
            return Err(Malformed);
        }
    }
    Ok(())
}

impl Operation {
    /// The normal form of the path that calls a deployment so, with a tail or none behind its name.
    pub fn path(self, name: &DeploymentName, tail: &str) -> Box<str> {
        let operation = match self {
            Self::Predict => "predict",
            Self::Stream => "stream",
        };
        let slash = if tail.is_empty() { "" } else { "/" };
        format!("/{operation}/{}{slash}{tail}", name.as_str()).into()
    }
}

impl<'a> Target<'a> {
    /// Reads a normalised path; none when it is neither a predict nor a stream path.
    pub fn parse(path: &'a str) -> Option<Self> {
        let (operation, name) = if let Some(name) = path.strip_prefix("/predict/") {
            (Operation::Predict, name)
        } else {
            (Operation::Stream, path.strip_prefix("/stream/")?)
        };
        // Byte by byte: names are too short for a search to pay.
        let slash = |from: usize| {
            let rest = name.as_bytes().get(from..)?;
            Some(from + rest.iter().position(|&byte| byte == b'/')?)
        };
        let first = slash(0)?;
        let second = slash(first + 1);
        let (project, deployment) = (
            &name[..first],
            &name[first + 1..second.unwrap_or(name.len())],
        );
        let tail = second.map_or("", |second| &name[second + 1..]);
        if project.is_empty() || deployment.is_empty() {
            return None;
        }
        Some(Self {
            operation,
            name: &name[..project.len() + 1 + deployment.len()],
            project,
            deployment,
            tail,
        })
    }
}

/// What holds for any path, for fuzzing and property tests: it is refused, or has a normal form
/// that is its own normal form and that no two servers read differently.
#[cfg(any(test, fuzzing))]
pub fn any_path_holds(raw: &str) {
    let Ok(path) = normalise(raw) else { return };
    assert_eq!(normalise(&path), Ok(Cow::Borrowed(&*path)), "of {raw:?}");
    assert!(raw.contains('%') || *path == *raw);
    assert!(path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
    let segments: Vec<_> = path.split('/').collect();
    assert!(segments.len() > 1 && segments[0].is_empty(), "{path:?}");
    for segment in &segments[1..] {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(!matches!(name, "." | ".."), "{path:?}");
    }
    let inner = &segments[1..segments.len() - 1];
    assert!(inner.iter().all(|segment| !segment.is_empty()), "{path:?}");
    // What is still escaped has one spelling, and is nothing that would change the segments.
    for escape in path.split('%').skip(1) {
        let digits = escape.get(..2).unwrap_or_default();
        let byte = u8::from_str_radix(digits, 16).unwrap_or(0);
        assert_eq!(format!("{byte:02X}"), digits, "{path:?}");
        assert!(byte >= b' ' && !matches!(byte, b'/' | b'\\' | 0x7f));
        assert!(!byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte));
    }
    let Some(target) = Target::parse(&path) else {
        return;
    };
    let Target { name, tail, .. } = target;
    assert_eq!(name, format!("{}/{}", target.project, target.deployment));
    assert!(!target.project.contains('/') && !target.deployment.contains('/'));
    let behind = path[1..].split_once('/');
    let behind = behind.map(|(_, rest)| rest.trim_end_matches('/'));
    let told = format!("{name}/{tail}");
    assert_eq!(behind, Some(told.trim_end_matches('/')), "{path:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_every_spelling() {
        for (raw, normal) in [
            ("/predict/demo/iris", "/predict/demo/iris"),
            ("/predict/demo/%69ris", "/predict/demo/iris"),
            ("/predict/demo/iris/a%2db", "/predict/demo/iris/a-b"),
            (
                "/predict/demo/iris/%e2%82%ac",
                "/predict/demo/iris/%E2%82%AC",
            ),
            (
                "/predict/demo/iris/a%3fb%23c",
                "/predict/demo/iris/a%3Fb%23c",
            ),
            ("/predict/demo/iris/", "/predict/demo/iris/"),
            (
                "/predict/demo/iris/.well-known",
                "/predict/demo/iris/.well-known",
            ),
            ("/predict/demo/iris/a..b/...", "/predict/demo/iris/a..b/..."),
            (
                "/predict/demo/iris/%252e%252e",
                "/predict/demo/iris/%252e%252e",
            ),
            ("/a;b/c", "/a;b/c"),
        ] {
            assert_eq!(normalise(raw).as_deref(), Ok(normal), "{raw}");
        }
    }

    #[test]
    fn what_is_read_differently_is_refused() {
        for raw in [
            "",
            "predict",
            "*",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/a/.",
            "/a/%2e%2e/b",
            "/a/.%2E",
            "/a/..;x/b",
            "/a/.;/b",
            "//a",
            "/a//b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%c0%af",
            "/a%ff",
            "/a%e2%82",
            "/a b",
            "/é",
        ] {
            assert_eq!(normalise(raw), Err(Malformed), "{raw}");
        }
    }

    #[test]
    fn targets() {
        let target = Target::parse("/stream/demo/text/v1/x").expect("names a deployment");
        assert_eq!(
            (
                target.operation,
                target.name,
                target.project,
                target.deployment,
                target.tail
            ),
            (Operation::Stream, "demo/text", "demo", "text", "v1/x")
        );
        for (path, tail) in [
            ("/predict/a/b", ""),
            ("/predict/a/b/", ""),
            ("/predict/a/b/c/", "c/"),
        ] {
            assert_eq!(Target::parse(path).map(|t| t.tail), Some(tail), "{path}");
        }
        for path in [
            "/",
            "/predict",
            "/predict/",
            "/predict/a",
            "/predict/a/",
            "/other/a/b",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path(text in any::<String>(), pieces in prop::collection::vec(PIECES, 0..12)) {
            any_path_holds(&text);
            any_path_holds(&pieces.concat());
        }
    }

    /// What paths are made of, and what they are attacked with.
    const PIECES: &str =
        "/|/predict|/stream|/demo|a|[.]|;|;x|%2[eEfF5]|%5[cC]|%[0-9a-fA-F]{2}|%e2%82%ac|[ -~]";
}
