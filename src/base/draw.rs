//! Ids and secrets from the system's randomness.

/// In the order of their bytes, so that the order of ids is that of the moments in them.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Letters of a moment in an id: enough until the year 8888.
const MOMENT_CHARS: usize = 8;

/// Letters drawn at random behind it: 71 bits.
const DRAWN_CHARS: usize = 12;

/// Letters of a secret: 256 bits.
pub(crate) const SECRET_CHARS: usize = 43;

/// So many letters and digits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn letters(count: usize) -> Result<String, getrandom::Error> {
    let mut drawn = String::with_capacity(count);
    let mut bytes = [0u8; 64];
    while drawn.len() < count {
        getrandom::fill(&mut bytes)?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour some letters.
        let fair = bytes.iter().filter(|&&byte| byte < 248);
        let letters = fair.map(|&byte| char::from(ALPHABET[usize::from(byte % 62)]));
        drawn.extend(letters.take(count - drawn.len()));
    }
    Ok(drawn)
}

/// An id of 20 letters and digits. One of a later moment is greater.
///
/// # Errors
/// When the system has no randomness to give.
pub fn id(moment_ms: u64) -> Result<String, getrandom::Error> {
    let mut moment = [b'0'; MOMENT_CHARS];
    write_number(u128::from(moment_ms), &mut moment);
    let moment: String = moment.iter().copied().map(char::from).collect();
    Ok(moment + &letters(DRAWN_CHARS)?)
}

/// Writes a number in letters, as many as there is room for; leading ones are `0`.
pub(super) fn write_number(mut number: u128, letters: &mut [u8]) {
    // Ten letters at a time: as many as 64 bits hold, whose divisions cost a tenth of those of 128.
    const TEN_LETTERS: u128 = 62u128.pow(10);
    for part in letters.rchunks_mut(10) {
        let mut rest = (number % TEN_LETTERS) as u64;
        number /= TEN_LETTERS;
        for letter in part.iter_mut().rev() {
            *letter = ALPHABET[(rest % 62) as usize];
            rest /= 62;
        }
    }
}

/// Reads such a number; none when a letter is not of the alphabet, or the number too large.
pub(super) fn number(letters: &[u8]) -> Option<u128> {
    letters.iter().try_fold(0u128, |number, letter| {
        let digit = match letter {
            b'0'..=b'9' => letter - b'0',
            b'A'..=b'Z' => letter - b'A' + 10,
            b'a'..=b'z' => letter - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u128::from(digit))
    })
}

/// A secret with its public id in it: `{prefix}_{id}_{secret}`.
///
/// # Errors
/// When the system has no randomness to give.
pub fn secret(prefix: &str, id: &str) -> Result<String, getrandom::Error> {
    Ok(format!("{prefix}_{id}_{}", letters(SECRET_CHARS)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::{KeyDigest, id_within};

    #[test]
    fn ids_are_ordered_by_their_moments() {
        let moments = [0, 1, 61, 62, 1_790_000_000_000, 1_790_000_000_001, 1 << 47];
        let ids = moments.map(|ms| id(ms).expect("random"));
        assert!(ids.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
        assert_ne!(id(5), id(5));
    }

    #[test]
    fn a_secret_is_a_key_with_an_id_in_it() {
        let own = id(1_790_000_000_000).expect("random");
        let key = secret("wk", &own).expect("random");
        assert_eq!(id_within(&key).expect("ours").as_str(), own);
        assert!(KeyDigest::of_key(key.as_bytes()).is_ok());
        assert_ne!(Ok(key), secret("wk", &own));
    }

    #[test]
    fn every_letter_of_the_alphabet_is_drawn_about_equally() {
        let drawn = letters(62_000).expect("random");
        for &letter in ALPHABET {
            let times = drawn.bytes().filter(|&b| b == letter).count();
            // Ten standard deviations around 1,000.
            assert!((700..1300).contains(&times), "{letter}: {times}");
        }
    }
}
