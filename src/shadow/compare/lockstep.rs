//! Two JSON texts that are written alike, as those of a good challenger mostly are: read side by side,
//! without trees. At a kilobyte this takes a fifth of what two trees take.
//!
//! ```text
//! {"label":"setosa","p":[0.98,0.02]}     the same bytes, but for numbers
//! {"label":"setosa","p":[0.9800001,0.02]}      └ within their tolerance: go on behind both
//! ```
//!
//! It only ever says that they agree. Whatever else it meets, and whatever trees read more strictly
//! than it does, is left to them.

use serde::de::IgnoredAny;

use super::{
    Found,
    figure::{ABS, Figure, REL, Tolerance},
    json,
};
use crate::spec::CompareSpec;

/// Texts that are larger are left to trees, which bound how many values they have.
const BYTES_MAX: usize = 1 << 20;
/// Trees are as deep as 128; one less leaves room for how that is counted.
const DEPTH_MAX: u32 = 120;
/// Digits of a number, with its point and sign. All of these fit a double's range.
const NUMBER_BYTES_MAX: usize = 40;
/// Digits of a whole number that surely fits 64 bits.
const WHOLE_BYTES_MAX: usize = 18;

/// Where in a text it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Text,
    Escape,
    /// In a number, which began so many bytes before.
    Number(usize),
}

/// That two texts agree; none when that is for trees to say.
pub(super) fn agree(spec: &CompareSpec, main: &[u8], other: &[u8]) -> Option<Found> {
    if main.len().max(other.len()) > BYTES_MAX {
        return None;
    }
    // Where nothing is looked at, or anything may come anywhere, numbers that differ say little.
    let tolerance = (!super::has_places(spec)).then(|| Tolerance::new(spec, ABS, REL));
    let (max_abs, max_rel) = alike(tolerance, main, other)?;
    // One of them, read for its form: the other has the same but for numbers that were read.
    std::str::from_utf8(main).ok()?;
    let mut reader = serde_json::Deserializer::from_slice(main);
    let form: Result<IgnoredAny, _> = serde::Deserialize::deserialize(&mut reader);
    form.and_then(|_| reader.end()).ok()?;
    Some(json::agreed(max_abs, max_rel))
}

/// The largest differences of numbers in two texts that are otherwise the same.
fn alike(tolerance: Option<Tolerance>, main: &[u8], other: &[u8]) -> Option<(f64, f64)> {
    let (mut i, mut j) = (0, 0);
    let (mut state, mut depth) = (State::Between, 0);
    let (mut max_abs, mut max_rel) = (0_f64, 0_f64);
    loop {
        match (main.get(i), other.get(j)) {
            (None, None) => return Some((max_abs, max_rel)),
            (Some(&a), Some(&b)) if a == b => {
                state = next(state, a, &mut depth)?;
                (i, j) = (i + 1, j + 1);
            }
            _ => {
                let begun = match state {
                    State::Between => 0,
                    State::Number(begun) => begun,
                    State::Text | State::Escape => return None,
                };
                let (a, a_end) = number(main, i - begun)?;
                let (b, b_end) = number(other, j - begun)?;
                if let Some(difference) = a.difference(b) {
                    if !tolerance?.forgives(a, b, difference) {
                        return None;
                    }
                    max_abs = max_abs.max(difference.abs);
                    max_rel = max_rel.max(difference.rel);
                }
                (i, j, state) = (a_end, b_end, State::Between);
            }
        }
    }
}

/// The state behind a byte that both have; none for what is read otherwise by trees.
fn next(state: State, byte: u8, depth: &mut u32) -> Option<State> {
    Some(match (state, byte) {
        (State::Text, b'"') => State::Between,
        (State::Text, b'\\') => State::Escape,
        // It may name half a character, which trees refuse.
        (State::Escape, b'u') => return None,
        (State::Text | State::Escape, _) => State::Text,
        (_, b'"') => State::Text,
        (State::Number(begun), b'0'..=b'9' | b'.') if begun < NUMBER_BYTES_MAX => {
            State::Number(begun + 1)
        }
        // Very long ones, and those with an exponent, may be beyond all doubles.
        (State::Number(_), b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => return None,
        (_, b'-' | b'0'..=b'9') => State::Number(1),
        (_, b'{' | b'[') => {
            *depth += 1;
            (*depth <= DEPTH_MAX).then_some(State::Between)?
        }
        (_, b'}' | b']') => {
            *depth = depth.checked_sub(1)?;
            State::Between
        }
        _ => State::Between,
    })
}

/// The plain number that begins here, and where it ends.
fn number(text: &[u8], start: usize) -> Option<(Figure, usize)> {
    let rest = &text[start..];
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let length = rest.iter().take_while(|byte| is_part(byte)).count();
    let token = std::str::from_utf8(&rest[..length]).ok()?;
    let digits = token.strip_prefix('-').unwrap_or(token);
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, None), |(w, p)| (w, Some(p)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_plain = length <= NUMBER_BYTES_MAX
        && all_digits(whole)
        && part.is_none_or(all_digits)
        && (whole == "0" || !whole.starts_with('0'));
    // A zero with a sign is read as a float.
    if !is_plain || token == "-0" {
        return None;
    }
    let figure = match part {
        Some(_) => Figure::Float(token.parse().ok()?),
        None if token.len() > WHOLE_BYTES_MAX => return None,
        None if token.len() > digits.len() => Figure::Signed(token.parse().ok()?),
        None => Figure::Whole(token.parse().ok()?),
    };
    Some((figure, start + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shadow::compare::node;

    fn by_trees(spec: &CompareSpec, main: &str, other: &str) -> Option<Found> {
        let mut main = node::read(main.as_bytes()).ok()?;
        let mut other = node::read(other.as_bytes()).ok()?;
        Some(json::compare(spec, &mut main, &mut other))
    }

    #[test]
    fn what_it_says_and_what_it_leaves_to_trees() {
        let spec = CompareSpec::default();
        for (main, other, is_said) in [
            (r#"{"a":[1,2.5],"b":"c"}"#, r#"{"a":[1,2.5],"b":"c"}"#, true),
            (r#"{"a":0.5}"#, r#"{"a":0.50000000001}"#, true),
            (r#"{"a":5.1}"#, r#"{"a":5.10}"#, true),
            ("[0.1]", "[0.10000000149011612]", true),
            ("[1.0]", "[1]", true),
            ("[-1.5, 2]", "[-1.50, 2]", true),
            (r#"{"a":0.5}"#, r#"{"a":0.6}"#, false),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            (r#"{"a":"1.0"}"#, r#"{"a":"1.00"}"#, false),
            (r#"{"a":1}"#, r#"{ "a":1}"#, false),
            ("[-0]", "[0]", false),
            ("[0]", "[-0.0]", true),
            ("[1e999]", "[1e999]", false),
            ("[01]", "[01]", false),
            ("[1.]", "[1.0]", false),
            ("[1", "[1", false),
            ("[1]]", "[1]]", false),
            ("nope", "nope", false),
            ("", "", false),
            ("[\"\\ud800\"]", "[\"\\ud800\"]", false),
            ("[\"\u{1}\"]", "[\"\u{1}\"]", false),
            ("12", "12", true),
            ("12", "12.0", true),
            ("12 ", "12.0", false),
        ] {
            let said = agree(&spec, main.as_bytes(), other.as_bytes());
            assert_eq!(said.is_some(), is_said, "{main} {other}");
            if let Some(said) = said {
                assert_eq!(Some(said), by_trees(&spec, main, other), "{main} {other}");
            }
        }
        assert!(agree(&spec, b"[\"\xff\"]", b"[\"\xff\"]").is_none());
        let deep = format!("{}{}", "[".repeat(130), "]".repeat(130));
        assert!(agree(&spec, deep.as_bytes(), deep.as_bytes()).is_none());
    }

    /// Texts of which many are JSON, and of which many are nearly the same.
    fn piece() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "{\"a\":",
            "}",
            "[",
            "]",
            ",",
            "1",
            "1.0",
            "0.5",
            "0.50000001",
            "-1",
            "-0",
            "0",
            "\"x\"",
            "\"1\"",
            " ",
            "true",
            "null",
            "1e5",
            "1e400",
            "\"\\u0041\"",
            "\"\\n\"",
            "99999999999999999999",
        ])
    }

    proptest! {
        #[test]
        fn what_it_says_is_what_trees_say(
            head in prop::collection::vec(piece(), 0..8),
            tails in (prop::collection::vec(piece(), 0..3), prop::collection::vec(piece(), 0..3)),
            rest in prop::collection::vec(piece(), 0..8),
            has_places in any::<bool>(),
        ) {
            let text = |tail: &[&str]| [&head, tail, &rest].map(<[_]>::concat).concat();
            let (main, other) = (text(&tails.0), text(&tails.1));
            let mut spec = CompareSpec::default();
            if has_places {
                spec.ignore.push(crate::spec::JsonPointer::parse("/0").expect("a pointer"));
            }
            if let Some(said) = agree(&spec, main.as_bytes(), other.as_bytes()) {
                prop_assert_eq!(Some(said), by_trees(&spec, &main, &other), "{} {}", main, other);
            }
        }

        #[test]
        fn arrays_of_close_numbers_agree_without_trees(
            numbers in prop::collection::vec(-1000.0..1000.0_f64, 1..50),
        ) {
            let write = |digits: usize| {
                let all: Vec<String> = numbers.iter().map(|n| format!("{n:.digits$}")).collect();
                format!("{{\"outputs\":[{}]}}", all.join(","))
            };
            let spec = CompareSpec { tolerance_abs: Some(0.001), ..CompareSpec::default() };
            let (main, other) = (write(4), write(6));
            let said = agree(&spec, main.as_bytes(), other.as_bytes());
            prop_assert_eq!(said, by_trees(&spec, &main, &other));
        }
    }
}
