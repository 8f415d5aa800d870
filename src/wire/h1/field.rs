//! One line of a head or of a trailer section.

use super::{Why, octets};

/// A field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    line: &'a [u8],
    name_length: usize,
    /// Whether there is a `_` in its name.
    pub(super) has_underscore: bool,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'a> {
    /// Less than a line.
    Partial,
    /// The empty line, CR LF, that ends the section.
    Last,
    Field(Field<'a>),
}

/// Reads one line.
#[inline(always)]
pub(super) fn line(bytes: &[u8]) -> Result<Line<'_>, Why> {
    let (name_length, has_underscore) = octets::token(bytes);
    match bytes.get(name_length) {
        Some(b':') if name_length > 0 => {}
        Some(_) if name_length > 0 => return Err(Why::Name),
        Some(_) => return odd_line(bytes),
        None => return Ok(Line::Partial),
    }
    let start = name_length + 1;
    let mut end = start;
    loop {
        end += octets::value(&bytes[end..]);
        match bytes[end..] {
            [b'\t', ..] => end += 1,
            [b'\r', b'\n', ..] => break,
            [] | [b'\r'] => return Ok(Line::Partial),
            [b'\r' | b'\n', ..] => return Err(Why::LineEnd),
            _ => return Err(Why::Value),
        }
    }
    Ok(Line::Field(Field {
        line: &bytes[..end],
        name_length,
        has_underscore,
    }))
}

impl<'a> Field<'a> {
    #[inline]
    pub(super) fn name(&self) -> &'a [u8] {
        &self.line[..self.name_length]
    }

    /// Its value without the blanks around it, and where that begins in its line.
    pub(super) fn value(&self) -> (&'a [u8], usize) {
        let mut at = self.name_length + 1;
        let mut value = &self.line[at..];
        while let [b' ' | b'\t', behind @ ..] = value {
            value = behind;
            at += 1;
        }
        while let [before @ .., b' ' | b'\t'] = value {
            value = before;
        }
        (value, at)
    }

    /// The length of the line, its end included.
    #[inline]
    pub(super) fn length(&self) -> usize {
        self.line.len() + 2
    }
}

/// A line that begins with what is no token.
fn odd_line(bytes: &[u8]) -> Result<Line<'_>, Why> {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Line::Last),
        [b'\r'] => Ok(Line::Partial),
        [b'\r' | b'\n', ..] => Err(Why::LineEnd),
        [b' ' | b'\t', ..] => Err(Why::Folded),
        _ => Err(Why::Name),
    }
}
