//! Lanes: turns are kept apart by the site that they are for, in a fixed number of lanes.
//!
//! With one line for all, ten thousand turns of a receiver that hangs would have to be read past to
//! find the one behind them; with a line for each site, sites would be without bound, as clients
//! name them. A site's attempts are bounded for itself within its lane.

use std::collections::{HashMap, HashSet};

use crate::base::async_id::AsyncId;

/// How many there are: two hexadecimal digits.
pub(crate) const LANES: usize = 256;

/// Which attempts are under way, and when a lane is to be looked at.
pub(crate) struct Lanes {
    /// When the first turn of each lane that can be begun is due; `u64::MAX`: none that is known.
    due: [u64; LANES],
    /// Where the next look begins, so that all lanes with something due have the same share.
    turn: usize,
    under_way: HashSet<AsyncId>,
    sites: HashMap<String, usize>,
    concurrency: usize,
    per_host: usize,
}

/// The lane of a site.
pub(crate) fn lane_of(site: &str) -> u8 {
    blake3::hash(site.as_bytes()).as_bytes()[0]
}

// === impl Lanes ===

impl Lanes {
    pub(crate) fn new(concurrency: usize, per_host: usize) -> Self {
        Self {
            due: [0; LANES],
            turn: 0,
            under_way: HashSet::new(),
            sites: HashMap::new(),
            concurrency: concurrency.max(1),
            per_host: per_host.max(1),
        }
    }

    /// A lane with something due that is to be looked at; until [`Lanes::is_due`] is said of it
    /// again, it has nothing.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<u8> {
        if self.is_full() {
            return None;
        }
        let order = (0..LANES).map(|step| (self.turn + step) % LANES);
        let lane = order.into_iter().find(|&lane| self.due[lane] <= now_ms)?;
        self.turn = (lane + 1) % LANES;
        self.due[lane] = u64::MAX;
        // Below `LANES`, which is 256.
        Some(lane as u8)
    }

    /// Has a lane looked at, at this time at the latest.
    pub(crate) fn is_due(&mut self, lane: u8, at_ms: u64) {
        let due = &mut self.due[usize::from(lane)];
        *due = at_ms.min(*due);
    }

    /// Has every lane looked at.
    pub(crate) fn all_are_due(&mut self) {
        self.due = [0; LANES];
    }

    /// When there is something to do that can be done, should no attempt end before.
    pub(crate) fn first_ms(&self) -> u64 {
        if self.is_full() {
            return u64::MAX;
        }
        self.due.iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Whether as many attempts are under way as may.
    pub(crate) fn is_full(&self) -> bool {
        self.under_way.len() >= self.concurrency
    }

    /// How many are.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Begins an attempt if it may be. If not, one is under way whose end makes the lane due.
    pub(crate) fn begin(&mut self, id: AsyncId, site: &str) -> bool {
        let at_site = self.sites.get(site).copied().unwrap_or(0);
        if self.is_full() || at_site >= self.per_host || !self.under_way.insert(id) {
            return false;
        }
        self.sites.insert(site.to_owned(), at_site + 1);
        true
    }

    /// Ends an attempt.
    pub(crate) fn end(&mut self, id: AsyncId, site: &str) {
        self.under_way.remove(&id);
        match self.sites.get_mut(site) {
            Some(at_site) if *at_site > 1 => *at_site -= 1,
            _ => drop(self.sites.remove(site)),
        }
        self.is_due(lane_of(site), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::async_id::Position;

    fn id(number: u64) -> AsyncId {
        AsyncId::of(Position::at(number), [0; 16])
    }

    #[test]
    fn so_many_at_once_and_so_many_of_a_site() {
        let mut lanes = Lanes::new(3, 2);
        assert!(lanes.begin(id(1), "a:80"));
        assert!(!lanes.begin(id(1), "a:80"), "it is under way");
        assert!(lanes.begin(id(2), "a:80"));
        assert!(
            !lanes.begin(id(3), "a:80"),
            "its site has as many as it may"
        );
        assert!(lanes.begin(id(4), "b:80"));
        assert!(lanes.is_full() && !lanes.begin(id(5), "c:80"));
        assert_eq!((lanes.next(9), lanes.first_ms()), (None, u64::MAX));
        lanes.end(id(1), "a:80");
        assert!(lanes.begin(id(3), "a:80"));
        for (number, site) in [(2, "a:80"), (3, "a:80"), (4, "b:80")] {
            lanes.end(id(number), site);
        }
        assert!(lanes.sites.is_empty() && lanes.under_way() == 0);
    }

    #[test]
    fn lanes_that_are_due_take_turns() {
        let mut lanes = Lanes::new(1, 1);
        let looked: Vec<_> = std::iter::from_fn(|| lanes.next(0)).collect();
        assert_eq!(looked, (0..=255).collect::<Vec<u8>>());
        lanes.is_due(9, 50);
        lanes.is_due(7, 40);
        lanes.is_due(7, 60);
        assert_eq!((lanes.first_ms(), lanes.next(39)), (40, None));
        assert_eq!(lanes.next(50), Some(7));
        // However often one comes back, the others have their turn.
        lanes.is_due(7, 0);
        assert_eq!(lanes.next(50), Some(9));
        assert_eq!((lanes.next(50), lanes.next(50)), (Some(7), None));
    }

    #[test]
    fn an_end_makes_its_lane_due() {
        let mut lanes = Lanes::new(1, 1);
        while lanes.next(0).is_some() {}
        assert!(lanes.begin(id(1), "a:80"));
        lanes.end(id(1), "a:80");
        assert_eq!(lanes.next(0), Some(lane_of("a:80")));
    }
}
