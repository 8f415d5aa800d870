//! `weir deployment overload`.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::{
    flags::{put, whole},
    patched, words,
};
use crate::{
    cli::{failure::Failure, remote::Session},
    spec::OverloadSpec,
};

/// What is to protect a deployment's backends. What is not named stays as it is, or is as usual.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub(in crate::cli) struct OverloadFlags {
    /// Requests under way at once; with --adaptive, the most there may be [default: 256]
    #[arg(long, value_name = "N", value_parser = within(OverloadSpec::CONCURRENCY), allow_negative_numbers = true)]
    concurrency: Option<u64>,
    /// Let fewer through while the time to the first byte shows that backends queue
    #[arg(long, conflicts_with = "no_adaptive")]
    adaptive: bool,
    /// Always let as many through as --concurrency says
    #[arg(long)]
    no_adaptive: bool,
    /// With --adaptive: never fewer than these [default: 4]
    #[arg(long, value_name = "N", value_parser = within(OverloadSpec::CONCURRENCY), allow_negative_numbers = true)]
    concurrency_min: Option<u64>,
    /// Requests that wait for their turn; beyond them they are refused [default: 256]
    #[arg(long, value_name = "N", value_parser = within(OverloadSpec::QUEUE), allow_negative_numbers = true)]
    queue: Option<u64>,
    /// How long one waits at most, in milliseconds [default: 1000]
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_negative_numbers = true)]
    queue_timeout_ms: Option<u64>,
    /// Protect them no more
    #[arg(long, conflicts_with_all = [
        "concurrency", "adaptive", "no_adaptive", "concurrency_min", "queue", "queue_timeout_ms",
    ])]
    none: bool,
}

/// Shows or changes what protects the backends of the deployment at a path of the API.
///
/// # Errors
/// As calls of the API, in the words of the flags; when there is nothing for what they say.
pub(in crate::cli) fn overload(
    path: &str,
    flags: &OverloadFlags,
    session: &Session,
) -> Result<(), Failure> {
    let (shown, tag) = session.client.look(path)?;
    let mut patch = Map::new();
    if *flags != OverloadFlags::default() {
        let mut overload = shown["overload"].clone();
        flags.put_on(&mut overload);
        flags.check(&overload)?;
        patch.insert("overload".to_owned(), overload);
    }
    let shown = patched(path, shown, tag.as_deref(), patch, session)?;
    session.out.block(&shown, &words::overload_told(&shown))
}

// === impl OverloadFlags ===

impl OverloadFlags {
    fn put_on(&self, overload: &mut Value) {
        if self.none {
            *overload = Value::Null;
            return;
        }
        let adaptive = match (self.adaptive, self.no_adaptive) {
            (true, _) => Some(json!(true)),
            (false, true) => Some(json!(false)),
            (false, false) => None,
        };
        put(
            overload,
            [
                ("concurrency_max", self.concurrency.map(Value::from)),
                ("adaptive", adaptive),
                ("concurrency_min", self.concurrency_min.map(Value::from)),
                ("queue_max", self.queue.map(Value::from)),
                ("queue_timeout_ms", self.queue_timeout_ms.map(Value::from)),
            ],
        );
        // A floor that nobody names comes down with what it is under.
        let (least, most) = (&overload["concurrency_min"], &overload["concurrency_max"]);
        if self.concurrency_min.is_none()
            && least
                .as_u64()
                .zip(most.as_u64())
                .is_some_and(|(a, b)| a > b)
        {
            put(overload, [("concurrency_min", Some(Value::Null))]);
        }
    }

    /// Refuses a floor where nothing goes down.
    fn check(&self, overload: &Value) -> Result<(), Failure> {
        if self.concurrency_min.is_none() || overload["adaptive"] == true {
            return Ok(());
        }
        let words = "--concurrency-min is how far --adaptive may go down, and that is off";
        Err(Failure::usage(words).hint("add --adaptive, or leave --concurrency-min out"))
    }
}

/// Reads a whole number in this range.
fn within(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let (low, high) = range.clone().into_inner();
        let words = || format!("must be a whole number from {low} to {high}");
        whole(text, &range).ok_or_else(words)
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let range = OverloadSpec::QUEUE_TIMEOUT_MS;
    whole(text, &range).ok_or_else(|| {
        let (low, high) = range.into_inner();
        format!("must be milliseconds, a whole number from {low} to {high}; 1000 is one second")
    })
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let there = json!({"concurrency_max": 64, "adaptive": true, "concurrency_min": 4,
            "queue_max": 256, "queue_timeout_ms": 1000});
        let put_on = |flags: OverloadFlags, mut overload: Value| {
            flags.put_on(&mut overload);
            overload
        };
        let queue = OverloadFlags {
            queue: Some(0),
            no_adaptive: true,
            ..OverloadFlags::default()
        };
        let mut expected = there.clone();
        (expected["queue_max"], expected["adaptive"]) = (json!(0), json!(false));
        assert_eq!(put_on(queue, there.clone()), expected);
        let small = OverloadFlags {
            concurrency: Some(2),
            ..OverloadFlags::default()
        };
        let shrunk = put_on(small.clone(), there.clone());
        assert_eq!(shrunk["concurrency_max"], 2);
        assert_eq!(shrunk.get("concurrency_min"), None);
        assert_eq!(put_on(small, Value::Null), json!({"concurrency_max": 2}));
        let none = OverloadFlags {
            none: true,
            ..OverloadFlags::default()
        };
        assert_eq!(put_on(none, there), Value::Null);
    }

    #[test]
    fn a_floor_is_for_what_adapts() {
        let floor = OverloadFlags {
            concurrency_min: Some(2),
            ..OverloadFlags::default()
        };
        assert!(floor.check(&json!({"adaptive": false})).is_err());
        assert!(floor.check(&json!({"concurrency_min": 2})).is_err());
        assert!(floor.check(&json!({"adaptive": true})).is_ok());
        let none = OverloadFlags::default();
        assert!(none.check(&json!({"adaptive": false})).is_ok());
    }

    #[test]
    fn what_is_no_number_in_its_range_is_told_the_range() {
        let command = OverloadFlags::augment_args(clap::Command::new("x").no_binary_name(true));
        for (line, words) in [
            (
                "--queue-timeout-ms 1s",
                "must be milliseconds, a whole number from 1 to 86400000",
            ),
            ("--queue-timeout-ms -1", "must be milliseconds"),
            ("--queue-timeout-ms 0", "must be milliseconds"),
            ("--queue -1", "must be a whole number from 0 to 100000"),
            (
                "--concurrency 100001",
                "must be a whole number from 1 to 100000",
            ),
            (
                "--concurrency-min 1.5",
                "must be a whole number from 1 to 100000",
            ),
        ] {
            let matches = command
                .clone()
                .try_get_matches_from(line.split_whitespace());
            let refused = matches.expect_err(line).to_string();
            assert!(refused.contains(words), "{line}: {refused}");
        }
    }
}
