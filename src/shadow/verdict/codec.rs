//! Evidence as bytes.
//!
//! ```text
//! version, then numbers: pairs, compared, agreed, four of errors, n of latencies, main, challenger
//! number = seven bits to a byte, the lowest first
//! main, challenger = how many slots, then for each how many empty ones come before it, and its count
//! ```
//!
//! There is one way to write each evidence, and no other bytes are read.

use super::{
    evidence::{Evidence, Failed, Latency},
    scale::{SLOTS_ALL, Scale},
};

/// The first byte. Bytes with another one are not read: the evidence then begins anew.
const VERSION: u8 = 1;

/// Up to here rounding is little beside what an interval rests on: the logarithms of the gamma function
/// have 53 bits, of which the intervals need what is left behind some 5e14 of them. At 2^53 the ends of
/// an interval change places. A hundred thousand pairs a second take five years to get here.
pub(super) const COUNT_MAX: u64 = 1 << 44;

/// Writes evidence.
pub(super) fn encode(evidence: &Evidence) -> Vec<u8> {
    let Failed {
        none,
        main,
        challenger,
        both,
    } = evidence.failed;
    let Latency { n, .. } = evidence.latency;
    let mut out = vec![VERSION];
    let counts = [evidence.pairs, evidence.compared, evidence.agreed];
    for number in counts.into_iter().chain([none, main, challenger, both, n]) {
        write(number, &mut out);
    }
    for scale in [&evidence.latency.main, &evidence.latency.challenger] {
        write(scale.held().count() as u64, &mut out);
        let mut next = 0;
        for (slot, count) in scale.held() {
            write((slot - next) as u64, &mut out);
            write(count, &mut out);
            next = slot + 1;
        }
    }
    out
}

/// Reads evidence; none when the bytes are no evidence, or one that contradicts itself.
pub(super) fn decode(bytes: &[u8]) -> Option<Evidence> {
    let (&version, mut rest) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let mut numbers = [0; 8];
    for number in &mut numbers {
        *number = read(&mut rest)?;
    }
    let [pairs, compared, agreed, none, main, challenger, both, n] = numbers;
    let judged = none + main + challenger + both;
    if agreed > compared || [compared, judged, n].iter().any(|part| *part > pairs) {
        return None;
    }
    let latency = Latency {
        n,
        main: read_scale(&mut rest, n)?,
        challenger: read_scale(&mut rest, n)?,
    };
    rest.is_empty().then_some(Evidence {
        pairs,
        compared,
        agreed,
        failed: Failed {
            none,
            main,
            challenger,
            both,
        },
        latency,
    })
}

/// Reads a histogram of `n` latencies.
fn read_scale(bytes: &mut &[u8], n: u64) -> Option<Scale> {
    let mut scale = Scale::default();
    let (mut next, mut total) = (0, 0);
    for _ in 0..read(bytes)? {
        let slot = next + read(bytes)?;
        let count = read(bytes)?;
        total += count;
        if slot >= SLOTS_ALL as u64 || count == 0 || total > n {
            return None;
        }
        scale.add_to(slot as usize, count);
        next = slot + 1;
    }
    (total == n).then_some(scale)
}

fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number up to [`COUNT_MAX`], which leaves room for sums of several.
fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..56).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let is_shortest = byte != 0 || shift == 0;
            return (is_shortest && number <= COUNT_MAX).then_some(number);
        }
    }
    None
}
