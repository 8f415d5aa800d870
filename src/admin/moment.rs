//! Moments and spans of time as queries name them.

use jiff::Timestamp;

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
