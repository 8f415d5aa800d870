//! A version as JSON, in the forms that are compared, shown and written.

use serde_json::{Map, Value};

use crate::spec::{
    BackendSpec, BackendUrl, BudgetSpec, ChallengerSpec, CompareSpec, Example, KeepBodiesSpec,
    OverloadSpec, Parameters, PoolSpec, Protocol, TimeoutsSpec, VerdictSpec, VersionSpec,
    WarmUpSpec,
};

/// Tables within tables that a file may hold; deeper, its parser gives up.
const DEPTH_MAX: usize = 64;

/// A version as far as declarations can say it: TOML has no null. What they can't say is left out, and
/// where it stood is added to `left_out`.
pub(super) fn sayable(version: &VersionSpec, left_out: &mut Vec<String>) -> VersionSpec {
    let mut said = version.clone();
    let members = said.parameters.as_map().iter();
    let members: Map<String, Value> = members
        .filter_map(|(key, value)| {
            let path = format!("version.parameters.{key}");
            Some((key.clone(), without_null(value, &path, 0, left_out)?))
        })
        .collect();
    said.parameters = Parameters::new(members);
    let mut example = |example: &Option<Example>, path: &str| {
        let value = example.as_ref()?.as_value();
        without_null(value, path, 0, left_out).map(Example::new)
    };
    said.input_example = example(&said.input_example, "version.input_example");
    said.output_example = example(&said.output_example, "version.output_example");
    said
}

fn without_null(
    value: &Value,
    path: &str,
    depth: usize,
    left_out: &mut Vec<String>,
) -> Option<Value> {
    let said = match value {
        Value::Object(members) if depth < DEPTH_MAX => {
            let members = members.iter().filter_map(|(key, value)| {
                let path = format!("{path}.{key}");
                let value = without_null(value, &path, depth + 1, left_out)?;
                Some((key.clone(), value))
            });
            Some(Value::Object(members.collect()))
        }
        // A list without one of its items is another list.
        Value::Array(items) if depth < DEPTH_MAX && !items.iter().any(Value::is_null) => {
            let mut said = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                // Its own place has been noted.
                said.push(without_null(
                    item,
                    &format!("{path}[{i}]"),
                    depth + 1,
                    left_out,
                )?);
            }
            return Some(Value::Array(said));
        }
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        plain => Some(plain.clone()),
    };
    if said.is_none() {
        left_out.push(path.to_owned());
    }
    said
}

/// A version with all of its defaults.
pub(super) fn full(version: &VersionSpec) -> Value {
    // A declared shape is JSON by its nature.
    serde_json::to_value(version).unwrap_or_default()
}

/// A version with only what differs from the defaults.
pub(super) fn sparse(version: &VersionSpec) -> Value {
    let (value, default) = (full(version), full(&VersionSpec::default()));
    let Value::Object(members) = value else {
        return value;
    };
    let mut sparse = Map::new();
    for (key, value) in members {
        let kept = match key.as_str() {
            "main" => pool(value, &json_of(&PoolSpec::default())),
            "challenger" => challenger(value),
            "warm_up" => {
                let path = value["path"].clone();
                let mut kept = less(value, &json_of(&WarmUpSpec::default()));
                kept["path"] = path;
                kept
            }
            "timeouts" => less(value, &json_of(&TimeoutsSpec::default())),
            key if default.get(key) == Some(&value) => continue,
            _ => value,
        };
        // Empty tables that are no default say something.
        let says_nothing = key == "timeouts" && kept == Value::Object(Map::new());
        if !kept.is_null() && !says_nothing {
            sparse.insert(key, kept);
        }
    }
    Value::Object(sparse)
}

/// What protects backends, with only what differs from the defaults.
pub(super) fn sparse_overload(overload: &OverloadSpec) -> Value {
    less(json_of(overload), &json_of(&OverloadSpec::default()))
}

/// A pool, and of the tables in it only what differs from their own defaults.
fn challenger(value: Value) -> Value {
    let mut kept = pool(value, &json_of(&ChallengerSpec::default()));
    let tables = [
        ("compare", json_of(&CompareSpec::default())),
        ("verdict", json_of(&VerdictSpec::default())),
        ("keep_bodies", json_of(&KeepBodiesSpec::default())),
        ("budget", json_of(&BudgetSpec::default())),
    ];
    for (name, default) in tables {
        if let Some(table) = kept.get_mut(name) {
            *table = less(table.take(), &default);
        }
    }
    kept
}

fn pool(value: Value, default: &Value) -> Value {
    let mut kept = Map::new();
    let backend = BackendUrl::parse("http://m").map(|url| BackendSpec {
        url,
        weight: 1,
        protocol: Protocol::default(),
    });
    let backend = backend.map_or(Value::Null, |backend| json_of(&backend));
    if let Some(Value::Array(backends)) = value.get("backends").cloned() {
        let backends = backends.into_iter().map(|own| {
            let url = own["url"].clone();
            let mut kept = Map::from_iter([("url".to_owned(), url)]);
            if let Value::Object(members) = less(own, &backend) {
                kept.extend(members.into_iter().filter(|(key, _)| key != "url"));
            }
            Value::Object(kept)
        });
        kept.insert("backends".to_owned(), backends.collect());
    }
    if let Value::Object(members) = less(value, default) {
        kept.extend(members.into_iter().filter(|(key, _)| key != "backends"));
    }
    Value::Object(kept)
}

/// The members of a table that differ from another one's.
fn less(value: Value, default: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let differs = |(key, value): &(String, Value)| default.get(key) != Some(value);
            Value::Object(members.into_iter().filter(differs).collect())
        }
        value => value,
    }
}

fn json_of(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_from_the_defaults_is_kept() {
        let backends = json!([{"url": "http://a"}, {"url": "http://b", "weight": 2}]);
        for json in [
            json!({"main": {"backends": backends}}),
            json!({"main": {"backends": backends}, "auto_stop": true,
                   "challenger": {"backends": backends,
                       "compare": {"kind": "label", "pointer": "/label"},
                       "verdict": {"min_agreement": 0.9, "max_latency_ratio_p99": 2.0},
                       "keep_bodies": {"sample": 0.5, "redact": ["/user/*"]},
                       "budget": {"requests_per_second": 5.0, "adaptive": true}}}),
            json!({"model": "m", "instances": 0, "labels": {"a": "b"},
                   "main": {"backends": backends, "predict_path": "/x", "tails": []},
                   "challenger": {"backends": backends, "sample": 0.5},
                   "timeouts": {"idle_ms": 1}, "readiness": {"ready_ms": 0},
                   "warm_up": {"path": "/"}, "input_example": {"a": {}}}),
        ] {
            let spec = VersionSpec::from_json(&json).expect("good");
            assert_eq!(sparse(&spec), json);
            assert_eq!(VersionSpec::from_json(&sparse(&spec)), Ok(spec));
        }
        let wordy = json!({"model": "", "main": {"backends": [{"url": "http://a", "weight": 1,
            "protocol": "http1"}], "predict_path": "/predict"}, "timeouts": {"idle_ms": 60_000}});
        let spec = VersionSpec::from_json(&wordy).expect("good");
        let brief = json!({"main": {"backends": [{"url": "http://a"}]}});
        assert_eq!(sparse(&spec), brief);
    }

    #[test]
    fn what_toml_can_not_say_is_left_out_and_named() {
        let json = json!({"main": {"backends": [{"url": "http://a"}]},
            "parameters": {"a": null, "b": {"c": null, "d": 1}, "e": [1, null], "f": [[{"g": null}]]},
            "input_example": [null], "output_example": {"x": [1]}});
        let spec = VersionSpec::from_json(&json).expect("good");
        let mut left_out = Vec::new();
        let said = full(&sayable(&spec, &mut left_out));
        assert_eq!(said["parameters"], json!({"b": {"d": 1}, "f": [[{}]]}));
        assert_eq!(said.get("input_example"), None);
        assert_eq!(said["output_example"], json!({"x": [1]}));
        let expected = [
            "version.parameters.a",
            "version.parameters.b.c",
            "version.parameters.e",
            "version.parameters.f[0][0].g",
            "version.input_example",
        ];
        assert_eq!(left_out, expected);
    }
}
