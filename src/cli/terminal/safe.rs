//! Text of others, made safe for a terminal.

use std::borrow::Cow;

/// A text with its control characters, and those that turn the direction of others, written out as
/// `\u{1b}`: a description must not be able to move somebody's cursor.
pub(in crate::cli) fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_odd(char) {
            safe.extend(char.escape_unicode());
        } else {
            safe.push(char);
        }
    }
    Cow::Owned(safe)
}

fn is_odd(char: char) -> bool {
    char.is_control()
        // Unicode's bidirectional controls (UAX #9) and line separators.
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(safe("plain – ü"), "plain – ü");
        assert_eq!(safe("a\x1b[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\u{a}\\u{202e}");
    }
}
