//! Whose turn it is: an order over what waits, in memory, rebuilt from the store at start.
//!
//! ```text
//! group: a deployment          lane: one key in it
//!   ring of groups in turn ──▶   ring of lanes in turn ──▶ again (older, tried before), then fresh
//!                                                             ▲ due
//!                                                           later: waits for its next attempt
//! ```
//!
//! Between lanes it is deficit round robin (Shreedhar and Varghese, 1995): a lane whose turn comes is
//! credited [`QUANTUM`] and serves what that pays for, so that a key with large bodies does not get
//! more than one with small ones, and one that floods waits for itself. On top of it a lane that
//! holds more than its part of the running ones stands back while another has something: without
//! that, slow requests of one key would sit in every slot. A place costs 16 bytes here, whatever the
//! size of what waits.
//!
//! Nothing in here knows the time or the store: both are arguments, or the caller's.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};

use self::lane::LaneQueue;
use crate::{
    base::{async_id::Position, secret::KeyDigest},
    store::Lane,
};

/// What a lane is credited at each of its turns.
const QUANTUM: u32 = 1;

/// The most that one request costs its lane.
pub(super) const WEIGHT_MAX: u32 = 64;

/// A deployment, in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) deployment: String,
    pub(super) life: u32,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) lane: Lane,
    pub(super) position: Position,
    pub(super) weight: u32,
}

/// How a group stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) queued: u64,
    pub(super) later: u64,
    pub(super) running: u32,
    pub(super) oldest: Option<Position>,
}

/// The order of everything that waits.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    groups: HashMap<GroupKey, Group>,
    /// Groups that have something ready.
    ring: VecDeque<GroupKey>,
    running: u32,
    queued: u64,
}

#[derive(Debug, Default)]
struct Group {
    lanes: HashMap<KeyDigest, LaneQueue>,
    /// Lanes that have something ready; the first is served next.
    ring: VecDeque<KeyDigest>,
    /// By when they are due.
    later: BTreeMap<(u64, Position), (KeyDigest, u32)>,
    /// When each of `later` is due.
    due: HashMap<Position, u64>,
    in_ring: bool,
    running: u32,
}

// === impl Schedule ===

impl Schedule {
    /// Something new waits.
    pub(super) fn push(&mut self, lane: &Lane, position: Position, weight: u32) {
        let group = self.group(lane);
        group.lane(lane.owner).push(position, weight);
        group.line_up(lane.owner);
        self.queued += 1;
        self.line_up(lane);
    }

    /// Something that had its turn before waits again: from `due_at_ms` on, or now. Older than what
    /// came later, it goes first in its lane.
    pub(super) fn push_again(
        &mut self,
        lane: &Lane,
        position: Position,
        weight: u32,
        due_at_ms: Option<u64>,
    ) {
        self.queued += 1;
        let group = self.group(lane);
        if let Some(due) = due_at_ms {
            group.later.insert((due, position), (lane.owner, weight));
            group.due.insert(position, due);
            group.lane(lane.owner).later += 1;
            return;
        }
        group.lane(lane.owner).push_again(position, weight);
        group.line_up(lane.owner);
        self.line_up(lane);
    }

    /// Takes something out; false when it does not wait.
    pub(super) fn remove(&mut self, lane: &Lane, position: Position) -> bool {
        let key = GroupKey::of(lane);
        let Some(group) = self.groups.get_mut(&key) else {
            return false;
        };
        let removed = group.remove(lane.owner, position);
        if removed {
            self.queued -= 1;
            self.tidy(&key);
        }
        removed
    }

    /// Makes something that waits for its next attempt ready at once; false when it does not.
    pub(super) fn hurry(&mut self, lane: &Lane, position: Position) -> bool {
        let Some(group) = self.groups.get_mut(&GroupKey::of(lane)) else {
            return false;
        };
        let Some(&due) = group.due.get(&position) else {
            return false;
        };
        group.make_ready((due, position));
        self.line_up(lane);
        true
    }

    /// Makes ready what is due.
    pub(super) fn promote(&mut self, now_ms: u64) {
        let mut ready = Vec::new();
        for (key, group) in &mut self.groups {
            while let Some((&(due, position), _)) = group.later.first_key_value()
                && due <= now_ms
            {
                group.make_ready((due, position));
            }
            if !group.in_ring && !group.ring.is_empty() {
                group.in_ring = true;
                ready.push(key.clone());
            }
        }
        self.ring.extend(ready);
    }

    /// When the next one is due that is not ready.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        let firsts = self.groups.values();
        firsts
            .filter_map(|group| group.later.first_key_value())
            .map(|((due, _), _)| *due)
            .min()
    }

    /// Up to `limit` that may begin, the groups in turn; `room` says how many more of a group may,
    /// and is asked once for each. Those that are picked count as running until [`Schedule::done`].
    pub(super) fn pick(
        &mut self,
        limit: usize,
        mut room: impl FnMut(&GroupKey, u32) -> u32,
    ) -> Vec<Pick> {
        let mut picks = Vec::new();
        let mut open: Vec<(GroupKey, u32)> = Vec::new();
        for key in &self.ring {
            let running = self.groups.get(key).map_or(0, |group| group.running);
            let room = room(key, running);
            if room > 0 {
                open.push((key.clone(), room));
            }
        }
        let mut last = None;
        while picks.len() < limit && !open.is_empty() {
            open.retain_mut(|(key, room)| {
                if picks.len() >= limit {
                    return true;
                }
                let Some(group) = self.groups.get_mut(key) else {
                    return false;
                };
                let slots = group.running + *room;
                let Some((owner, position, weight)) = group.pick(slots) else {
                    return false;
                };
                self.queued -= 1;
                self.running += 1;
                picks.push(Pick {
                    lane: key.lane(owner),
                    position,
                    weight,
                });
                last = Some(key.clone());
                *room -= 1;
                *room > 0
            });
        }
        if let Some(last) = last {
            // Whoever comes behind the last one served is first next time.
            if let Some(at) = self.ring.iter().position(|key| *key == last) {
                self.ring.rotate_left(at + 1);
            }
        }
        let groups = &mut self.groups;
        self.ring.retain(|key| {
            let Some(group) = groups.get_mut(key) else {
                return false;
            };
            group.in_ring = !group.ring.is_empty();
            group.in_ring
        });
        picks
    }

    /// One of this lane runs no more.
    pub(super) fn done(&mut self, lane: &Lane) {
        let key = GroupKey::of(lane);
        self.running = self.running.saturating_sub(1);
        if let Some(group) = self.groups.get_mut(&key) {
            group.running = group.running.saturating_sub(1);
            if let Some(queue) = group.lanes.get_mut(&lane.owner) {
                queue.running = queue.running.saturating_sub(1);
            }
            group.tidy(lane.owner);
        }
        self.tidy(&key);
    }

    /// How many run.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// Whether any may be ready.
    pub(super) fn has_ready(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Every group.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupKey> {
        self.groups.keys()
    }

    /// Some of what waits in a group, in no order that matters; they go on waiting.
    pub(super) fn some_of(&self, key: &GroupKey, limit: usize) -> Vec<(KeyDigest, Position)> {
        let Some(group) = self.groups.get(key) else {
            return Vec::new();
        };
        let ready = group.lanes.iter().flat_map(|(owner, lane)| {
            let positions = lane.positions();
            positions.map(move |position| (*owner, position))
        });
        let later = group.later.iter();
        let later = later.map(|((_, position), (owner, _))| (*owner, *position));
        ready.chain(later).take(limit).collect()
    }

    /// How a group stands.
    pub(super) fn standing(&self, key: &GroupKey) -> Standing {
        self.groups
            .get(key)
            .map_or_else(Standing::default, Group::standing)
    }

    fn group(&mut self, lane: &Lane) -> &mut Group {
        self.groups.entry(GroupKey::of(lane)).or_default()
    }

    fn line_up(&mut self, lane: &Lane) {
        let key = GroupKey::of(lane);
        if let Some(group) = self.groups.get_mut(&key)
            && !group.in_ring
            && !group.ring.is_empty()
        {
            group.in_ring = true;
            self.ring.push_back(key);
        }
    }

    fn tidy(&mut self, key: &GroupKey) {
        let over = self.groups.get(key).is_some_and(Group::is_over);
        if over {
            self.groups.remove(key);
            self.ring.retain(|other| other != key);
        }
    }
}

// === impl Group ===

impl Group {
    fn lane(&mut self, owner: KeyDigest) -> &mut LaneQueue {
        self.lanes.entry(owner).or_default()
    }

    fn line_up(&mut self, owner: KeyDigest) {
        let lane = self.lanes.entry(owner).or_default();
        if !lane.in_ring && lane.has_ready() {
            lane.in_ring = true;
            lane.deficit = 0;
            lane.credited = false;
            self.ring.push_back(owner);
        }
    }

    fn make_ready(&mut self, key: (u64, Position)) {
        let Some((owner, weight)) = self.later.remove(&key) else {
            return;
        };
        self.due.remove(&key.1);
        let lane = self.lane(owner);
        lane.later = lane.later.saturating_sub(1);
        lane.push_again(key.1, weight);
        self.line_up(owner);
    }

    fn remove(&mut self, owner: KeyDigest, position: Position) -> bool {
        let Some(lane) = self.lanes.get_mut(&owner) else {
            return false;
        };
        let mut removed = lane.remove(position);
        if !removed && let Some(due) = self.due.remove(&position) {
            self.later.remove(&(due, position));
            lane.later -= 1;
            removed = true;
        }
        self.tidy(owner);
        removed
    }

    /// Takes a lane that has nothing ready out of the ring, and forgets one that has nothing at all.
    fn tidy(&mut self, owner: KeyDigest) {
        let Some(lane) = self.lanes.get_mut(&owner) else {
            return;
        };
        if lane.in_ring && !lane.has_ready() {
            lane.in_ring = false;
            self.ring.retain(|other| *other != owner);
        }
        if lane.is_over() {
            self.lanes.remove(&owner);
        }
    }

    /// The next of this group. `slots`: how many of it may run in all.
    fn pick(&mut self, slots: u32) -> Option<(KeyDigest, Position, u32)> {
        let lanes = u32::try_from(self.ring.len()).unwrap_or(u32::MAX);
        let part = slots.div_ceil(lanes.max(1)).max(1);
        let modest = |lane: &LaneQueue| lane.running < part;
        let within = self
            .ring
            .iter()
            .any(|owner| self.lanes.get(owner).is_some_and(modest));
        // Each round credits every lane that may go first, and none costs more than WEIGHT_MAX.
        let turns = self.ring.len() * (WEIGHT_MAX as usize / QUANTUM as usize + 1);
        for _ in 0..turns {
            let owner = *self.ring.front()?;
            let lane = self.lanes.get_mut(&owner)?;
            if within && !modest(lane) {
                lane.credited = false;
                self.ring.rotate_left(1);
                continue;
            }
            if !lane.credited {
                lane.credited = true;
                lane.deficit += QUANTUM;
            }
            let weight = lane.next_weight()?;
            if weight > lane.deficit {
                lane.credited = false;
                self.ring.rotate_left(1);
                continue;
            }
            let (position, weight) = lane.pop()?;
            lane.deficit -= weight;
            lane.running += 1;
            self.running += 1;
            match lane.next_weight() {
                None => {
                    lane.in_ring = false;
                    self.ring.pop_front();
                }
                Some(next) if next > lane.deficit => {
                    lane.credited = false;
                    self.ring.rotate_left(1);
                }
                Some(_) => {}
            }
            return Some((owner, position, weight));
        }
        None
    }

    fn standing(&self) -> Standing {
        let later = self.later.len() as u64;
        let ready: u64 = self.lanes.values().map(LaneQueue::ready).sum();
        let of_later = self.later.keys().map(|(_, position)| *position).min();
        let of_lanes = self.lanes.values().filter_map(LaneQueue::oldest).min();
        Standing {
            queued: ready + later,
            later,
            running: self.running,
            oldest: of_later.into_iter().chain(of_lanes).min(),
        }
    }

    fn is_over(&self) -> bool {
        self.lanes.is_empty() && self.later.is_empty() && self.running == 0
    }
}

// === impl GroupKey ===

impl GroupKey {
    pub(super) fn of(lane: &Lane) -> Self {
        Self {
            deployment: lane.deployment.clone(),
            life: lane.life,
        }
    }

    fn lane(&self, owner: KeyDigest) -> Lane {
        Lane {
            deployment: self.deployment.clone(),
            life: self.life,
            owner,
        }
    }
}
