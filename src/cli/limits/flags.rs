//! Flags for limits. A number is checked by the gateway, which knows its range.

use serde_json::{Value, json};

/// The words for the classes of keys.
pub(in crate::cli) const PRIORITIES: [&str; 3] = ["interactive", "default", "bulk"];

/// What takes a limit away.
const NONE: &str = "none";

/// What is said of limits. A limit that is not named stays as it is; `none` takes one away.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::cli) struct LimitFlags {
    /// Requests a second in the long run, such as 100 or 0.5
    #[arg(long, value_name = "N", value_parser = rate)]
    requests_per_second: Option<Value>,
    /// Requests at once after a pause, with --requests-per-second [default: a second's worth]
    #[arg(long, value_name = "N", value_parser = whole)]
    burst: Option<Value>,
    /// Requests under way at once, streams to their end
    #[arg(long, value_name = "N", value_parser = whole)]
    concurrency: Option<Value>,
    /// Bytes of bodies a second, of requests and answers together
    #[arg(long, value_name = "N", value_parser = whole)]
    bytes_per_second: Option<Value>,
    /// Requests of one day (UTC)
    #[arg(long, value_name = "N", value_parser = whole)]
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
        // Without its rate, a burst says nothing.
        if limits["requests_per_second"].is_null() && self.burst.is_none() {
            put(limits, [("burst", Some(Value::Null))]);
        }
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
    if text == NONE {
        return Ok(Value::Null);
    }
    let number = text.parse::<f64>().ok().filter(|rate| rate.is_finite());
    number
        .map(Value::from)
        .ok_or_else(|| format!("neither a number, such as 100 or 0.5, nor `{NONE}`"))
}

fn whole(text: &str) -> Result<Value, String> {
    if text == NONE {
        return Ok(Value::Null);
    }
    let number = text.parse::<u64>();
    number
        .map(Value::from)
        .map_err(|_| format!("neither a whole number nor `{NONE}`"))
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
        assert_eq!(fresh("--count"), json!({"mode": "count"}));
        assert_eq!(fresh("--concurrency 3"), json!({"concurrency_max": 3}));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(arguments("--none").expect("alone").none);
        for line in [
            "--none --burst 1",
            "--count --enforce",
            "--burst 1.5",
            "--burst -1",
            "--requests-per-second nan",
            "--requests-per-second many",
        ] {
            assert!(arguments(line).is_err(), "{line}");
        }
    }
}
