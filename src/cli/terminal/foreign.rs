//! What a model answered, on a terminal.

use std::str;

use crate::base::harm::{harmless, is_harmful};

/// Bytes of others that come in pieces, as text that a terminal shows and does not obey.
#[derive(Debug, Default)]
pub(in crate::cli) struct Foreign {
    /// The beginning of a character whose rest is to come.
    cut: Vec<u8>,
}

impl Foreign {
    /// The text of the next piece. Its lines and tabs stay.
    pub(in crate::cli) fn text(&mut self, piece: &[u8]) -> String {
        self.cut.extend(piece);
        let whole = match str::from_utf8(&self.cut) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.cut.len(),
        };
        let rest = self.cut.split_off(whole);
        let bytes = std::mem::replace(&mut self.cut, rest);
        let text = String::from_utf8_lossy(&bytes);
        let mut safe = String::with_capacity(text.len());
        for part in text.split_inclusive(is_harmful) {
            match part.strip_suffix(['\n', '\t']) {
                Some(_) => safe.push_str(part),
                None => safe.push_str(&harmless(part)),
            }
        }
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_cut_nothing_steers_the_terminal() {
        let bytes = "a\tü\n\u{1b}[2J\u{9b}31m \u{202e}日本\u{e0041}\r\n".as_bytes();
        for size in 1..=bytes.len() {
            let mut foreign = Foreign::default();
            let shown: String = bytes
                .chunks(size)
                .map(|piece| foreign.text(piece))
                .collect();
            assert_eq!(
                shown,
                "a\tü\n\\u{1b}[2J\\u{9b}31m \\u{202e}日本\\u{e0041}\\u{d}\n"
            );
        }
        assert_eq!(
            Foreign::default().text(b"\xff\x9b\xc2"),
            "\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
