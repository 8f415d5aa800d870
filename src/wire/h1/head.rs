//! The check of one request's head.

use super::{
    Why,
    field::{self, Field, Line},
    octets,
};
use crate::wire::{authority::Authority, headers};

/// Methods are words; a long one is an attempt at something.
const METHOD_BYTES_MAX: usize = 32;

/// More digits than any length has, and fewer than overflow.
const LENGTH_DIGITS_MAX: usize = 18;

/// How the body behind a head is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What some bytes are, looked at for a head at their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Less than a head, with nothing wrong so far.
    Partial,
    /// A head, and perhaps more.
    Complete {
        /// How long it is, its empty line and one in front of it included.
        length: usize,
        /// What follows it.
        framing: Framing,
    },
    /// No head.
    Refused(Why),
}

/// Checks the head that these bytes begin with.
pub fn check(bytes: &[u8]) -> Checked {
    match Scan::default().advance(bytes) {
        Ok(None) => Checked::Partial,
        Ok(Some((length, framing))) => Checked::Complete { length, framing },
        Err(why) => Checked::Refused(why),
    }
}

/// A head under way: each of its lines is looked at once it is whole, and once only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scan {
    /// Where the next line begins.
    at: usize,
    /// Up to where there is no further end of a line.
    searched: usize,
    /// None before the request line.
    version: Option<Version>,
    /// The authority of a target in absolute form, and the port that goes without saying.
    absolute: Option<(Place, u16)>,
    host: Option<Place>,
    length: Option<u64>,
    is_chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// A part of the head, by where it begins and how long it is.
type Place = (usize, usize);

impl Scan {
    /// Looks at a head from its first byte on as far as it is there, at least as far as the last time.
    /// Its length and framing when it is whole.
    #[inline]
    pub(super) fn advance(&mut self, head: &[u8]) -> Result<Option<(usize, Framing)>, Why> {
        // One that comes byte by byte is not to be read from the beginning of a line each time.
        if self.searched > 0 && !head[self.searched..].contains(&b'\n') {
            self.searched = head.len();
            return Ok(None);
        }
        let whole = self.lines(head)?;
        self.searched = head.len();
        Ok(whole)
    }

    fn lines(&mut self, head: &[u8]) -> Result<Option<(usize, Framing)>, Why> {
        if self.version.is_none() && !self.request_line(head)? {
            return Ok(None);
        }
        loop {
            match field::line(&head[self.at..])? {
                Line::Partial => return Ok(None),
                Line::Last => {
                    let framing = self.finish(head)?;
                    return Ok(Some((self.at + 2, framing)));
                }
                Line::Field(field) => {
                    self.field(&field)?;
                    self.at += field.length();
                }
            }
        }
    }

    /// Reads the first line, if it is whole.
    fn request_line(&mut self, head: &[u8]) -> Result<bool, Why> {
        if self.at == 0 {
            match head {
                // One empty line is forgiven: some send it behind a body (RFC 9112 section 2.2).
                [b'\r', b'\n', ..] => self.at = 2,
                [b'\r'] => return Ok(false),
                _ => {}
            }
        }
        let line = &head[self.at..];
        let (method_length, _) = octets::token(line);
        if method_length > METHOD_BYTES_MAX {
            return Err(Why::Method);
        }
        match line.get(method_length) {
            Some(b' ') if method_length > 0 => {}
            Some(_) => return Err(Why::Method),
            None => return Ok(false),
        }
        let start = method_length + 1;
        let end = start + octets::target(&line[start..]);
        match line.get(end) {
            Some(b' ') if end > start => {}
            Some(_) => return Err(Why::Target),
            None => return Ok(false),
        }
        let behind = &line[end + 1..];
        let version = match behind.first_chunk::<10>() {
            Some(b"HTTP/1.1\r\n") => Version::Http11,
            Some(b"HTTP/1.0\r\n") => Version::Http10,
            None if !behind.contains(&b'\n') => return Ok(false),
            _ => return Err(Why::Version),
        };
        self.absolute = authority_of(&line[..method_length], &line[start..end])?
            .map(|((from, length), port)| ((self.at + start + from, length), port));
        self.version = Some(version);
        self.at += end + 1 + 10;
        Ok(true)
    }

    #[inline]
    fn field(&mut self, field: &Field<'_>) -> Result<(), Why> {
        let name = field.name();
        if field.has_underscore && headers::is_guarded(name) {
            return Err(Why::Spoofed);
        }
        // By their length first: no other name needs to be read, nor its value.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let (value, at) = field.value();
                let place = (self.at + at, value.len());
                if self.host.replace(place).is_some() || Authority::parse(value).is_none() {
                    return Err(Why::Host);
                }
            }
            10 if is(name, b"connection") => connection(field.value().0)?,
            14 if is(name, b"content-length") => {
                let length = number(field.value().0).ok_or(Why::Length)?;
                if self.length.replace(length).is_some() {
                    return Err(Why::Length);
                }
            }
            17 if is(name, b"transfer-encoding") => {
                let is_chunked = field.value().0.eq_ignore_ascii_case(b"chunked");
                if !is_chunked || std::mem::replace(&mut self.is_chunked, true) {
                    return Err(Why::Coding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, head: &[u8]) -> Result<Framing, Why> {
        let is_http_11 = self.version == Some(Version::Http11);
        let read = |(start, length): Place| Authority::parse(&head[start..start + length]);
        match (self.host, self.absolute) {
            (None, _) if is_http_11 => return Err(Why::Host),
            (Some(host), Some((absolute, port))) => {
                let host = read(host).ok_or(Why::Host)?;
                if !read(absolute).is_some_and(|it| it.is_same(&host, port)) {
                    return Err(Why::Host);
                }
            }
            _ => {}
        }
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Why::TwoFramings),
            (None, true) if !is_http_11 => Err(Why::Coding),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::None),
        }
    }
}

/// Where in a target its authority stands, and the port that goes without saying, if the target is in
/// absolute form.
///
/// # Errors
/// For a form that does not go with the method (RFC 9112 section 3.2). One that asks for a tunnel
/// passes with any: it is refused later, in better words.
fn authority_of(method: &[u8], target: &[u8]) -> Result<Option<(Place, u16)>, Why> {
    if target.starts_with(b"/") || method == b"CONNECT" || (target == b"*" && method == b"OPTIONS")
    {
        return Ok(None);
    }
    let has_scheme = |scheme: &[u8]| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let (from, port) = if has_scheme(b"http://") {
        (7, 80)
    } else if has_scheme(b"https://") {
        (8, 443)
    } else {
        return Err(Why::Target);
    };
    let behind = &target[from..];
    let end = behind.iter().position(|b| matches!(b, b'/' | b'?'));
    let length = end.unwrap_or(behind.len());
    match Authority::parse(&behind[..length]) {
        Some(_) => Ok(Some(((from, length), port))),
        None => Err(Why::Target),
    }
}

/// Whether a token is this one, of letters and `-`, in any case. Its first and last eight
/// bytes tell nearly always.
#[inline]
fn is<const N: usize>(token: &[u8], name: &[u8; N]) -> bool {
    let ends = |bytes: &[u8]| Some((*bytes.first_chunk::<8>()?, *bytes.last_chunk::<8>()?));
    match (ends(token), ends(name)) {
        (Some(it), Some(name_ends)) => {
            octets::lower(it.0) == octets::lower(name_ends.0)
                && octets::lower(it.1) == octets::lower(name_ends.1)
                && (N <= 16 || token.eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

/// A length in digits alone.
fn number(text: &[u8]) -> Option<u64> {
    if !(1..=LENGTH_DIGITS_MAX).contains(&text.len()) {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// What `Connection` names is taken out by whoever reads it: it may not name what others go by.
fn connection(value: &[u8]) -> Result<(), Why> {
    if value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close") {
        return Ok(());
    }
    let mut named = value.split(|&b| b == b',');
    if named.any(|name| headers::is_guarded(name.trim_ascii())) {
        return Err(Why::Connection);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
