//! Which bytes may stand where in a head, eight at a time where that pays: this runs over each byte
//! of each head.

/// Not in a token.
const OTHER: u8 = 0;
/// In a token (RFC 9110 section 5.6.2).
const TOKEN: u8 = 1;
/// In a token, too, and read as `-` by some.
const UNDERSCORE: u8 = 3;

static CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        let is_mark = matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'`'
                | b'|'
                | b'~'
        );
        if b.is_ascii_alphanumeric() || is_mark {
            classes[byte] = TOKEN;
        }
        byte += 1;
    }
    classes[b'_' as usize] = UNDERSCORE;
    classes
};

const HIGHS: u64 = each(0x80);
const LOWS: u64 = each(0x7f);

/// A word of eight of this byte.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Eight bytes in one case: exact for letters and `-`, as long as all are a token's.
pub(super) const fn lower(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes) | each(0x20)
}

/// How many of the first bytes make a token, and whether one of them is `_`.
#[inline]
pub(super) fn token(bytes: &[u8]) -> (usize, bool) {
    // Letters and `-` are nearly all that names are made of; whatever ends a run of them is looked at
    // alone.
    let mut length = 0;
    while let Some(word) = bytes[length..].first_chunk::<8>() {
        let others = others_than_words(u64::from_le_bytes(*word));
        if others != 0 {
            length += (others.trailing_zeros() / 8) as usize;
            break;
        }
        length += 8;
    }
    let mut seen = 0;
    while let Some(&byte) = bytes.get(length) {
        let class = CLASSES[usize::from(byte)];
        if class == OTHER {
            break;
        }
        seen |= class;
        length += 1;
    }
    (length, seen == UNDERSCORE)
}

/// How many of the first bytes may stand in a field's value; a tabulator ends it, too.
#[inline]
pub(super) fn value(bytes: &[u8]) -> usize {
    let odd = |word: u64| {
        let low = word & LOWS;
        // The first sum reaches the highest bit from a blank on, the second with DEL alone.
        (!(low + each(0x60)) | (low + each(1))) & !word & HIGHS
    };
    length_until(bytes, odd, |b| b < 0x20 || b == 0x7f)
}

/// How many of the first bytes may stand in a target: visible, and no `#`, which no target holds and
/// which hides what is behind it from some.
#[inline]
pub(super) fn target(bytes: &[u8]) -> usize {
    let odd = |word: u64| {
        let low = word & LOWS;
        let other_than_hash = (low ^ each(b'#')) + each(0x7f);
        (!(low + each(0x5f)) | (low + each(1)) | !other_than_hash | word) & HIGHS
    };
    length_until(bytes, odd, |b| !b.is_ascii_graphic() || b == b'#')
}

/// Marks the bytes of a word, in their highest bits, that are neither letters nor `-`.
#[inline]
fn others_than_words(word: u64) -> u64 {
    let low = (word | each(0x20)) & LOWS;
    let from_a = low + each(0x80 - b'a');
    let behind_z = low + each(0x7f - b'z');
    let other_than_dash = ((word & LOWS) ^ each(b'-')) + each(0x7f);
    (!(from_a & !behind_z) & other_than_dash | word) & HIGHS
}

/// The place of the first byte for which `is_odd` holds; `odd` marks such bytes of a word in their
/// highest bits.
#[inline]
fn length_until(bytes: &[u8], odd: impl Fn(u64) -> u64, is_odd: impl Fn(u8) -> bool) -> usize {
    let mut length = 0;
    while let Some(word) = bytes[length..].first_chunk::<8>() {
        let marks = odd(u64::from_le_bytes(*word));
        if marks != 0 {
            return length + (marks.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = &bytes[length..];
    let odd = rest.iter().position(|&byte| is_odd(byte));
    length + odd.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_in_each_place() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                let until = |holds: bool| if holds { 20 } else { place };
                let in_value = byte >= b' ' && byte != 0x7f;
                assert_eq!(value(&bytes), until(in_value), "{byte} at {place}");
                let in_target = byte.is_ascii_graphic() && byte != b'#';
                assert_eq!(target(&bytes), until(in_target), "{byte} at {place}");
                let in_token = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
                assert_eq!(token(&bytes), (until(in_token), byte == b'_'));
            }
        }
    }

    #[test]
    fn the_first_of_several() {
        assert_eq!(value(b"aaaa\x01\x00\x20\x7faaaaaaaa"), 4);
        assert_eq!(target(b"aaa\x80\x20#\x7f\x00aaaaaaaa"), 3);
        assert_eq!((value(b""), target(b""), token(b"")), (0, 0, (0, false)));
    }
}
