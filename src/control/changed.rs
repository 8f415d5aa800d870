//! What an edit changed, field by field, for the history: as it was, and as it is.

use serde_json::{Value, json};

use super::record::{Deployment, FieldChange, Key};

/// What differs between two records of a deployment of what people and files may change.
pub(super) fn of_deployment(old: &Deployment, new: &Deployment) -> Vec<FieldChange> {
    let fields = |record: &Deployment| {
        [
            ("display_name", json!(record.display_name)),
            ("description", json!(record.description)),
            ("tags", json!(record.tags)),
            ("access", json!(record.access)),
            ("keep_previous", json!(record.keep_previous)),
            ("limits", json!(record.limits)),
            ("overload", json!(record.overload)),
        ]
    };
    differing(fields(old), fields(new))
}

/// What differs between two records of a key of what people may change.
pub(super) fn of_key(old: &Key, new: &Key) -> Vec<FieldChange> {
    let fields = |record: &Key| {
        [
            ("description", json!(record.description)),
            ("limits", json!(record.limits)),
            ("priority", json!(record.priority)),
        ]
    };
    differing(fields(old), fields(new))
}

fn differing<const N: usize>(old: [(&str, Value); N], new: [(&str, Value); N]) -> Vec<FieldChange> {
    let both = old.into_iter().zip(new);
    both.filter(|((_, from), (_, to))| from != to)
        .map(|((field, from), (_, to))| FieldChange {
            field: field.to_owned(),
            from,
            to,
        })
        .collect()
}
