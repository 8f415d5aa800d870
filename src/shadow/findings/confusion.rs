//! Which label the challenger gives where main gives which: a confusion table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Different labels that are told apart.
pub const LABELS_MAX: usize = 64;

/// Bytes of a label; of what is longer, the beginning and a digest of the whole are kept.
pub const LABEL_BYTES_MAX: usize = 96;

/// Different pairs of labels that are counted on their own.
const CELLS_MAX: usize = 1_024;

/// How often which label met which. The first labels that come have their place for good: counts are
/// exact, and what has no place is counted in `more`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Confusion {
    labels: Vec<Box<str>>,
    /// By main's label and the challenger's, as places in `labels`.
    cells: BTreeMap<(u8, u8), u64>,
    more: u64,
}

/// How it is kept: each label once.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    labels: Vec<Box<str>>,
    cells: Vec<(u8, u8, u64)>,
    more: u64,
}

// === impl Confusion ===

impl Confusion {
    /// Counts a pair.
    pub(super) fn add(&mut self, main: &str, challenger: &str) {
        let cell = self.place(main).zip(self.place(challenger));
        let count = match cell {
            Some(cell) if self.cells.len() < CELLS_MAX || self.cells.contains_key(&cell) => {
                self.cells.entry(cell).or_default()
            }
            _ => &mut self.more,
        };
        *count = count.saturating_add(1);
    }

    /// Where a label stands; none when there is no room for it.
    fn place(&mut self, label: &str) -> Option<u8> {
        let label = shortened(label);
        let known = self.labels.iter().position(|known| **known == *label);
        let place = known.or_else(|| {
            let has_room = self.labels.len() < LABELS_MAX;
            has_room.then(|| {
                self.labels.push(label.into());
                self.labels.len() - 1
            })
        })?;
        u8::try_from(place).ok()
    }

    /// Pairs in all.
    pub fn pairs(&self) -> u64 {
        let counts = self.cells.values();
        counts.fold(self.more, |sum, count| sum.saturating_add(*count))
    }

    /// Pairs with a label, or two, that have no place.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Main's label, the challenger's, and how often they met; the most frequent first.
    pub fn cells(&self) -> Vec<(&str, &str, u64)> {
        let label = |place: u8| self.labels.get(usize::from(place)).map_or("", |it| it);
        let cells = self.cells.iter();
        let mut cells: Vec<_> = cells
            .map(|(&(main, challenger), &count)| (label(main), label(challenger), count))
            .collect();
        cells.sort_by_key(|&(.., count)| std::cmp::Reverse(count));
        cells
    }
}

/// A label in [`LABEL_BYTES_MAX`] bytes. Long ones that differ still do.
fn shortened(label: &str) -> std::borrow::Cow<'_, str> {
    if label.len() <= LABEL_BYTES_MAX {
        return label.into();
    }
    let digest = blake3::hash(label.as_bytes()).to_hex();
    // Room for the mark, of three bytes, and the digest.
    let kept = label.floor_char_boundary(LABEL_BYTES_MAX - 3 - 12);
    format!("{}…{}", &label[..kept], &digest[..12]).into()
}

impl From<Kept> for Confusion {
    fn from(kept: Kept) -> Self {
        let mut labels = kept.labels;
        labels.truncate(LABELS_MAX);
        for label in &mut labels {
            *label = shortened(label).into();
        }
        let (mut cells, mut more) = (BTreeMap::new(), kept.more);
        for (main, challenger, count) in kept.cells {
            let is_known = usize::from(main.max(challenger)) < labels.len();
            if is_known && cells.len() < CELLS_MAX {
                cells.insert((main, challenger), count);
            } else {
                more = more.saturating_add(count);
            }
        }
        Self {
            labels,
            cells,
            more,
        }
    }
}

impl From<Confusion> for Kept {
    fn from(confusion: Confusion) -> Self {
        let cells = confusion.cells.into_iter();
        Self {
            labels: confusion.labels,
            cells: cells
                .map(|((main, challenger), count)| (main, challenger, count))
                .collect(),
            more: confusion.more,
        }
    }
}
