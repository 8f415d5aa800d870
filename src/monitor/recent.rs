//! Points that are not in their chunks yet: those of the chunk that is being filled, and of chunks
//! that wait to be written. The journal on the disk has a copy of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    codec,
    level::{Level, STEP_MS},
    point::Point,
    sampler::Key,
};

/// Bytes of points in memory; beyond, the oldest are dropped. Only a disk that takes nothing for
/// hours gets there.
const BYTES_MAX: usize = 32 << 20;

/// The points of one chunk's time, as bytes, by series.
pub(super) type Filling = HashMap<Key, Vec<u8>>;

/// Points that are not in their chunks yet. Chunks are those of the finest level.
#[derive(Default)]
pub(super) struct Recent {
    /// By chunk. Shared with whoever writes one down, while that lasts.
    chunks: BTreeMap<u64, Arc<Filling>>,
    /// What the journal does not have yet.
    unwritten: BTreeMap<u64, Filling>,
    bytes: usize,
    /// Whether it has what the journal has.
    has_begun: bool,
}

// === impl Recent ===

impl Recent {
    /// Takes what happened in a step, given in steps since 1970. Returns how many points had to be
    /// dropped to make room.
    pub(super) fn push(&mut self, step: u64, points: &[(Key, Point)]) -> u64 {
        let (chunk, place) = Level::TenSeconds.place_of(step * STEP_MS / 1_000);
        let filling = Arc::make_mut(self.chunks.entry(chunk).or_default());
        let unwritten = self.unwritten.entry(chunk).or_default();
        let mut bytes = Vec::new();
        for (key, point) in points {
            bytes.clear();
            codec::encode(place, point, &mut bytes);
            self.bytes += bytes.len();
            for map in [&mut *filling, &mut *unwritten] {
                match map.get_mut(key) {
                    Some(held) => held.extend_from_slice(&bytes),
                    None => drop(map.insert(key.clone(), bytes.clone())),
                }
            }
        }
        let mut dropped = 0;
        while self.bytes > BYTES_MAX && self.chunks.len() > 1 {
            if let Some((&oldest, _)) = self.chunks.first_key_value() {
                dropped += self.remove(oldest).map_or(0, |filling| count(&filling));
            }
        }
        dropped
    }

    /// Takes what the journal has of a chunk.
    pub(super) fn restore(&mut self, chunk: u64, key: Key, bytes: &[u8]) {
        self.bytes += bytes.len();
        let filling = Arc::make_mut(self.chunks.entry(chunk).or_default());
        filling.entry(key).or_default().extend_from_slice(bytes);
    }

    /// Whether the journal is still to be read.
    pub(super) fn is_new(&self) -> bool {
        !self.has_begun
    }

    /// The journal has been read.
    pub(super) fn begun(&mut self) {
        self.has_begun = true;
    }

    /// What the journal does not have yet, by chunk.
    pub(super) fn take_unwritten(&mut self) -> BTreeMap<u64, Filling> {
        std::mem::take(&mut self.unwritten)
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&mut self, unwritten: BTreeMap<u64, Filling>) {
        let newer = std::mem::replace(&mut self.unwritten, unwritten);
        // What was dropped meanwhile, or has come to its chunk, is not to be written again.
        let chunks = &self.chunks;
        self.unwritten.retain(|chunk, _| chunks.contains_key(chunk));
        for (chunk, filling) in newer {
            let own = self.unwritten.entry(chunk).or_default();
            for (key, bytes) in filling {
                own.entry(key).or_default().extend_from_slice(&bytes);
            }
        }
    }

    /// The journal is gone: all that is here is to be written anew.
    pub(super) fn forget_written(&mut self) {
        let all = self.chunks.iter();
        self.unwritten = all
            .map(|(chunk, filling)| (*chunk, Filling::clone(filling)))
            .collect();
    }

    /// The chunks that are filled: all but the one that the clock is in.
    pub(super) fn filled(&self, now_ms: u64) -> Vec<(u64, Arc<Filling>)> {
        let (current, _) = Level::TenSeconds.place_of(now_ms / 1_000);
        let filled = self.chunks.iter().filter(|(chunk, _)| **chunk != current);
        filled
            .map(|(chunk, filling)| (*chunk, Arc::clone(filling)))
            .collect()
    }

    /// Lets go of a chunk that was written down as `written`. What came to it since, which only a
    /// clock that is set back can bring about, stays.
    pub(super) fn written(&mut self, chunk: u64, written: &Filling) {
        let Some(filling) = self.remove(chunk) else {
            return;
        };
        let mut more = Filling::new();
        for (key, bytes) in filling.iter() {
            let had = written.get(key).map_or(0, Vec::len);
            if bytes.len() > had {
                more.insert(key.clone(), bytes[had..].to_vec());
            }
        }
        if !more.is_empty() {
            self.bytes += more.values().map(Vec::len).sum::<usize>();
            self.unwritten.insert(chunk, more.clone());
            self.chunks.insert(chunk, Arc::new(more));
        }
    }

    /// Goes through a series' points, with when each began, in seconds since 1970.
    pub(super) fn of(&self, key: &Key, mut each: impl FnMut(u64, Point)) {
        for (chunk, filling) in &self.chunks {
            if let Some(bytes) = filling.get(key) {
                // This program wrote them just now, or they were checked when they were read.
                let _ = codec::decode(bytes, |place, point| {
                    each(Level::TenSeconds.at_s(*chunk, place), point);
                });
            }
        }
    }

    fn remove(&mut self, chunk: u64) -> Option<Arc<Filling>> {
        self.unwritten.remove(&chunk);
        let filling = self.chunks.remove(&chunk)?;
        self.bytes -= filling.values().map(Vec::len).sum::<usize>();
        Some(filling)
    }
}

/// How many points these are.
pub(super) fn count(filling: &Filling) -> u64 {
    let mut count = 0;
    for bytes in filling.values() {
        let _ = codec::decode(bytes, |_, _| count += 1);
    }
    count
}
