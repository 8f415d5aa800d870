//! Arrays whose items may come in any order: as many items as possible are paired with one that
//! agrees, and each that is left over is a difference at the array's own place.
//!
//! ```text
//! sorted ──one by one──▶ all agree: done            (the usual case; with numbers never wrong)
//!    └─ some do not ──▶ equal ones paired off ──▶ a largest matching of the rest, if it is small
//!                                             └─▶ else one by one
//! ```
//!
//! That equal items are paired off might cost one of them a neighbour within the tolerance: that counts
//! a difference too many, never one too few. When the looks that a pair is worth are used up, arrays
//! are compared one by one in their sorted order, which takes one look at each value.

use std::cmp::Ordering;

use super::{
    json::Differ,
    node::{Node, order_counted},
};

/// Items of which a largest matching is found, so that whom an item agrees with is the bits of a
/// `u64`.
const REST_MAX: usize = 64;

/// Items that are paired, for they agree.
type Pairs<'a, 'n> = Vec<(&'a Node<'n>, &'a Node<'n>)>;

/// Who agrees with whom, and who is paired with whom.
struct Matching {
    /// For each item of the left, those of the right that it agrees with.
    agree: Vec<u64>,
    /// For each item of the right, its partner.
    partners: [Option<usize>; REST_MAX],
}

impl<'a> Differ<'a> {
    /// Compares two arrays of sorted items.
    pub(super) fn bag<'n>(&mut self, a: &'a [Node<'n>], b: &'a [Node<'n>]) {
        let in_order = || a.iter().zip(b);
        let all_agree = a.len() == b.len() && in_order().all(|(a, b)| self.agree(a, b));
        let pairs = if all_agree {
            in_order().collect()
        } else {
            self.pairs(a, b)
        };
        if self.trials == 0 {
            in_order().for_each(|(a, b)| self.node(a, b));
            return self.alone(a.len().abs_diff(b.len()));
        }
        self.alone(a.len().max(b.len()) - pairs.len());
        if !self.is_trial {
            // For the largest differences of numbers, which a trial forgets.
            pairs.iter().for_each(|(a, b)| self.node(a, b));
        }
    }

    fn alone(&mut self, items: usize) {
        self.differs(u32::try_from(items).unwrap_or(u32::MAX));
    }

    fn pairs<'n>(&mut self, mut a: &'a [Node<'n>], mut b: &'a [Node<'n>]) -> Pairs<'a, 'n> {
        let (mut pairs, mut rest_a, mut rest_b) = (Vec::new(), Vec::new(), Vec::new());
        let mut looked = 0;
        while let (Some((left, a_rest)), Some((right, b_rest))) = (a.split_first(), b.split_first())
        {
            match order_counted(left, right, &mut looked) {
                Ordering::Less => {
                    a = a_rest;
                    rest_a.push(left);
                }
                Ordering::Greater => {
                    b = b_rest;
                    rest_b.push(right);
                }
                Ordering::Equal => {
                    (a, b) = (a_rest, b_rest);
                    pairs.push((left, right));
                }
            }
        }
        self.trials = self.trials.saturating_sub(looked);
        rest_a.extend(a);
        rest_b.extend(b);
        if rest_a.len() <= REST_MAX && rest_b.len() <= REST_MAX {
            pairs.extend(self.matched(&rest_a, &rest_b));
        } else {
            let in_order = rest_a.into_iter().zip(rest_b);
            pairs.extend(in_order.filter(|(a, b)| self.agree(a, b)));
        }
        pairs
    }

    fn matched<'n>(&mut self, a: &[&'a Node<'n>], b: &[&'a Node<'n>]) -> Pairs<'a, 'n> {
        let mut agree = Vec::with_capacity(a.len());
        for left in a {
            let mut row = 0;
            for (at, right) in b.iter().enumerate() {
                row |= u64::from(self.agree(left, right)) << at;
            }
            agree.push(row);
        }
        let mut matching = Matching {
            agree,
            partners: [None; REST_MAX],
        };
        for left in 0..a.len() {
            matching.place(left, &mut 0);
        }
        let pairs = b.iter().zip(matching.partners);
        let pairs = pairs.filter_map(|(right, left)| Some((a[left?], *right)));
        pairs.collect()
    }
}

// === impl Matching ===

impl Matching {
    /// Finds a partner for an item, moving others to another of theirs where that helps (Kuhn's
    /// augmenting paths). `tried` are the partners that have been asked.
    fn place(&mut self, left: usize, tried: &mut u64) -> bool {
        loop {
            let untried = self.agree[left] & !*tried;
            if untried == 0 {
                return false;
            }
            let right = untried.trailing_zeros() as usize;
            *tried |= 1 << right;
            let is_free = match self.partners[right] {
                None => true,
                Some(other) => self.place(other, tried),
            };
            if is_free {
                self.partners[right] = Some(left);
                return true;
            }
        }
    }
}
