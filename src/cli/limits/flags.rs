//! Flags for limits, and what is said of a value that is none.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::{cli::failure::Failure, spec::LimitsSpec};

/// The words for the classes of keys.
pub(in crate::cli) const PRIORITIES: [&str; 3] = ["interactive", "default", "bulk"];

/// What takes a limit away.
const NONE: &str = "none";

/// What is said of limits. A limit that is not named stays as it is; `none` takes one away.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::cli) struct LimitFlags {
    /// Requests a second in the long run, such as 100 or 0.5
    #[arg(long, value_name = "N", value_parser = rate, allow_negative_numbers = true)]
    requests_per_second: Option<Value>,
    /// Requests at once after a pause, with --requests-per-second [default: a second's worth]
    #[arg(long, value_name = "N", value_parser = limit(LimitsSpec::BURST), allow_negative_numbers = true)]
    burst: Option<Value>,
    /// Requests under way at once, streams to their end
    #[arg(long, value_name = "N", value_parser = limit(LimitsSpec::CONCURRENCY), allow_negative_numbers = true)]
    concurrency: Option<Value>,
    /// Bytes of bodies a second, of requests and answers together
    #[arg(long, value_name = "N", value_parser = limit(LimitsSpec::BYTES_PER_SECOND), allow_negative_numbers = true)]
    bytes_per_second: Option<Value>,
    /// Requests of one day (UTC)
    #[arg(long, value_name = "N", value_parser = limit(LimitsSpec::REQUESTS_PER_DAY), allow_negative_numbers = true)]
    requests_per_day: Option<Value>,
    /// Refuse nothing, only count what would be refused
    #[arg(long, conflicts_with = "enforce")]
    count: bool,
    /// Refuse what is beyond the limits, after a time of --count
    #[arg(long)]
    enforce: bool,
}

/// What is to become of limits.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub(in crate::cli) struct LimitsArgs {
    #[command(flatten)]
    pub(super) flags: LimitFlags,
    /// Lift all limits
    #[arg(long, conflicts_with = "LimitFlags")]
    pub(super) none: bool,
}

// === impl LimitFlags ===

impl LimitFlags {
    /// Whether nothing is said.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits of what is made.
    pub(in crate::cli) fn of_new(&self) -> Value {
        let mut limits = json!({});
        self.put_on(&mut limits);
        match self.is_empty() {
            true => Value::Null,
            false => limits,
        }
    }

    /// Puts what is said on top of limits.
    pub(super) fn put_on(&self, limits: &mut Value) {
        let mode = match (self.count, self.enforce) {
            (true, _) => Some(json!("count")),
            (false, true) => Some(Value::Null),
            (false, false) => None,
        };
        put(
            limits,
            [
                ("requests_per_second", self.requests_per_second.clone()),
                ("burst", self.burst.clone()),
                ("concurrency_max", self.concurrency.clone()),
                ("bytes_per_second", self.bytes_per_second.clone()),
                ("requests_per_day", self.requests_per_day.clone()),
                ("mode", mode),
            ],
        );
        // Without its rate, a burst says nothing; nor does a mode without any limit.
        if limits["requests_per_second"].is_null() && self.burst.is_none() {
            put(limits, [("burst", Some(Value::Null))]);
        }
        if !self.count
            && LimitsSpec::NAMES
                .iter()
                .all(|limit| limits[limit].is_null())
        {
            put(limits, [("mode", Some(Value::Null))]);
        }
    }

    /// Refuses a mode for limits that there are none of.
    ///
    /// # Errors
    /// [`Failure`], a usage error.
    pub(in crate::cli) fn check(&self, limits: &Value) -> Result<(), Failure> {
        let flag = match (self.count, self.enforce) {
            (true, _) => "--count",
            (false, true) => "--enforce",
            (false, false) => return Ok(()),
        };
        if LimitsSpec::NAMES
            .iter()
            .any(|limit| !limits[limit].is_null())
        {
            return Ok(());
        }
        let words = format_args!("{flag} is for limits, and there are none");
        Err(Failure::usage(words).hint("name one beside it, such as --requests-per-second 50"))
    }
}

/// Sets the members that are given, and takes away those that are null.
pub(super) fn put<const N: usize>(object: &mut Value, members: [(&str, Option<Value>); N]) {
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in members {
        match value {
            Some(Value::Null) => {
                if let Some(members) = object.as_object_mut() {
                    members.shift_remove(name);
                }
            }
            Some(value) => object[name] = value,
            None => {}
        }
    }
}

fn rate(text: &str) -> Result<Value, String> {
    let range = LimitsSpec::REQUESTS_PER_SECOND;
    if text == NONE {
        return Ok(Value::Null);
    }
    let number = text.parse::<f64>().ok().filter(|n| range.contains(n));
    number.map(Value::from).ok_or_else(|| {
        let (low, high) = range.into_inner();
        format!("must be a number from {low} to {high}, or `{NONE}`")
    })
}

/// Reads a whole number in this range, or that there is to be none.
fn limit(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Value, String> + Clone {
    move |text| match whole(text, &range) {
        _ if text == NONE => Ok(Value::Null),
        Some(number) => Ok(Value::from(number)),
        None => {
            let (low, high) = range.clone().into_inner();
            Err(format!(
                "must be a whole number from {low} to {high}, or `{NONE}`"
            ))
        }
    }
}

/// A whole number in this range.
pub(super) fn whole(text: &str, range: &RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|number| range.contains(number))
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn arguments(line: &str) -> Result<LimitsArgs, clap::Error> {
        let command = LimitsArgs::augment_args(clap::Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace())?;
        LimitsArgs::from_arg_matches(&matches)
    }

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let there = json!({"requests_per_second": 100.0, "burst": 200, "concurrency_max": 8,
            "mode": "count"});
        for (line, expected) in [
            ("", there.clone()),
            (
                "--burst 7",
                json!({"requests_per_second": 100.0, "burst": 7, "concurrency_max": 8,
                    "mode": "count"}),
            ),
            (
                "--requests-per-second none --enforce",
                json!({"concurrency_max": 8}),
            ),
            ("--requests-per-second none --concurrency none", json!({})),
            (
                "--requests-per-second 0.5 --concurrency none --requests-per-day 10 --bytes-per-second 1",
                json!({"requests_per_second": 0.5, "burst": 200, "mode": "count",
                    "bytes_per_second": 1, "requests_per_day": 10}),
            ),
        ] {
            let mut limits = there.clone();
            arguments(line).expect(line).flags.put_on(&mut limits);
            assert_eq!(limits, expected, "{line}");
        }
        let fresh = |line: &str| arguments(line).expect(line).flags.of_new();
        assert_eq!(fresh(""), Value::Null);
        assert_eq!(
            fresh("--count --concurrency 1"),
            json!({"mode": "count", "concurrency_max": 1})
        );
        assert_eq!(fresh("--concurrency 3"), json!({"concurrency_max": 3}));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(arguments("--none").expect("alone").none);
        for (line, words) in [
            ("--none --burst 1", "cannot be used with"),
            ("--count --enforce", "cannot be used with"),
            (
                "--burst 1.5",
                "must be a whole number from 1 to 1000000, or `none`",
            ),
            (
                "--burst -5",
                "must be a whole number from 1 to 1000000, or `none`",
            ),
            (
                "--concurrency 0",
                "for '--concurrency <N>': must be a whole number from 1 to 1000000",
            ),
            (
                "--bytes-per-second 1KB",
                "must be a whole number from 1 to 1099511627776, or",
            ),
            (
                "--requests-per-day -1",
                "must be a whole number from 1 to 1000000000000, or",
            ),
            (
                "--requests-per-second nan",
                "must be a number from 0.001 to 1000000, or `none`",
            ),
            (
                "--requests-per-second -0.5",
                "must be a number from 0.001 to 1000000, or",
            ),
            (
                "--requests-per-second many",
                "must be a number from 0.001 to 1000000, or",
            ),
        ] {
            let refused = arguments(line).expect_err(line).to_string();
            assert!(refused.contains(words), "{line}: {refused}");
            assert!(!refused.contains("tip:"), "{line}: {refused}");
        }
    }

    #[test]
    fn a_mode_is_for_limits() {
        let check = |line: &str, limits: Value| {
            let refused = arguments(line).expect(line).flags.check(&limits);
            refused.err().map(|failure| failure.words().to_owned())
        };
        let none = |flag| Some(format!("{flag} is for limits, and there are none"));
        assert_eq!(check("--count", json!({"mode": "count"})), none("--count"));
        assert_eq!(check("--enforce", json!({})), none("--enforce"));
        assert_eq!(check("--count", json!({"requests_per_day": 1})), None);
        assert_eq!(check("", json!({})), None);
    }
}
