//! Header maps that go round: the map of a request becomes the map of an answer, and hyper takes
//! that for its connection's next request. Without it each exchange allocates and frees one.

use std::cell::RefCell;

use http::HeaderMap;

/// Maps kept for each thread; more than a few only wait for a burst to come again.
const SPARE_MAX: usize = 16;

/// A map with room for more headers than this goes back to the system.
const CAPACITY_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for `capacity` headers.
pub fn take(capacity: usize) -> HeaderMap {
    match SPARE.with_borrow_mut(Vec::pop) {
        Some(mut map) => {
            map.reserve(capacity);
            map
        }
        None => HeaderMap::with_capacity(capacity),
    }
}

/// Keeps a map that is needed no more. What it held is dropped at once.
pub fn give(mut map: HeaderMap) {
    if (1..=CAPACITY_MAX).contains(&map.capacity()) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARE_MAX {
                map.clear();
                spare.push(map);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_map_comes_back_empty() {
        let mut map = take(4);
        map.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        map.append(header::ACCEPT, HeaderValue::from_static("text/plain"));
        give(map);
        let again = take(4);
        assert!(again.is_empty() && again.capacity() >= 4);
        assert_eq!(again.get(header::ACCEPT), None);
        give(HeaderMap::with_capacity(1_000));
        assert!(take(1).capacity() <= CAPACITY_MAX);
    }
}
