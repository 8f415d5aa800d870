//! Moments and spans of time as queries name them.

use jiff::Timestamp;

use super::{problem::Problem, query::Query};

/// A text that is longer is no moment.
const TEXT_BYTES_MAX: usize = 64;
/// The end of the year 9999: no moment lies beyond.
const LATEST_MS: u64 = 253_402_300_799_999;

/// What a moment in a query looks like: as RFC 3339, in seconds since 1970, or before now.
pub(super) const PATTERN: &str = concat!(
    r"^(-[1-9][0-9]{0,8}[smhd]?|[0-9]{1,11}|",
    r"(19[89][0-9]|[2-8][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|",
    r"(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))",
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))$"
);

/// A parameter that is a moment, in milliseconds since 1970.
///
/// # Errors
/// 400 when it is none.
pub(super) fn asked(query: &mut Query, name: &str, now_ms: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = query.short_text(name)? else {
        return Ok(None);
    };
    let moment = Some(text).filter(|text| text.len() <= TEXT_BYTES_MAX);
    let moment = moment.and_then(|text| moment_ms(&text, now_ms));
    let moment = moment.filter(|moment| *moment <= LATEST_MS);
    let wrong = || {
        Problem::invalid(format!(
            "the query parameter {name:?} is a moment as RFC 3339, in seconds since 1970, or before \
             now as in -15m"
        ))
    };
    moment.map(Some).ok_or_else(wrong)
}

/// A moment, in milliseconds since 1970.
fn moment_ms(text: &str, now_ms: u64) -> Option<u64> {
    if let Some(back) = text.strip_prefix('-') {
        return Some(now_ms.saturating_sub(span_s(back)?.saturating_mul(1_000)));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: u64 = text.parse().ok()?;
        return Some(seconds.saturating_mul(1_000));
    }
    // A plus that was not escaped has become a space on its way.
    instant_ms(&text.replace(' ', "+"))
}

/// A span of time in seconds: `90`, `90s`, `15m`, `6h`, `3d`.
pub(super) fn span_s(text: &str) -> Option<u64> {
    match text.parse::<u32>() {
        Ok(s) if text.bytes().all(|b| b.is_ascii_digit()) => Some(s.into()),
        _ => span_ms(text).map(|ms| ms / 1_000),
    }
}

/// A span with its unit, in milliseconds: `90s`, `15m`, `6h`, `3d`.
pub(super) fn span_ms(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let unit_ms: u64 = match &text[unit..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let count: u32 = text[..unit].parse().ok()?;
    Some(unit_ms.saturating_mul(count.into()))
}

/// A moment as RFC 3339 says it, in milliseconds since 1970; none of before that.
pub(super) fn instant_ms(text: &str) -> Option<u64> {
    // jiff also reads forms of its own, which need a bracket.
    let instant: Timestamp = text.parse().ok().filter(|_| !text.contains('['))?;
    u64::try_from(instant.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans_are_read_or_refused() {
        const NOW: u64 = 1_800_000_000_007;
        for (text, moment) in [
            ("-15m", Some(NOW - 900_000)),
            ("-90", Some(NOW - 90_000)),
            ("-3d", Some(NOW - 3 * 86_400_000)),
            ("-4000000000d", Some(0)),
            ("1700000000", Some(1_700_000_000_000)),
            ("2026-01-31T12:00:00Z", Some(1_769_860_800_000)),
            ("2026-01-31T12:00:00.25Z", Some(1_769_860_800_250)),
            ("2026-01-31T13:00:00 01:00", Some(1_769_860_800_000)),
            ("1969-01-31T12:00:00Z", None),
            ("yesterday", None),
            ("-", None),
            ("--5", None),
            ("-5w", None),
            ("-5mm", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(moment_ms(text, NOW), moment, "{text}");
        }
        for (text, span) in [
            ("10s", Some(10)),
            ("10m", Some(600)),
            ("0", Some(0)),
            ("m", None),
        ] {
            assert_eq!(span_s(text), span, "{text}");
        }
        let asked = |raw: &str| asked(&mut Query::parse(Some(raw))?, "from", NOW);
        for (raw, moment) in [
            ("", Some(None)),
            ("from=0", Some(Some(0))),
            ("from=253402300799", Some(Some(253_402_300_799_000))),
            ("from=253402300800", None),
            ("from=", None),
            (&format!("from=-{}s", "0".repeat(63)), None),
        ] {
            assert_eq!(asked(raw).ok(), moment, "{raw}");
        }
    }
}
