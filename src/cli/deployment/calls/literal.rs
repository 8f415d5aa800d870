//! JSON as a literal of a programming language, in one line that people can read.

use std::io;

use serde::Serialize;
use serde_json::{
    Serializer, Value,
    ser::{CompactFormatter, Formatter},
};

/// How a literal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// As JSON, which JavaScript reads, too.
    Json,
    /// With Python's words.
    Python,
}

// === impl Literal ===

impl Literal {
    /// Writes a value.
    pub(super) fn of(self, json: &Value) -> String {
        let mut bytes = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut bytes, self);
        // A value with texts for names goes into memory without fail, and as UTF-8.
        let _ = json.serialize(&mut serializer);
        String::from_utf8(bytes).unwrap_or_default()
    }
}

impl Formatter for Literal {
    fn write_null<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(match self {
            Self::Json => b"null",
            Self::Python => b"None",
        })
    }

    fn write_bool<W: ?Sized + io::Write>(&mut self, writer: &mut W, flag: bool) -> io::Result<()> {
        writer.write_all(match (self, flag) {
            (Self::Json, true) => b"true",
            (Self::Json, false) => b"false",
            (Self::Python, true) => b"True",
            (Self::Python, false) => b"False",
        })
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // What steers a terminal or turns the direction of a text is written by its number.
        for char in fragment.chars() {
            let is_odd = char.is_control()
                || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if is_odd {
                write!(writer, "\\u{:04x}", u32::from(char))?;
            } else {
                write!(writer, "{char}")?;
            }
        }
        Ok(())
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(writer)?;
        writer.write_all(b" ")
    }
}
