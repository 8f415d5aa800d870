//! Text, similar enough: 1 less the Levenshtein distance as a share of the longer text.
//!
//! White space counts as one space, and none at the ends. A symbol is a Unicode character as it is
//! written: what looks the same but is composed differently differs. What is looked at is bounded:
//!
//! ```text
//! up to STEPS_MAX of 64 cells     by characters, exact
//! longer                          by words; exact within the bound
//! longer still                    by words, in pieces as large as the bound allows: a lower bound of
//!                                 the similarity, the tighter the less text has moved
//! over TEXT_BYTES_MAX             not compared
//! ```

use std::collections::HashMap;

use super::{Detail, Found, Uncompared, edits};
use crate::spec::{CompareKind, CompareSpec};

/// Steps that a pair is worth: some milliseconds. Two texts of 12,000 characters take as many.
const STEPS_MAX: usize = 2_300_000;
/// The longest text that is compared. Answers of models stay far below; it bounds the time that it
/// takes to part a text into words.
const TEXT_BYTES_MAX: usize = 512 << 10;
/// Characters of a word; longer ones, such as Base64, are parted.
const WORD_CHARS_MAX: usize = 16;
/// From this character on (CJK radicals) scripts are written without spaces: each is a word.
const SPACELESS_FROM: char = '\u{2E80}';
/// The distance that still agrees where none is declared.
const DISTANCE: f64 = 0.1;

/// Numbers for symbols, so that a table can have a place for each.
struct Symbols<K> {
    numbers: HashMap<K, u32, foldhash::fast::RandomState>,
}

/// A text that is not too long, its white space in order.
///
/// # Errors
/// [`Uncompared::TooLarge`].
pub(super) fn normal(text: &str) -> Result<String, Uncompared> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Uncompared::TooLarge);
    }
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.push_str(word);
    }
    Ok(normal)
}

/// Compares two texts as [`normal`] gives them.
pub(super) fn compare(spec: &CompareSpec, main: &str, challenger: &str) -> Found {
    let distance = distance(main, challenger);
    Found {
        kind: CompareKind::Text,
        agrees: distance <= spec.tolerance_abs.unwrap_or(DISTANCE),
        distance,
        detail: Detail::Text {
            similarity: 1.0 - distance,
            main_chars: main.chars().count() as u64,
            challenger_chars: challenger.chars().count() as u64,
        },
    }
}

/// 0.0 for the same, to 1.0.
fn distance(a: &str, b: &str) -> f64 {
    if a == b {
        return 0.0;
    }
    if edits::steps(a.len(), b.len()) <= STEPS_MAX || {
        let (a, b) = (a.chars().count(), b.chars().count());
        edits::steps(a, b) <= STEPS_MAX
    } {
        let mut symbols = Symbols::new();
        let [a, b] = [a, b].map(|text| symbols.row(text.chars()));
        return share(edits::distance(&a, &b, symbols.len()), &a, &b);
    }
    let mut symbols = Symbols::new();
    let [main, other] = [a, b];
    let [a, b] = [a, b].map(|text| symbols.row(Words(text)));
    if edits::steps(a.len(), b.len()) <= STEPS_MAX {
        return share(edits::distance(&a, &b, symbols.len()), &a, &b);
    }
    // Which one is taken to pieces does not depend on whose it is.
    let is_turned = (b.len(), other) < (a.len(), main);
    let (a, b) = if is_turned { (b, a) } else { (a, b) };
    let edits = edits::distance_in_pieces(&a, &b, symbols.len(), STEPS_MAX);
    share(edits, &a, &b)
}

fn share(edits: usize, a: &[u32], b: &[u32]) -> f64 {
    let most = a.len().max(b.len()).max(1);
    edits.min(most) as f64 / most as f64
}

/// The words of a text, the spaces between them left out.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start();
        let first = self.0.chars().next()?;
        let mut chars = self.0.char_indices().skip(1);
        let end = if first >= SPACELESS_FROM {
            chars.next()
        } else {
            let mut inner = chars.enumerate();
            let is_end = |(at, (_, c)): &(usize, (usize, char))| {
                *at + 1 == WORD_CHARS_MAX || c.is_whitespace() || *c >= SPACELESS_FROM
            };
            inner.find(is_end).map(|(_, end)| end)
        };
        let (word, rest) = self.0.split_at(end.map_or(self.0.len(), |(at, _)| at));
        self.0 = rest;
        Some(word)
    }
}

// === impl Symbols ===

impl<K: std::hash::Hash + Eq> Symbols<K> {
    fn new() -> Self {
        Self {
            numbers: HashMap::default(),
        }
    }

    fn row(&mut self, symbols: impl Iterator<Item = K>) -> Vec<u32> {
        let number = |symbol| {
            let next = self.numbers.len() as u32;
            *self.numbers.entry(symbol).or_insert(next)
        };
        symbols.map(number).collect()
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }
}
