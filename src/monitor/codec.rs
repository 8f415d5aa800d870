//! Points as bytes. A chunk is points one behind the other, each with its place in the chunk; the
//! same place may come twice (after a restart, or when the clock was set back), and then the two add
//! up, so that appending is always right.
//!
//! ```text
//! point = place, mask, then for each bit of the mask a number or a histogram
//! histogram = how many slots, then for each its distance and count, most often in one byte
//! ```

use super::point::{Histogram, Point};
use crate::{
    base::varint::{Malformed, read, write},
    telemetry::{scale::SLOTS, tally::Failed},
};

/// In a histogram's byte, the count has six bits and the distance two; the greatest of each says that
/// a number follows.
const COUNT_FOLLOWS: u64 = 63;
const GAP_FOLLOWS: u64 = 3;

/// The bits of the mask. Those that occur most are in its first seven, and so in one byte.
const LATENCY: u64 = 1;
const FIRST_BYTE: u64 = 1 << 1;
const REQUEST_BYTES: u64 = 1 << 2;
const RESPONSE_BYTES: u64 = 1 << 3;
const IN_FLIGHT: u64 = 1 << 4;
const FAILED: u64 = 1 << 5;
const STREAMS: u64 = 1 << 6;
const EXTRA: u64 = 1 << 7;
const RETRIES: u64 = 1 << 8;
const COPIES: u64 = 1 << 9;
const DROPS: u64 = 1 << 10;

/// Appends a point.
pub(super) fn encode(place: u8, point: &Point, out: &mut Vec<u8>) {
    // Requests without a duration are those that were turned away; usually there are none.
    let extra = point.requests.saturating_sub(point.latency.total());
    let failed = point
        .failed
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0);
    let kinds = failed.clone().fold(0, |kinds, (kind, _)| kinds | 1 << kind);
    let numbers = [
        (REQUEST_BYTES, point.request_bytes),
        (RESPONSE_BYTES, point.response_bytes),
        (IN_FLIGHT, point.in_flight),
        (STREAMS, point.streams_open),
        (EXTRA, extra),
        (RETRIES, point.retries),
        (COPIES, point.copies),
        (DROPS, point.drops),
    ];
    let histograms = [(LATENCY, &point.latency), (FIRST_BYTE, &point.first_byte)];
    let mut mask = if kinds == 0 { 0 } else { FAILED };
    for (bit, _) in numbers.iter().filter(|(_, number)| *number > 0) {
        mask |= bit;
    }
    for (bit, _) in histograms.iter().filter(|(_, held)| !held.slots.is_empty()) {
        mask |= bit;
    }
    out.push(place);
    write(mask, out);
    for (_, held) in histograms.iter().filter(|(bit, _)| mask & bit != 0) {
        write_histogram(held, out);
    }
    if kinds != 0 {
        write(kinds, out);
        failed.for_each(|(_, &count)| write(count, out));
    }
    for (_, number) in numbers.iter().filter(|(bit, _)| mask & bit != 0) {
        write(*number, out);
    }
}

/// Reads a chunk, point by point.
pub(super) fn decode(mut bytes: &[u8], mut each: impl FnMut(u8, Point)) -> Result<(), Malformed> {
    while let Some((&place, rest)) = bytes.split_first() {
        bytes = rest;
        let mask = read(&mut bytes)?;
        let mut point = Point::default();
        if mask & LATENCY != 0 {
            point.latency = read_histogram(&mut bytes)?;
        }
        if mask & FIRST_BYTE != 0 {
            point.first_byte = read_histogram(&mut bytes)?;
        }
        if mask & FAILED != 0 {
            let kinds = read(&mut bytes)?;
            if kinds >> Failed::ALL.len() != 0 {
                return Err(Malformed);
            }
            for (kind, count) in point.failed.iter_mut().enumerate() {
                if kinds & 1 << kind != 0 {
                    *count = read(&mut bytes)?;
                }
            }
        }
        let mut extra = 0;
        for (bit, number) in [
            (REQUEST_BYTES, &mut point.request_bytes),
            (RESPONSE_BYTES, &mut point.response_bytes),
            (IN_FLIGHT, &mut point.in_flight),
            (STREAMS, &mut point.streams_open),
            (EXTRA, &mut extra),
            (RETRIES, &mut point.retries),
            (COPIES, &mut point.copies),
            (DROPS, &mut point.drops),
        ] {
            if mask & bit != 0 {
                *number = read(&mut bytes)?;
            }
        }
        point.requests = point.latency.total().checked_add(extra).ok_or(Malformed)?;
        each(place, point);
    }
    Ok(())
}

fn write_histogram(held: &Histogram, out: &mut Vec<u8>) {
    write(held.slots.len() as u64, out);
    let mut next = 0;
    for &(slot, count) in &held.slots {
        let gap = u64::from(slot).saturating_sub(next);
        next = u64::from(slot) + 1;
        let (short_gap, short) = (gap.min(GAP_FOLLOWS), (count - 1).min(COUNT_FOLLOWS));
        out.push((short_gap << 6 | short) as u8);
        if short_gap == GAP_FOLLOWS {
            write(gap - GAP_FOLLOWS, out);
        }
        if short == COUNT_FOLLOWS {
            write(count - 1 - COUNT_FOLLOWS, out);
        }
    }
}

fn read_histogram(bytes: &mut &[u8]) -> Result<Histogram, Malformed> {
    let count = read(bytes)?;
    if count > SLOTS as u64 {
        return Err(Malformed);
    }
    let mut slots = Vec::with_capacity(count as usize);
    let (mut next, mut total) = (0u64, 0u64);
    for _ in 0..count {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        let mut gap = u64::from(byte >> 6);
        if gap == GAP_FOLLOWS {
            gap = read(bytes)?.checked_add(gap).ok_or(Malformed)?;
        }
        let mut count = u64::from(byte & 63);
        if count == COUNT_FOLLOWS {
            count = read(bytes)?.checked_add(count).ok_or(Malformed)?;
        }
        let slot = next.checked_add(gap).filter(|slot| *slot < SLOTS as u64);
        let slot = slot.ok_or(Malformed)?;
        let count = count.checked_add(1).ok_or(Malformed)?;
        total = total.checked_add(count).ok_or(Malformed)?;
        slots.push((slot as u8, count));
        next = slot + 1;
    }
    Ok(Histogram { slots })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection, prelude::*};

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![3 => Just(0), 5 => 1..200u64, 1 => 0..(1u64 << 40)]
    }

    fn histogram() -> impl Strategy<Value = Histogram> {
        let count = prop_oneof![5 => 1..100u64, 1 => 1..(1u64 << 40)];
        let slots: BoxedStrategy<BTreeMap<u8, u64>> =
            collection::btree_map(0..SLOTS as u8, count, 0..30).boxed();
        slots.prop_map(|slots| Histogram {
            slots: slots.into_iter().collect(),
        })
    }

    prop_compose! {
        fn point()(latency in histogram(), first_byte in histogram(), extra in number(),
            failed in prop::array::uniform8(number()), n in prop::array::uniform7(number()))
            -> Point
        {
            Point {
                requests: latency.total() + extra,
                failed, latency, first_byte,
                streams_open: n[0], in_flight: n[1], request_bytes: n[2], response_bytes: n[3],
                retries: n[4], copies: n[5], drops: n[6],
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(points in collection::vec((0..60u8, point()), 0..20)) {
            let mut bytes = Vec::new();
            for (place, point) in &points {
                encode(*place, point, &mut bytes);
            }
            let mut seen = Vec::new();
            decode(&bytes, |place, point| seen.push((place, point))).expect("good");
            prop_assert_eq!(seen, points);
        }

        #[test]
        fn other_bytes_are_refused_or_read_never_worse(bytes in collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, |_, _| {});
        }
    }

    #[test]
    fn an_ordinary_point_is_small() {
        let slots = |from: u8| (from..from + 8).map(|slot| (slot, 3)).collect();
        let point = Point {
            requests: 24,
            latency: Histogram { slots: slots(70) },
            first_byte: Histogram { slots: slots(68) },
            request_bytes: 24_000,
            response_bytes: 99_000,
            in_flight: 1,
            ..Point::default()
        };
        let mut bytes = Vec::new();
        encode(7, &point, &mut bytes);
        assert!(bytes.len() <= 29, "{}", bytes.len());
    }
}
