//! When a secret ends: `--expires-in 30d` or `--expires-at 2027-01-31T12:00:00Z`.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::clock::unix_ms;

/// The options that say when something ends.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Expiry {
    /// How long it is valid: 30d, 12h, 90m, 45s or 2w
    #[arg(long, value_name = "DURATION", value_parser = lasting, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,
    /// Until when it is valid, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    expires_at: Option<Timestamp>,
}

// === impl Expiry ===

impl Expiry {
    /// As the API takes it; none when it never ends.
    pub(super) fn at(self) -> Option<String> {
        self.at_from(unix_ms())
    }

    fn at_from(self, now_ms: u64) -> Option<String> {
        let in_ms = |duration: Duration| {
            let duration = u64::try_from(duration.as_millis()).ok()?;
            let ms = i64::try_from(now_ms.checked_add(duration)?).ok()?;
            Timestamp::from_millisecond(ms).ok()
        };
        let at = self.expires_at.or_else(|| in_ms(self.expires_in?));
        at.map(|at| at.to_string())
    }
}

/// Parses a whole number and its unit.
///
/// # Errors
/// Words for the terminal.
pub(super) fn lasting(text: &str) -> Result<Duration, String> {
    /// A thousand years and more are "never".
    const DAYS_MAX: u64 = 365_000;
    let at = text.find(|char: char| !char.is_ascii_digit());
    let (number, unit) = text.split_at(at.unwrap_or(text.len()));
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err("is no duration such as 30d, 12h, 90m, 45s or 2w".to_owned()),
    };
    let s = number.parse::<u64>().ok();
    let s = s.and_then(|number| number.checked_mul(unit_s));
    match s {
        Some(0) => Err("is over at once".to_owned()),
        Some(s) if s <= DAYS_MAX * 86_400 => Ok(Duration::from_secs(s)),
        Some(_) => Err("is longer than a thousand years; leave it out for ever".to_owned()),
        None => Err("is no duration such as 30d, 12h, 90m, 45s or 2w".to_owned()),
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "is no time such as 2027-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_their_units() {
        for (text, s) in [
            ("45s", 45),
            ("90m", 5_400),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
        ] {
            assert_eq!(lasting(text), Ok(Duration::from_secs(s)), "{text}");
        }
        for text in [
            "",
            "d",
            "30",
            "30 d",
            "-1d",
            "1.5h",
            "30D",
            "1d2h",
            "0d",
            "99999999999999999999d",
            "18446744073709551615w",
            "400000d",
            "٣d",
        ] {
            assert!(lasting(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_end_is_counted_from_now() {
        let in_a_day = Expiry {
            expires_in: Some(Duration::from_secs(86_400)),
            expires_at: None,
        };
        let now_ms = 1_795_000_000_000;
        assert_eq!(
            in_a_day.at_from(now_ms).as_deref(),
            Some("2026-11-19T11:06:40Z")
        );
        let fixed = Expiry {
            expires_in: None,
            expires_at: Some(instant("2027-01-31T13:00:00+01:00").expect("a time")),
        };
        assert_eq!(
            fixed.at_from(now_ms).as_deref(),
            Some("2027-01-31T12:00:00Z")
        );
        assert_eq!(Expiry::default().at_from(now_ms), None);
        assert!(instant("tomorrow").is_err());
    }
}
