//! From when to when a certificate is valid: the one thing that the library judges and does not tell.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{civil, tz::TimeZone};

/// The time in which a certificate is valid, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: i64,
    /// Its last second.
    pub not_after: i64,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

// === impl Validity ===

impl Validity {
    /// That of a certificate in DER; none when it is not one (RFC 5280 section 4.1).
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = value(certificate, SEQUENCE)?;
        let (mut rest, _) = value(certificate, SEQUENCE)?;
        if let Some((_, behind)) = value(rest, VERSION) {
            rest = behind;
        }
        // Serial number, signature algorithm, issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            rest = value(rest, tag)?.1;
        }
        let (validity, _) = value(rest, SEQUENCE)?;
        let (not_before, behind) = time(validity)?;
        let (not_after, _) = time(behind)?;
        Some(Self {
            not_before,
            not_after,
        })
    }

    /// What is wrong with it today, if anything is.
    pub fn concern(&self) -> Option<&'static str> {
        self.concern_at(now_s())
    }

    fn concern_at(&self, now: i64) -> Option<&'static str> {
        match now {
            now if now > self.not_after => Some("has expired"),
            now if now < self.not_before => Some("is not valid yet"),
            _ => None,
        }
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The content of the value that `bytes` begin with, and what stands behind it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |length, &digit| length << 8 | usize::from(digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time, as seconds, and what stands behind it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, behind, year_digits) = match value(bytes, UTC_TIME) {
        Some((text, behind)) => (text, behind, 2),
        None => {
            let (text, behind) = value(bytes, GENERALIZED_TIME)?;
            (text, behind, 4)
        }
    };
    let text = std::str::from_utf8(text.strip_suffix(b"Z")?).ok()?;
    let (year, rest) = text.split_at_checked(year_digits)?;
    if rest.len() != 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i16 = match (year.parse().ok()?, year_digits) {
        (year, 4) => year,
        (year @ 50.., _) => year + 1_900,
        (year, _) => year + 2_000,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i8>().ok();
    let [month, day, hour, minute, second] = [part(0)?, part(2)?, part(4)?, part(6)?, part(8)?];
    let time = civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let zoned = time.to_zoned(TimeZone::UTC).ok()?;
    Some((zoned.timestamp().as_second(), behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::testing::Authority;

    #[test]
    fn a_certificate_tells_from_when_to_when() {
        let authority = Authority::new("test");
        for (from, to, expected) in [
            // Up to 2049 years have two digits in certificates, from 2050 on four.
            ((2020, 1, 2), (2031, 4, 5), (1_577_923_200, 1_933_113_600)),
            ((1999, 1, 1), (2060, 1, 1), (915_148_800, 2_840_140_800)),
        ] {
            let issued = authority.issue_between("localhost", from, to);
            let found = Validity::of(&issued.der()).expect("a certificate");
            assert_eq!((found.not_before, found.not_after), expected);
            assert_eq!(found.concern_at(expected.0), None);
            assert_eq!(found.concern_at(expected.1), None);
            assert_eq!(found.concern_at(expected.1 + 1), Some("has expired"));
            assert_eq!(found.concern_at(expected.0 - 1), Some("is not valid yet"));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_cut_or_changed_is_no_panic(at in 0_usize..400, bit in 0_u8..8, cut: bool) {
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                Authority::new("test").issue("localhost").der()
            });
            let mut der = DER.clone();
            let at = at.min(der.len() - 1);
            der[at] ^= 1 << bit;
            if cut {
                der.truncate(at);
            }
            let _judged = Validity::of(&der).map(|validity| validity.concern());
        }
    }
}
