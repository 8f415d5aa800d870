//! What is declared of places in JSON, worked into the tree before it is compared: what is ignored
//! goes, and arrays in any order are sorted. The comparison itself then knows nothing of places.

use smallvec::SmallVec;

use super::node::{Node, index, order};
use crate::spec::CompareSpec;

/// A wish for places that are reached by the steps that are left.
#[derive(Debug, Clone, Copy)]
struct Wish<'s> {
    steps: &'s [String],
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Ignore,
    Unordered,
}

type Wishes<'s> = SmallVec<[Wish<'s>; 8]>;

/// Applies `ignore` and `unordered`. Both are places as they are written: an index into an unordered
/// array means the item that stands there before anything is sorted.
pub(super) fn normalise(node: &mut Node<'_>, spec: &CompareSpec) {
    let ignore = spec.ignore.iter().map(|pointer| Wish {
        steps: pointer.steps(),
        what: What::Ignore,
    });
    let unordered = spec.unordered.iter().map(|pointer| Wish {
        steps: pointer.steps(),
        what: What::Unordered,
    });
    let wishes: Wishes<'_> = ignore.chain(unordered).collect();
    apply(node, &wishes);
}

/// Whether a step of a declared pointer means this member. A `*` means every one.
pub(super) fn means_member(step: &str, name: &str) -> bool {
    step == "*" || step == name
}

/// Whether a step of a declared pointer means this item. A `*` means every one.
pub(super) fn means_item(step: &str, at: usize) -> bool {
    step == "*" || index(step) == Some(at)
}

fn apply(node: &mut Node<'_>, wishes: &[Wish<'_>]) {
    let is_here = |what| {
        wishes
            .iter()
            .any(|wish| wish.what == what && wish.steps.is_empty())
    };
    if is_here(What::Ignore) {
        *node = Node::Ignored;
        return;
    }
    let is_deeper = wishes.iter().any(|wish| !wish.steps.is_empty());
    match node {
        Node::Object(members) if is_deeper => {
            let mut kept = std::mem::take(members).into_vec();
            for (name, value) in &mut kept {
                apply(value, &behind(wishes, |step| means_member(step, name)));
            }
            kept.retain(|(_, value)| !matches!(value, Node::Ignored));
            *members = kept.into_boxed_slice();
        }
        Node::Array(items) => {
            if is_deeper {
                for (at, item) in items.iter_mut().enumerate() {
                    apply(item, &behind(wishes, |step| means_item(step, at)));
                }
            }
            if is_here(What::Unordered) {
                let mut kept = std::mem::take(items).into_vec();
                kept.retain(|item| !matches!(item, Node::Ignored));
                kept.sort_unstable_by(order);
                *node = Node::Bag(kept.into_boxed_slice());
            }
        }
        _ => {}
    }
}

/// What is wished of the places one step further on.
fn behind<'s>(wishes: &[Wish<'s>], means: impl Fn(&str) -> bool) -> Wishes<'s> {
    let further = |wish: &Wish<'s>| {
        let (step, steps) = wish.steps.split_first()?;
        let what = wish.what;
        means(step).then_some(Wish { steps, what })
    };
    wishes.iter().filter_map(further).collect()
}
