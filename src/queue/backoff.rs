//! How long a request waits for its next attempt: full jitter between the shortest pause and one
//! that doubles with each attempt ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use crate::base::chance::Chance;

/// The pause behind an attempt, in milliseconds; at least what the backend asked for, within the
/// longest.
pub(super) fn pause_ms(
    attempt: u32,
    min_ms: u64,
    max_ms: u64,
    asked_ms: Option<u64>,
    chance: &Chance,
) -> u64 {
    let max_ms = max_ms.max(min_ms);
    let doubled = min_ms.saturating_mul(1u64.checked_shl(attempt).unwrap_or(u64::MAX));
    let most = doubled.min(max_ms);
    let drawn = min_ms + chance.next_u64() % (most - min_ms + 1);
    drawn.max(asked_ms.unwrap_or(0).min(max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_the_attempts_and_stays_within_its_bounds() {
        let chance = Chance::seeded(7);
        for (attempt, most) in [
            (1, 2_000),
            (2, 4_000),
            (5, 32_000),
            (6, 60_000),
            (90, 60_000),
        ] {
            let pauses: Vec<u64> = (0..2_000)
                .map(|_| pause_ms(attempt, 1_000, 60_000, None, &chance))
                .collect();
            let (low, high) = (pauses.iter().min(), pauses.iter().max());
            assert!(low >= Some(&1_000) && high <= Some(&most), "{attempt}");
            assert!(
                *high.expect("some") > most * 9 / 10,
                "{attempt}: all of it is used"
            );
        }
        assert_eq!(pause_ms(1, 0, 0, None, &chance), 0);
        assert_eq!(pause_ms(1, 10, 20, Some(15_000), &chance), 20);
        assert_eq!(pause_ms(1, 10, 60_000, Some(50_000), &chance), 50_000);
    }
}
