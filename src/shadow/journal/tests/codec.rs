use proptest::{collection, option, prelude::*};

use super::*;
use crate::shadow::journal::WORDS_BYTES_MAX;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..300u64, any::<u64>()]
}

/// What is equal to itself.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1e6), -1e9..1e9f64, Just(f64::INFINITY)]
}

fn words() -> impl Strategy<Value = String> {
    "[ -~äß→]{0,66}"
}

fn detail() -> impl Strategy<Value = Detail> {
    prop_oneof![
        Just(Detail::Status),
        Just(Detail::Unreadable),
        option::of(0..u64::MAX).prop_map(|first| Detail::Exact { first }),
        (
            any::<u32>(),
            collection::vec(words(), 0..=PLACES_MAX),
            float(),
            float()
        )
            .prop_map(|(differences, places, max_abs, max_rel)| Detail::Json {
                differences,
                places,
                max_abs,
                max_rel,
            }),
        (words(), words()).prop_map(|(main, challenger)| Detail::Label { main, challenger }),
        (float(), float()).prop_map(|(main, challenger)| Detail::Number { main, challenger }),
        (float(), float(), number(), option::of(words())).prop_map(
            |(max_abs, mean_abs, elements, mismatch)| Detail::Tensor {
                max_abs,
                mean_abs,
                elements,
                mismatch,
            }
        ),
        (float(), number(), number()).prop_map(|(similarity, main_chars, challenger_chars)| {
            Detail::Text {
                similarity,
                main_chars,
                challenger_chars,
            }
        }),
    ]
}

prop_compose! {
    fn side()(status in option::of(any::<u16>()), ended in option::of(0..ENDINGS.len()),
        error in option::of(words()), latency_ns in option::of(number()),
        first_byte_ns in option::of(number()), gaps in option::of([number(), number(), number(), number()]),
        bytes in number()) -> SideRecord
    {
        SideRecord {
            status,
            ended: ended.map(|place| ENDINGS[place]),
            error: error.map(Into::into),
            latency_ns,
            first_byte_ns,
            gaps: gaps.map(|[count, p50_us, p99_us, max_us]| GapsRecord { count, p50_us, p99_us, max_us }),
            bytes,
        }
    }
}

prop_compose! {
    fn record()(exchange in any::<[u8; 16]>(),
        request_id in prop_oneof![words(), "([0-9a-f]{2}){0,70}"],
        (is_stream, has_error) in any::<(bool, bool)>(), result in 0..RESULTS.len(),
        kind in 0..KINDS.len(), distance in float(), detail in option::of(detail()),
        main in side(), challenger in side()) -> Record
    {
        Record {
            at_ms: 1_700_000_000_000,
            exchange: ExchangeId::from_bytes(exchange),
            request_id: request_id.into(),
            is_stream,
            result: RESULTS[result],
            has_error,
            kind: KINDS[kind],
            distance,
            detail,
            main,
            challenger,
        }
    }
}

fn encoded(record: &Record, has_bodies: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, has_bodies, &mut bytes);
    bytes
}

fn decoded(bytes: &[u8], of: &Record) -> Result<(Record, bool), Malformed> {
    decode(bytes, of.at_ms, of.distance)
}

/// An answer to a prediction.
fn ordinary() -> Record {
    let side = SideRecord {
        status: Some(200),
        ended: Some(Ended::Complete),
        latency_ns: Some(12_345_678),
        first_byte_ns: Some(11_234_567),
        bytes: 1_234,
        ..SideRecord::default()
    };
    Record {
        at_ms: 1_700_000_000_000,
        exchange: ExchangeId::from_bytes([0xa5; 16]),
        request_id: "0123456789abcdef01234567".into(),
        is_stream: false,
        result: PairResult::Disagree,
        has_error: false,
        kind: CompareKind::Number,
        distance: 0.1,
        detail: Some(Detail::Number {
            main: 0.123_456_789,
            challenger: 0.223_456_789,
        }),
        main: side.clone(),
        challenger: side,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in record(), has_bodies: bool, more in any::<[u8; 3]>()) {
        let mut bytes = encoded(&record, has_bodies);
        let expected = (record, has_bodies);
        let read = decoded(&bytes, &expected.0);
        prop_assert_eq!(read.as_ref(), Ok(&expected));
        // What a later program appends is not looked at.
        bytes.extend(more);
        let read = decoded(&bytes, &expected.0);
        prop_assert_eq!(read.as_ref(), Ok(&expected));
    }

    #[test]
    fn bytes_that_are_cut_are_refused_and_others_never_worse(record in record(),
        cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>(),
        noise in collection::vec(any::<u8>(), 0..200))
    {
        let mut bytes = encoded(&record, false);
        prop_assert_eq!(decoded(&bytes[..cut.index(bytes.len())], &record), Err(Malformed));
        let place = flip.0.index(bytes.len());
        bytes[place] = flip.1;
        // What comes of them is as good as any, and is written and read like it.
        for bytes in [&bytes, &[&[VERSION], &noise[..]].concat()] {
            if let Ok((read, has_bodies)) = decoded(bytes, &record) {
                let again = encoded(&read, has_bodies);
                let twice = decoded(&again, &read).expect("its own");
                prop_assert_eq!(encoded(&twice.0, twice.1), again);
            }
        }
    }
}

#[test]
fn an_ordinary_record_is_small() {
    let bytes = encoded(&ordinary(), false).len();
    assert_eq!(bytes, 78);
    let with_uuid = Record {
        request_id: "6f1c4a52-9b0e-4a57-8a63-2f1d7a9c0b1e".into(),
        ..ordinary()
    };
    let bytes = encoded(&with_uuid, false).len();
    assert_eq!(bytes, 78 + 36 - 12);
}

#[test]
fn words_and_places_are_cut() {
    let long = "x".repeat(1_000);
    let mut record = ordinary();
    record.request_id = "f".repeat(1_000).into();
    record.main.error = Some(long.clone().into());
    record.detail = Some(Detail::Json {
        differences: 1_000,
        places: vec![long; 100],
        max_abs: 0.0,
        max_rel: 0.0,
    });
    let (read, _) = decoded(&encoded(&record, false), &record).expect("good");
    assert_eq!(read.request_id.len(), WORDS_BYTES_MAX);
    let error = read.main.error.expect("some");
    assert_eq!(error.len(), WORDS_BYTES_MAX);
    let Some(Detail::Json { places, .. }) = read.detail else {
        panic!("{:?}", read.detail);
    };
    assert_eq!(places.len(), PLACES_MAX);
    assert!(places.iter().all(|place| place.len() == WORDS_BYTES_MAX));
}

#[test]
fn what_a_later_program_has_new_words_for_is_left_out() {
    let record = ordinary();
    let bytes = encoded(&record, false);
    // Kind and result; the detail's tag stands behind ids and the detail's length.
    let mut later = bytes.clone();
    later[2] = 0xff;
    let tag = 3 + 16 + 1 + 12 + 1;
    assert_eq!(later[tag], 5, "a number's");
    later[tag] = 99;
    let (read, _) = decoded(&later, &record).expect("read all the same");
    let expected = Record {
        kind: CompareKind::Auto,
        result: PairResult::Uncompared(Uncompared::Unreadable),
        detail: None,
        ..record.clone()
    };
    assert_eq!(read, expected);
    // Another version may be anything.
    later = bytes;
    later[0] = VERSION + 1;
    assert_eq!(decoded(&later, &record), Err(Malformed));
}
