use super::*;

fn deployment(access: &str, example: &Value) -> Value {
    json!({"access": access, "predict_url": "http://d/predict/demo/iris",
        "stream_url": "http://d/stream/demo/iris", "version": {"input_example": example}})
}

#[test]
fn each_block_stands_alone_under_its_heading() {
    let shown = deployment("keys", &json!({"inputs": [[5.1, 3]]}));
    for language in LANGUAGES {
        for kind in KINDS {
            let block = block(&shown, language, kind);
            let word = format!("{kind:?}").to_lowercase();
            let first = block.lines().next().expect("a heading");
            assert_eq!(first, format!("{} {word}", language.heading()));
            assert_eq!(block.matches(language.heading()).count(), 1, "{block}");
            assert!(block.contains(r#"{"inputs": [[5.1, 3]]}"#), "{block}");
            assert!(
                block.contains("WEIR_API_KEY") && !block.contains("{{"),
                "{block}"
            );
            let operation = if kind == Kind::Stream {
                "stream"
            } else {
                "predict"
            };
            assert!(
                block.contains(&format!("http://d/{operation}/demo/iris")),
                "{block}"
            );
        }
    }
}

#[test]
fn a_block_to_the_letter() {
    let shown = deployment("keys", &json!({"text": "it's", "x": null}));
    assert_eq!(
        block(&shown, Language::Curl, Kind::Predict),
        r##"# cURL: predict
curl -sS --fail-with-body 'http://d/predict/demo/iris' \
  -H "Authorization: Bearer $WEIR_API_KEY" \
  -H 'Content-Type: application/json' \
  --data-raw '{"text": "it'\''s", "x": null}'"##
    );
}

#[test]
fn public_deployments_need_a_key_for_later_only() {
    let shown = deployment("public", &Value::Null);
    for language in LANGUAGES {
        for kind in KINDS {
            let block = block(&shown, language, kind);
            let expected = kind == Kind::Async;
            assert_eq!(block.contains("WEIR_API_KEY"), expected, "{block}");
            assert_eq!(
                block.contains("import os"),
                expected && language == Language::Python
            );
            let second = block.lines().nth(1).expect("a comment");
            assert!(
                second.ends_with("the version has no input_example."),
                "{block}"
            );
        }
    }
}

#[test]
fn nothing_in_an_example_leaves_its_quotes() {
    let nasty = json!({"{{input}}": "'; rm -rf / #\"\\\u{1b}[2J\u{202e}${x}`$(y)`\n"});
    let shown = deployment("keys", &nasty);
    let curl = block(&shown, Language::Curl, Kind::Predict);
    assert!(
        curl.contains(r#"'{"{{input}}": "'\''; rm -rf / #\"\\\u001b[2J\u202e${x}`$(y)`\n"}'"#),
        "{curl}"
    );
    let mut shown = deployment("keys", &json!([true, false, null, "true"]));
    let python = block(&shown, Language::Python, Kind::Predict);
    assert!(
        python.contains(r#"json.dumps([True, False, None, "true"])"#),
        "{python}"
    );
    shown["predict_url"] = json!("http://d'$(x)\"/predict/a/b");
    let curl = block(&shown, Language::Curl, Kind::Async);
    assert!(
        curl.contains("'http://d%27%24(x)%22/predict/a/b'"),
        "{curl}"
    );
}

#[test]
fn what_javascript_would_change_is_sent_as_a_text() {
    for (example, expected) in [
        (
            json!({"x": [1, 2.5, "a"]}),
            r#"JSON.stringify({"x": [1, 2.5, "a"]})"#,
        ),
        (
            json!([9_007_199_254_740_993_u64]),
            r#"body: "[9007199254740993]""#,
        ),
        (json!({"x": -0.0}), r#"body: "{\"x\": -0.0}""#),
        (json!({"__proto__": 1}), r#"body: "{\"__proto__\": 1}""#),
    ] {
        let shown = deployment("keys", &example);
        let block = block(&shown, Language::Javascript, Kind::Predict);
        assert!(block.contains(expected), "{block}");
    }
}
