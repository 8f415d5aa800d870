//! Properties: any JSON is read or refused with mistakes that point into it, and none shows a key.

use proptest::prelude::*;
use serde_json::Value;

use super::{super::*, NOW_MS, SECRET};

/// Words that reach deep into the readers, beside arbitrary ones.
fn word() -> BoxedStrategy<String> {
    let known = [
        "name",
        "description",
        "display_name",
        "tags",
        "access",
        "keys",
        "keep_previous",
        "expires_at",
        "2030-01-01T00:00:00Z",
        "may_pin",
        "secret",
        "digest",
        "id",
        "first_key",
        SECRET,
        "tenant",
        "projects",
        "project",
        "role",
        "member",
        "viewer",
        "version",
        "force",
        "reason",
        "text",
        "limit",
        "limits",
        "requests_per_second",
        "burst",
        "mode",
        "count",
        "priority",
        "bulk",
        "overload",
        "concurrency_max",
        "concurrency_min",
        "url",
        "demo",
    ];
    prop_oneof![
        3 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
    .boxed()
}

fn body() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word().prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            proptest::collection::hash_map(word(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::vec((word(), value), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
        .boxed()
}

proptest! {
    /// Whatever comes is read or refused; a refusal points at what was sent, and a new key's shows
    /// no key.
    #[test]
    fn any_body_is_read_or_refused(json in body()) {
        let refusals = [
            DeploymentPatch::from_json(&json).err(),
            NewProject::from_json(&json).err(),
            ProjectPatch::from_json(&json).err(),
            NewTenant::from_json(&json).err(),
            NewToken::from_json(&json, NOW_MS).err(),
            NewShare::from_json(&json).err(),
            RollbackBody::from_json(&json).err(),
            PromoteBody::from_json(&json).err(),
            DeleteBody::from_json(&json).err(),
            StopBody::from_json(&json).err(),
            NewReadme::from_json(&json).err(),
            QueueBody::from_json(&json).err(),
            ReplayBody::from_json(&json).err(),
            NewWebhook::from_json(&json).err(),
        ];
        let new_key = NewKey::from_json(&json, NOW_MS).err();
        let key_patch = KeyPatch::from_json(&json).err();
        for mistakes in new_key.iter().chain(&key_patch) {
            prop_assert!(!mistakes.to_string().contains(SECRET), "{mistakes}");
        }
        for mistakes in refusals.into_iter().chain([new_key, key_patch]).flatten() {
            prop_assert!(!mistakes.list().is_empty());
            for mistake in mistakes.list() {
                let parent = mistake.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                prop_assert!(json.pointer(parent).is_some(), "{mistake}");
            }
        }
    }
}
