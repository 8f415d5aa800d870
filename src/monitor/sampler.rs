//! What was counted since the last step: the tallies, and how they stood then.

use std::{collections::HashMap, sync::Arc};

use super::{level::STEP_MS, past::Past, point::Point};
use crate::{
    base::name::DeploymentName,
    telemetry::{
        outcome::Role,
        tally::{self, Counts, Tally},
    },
};

/// A series: a deployment in a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: DeploymentName,
    pub(super) is_challenger: bool,
}

/// What was counted since the last step.
pub(super) struct Sampler {
    entries: HashMap<Key, Entry>,
    /// The running step, in steps since 1970.
    step: u64,
}

/// A series as it stood when the running step began.
#[derive(Default)]
struct Entry {
    /// More than one for a moment, when a deployment is made anew while its last exchanges run.
    members: Vec<Member>,
    latency: Past,
    first_byte: Past,
    /// What the last step that ended came to, and which it was.
    last: Option<(u64, Point)>,
}

struct Member {
    tally: Arc<Tally>,
    before: Counts,
    /// It is over, and was read after that.
    is_done: bool,
}

// === impl Key ===

impl Key {
    pub(super) fn new(name: &DeploymentName, role: Role) -> Self {
        Self {
            name: name.clone(),
            is_challenger: role == Role::Challenger,
        }
    }
}

// === impl Sampler ===

impl Sampler {
    /// Begins now: what was counted before belongs to no step.
    pub(super) fn new(now_ms: u64) -> Self {
        let mut sampler = Self {
            entries: HashMap::new(),
            step: now_ms / STEP_MS,
        };
        tally::visit(|all| {
            sampler.meet(all);
            for entry in sampler.entries.values_mut() {
                entry.take();
            }
        });
        sampler
    }

    /// The running step, in steps since 1970.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Ends the running step when the clock shows another, be it a later or an earlier one, or when
    /// it has to end now. Gives it with what happened in it.
    pub(super) fn cut(&mut self, now_ms: u64, now: bool) -> Option<(u64, Vec<(Key, Point)>)> {
        let (step, next) = (self.step, now_ms / STEP_MS);
        if step == next && !now {
            return None;
        }
        self.step = next;
        let mut points = Vec::new();
        tally::visit(|all| {
            // What was read to its end at the last visit; whoever had it let go of it meanwhile, so
            // that nobody can still share its histograms without being in `all`.
            for entry in self.entries.values_mut() {
                entry.members.retain(|member| !member.is_done);
            }
            self.meet(all);
            self.entries.retain(|key, entry| {
                if entry.members.is_empty() {
                    return false;
                }
                let point = entry.take();
                if !point.is_empty() {
                    points.push((key.clone(), point.clone()));
                }
                entry.last = Some((step, point));
                true
            });
        });
        Some((step, points))
    }

    /// Learns of deployments that were made since the running step began.
    pub(super) fn look_around(&mut self) {
        // Those that are over already are read to their end when the step is.
        tally::visit(|all| self.meet(all));
    }

    fn meet(&mut self, all: &[Arc<Tally>]) {
        for tally in all {
            let key = Key::new(tally.name(), tally.role());
            let entry = self.entries.entry(key).or_default();
            let mut members = entry.members.iter();
            if !members.any(|member| Arc::ptr_eq(&member.tally, tally)) {
                entry.members.push(Member {
                    tally: Arc::clone(tally),
                    before: Counts::default(),
                    is_done: false,
                });
            }
        }
    }

    /// What happened in the running step so far.
    pub(super) fn running(&self, key: &Key) -> Option<Point> {
        let point = self.entries.get(key)?.since().0;
        (!point.is_empty()).then_some(point)
    }

    /// The same, and what happened in the step before if there was one.
    pub(super) fn newest(&self, key: &Key) -> Point {
        let Some(entry) = self.entries.get(key) else {
            return Point::default();
        };
        let mut point = entry.since().0;
        if let Some((step, last)) = &entry.last
            && *step + 1 == self.step
        {
            let in_flight = point.in_flight;
            point.add(last);
            // Of those under way, how many there are now is what is asked.
            point.in_flight = in_flight;
        }
        point
    }
}

// === impl Entry ===

impl Entry {
    /// What was counted since the step began, and how things stand now.
    fn since(&self) -> (Point, Vec<Counts>, [Option<Past>; 2]) {
        let (mut point, mut now) = (Point::default(), Vec::new());
        let (mut streams, mut in_flight) = (0, 0);
        for member in &self.members {
            let counts = member.tally.read();
            point.add(&Point::between(&member.before, &counts));
            streams += member.tally.streams_most();
            in_flight += member.tally.in_flight();
            now.push(counts);
        }
        (point.streams_open, point.in_flight) = (streams, in_flight);
        let mut pasts = [None, None];
        // All members write to the same histograms.
        if let Some(member) = self.members.first() {
            let (tally, [latency, first_byte]) = (&member.tally, &mut pasts);
            (point.latency, *latency) = self.latency.since(tally.duration());
            (point.first_byte, *first_byte) = self.first_byte.since(tally.first_byte());
        }
        point.requests += point.latency.total();
        (point, now, pasts)
    }

    /// The same, and the next step begins.
    fn take(&mut self) -> Point {
        // Looked at first: what is over has all its counts in what is read below.
        for member in &mut self.members {
            member.is_done = member.tally.is_over();
        }
        let (point, now, [latency, first_byte]) = self.since();
        for (member, counts) in self.members.iter_mut().zip(now) {
            member.before = counts;
            member.tally.begin_streams();
        }
        if let Some(latency) = latency {
            self.latency = latency;
        }
        if let Some(first_byte) = first_byte {
            self.first_byte = first_byte;
        }
        point
    }
}
