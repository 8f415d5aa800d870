//! A number at a pointer, within its tolerance.

use super::{
    Detail, Found, bounded,
    figure::{Figure, REL, Tolerance},
    node::Node,
};
use crate::spec::{CompareKind, CompareSpec};

/// The number at a place. One that is written as a string is none.
pub(super) fn read(at: Option<&Node<'_>>) -> Option<Figure> {
    match at {
        Some(Node::Number(figure)) => Some(*figure),
        _ => None,
    }
}

/// Compares two numbers.
pub(super) fn compare(spec: &CompareSpec, main: Figure, challenger: Figure) -> Found {
    let tolerance = Tolerance::new(spec, 0.0, REL);
    let difference = main.difference(challenger);
    let agrees = difference.is_none_or(|found| tolerance.forgives(main, challenger, found));
    Found {
        kind: CompareKind::Number,
        agrees,
        distance: difference.map_or(0.0, |found| bounded(found.abs)),
        detail: Detail::Number {
            main: main.as_f64(),
            challenger: challenger.as_f64(),
        },
    }
}
