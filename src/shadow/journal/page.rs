//! Which pairs, in which order, and where the next page begins.

use std::cmp::Ordering;

use super::schema::{CLASSES, DISAGREE};
use crate::base::{id::VersionNumber, name::DeploymentName};

/// Pairs of one page at most.
pub const PAGE_MAX: usize = 1_000;

/// Which pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The deployment's.
    pub name: DeploymentName,
    /// Which of the deployments that have had this name; none: all.
    pub life: Option<u32>,
    /// Of which version; none: all.
    pub version: Option<VersionNumber>,
    /// With which result; none: all.
    pub result: Option<Wanted>,
    /// From this moment on, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Before this moment.
    pub to_ms: Option<u64>,
    /// In which order.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many at most; [`PAGE_MAX`] is the most.
    pub limit: usize,
}

/// Pairs with one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that agree.
    Agree,
    /// Those that disagree.
    Disagree,
    /// Those that were not compared.
    Uncompared,
    /// Those of which one answer was an error, whatever the comparison found.
    Error,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The farthest apart first. Only pairs that disagree have such an order, and only these are shown.
    Worst,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it. It may have fewer than asked for, or none, and still not be the last one: looking
    /// for more would have taken long.
    pub items: Vec<T>,
    /// Where the next one begins; none: this is the last one.
    pub next: Option<Cursor>,
}

/// Where a page ended. What is written later does not move it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    pub(super) order: Order,
    pub(super) at: Position,
}

/// A pair's place among all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    /// 0 where it decides nothing.
    pub(super) distance: f64,
    pub(super) at_ms: u64,
    pub(super) id: u64,
}

// === impl Filter ===

impl Filter {
    /// The newest pairs of a deployment.
    pub fn new(name: DeploymentName) -> Self {
        Self {
            name,
            life: None,
            version: None,
            result: None,
            from_ms: None,
            to_ms: None,
            order: Order::Newest,
            after: None,
            limit: 100,
        }
    }

    /// The classes of pairs that it wants.
    pub(super) fn classes(&self) -> impl Iterator<Item = u8> {
        let (result, order) = (self.result, self.order);
        CLASSES.filter(move |class| {
            let wanted = match result {
                None => true,
                Some(Wanted::Agree) => class / 2 == 0,
                Some(Wanted::Uncompared) => class / 2 == 1,
                Some(Wanted::Disagree) => *class >= DISAGREE,
                Some(Wanted::Error) => class % 2 == 1,
            };
            wanted && (order != Order::Worst || *class >= DISAGREE)
        })
    }
}

// === impl Wanted ===

impl Wanted {
    /// Every result with its word.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("agree", Self::Agree),
        ("disagree", Self::Disagree),
        ("uncompared", Self::Uncompared),
        ("error", Self::Error),
    ];
}

// === impl Order ===

impl Order {
    /// Every order with its word.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("newest", Self::Newest),
        ("oldest", Self::Oldest),
        ("worst", Self::Worst),
    ];

    /// Whether the one comes before the other.
    pub(super) fn compare(self, one: &Position, other: &Position) -> Ordering {
        let by_time = (one.at_ms, one.id).cmp(&(other.at_ms, other.id));
        match self {
            Self::Oldest => by_time,
            Self::Newest => by_time.reverse(),
            Self::Worst => {
                let by_distance = one.distance.total_cmp(&other.distance);
                by_distance.then(by_time).reverse()
            }
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Newest => 'n',
            Self::Oldest => 'o',
            Self::Worst => 'w',
        }
    }
}

// === impl Cursor ===

impl Cursor {
    /// A cursor as it was shown, of a page in this order; none when it is none.
    pub fn parse(text: &str, order: Order) -> Option<Self> {
        let mut parts = text.strip_prefix(order.letter())?.split('-');
        let mut part = || {
            let part = parts.next()?;
            let is_plain = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_plain.then(|| u64::from_str_radix(part, 16).ok())?
        };
        let (distance, at_ms, id) = (f64::from_bits(part()?), part()?, part()?);
        let fits = distance.is_finite() && at_ms.max(id) <= i64::MAX as u64;
        let at = Position {
            distance,
            at_ms,
            id,
        };
        (fits && parts.next().is_none()).then_some(Self { order, at })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Position {
            distance,
            at_ms,
            id,
        } = self.at;
        let distance = distance.to_bits();
        write!(f, "{}{distance:x}-{at_ms:x}-{id:x}", self.order.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_shown_and_for_its_own_order_only() {
        for (_, order) in Order::WORDS {
            for distance in [0.0, 0.25, f64::MAX] {
                let at = Position {
                    distance,
                    at_ms: 1_700_000_000_000,
                    id: 17,
                };
                let cursor = Cursor { order, at };
                let text = cursor.to_string();
                for (_, other) in Order::WORDS {
                    let expected = (other == order).then_some(cursor);
                    assert_eq!(Cursor::parse(&text, other), expected, "{text}");
                }
            }
        }
        for text in [
            "",
            "n",
            "n0-1",
            "n0-1-2-3",
            "n0-+1-2",
            "n0-1-8000000000000000",
            "n7ff0000000000000-1-2",
            "näh",
            "n0--1",
            "n0-1-10000000000000000",
        ] {
            assert_eq!(Cursor::parse(text, Order::Newest), None, "{text}");
        }
    }

    #[test]
    fn each_result_has_its_classes() {
        for (result, order, expected) in [
            (None, Order::Newest, &[0, 1, 2, 3, 4, 5][..]),
            (Some(Wanted::Agree), Order::Oldest, &[0, 1]),
            (Some(Wanted::Uncompared), Order::Newest, &[2, 3]),
            (Some(Wanted::Disagree), Order::Newest, &[4, 5]),
            (Some(Wanted::Error), Order::Newest, &[1, 3, 5]),
            (None, Order::Worst, &[4, 5]),
            (Some(Wanted::Error), Order::Worst, &[5]),
            (Some(Wanted::Agree), Order::Worst, &[]),
        ] {
            let name = DeploymentName::parse("demo/iris").expect("a name");
            let mut filter = Filter::new(name);
            (filter.result, filter.order) = (result, order);
            let classes: Vec<u8> = filter.classes().collect();
            assert_eq!(classes, expected, "{result:?} {order:?}");
        }
    }
}
