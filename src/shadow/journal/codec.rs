//! Records as bytes, but for what has a column of its own: the moment and the distance.
//!
//! ```text
//! version, flags, kind and result, exchange, request id, detail, main, challenger
//! ```
//!
//! Written by hand, since there are millions of them: an ordinary one takes 78 bytes, and 231 as JSON
//! with keys of one letter. A later program may append to a record and to a detail, and may add kinds,
//! reasons and details: what this one does not know is left out, and the rest is read.

use super::record::{GapsRecord, PLACES_MAX, PairResult, Record, SideRecord, cut};
use crate::{
    base::{
        id::ExchangeId,
        varint::{self, Malformed, part, read},
    },
    shadow::compare::{Detail, Uncompared},
    spec::CompareKind,
    telemetry::outcome::Ended,
};

const VERSION: u8 = 1;

/// Flags of a record.
const IS_STREAM: u8 = 1;
const ID_IS_HEX: u8 = 1 << 1;
const HAS_ERROR: u8 = 1 << 2;
const HAS_BODIES: u8 = 1 << 3;
const HAS_DETAIL: u8 = 1 << 4;

/// Flags of an answer; in the lowest three bits is how it ended.
const ENDED: u8 = 7;
const STATUS: u8 = 1 << 3;
const ERROR: u8 = 1 << 4;
const LATENCY: u8 = 1 << 5;
const FIRST_BYTE: u8 = 1 << 6;
const GAPS: u8 = 1 << 7;

// In these lists, a word's place is what is stored: new ones go to the end.
const KINDS: [CompareKind; 7] = [
    CompareKind::Auto,
    CompareKind::Exact,
    CompareKind::Json,
    CompareKind::Label,
    CompareKind::Number,
    CompareKind::Tensor,
    CompareKind::Text,
];
const RESULTS: [PairResult; 7] = [
    PairResult::Agree,
    PairResult::Disagree,
    PairResult::Uncompared(Uncompared::Unreadable),
    PairResult::Uncompared(Uncompared::MainFailed),
    PairResult::Uncompared(Uncompared::MainIncomplete),
    PairResult::Uncompared(Uncompared::TooLarge),
    PairResult::Uncompared(Uncompared::Encoded),
];
/// A result that this program does not know is a reason that it does not know.
const RESULT_UNKNOWN: usize = 2;
const ENDINGS: [Ended; 5] = [
    Ended::Complete,
    Ended::ClientGone,
    Ended::BackendBroke,
    Ended::TimedOut,
    Ended::TooLarge,
];

/// Appends a record.
pub(super) fn encode(record: &Record, has_bodies: bool, out: &mut Vec<u8>) {
    let packed = packed(&record.request_id);
    let flags = [
        (IS_STREAM, record.is_stream),
        (ID_IS_HEX, packed.is_some()),
        (HAS_ERROR, record.has_error),
        (HAS_BODIES, has_bodies),
        (HAS_DETAIL, record.detail.is_some()),
    ];
    out.extend([VERSION, mask(&flags)]);
    let kind = place(&KINDS, &record.kind);
    out.push(kind << 4 | place(&RESULTS, &record.result));
    out.extend(record.exchange.to_bytes());
    match packed {
        Some(bytes) => write_bytes(&bytes, out),
        None => write_text(&record.request_id, out),
    }
    if let Some(detail) = &record.detail {
        let mut bytes = Vec::new();
        write_detail(detail, &mut bytes);
        write_bytes(&bytes, out);
    }
    write_side(&record.main, out);
    write_side(&record.challenger, out);
}

/// Reads a record, and whether it has bodies.
pub(super) fn decode(
    mut bytes: &[u8],
    at_ms: u64,
    distance: f64,
) -> Result<(Record, bool), Malformed> {
    let bytes = &mut bytes;
    let [version, flags, codes] = array(bytes)?;
    if version != VERSION {
        return Err(Malformed);
    }
    let exchange = ExchangeId::from_bytes(array(bytes)?);
    let request_id = match flags & ID_IS_HEX {
        0 => read_text(bytes)?.into(),
        _ => unpacked(read_bytes(bytes)?),
    };
    let detail = match flags & HAS_DETAIL {
        0 => None,
        _ => read_detail(&mut read_bytes(bytes)?)?,
    };
    let result = usize::from(codes & 15);
    let record = Record {
        at_ms,
        exchange,
        request_id,
        is_stream: flags & IS_STREAM != 0,
        result: RESULTS
            .get(result)
            .copied()
            .unwrap_or(RESULTS[RESULT_UNKNOWN]),
        has_error: flags & HAS_ERROR != 0,
        kind: at(&KINDS, codes >> 4).unwrap_or_default(),
        distance,
        detail,
        main: read_side(bytes)?,
        challenger: read_side(bytes)?,
    };
    Ok((record, flags & HAS_BODIES != 0))
}

// === answers ===

fn write_side(side: &SideRecord, out: &mut Vec<u8>) {
    let flags = [
        (STATUS, side.status.is_some()),
        (ERROR, side.error.is_some()),
        (LATENCY, side.latency_ns.is_some()),
        (FIRST_BYTE, side.first_byte_ns.is_some()),
        (GAPS, side.gaps.is_some()),
    ];
    let ended = side.ended.map_or(0, |ended| place(&ENDINGS, &ended) + 1);
    out.push(mask(&flags) | ended);
    if let Some(status) = side.status {
        varint::write(status.into(), out);
    }
    if let Some(error) = &side.error {
        write_text(error, out);
    }
    for ns in [side.latency_ns, side.first_byte_ns].into_iter().flatten() {
        varint::write(ns, out);
    }
    if let Some(gaps) = side.gaps {
        for number in [gaps.count, gaps.p50_us, gaps.p99_us, gaps.max_us] {
            varint::write(number, out);
        }
    }
    varint::write(side.bytes, out);
}

fn read_side(bytes: &mut &[u8]) -> Result<SideRecord, Malformed> {
    let [flags] = array(bytes)?;
    let has = |flag| flags & flag != 0;
    let mut side = SideRecord {
        ended: (flags & ENDED)
            .checked_sub(1)
            .and_then(|place| at(&ENDINGS, place)),
        ..SideRecord::default()
    };
    if has(STATUS) {
        let status = u16::try_from(read(bytes)?).map_err(|_| Malformed)?;
        side.status = Some(status);
    }
    if has(ERROR) {
        side.error = Some(read_text(bytes)?.into());
    }
    if has(LATENCY) {
        side.latency_ns = Some(read(bytes)?);
    }
    if has(FIRST_BYTE) {
        side.first_byte_ns = Some(read(bytes)?);
    }
    if has(GAPS) {
        side.gaps = Some(GapsRecord {
            count: read(bytes)?,
            p50_us: read(bytes)?,
            p99_us: read(bytes)?,
            max_us: read(bytes)?,
        });
    }
    side.bytes = read(bytes)?;
    Ok(side)
}

// === details ===

fn write_detail(detail: &Detail, out: &mut Vec<u8>) {
    match detail {
        Detail::Status => out.push(0),
        Detail::Unreadable => out.push(1),
        Detail::Exact { first } => {
            out.push(2);
            varint::write(first.map_or(0, |first| first.saturating_add(1)), out);
        }
        Detail::Json {
            differences,
            places,
            max_abs,
            max_rel,
        } => {
            out.push(3);
            varint::write(u64::from(*differences), out);
            write_number(*max_abs, out);
            write_number(*max_rel, out);
            let places = &places[..places.len().min(PLACES_MAX)];
            varint::write(places.len() as u64, out);
            places.iter().for_each(|place| write_text(place, out));
        }
        Detail::Label { main, challenger } => {
            out.push(4);
            write_text(main, out);
            write_text(challenger, out);
        }
        Detail::Number { main, challenger } => {
            out.push(5);
            write_number(*main, out);
            write_number(*challenger, out);
        }
        Detail::Tensor {
            max_abs,
            mean_abs,
            elements,
            mismatch,
        } => {
            out.push(6);
            write_number(*max_abs, out);
            write_number(*mean_abs, out);
            varint::write(*elements, out);
            out.push(u8::from(mismatch.is_some()));
            if let Some(words) = mismatch {
                write_text(words, out);
            }
        }
        Detail::Text {
            similarity,
            main_chars,
            challenger_chars,
        } => {
            out.push(7);
            write_number(*similarity, out);
            varint::write(*main_chars, out);
            varint::write(*challenger_chars, out);
        }
    }
}

fn read_detail(bytes: &mut &[u8]) -> Result<Option<Detail>, Malformed> {
    let [tag] = array(bytes)?;
    Ok(Some(match tag {
        0 => Detail::Status,
        1 => Detail::Unreadable,
        2 => Detail::Exact {
            first: read(bytes)?.checked_sub(1),
        },
        3 => {
            let differences = u32::try_from(read(bytes)?).map_err(|_| Malformed)?;
            let (max_abs, max_rel) = (read_number(bytes)?, read_number(bytes)?);
            let count = read(bytes)?;
            if count > PLACES_MAX as u64 {
                return Err(Malformed);
            }
            let places = (0..count).map(|_| Ok(read_text(bytes)?.to_owned()));
            Detail::Json {
                differences,
                places: places.collect::<Result<_, _>>()?,
                max_abs,
                max_rel,
            }
        }
        4 => Detail::Label {
            main: read_text(bytes)?.to_owned(),
            challenger: read_text(bytes)?.to_owned(),
        },
        5 => Detail::Number {
            main: read_number(bytes)?,
            challenger: read_number(bytes)?,
        },
        6 => Detail::Tensor {
            max_abs: read_number(bytes)?,
            mean_abs: read_number(bytes)?,
            elements: read(bytes)?,
            mismatch: match array(bytes)? {
                [0] => None,
                _ => Some(read_text(bytes)?.to_owned()),
            },
        },
        7 => Detail::Text {
            similarity: read_number(bytes)?,
            main_chars: read(bytes)?,
            challenger_chars: read(bytes)?,
        },
        _ => return Ok(None),
    }))
}

// === pieces ===

/// The bytes whose digits a text is. Most request ids are, and take half the room then.
fn packed(text: &str) -> Option<Vec<u8>> {
    let digits = cut(text).as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    pairs.iter().map(byte).collect()
}

fn unpacked(bytes: &[u8]) -> Box<str> {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect::<String>().into()
}

fn mask(flags: &[(u8, bool)]) -> u8 {
    let set = flags.iter().filter(|(_, is_set)| *is_set);
    set.fold(0, |mask, (flag, _)| mask | flag)
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|each| each == one).unwrap_or(0) as u8
}

fn at<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

/// Round numbers have their bits at the upper end, and are short when they begin there.
fn write_number(number: f64, out: &mut Vec<u8>) {
    varint::write(number.to_bits().swap_bytes(), out);
}

fn read_number(bytes: &mut &[u8]) -> Result<f64, Malformed> {
    Ok(f64::from_bits(read(bytes)?.swap_bytes()))
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_bytes(cut(text).as_bytes(), out);
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint::write(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    std::str::from_utf8(read_bytes(bytes)?).map_err(|_| Malformed)
}

fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = read(bytes)?;
    part(bytes, length)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (array, behind) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = behind;
    Ok(*array)
}

#[cfg(test)]
#[path = "tests/codec.rs"]
mod tests;
