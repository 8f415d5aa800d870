//! A version's number on the command line.

use std::str::FromStr;

/// A version's number, also as it is shown elsewhere: `2`, `v2`, `iris_v2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Number(pub(in crate::cli) u32);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.rsplit_once("_v").map_or(text, |(_, digits)| digits);
        let digits = digits.strip_prefix('v').unwrap_or(digits);
        match digits.parse() {
            Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(number)),
            _ => Err("a version is a number, such as 2, or iris_v2".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_shown() {
        for (text, number) in [
            ("2", Some(2)),
            ("v12", Some(12)),
            ("iris_v3", Some(3)),
            ("my_v2_v4", Some(4)),
            ("+2", None),
            ("iris", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(text.parse().ok(), number.map(Number), "{text}");
        }
    }
}
