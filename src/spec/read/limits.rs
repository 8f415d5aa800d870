//! Reads how much may be asked for: of a key, of a deployment, of a deployment's backends.

use super::pool::TIMEOUT_MS_MAX;
use crate::spec::{LimitMode, LimitsSpec, OverloadSpec, Priority, field::Field, reader::Reader};

/// Requests a second: one in a quarter of an hour at the least.
const RATE_MIN: f64 = 0.001;
/// Requests a second, and at once after a pause.
const RATE_MAX: u64 = 1_000_000;
/// Exchanges under way at once, of a key or of a deployment.
const CONCURRENCY_MAX: u64 = 1_000_000;
/// Bytes a second: 1 TiB.
const BYTES_RATE_MAX: u64 = 1 << 40;
/// Requests of a day.
const DAY_MAX: u64 = 1_000_000_000_000;
/// Exchanges under way at once behind a gate, and requests that wait before it.
const GATE_MAX: u64 = 100_000;

/// The words for each mode.
const MODES: [(&str, LimitMode); 2] =
    [("enforce", LimitMode::Enforce), ("count", LimitMode::Count)];

/// The words for each class.
pub(in crate::spec) const PRIORITIES: [(&str, Priority); 3] = [
    ("interactive", Priority::Interactive),
    ("default", Priority::Default),
    ("bulk", Priority::Bulk),
];

/// The limits of what is being read; none when it says nothing of them.
pub(in crate::spec) fn limits(reader: &mut Reader<'_>) -> LimitsSpec {
    let field = reader.field("limits");
    field
        .and_then(|field| limits_in(&field))
        .unwrap_or_default()
}

/// How the backends of what is being read are protected; not at all when it says nothing of it.
pub(in crate::spec) fn overload(reader: &mut Reader<'_>) -> Option<OverloadSpec> {
    reader
        .field("overload")
        .and_then(|field| overload_in(&field))
}

/// An object of limits.
pub(in crate::spec) fn limits_in(field: &Field<'_>) -> Option<LimitsSpec> {
    field.table(|reader| {
        let spec = LimitsSpec {
            requests_per_second: reader
                .field("requests_per_second")
                .and_then(|field| field.number(RATE_MIN..=RATE_MAX as f64)),
            burst: whole(reader, "burst", RATE_MAX),
            concurrency_max: whole(reader, "concurrency_max", CONCURRENCY_MAX),
            bytes_per_second: whole(reader, "bytes_per_second", BYTES_RATE_MAX),
            requests_per_day: whole(reader, "requests_per_day", DAY_MAX),
            mode: reader.choice("mode", &MODES),
        };
        if reader.field("burst").is_some() && reader.field("requests_per_second").is_none() {
            let words = "is how many requests may come at once within a rate: it needs \
                         requests_per_second beside it";
            reader.wrong("burst", words);
        }
        Some(spec)
    })
}

fn whole<T: TryFrom<u64>>(reader: &mut Reader<'_>, key: &'static str, max: u64) -> Option<T> {
    reader.field(key)?.integer(1..=max)
}

/// An object of what protects backends.
pub(in crate::spec) fn overload_in(field: &Field<'_>) -> Option<OverloadSpec> {
    field.table(|reader| {
        let default = OverloadSpec::default();
        let max: Option<u32> = whole(reader, "concurrency_max", GATE_MAX);
        let min: Option<u32> = whole(reader, "concurrency_min", GATE_MAX);
        let concurrency_max = max.unwrap_or(default.concurrency_max);
        if let Some(min) = min
            && min > concurrency_max
            && (max.is_some() || reader.field("concurrency_max").is_none())
        {
            let words = format!("must not be above concurrency_max, which is {concurrency_max}");
            reader.wrong("concurrency_min", words);
        }
        Some(OverloadSpec {
            concurrency_max,
            adaptive: reader.flag("adaptive", default.adaptive),
            // What is declared small is not to be refused for a default that it does not name.
            concurrency_min: min.unwrap_or(default.concurrency_min.min(concurrency_max)),
            queue_max: reader.integer("queue_max", 0..=GATE_MAX, default.queue_max),
            queue_timeout_ms: reader.integer(
                "queue_timeout_ms",
                1..=TIMEOUT_MS_MAX,
                default.queue_timeout_ms,
            ),
        })
    })
}
