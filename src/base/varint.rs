//! Numbers as bytes, small ones in one: seven bits to a byte, the lowest first.

/// The bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is stored is malformed")]
pub struct Malformed;

/// Appends a number.
pub fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
///
/// # Errors
/// [`Malformed`] when none is there, or one of more than 64 bits.
pub fn read(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(Malformed);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

/// Takes so many bytes off the front.
///
/// # Errors
/// [`Malformed`] when there are fewer.
pub fn part<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (part, behind) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = behind;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_numbers_take_one_byte_and_the_largest_ten() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (u64::MAX, 10)] {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            assert_eq!(bytes.len(), length, "{number}");
            assert_eq!(read(&mut &bytes[..]), Ok(number));
            assert_eq!(read(&mut &bytes[..length - 1]), Err(Malformed), "{number}");
        }
        // The tenth byte has room for one bit.
        let mut more = vec![0xff; 9];
        more.push(2);
        assert_eq!(read(&mut &more[..]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec(any::<u64>(), 0..20)) {
            let mut bytes = Vec::new();
            for number in &numbers {
                write(*number, &mut bytes);
            }
            let mut rest = &bytes[..];
            for number in numbers {
                prop_assert_eq!(read(&mut rest), Ok(number));
            }
            prop_assert!(rest.is_empty());
        }
    }
}
