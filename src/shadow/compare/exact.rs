//! Byte by byte.

use super::{Detail, Found, Uncompared};
use crate::spec::CompareKind;

/// Compares two whole bodies.
pub(super) fn compare(main: &[u8], challenger: &[u8]) -> Found {
    let shorter = main.len().min(challenger.len());
    let longer = main.len().max(challenger.len());
    let first = first(main, challenger).or((shorter < longer).then_some(shorter));
    found(main, challenger, first)
}

/// Compares what was kept of two bodies of which one or both went on.
///
/// # Errors
/// [`Uncompared::TooLarge`] when they may yet be the same.
pub(super) fn compare_cut(
    main: (&[u8], bool),
    challenger: (&[u8], bool),
) -> Result<Found, Uncompared> {
    let ((a, a_is_cut), (b, b_is_cut)) = (main, challenger);
    let shorter = a.len().min(b.len());
    // One that ended, where the other surely went on.
    let a_is_shorter = !a_is_cut && (a.len() < b.len() || (a.len() == b.len() && b_is_cut));
    let b_is_shorter = !b_is_cut && (b.len() < a.len() || (a.len() == b.len() && a_is_cut));
    let end = (a_is_shorter || b_is_shorter).then_some(shorter);
    match first(a, b).or(end) {
        None if a_is_cut || b_is_cut => Err(Uncompared::TooLarge),
        first => Ok(found(a, b, first)),
    }
}

fn first(a: &[u8], b: &[u8]) -> Option<usize> {
    let shorter = a.len().min(b.len());
    if a[..shorter] == b[..shorter] {
        return None;
    }
    a.iter().zip(b).position(|(a, b)| a != b)
}

fn found(a: &[u8], b: &[u8], first: Option<usize>) -> Found {
    let distance = match first {
        None => 0.0,
        Some(_) => {
            // The share of bytes that differ; a length that differs is at least one byte.
            let differ = a.iter().zip(b).filter(|(a, b)| a != b).count();
            let differ = (differ + a.len().abs_diff(b.len())).max(1);
            differ as f64 / a.len().max(b.len()).max(1) as f64
        }
    };
    Found {
        kind: CompareKind::Exact,
        agrees: first.is_none(),
        distance,
        detail: Detail::Exact {
            first: first.map(|at| at as u64),
        },
    }
}
