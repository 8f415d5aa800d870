//! What an example tells of the type of its kind, as JSON Schema.
//!
//! It tells what it shows and no more: no member is required because one example has it, and a whole
//! number says nothing against fractions. So every value like the example fits, and a client that is
//! generated from the schema sends nothing that the example's author would call wrong by its type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What values at one place were seen to be.
#[derive(Default)]
struct Seen {
    null: bool,
    flag: bool,
    number: bool,
    text: bool,
    /// All items of all lists together.
    list: Option<Box<Seen>>,
    table: Option<BTreeMap<String, Seen>>,
}

/// The schema of an example.
pub(super) fn schema_of(example: &Value) -> Value {
    let mut seen = Seen::default();
    seen.add(example);
    seen.schema()
}

// === impl Seen ===

impl Seen {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => self.null = true,
            Value::Bool(_) => self.flag = true,
            Value::Number(_) => self.number = true,
            Value::String(_) => self.text = true,
            Value::Array(items) => {
                let list = self.list.get_or_insert_default();
                items.iter().for_each(|item| list.add(item));
            }
            Value::Object(members) => {
                let table = self.table.get_or_insert_default();
                for (name, member) in members {
                    table.entry(name.clone()).or_default().add(member);
                }
            }
        }
    }

    fn schema(&self) -> Value {
        let kinds = [
            (self.flag, "boolean"),
            (self.number, "number"),
            (self.text, "string"),
            (self.list.is_some(), "array"),
            (self.table.is_some(), "object"),
        ];
        let mut kinds: Vec<&str> = kinds
            .into_iter()
            .filter_map(|(is_seen, kind)| is_seen.then_some(kind))
            .collect();
        // What was only ever null may be anything.
        if kinds.is_empty() {
            return json!({});
        }
        if self.null {
            kinds.push("null");
        }
        let mut schema = Map::new();
        let kind = match kinds[..] {
            [only] => json!(only),
            _ => json!(kinds),
        };
        schema.insert("type".to_owned(), kind);
        if let Some(list) = &self.list {
            schema.insert("items".to_owned(), list.schema());
        }
        if let Some(table) = &self.table {
            let members = table.iter();
            let members: Map<_, _> = members
                .map(|(name, seen)| (name.clone(), seen.schema()))
                .collect();
            schema.insert("properties".to_owned(), members.into());
        }
        schema.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_tells_what_it_shows_and_no_more() {
        for (example, schema) in [
            (json!(null), json!({})),
            (json!(true), json!({"type": "boolean"})),
            (json!(3), json!({"type": "number"})),
            (json!("a"), json!({"type": "string"})),
            (json!([]), json!({"type": "array", "items": {}})),
            (
                json!([[5.1, 3], []]),
                json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
            ),
            (
                json!([1, null, "a", [true]]),
                json!({"type": "array", "items": {"type": ["number", "string", "array", "null"],
                    "items": {"type": "boolean"}}}),
            ),
            (
                json!({"rows": [{"a": 1}, {"a": null, "b": {}}], "x": null}),
                json!({"type": "object", "properties": {
                    "rows": {"type": "array", "items": {"type": "object", "properties": {
                        "a": {"type": ["number", "null"]},
                        "b": {"type": "object", "properties": {}}}}},
                    "x": {}}}),
            ),
        ] {
            assert_eq!(schema_of(&example), schema, "{example}");
        }
    }
}
