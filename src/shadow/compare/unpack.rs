//! Packed bodies, unpacked: gzip and deflate, and no more of them than can do no harm.

use std::{borrow::Cow, io::Read};

use flate2::{Decompress, FlushDecompress, Status, bufread::MultiGzDecoder};

use super::Uncompared;

/// Bytes that are unpacked at the most.
pub(super) const UNPACKED_BYTES_MAX: usize = 16 << 20;
/// How many times its size a body may have unpacked. JSON and text stay far below; what goes beyond is
/// made to.
const RATIO_MAX: usize = 256;
/// Whatever the ratio, so much is unpacked: a small answer may well be nothing but zeros.
const UNPACKED_BYTES_FREE: usize = 1 << 20;
/// Unpacked at once.
const STEP_BYTES: usize = 64 << 10;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Deflate,
    Other,
}

/// A body, unpacked.
///
/// # Errors
/// [`Uncompared::Encoded`] for a packing that weir does not know, or one within another,
/// [`Uncompared::TooLarge`] for what gets too large, [`Uncompared::Unreadable`] for what is damaged.
pub(super) fn unpack<'a>(
    body: &'a [u8],
    content_encoding: Option<&str>,
) -> Result<Cow<'a, [u8]>, Uncompared> {
    match Packing::new(content_encoding) {
        Packing::Plain => Ok(Cow::Borrowed(body)),
        Packing::Gzip => gunzip(body).map(Cow::Owned),
        Packing::Deflate => inflate(body).map(Cow::Owned),
        Packing::Other => Err(Uncompared::Encoded),
    }
}

/// Whether a body is as it is, not packed.
pub(super) fn is_plain(content_encoding: Option<&str>) -> bool {
    Packing::new(content_encoding) == Packing::Plain
}

fn room(body: &[u8]) -> usize {
    let by_ratio = body.len().saturating_mul(RATIO_MAX);
    by_ratio.clamp(UNPACKED_BYTES_FREE, UNPACKED_BYTES_MAX)
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>, Uncompared> {
    let room = room(body);
    let mut plain = Vec::new();
    let mut reader = MultiGzDecoder::new(body).take(room as u64 + 1);
    let read = reader.read_to_end(&mut plain);
    if plain.len() > room {
        return Err(Uncompared::TooLarge);
    }
    read.map(|_| plain).map_err(|_| Uncompared::Unreadable)
}

/// With zlib's header, as RFC 9110 has it, or without, as some servers do.
fn inflate(body: &[u8]) -> Result<Vec<u8>, Uncompared> {
    let room = room(body);
    let has_header = match body {
        [first, second, ..] => first & 0x0F == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0,
        _ => false,
    };
    let mut unpacking = Decompress::new(has_header);
    let mut plain = Vec::new();
    loop {
        plain.reserve(STEP_BYTES);
        let (read, filled) = (unpacking.total_in(), plain.len());
        let rest = body.get(read as usize..).unwrap_or_default();
        let status = unpacking.decompress_vec(rest, &mut plain, FlushDecompress::None);
        if plain.len() > room {
            return Err(Uncompared::TooLarge);
        }
        match status {
            Ok(Status::StreamEnd) if unpacking.total_in() == body.len() as u64 => return Ok(plain),
            // Neither of them moved: the rest of it is missing.
            Ok(Status::Ok | Status::BufError)
                if unpacking.total_in() > read || plain.len() > filled => {}
            _ => return Err(Uncompared::Unreadable),
        }
    }
}

// === impl Packing ===

impl Packing {
    fn new(content_encoding: Option<&str>) -> Self {
        let names = content_encoding
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        let mut names =
            names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        match (names.next(), names.next()) {
            (None, _) => Self::Plain,
            (Some(name), None) if is(name, "gzip") || is(name, "x-gzip") => Self::Gzip,
            (Some(name), None) if is(name, "deflate") => Self::Deflate,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(plain).expect("memory");
        packed.finish().expect("memory")
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(plain).expect("memory");
        packed.finish().expect("memory")
    }

    fn raw(plain: &[u8]) -> Vec<u8> {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(plain).expect("memory");
        packed.finish().expect("memory")
    }

    fn check(body: &[u8], encoding: &str, wanted: Result<&[u8], Uncompared>) {
        let found = unpack(body, Some(encoding));
        let same = found.as_deref().map_err(|why| *why) == wanted;
        assert!(same, "{encoding} {} bytes", body.len());
    }

    #[test]
    fn packings() {
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        for plain in [&b""[..], b"a", &noise] {
            check(plain, "", Ok(plain));
            check(plain, "identity", Ok(plain));
            check(&gzip(plain), "GZIP", Ok(plain));
            check(&gzip(plain), "identity, x-gzip", Ok(plain));
            check(&zlib(plain), "deflate", Ok(plain));
            check(&raw(plain), "deflate", Ok(plain));
            check(plain, "br", Err(Uncompared::Encoded));
            check(plain, "gzip, gzip", Err(Uncompared::Encoded));
        }
        let twice = [gzip(b"a"), gzip(b"b")].concat();
        check(&twice, "gzip", Ok(b"ab"));
    }

    #[test]
    fn damaged() {
        let text = b"some text, long enough to be packed, some text";
        for (packed, encoding) in [
            (gzip(text), "gzip"),
            (zlib(text), "deflate"),
            (raw(text), "deflate"),
        ] {
            for length in 0..packed.len() {
                check(&packed[..length], encoding, Err(Uncompared::Unreadable));
            }
            let more = [&packed[..], b"x"].concat();
            check(&more, encoding, Err(Uncompared::Unreadable));
        }
        check(b"text", "gzip", Err(Uncompared::Unreadable));
    }

    #[test]
    fn bombs() {
        let zeros = vec![0; UNPACKED_BYTES_MAX];
        for pack in [gzip, zlib, raw] {
            let encoding = if pack(b"")[..2] == [0x1F, 0x8B] {
                "gzip"
            } else {
                "deflate"
            };
            // Small enough whatever its ratio.
            let small = &zeros[..UNPACKED_BYTES_FREE];
            check(&pack(small), encoding, Ok(small));
            // Too much of it by its ratio, and by its size.
            check(&pack(&zeros), encoding, Err(Uncompared::TooLarge));
        }
        // Too much by its size alone: in many parts, for it is quicker to pack a part once.
        let noise: Vec<u8> = (0..UNPACKED_BYTES_FREE as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 25) as u8)
            .collect();
        let part = gzip(&noise);
        let parts = UNPACKED_BYTES_MAX / UNPACKED_BYTES_FREE;
        let whole = unpack(&part.repeat(parts), Some("gzip")).map(|plain| plain.len());
        assert_eq!(whole, Ok(UNPACKED_BYTES_MAX));
        check(&part.repeat(parts + 1), "gzip", Err(Uncompared::TooLarge));
    }
}
