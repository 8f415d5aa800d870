//! Walks a tree by key and gathers every mistake on the way.
//!
//! ```text
//! Node ──read──▶ Reader (a table) ──field──▶ Field ──text, integer, list, table ...──▶ values
//!                     └ keys nobody asked for ┐        └ wrong type, range, form ┐
//!                                             └──────────────▶ sink ◀────────────┘
//! ```
//!
//! A value that is wrong is noted and replaced by its default, and reading goes on; the caller gets
//! what was read only when the sink stayed empty.

use std::{cell::RefCell, ops::RangeInclusive};

use super::{
    field::{Field, Sink},
    mistake::Mistakes,
    near::nearest,
    node::{Entry, Node, Value},
};

/// Unknown keys shorter than this are shown even where a key's secret may stand: no key is shorter
/// (see `base::secret::KEY_BYTES`).
const HARMLESS_BYTES: usize = 16;

/// Reads the table at the root with `with`.
///
/// # Errors
/// Every mistake that was found.
pub(crate) fn read<T>(
    root: &Node,
    with: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let sink = RefCell::new(Sink::default());
    let value = Field::root(root, &sink).table(with);
    let Sink { list, more } = sink.into_inner();
    match value {
        Some(value) if list.is_empty() => Ok(value),
        None if list.is_empty() => Err(Mistakes::one(None, None, "can't be read".to_owned())),
        _ => Err(Mistakes::new(list, more)),
    }
}

/// A table that is being read. Keys that nobody asked for are mistakes when it is done.
pub(crate) struct Reader<'n> {
    table: Field<'n>,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

// === impl Reader ===

impl<'n> Reader<'n> {
    pub(super) fn of(table: Field<'n>, entries: &'n [Entry]) -> Self {
        Self {
            table,
            entries,
            asked: Vec::new(),
        }
    }

    /// The value of `key`, if there is one; a JSON `null` is none.
    pub(crate) fn field(&mut self, key: &'static str) -> Option<Field<'n>> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!matches!(entry.node.value, Value::Null)).then(|| self.table.child(key, &entry.node))
    }

    /// The value of `key` where `null` says something too: outer none when the key is left out, inner
    /// none when it is `null`.
    pub(crate) fn nullable(&mut self, key: &'static str) -> Option<Option<Field<'n>>> {
        let field = self.field(key);
        let is_there = self.entries.iter().any(|entry| entry.key == key);
        is_there.then_some(field)
    }

    /// The value of `key`; a mistake if there is none.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<Field<'n>> {
        let field = self.field(key);
        if field.is_none() {
            self.wrong(key, "is missing");
        }
        field
    }

    /// Notes a mistake of a key that is missing or at odds with others.
    pub(crate) fn wrong(&self, key: &str, words: impl Into<String>) {
        let at = self.entries.iter().find(|entry| entry.key == key);
        let at = at.map_or(self.table.node, |entry| &entry.node);
        self.table.child(key, at).wrong(words);
    }

    /// Notes a mistake of the whole table.
    pub(crate) fn wrong_itself(&self, words: impl Into<String>) {
        self.table.wrong(words);
    }

    /// Whether no key has a value.
    pub(crate) fn is_empty(&self) -> bool {
        let mut values = self.entries.iter().map(|entry| &entry.node.value);
        values.all(|value| matches!(value, Value::Null))
    }

    /// A text of at most `bytes_max`, or `default`.
    pub(crate) fn text(&mut self, key: &'static str, bytes_max: usize, default: &str) -> String {
        self.field(key)
            .and_then(|field| field.text_within(0..=bytes_max))
            .unwrap_or(default)
            .to_owned()
    }

    /// A whole number within `range`, or `default`.
    pub(crate) fn integer<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: T,
    ) -> T {
        self.field(key)
            .and_then(|field| field.integer(range))
            .unwrap_or(default)
    }

    /// A number within `range`, or `default`.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> f64 {
        self.field(key)
            .and_then(|field| field.number(range))
            .unwrap_or(default)
    }

    /// `true` or `false`, or `default`.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.field(key)
            .and_then(|field| field.flag())
            .unwrap_or(default)
    }

    /// One of a few words, or the default.
    pub(crate) fn choice<T: Copy + Default>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> T {
        self.field(key)
            .and_then(|field| field.choice(choices))
            .unwrap_or_default()
    }

    /// A table; one that is missing is read as an empty one.
    pub(crate) fn section(&mut self, key: &'static str, with: impl FnOnce(&mut Reader<'n>)) {
        match self.field(key) {
            Some(field) => {
                field.table(|reader| {
                    with(reader);
                    Some(())
                });
            }
            None => with(&mut Reader::of(self.table.child(key, self.table.node), &[])),
        }
    }

    /// From here on, the words of this table's mistakes repeat nothing that stands in it.
    pub(crate) fn keep_private(&mut self) {
        self.table.private = true;
    }

    /// Notes the keys that nobody asked for.
    pub(super) fn finish(self) {
        for entry in self.entries {
            if self.asked.contains(&entry.key.as_str()) {
                continue;
            }
            let near = nearest(&entry.key, &self.asked);
            if self.table.private && entry.key.len() >= HARMLESS_BYTES && near.is_none() {
                // Perhaps a key's secret that slipped to the left of its `=`.
                let place = &entry.place;
                self.table.note(place, "has an unknown key (not shown)");
                continue;
            }
            let words = match near {
                Some(near) => format!("is not known; did you mean {near:?}?"),
                None => "is not known".to_owned(),
            };
            let unknown = self.table.child(&entry.key, &entry.node);
            unknown.note(&entry.place, words);
        }
    }
}
