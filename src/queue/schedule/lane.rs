//! What one key has waiting at one deployment.

use std::collections::{BTreeMap, VecDeque};

use crate::base::async_id::Position;

/// What one key has waiting at one deployment.
#[derive(Debug, Default)]
pub(super) struct LaneQueue {
    /// In the order of their positions, with their weights; a weight of 0 stands for one that was
    /// taken out.
    fresh: VecDeque<(Position, u32)>,
    /// How many of `fresh` were taken out.
    holes: usize,
    /// Had their turn before, and go first.
    again: BTreeMap<Position, u32>,
    /// How many wait elsewhere for their next attempt.
    pub(super) later: usize,
    pub(super) running: u32,
    pub(super) in_ring: bool,
    /// What the lane may still spend in this turn.
    pub(super) deficit: u32,
    /// Whether it was credited for this turn.
    pub(super) credited: bool,
}

impl LaneQueue {
    pub(super) fn push(&mut self, position: Position, weight: u32) {
        // Nearly always the last: a place is given before the request is durable, and those that
        // were slow to upload come a little late.
        let at = match self.fresh.back() {
            Some((last, _)) if *last > position => {
                self.fresh.partition_point(|(other, _)| *other < position)
            }
            _ => self.fresh.len(),
        };
        self.fresh.insert(at, (position, weight.max(1)));
    }

    pub(super) fn push_again(&mut self, position: Position, weight: u32) {
        self.again.insert(position, weight.max(1));
    }

    pub(super) fn remove(&mut self, position: Position) -> bool {
        if self.again.remove(&position).is_some() {
            return true;
        }
        let Ok(at) = self
            .fresh
            .binary_search_by_key(&position, |(other, _)| *other)
        else {
            return false;
        };
        if self.fresh[at].1 == 0 {
            return false;
        }
        self.fresh[at].1 = 0;
        self.holes += 1;
        // Marked, not moved: taking 100,000 out one by one would move a million times as many.
        // Holes never make up more than half.
        if self.holes * 2 > self.fresh.len() {
            self.fresh.retain(|(_, weight)| *weight > 0);
            self.holes = 0;
        }
        self.skip_holes();
        true
    }

    pub(super) fn pop(&mut self) -> Option<(Position, u32)> {
        let next = match self.again.pop_first() {
            Some(next) => next,
            None => self.fresh.pop_front()?,
        };
        self.skip_holes();
        Some(next)
    }

    pub(super) fn next_weight(&self) -> Option<u32> {
        let again = self.again.first_key_value().map(|(_, weight)| *weight);
        again.or_else(|| self.fresh.front().map(|(_, weight)| *weight))
    }

    pub(super) fn has_ready(&self) -> bool {
        self.next_weight().is_some()
    }

    pub(super) fn ready(&self) -> u64 {
        (self.again.len() + self.fresh.len() - self.holes) as u64
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        let fresh = self.fresh.iter().filter(|(_, weight)| *weight > 0);
        let fresh = fresh.map(|(position, _)| *position);
        self.again.keys().copied().chain(fresh)
    }

    pub(super) fn oldest(&self) -> Option<Position> {
        let again = self.again.first_key_value().map(|(position, _)| *position);
        let fresh = self.fresh.front().map(|(position, _)| *position);
        again.into_iter().chain(fresh).min()
    }

    pub(super) fn is_over(&self) -> bool {
        !self.has_ready() && self.later == 0 && self.running == 0
    }

    /// Keeps what stands first in `fresh` something that waits.
    fn skip_holes(&mut self) {
        while let Some((_, 0)) = self.fresh.front() {
            self.fresh.pop_front();
            self.holes -= 1;
        }
        // A lane that held very many is not to hold their room for ever.
        if self.fresh.capacity() > 4_096 && self.fresh.len() * 4 < self.fresh.capacity() {
            self.fresh.shrink_to(self.fresh.len() * 2);
        }
    }
}
