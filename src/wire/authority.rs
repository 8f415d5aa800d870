//! The host and port that a request is for: of `Host`, or of a target in absolute form.

use std::net::Ipv6Addr;

/// An authority that can be one (RFC 9112 section 3.2): a host that is not empty, perhaps a port, and
/// never whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads one; none when it can't be one.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (host, port) = match text.strip_prefix(b"[") {
            Some(inner) => {
                let end = inner.iter().position(|&b| b == b']')?;
                let address = std::str::from_utf8(&inner[..end]).ok()?;
                address.parse::<Ipv6Addr>().ok()?;
                // Brackets and all, so that it equals no name.
                (&text[..end + 2], &inner[end + 1..])
            }
            None => {
                let (host, port) = text.split_at(name_length(text)?);
                (!host.is_empty()).then_some((host, port))?
            }
        };
        let port = match port {
            [] | [b':'] => None,
            [b':', digits @ ..] => {
                let mut number = 0;
                for digit in digits {
                    let is_digit = digit.is_ascii_digit() && digits.len() <= 5;
                    number = is_digit.then(|| number * 10 + u32::from(digit - b'0'))?;
                }
                Some(u16::try_from(number).ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both are one place; where a port is not told it is this one.
    pub fn is_same(&self, other: &Self, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// What stands in a name as itself.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        plain[byte] = b.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~!$&'()*+,;=";
    let mut mark = 0;
    while mark < marks.len() {
        plain[marks[mark] as usize] = true;
        mark += 1;
    }
    plain
};

/// How many of the first bytes make a registered name or an IPv4 address (RFC 3986 section 3.2.2); none
/// for a broken escape.
fn name_length(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    while let Some(&byte) = text.get(length) {
        length += match byte {
            byte if PLAIN[usize::from(byte)] => 1,
            b'%' => {
                let digits = text.get(length + 1..length + 3)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(3)?
            }
            _ => break,
        };
    }
    Some(length)
}

/// What holds for any text, for fuzzing and property tests: it is an authority exactly when the rule,
/// taken word for word, says so, and one that is compares as its two halves do.
#[cfg(any(test, fuzzing))]
pub fn any_authority_holds(text: &[u8]) {
    let slow = slowly(text);
    let Some(read) = Authority::parse(text) else {
        assert_eq!(slow, None, "{}", text.escape_ascii());
        return;
    };
    assert_eq!(Some((read.host.to_vec(), read.port)), slow);
    assert!(!text.contains(&b'@') && text.iter().all(u8::is_ascii_graphic));
    let other_case = text.to_ascii_uppercase();
    let upper = Authority::parse(&other_case).expect("case changes nothing");
    for port in [80, 443] {
        assert!(
            read.is_same(&read, port) && read.is_same(&upper, port) && upper.is_same(&read, port)
        );
    }
    let told = [read.host, b":81"].concat();
    let told = Authority::parse(&told).expect("a host and a port");
    assert_eq!(read.is_same(&told, 80), read.port == Some(81));
    assert_eq!(
        read.is_same(&told, 81),
        read.port.is_none_or(|port| port == 81)
    );
}

/// Host and port, found without regard for speed.
#[cfg(any(test, fuzzing))]
fn slowly(text: &[u8]) -> Option<(Vec<u8>, Option<u16>)> {
    let text = std::str::from_utf8(text).ok()?;
    let colon = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(colon);
    let can_be = match host.strip_prefix('[') {
        Some(inner) => inner.trim_end_matches(']').parse::<Ipv6Addr>().is_ok(),
        None => {
            let mut pieces = host.split('%');
            let is_plain = |piece: &str| piece.bytes().all(|b| PLAIN[usize::from(b)]);
            let is_escape = |piece: &str| {
                piece.len() >= 2 && piece.bytes().take(2).all(|b| b.is_ascii_hexdigit())
            };
            pieces.next().is_some_and(is_plain)
                && pieces.all(|piece| is_escape(piece) && is_plain(piece))
                && !host.is_empty()
        }
    };
    let digits = match port {
        "" | ":" => return can_be.then(|| (host.into(), None)),
        port => port.strip_prefix(':')?,
    };
    let has_form = digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| can_be && has_form)?;
    Some((host.into(), Some(port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_can_be_an_authority() {
        for good in [
            "a",
            "a.example:80",
            "a:",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:8080",
            "a%20b",
        ] {
            assert!(Authority::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "", ":80", "a:b", "a:80:80", "a:65536", "a:+80", "a:000080", "u@a", "u:p@a", "a/b",
            "a b", "a\\b", "a#b", "a?b", "[::1", "[::1]x", "[::g]", "[]", "::1", "a%2", "a%zz",
            "a,b c", "\"a\"", "\u{e9}",
        ] {
            assert!(Authority::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn one_place_in_two_spellings() {
        let is_same = |a: &str, b: &str, port| {
            let [a, b] = [a, b].map(|text| Authority::parse(text.as_bytes()).expect("good"));
            a.is_same(&b, port)
        };
        assert!(is_same("A.Example", "a.eXample:80", 80));
        assert!(is_same("a:", "a:443", 443));
        assert!(!is_same("a", "a:80", 443) && !is_same("a", "b", 80));
        assert!(is_same("[::1]:80", "[::1]", 80) && !is_same("[::1]", "[::2]", 80));
    }

    proptest! {
        #[test]
        fn any_authority(
            noise in prop::collection::vec(any::<u8>(), 0..12),
            pieces in prop::collection::vec(PIECES, 0..4),
        ) {
            any_authority_holds(&noise);
            any_authority_holds(pieces.concat().as_bytes());
        }
    }

    /// What authorities are made of, and what they are attacked with.
    const PIECES: &str = "[a-zA-Z.~-]{0,5}|%[0-9a-fA-F]{0,2}|:|:[0-9]{1,6}|\\[([0-9a-f]{0,4}:){0,7}[0-9a-f]{0,4}\\]|[ -~]";
}
