//! `weir deployment overload`.

use serde_json::{Map, Value, json};

use super::{flags::put, patched, words};
use crate::cli::{failure::Failure, remote::Session};

/// What is to protect a deployment's backends. What is not named stays as it is, or is as usual.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub(in crate::cli) struct OverloadFlags {
    /// Requests under way at once; with --adaptive, the most there may be [default: 256]
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Let fewer through while the time to the first byte shows that backends queue
    #[arg(long, conflicts_with = "no_adaptive")]
    adaptive: bool,
    /// Always let as many through as --concurrency says
    #[arg(long)]
    no_adaptive: bool,
    /// With --adaptive: never fewer than these [default: 4]
    #[arg(long, value_name = "N")]
    concurrency_min: Option<u32>,
    /// Requests that wait for their turn; beyond them they are refused [default: 256]
    #[arg(long, value_name = "N")]
    queue: Option<u32>,
    /// How long one waits at most [default: 1000]
    #[arg(long, value_name = "MS")]
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
/// As calls of the API.
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
}

#[cfg(test)]
mod tests {
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
}
