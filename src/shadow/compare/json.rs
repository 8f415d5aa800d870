//! JSON: the same structure, numbers within their tolerance.
//!
//! The order of members does not matter, and a name that comes twice counts once. Numbers are equal
//! by value, however they are written. Each value that differs is one difference, and so is each
//! member or item that only one side has.

use super::{
    DIFFERENCES_MAX, Detail, Found, bounded,
    clip::clip,
    figure::{ABS, Figure, REL, Tolerance},
    node::{Member, Node},
    normal::normalise,
};
use crate::spec::{CompareKind, CompareSpec, JsonPointer};

/// Places that are told of one pair.
const PLACES_MAX: usize = 8;
/// Characters that are told of a place: names come from the answers, and may be long.
const PLACE_CHARS_MAX: usize = 256;
/// Values that are looked at to match items of unordered arrays, for one pair: some tens of
/// milliseconds. Arrays that agree in their sorted order agree even so.
const TRIALS_MAX: u32 = 1 << 20;

/// A comparison under way.
pub(super) struct Differ<'a> {
    tolerance: Tolerance,
    /// Found so far.
    pub(super) differences: u32,
    /// Where it stops.
    enough: u32,
    max_abs: f64,
    max_rel: f64,
    path: Vec<Step<'a>>,
    places: Vec<String>,
    /// Whether it only asks if two items agree.
    pub(super) is_trial: bool,
    /// Values that may still be looked at in trials.
    pub(super) trials: u32,
}

/// The way to where it is.
#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// Compares two texts.
pub(super) fn compare<'a>(spec: &CompareSpec, main: &mut Node<'a>, other: &mut Node<'a>) -> Found {
    if !spec.ignore.is_empty() || !spec.unordered.is_empty() {
        normalise(main, spec);
        normalise(other, spec);
    }
    let mut differ = Differ::new(Tolerance::new(spec, ABS, REL));
    differ.node(main, other);
    differ.found()
}

/// Two texts that agree, and whose numbers differ by so much at the most.
pub(super) fn agreed(max_abs: f64, max_rel: f64) -> Found {
    let spec = CompareSpec::default();
    let differ = Differ {
        max_abs,
        max_rel,
        ..Differ::new(Tolerance::new(&spec, ABS, REL))
    };
    differ.found()
}

// === impl Differ ===

impl<'a> Differ<'a> {
    fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            differences: 0,
            enough: DIFFERENCES_MAX,
            max_abs: 0.0,
            max_rel: 0.0,
            path: Vec::new(),
            places: Vec::new(),
            is_trial: false,
            trials: TRIALS_MAX,
        }
    }

    fn found(self) -> Found {
        // Differences count; the share by which numbers differ, 2 at most, parts those of like count.
        let distance = bounded(f64::from(self.differences) + self.max_rel / 2.0);
        Found {
            kind: CompareKind::Json,
            agrees: self.differences == 0,
            distance,
            detail: Detail::Json {
                differences: self.differences,
                places: self.places,
                max_abs: self.max_abs,
                max_rel: self.max_rel,
            },
        }
    }

    /// Compares two values.
    pub(super) fn node(&mut self, a: &'a Node<'_>, b: &'a Node<'_>) {
        if self.is_trial {
            self.trials = self.trials.saturating_sub(1);
            if self.trials == 0 {
                // Whoever asks sees that nothing is left, and finds out in another way.
                return self.differs(1);
            }
        }
        match (a, b) {
            (Node::Ignored, _) | (_, Node::Ignored) | (Node::Null, Node::Null) => {}
            (Node::Bool(a), Node::Bool(b)) if a == b => {}
            (Node::Text(a), Node::Text(b)) if a == b => {}
            (Node::Number(a), Node::Number(b)) => self.number(*a, *b),
            (Node::Array(a), Node::Array(b)) => self.array(a, b),
            (Node::Bag(a), Node::Bag(b)) => self.bag(a, b),
            (Node::Object(a), Node::Object(b)) => self.object(a, b),
            _ => self.differs(1),
        }
    }

    /// Notes differences where it is.
    pub(super) fn differs(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.differences = self.differences.saturating_add(count).min(self.enough);
        if !self.is_trial && self.places.len() < PLACES_MAX {
            self.places.push(self.place());
        }
    }

    /// Whether two values agree. Nothing is noted, but what it cost.
    pub(super) fn agree(&mut self, a: &'a Node<'_>, b: &'a Node<'_>) -> bool {
        let kept = (self.differences, self.enough, self.is_trial);
        let (max_abs, max_rel, depth) = (self.max_abs, self.max_rel, self.path.len());
        (self.differences, self.enough, self.is_trial) = (0, 1, true);
        self.node(a, b);
        let agree = self.differences == 0;
        (self.differences, self.enough, self.is_trial) = kept;
        (self.max_abs, self.max_rel) = (max_abs, max_rel);
        self.path.truncate(depth);
        agree
    }

    fn is_over(&self) -> bool {
        self.differences >= self.enough
    }

    fn number(&mut self, a: Figure, b: Figure) {
        let Some(difference) = a.difference(b) else {
            return;
        };
        self.max_abs = self.max_abs.max(difference.abs);
        self.max_rel = self.max_rel.max(difference.rel);
        if !self.tolerance.forgives(a, b, difference) {
            self.differs(1);
        }
    }

    fn array(&mut self, a: &'a [Node<'_>], b: &'a [Node<'_>]) {
        for at in 0..a.len().max(b.len()) {
            if self.is_over() {
                return;
            }
            self.path.push(Step::Item(at));
            match (a.get(at), b.get(at)) {
                (Some(a), Some(b)) => self.node(a, b),
                (Some(Node::Ignored), None) | (None, Some(Node::Ignored)) | (None, None) => {}
                _ => self.differs(1),
            }
            self.path.pop();
        }
    }

    /// Both are sorted by name.
    fn object(&mut self, mut a: &'a [Member<'_>], mut b: &'a [Member<'_>]) {
        while !self.is_over() {
            let (name, values) = match (a.split_first(), b.split_first()) {
                (Some((left, a_rest)), Some((right, b_rest))) => match left.0.cmp(&right.0) {
                    std::cmp::Ordering::Equal => {
                        (a, b) = (a_rest, b_rest);
                        (&left.0, Some((&left.1, &right.1)))
                    }
                    std::cmp::Ordering::Less => {
                        a = a_rest;
                        (&left.0, None)
                    }
                    std::cmp::Ordering::Greater => {
                        b = b_rest;
                        (&right.0, None)
                    }
                },
                (Some((left, rest)), None) => {
                    a = rest;
                    (&left.0, None)
                }
                (None, Some((right, rest))) => {
                    b = rest;
                    (&right.0, None)
                }
                (None, None) => return,
            };
            self.path.push(Step::Member(name));
            match values {
                Some((a, b)) => self.node(a, b),
                None => self.differs(1),
            }
            self.path.pop();
        }
    }

    fn place(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) => {
                    let (name, _) = clip(name, PLACE_CHARS_MAX);
                    JsonPointer::push(&mut text, name);
                }
                Step::Item(at) => JsonPointer::push(&mut text, &at.to_string()),
            }
        }
        match clip(&text, PLACE_CHARS_MAX) {
            (head, true) => format!("{head}…"),
            (_, false) => text,
        }
    }
}
