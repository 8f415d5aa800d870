//! Reads the pool that gets a copy, and what is made of its answers.

use super::pool::{TIMEOUT_MS_MAX, pool};
use crate::spec::{
    BudgetSpec, ChallengerSpec, CompareKind, CompareSpec, JsonPointer, KeepBodiesSpec, VerdictSpec,
    field::Field, reader::Reader,
};

/// Copies under way at once.
const CONCURRENCY_MAX: u64 = 10_000;
/// Copies that wait.
const QUEUE_MAX: u64 = 100_000;
/// Bytes of a copied request or of its answer: 1 GiB.
const COPY_BYTES_MAX: u64 = 1 << 30;
/// Bytes that are kept of a body: what is larger belongs into no journal.
const KEPT_BYTES_MAX: u64 = 1 << 20;
/// Pointers of one list.
const POINTERS_MAX: usize = 64;
/// The widest tolerance of a number.
const TOLERANCE_MAX: f64 = 1e12;
/// Copies a second.
const RATE_MAX: f64 = 1e6;
/// Bytes a second: 1 TiB.
const BYTES_RATE_MAX: u64 = 1 << 40;
/// How many times main's latency a challenger's may be declared to be.
const RATIO_MAX: f64 = 1_000.0;
/// Pairs before a challenger may be promoted.
const PAIRS_MAX: u64 = 1_000_000_000;

/// Reads the pool that gets a copy.
pub(super) fn challenger(reader: &mut Reader<'_>) -> ChallengerSpec {
    let default = ChallengerSpec::default();
    ChallengerSpec {
        pool: pool(reader),
        sample: share(reader, "sample", default.sample),
        concurrency_max: reader.integer(
            "concurrency_max",
            0..=CONCURRENCY_MAX,
            default.concurrency_max,
        ),
        queue_max: reader.integer("queue_max", 0..=QUEUE_MAX, default.queue_max),
        body_bytes_max: reader.integer(
            "body_bytes_max",
            0..=COPY_BYTES_MAX,
            default.body_bytes_max,
        ),
        response_bytes_max: reader.integer(
            "response_bytes_max",
            0..=COPY_BYTES_MAX,
            default.response_bytes_max,
        ),
        timeout_ms: reader.integer("timeout_ms", 1..=TIMEOUT_MS_MAX, default.timeout_ms),
        compare: table(reader, "compare", compare),
        verdict: table(reader, "verdict", verdict),
        keep_bodies: table(reader, "keep_bodies", keep_bodies),
        budget: table(reader, "budget", budget),
    }
}

fn table<T: Default>(
    reader: &mut Reader<'_>,
    key: &'static str,
    with: fn(&mut Reader<'_>) -> T,
) -> T {
    let field = reader.field(key);
    let read = field.and_then(|field| field.table(|reader| Some(with(reader))));
    read.unwrap_or_default()
}

fn compare(reader: &mut Reader<'_>) -> CompareSpec {
    let kind = reader.choice("kind", &CompareKind::WORDS);
    let tolerance = |reader: &mut Reader<'_>, key| {
        let number = reader.field(key)?.number(0.0..=TOLERANCE_MAX);
        number.map(positive)
    };
    let spec = CompareSpec {
        kind,
        tolerance_abs: tolerance(reader, "tolerance_abs"),
        tolerance_rel: tolerance(reader, "tolerance_rel"),
        ignore: pointers(reader, "ignore"),
        pointer: reader
            .field("pointer")
            .and_then(|field| field.parse(JsonPointer::parse)),
        unordered: pointers(reader, "unordered"),
    };
    if kind == CompareKind::Text && spec.tolerance_abs.is_some_and(|tolerance| tolerance > 1.0) {
        reader.wrong(
            "tolerance_abs",
            "is a distance from 0 to 1 where text is compared",
        );
    }
    if matches!(kind, CompareKind::Label | CompareKind::Number) && spec.pointer.is_none() {
        let words = format!(
            "is missing: kind = {:?} needs to know where it stands, such as \"/label\"",
            kind.as_str()
        );
        reader.wrong("pointer", words);
    }
    spec
}

fn verdict(reader: &mut Reader<'_>) -> VerdictSpec {
    let default = VerdictSpec::default();
    let ratio = |reader: &mut Reader<'_>, key, default| {
        positive(reader.number(key, 0.0..=RATIO_MAX, default))
    };
    VerdictSpec {
        min_agreement: share(reader, "min_agreement", default.min_agreement),
        max_error_increase: share(reader, "max_error_increase", default.max_error_increase),
        max_latency_ratio_p50: ratio(
            reader,
            "max_latency_ratio_p50",
            default.max_latency_ratio_p50,
        ),
        max_latency_ratio_p99: ratio(
            reader,
            "max_latency_ratio_p99",
            default.max_latency_ratio_p99,
        ),
        alpha: reader.number("alpha", 1e-9..=0.5, default.alpha),
        min_pairs: reader.integer("min_pairs", 0..=PAIRS_MAX, default.min_pairs),
    }
}

fn keep_bodies(reader: &mut Reader<'_>) -> KeepBodiesSpec {
    let default = KeepBodiesSpec::default();
    KeepBodiesSpec {
        sample: share(reader, "sample", default.sample),
        bytes_max: reader.integer("bytes_max", 0..=KEPT_BYTES_MAX, default.bytes_max),
        redact: pointers(reader, "redact"),
    }
}

fn budget(reader: &mut Reader<'_>) -> BudgetSpec {
    let default = BudgetSpec::default();
    BudgetSpec {
        share: share(reader, "share", default.share),
        requests_per_second: reader
            .field("requests_per_second")
            .and_then(|field| field.number(0.0..=RATE_MAX))
            .map(positive),
        concurrency: reader
            .field("concurrency")
            .and_then(|field| field.integer(0..=CONCURRENCY_MAX)),
        bytes_per_second: reader
            .field("bytes_per_second")
            .and_then(|field| field.integer(0..=BYTES_RATE_MAX)),
        adaptive: reader.flag("adaptive", default.adaptive),
    }
}

fn share(reader: &mut Reader<'_>, key: &'static str, default: f64) -> f64 {
    positive(reader.number(key, 0.0..=1.0, default))
}

/// The sum turns -0.0, which is equal to 0.0 and written otherwise, into 0.0.
fn positive(number: f64) -> f64 {
    number + 0.0
}

fn pointers(reader: &mut Reader<'_>, key: &'static str) -> Vec<JsonPointer> {
    let field = reader.field(key);
    let read = |field: Field<'_>| field.texts_within(POINTERS_MAX, JsonPointer::parse);
    field.and_then(read).unwrap_or_default()
}
