//! What the API shows, in cells and lines for people.

use serde_json::Value;

use crate::cli::terminal::{ago, since_ms};

/// A member as text: strings as they are, numbers and flags in their words, nothing for what is not there.
pub(in crate::cli) fn text(value: &Value, member: &str) -> String {
    match &value[member] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// The texts of a list.
pub(in crate::cli) fn texts(value: &Value, member: &str) -> Vec<String> {
    let texts = value[member].as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// When something was, for a block of lines: nothing when it was not.
pub(in crate::cli) fn when(value: &Value, member: &str) -> String {
    match since_ms(&value[member]) {
        Some(_) => ago(&value[member]),
        None => String::new(),
    }
}

/// When a secret was used last: `5m ago`, `never`.
pub(in crate::cli) fn last_used(secret: &Value) -> String {
    match when(secret, "last_used_at") {
        never if never.is_empty() => "never".to_owned(),
        ago => ago,
    }
}

/// When a secret ends or ended, for a block of lines.
pub(in crate::cli) fn ending(secret: &Value) -> (&'static str, String) {
    let is_over = since_ms(&secret["expires_at"]).is_some_and(|ms| ms >= 0);
    let name = if is_over { "expired" } else { "expires" };
    (name, when(secret, "expires_at"))
}

/// The first few of many names: `a, b, c and 4 more`.
pub(in crate::cli) fn some_of(names: &[String]) -> String {
    /// More is a wall of text, and there is a list for it.
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_in_words() {
        let value = json!({"a": "x", "n": 3, "f": true, "z": null, "l": ["p", "q"]});
        for (member, shown) in [("a", "x"), ("n", "3"), ("f", "yes"), ("z", ""), ("?", "")] {
            assert_eq!(text(&value, member), shown);
        }
        assert_eq!(texts(&value, "l"), ["p", "q"]);
        assert!(texts(&value, "a").is_empty());
    }

    #[test]
    fn a_secret_that_ended_says_so() {
        let of = |at: &str| ending(&json!({"expires_at": at}));
        assert_eq!(of("2020-01-01T00:00:00Z").0, "expired");
        let (name, when) = of("9000-01-01T00:00:00Z");
        assert!(name == "expires" && when.starts_with("in "), "{when}");
        assert_eq!(ending(&json!({"expires_at": null})).1, "");
        assert_eq!(last_used(&json!({"last_used_at": null})), "never");
    }

    #[test]
    fn a_wall_of_names_is_cut() {
        let names: Vec<String> = (1..=7).map(|n| format!("k{n}")).collect();
        assert_eq!(some_of(&names[..2]), "k1, k2");
        assert_eq!(some_of(&names[..5]), "k1, k2, k3, k4, k5");
        assert_eq!(some_of(&names), "k1, k2, k3, k4, k5 and 2 more");
    }
}
