//! Reads how much may be asked for: of a key, of a deployment, of a deployment's backends.

use std::ops::RangeInclusive;

use crate::spec::{LimitMode, LimitsSpec, OverloadSpec, Priority, field::Field, reader::Reader};

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
                .and_then(|field| field.number(LimitsSpec::REQUESTS_PER_SECOND)),
            burst: whole(reader, "burst", LimitsSpec::BURST),
            concurrency_max: whole(reader, "concurrency_max", LimitsSpec::CONCURRENCY),
            bytes_per_second: whole(reader, "bytes_per_second", LimitsSpec::BYTES_PER_SECOND),
            requests_per_day: whole(reader, "requests_per_day", LimitsSpec::REQUESTS_PER_DAY),
            mode: reader.choice("mode", &MODES),
        };
        if reader.field("burst").is_some() && reader.field("requests_per_second").is_none() {
            let words = "is how many requests may come at once within a rate: it needs \
                         requests_per_second beside it";
            reader.wrong("burst", words);
        }
        // Kept, it would be in force for nothing, and be shown as no limits at all.
        if reader.field("mode").is_some() && LimitsSpec::NAMES.iter().all(|key| reader.field(key).is_none()) {
            let words = "says what happens beyond a limit, and there is none beside it: name one, or \
                         leave it out";
            reader.wrong("mode", words);
        }
        Some(spec)
    })
}

fn whole<T: TryFrom<u64>>(
    reader: &mut Reader<'_>,
    key: &'static str,
    range: RangeInclusive<u64>,
) -> Option<T> {
    reader.field(key)?.integer(range)
}

/// An object of what protects backends.
pub(in crate::spec) fn overload_in(field: &Field<'_>) -> Option<OverloadSpec> {
    field.table(|reader| {
        let default = OverloadSpec::default();
        let max: Option<u32> = whole(reader, "concurrency_max", OverloadSpec::CONCURRENCY);
        let min: Option<u32> = whole(reader, "concurrency_min", OverloadSpec::CONCURRENCY);
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
            concurrency_min: min,
            queue_max: reader.integer("queue_max", OverloadSpec::QUEUE, default.queue_max),
            queue_timeout_ms: reader.integer(
                "queue_timeout_ms",
                OverloadSpec::QUEUE_TIMEOUT_MS,
                default.queue_timeout_ms,
            ),
        })
    })
}
