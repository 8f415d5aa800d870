//! The same value at a pointer: a string, a number, `true`, `false` or `null`.
//!
//! Numbers are the same by value, so that 1 and 1.0 are one label. The string `"1"` is another one.

use super::{Detail, Found, clip::clip, node::Node, node::order};
use crate::spec::CompareKind;

/// Characters that are told of a label.
const LABEL_CHARS_MAX: usize = 64;

/// The label at a place.
pub(super) fn read<'n, 'a>(at: Option<&'n Node<'a>>) -> Option<&'n Node<'a>> {
    let is_label = |node: &&Node<'_>| {
        matches!(
            node,
            Node::Text(_) | Node::Number(_) | Node::Bool(_) | Node::Null
        )
    };
    at.filter(is_label)
}

/// Compares two labels.
pub(super) fn compare(main: &Node<'_>, challenger: &Node<'_>) -> Found {
    let agrees = order(main, challenger).is_eq();
    let (mut main_shown, mut challenger_shown) = (shown(main), shown(challenger));
    if !agrees && main_shown == challenger_shown {
        // Of two kinds: quotes tell them apart. A label in two forms at once would look like a bug.
        main_shown = quoted(main, main_shown);
        challenger_shown = quoted(challenger, challenger_shown);
    }
    Found {
        kind: CompareKind::Label,
        agrees,
        distance: if agrees { 0.0 } else { 1.0 },
        detail: Detail::Label {
            main: main_shown,
            challenger: challenger_shown,
        },
    }
}

fn shown(label: &Node<'_>) -> String {
    match label {
        Node::Text(text) => match clip(text, LABEL_CHARS_MAX) {
            (head, true) => clip(head, LABEL_CHARS_MAX - 1).0.to_owned() + "…",
            (whole, false) => whole.to_owned(),
        },
        Node::Number(figure) => figure.shown(),
        Node::Bool(value) => value.to_string(),
        _ => "null".to_owned(),
    }
}

fn quoted(label: &Node<'_>, shown: String) -> String {
    match label {
        Node::Text(_) => format!("\"{shown}\""),
        _ => shown,
    }
}
