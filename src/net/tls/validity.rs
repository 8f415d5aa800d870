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

    /// Whether its last second is over.
    pub fn has_expired(&self) -> bool {
        now_s() > self.not_after
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

/// What holds for any bytes, for fuzzing and property tests: they are judged without a panic, by what
/// comes up to their times alone, and times that were found are found again in a certificate written
/// anew.
#[cfg(any(test, fuzzing))]
pub fn any_certificate_holds(bytes: &[u8]) {
    let Some(found) = Validity::of(bytes) else {
        return;
    };
    let _judged = found.concern();
    assert_eq!(Validity::of(&[bytes, b"\x30\x00"].concat()), Some(found));
    assert_eq!(Validity::of(&[]), None);
    let times = [found.not_before, found.not_after].map(|second| {
        let time = jiff::Timestamp::from_second(second).expect("a time");
        let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
        [&[GENERALIZED_TIME, 15], text.as_bytes()].concat()
    });
    let empty = |tag| wrapped(tag, &[]);
    let parts = [
        empty(INTEGER),
        empty(SEQUENCE),
        empty(SEQUENCE),
        wrapped(SEQUENCE, &times.concat()),
    ];
    let anew = wrapped(SEQUENCE, &wrapped(SEQUENCE, &parts.concat()));
    assert_eq!(Validity::of(&anew), Some(found));
    for end in 0..anew.len() {
        assert_eq!(Validity::of(&anew[..end]), None, "cut at {end}");
    }
}

/// A value of less than 128 bytes in DER.
#[cfg(any(test, fuzzing))]
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    [&[tag, length], content].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::net::tls::testing::Authority;

    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("test"));

    #[test]
    fn a_certificate_tells_from_when_to_when() {
        for (from, to, expected) in [
            // Up to 2049 years have two digits in certificates, from 2050 on four.
            ((2020, 1, 2), (2031, 4, 5), (1_577_923_200, 1_933_113_600)),
            ((1999, 1, 1), (2060, 1, 1), (915_148_800, 2_840_140_800)),
        ] {
            let issued = AUTHORITY.issue_between("localhost", from, to);
            let found = Validity::of(&issued.der()).expect("a certificate");
            assert_eq!((found.not_before, found.not_after), expected);
            assert_eq!(found.concern_at(expected.0), None);
            assert_eq!(found.concern_at(expected.1), None);
            assert_eq!(found.concern_at(expected.1 + 1), Some("has expired"));
            assert_eq!(found.concern_at(expected.0 - 1), Some("is not valid yet"));
        }
    }

    fn second_of((year, month, day): (i32, u8, u8)) -> i64 {
        let year = i16::try_from(year).expect("a year");
        let [month, day] = [month, day].map(|part| i8::try_from(part).expect("small"));
        let date = civil::date(year, month, day).to_zoned(TimeZone::UTC);
        date.expect("a date").timestamp().as_second()
    }

    proptest! {
        #[test]
        fn any_issued_certificate_tells_its_days(
            from in (1951..2200_i32, 1..=12_u8, 1..=28_u8),
            to in (1951..9999_i32, 1..=12_u8, 1..=28_u8),
        ) {
            let der = AUTHORITY.issue_between("localhost", from, to).der();
            let expected = Validity { not_before: second_of(from), not_after: second_of(to) };
            prop_assert_eq!(Validity::of(&der), Some(expected));
            any_certificate_holds(&der);
        }

        #[test]
        fn any_certificate(
            noise in prop::collection::vec(any::<u8>(), 0..40),
            at in 0_usize..400,
            bit in 0_u8..8,
            cut: bool,
        ) {
            static DER: LazyLock<Vec<u8>> = LazyLock::new(|| AUTHORITY.issue("localhost").der());
            any_certificate_holds(&noise);
            let mut der = DER.clone();
            let at = at.min(der.len() - 1);
            der[at] ^= 1 << bit;
            if cut {
                der.truncate(at);
            }
            any_certificate_holds(&der);
        }
    }
}
