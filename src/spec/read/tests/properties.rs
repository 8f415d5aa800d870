//! What holds for anything that anybody writes.

use proptest::prelude::*;

use super::*;
use crate::{base::secret::KEY_BYTES, spec::any_text_holds};

/// Words that reach deep into the reader, beside arbitrary ones.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "deployment",
        "key",
        "project",
        "tenant",
        "input_example",
        "name",
        "version",
        "main",
        "challenger",
        "backends",
        "url",
        "weight",
        "tails",
        "predict_path",
        "sample",
        "timeouts",
        "idle_ms",
        "labels",
        "parameters",
        "secret",
        "digest",
        "scope",
        "expires_at",
        "tags",
        "access",
        "demo",
        "http://m",
        "any",
    ];
    prop_oneof![
        3 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Pieces of TOML, which together are often nearly a file.
fn piece() -> impl Strategy<Value = String> {
    let marks = [
        "[[",
        "]]\n",
        "[",
        "]\n",
        "{",
        "}",
        " = ",
        "=",
        "'",
        "\"",
        "\n",
        ",",
        ".",
        "1",
        "-1",
        "0.5",
        "1979-05-27T07:32Z",
        "nan",
        "true",
        "\\",
        "é",
        "[[deployment]]\n",
        "[[key]]\n",
        "\r\n",
        "#",
    ];
    prop_oneof![
        proptest::sample::select(marks.to_vec()).prop_map(str::to_owned),
        word(),
    ]
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((word(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in ".{0,200}",
        pieces in proptest::collection::vec(piece(), 0..60),
    ) {
        any_text_holds(&text);
        any_text_holds(&pieces.concat());
    }

    #[test]
    fn any_tree_is_read_or_refused(json in tree()) {
        // The outcome does not matter here, only that there is one.
        let _outcome = read(&Node::from_json(&json), declarations);
        if let Err(mistakes) = DeploymentSpec::from_json(None, &json) {
            for mistake in mistakes.list() {
                let parent = mistake.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                prop_assert!(json.pointer(parent).is_some(), "{}", mistake);
            }
        }
    }

    #[test]
    fn a_damaged_file_never_shows_its_key(cut in 0usize..400, junk in "[\\[\\]{}='\"a.\n]{0,3}") {
        let mut text = format!("{}{IRIS}", with_key(&format!("secret = '{SECRET}'\nscope = 'demo'\n")));
        let cut = cut % text.len();
        text.insert_str(cut, &junk);
        if let Err(mistakes) = Declarations::from_toml(&text) {
            for part in SECRET.as_bytes().windows(*KEY_BYTES.start()) {
                let part = std::str::from_utf8(part).expect("ASCII");
                prop_assert!(!mistakes.to_string().contains(part), "{}", mistakes);
            }
        }
    }
}
