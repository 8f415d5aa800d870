//! Values as TOML that people like to read.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::base::harm::is_harmful;

/// A key.
pub(super) fn key(key: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    match !key.is_empty() && key.bytes().all(is_bare) {
        true => key.to_owned(),
        false => quoted(key),
    }
}

/// A text on one line: plain in quotes, or as it is where quotes would have to be escaped.
pub(super) fn text(text: &str) -> String {
    let is_literal = !text.contains(|c: char| c == '\'' || is_harmful(c));
    match is_literal && text.contains(['"', '\\']) {
        true => format!("'{text}'"),
        false => quoted(text),
    }
}

/// A text over several lines where it has any.
pub(super) fn long_text(long: &str) -> String {
    let is_plain = !long.contains(|c: char| is_harmful(c) && c != '\n');
    if !is_plain || !long.trim_end_matches('\n').contains('\n') {
        return text(long);
    }
    // Of the quotes at its end, none is to be taken for the end, nor to be escaped twice.
    let rest = long.trim_end_matches('"');
    let quotes = "\\\"".repeat(long.len() - rest.len());
    let escaped = rest.replace('\\', "\\\\").replace("\"\"\"", "\"\"\\\"");
    // A break right behind the opening is not part of the text.
    format!("\"\"\"\n{escaped}{quotes}\"\"\"")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_harmful(c) => {
                // Writing to a string does not fail.
                let _ = match u32::from(c) {
                    low @ ..=0xffff => write!(quoted, "\\u{low:04X}"),
                    high => write!(quoted, "\\U{high:08X}"),
                };
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Any value on one line. There is no null in it.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(own) => text(own),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => table(members),
        // Numbers and flags are written alike.
        plain => plain.to_string(),
    }
}

fn table(members: &Map<String, Value>) -> String {
    if members.is_empty() {
        return "{}".to_owned();
    }
    let members = members
        .iter()
        .map(|(name, value)| format!("{} = {}", key(name), inline(value)));
    let members: Vec<String> = members.collect();
    format!("{{ {} }}", members.join(", "))
}

/// A list with an item to a line when it has several.
pub(super) fn list(items: &[Value]) -> String {
    match items {
        [] | [_] => inline(&Value::Array(items.to_vec())),
        items => {
            let items = items.iter().map(|item| format!("  {},\n", inline(item)));
            format!("[\n{}]", items.collect::<String>())
        }
    }
}

/// Milliseconds since 1970 as a date and time.
pub(super) fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_read_as_it_was() {
        for odd in ["\u{1b}", "\u{9b}", "\u{202e}", "\u{feff}", "\u{e0041}"] {
            for around in ["a", "\"", "\\", "a\nb"] {
                let own = format!("{around}{odd}{around}");
                for written in [text(&own), long_text(&own), key(&own)] {
                    assert!(!written.contains(is_harmful), "{written:?}");
                }
                let table: toml::Table = format!("{} = {}", key(&own), long_text(&own))
                    .parse()
                    .expect("TOML");
                assert_eq!(table[&own].as_str(), Some(own.as_str()));
            }
        }
    }

    #[test]
    fn a_long_text_is_read_as_it_was() {
        for end in 0..9 {
            for middle in ["", "\\", "\"\"\"\"\"\"\"", "é\\\""] {
                let long = format!("a\n{middle}{}", "\"".repeat(end));
                let written = format!("x = {}", long_text(&long));
                let read: toml::Table = written.parse().expect(&written);
                assert_eq!(read["x"].as_str(), Some(long.as_str()), "{written}");
            }
        }
    }
}
