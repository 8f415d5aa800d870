//! Where JSON texts differ, over many pairs.

use serde::{Deserialize, Serialize};

/// Different places that are counted on their own.
pub const PLACES_MAX: usize = 64;

/// Bytes of a place; what lies deeper is counted at the first parent that fits.
const PLACE_BYTES_MAX: usize = 256;

/// In how many pairs something differs where. The first places that come are kept for good: counts
/// are exact, and what has no place is counted in `more`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Places {
    #[serde(deserialize_with = "bounded")]
    counts: Vec<(Box<str>, u64)>,
    more: u64,
}

/// Reads no more than there is room for.
fn bounded<'de, D>(deserializer: D) -> Result<Vec<(Box<str>, u64)>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let mut counts = Vec::<(Box<str>, u64)>::deserialize(deserializer)?;
    counts.truncate(PLACES_MAX);
    counts.retain(|(place, _)| place.len() <= PLACE_BYTES_MAX);
    Ok(counts)
}

// === impl Places ===

impl Places {
    /// Counts the places of a pair, each of them once however many items of an array differ there.
    pub(super) fn add(&mut self, pointers: &[String]) {
        // A bit for each place that this pair has counted.
        let (mut counted, mut is_more) = (0u64, false);
        for pointer in pointers {
            let Some(place) = self.place(pointer) else {
                is_more = true;
                continue;
            };
            if counted & (1 << place) == 0 {
                counted |= 1 << place;
                let count = &mut self.counts[place].1;
                *count = count.saturating_add(1);
            }
        }
        self.more = self.more.saturating_add(u64::from(is_more));
    }

    fn place(&mut self, pointer: &str) -> Option<usize> {
        let pointer = generalised(pointer);
        let known = self
            .counts
            .iter()
            .position(|(place, _)| **place == *pointer);
        known.or_else(|| {
            let has_room = self.counts.len() < PLACES_MAX;
            has_room.then(|| {
                self.counts.push((pointer.into(), 0));
                self.counts.len() - 1
            })
        })
    }

    /// Pairs that differ at a place, or several, that are not counted on their own.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// The places, as JSON pointers with `*` for the items of an array, and the pairs that differ
    /// there; the most frequent first.
    pub fn top(&self) -> Vec<(&str, u64)> {
        let mut top: Vec<_> = self.counts.iter().map(|(at, n)| (&**at, *n)).collect();
        top.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        top
    }
}

/// A pointer with `*` for each index of an array. From a pointer alone an object's member that is
/// named by digits can not be told from an item, and becomes `*` as well.
fn generalised(pointer: &str) -> String {
    let mut place = String::new();
    for token in pointer.split('/').skip(1) {
        let is_index = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
        let token = if is_index { "*" } else { token };
        if place.len() + 1 + token.len() > PLACE_BYTES_MAX {
            break;
        }
        place.push('/');
        place.push_str(token);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(places: &mut Places, pointers: &[&str]) {
        let pointers: Vec<String> = pointers.iter().map(|&it| it.to_owned()).collect();
        places.add(&pointers);
    }

    #[test]
    fn items_of_an_array_are_one_place_and_count_once_a_pair() {
        let mut places = Places::default();
        add(&mut places, &["/a/0/score", "/a/1/score", "/b"]);
        add(&mut places, &["/a/17/score"]);
        add(&mut places, &["", "/", "/a/1x", "/01/2"]);
        let top = places.top();
        assert_eq!(top[0], ("/a/*/score", 2));
        let mut rest: Vec<_> = top[1..].to_vec();
        rest.sort_unstable();
        let expected = [("", 1), ("/", 1), ("/*/*", 1), ("/a/1x", 1), ("/b", 1)];
        assert_eq!(rest, expected);
        assert_eq!(places.more(), 0);
    }

    #[test]
    fn what_has_no_place_is_counted_once_a_pair() {
        let mut places = Places::default();
        for i in 0..200 {
            add(&mut places, &[&format!("/x{i}"), &format!("/y{i}")]);
        }
        assert_eq!(places.top().len(), PLACES_MAX);
        assert_eq!(places.more(), 200 - 32);
        add(&mut places, &["/x3", "/new"]);
        assert_eq!(places.top()[0], ("/x3", 2));
        assert_eq!(places.more(), 200 - 31);
    }

    #[test]
    fn a_deep_place_is_counted_at_a_parent() {
        let mut places = Places::default();
        let deep = format!("/a/{}/{}", "b".repeat(200), "ü".repeat(100));
        add(&mut places, &[&deep]);
        assert_eq!(places.top()[0].0, format!("/a/{}", "b".repeat(200)));
        add(&mut places, &[&format!("/{}", "c".repeat(1_000))]);
        assert!(places.top().contains(&("", 1)));
    }
}
