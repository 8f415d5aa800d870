//! What one pair comes to: what it says of the challenger, and what is kept of it.

use http::HeaderValue;

use crate::{
    shadow::{
        compare::{Answer, Compared, Detail, Found, Uncompared, compare, redact},
        journal::{Bodies, Body, PairResult, Record, SideRecord},
        pair::{Captured, Pair, Side},
        verdict::Seen,
    },
    spec::CompareKind,
    telemetry::outcome::Ended,
};

/// A pair that was looked at.
pub(super) struct Examined {
    /// What it says of the challenger.
    pub(super) seen: Seen,
    /// What was found where it was compared.
    pub(super) found: Option<Found>,
    /// What is kept of it.
    pub(super) record: Record,
    /// Its bodies, where they are kept.
    pub(super) bodies: Option<Bodies>,
}

/// How far apart answers are of which one is none: further than any two that are.
const NO_ANSWER: f64 = 1e6;

/// Looks at a pair.
pub(super) fn examine(pair: &Pair) -> Examined {
    let compared = compared(pair);
    let (result, found) = match compared {
        Compared::Not(why) => (PairResult::Uncompared(why), None),
        Compared::Looked(found) => match found.agrees {
            true => (PairResult::Agree, Some(found)),
            false => (PairResult::Disagree, Some(found)),
        },
    };
    let (main, challenger) = (&pair.main, &pair.challenger);
    let is_known = main.ended != Some(Ended::ClientGone);
    let errors = is_known.then(|| (main.is_error(), challenger.is_error()));
    let seen = Seen {
        agrees: found.as_ref().map(|found| found.agrees),
        errors,
        latency_ns: latencies(pair).filter(|_| errors == Some((false, false))),
    };
    let record = Record {
        at_ms: pair.at_ms,
        exchange: pair.exchange,
        request_id: pair.request_id.clone(),
        is_stream: pair.is_stream,
        result,
        has_error: errors.is_some_and(|(main, challenger)| main || challenger),
        kind: found.as_ref().map_or(CompareKind::Auto, |found| found.kind),
        distance: found.as_ref().map_or(0.0, |found| found.distance),
        detail: found.as_ref().map(|found| found.detail.clone()),
        main: SideRecord::new(main),
        challenger: SideRecord::new(challenger),
    };
    Examined {
        seen,
        found,
        record,
        bodies: pair.keeps.then(|| bodies(pair)),
    }
}

fn compared(pair: &Pair) -> Compared {
    let (main, challenger) = (&pair.main, &pair.challenger);
    if main.ended == Some(Ended::ClientGone) {
        return Compared::Not(Uncompared::MainIncomplete);
    }
    if main.is_error() {
        return Compared::Not(Uncompared::MainFailed);
    }
    if challenger.is_error() {
        return Compared::Looked(Found {
            kind: CompareKind::Auto,
            agrees: false,
            distance: NO_ANSWER,
            detail: Detail::Status,
        });
    }
    let answer = |side| answer(side, pair.is_stream);
    compare(&pair.rules.compare, &answer(main), &answer(challenger))
}

fn answer(side: &Side, is_stream: bool) -> Answer<'_> {
    Answer {
        status: side.status,
        is_complete: side.ended == Some(Ended::Complete),
        is_stream,
        content_type: side.content_type.as_ref().and_then(|v| v.to_str().ok()),
        content_encoding: side.content_encoding.as_ref().and_then(|v| v.to_str().ok()),
        body: side.body.bytes(),
        is_cut: side.body.is_cut(),
    }
}

/// How long both took: to the last byte, and with a stream, whose length is the model's affair, to the
/// first.
fn latencies(pair: &Pair) -> Option<(u64, u64)> {
    let of = |side: &Side| match pair.is_stream {
        true => side.first_byte_ns,
        false => side.latency_ns,
    };
    Some((of(&pair.main)?, of(&pair.challenger)?))
}

fn bodies(pair: &Pair) -> Bodies {
    let keep = &pair.rules.keep_bodies;
    let body = |captured: &Captured, head: [Option<&HeaderValue>; 2]| {
        let [content_type, encoding] = head.map(|value| value.and_then(|v| v.to_str().ok()));
        let bytes_max = usize::try_from(keep.bytes_max).unwrap_or(usize::MAX);
        if captured.is_cut() && !keep.redact.is_empty() {
            return Body {
                is_withheld: true,
                ..Body::default()
            };
        }
        let redacted = redact(
            captured.bytes(),
            content_type,
            encoding,
            &keep.redact,
            bytes_max,
        );
        Body {
            bytes: redacted.bytes,
            is_cut: redacted.is_cut || captured.is_cut(),
            is_redacted: redacted.is_redacted,
            is_withheld: redacted.is_withheld,
        }
    };
    let side = |side: &Side| {
        let head = [side.content_type.as_ref(), side.content_encoding.as_ref()];
        Some(body(&side.body, head))
    };
    let request_head = [0, 1].map(|place| pair.request_type[place].as_ref());
    Bodies {
        request: (pair.request.as_ref()).map(|request| body(request, request_head)),
        main: side(&pair.main),
        challenger: side(&pair.challenger),
    }
}
