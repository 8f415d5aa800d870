//! Requests of the UTC day, on one atomic: the day's number above, the count below. The day turns with
//! the first request that sees the new one.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Requests of a day.
#[derive(Debug, Default)]
pub(super) struct Day {
    cell: AtomicU64,
    /// The cell as it was when it was last written down.
    noted: AtomicU64,
}

/// How many requests a day has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayCount {
    /// Days since 1970.
    pub day: u32,
    /// Requests.
    pub count: u64,
}

/// Enough for a day of a hundred million a second; the twenty bits above last two thousand years.
const COUNT_BITS: u32 = 44;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const MS_PER_DAY: u64 = 86_400_000;

// Relaxed, everywhere: the number is all there is to agree on.
const SET: Ordering = Ordering::Relaxed;
const GET: Ordering = Ordering::Relaxed;

/// The day of a moment, counted from 1970.
pub fn day_of(unix_ms: u64) -> u32 {
    (unix_ms / MS_PER_DAY) as u32
}

/// How long a day still lasts, in milliseconds.
pub(super) fn day_left_ms(unix_ms: u64) -> u64 {
    MS_PER_DAY - unix_ms % MS_PER_DAY
}

// === impl Day ===

impl Day {
    /// Takes one request of at most `max`; answers the day that it was counted for.
    pub(super) fn take(&self, today: u32, max: u64) -> Option<u32> {
        let mut counted = today;
        let taken = self.cell.fetch_update(SET, GET, |cell| {
            let now = DayCount::unpack(cell).at(today);
            counted = now.day;
            let count = now.count + 1;
            (now.count < max.min(COUNT_MAX)).then(|| DayCount { count, ..now }.pack())
        });
        taken.is_ok().then_some(counted)
    }

    /// Gives one back that was taken for `day`.
    pub(super) fn give_back(&self, day: u32) {
        let _ = self.cell.fetch_update(SET, GET, |cell| {
            let now = DayCount::unpack(cell);
            let count = now.count.checked_sub(1).filter(|_| now.day == day)?;
            Some(DayCount { count, ..now }.pack())
        });
    }

    /// How many today has had.
    pub(super) fn count(&self, today: u32) -> u64 {
        DayCount::unpack(self.cell.load(GET)).at(today).count
    }

    /// Counts at least so many, as they were written down.
    pub(super) fn restore(&self, kept: DayCount) {
        let before = self.cell.fetch_max(kept.pack(), SET);
        self.noted.store(before.max(kept.pack()), SET);
    }

    /// What has not been written down yet.
    pub(super) fn unnoted(&self) -> Option<DayCount> {
        let cell = self.cell.load(GET);
        (cell != self.noted.load(GET)).then(|| DayCount::unpack(cell))
    }

    /// So much is written down.
    pub(super) fn note(&self, noted: DayCount) {
        self.noted.store(noted.pack(), SET);
    }
}

// === impl DayCount ===

impl DayCount {
    fn unpack(cell: u64) -> Self {
        Self {
            day: (cell >> COUNT_BITS) as u32,
            count: cell & COUNT_MAX,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.day) << COUNT_BITS | self.count.min(COUNT_MAX)
    }

    /// The same as seen on a day. Of two threads at midnight one may still see the old day: it counts
    /// for the new one. A count from further ahead is that of a clock that was wrong.
    fn at(self, today: u32) -> Self {
        if self.day == today || self.day == today + 1 {
            return self;
        }
        Self {
            day: today,
            count: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_so_many_and_the_next_begins_anew() {
        let day = Day::default();
        assert_eq!([0; 3].map(|_| day.take(20_000, 3)), [Some(20_000); 3]);
        assert_eq!(day.take(20_000, 3), None);
        assert_eq!((day.count(20_000), day.count(20_001)), (3, 0));
        assert_eq!(day.take(20_001, 3), Some(20_001));
        // A thread that still saw the old day.
        assert_eq!(day.take(20_000, 3), Some(20_001));
        assert_eq!(day.count(20_001), 2);
        // A clock that was set back by days.
        assert_eq!(day.take(19_990, 3), Some(19_990));
        assert_eq!(day.count(19_990), 1);
    }

    #[test]
    fn what_is_given_back_is_given_back_to_its_day() {
        let day = Day::default();
        assert_eq!(day.take(20_000, 9), Some(20_000));
        day.give_back(20_000);
        day.give_back(20_000);
        assert_eq!(day.count(20_000), 0);
        assert_eq!(day.take(20_001, 9), Some(20_001));
        day.give_back(20_000);
        assert_eq!(day.count(20_001), 1);
    }

    #[test]
    fn what_was_kept_is_counted_on_and_only_news_are_noted() {
        let day = Day::default();
        let kept = DayCount {
            day: 20_000,
            count: 7,
        };
        day.restore(kept);
        assert_eq!((day.count(20_000), day.unnoted()), (7, None));
        assert_eq!(day.take(20_000, 8), Some(20_000));
        assert_eq!(day.take(20_000, 8), None);
        let news = day.unnoted().expect("one more");
        assert_eq!(news, DayCount { count: 8, ..kept });
        day.note(news);
        assert_eq!(day.unnoted(), None);
        day.restore(kept);
        assert_eq!(day.count(20_000), 8);
    }

    #[test]
    fn midnight() {
        assert_eq!(day_of(MS_PER_DAY * 20_000 - 1), 19_999);
        assert_eq!(day_left_ms(MS_PER_DAY * 20_000), MS_PER_DAY);
        assert_eq!(day_left_ms(MS_PER_DAY * 20_000 - 1), 1);
    }
}
