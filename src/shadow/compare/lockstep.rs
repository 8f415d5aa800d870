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

use super::{
    Found,
    figure::{ABS, Figure, REL, Tolerance},
    json,
};
use crate::spec::CompareSpec;

/// Texts that are larger are left to trees, which bound how many values they have.
const BYTES_MAX: usize = 1 << 20;
/// Trees are as deep as 128; less leaves room for how that is counted.
const DEPTH_MAX: u32 = 120;
/// Digits of a number, with its point and sign. All of these fit a double's range.
const NUMBER_BYTES_MAX: usize = 40;
/// Digits of a whole number that surely fits 64 bits.
const WHOLE_BYTES_MAX: usize = 18;

/// Bytes that end a run of plain ones within a string.
const ENDS_RUN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// An array has begun.
    ValueOrEnd,
    Name,
    /// An object has begun.
    NameOrEnd,
    Colon,
    /// A value is over.
    Behind,
}

/// Two texts that are the same but for numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Alike {
    max_abs: f64,
    max_rel: f64,
    /// Whether the outermost object has a member `outputs`.
    has_outputs: bool,
}

/// That two texts agree; none when that is for trees to say. With `or_tensors` what may be an answer of
/// the Open Inference Protocol is left to them, too.
pub(super) fn agree(
    spec: &CompareSpec,
    main: &[u8],
    other: &[u8],
    or_tensors: bool,
) -> Option<Found> {
    if main.len().max(other.len()) > BYTES_MAX {
        return None;
    }
    // Where nothing is looked at, or anything may come anywhere, numbers that differ say little.
    let tolerance = (!super::has_places(spec)).then(|| Tolerance::new(spec, ABS, REL));
    let (main, other) = (
        std::str::from_utf8(main).ok()?,
        std::str::from_utf8(other).ok()?,
    );
    let alike = alike(tolerance, main, other)?;
    let is_theirs = or_tensors && alike.has_outputs;
    (!is_theirs).then(|| json::agreed(alike.max_abs, alike.max_rel))
}

/// Reads main token by token. What lies between two numbers, the other has to have byte by byte.
fn alike(tolerance: Option<Tolerance>, main: &str, other: &str) -> Option<Alike> {
    let (a, b) = (main.as_bytes(), other.as_bytes());
    let mut found = Alike::default();
    // Where it is, and since where the other was not looked at.
    let (mut i, mut run, mut j) = (0, 0, 0);
    // Whether each level is an object, the innermost in the lowest bit.
    let (mut objects, mut depth) = (0_u128, 0);
    let mut next = Next::Value;
    while let Some(&byte) = a.get(i) {
        match (byte, next) {
            (b'"', Next::Value | Next::ValueOrEnd) => {
                i += string_bytes(&a[i..])?;
                next = Next::Behind;
            }
            (b'"', Next::Name | Next::NameOrEnd) => {
                let length = string_bytes(&a[i..])?;
                found.has_outputs |= depth == 1 && &a[i..i + length] == b"\"outputs\"";
                i += length;
                next = Next::Colon;
            }
            (b'-' | b'0'..=b'9', Next::Value | Next::ValueOrEnd) => {
                let skipped = &a[run..i];
                if b.get(j..j + skipped.len()) != Some(skipped) {
                    return None;
                }
                j += skipped.len();
                let length = number_bytes(&a[i..]);
                let other_length = number_bytes(&b[j..]);
                let (one, two) = (&main[i..i + length], &other[j..j + other_length]);
                let (max_abs, max_rel) = difference(tolerance, one, two)?;
                found.max_abs = found.max_abs.max(max_abs);
                found.max_rel = found.max_rel.max(max_rel);
                (i, j) = (i + length, j + other_length);
                (run, next) = (i, Next::Behind);
            }
            (b':', Next::Colon) => {
                i += 1;
                next = Next::Value;
            }
            (b',', Next::Behind) if depth > 0 => {
                i += 1;
                next = if objects & 1 == 1 {
                    Next::Name
                } else {
                    Next::Value
                };
            }
            (b'{' | b'[', Next::Value | Next::ValueOrEnd) if depth < DEPTH_MAX => {
                let is_object = byte == b'{';
                (i, depth) = (i + 1, depth + 1);
                objects = objects << 1 | u128::from(is_object);
                next = match is_object {
                    true => Next::NameOrEnd,
                    false => Next::ValueOrEnd,
                };
            }
            (b'}', Next::Behind | Next::NameOrEnd) if depth > 0 && objects & 1 == 1 => {
                (i, depth, objects) = (i + 1, depth - 1, objects >> 1);
                next = Next::Behind;
            }
            (b']', Next::Behind | Next::ValueOrEnd) if depth > 0 && objects & 1 == 0 => {
                (i, depth, objects) = (i + 1, depth - 1, objects >> 1);
                next = Next::Behind;
            }
            (b' ' | b'\t' | b'\n' | b'\r', _) => i += 1,
            (b't' | b'f' | b'n', Next::Value | Next::ValueOrEnd) => {
                let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                i += words.iter().find(|word| a[i..].starts_with(word))?.len();
                next = Next::Behind;
            }
            _ => return None,
        }
    }
    let is_whole = depth == 0 && next == Next::Behind;
    (is_whole && a[run..] == b[j..]).then_some(found)
}

/// By how much two numbers differ, absolutely and relatively; none where that is not forgiven.
fn difference(tolerance: Option<Tolerance>, one: &str, two: &str) -> Option<(f64, f64)> {
    let (has_point, _) = parts(one)?;
    if one == two {
        return Some((0.0, 0.0));
    }
    // Some write 5.1 as 5.10.
    let (other_point, _) = parts(two)?;
    let plain = |token: &str| token.trim_end_matches('0').len();
    if has_point && other_point && one[..plain(one)] == two[..plain(two)] {
        return Some((0.0, 0.0));
    }
    let (one, two) = (figure(one)?, figure(two)?);
    let Some(difference) = one.difference(two) else {
        return Some((0.0, 0.0));
    };
    let forgives = tolerance?.forgives(one, two, difference);
    forgives.then_some((difference.abs, difference.rel))
}

/// How long the string is that begins here, with its quotes. None for one that does not end, and for
/// what trees look at more closely: `\u`, which may name half a character.
fn string_bytes(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let run = text[at..]
            .iter()
            .position(|byte| ENDS_RUN[usize::from(*byte)])?;
        at += run;
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            _ => return None,
        }
        if at >= text.len() {
            return None;
        }
    }
}

fn number_bytes(text: &[u8]) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    text.iter().take_while(|byte| is_part(byte)).count()
}

/// Whether a plain number has a point, and whether it is negative. None for what trees read otherwise
/// or not at all: with an exponent or very long it may be beyond all doubles, and a zero with a sign is
/// read as a float.
fn parts(token: &str) -> Option<(bool, bool)> {
    let bytes = token.as_bytes();
    let is_negative = bytes.first() == Some(&b'-');
    let digits = &bytes[usize::from(is_negative)..];
    let whole = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let has_point = match &digits[whole..] {
        [] => false,
        [b'.', part @ ..] if !part.is_empty() && part.iter().all(u8::is_ascii_digit) => true,
        _ => return None,
    };
    let is_plain = whole > 0 && (whole == 1 || digits[0] != b'0');
    let is_short = match has_point {
        true => bytes.len() <= NUMBER_BYTES_MAX,
        false => bytes.len() <= WHOLE_BYTES_MAX && token != "-0",
    };
    (is_plain && is_short).then_some((has_point, is_negative))
}

fn figure(token: &str) -> Option<Figure> {
    Some(match parts(token)? {
        (true, _) => Figure::Float(token.parse().ok()?),
        (false, true) => Figure::Signed(token.parse().ok()?),
        (false, false) => Figure::Whole(token.parse().ok()?),
    })
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
            ("[]", "[]", true),
            ("{}", "{}", true),
            ("[1,]", "[1,]", false),
            ("[,1]", "[,1]", false),
            ("{\"a\":1,}", "{\"a\":1,}", false),
            (
                "{\"a\" : [ true, false ,null ] }\n",
                "{\"a\" : [ true, false ,null ] }\n",
                true,
            ),
            ("{\"a\"}", "{\"a\"}", false),
            ("{1:2}", "{1:2}", false),
            ("[1}", "[1}", false),
            ("1 2", "1 2", false),
            ("tru", "tru", false),
            ("[\"a\\\"b\"]", "[\"a\\\"b\"]", true),
            ("[\"a\\x\"]", "[\"a\\x\"]", false),
            ("[\"open", "[\"open", false),
            ("[\"open\\", "[\"open\\", false),
        ] {
            let said = agree(&spec, main.as_bytes(), other.as_bytes(), false);
            assert_eq!(said.is_some(), is_said, "{main} {other}");
            if let Some(said) = said {
                assert_eq!(Some(said), by_trees(&spec, main, other), "{main} {other}");
            }
        }
        let outputs = br#"{"outputs":[1]}"#;
        assert!(agree(&spec, outputs, outputs, true).is_none());
        assert!(agree(&spec, outputs, outputs, false).is_some());
        assert!(agree(&spec, b"[\"\xff\"]", b"[\"\xff\"]", false).is_none());
        let deep = format!("{}{}", "[".repeat(130), "]".repeat(130));
        assert!(agree(&spec, deep.as_bytes(), deep.as_bytes(), false).is_none());
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
            if let Some(said) = agree(&spec, main.as_bytes(), other.as_bytes(), false) {
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
            let said = agree(&spec, main.as_bytes(), other.as_bytes(), false);
            prop_assert_eq!(said, by_trees(&spec, &main, &other));
        }
    }
}
