//! One tree for everything that people write, whatever the format it is written in, each value
//! with its place.
//!
//! ```text
//! TOML ──┐
//! JSON ──┼──▶ Node ──▶ Reader
//! environment ──┘ (replaces single nodes)
//! ```
//!
//! Both parsers bound how deep a text may nest (TOML also in dotted keys), so whatever walks a tree
//! may recurse.

use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::mistake::Mistakes;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A value of any of the formats.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    /// Numbers beyond its range are clamped: no setting reaches that far.
    Integer(i128),
    Float(f64),
    Text(String),
    /// TOML's own date and time, in the text form of RFC 3339.
    Datetime(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// The text of an environment variable, whose type is whatever the reader asks for.
    Untyped(String),
}

/// A key of a table, where it stands, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In something that came without a text, such as a parsed JSON body.
    Nowhere,
    /// In a text; both from 1 up, the column in characters.
    Text { line: u32, column: u32 },
    /// In the environment variable of this name.
    Variable(String),
}

// === impl Node ===

impl Node {
    /// Reads TOML.
    ///
    /// # Errors
    /// The first syntax error, as the one mistake. Its words are the parser's fixed ones: an
    /// excerpt of the text is never part of them, since the text holds keys.
    pub(crate) fn from_toml(text: &str) -> Result<Self, Mistakes> {
        let lines = Lines::of(text);
        match DeTable::parse(text) {
            Ok(table) => {
                let place = lines.place(0);
                let value = Value::Table(entries(table.into_inner(), &lines));
                Ok(Self { value, place })
            }
            Err(error) => {
                let offset = error.span().map_or(text.len(), |span| span.start);
                let words = format!("not valid TOML: {}", error.message());
                Err(lines.mistake(offset, words))
            }
        }
    }

    /// Takes over a JSON value.
    pub(crate) fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Flag(*flag),
            Json::Number(number) => number
                .as_i128()
                .map(Value::Integer)
                .unwrap_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN))),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Self::from_json).collect()),
            Json::Object(members) => Value::Table(
                members
                    .iter()
                    .map(|(key, member)| Entry {
                        key: key.clone(),
                        place: Place::Nowhere,
                        node: Self::from_json(member),
                    })
                    .collect(),
            ),
        };
        Self {
            value,
            place: Place::Nowhere,
        }
    }

    /// Puts the text of an environment variable at `path`, in place of what is there. Does nothing
    /// when something on the way is no table: the reader reports that.
    pub(crate) fn override_at(&mut self, path: &[&str], variable: &str, text: &str) {
        let place = Place::Variable(variable.to_owned());
        let Some((key, rest)) = path.split_first() else {
            self.value = Value::Untyped(text.to_owned());
            self.place = place;
            return;
        };
        let Value::Table(entries) = &mut self.value else {
            return;
        };
        let at = entries.iter().position(|entry| entry.key == *key);
        let at = at.unwrap_or_else(|| {
            entries.push(Entry {
                key: (*key).to_owned(),
                place: place.clone(),
                node: Node {
                    value: Value::Table(Vec::new()),
                    place,
                },
            });
            entries.len() - 1
        });
        entries[at].node.override_at(rest, variable, text);
    }
}

/// The bytes of a file as text.
///
/// # Errors
/// One mistake at the first byte that is not UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Mistakes> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let good = std::str::from_utf8(good).unwrap_or_default();
        Lines::of(good).mistake(good.len(), "not UTF-8".to_owned())
    })
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let place = lines.place(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => Value::Integer(
            i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(
                if integer.as_str().starts_with('-') {
                    i128::MIN
                } else {
                    i128::MAX
                },
            ),
        ),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, lines)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, lines)),
    };
    Node { value, place }
}

fn entries(table: DeTable<'_>, lines: &Lines<'_>) -> Vec<Entry> {
    let mut table: Vec<_> = table.into_iter().collect();
    // The parser sorts by key; people expect what is stored and shown in the order they wrote.
    table.sort_by_key(|(key, _)| key.span().start);
    table
        .into_iter()
        .map(|(key, value)| Entry {
            place: lines.place(key.span().start),
            key: Cow::into_owned(key.into_inner()),
            node: node(value, lines),
        })
        .collect()
}

// === impl Value ===

impl Value {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) | Self::Untyped(_) => "a string",
            Self::Datetime(_) => "a date and time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The starts of a text's lines, so that an offset becomes a place without reading it all again.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

// === impl Lines ===

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let behind_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(behind_breaks).collect(),
        }
    }

    fn line_column(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|&start| start <= offset) - 1;
        let before = self.text.get(self.starts[line]..offset).unwrap_or_default();
        let small = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        (small(line), small(before.chars().count()))
    }

    fn place(&self, offset: usize) -> Place {
        let (line, column) = self.line_column(offset);
        Place::Text { line, column }
    }

    fn mistake(&self, offset: usize, words: String) -> Mistakes {
        let (line, column) = self.line_column(offset);
        Mistakes::one(Some(line), Some(column), words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_has_a_place_and_no_excerpt() {
        for (text, line, column) in [
            ("a = 1\nb = hunter2hunter2x\n", 2, 5),
            ("a = 'hunter2hunter2x\n", 1, 21),
            ("[[key]]\nsecret = \"é\" hunter2hunter2x", 2, 14),
            ("hunter2hunter2x", 1, 16),
            ("hunter2hunter2x = 1\nhunter2hunter2x = 2", 2, 1),
        ] {
            let mistakes = Node::from_toml(text).expect_err(text);
            let [mistake] = mistakes.list() else {
                panic!("one mistake: {mistakes}")
            };
            assert_eq!(
                (mistake.line, mistake.column),
                (Some(line), Some(column)),
                "{mistake}"
            );
            assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_have_a_place() {
        assert_eq!(utf8(b"a\nb"), Ok("a\nb"));
        let mistakes = utf8(b"a\n\xc3\xa9b\xff").expect_err("not UTF-8");
        assert_eq!(mistakes.to_string(), "2:3: not UTF-8");
    }

    #[test]
    fn nesting_is_bounded_in_every_spelling() {
        let n = 50_000;
        for text in [
            format!("{}a = 1", "a.".repeat(n)),
            format!("[{}a]", "a.".repeat(n)),
            format!("[[{}a]]", "a.".repeat(n)),
            format!("a = {}", "[".repeat(n)),
            format!("a = {}", "{a=".repeat(n)),
        ] {
            assert!(Node::from_toml(&text).is_err());
        }
    }

    #[test]
    fn tables_keep_the_order_they_were_written_in() {
        let root = Node::from_toml("z = 1\nb.c = 2\na = 3\nb.a = 4").expect("TOML");
        let Value::Table(entries) = root.value else {
            panic!("a table")
        };
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["z", "b", "a"]);
    }

    #[test]
    fn numbers_of_any_length_are_clamped() {
        let huge = "9".repeat(100);
        for (text, number) in [
            (format!("a = {huge}"), i128::MAX),
            (format!("a = -{huge}"), i128::MIN),
            ("a = 0xff".to_owned(), 255),
            ("a = -1_0".to_owned(), -10),
        ] {
            let root = Node::from_toml(&text).expect("TOML");
            let Value::Table(entries) = &root.value else {
                panic!("a table")
            };
            assert!(
                matches!(entries[0].node.value, Value::Integer(n) if n == number),
                "{text}"
            );
        }
    }
}
