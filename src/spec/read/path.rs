//! The paths that people declare for backends.

/// The longest declared path, in bytes; far below what a request line may carry.
const PATH_BYTES_MAX: usize = 1_024;

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error("a path starts with a single /")]
    Start,
    #[error("a path has 1024 bytes at most")]
    Length,
    #[error("a path has no query and no fragment")]
    Extra,
    #[error(
        "a path holds only letters, digits, / and -._~!$&'()*+,;=:@; write others as % and two \
         hexadecimal digits"
    )]
    Character,
    #[error("a path has no . or .. segments")]
    Dots,
    #[error("is empty; write tails = \"any\" to forward every tail")]
    EmptyPrefix,
    #[error("ends with more than one /")]
    End,
}

/// Checks a path such as `/v1/predict`.
pub(super) fn path(text: &str) -> Result<String, PathError> {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err(PathError::Start);
    }
    plain(text)?;
    Ok(text.to_owned())
}

/// Checks the prefix of a tail; returns it without the `/` that may stand around it.
pub(super) fn tail_prefix(text: &str) -> Result<String, PathError> {
    let bare = text.strip_prefix('/').unwrap_or(text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.is_empty() {
        return Err(PathError::EmptyPrefix);
    }
    if bare.starts_with('/') {
        return Err(PathError::Start);
    }
    // What is kept is read again from where it is stored, and must stay what it is.
    if bare.ends_with('/') {
        return Err(PathError::End);
    }
    plain(bare)?;
    Ok(bare.to_owned())
}

/// Checks what any path has to keep to, wherever it begins.
pub(super) fn plain(text: &str) -> Result<(), PathError> {
    if text.len() > PATH_BYTES_MAX {
        return Err(PathError::Length);
    }
    if text.contains(['?', '#']) {
        return Err(PathError::Extra);
    }
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match (byte, behind) {
            (b'%', [a, b, behind @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => behind,
            (b'/', _) => behind,
            (byte, _) if is_segment_byte(byte) => behind,
            _ => return Err(PathError::Character),
        };
    }
    // Some server on the way will take the encoded dot for a dot.
    let dots = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
    if text.to_ascii_lowercase().split('/').any(dots) {
        return Err(PathError::Dots);
    }
    Ok(())
}

/// `pchar` of RFC 3986 without the percent sign.
fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        use PathError::{Character, Dots, Extra, Length, Start};
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for (text, expected) in [
            ("/", Ok(())),
            ("/predict", Ok(())),
            ("/v1/models/iris:predict/", Ok(())),
            ("/a%20b/..c/.d", Ok(())),
            ("/a//b", Ok(())),
            ("", Err(Start)),
            ("predict", Err(Start)),
            ("http://m/predict", Err(Start)),
            ("//evil/predict", Err(Start)),
            ("/a?b=c", Err(Extra)),
            ("/a#b", Err(Extra)),
            ("/a b", Err(Character)),
            ("/a\r\nX: y", Err(Character)),
            ("/a\0", Err(Character)),
            ("/é", Err(Character)),
            ("/a\\b", Err(Character)),
            ("/{id}", Err(Character)),
            ("/100%", Err(Character)),
            ("/%2", Err(Character)),
            ("/%zz", Err(Character)),
            ("/a/../b", Err(Dots)),
            ("/.", Err(Dots)),
            ("/%2e%2E/b", Err(Dots)),
            ("/.%2e", Err(Dots)),
            (&long, Err(Length)),
        ] {
            let expected = expected.map(|()| text.to_owned());
            assert_eq!(path(text), expected, "{text}");
        }
    }

    #[test]
    fn prefixes_of_tails() {
        for (text, expected) in [
            ("v1", Ok("v1")),
            ("/v1/models/", Ok("v1/models")),
            ("", Err(PathError::EmptyPrefix)),
            ("/", Err(PathError::EmptyPrefix)),
            ("//", Err(PathError::EmptyPrefix)),
            ("//a", Err(PathError::Start)),
            ("a//", Err(PathError::End)),
            ("a//b/", Ok("a//b")),
            ("a/../b", Err(PathError::Dots)),
            ("a?b", Err(PathError::Extra)),
        ] {
            assert_eq!(tail_prefix(text), expected.map(str::to_owned), "{text}");
        }
    }
}
