//! A JSON text as a tree that is made to be compared: small nodes, texts borrowed where nothing is
//! escaped, the members of an object in the order of their names.

use std::{borrow::Cow, cell::Cell, cmp::Ordering, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Uncompared, figure::Figure};
use crate::spec::JsonPointer;

/// A value. It takes 24 bytes; the memory of a tree is bounded by [`NODES_MAX`] of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    /// What is not looked at.
    Ignored,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Figure),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Box<[Node<'a>]>),
    /// An array whose items may come in any order: without those ignored, sorted by [`order`].
    Bag(Box<[Node<'a>]>),
    /// An object, sorted by name, each name once.
    Object(Box<[Member<'a>]>),
}

/// A member of an object.
pub(super) type Member<'a> = (Cow<'a, str>, Node<'a>);

/// Values that are read of one text. 16 MiB of floats have fewer; a text with more of them is too
/// large to compare, or two of them would take gigabytes.
pub(super) const NODES_MAX: u32 = 2 << 20;

/// Reads a value, as long as there is room for its nodes.
#[derive(Clone, Copy)]
struct Values<'b>(&'b Cell<u32>);

/// Reads a member's name.
struct Name;

/// Reads a text. Of a name that comes twice the last value counts, as `serde_json` and browsers have
/// it. As deep as 128 levels; `NaN` and numbers beyond all doubles are not JSON.
///
/// # Errors
/// [`Uncompared::Unreadable`], and [`Uncompared::TooLarge`] with more than [`NODES_MAX`] values.
pub(super) fn read(text: &[u8]) -> Result<Node<'_>, Uncompared> {
    let left = Cell::new(NODES_MAX);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let node = Values(&left).deserialize(&mut reader);
    match node.and_then(|node| reader.end().map(|()| node)) {
        Ok(node) => Ok(node),
        Err(_) if left.get() == 0 => Err(Uncompared::TooLarge),
        Err(_) => Err(Uncompared::Unreadable),
    }
}

/// An order over all values: equal are those that say the same, so that 1 and 1.0 are equal.
pub(super) fn order(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    order_counted(a, b, &mut 0)
}

/// The same, which counts the values that it looks at.
pub(super) fn order_counted(a: &Node<'_>, b: &Node<'_>, looked: &mut u32) -> Ordering {
    *looked = looked.saturating_add(1);
    match (a, b) {
        (Node::Bool(a), Node::Bool(b)) => a.cmp(b),
        (Node::Number(a), Node::Number(b)) => a.order(*b),
        (Node::Text(a), Node::Text(b)) => a.cmp(b),
        (Node::Array(a), Node::Array(b)) | (Node::Bag(a), Node::Bag(b)) => {
            let pairs = a.iter().zip(b.iter());
            let mut orders = pairs.map(|(a, b)| order_counted(a, b, looked));
            let length = a.len().cmp(&b.len());
            orders.find(|order| order.is_ne()).unwrap_or(length)
        }
        (Node::Object(a), Node::Object(b)) => {
            let pairs = a.iter().zip(b.iter());
            let mut orders = pairs.map(|((name, a), (other, b))| {
                let names = name.cmp(other);
                names.then_with(|| order_counted(a, b, looked))
            });
            let length = a.len().cmp(&b.len());
            orders.find(|order| order.is_ne()).unwrap_or(length)
        }
        _ => a.rank().cmp(&b.rank()),
    }
}

/// The index that a step of a pointer means in an array, as RFC 6901 writes it: without zeros in front.
pub(super) fn index(step: &str) -> Option<usize> {
    let is_plain = step == "0" || step.starts_with(|c: char| matches!(c, '1'..='9'));
    if is_plain { step.parse().ok() } else { None }
}

// === impl Node ===

impl<'a> Node<'a> {
    /// The value at a pointer. A `*` is a name like any other here.
    pub(super) fn at(&self, pointer: &JsonPointer) -> Option<&Self> {
        let steps = pointer.steps().iter().map(String::as_str);
        self.follow(steps)
    }

    /// The value behind these steps.
    pub(super) fn follow<'s>(&self, mut steps: impl Iterator<Item = &'s str>) -> Option<&Self> {
        steps.try_fold(self, |node, step| match node {
            Node::Object(_) => node.member(step),
            Node::Array(items) => items.get(index(step)?),
            _ => None,
        })
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Node::Object(members) = self else {
            return None;
        };
        let at = members.binary_search_by(|(other, _)| (**other).cmp(name));
        Some(&members[at.ok()?].1)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Node::Ignored => 0,
            Node::Null => 1,
            Node::Bool(_) => 2,
            Node::Number(_) => 3,
            Node::Text(_) => 4,
            Node::Array(_) => 5,
            Node::Bag(_) => 6,
            Node::Object(_) => 7,
        }
    }

    fn object(mut members: Vec<Member<'a>>) -> Self {
        // Stable, so that of the same name the last stays last.
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        Self::Object(members.into_boxed_slice())
    }
}

// === impl Values ===

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node<'de>, D::Error> {
        let left = self.0.get().saturating_sub(1);
        self.0.set(left);
        if left == 0 {
            return Err(de::Error::custom("too many values"));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(Figure::Whole(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(Figure::Signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(Figure::Float(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::Array(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = from.next_key_seed(Name)? {
            members.push((name, from.next_value_seed(self)?));
        }
        Ok(Node::object(members))
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node<'_>>(), 24);
    }

    #[test]
    fn what_is_read() {
        let node = |text: &'static str| read(text.as_bytes()).expect(text);
        assert_eq!(node(r#"{"b":1,"a":2,"b":3}"#), node(r#"{"a":2,"b":3}"#));
        assert_eq!(node(r#"{"b":1,"b":2,"b":3,"b":4}"#), node(r#"{"b":4}"#));
        assert_eq!(node(r#""\u0061""#), node(r#""a""#));
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(deep(127).as_bytes()).is_ok());
        for text in [
            "",
            "NaN",
            "[Infinity]",
            "1e400",
            "{} {}",
            "[1,]",
            "'a'",
            &deep(200),
        ] {
            assert_eq!(read(text.as_bytes()), Err(Uncompared::Unreadable), "{text}");
        }
        assert_eq!(read(b"\"\xff\""), Err(Uncompared::Unreadable));
        let many = format!("[{}0]", "0,".repeat(NODES_MAX as usize));
        assert_eq!(read(many.as_bytes()), Err(Uncompared::TooLarge));
    }

    #[test]
    fn places() {
        let node = read(br#"{"a":[{"b/c":1}],"*":2,"":3}"#).expect("JSON");
        let at = |pointer| node.at(&JsonPointer::parse(pointer).expect("a pointer"));
        let number = |value| Some(Node::Number(Figure::Whole(value)));
        assert_eq!(at("/a/0/b~1c"), number(1).as_ref());
        assert_eq!(at("/*"), number(2).as_ref());
        assert_eq!(at("/"), number(3).as_ref());
        assert_eq!(at(""), Some(&node));
        for nowhere in ["/a/00", "/a/+0", "/a/1", "/a/-", "/a/0/b", "/*/x", "/b"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }
}
