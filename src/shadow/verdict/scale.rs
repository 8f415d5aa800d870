//! Latencies, counted by how long they are: 64 slots for each doubling, so that a slot's edges are
//! less than 1.6 % apart, from a microsecond to eighteen minutes.
//!
//! A doubling takes memory once something falls into it. The counts below an edge are exact; only
//! where between two edges a latency lies is forgotten.

/// Below this, in nanoseconds, all latencies are one.
const LEAST: u64 = 1 << LEAST_BITS;
const LEAST_BITS: u32 = 10;
/// Doublings above it.
pub(super) const OCTAVES: usize = 30;
/// From here on, all latencies are one.
const MOST: u64 = LEAST << OCTAVES;
/// Slots of a doubling.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 6;
/// Slots in all: one below the doublings, one above.
pub(super) const SLOTS_ALL: usize = OCTAVES * SLOTS + 2;

/// Latencies by how long they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Scale {
    under: u64,
    octaves: [Option<Box<Octave>>; OCTAVES],
    over: u64,
}

/// Latencies of one doubling.
#[derive(Debug, Clone, PartialEq)]
struct Octave {
    total: u64,
    slots: [u64; SLOTS],
}

/// Where a latency of some rank lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// No less than this, in nanoseconds.
    pub(super) low: f64,
    /// Less than this; infinite in the slot above all.
    pub(super) high: f64,
    /// About where between.
    pub(super) about: f64,
}

// === impl Scale ===

impl Scale {
    /// Counts a latency.
    pub(super) fn add(&mut self, ns: u64) {
        self.add_to(slot_of(ns), 1);
    }

    /// Counts some in a slot below [`SLOTS_ALL`].
    pub(super) fn add_to(&mut self, slot: usize, count: u64) {
        let Some(inner) = slot.checked_sub(1) else {
            self.under += count;
            return;
        };
        match self.octaves.get_mut(inner / SLOTS) {
            Some(octave) => {
                let octave = octave.get_or_insert_with(Octave::empty);
                octave.total += count;
                octave.slots[inner % SLOTS] += count;
            }
            None => self.over += count,
        }
    }

    /// The slots with something in them, from the lowest, and how much.
    pub(super) fn held(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let inner = self.octaves.iter().enumerate().flat_map(|(index, octave)| {
            let slots = octave.iter().flat_map(|octave| octave.slots);
            slots
                .enumerate()
                .map(move |(slot, count)| (1 + index * SLOTS + slot, count))
        });
        std::iter::once((0, self.under))
            .chain(inner)
            .chain([(SLOTS_ALL - 1, self.over)])
            .filter(|(_, count)| *count > 0)
    }

    /// Where the latency of `rank` lies, the least having rank 1; none when there are fewer.
    pub(super) fn place(&self, rank: u64) -> Option<Place> {
        let mut rest = rank.checked_sub(1)?;
        if rest < self.under {
            return Some(within(0, rest, self.under));
        }
        rest -= self.under;
        for (index, octave) in self.octaves.iter().enumerate() {
            let Some(octave) = octave else { continue };
            if rest >= octave.total {
                rest -= octave.total;
                continue;
            }
            for (slot, &count) in octave.slots.iter().enumerate() {
                if rest < count {
                    return Some(within(1 + index * SLOTS + slot, rest, count));
                }
                rest -= count;
            }
        }
        (rest < self.over).then(|| within(SLOTS_ALL - 1, rest, self.over))
    }
}

impl Octave {
    fn empty() -> Box<Self> {
        Box::new(Self {
            total: 0,
            slots: [0; SLOTS],
        })
    }
}

// === slots ===

/// The slot of a latency: the place of its highest bit, and the six bits that follow.
fn slot_of(ns: u64) -> usize {
    if ns < LEAST {
        return 0;
    }
    if ns >= MOST {
        return SLOTS_ALL - 1;
    }
    let octave = ns.ilog2() - LEAST_BITS;
    let slot = (ns >> (ns.ilog2() - SLOT_BITS)) as usize - SLOTS;
    1 + octave as usize * SLOTS + slot
}

/// Where the slot begins, in nanoseconds.
fn edge(slot: usize) -> f64 {
    let Some(inner) = slot.checked_sub(1) else {
        return 0.0;
    };
    let width = LEAST << (inner / SLOTS) >> SLOT_BITS;
    ((SLOTS + inner % SLOTS) as u64 * width) as f64
}

/// The place of the one with `before` others of its slot before it, of `count`, as if they were
/// spread evenly.
fn within(slot: usize, before: u64, count: u64) -> Place {
    let low = edge(slot);
    if slot == SLOTS_ALL - 1 {
        return Place {
            low,
            high: f64::INFINITY,
            about: low,
        };
    }
    let high = edge(slot + 1);
    let about = low + (high - low) * (before as f64 + 0.5) / count as f64;
    Place { low, high, about }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;

    fn latency() -> impl Strategy<Value = u64> {
        prop_oneof![
            1 => any::<u64>(),
            1 => 0..4 * LEAST,
            4 => (0..44u32, any::<u64>()).prop_map(|(bits, ns)| ns >> (63 - bits)),
            1 => (MOST - 10)..(MOST + 10),
        ]
    }

    proptest! {
        #[test]
        fn a_latency_lies_between_the_edges_of_its_slot(ns in latency()) {
            let slot = slot_of(ns);
            prop_assert!(slot < SLOTS_ALL);
            prop_assert!(edge(slot) <= ns as f64);
            if slot < SLOTS_ALL - 1 {
                prop_assert!((ns as f64) < edge(slot + 1));
                prop_assert!(slot == 0 || edge(slot + 1) / edge(slot) <= 1.0 + 1.0 / SLOTS as f64);
            }
        }

        #[test]
        fn ranks_lead_to_where_sorting_leads(mut all in collection::vec(latency(), 0..300)) {
            let mut scale = Scale::default();
            all.iter().for_each(|ns| scale.add(*ns));
            all.sort_unstable();
            prop_assert_eq!(scale.place(0), None);
            prop_assert_eq!(scale.place(all.len() as u64 + 1), None);
            for (rank, ns) in (1..).zip(&all) {
                let place = scale.place(rank).expect("there are as many");
                prop_assert!(place.low <= *ns as f64 && (*ns as f64) < place.high);
                prop_assert!(place.low <= place.about && place.about <= place.high);
            }
            let again = scale.held().fold(Scale::default(), |mut again, (slot, count)| {
                again.add_to(slot, count);
                again
            });
            prop_assert_eq!(again, scale);
        }
    }
}
