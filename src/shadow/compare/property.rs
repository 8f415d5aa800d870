//! What holds for any two answers, for fuzzing and property tests.

use super::{Answer, Compared, Detail, Found, Uncompared, compare, redact};
use crate::spec::{CompareKind, CompareSpec, JsonPointer};

const TYPES: [Option<&str>; 8] = [
    None,
    Some("application/json"),
    Some("text/event-stream"),
    Some("text/plain"),
    Some("text/plain; charset=iso-8859-1"),
    Some("application/x-ndjson"),
    Some("application/octet-stream"),
    Some("application/problem+json; charset=utf-8"),
];
const ENCODINGS: [Option<&str>; 4] = [None, Some("gzip"), Some("deflate"), Some("br")];
const POINTERS: [Option<&str>; 4] = [None, Some(""), Some("/a"), Some("/outputs/0/data")];
const PLACES: [&[&str]; 4] = [&[], &["/a"], &["/*", "/a/0"], &["", "/a/*/b"]];

/// What holds for any two answers: an answer that can be read agrees with itself, which of them is
/// main's changes no agreement, distances are finite and no less than nothing, and nothing panics.
/// Five bytes are the settings; the two bodies are cut at the first 0xFF.
///
/// # Panics
/// When it does not hold.
pub fn any_pair_holds(bytes: &[u8]) {
    let Some((&[kind, types, packing, places, numbers], bodies)) = bytes.split_first_chunk() else {
        return;
    };
    let pick = |from: u8, shift: u8, count: usize| usize::from(from >> shift) % count;
    let pointers = |at: usize| -> Vec<JsonPointer> {
        let pointers = PLACES[at].iter();
        pointers.flat_map(|text| JsonPointer::parse(text)).collect()
    };
    let tolerance = |at: usize| [None, Some(0.0), Some(0.5), Some(1.0)][at];
    let spec = CompareSpec {
        kind: CompareKind::WORDS[pick(kind, 0, 7)].1,
        tolerance_abs: tolerance(pick(numbers, 0, 4)),
        tolerance_rel: tolerance(pick(numbers, 2, 4)),
        ignore: pointers(pick(places, 0, 4)),
        pointer: POINTERS[pick(places, 4, 4)].and_then(|text| JsonPointer::parse(text).ok()),
        unordered: pointers(pick(places, 2, 4)),
    };
    let mut bodies = bodies.splitn(2, |&byte| byte == 0xFF);
    let mut answer = |shift: u8| Answer {
        status: Some(200),
        is_complete: true,
        is_stream: false,
        content_type: TYPES[pick(types, shift, 8)],
        content_encoding: ENCODINGS[pick(packing, shift, 4)],
        body: bodies.next().unwrap_or_default(),
        is_cut: packing >> shift & 0x4 != 0,
    };
    let (main, other) = (answer(0), answer(4));
    for one in [&main, &other] {
        if let Some(found) = looked(&spec, one, one) {
            assert!(
                found.agrees && found.distance == 0.0,
                "not itself: {found:?}"
            );
        }
    }
    let there = looked(&spec, &main, &other);
    if main.content_type == other.content_type {
        let is_read = |found: &Found| found.detail != Detail::Unreadable;
        let back = looked(&spec, &other, &main).filter(is_read);
        // By default the kind is main's, which may be another one for the same type.
        if let (Some(there), Some(back)) = (there.filter(is_read), back)
            && there.kind == back.kind
        {
            assert_eq!(there.agrees, back.agrees, "{there:?} {back:?}");
        }
    }
    let kept = redact(
        main.body,
        main.content_type,
        main.content_encoding,
        &spec.ignore,
        64,
    );
    assert!(kept.bytes.len() <= 64);
    assert!(!kept.is_withheld || kept.bytes.is_empty());
}

fn looked(spec: &CompareSpec, main: &Answer<'_>, other: &Answer<'_>) -> Option<Found> {
    match compare(spec, main, other) {
        Compared::Looked(found) => {
            assert!(found.distance.is_finite() && found.distance >= 0.0);
            match &found.detail {
                Detail::Json { places, .. } => assert!(places.len() <= 8),
                Detail::Text { similarity, .. } => assert!((0.0..=1.0).contains(similarity)),
                Detail::Tensor {
                    max_abs, mean_abs, ..
                } => {
                    assert!(max_abs.is_finite() && mean_abs.is_finite());
                }
                _ => {}
            }
            Some(found)
        }
        Compared::Not(why) => {
            let is_of_bodies = matches!(
                why,
                Uncompared::TooLarge | Uncompared::Encoded | Uncompared::Unreadable
            );
            assert!(is_of_bodies, "{why:?}");
            None
        }
    }
}
