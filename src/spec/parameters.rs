//! A model's parameters and examples: any JSON, kept as it was written.

use serde::Serialize;
use serde_json::{Map, Value};

/// Parameters of a model. Two are equal when they would be written the same: the order of members
/// counts, as does `1` beside `1.0`. (`serde_json`'s own equality is looser, and a version that is
/// stored as text must be the same version whichever of the two is compared.)
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Parameters(Map<String, Value>);

/// An example of what a model takes or answers: any JSON but null. Equal as [`Parameters`] are.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Example(Value);

// === impl Parameters ===

impl Parameters {
    /// Keeps a table of JSON.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The table.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self(Map::new())
    }
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        same_members(&self.0, &other.0)
    }
}

impl Eq for Parameters {}

// === impl Example ===

impl Example {
    /// Keeps an example.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// The example.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl PartialEq for Example {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Example {}

fn same_members(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((key, value), (other, beside))| key == other && same(value, beside))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // 0.0 equals -0.0 as a number, and is written otherwise.
        (Value::Number(a), Value::Number(b)) => a == b && a.to_string() == b.to_string(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => same_members(a, b),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parameters {
        Parameters::new(serde_json::from_str(text).expect(text))
    }

    #[test]
    fn equal_is_what_is_written_the_same() {
        let texts = [
            "{}",
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":0.0}"#,
            r#"{"a":-0.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":null}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"b":2,"a":1}"#,
            r#"{"a":{"x":1,"y":[1]}}"#,
            r#"{"a":{"y":[1],"x":1}}"#,
            r#"{"a":[{"x":1},{"y":2}]}"#,
            r#"{"a":[{"y":2},{"x":1}]}"#,
            r#"{"a":[]}"#,
            r#"{"a":[0.0]}"#,
            r#"{"a":[-0.0]}"#,
        ];
        for (i, a) in texts.iter().enumerate() {
            for (j, b) in texts.iter().enumerate() {
                assert_eq!(parse(a) == parse(b), i == j, "{a} beside {b}");
                let example = |text| Example::new(serde_json::from_str(text).expect(text));
                assert_eq!(example(a) == example(b), i == j, "{a} beside {b}");
            }
        }
    }
}
