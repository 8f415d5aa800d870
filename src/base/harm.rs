//! What a client, a backend or a person wrote must not look like another line, move the cursor of a
//! terminal, or turn the direction of the text around it. Such characters are shown by their number:
//! `\u{1b}`.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Writes on with harmful characters shown by their number.
#[derive(Debug)]
pub struct Harmless<W>(pub W);

/// Control characters (C0, DEL, C1), what separates lines and paragraphs, what is not seen, and what
/// turns directions.
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text in one harmless line.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = Harmless(String::with_capacity(text.len() + 8));
    // Nothing fails that writes to a text.
    let _ = safe.write_str(text);
    Cow::Owned(safe.0)
}

/// JSON with the same meaning: what it lets stand as it is may still steer a terminal. Outside of strings
/// JSON has no controls but line feeds, and so what is escaped stands in a string.
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    let is_odd = |character| character != '\n' && is_harmful(character);
    if !json.contains(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if !is_odd(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Nothing fails that writes to a text.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    Cow::Owned(safe)
}

impl<W: Write> Write for Harmless<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_harmful) {
            let (before, from) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut characters = from.chars();
            if let Some(harmful) = characters.next() {
                write!(self.0, "{}", harmful.escape_unicode())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert!(matches!(harmless("plain – ü"), Cow::Borrowed("plain – ü")));
        assert_eq!(
            harmless("a\x1b[2Jb\n\u{202e}\u{9b}"),
            "a\\u{1b}[2Jb\\u{a}\\u{202e}\\u{9b}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_harmless_line(text in any::<String>()) {
            let safe = harmless(&text);
            prop_assert!(!safe.contains(is_harmful));
            let harmful = text.chars().filter(|&c| is_harmful(c)).count();
            prop_assert_eq!(safe.matches("\\u{").count(), harmful + text.matches("\\u{").count());
        }

        #[test]
        fn any_json_means_the_same_and_is_harmless(text in any::<String>(), odd in "[\u{7f}-\u{a0}\u{e0000}-\u{e007f}]{0,4}") {
            let value = serde_json::json!({"a": [text, odd]});
            for json in [value.to_string(), format!("{value:#}")] {
                let safe = harmless_json(&json);
                prop_assert!(!safe.replace('\n', "").contains(is_harmful));
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), value.clone());
            }
        }
    }
}
