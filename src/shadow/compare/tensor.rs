//! Tensors, as the outputs of the Open Inference Protocol (version 2) in JSON:
//! `{"outputs": [{"name", "shape", "datatype", "data"}]}`.
//!
//! Outputs are matched by name, in any order; `data` may be nested or flat. Of numbers the differences
//! are told; of all else (`BOOL`, `BYTES`, and `null`, which some servers write for NaN) an element is
//! the same or differs by 1. The binary extension is no JSON: by `auto` its bodies are compared byte
//! by byte, for they are octet streams, and as declared tensors they are unreadable.

use super::{
    DISTANCE_WORST, Detail, Found, bounded,
    clip::clip,
    figure::{ABS, REL, Tolerance},
    node::{Node, order},
};
use crate::spec::{CompareKind, CompareSpec};

/// An output.
pub(super) struct Output<'n> {
    name: &'n str,
    shape: Vec<u64>,
    datatype: &'n str,
    /// The elements, in row-major order.
    elements: Vec<&'n Node<'n>>,
}

/// What has been found of elements.
#[derive(Default)]
struct Sums {
    max_abs: f64,
    sum_abs: f64,
    elements: u64,
    beyond: u64,
}

/// Characters that are told of a name.
const NAME_CHARS_MAX: usize = 64;

/// Reads the outputs, by name. None when they are none, or not as the protocol has them.
pub(super) fn read<'n>(text: &'n Node<'n>) -> Option<Vec<Output<'n>>> {
    let Node::Array(outputs) = text.member("outputs")? else {
        return None;
    };
    let outputs: Option<Vec<_>> = outputs.iter().map(output).collect();
    let mut outputs = outputs.filter(|outputs| !outputs.is_empty())?;
    outputs.sort_by_key(|output| output.name);
    Some(outputs)
}

/// Compares the outputs of two answers.
pub(super) fn compare(spec: &CompareSpec, main: &[Output<'_>], challenger: &[Output<'_>]) -> Found {
    let mut sums = Sums::default();
    let mismatch = mismatch(main, challenger);
    if mismatch.is_none() {
        for (main, challenger) in main.iter().zip(challenger) {
            let tolerance = Tolerance::new(spec, ABS, rel(main.datatype));
            let pairs = main.elements.iter().zip(&challenger.elements);
            pairs.for_each(|(a, b)| sums.add(&tolerance, a, b));
        }
    }
    let distance = match mismatch {
        Some(_) => DISTANCE_WORST,
        None => bounded(sums.max_abs),
    };
    Found {
        kind: CompareKind::Tensor,
        agrees: mismatch.is_none() && sums.beyond == 0,
        distance,
        detail: Detail::Tensor {
            max_abs: sums.max_abs,
            mean_abs: (sums.sum_abs / sums.elements.max(1) as f64).min(f64::MAX),
            elements: sums.elements,
            mismatch,
        },
    }
}

/// The share that is forgiven where none is declared: of the short types one step of their mantissa,
/// of all others the common default.
fn rel(datatype: &str) -> f64 {
    match datatype {
        "FP16" => 1.0 / 1_024.0,
        "BF16" => 1.0 / 128.0,
        _ => REL,
    }
}

fn mismatch(main: &[Output<'_>], challenger: &[Output<'_>]) -> Option<String> {
    if main.len() != challenger.len() {
        let (main, challenger) = (main.len(), challenger.len());
        return Some(format!("{main} outputs, the challenger's are {challenger}"));
    }
    main.iter().zip(challenger).find_map(|(main, challenger)| {
        let (name, _) = clip(main.name, NAME_CHARS_MAX);
        let (other, _) = clip(challenger.name, NAME_CHARS_MAX);
        // Both are sorted, so the lesser name is one that the other side has not.
        if main.name < challenger.name {
            Some(format!("the challenger has no output {name}"))
        } else if main.name > challenger.name {
            Some(format!("only the challenger has an output {other}"))
        } else if main.datatype != challenger.datatype {
            let (a, _) = clip(main.datatype, NAME_CHARS_MAX);
            let (b, _) = clip(challenger.datatype, NAME_CHARS_MAX);
            Some(format!("{name} is {a}, the challenger's {b}"))
        } else if main.shape != challenger.shape {
            let (a, b) = (shown(&main.shape), shown(&challenger.shape));
            Some(format!("{name} has shape {a}, the challenger's {b}"))
        } else {
            None
        }
    })
}

fn shown(shape: &[u64]) -> String {
    let sizes: Vec<_> = shape.iter().take(8).map(u64::to_string).collect();
    let more = if shape.len() > 8 { ", …" } else { "" };
    format!("[{}{more}]", sizes.join(", "))
}

fn output<'n>(node: &'n Node<'n>) -> Option<Output<'n>> {
    let Node::Array(shape) = node.member("shape")? else {
        return None;
    };
    let size = |node: &Node<'_>| match node {
        Node::Number(super::figure::Figure::Whole(size)) => Some(*size),
        _ => None,
    };
    let shape: Vec<_> = shape.iter().map(size).collect::<Option<_>>()?;
    let data = node.member("data")?;
    let Node::Array(_) = data else {
        return None;
    };
    let mut elements = Vec::new();
    flatten(data, &mut elements)?;
    let count = shape
        .iter()
        .try_fold(1_u64, |count, &size| count.checked_mul(size))?;
    (count == elements.len() as u64).then_some(Output {
        name: node.member("name")?.text()?,
        shape,
        datatype: node.member("datatype")?.text()?,
        elements,
    })
}

/// None where an element is an object.
fn flatten<'n>(node: &'n Node<'n>, elements: &mut Vec<&'n Node<'n>>) -> Option<()> {
    match node {
        Node::Array(items) => items.iter().try_for_each(|item| flatten(item, elements)),
        Node::Object(_) => None,
        element => {
            elements.push(element);
            Some(())
        }
    }
}

// === impl Sums ===

impl Sums {
    fn add(&mut self, tolerance: &Tolerance, a: &Node<'_>, b: &Node<'_>) {
        self.elements += 1;
        let (abs, is_within) = match (a, b) {
            (Node::Number(a), Node::Number(b)) => match a.difference(*b) {
                None => return,
                Some(found) => (found.abs, tolerance.forgives(*a, *b, found)),
            },
            _ if order(a, b).is_eq() => return,
            _ => (1.0, false),
        };
        self.max_abs = self.max_abs.max(abs);
        self.sum_abs += abs;
        self.beyond += u64::from(!is_within);
    }
}
