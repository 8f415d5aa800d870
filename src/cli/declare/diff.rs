//! In what two versions differ, field by field.

use serde_json::Value;

use super::normal::{full, sparse};
use crate::spec::VersionSpec;

/// A field that differs. What is not there on one side is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldChange {
    /// `version.main.backends[0].url`.
    pub(super) field: String,
    /// As it is.
    pub(super) from: Option<Value>,
    /// As it is to be.
    pub(super) to: Option<Value>,
}

/// A value as it is compared, and as it is shown where the other side has nothing: without defaults.
#[derive(Clone, Copy)]
struct Side<'a> {
    full: &'a Value,
    sparse: Option<&'a Value>,
}

/// In what versions differ. The backends of a pool are matched by their position.
pub(super) fn versions(from: &VersionSpec, to: &VersionSpec) -> Vec<FieldChange> {
    let (from_full, from_sparse) = (full(from), sparse(from));
    let (to_full, to_sparse) = (full(to), sparse(to));
    let mut changes = Vec::new();
    differ(
        "version",
        Side {
            full: &from_full,
            sparse: Some(&from_sparse),
        },
        Side {
            full: &to_full,
            sparse: Some(&to_sparse),
        },
        &mut changes,
    );
    if changes.is_empty() && from != to {
        // The members of parameters in another order are another version.
        changes.push(FieldChange {
            field: "version.parameters".to_owned(),
            from: Some(from_full["parameters"].clone()),
            to: Some(to_full["parameters"].clone()),
        });
    }
    changes
}

// === impl Side ===

impl<'a> Side<'a> {
    fn member(self, key: &str) -> Option<Self> {
        let full = self.full.get(key).filter(|value| !value.is_null())?;
        let sparse = self.sparse.and_then(|sparse| sparse.get(key));
        Some(Self { full, sparse })
    }

    fn item(self, at: usize) -> Option<Self> {
        let full = self.full.get(at)?;
        let sparse = self.sparse.and_then(|sparse| sparse.get(at));
        Some(Self { full, sparse })
    }

    fn shown(self) -> Value {
        self.sparse.unwrap_or(self.full).clone()
    }
}

fn differ(path: &str, from: Side<'_>, to: Side<'_>, changes: &mut Vec<FieldChange>) {
    match (from.full, to.full) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let path = format!("{path}.{}", key_text(key));
                beside(&path, from.member(key), to.member(key), changes);
            }
        }
        (Value::Array(old), Value::Array(new)) if are_tables(old) && are_tables(new) => {
            for at in 0..old.len().max(new.len()) {
                beside(
                    &format!("{path}[{at}]"),
                    from.item(at),
                    to.item(at),
                    changes,
                );
            }
        }
        (old, new) if old == new => {}
        (old, new) => changes.push(FieldChange {
            field: path.to_owned(),
            from: Some(old.clone()),
            to: Some(new.clone()),
        }),
    }
}

fn beside(
    path: &str,
    from: Option<Side<'_>>,
    to: Option<Side<'_>>,
    changes: &mut Vec<FieldChange>,
) {
    match (from, to) {
        (Some(from), Some(to)) => differ(path, from, to, changes),
        (None, None) => {}
        (from, to) => changes.push(FieldChange {
            field: path.to_owned(),
            from: from.map(Side::shown),
            to: to.map(Side::shown),
        }),
    }
}

fn are_tables(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_object)
}

/// A key in a path: in quotes where it could be taken for more than one.
fn key_text(key: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    match !key.is_empty() && key.bytes().all(is_plain) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(json: &Value) -> VersionSpec {
        VersionSpec::from_json(json).expect("good")
    }

    fn lines(from: &Value, to: &Value) -> Vec<String> {
        let shown = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
        versions(&spec(from), &spec(to))
            .into_iter()
            .map(|change| {
                let (from, to) = (shown(change.from), shown(change.to));
                format!("{}: {from} -> {to}", change.field)
            })
            .collect()
    }

    #[test]
    fn equal_versions_differ_in_nothing() {
        let brief = json!({"main": {"backends": [{"url": "http://a"}]}});
        let wordy = json!({"main": {"backends": [{"url": "http://a:80", "weight": 1}],
            "stream_path": "/stream"}, "parameters": {}, "timeouts": {"idle_ms": 60_000.0}});
        assert_eq!(lines(&brief, &wordy), [""; 0]);
    }

    #[test]
    fn each_field_is_named_by_its_path() {
        let from = json!({"model": "iris:1.2", "instances": 2,
            "main": {"backends": [{"url": "http://a"}, {"url": "http://c"}], "tails": ["a"]},
            "labels": {"a b": "1", "same": "x"}, "parameters": {"deep": {"list": [1, 2]}}});
        let to = json!({"model": "iris:1.3",
            "main": {"backends": [{"url": "http://b", "weight": 3}], "tails": ["a", "b"]},
            "challenger": {"backends": [{"url": "http://d"}], "sample": 0.5},
            "labels": {"a b": "2", "same": "x"}, "parameters": {"deep": {"list": [1, 3]}},
            "timeouts": {"idle_ms": 5}});
        assert_eq!(
            lines(&from, &to),
            [
                "version.model: \"iris:1.2\" -> \"iris:1.3\"",
                "version.parameters.deep.list: [1,2] -> [1,3]",
                "version.instances: 2 -> -",
                "version.labels.\"a b\": \"1\" -> \"2\"",
                "version.main.backends[0].url: \"http://a\" -> \"http://b\"",
                "version.main.backends[0].weight: 1 -> 3",
                "version.main.backends[1]: {\"url\":\"http://c\"} -> -",
                "version.main.tails: [\"a\"] -> [\"a\",\"b\"]",
                "version.timeouts.idle_ms: 60000 -> 5",
                "version.challenger: - -> {\"backends\":[{\"url\":\"http://d\"}],\"sample\":0.5}",
            ]
        );
    }

    #[test]
    fn what_is_said_of_a_challenger_is_compared_by_its_fields() {
        let with = |own: Value| {
            let mut challenger = json!({"backends": [{"url": "http://c"}]});
            let members = challenger.as_object_mut().expect("a table");
            members.extend(own.as_object().expect("a table").clone());
            json!({"main": {"backends": [{"url": "http://a"}]}, "challenger": challenger})
        };
        let plain = with(json!({"verdict": {"min_agreement": 0.95}}));
        let mut judged = with(json!({"compare": {"kind": "exact"}, "verdict": {"min_pairs": 7}}));
        judged["auto_promote"] = json!(true);
        assert_eq!(
            lines(&plain, &judged),
            [
                "version.challenger.compare: - -> {\"kind\":\"exact\"}",
                "version.challenger.verdict: - -> {\"min_pairs\":7}",
                "version.auto_promote: - -> true",
            ]
        );
        let other = with(json!({"compare": {"kind": "exact"}, "verdict": {"min_pairs": 8}}));
        assert_eq!(
            lines(&judged, &other),
            [
                "version.challenger.verdict.min_pairs: 7 -> 8",
                "version.auto_promote: true -> -",
            ]
        );
    }

    #[test]
    fn another_order_of_parameters_is_a_difference() {
        let of = |parameters: &str| {
            let text = format!(
                r#"{{"main": {{"backends": [{{"url": "http://a"}}]}}, "parameters": {parameters}}}"#
            );
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        assert_eq!(
            lines(&of(r#"{"a":1,"b":2}"#), &of(r#"{"b":2,"a":1}"#)),
            [r#"version.parameters: {"a":1,"b":2} -> {"b":2,"a":1}"#]
        );
    }
}
