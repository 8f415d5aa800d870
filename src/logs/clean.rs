//! Text of others in a line that is kept: harmless, and short.

use std::borrow::Cow;

use crate::base::harm::is_harmful;

/// What stands behind a text that was cut.
const CUT: char = '…';

/// A text in one harmless line, of at most so many bytes (and a mark where it was cut).
pub(super) fn clean(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len().min(bytes_max) + CUT.len_utf8());
    for character in text.chars() {
        let before = cleaned.len();
        if is_harmful(character) {
            cleaned.extend(character.escape_unicode());
        } else {
            cleaned.push(character);
        }
        if cleaned.len() > bytes_max {
            // Not half of an escape.
            cleaned.truncate(before);
            cleaned.push(CUT);
            break;
        }
    }
    Cow::Owned(cleaned)
}

/// What holds for any text, for property tests: nothing harmful is left, and it is as short as said.
#[cfg(test)]
fn any_text_holds(text: &str, bytes_max: usize) {
    let cleaned = clean(text, bytes_max);
    assert!(!cleaned.chars().any(is_harmful), "{cleaned:?}");
    assert!(cleaned.len() <= bytes_max + CUT.len_utf8(), "{cleaned:?}");
    assert!(cleaned.lines().count() <= 1, "{cleaned:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_forge_is_shown_by_its_number() {
        for (text, shown) in [
            ("plain ünïcode 日本", "plain ünïcode 日本"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc\0", "a\\u{d}\\u{a}b\\u{9}c\\u{0}"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("\u{85}\u{9b}\u{7f}", "\\u{85}\\u{9b}\\u{7f}"),
            (
                "\u{2028}\u{2029}\u{feff}\u{200b}",
                "\\u{2028}\\u{2029}\\u{feff}\\u{200b}",
            ),
        ] {
            assert_eq!(clean(text, 512), shown);
        }
        assert!(matches!(clean("plain", 5), Cow::Borrowed("plain")));
        assert_eq!(clean("plainer", 5), "plain…");
        assert_eq!(clean("abc\u{1b}", 7), "abc…", "no half escape");
    }

    proptest! {
        #[test]
        fn any_text(text in any::<String>(), bytes_max in 0usize..64) {
            any_text_holds(&text, bytes_max);
        }
    }
}
