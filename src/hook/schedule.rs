//! When a receiver is tried again.

use crate::base::{async_id::AsyncId, chance};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the schedule that Standard Webhooks
/// recommends, a little over three days.
pub(crate) const PAUSES_MS: [u64; 9] = [
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];

/// The usual pauses, from 5 s to a day, in the same proportions from another first one on.
pub fn pauses_from(first_ms: u64) -> Vec<u64> {
    let scaled = |&pause_ms: &u64| {
        let scaled = u128::from(pause_ms) * u128::from(first_ms);
        let scaled = scaled / u128::from(PAUSES_MS[0]);
        u64::try_from(scaled).unwrap_or(u64::MAX).max(1)
    };
    PAUSES_MS.iter().map(scaled).collect()
}

/// A pause becomes longer by up to a fifth of it, so that what failed together does not come back
/// together.
const JITTER_PART: u64 = 5;

/// The pause after so many attempts; none when they are spent. Its jitter is drawn from the id and
/// the attempt, which is as good as chance and the same each time it is asked.
pub(crate) fn pause_ms(pauses_ms: &[u64], attempts: usize, id: AsyncId) -> Option<u64> {
    let pause_ms = *pauses_ms.get(attempts.checked_sub(1)?)?;
    let tag = u128::from_be_bytes(id.tag());
    let drawn = chance::mix(chance::mix((tag >> 64) as u64) ^ tag as u64 ^ attempts as u64);
    let jitter_ms = drawn % (pause_ms / JITTER_PART + 1);
    Some(pause_ms.saturating_add(jitter_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::async_id::Position;

    fn id(tag: u8) -> AsyncId {
        AsyncId::of(Position::at(1), [tag; 16])
    }

    #[test]
    fn pauses_grow_over_days_and_end() {
        let mut sum_ms = 0;
        for (i, &expected) in PAUSES_MS.iter().enumerate() {
            let pause = pause_ms(&PAUSES_MS, i + 1, id(7)).expect("one more");
            assert!((expected..=expected + expected / 5).contains(&pause), "{i}");
            assert_eq!(Some(pause), pause_ms(&PAUSES_MS, i + 1, id(7)));
            sum_ms += expected;
        }
        assert_eq!(sum_ms, 272_105_000, "75 h and 35 min, and 5 s");
        assert_eq!(pause_ms(&PAUSES_MS, PAUSES_MS.len() + 1, id(7)), None);
        assert_eq!(pause_ms(&[], 1, id(7)), None);
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let distinct: std::collections::BTreeSet<_> = (0..=255)
            .map(|tag| pause_ms(&PAUSES_MS, 2, id(tag)))
            .collect();
        assert!(distinct.len() > 250, "{}", distinct.len());
    }

    #[test]
    fn another_first_pause_keeps_the_proportions() {
        assert_eq!(pauses_from(5_000), PAUSES_MS);
        let short = pauses_from(10);
        assert_eq!(short[..3], [10, 600, 3_600]);
        assert_eq!(pauses_from(0), [1; 9]);
        assert_eq!(pauses_from(u64::MAX)[8], u64::MAX);
    }
}
