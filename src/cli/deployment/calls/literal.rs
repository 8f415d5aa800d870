//! JSON as a literal of a programming language, in one line that people can read.

use std::io;

use serde::Serialize;
use serde_json::{
    Serializer, Value,
    ser::{CompactFormatter, Formatter},
};

use crate::base::harm::is_harmful;

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

/// Whether a value is the same when JavaScript has read and written it: its numbers are all doubles, and
/// one name sets what an object inherits from.
pub(super) fn survives_javascript(json: &Value) -> bool {
    match json {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_f64().is_some_and(|double| {
            let is_zero_below = double == 0.0 && double.is_sign_negative();
            !is_zero_below && (number.is_f64() || double.abs() <= SAFE_INTEGER_MAX)
        }),
        Value::Array(items) => items.iter().all(survives_javascript),
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| name != "__proto__" && survives_javascript(value)),
    }
}

/// The greatest integer that a double holds with all below it (`Number.MAX_SAFE_INTEGER`).
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

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
            if !is_harmful(char) {
                write!(writer, "{char}")?;
                continue;
            }
            match (&self, u32::from(char)) {
                (_, code @ ..=0xffff) => write!(writer, "\\u{code:04x}")?,
                (Self::Python, code) => write!(writer, "\\U{code:08x}")?,
                (Self::Json, _) => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
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
