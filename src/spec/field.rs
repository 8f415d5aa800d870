//! A single value on its way into its type.

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive};

use super::{
    mistake::{MISTAKES_MAX, Mistake},
    node::{Node, Place, Value},
    reader::Reader,
};

/// The most of a wrong value that a mistake's words repeat, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// Where mistakes gather.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) list: Vec<Mistake>,
    pub(super) more: usize,
}

/// A value that is about to be read, and where it stands.
#[derive(Clone)]
pub(crate) struct Field<'n> {
    pub(super) node: &'n Node,
    pointer: String,
    pub(super) private: bool,
    sink: &'n RefCell<Sink>,
}

// === impl Field ===

impl<'n> Field<'n> {
    pub(super) fn root(node: &'n Node, sink: &'n RefCell<Sink>) -> Self {
        Self {
            node,
            pointer: String::new(),
            private: false,
            sink,
        }
    }

    pub(super) fn child(&self, key: &str, node: &'n Node) -> Self {
        let mut pointer = self.pointer.clone();
        pointer.push('/');
        for c in key.chars() {
            match c {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                c => pointer.push(c),
            }
        }
        Self {
            node,
            pointer,
            private: self.private,
            sink: self.sink,
        }
    }

    /// Notes a mistake at another place than the value's own.
    pub(super) fn note(&self, place: &Place, words: impl Into<String>) {
        let mut sink = self.sink.borrow_mut();
        if sink.list.len() == MISTAKES_MAX {
            sink.more += 1;
            return;
        }
        let (line, column, variable) = match place {
            Place::Nowhere => (None, None, None),
            Place::Text { line, column } => (Some(*line), Some(*column), None),
            Place::Variable(name) => (None, None, Some(name.clone())),
        };
        sink.list.push(Mistake {
            pointer: self.pointer.clone(),
            line,
            column,
            variable,
            words: words.into(),
        });
    }

    /// Notes a mistake of this value.
    pub(crate) fn wrong(&self, words: impl Into<String>) {
        self.note(&self.node.place, words);
    }

    /// Notes that this value is of the wrong type.
    fn unlike<T>(&self, expected: impl Display) -> Option<T> {
        match &self.node.value {
            Value::Untyped(text) => {
                self.wrong(format!("{} is not {expected}", self.quote(text)));
            }
            value => self.wrong(format!("must be {expected}, not {}", value.kind())),
        }
        None
    }

    /// A wrong value as words may repeat it: shortened, or not at all where it may be a secret.
    pub(crate) fn quote(&self, text: &str) -> String {
        if self.private {
            "this".to_owned()
        } else if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
            let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
            format!("{start:?}...")
        } else {
            format!("{text:?}")
        }
    }

    /// This value with the promise that no mistake's words repeat it.
    pub(crate) fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// The pointer to this value.
    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Whether it is a text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.node.value, Value::Text(_))
    }

    /// Whether it is a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.node.value, Value::Table(_))
    }

    /// Whether it is a text without characters.
    pub(crate) fn is_empty_text(&self) -> bool {
        matches!(&self.node.value, Value::Text(text) | Value::Untyped(text) if text.is_empty())
    }

    /// Whether it is a list without items.
    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(items) if items.is_empty())
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<&'n str> {
        match &self.node.value {
            Value::Text(text) | Value::Untyped(text) => Some(text),
            _ => self.unlike("a string"),
        }
    }

    /// A text of so many bytes.
    pub(crate) fn text_within(&self, bytes: RangeInclusive<usize>) -> Option<&'n str> {
        let text = self.text()?;
        if text.len() > *bytes.end() {
            self.wrong(format!(
                "is {} bytes long, {} are allowed",
                text.len(),
                bytes.end()
            ));
            None
        } else if text.len() < *bytes.start() {
            self.wrong("must not be empty");
            None
        } else {
            Some(text)
        }
    }

    /// A text in a form of its own, whose error says what is wrong with it.
    pub(crate) fn parse<T, E: Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(self.text()?)
            .map_err(|error| self.wrong(error.to_string()))
            .ok()
    }

    /// The text of a string or of TOML's own date and time.
    pub(crate) fn datetime(&self) -> Option<&'n str> {
        match &self.node.value {
            Value::Datetime(text) => Some(text),
            _ => self.text(),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn integer<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Option<T> {
        let (low, high) = (range.start(), range.end());
        let number = match &self.node.value {
            Value::Integer(number) => *number,
            // JSON has one kind of number, and some programs write 6 as 6.0.
            Value::Float(number) if number.fract() == 0.0 => *number as i128,
            Value::Untyped(text) => match text.parse() {
                Ok(number) => number,
                Err(_) => return self.unlike(format_args!("a whole number from {low} to {high}")),
            },
            Value::Float(_) => {
                self.wrong(format!(
                    "must be a whole number from {low} to {high}, without a fraction"
                ));
                return None;
            }
            _ => return self.unlike("a whole number"),
        };
        let inside = u64::try_from(number).ok().filter(|n| range.contains(n));
        let converted = inside.and_then(|number| T::try_from(number).ok());
        if converted.is_none() {
            self.wrong(format!("must be from {low} to {high}"));
        }
        converted
    }

    /// A number within `range`.
    pub(crate) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let (low, high) = (range.start(), range.end());
        let number = match &self.node.value {
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Untyped(text) => match text.parse() {
                Ok(number) => number,
                Err(_) => return self.unlike(format_args!("a number from {low} to {high}")),
            },
            _ => return self.unlike("a number"),
        };
        // Nothing contains NaN.
        if range.contains(&number) {
            Some(number)
        } else {
            self.wrong(format!("must be from {low} to {high}"));
            None
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        match &self.node.value {
            Value::Flag(flag) => Some(*flag),
            Value::Untyped(text) if text == "true" => Some(true),
            Value::Untyped(text) if text == "false" => Some(false),
            _ => self.unlike("true or false"),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let words = words.join(", ");
            self.wrong(format!("{} is none of {words}", self.quote(text)));
        }
        found.map(|(_, value)| *value)
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<impl ExactSizeIterator<Item = Field<'n>> + use<'n>> {
        let Value::List(items) = &self.node.value else {
            return self.unlike("a list");
        };
        let own = self.clone();
        Some(
            items
                .iter()
                .enumerate()
                .map(move |(i, item)| own.child(&i.to_string(), item)),
        )
    }

    /// The items of a list that has at most `count_max` of them.
    pub(crate) fn list_within(
        &self,
        count_max: usize,
    ) -> Option<impl ExactSizeIterator<Item = Field<'n>> + use<'n>> {
        let items = self.list()?;
        if items.len() > count_max {
            return self.too_many(items.len(), count_max);
        }
        Some(items)
    }

    /// The texts of a list, each in a form of its own, whose error says what is wrong with it. In
    /// an environment variable, they stand between commas.
    pub(crate) fn texts_within<T, E: Display>(
        &self,
        count_max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let quoting = |field: &Field<'_>, text: &str| {
            parse(text)
                .map_err(|error| field.wrong(format!("{} {error}", field.quote(text))))
                .ok()
        };
        // Every item is visited, so that every mistake is found.
        let read: Vec<_> = if let Value::Untyped(text) = &self.node.value {
            let texts = text.split(',').map(str::trim);
            let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
            if texts.len() > count_max {
                return self.too_many(texts.len(), count_max);
            }
            texts.into_iter().map(|text| quoting(self, text)).collect()
        } else {
            let items = self.list_within(count_max)?;
            items.map(|item| quoting(&item, item.text()?)).collect()
        };
        read.into_iter().collect()
    }

    fn too_many<T>(&self, count: usize, count_max: usize) -> Option<T> {
        self.wrong(format!("has {count} items, {count_max} are allowed"));
        None
    }

    /// A table with known keys.
    pub(crate) fn table<T>(&self, with: impl FnOnce(&mut Reader<'n>) -> Option<T>) -> Option<T> {
        let Value::Table(entries) = &self.node.value else {
            return self.unlike("a table");
        };
        let mut reader = Reader::of(self.clone(), entries);
        let value = with(&mut reader);
        reader.finish();
        value
    }

    /// The keys and values of a table whose keys are free.
    pub(crate) fn pairs(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = (&'n str, Field<'n>)> + use<'n>> {
        let Value::Table(entries) = &self.node.value else {
            return self.unlike("a table");
        };
        let own = self.clone();
        Some(entries.iter().map(move |entry| {
            let key = entry.key.as_str();
            (key, own.child(key, &entry.node))
        }))
    }

    /// Notes each of TOML's own dates and times in it as a mistake; whether there was none.
    pub(crate) fn refuse_datetimes(&self) -> bool {
        let all_good = |fields: &mut dyn Iterator<Item = Field<'n>>| {
            let mut good = true;
            // Every item is visited, so that every mistake is found.
            for field in fields {
                good &= field.refuse_datetimes();
            }
            good
        };
        match &self.node.value {
            Value::Datetime(_) => {
                self.wrong("is a date and time, which JSON has no form for: write it in quotes");
                false
            }
            Value::List(_) => self.list().is_none_or(|mut items| all_good(&mut items)),
            Value::Table(_) => self
                .pairs()
                .is_none_or(|pairs| all_good(&mut pairs.map(|(_, field)| field))),
            _ => true,
        }
    }

    /// Anything, as JSON. A date and time becomes a string.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.node.value {
            Value::Null => Json::Null,
            Value::Flag(flag) => Json::Bool(*flag),
            Value::Integer(number) => match serde_json::Number::from_i128(*number) {
                Some(number) => Json::Number(number),
                None => {
                    self.wrong("does not fit into 64 bits");
                    return None;
                }
            },
            Value::Float(number) => match serde_json::Number::from_f64(*number) {
                Some(number) => Json::Number(number),
                None => {
                    self.wrong("must be a finite number");
                    return None;
                }
            },
            Value::Text(text) | Value::Datetime(text) | Value::Untyped(text) => {
                Json::String(text.clone())
            }
            // Every item is visited, so that every mistake is found.
            Value::List(_) => {
                let items: Vec<_> = self.list()?.map(|item| item.json()).collect();
                Json::Array(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Table(_) => {
                let members: Vec<_> = self
                    .pairs()?
                    .map(|(key, member)| member.json().map(|json| (key.to_owned(), json)))
                    .collect();
                Json::Object(members.into_iter().collect::<Option<_>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::read;

    #[test]
    fn quotes_are_short() {
        let root = Node::from_json(&serde_json::json!({ "a": "é".repeat(1_000) }));
        let mistakes = read(&root, |reader| {
            reader.choice("a", &[("b", false)]);
            Some(())
        });
        let shown = mistakes.expect_err("none of them").to_string();
        assert_eq!(shown, format!("/a: \"{}\"... is none of b", "é".repeat(80)));
    }
}
