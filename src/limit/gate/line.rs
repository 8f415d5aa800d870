//! Who waits: by class, in each of them the first to come first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{NoTurn, Why};
use crate::{base::clock::Tick, spec::Priority};

/// So many turns in a row may go past somebody of a lower class; then it has one. A class that is asked
/// for more than everything would otherwise starve those below it.
const PASSED_MAX: u32 = 16;

/// The line before a gate. Each place has a number; smaller ones came earlier.
#[derive(Debug, Default)]
pub(super) struct Line {
    classes: [BTreeMap<u64, Arc<Waiter>>; Priority::ALL.len()],
    /// Turns in a row that went past the first of each class.
    passed: [u32; Priority::ALL.len()],
    len: usize,
    next: u64,
}

/// Somebody who waits, and what it is told.
#[derive(Debug)]
pub(super) struct Waiter {
    since: Tick,
    ahead: usize,
    fate: Mutex<Fate>,
    /// When it was handed a turn, in nanoseconds; zero before.
    handed_ns: AtomicU64,
}

#[derive(Debug)]
enum Fate {
    Waits(Option<Waker>),
    Handed(Tick),
    Refused(NoTurn),
}

// === impl Line ===

impl Line {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many of a class wait.
    pub(super) fn len_of(&self, class: Priority) -> usize {
        self.classes[class as usize].len()
    }

    /// How many go before a newcomer.
    pub(super) fn ahead(&self, class: Priority) -> usize {
        self.classes[class as usize..]
            .iter()
            .map(BTreeMap::len)
            .sum()
    }

    /// Whether somebody of a lower class waits.
    pub(super) fn has_below(&self, class: Priority) -> bool {
        let below = &self.classes[..class as usize];
        below.iter().any(|class| !class.is_empty())
    }

    /// Takes a place at the end of a class.
    pub(super) fn push(&mut self, class: Priority, now: Tick) -> (u64, Arc<Waiter>) {
        let waiter = Arc::new(Waiter {
            since: now,
            ahead: self.ahead(class),
            fate: Mutex::new(Fate::Waits(None)),
            handed_ns: AtomicU64::new(0),
        });
        let place = self.next;
        self.next += 1;
        self.len += 1;
        self.classes[class as usize].insert(place, Arc::clone(&waiter));
        (place, waiter)
    }

    /// Whose turn it is: the first of the highest class, unless one below was passed too often.
    pub(super) fn pop(&mut self) -> Option<(Priority, Arc<Waiter>)> {
        let waits = |class: &Priority| !self.classes[*class as usize].is_empty();
        let highest = Priority::ALL.into_iter().rev().find(waits)?;
        let starved = Priority::ALL
            .into_iter()
            .find(|class| waits(class) && self.passed[*class as usize] >= PASSED_MAX);
        let class = starved.unwrap_or(highest);
        for below in Priority::ALL.into_iter().filter(|below| *below < class) {
            let passed = &mut self.passed[below as usize];
            *passed = match self.classes[below as usize].is_empty() {
                true => 0,
                false => *passed + 1,
            };
        }
        self.passed[class as usize] = 0;
        let (_, waiter) = self.classes[class as usize].pop_first()?;
        self.len -= 1;
        Some((class, waiter))
    }

    /// Takes the newest of the lowest class out, which is below `class`.
    pub(super) fn displace(&mut self, class: Priority) -> Option<Arc<Waiter>> {
        let mut below = self.classes[..class as usize].iter_mut();
        let lowest = below.find(|class| !class.is_empty())?;
        let (_, waiter) = lowest.pop_last()?;
        self.len -= 1;
        Some(waiter)
    }

    /// Leaves a place; false when it was taken out before.
    pub(super) fn remove(&mut self, class: Priority, place: u64) -> bool {
        let was_there = self.classes[class as usize].remove(&place).is_some();
        self.len -= usize::from(was_there);
        was_there
    }
}

// === impl Waiter ===

impl Waiter {
    /// Since when it waits.
    pub(super) fn since(&self) -> Tick {
        self.since
    }

    /// How many went before it when it came.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    /// Hands it a turn; it is woken apart from that, behind the gate's lock.
    pub(super) fn hand(&self, now: Tick) {
        self.handed_ns.store(now.as_ns().max(1), Ordering::Relaxed);
    }

    /// Whether it has been handed a turn. To be asked behind the gate's lock.
    pub(super) fn was_handed(&self) -> bool {
        self.handed_ns.load(Ordering::Relaxed) > 0
    }

    /// Tells it of the turn that it was handed.
    pub(super) fn wake(&self) {
        let handed = Tick::from_ns(self.handed_ns.load(Ordering::Relaxed));
        self.tell(Fate::Handed(handed));
    }

    /// Tells it that it had to make place.
    pub(super) fn refuse(&self, retry_ms: u64) {
        let why = Why::Displaced;
        self.tell(Fate::Refused(NoTurn { why, retry_ms }));
    }

    fn tell(&self, fate: Fate) {
        let mut slot = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *slot, fate);
        drop(slot);
        if let Fate::Waits(Some(waker)) = before {
            waker.wake();
        }
    }

    /// What it was told; else the task of `cx` is woken when it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Tick, NoTurn>> {
        let mut slot = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Fate::Handed(at) => Poll::Ready(Ok(*at)),
            Fate::Refused(no) => Poll::Ready(Err(*no)),
            Fate::Waits(Some(known)) if known.will_wake(cx.waker()) => Poll::Pending,
            Fate::Waits(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &mut Line) -> Vec<(Priority, u64)> {
        std::iter::from_fn(|| line.pop())
            .map(|(class, waiter)| (class, waiter.since().as_ns()))
            .collect()
    }

    #[test]
    fn the_first_of_the_highest_class_goes_first() {
        use Priority::{Bulk, Default, Interactive};
        let mut line = Line::default();
        for (at, class) in [Bulk, Default, Interactive, Default, Interactive, Bulk]
            .into_iter()
            .enumerate()
        {
            line.push(class, Tick::from_ns(at as u64));
        }
        assert_eq!((line.ahead(Interactive), line.ahead(Bulk)), (2, 6));
        let expected = [
            (Interactive, 2),
            (Interactive, 4),
            (Default, 1),
            (Default, 3),
            (Bulk, 0),
            (Bulk, 5),
        ];
        assert_eq!(order(&mut line), expected);
        assert_eq!(line.len(), 0);
    }

    #[test]
    fn nobody_is_passed_for_ever() {
        let mut line = Line::default();
        line.push(Priority::Bulk, Tick::from_ns(1));
        line.push(Priority::Default, Tick::from_ns(2));
        for _ in 0..100 {
            line.push(Priority::Interactive, Tick::from_ns(3));
        }
        let order = order(&mut line);
        let at = |class| order.iter().position(|(of, _)| *of == class);
        assert_eq!(at(Priority::Bulk), Some(PASSED_MAX as usize));
        assert_eq!(at(Priority::Default), Some(PASSED_MAX as usize + 1));
        assert_eq!(order.len(), 102);
    }

    #[test]
    fn the_newest_of_the_lowest_class_makes_place_and_never_an_equal() {
        let mut line = Line::default();
        for at in 1..=2 {
            line.push(Priority::Bulk, Tick::from_ns(at));
        }
        line.push(Priority::Default, Tick::from_ns(3));
        assert!(line.displace(Priority::Bulk).is_none());
        let mut gone = || {
            line.displace(Priority::Interactive)
                .map(|w| w.since().as_ns())
        };
        assert_eq!(
            [gone(), gone(), gone(), gone()],
            [Some(2), Some(1), Some(3), None]
        );
        assert_eq!(line.len(), 0);
    }
}
