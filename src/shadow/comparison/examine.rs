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
    let is_answer = main.status == challenger.status && main.status < Some(400);
    if is_answer && challenger.ended == Some(Ended::TooLarge) && main.bytes <= pair.bytes_max {
        // Too large where main's is not.
        return Compared::Looked(Found {
            kind: CompareKind::Auto,
            agrees: false,
            distance: NO_ANSWER,
            detail: Detail::Unreadable,
        });
    }
    let answer = |side| answer(side, pair.is_stream);
    compare(&pair.rules.compare, &answer(main), &answer(challenger))
}

fn answer(side: &Side, is_stream: bool) -> Answer<'_> {
    Answer {
        status: side.status,
        is_complete: !side.is_error(),
        is_stream,
        content_type: side.content_type.as_ref().and_then(|v| v.to_str().ok()),
        content_encoding: side.content_encoding.as_ref().and_then(|v| v.to_str().ok()),
        body: side.body.bytes(),
        is_cut: side.body.is_cut() || side.ended == Some(Ended::TooLarge),
    }
}

/// How long both took: to the last byte; to the first, of both, with a stream, whose length is the
/// model's affair, and where it is not known how long the backend alone took to the last.
fn latencies(pair: &Pair) -> Option<(u64, u64)> {
    let (main, challenger) = (&pair.main, &pair.challenger);
    let is_timed = |side: &Side| side.ended == Some(Ended::Complete) && !side.was_held_up;
    let is_to_last = !pair.is_stream && is_timed(main) && is_timed(challenger);
    let of = |side: &Side| match is_to_last {
        true => side.latency_ns,
        false => side.first_byte_ns,
    };
    Some((of(main)?, of(challenger)?))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::{
            id::{ExchangeId, VersionNumber},
            name::DeploymentName,
        },
        shadow::compare::Uncompared::TooLarge,
        snapshot::{Books, Rules},
        spec::{CompareSpec, KeepBodiesSpec, VerdictSpec},
    };

    /// What may be read of an answer.
    const BYTES_MAX: u64 = 1_000;

    fn side(bytes: u64, ms: u64) -> Side {
        Side {
            status: Some(200),
            ended: Some(match bytes > BYTES_MAX {
                true => Ended::TooLarge,
                false => Ended::Complete,
            }),
            first_byte_ns: Some(ms * 1_000_000),
            latency_ns: Some(ms * 2_000_000),
            bytes,
            ..Side::default()
        }
    }

    fn pair(main: Side, challenger: Side) -> Pair {
        let rules = Rules {
            name: DeploymentName::parse("demo/iris").expect("a name"),
            life: 1,
            version: VersionNumber(1),
            compare: CompareSpec::default(),
            verdict: VerdictSpec::default(),
            keep_bodies: KeepBodiesSpec::default(),
            books: Books::default(),
        };
        Pair {
            rules: Arc::new(rules),
            exchange: ExchangeId::from_bytes([1; 16]),
            request_id: "one".into(),
            at_ms: 1,
            is_stream: false,
            keeps: false,
            bytes_max: BYTES_MAX,
            request: None,
            request_type: [None, None],
            main,
            challenger,
        }
    }

    #[test]
    fn an_answer_of_which_enough_was_read_is_no_error() {
        // Main's is read to its end by its client, however large it is.
        let mut main = side(BYTES_MAX + 1, 1);
        main.ended = Some(Ended::Complete);
        let examined = examine(&pair(main, side(BYTES_MAX + 1, 1)));
        assert_eq!(examined.record.result, PairResult::Uncompared(TooLarge));
        assert!(!examined.record.has_error);
        assert_eq!(examined.seen.errors, Some((false, false)));
        assert_eq!(examined.seen.agrees, None);
        // How long all of it would have taken nobody knows.
        assert_eq!(examined.seen.latency_ns, Some((1_000_000, 1_000_000)));
        // Too large where main's is not: another answer, and still no error.
        let examined = examine(&pair(side(BYTES_MAX, 1), side(BYTES_MAX + 1, 1)));
        assert_eq!(examined.seen.agrees, Some(false));
        assert_eq!(examined.record.detail, Some(Detail::Unreadable));
        assert_eq!(examined.seen.errors, Some((false, false)));
        // One that breaks off is one.
        let mut broken = side(1, 1);
        broken.ended = Some(Ended::BackendBroke);
        let examined = examine(&pair(side(1, 1), broken));
        assert_eq!(examined.seen.errors, Some((false, true)));
    }

    #[test]
    fn time_that_was_not_the_backends_says_nothing_of_latency() {
        let seen = |main, challenger, is_stream| {
            let mut pair = pair(main, challenger);
            pair.is_stream = is_stream;
            examine(&pair).seen.latency_ns
        };
        let both = |ms| Some((ms, ms));
        assert_eq!(seen(side(1, 1), side(1, 1), false), both(2_000_000));
        let slow_client = || Side {
            was_held_up: true,
            ..side(1, 1)
        };
        // What was held up came behind the first byte.
        for is_stream in [true, false] {
            assert_eq!(seen(slow_client(), side(1, 1), is_stream), both(1_000_000));
        }
        let early = Side {
            first_byte_ns: None,
            latency_ns: None,
            ..side(1, 1)
        };
        assert_eq!(seen(early, side(1, 1), true), None);
    }
}
