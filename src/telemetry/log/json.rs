//! Lines of JSON for eyes, too.

use std::io;

use crate::base::harm::harmless_json;

/// Writes a line of JSON with the same meaning and nothing harmful in it. A line comes in one piece.
#[derive(Debug)]
pub(super) struct Harmless<W>(pub(super) W);

impl<W: io::Write> io::Write for Harmless<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(harmless_json(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
