//! What each comparator says of answers as they come.

use super::*;

const SAME: &str = "agree";
const DIFFERENT: &str = "differ";

/// Compares both ways, and says in a word what came of the first.
fn check(spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>, wanted: &str) -> Compared {
    let compared = compare(spec, main, challenger);
    let word = match &compared {
        Compared::Looked(found) if found.detail == Detail::Unreadable => "unread",
        Compared::Looked(found) if found.agrees => SAME,
        Compared::Looked(_) => DIFFERENT,
        Compared::Not(why) => why.as_str(),
    };
    let bodies = [main, challenger].map(|answer| String::from_utf8_lossy(answer.body));
    assert_eq!(word, wanted, "{spec:?} {bodies:?} {compared:?}");
    compared
}

fn check_json(spec: &CompareSpec, main: &str, challenger: &str, wanted: &str) -> Compared {
    check(spec, &json(main), &json(challenger), wanted)
}

#[test]
fn statuses() {
    let whole = |status| Answer {
        status,
        is_complete: true,
        content_type: Some("application/json"),
        body: b"1",
        ..Answer::default()
    };
    let broken = |status| Answer {
        is_complete: false,
        ..whole(status)
    };
    let spec = CompareSpec::default();
    for (main, challenger, wanted) in [
        (whole(Some(200)), whole(Some(200)), SAME),
        (whole(None), whole(Some(200)), "main_failed"),
        (whole(Some(500)), whole(Some(500)), "main_failed"),
        (broken(Some(502)), whole(Some(200)), "main_failed"),
        (broken(Some(200)), whole(Some(200)), "main_incomplete"),
        (whole(Some(200)), whole(None), DIFFERENT),
        (whole(Some(200)), whole(Some(503)), DIFFERENT),
        (whole(Some(200)), broken(Some(200)), DIFFERENT),
        (whole(Some(200)), whole(Some(201)), DIFFERENT),
        (whole(Some(404)), whole(Some(404)), SAME),
        (whole(Some(404)), broken(Some(404)), DIFFERENT),
        (whole(Some(404)), whole(Some(400)), DIFFERENT),
    ] {
        let compared = check(&spec, &main, &challenger, wanted);
        if let Compared::Looked(found) = compared
            && wanted == DIFFERENT
        {
            assert_eq!(found.distance, super::super::DISTANCE_WORST);
            assert_eq!(found.detail, Detail::Status);
        }
    }
    // Bodies of refusals are not looked at.
    let other = Answer {
        body: b"2",
        ..whole(Some(404))
    };
    check(&spec, &whole(Some(404)), &other, SAME);
}

#[test]
fn kinds_by_content_type() {
    const OUTPUTS: &str =
        r#"{"id":"1","outputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#;
    for (content_type, body, kind) in [
        ("application/json", "{}", CompareKind::Json),
        ("application/json", OUTPUTS, CompareKind::Tensor),
        ("application/json", r#"{"outputs":[1]}"#, CompareKind::Json),
        ("application/json", r#"{"outputs":[]}"#, CompareKind::Json),
        (
            "application/ld+json; charset=utf-8",
            "{}",
            CompareKind::Json,
        ),
        ("text/event-stream", "data: a\n\n", CompareKind::Text),
        ("application/x-ndjson", "{}\n", CompareKind::Text),
        ("text/plain", "{}", CompareKind::Text),
        ("application/octet-stream", "{}", CompareKind::Exact),
        ("image/png", "", CompareKind::Exact),
        ("", "{}", CompareKind::Json),
        ("", OUTPUTS, CompareKind::Tensor),
        ("", "{", CompareKind::Exact),
        ("", "", CompareKind::Exact),
    ] {
        let answer = answer(content_type, body.as_bytes());
        let found = looked(&CompareSpec::default(), &answer, &answer);
        assert_eq!(
            (found.kind, found.agrees),
            (kind, true),
            "{content_type} {body}"
        );
    }
    // Declared places are for JSON.
    let spec = CompareSpec {
        ignore: pointers(&["/id"]),
        ..CompareSpec::default()
    };
    assert_eq!(
        looked(&spec, &json(OUTPUTS), &json(OUTPUTS)).kind,
        CompareKind::Json
    );
}

#[test]
fn what_can_not_be_read() {
    for kind in [
        CompareKind::Auto,
        CompareKind::Json,
        CompareKind::Label,
        CompareKind::Number,
        CompareKind::Tensor,
    ] {
        let spec = of_kind(kind);
        // The same bytes are no proof.
        check_json(&spec, "{", "{", "unreadable");
        check_json(&spec, "NaN", "1", "unreadable");
        let good = match kind {
            CompareKind::Tensor => {
                r#"{"outputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#
            }
            _ => "1",
        };
        let compared = check_json(&spec, good, "{", "unread");
        let Compared::Looked(found) = compared else {
            panic!("looked at");
        };
        assert_eq!((found.agrees, found.distance), (false, 1e6));
    }
    let text = of_kind(CompareKind::Text);
    let no_text = answer("text/plain", b"\xFF");
    check(&text, &no_text, &no_text, "unreadable");
    check(&text, &answer("text/plain", b"a"), &no_text, "unread");
    let packed = |encoding| Answer {
        content_encoding: Some(encoding),
        ..json("1")
    };
    let spec = CompareSpec::default();
    check(&spec, &packed("br"), &packed("br"), "encoded");
    check(&spec, &json("1"), &packed("zstd"), "encoded");
    check(&spec, &packed("gzip"), &json("1"), "unreadable");
    check(&spec, &json("1"), &packed("gzip"), "unread");
    check(&spec, &json("1"), &packed("identity"), SAME);
}

#[test]
fn bodies_that_are_cut() {
    let cut = |body: &'static str| Answer {
        is_cut: true,
        ..answer("image/png", body.as_bytes())
    };
    let whole = |body: &'static str| answer("image/png", body.as_bytes());
    let exact = CompareSpec::default();
    let first = |compared| match compared {
        Compared::Looked(Found {
            detail: Detail::Exact { first },
            ..
        }) => first,
        _ => None,
    };
    check(&exact, &cut("ab"), &cut("ab"), "too_large");
    assert_eq!(
        first(check(&exact, &cut("ab"), &cut("ac"), DIFFERENT)),
        Some(1)
    );
    assert_eq!(
        first(check(&exact, &cut("ab"), &whole("ab"), DIFFERENT)),
        Some(2)
    );
    check(&exact, &cut("ab"), &whole("a"), DIFFERENT);
    check(&exact, &whole("a"), &cut("ab"), DIFFERENT);
    check(&exact, &cut("ab"), &whole("abc"), "too_large");
    check(&exact, &cut("ab"), &cut("abc"), "too_large");
    let packed = Answer {
        content_encoding: Some("gzip"),
        ..cut("ab")
    };
    check(&exact, &packed, &cut("ac"), "too_large");
    check(
        &of_kind(CompareKind::Json),
        &cut("[1"),
        &cut("[2"),
        "too_large",
    );
    check(
        &of_kind(CompareKind::Text),
        &cut("a"),
        &whole("b"),
        "too_large",
    );
}

#[test]
fn bytes() {
    let spec = of_kind(CompareKind::Exact);
    for (main, challenger, first, distance) in [
        ("", "", None, 0.0),
        ("abcd", "abcd", None, 0.0),
        ("abcd", "abxd", Some(2), 0.25),
        ("ab", "abcd", Some(2), 0.5),
        ("abcd", "", Some(0), 1.0),
    ] {
        let found = looked(&spec, &json(main), &json(challenger));
        assert_eq!(found.detail, Detail::Exact { first }, "{main} {challenger}");
        assert_eq!((found.agrees, found.distance), (first.is_none(), distance));
    }
}

#[test]
fn json_texts() {
    let spec = of_kind(CompareKind::Json);
    let check = |main, challenger, wanted| check_json(&spec, main, challenger, wanted);
    check(
        r#"{"a":1,"b":[2,null]}"#,
        r#" { "b":[2.0, null], "a" : 1e0 } "#,
        SAME,
    );
    check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#, SAME);
    check(r#""é""#, "\"\\u00e9\"", SAME);
    check("[0.1]", "[0.10000000149011612]", SAME);
    check("[0.1]", "[0.1001]", DIFFERENT);
    check("[1e-12]", "[0.0]", SAME);
    check("[1]", "[1.0000001]", SAME);
    check("[100000001]", "[100000002]", DIFFERENT);
    check("[9007199254740993]", "[9007199254740992]", DIFFERENT);
    check("[-1]", "[1]", DIFFERENT);
    for (a, b) in [
        ("1", "\"1\""),
        ("0", "false"),
        ("null", "{}"),
        ("{}", "[]"),
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        (r#"{"a":null}"#, "{}"),
        (r#"{"a":1}"#, r#"{"b":1}"#),
    ] {
        check(a, b, DIFFERENT);
        check(b, a, DIFFERENT);
    }
}

#[test]
fn json_places() {
    let spec = of_kind(CompareKind::Json);
    let main = r#"{"a":[1,2,{"x/y":true}],"b":0.5,"c":1}"#;
    let challenger = r#"{"a":[1,3,{"x/y":false},4],"b":0.50000001,"d":1}"#;
    let found = looked(&spec, &json(main), &json(challenger));
    let Detail::Json {
        differences,
        places,
        max_abs,
        max_rel,
    } = found.detail
    else {
        panic!("JSON");
    };
    assert_eq!(places, ["/a/1", "/a/2/x~1y", "/a/3", "/c", "/d"]);
    assert_eq!(differences, 5);
    assert_eq!((max_abs, max_rel), (1.0, 1.0 / 3.0));
    assert_eq!(found.distance, 5.0 + 1.0 / 6.0);
    // Counting and telling end.
    let long = format!("[{}0]", "0,".repeat(5_000));
    let found = looked(&spec, &json(&long), &json("[]"));
    let Detail::Json {
        differences,
        places,
        ..
    } = found.detail
    else {
        panic!("JSON");
    };
    assert_eq!(
        (differences, places.len()),
        (super::super::DIFFERENCES_MAX, 8)
    );
    let name = "n".repeat(1_000);
    let found = looked(&spec, &json(&format!("{{{name:?}:1}}")), &json("{}"));
    let Detail::Json { places, .. } = found.detail else {
        panic!("JSON");
    };
    assert!(places[0].chars().count() <= 257, "{}", places[0].len());
}

#[test]
fn json_as_declared() {
    let check = |abs, rel, ignore: &[&str], unordered: &[&str], main, challenger, wanted| {
        let spec = CompareSpec {
            kind: CompareKind::Json,
            tolerance_abs: abs,
            tolerance_rel: rel,
            ignore: pointers(ignore),
            unordered: pointers(unordered),
            ..CompareSpec::default()
        };
        check_json(&spec, main, challenger, wanted);
        check_json(&spec, challenger, main, wanted);
    };
    let within = |abs, rel, a, b, wanted| check(abs, rel, &[], &[], a, b, wanted);
    within(Some(0.5), None, "[1.5]", "[2.0]", SAME);
    within(Some(0.5), None, "[1.5]", "[2.1]", DIFFERENT);
    within(None, Some(0.1), "[90]", "[100]", SAME);
    within(None, Some(0.1), "[89]", "[100]", DIFFERENT);
    within(Some(1.0), Some(0.0), "[1]", "[2]", SAME);
    within(
        Some(0.0),
        Some(0.0),
        "[0.1]",
        "[0.10000000000000002]",
        DIFFERENT,
    );
    let ignored = |ignore, a, b, wanted| check(None, None, ignore, &[], a, b, wanted);
    ignored(&["/id"], r#"{"id":1,"a":1}"#, r#"{"id":[2],"a":1}"#, SAME);
    ignored(&["/id"], r#"{"id":1,"a":1}"#, r#"{"a":1}"#, SAME);
    ignored(
        &["/id"],
        r#"{"id":1,"a":1}"#,
        r#"{"id":1,"a":2}"#,
        DIFFERENT,
    );
    ignored(
        &["/*/t"],
        r#"[{"t":1,"a":1},{"a":2}]"#,
        r#"[{"a":1},{"t":2,"a":2}]"#,
        SAME,
    );
    ignored(&["/2"], "[1,2,3]", "[1,2]", SAME);
    ignored(&["/1"], "[1,2,3]", "[1,4,3]", SAME);
    ignored(&["/0"], "[1,2,3]", "[2,3]", DIFFERENT);
    ignored(&["/*"], "[1,2,3]", "[]", SAME);
    ignored(&[""], "1", "{}", SAME);
    let any_order = |unordered, a, b, wanted| check(None, None, &[], unordered, a, b, wanted);
    any_order(&[""], "[1,2,3]", "[3,1,2]", SAME);
    any_order(&[""], "[1,2,2]", "[1,1,2]", DIFFERENT);
    any_order(&[""], "[1,2]", "[2,1,1]", DIFFERENT);
    any_order(
        &["/a"],
        r#"{"a":[1,2],"b":[1,2]}"#,
        r#"{"a":[2,1],"b":[1,2]}"#,
        SAME,
    );
    any_order(
        &["/a"],
        r#"{"a":[1,2],"b":[1,2]}"#,
        r#"{"a":[2,1],"b":[2,1]}"#,
        DIFFERENT,
    );
    any_order(&["/*"], "[[1,2],[3,4]]", "[[2,1],[4,3]]", SAME);
    any_order(&["/*"], "[[1,2],[3,4]]", "[[4,3],[2,1]]", DIFFERENT);
    any_order(&["", "/*"], "[[1,2],[3,4]]", "[[4,3],[2,1]]", SAME);
    any_order(&["/a"], r#"{"a":{"x":1}}"#, r#"{"a":{"x":1}}"#, SAME);
    // The nearest of two is not at the same place in order.
    any_order(
        &[""],
        r#"[{"p":0.30000001,"t":"a"},{"p":0.3,"t":"b"}]"#,
        r#"[{"p":0.3,"t":"a"},{"p":0.30000001,"t":"b"}]"#,
        SAME,
    );
    let both = |a, b, wanted| check(None, None, &["/*/id"], &[""], a, b, wanted);
    both(
        r#"[{"id":1,"a":2},{"id":2,"a":1}]"#,
        r#"[{"id":3,"a":1},{"a":2}]"#,
        SAME,
    );
}

#[test]
fn unordered_arrays_are_bounded() {
    let spec = CompareSpec {
        kind: CompareKind::Json,
        unordered: pointers(&["", "/*", "/*/*", "/*/*/*", "/*/*/*/*", "/*/*/*/*/*"]),
        ..CompareSpec::default()
    };
    // Everything is tried against everything else, level by level.
    let nest = |last: &str| {
        let mut text = last.to_owned();
        for level in 0..5 {
            let item = |at: usize| {
                if at == 63 {
                    text.clone()
                } else {
                    format!("[{at}.{level}]")
                }
            };
            let items: Vec<_> = (0..64).map(item).collect();
            text = format!("[{}]", items.join(","));
        }
        text
    };
    let found = looked(&spec, &json(&nest("[1.5]")), &json(&nest("[2.5]")));
    assert!(!found.agrees);
    let deep = |last| format!("{}{last}{}", "[".repeat(60), "]".repeat(60));
    let stars: Vec<_> = (0..60).map(|depth| "/*".repeat(depth)).collect();
    let stars: Vec<_> = stars.iter().map(String::as_str).collect();
    let spec = CompareSpec {
        unordered: pointers(&stars),
        ..spec
    };
    assert!(!looked(&spec, &json(&deep("1")), &json(&deep("2"))).agrees);
    assert!(looked(&spec, &json(&deep("1")), &json(&deep("1.0"))).agrees);
}

#[test]
fn labels() {
    let at = |pointer| CompareSpec {
        pointer: pointers(&[pointer]).pop(),
        ..of_kind(CompareKind::Label)
    };
    for (main, challenger, shown, agrees) in [
        (
            r#"{"l":"cat"}"#,
            r#"{"l":"cat","p":1}"#,
            ["cat", "cat"],
            true,
        ),
        (r#"{"l":"cat"}"#, r#"{"l":"dog"}"#, ["cat", "dog"], false),
        (r#"{"l":1}"#, r#"{"l":1.0}"#, ["1", "1"], true),
        (
            r#"{"l":0.5}"#,
            r#"{"l":0.50000001}"#,
            ["0.5", "0.50000001"],
            false,
        ),
        (r#"{"l":"1"}"#, r#"{"l":1}"#, ["\"1\"", "1"], false),
        (r#"{"l":true}"#, r#"{"l":null}"#, ["true", "null"], false),
        (r#"{"l":""}"#, r#"{"l":""}"#, ["", ""], true),
    ] {
        let found = looked(&at("/l"), &json(main), &json(challenger));
        let [main, challenger] = shown.map(str::to_owned);
        assert_eq!(found.detail, Detail::Label { main, challenger });
        assert_eq!((found.agrees, found.distance), (agrees, f64::from(!agrees)));
    }
    let long = format!("{{\"l\":\"{}\"}}", "é".repeat(65));
    let Detail::Label { main, .. } = looked(&at("/l"), &json(&long), &json(&long)).detail else {
        panic!("a label");
    };
    assert_eq!(main, "é".repeat(63) + "…");
    check_json(&at("/l"), "{}", "{}", "unreadable");
    check_json(&at("/l"), r#"{"l":[]}"#, r#"{"l":1}"#, "unreadable");
    check_json(&at("/l"), r#"{"l":1}"#, "{}", "unread");
}

#[test]
fn numbers() {
    let spec = |abs, rel| CompareSpec {
        pointer: pointers(&["/0"]).pop(),
        tolerance_abs: abs,
        tolerance_rel: rel,
        ..of_kind(CompareKind::Number)
    };
    let default = spec(None, None);
    check_json(&default, "[0.5]", "[0.5000001]", SAME);
    check_json(&default, "[0.5]", "[0.50001]", DIFFERENT);
    check_json(&default, "[0.0]", "[1e-12]", DIFFERENT);
    check_json(&default, "[3]", "[4]", DIFFERENT);
    check_json(&spec(Some(1.0), None), "[3]", "[4]", SAME);
    check_json(&spec(None, Some(0.25)), "[3]", "[4]", SAME);
    check_json(&default, "[\"1\"]", "[1]", "unreadable");
    check_json(&default, "[1]", "[\"1\"]", "unread");
    let found = looked(&default, &json("[1.5]"), &json("[-2]"));
    assert_eq!(found.distance, 3.5);
    let detail = Detail::Number {
        main: 1.5,
        challenger: -2.0,
    };
    assert_eq!(found.detail, detail);
    let far = looked(&default, &json("[1e308]"), &json("[-1e308]")).distance;
    let less_far = looked(&default, &json("[1e300]"), &json("[-1e300]")).distance;
    assert!(less_far < far && far < super::super::DISTANCE_WORST);
}

fn outputs(outputs: &[(&str, &str, &str, &str)]) -> String {
    let output = |(name, shape, datatype, data): &(&str, &str, &str, &str)| {
        format!(r#"{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{data}}}"#)
    };
    let outputs: Vec<_> = outputs.iter().map(output).collect();
    format!(r#"{{"model_name":"m","outputs":[{}]}}"#, outputs.join(","))
}

#[test]
fn tensors() {
    let spec = of_kind(CompareKind::Tensor);
    let one = |shape, datatype, data| outputs(&[("x", shape, datatype, data)]);
    let check = |main: &str, challenger: &str, wanted| check_json(&spec, main, challenger, wanted);
    let main = one("[2,2]", "FP32", "[1.0,2.0,3.0,4.0]");
    check(&main, &one("[2,2]", "FP32", "[[1,2],[3,4.000001]]"), SAME);
    check(&main, &one("[2,2]", "FP32", "[[1,2],[3,4.1]]"), DIFFERENT);
    check(&main, &one("[4]", "FP32", "[1,2,3,4]"), DIFFERENT);
    check(&main, &one("[2,2]", "FP64", "[1,2,3,4]"), DIFFERENT);
    check(&main, &one("[2,2]", "FP32", "[1,2,3]"), "unread");
    check(&main, &one("[2,2]", "FP32", "[1,2,3,{}]"), "unread");
    check(&main, "{}", "unread");
    check(&one("[3]", "FP32", "[1]"), &main, "unreadable");
    check(&outputs(&[]), &main, "unreadable");
    check(
        &main,
        &outputs(&[("y", "[2,2]", "FP32", "[1,2,3,4]")]),
        DIFFERENT,
    );
    let two = |a: (&str, &str), b: (&str, &str)| {
        outputs(&[(a.0, "[1]", "INT64", a.1), (b.0, "[1]", "INT64", b.1)])
    };
    check(
        &two(("x", "[1]"), ("y", "[2]")),
        &two(("y", "[2]"), ("x", "[1]")),
        SAME,
    );
    check(
        &two(("x", "[1]"), ("y", "[2]")),
        &two(("y", "[1]"), ("x", "[2]")),
        DIFFERENT,
    );
    check(&main, &two(("x", "[1]"), ("y", "[2]")), DIFFERENT);
    // What is no number is the same or not; short types may differ by a step.
    for (datatype, a, b, wanted) in [
        ("BYTES", "[\"a\"]", "[\"a\"]", SAME),
        ("BYTES", "[\"a\"]", "[\"b\"]", DIFFERENT),
        ("BOOL", "[true]", "[true]", SAME),
        ("BOOL", "[true]", "[false]", DIFFERENT),
        ("FP32", "[null]", "[null]", SAME),
        ("FP32", "[null]", "[0.0]", DIFFERENT),
        ("INT64", "[100000001]", "[100000002]", DIFFERENT),
        ("FP16", "[1.0]", "[1.0009765625]", SAME),
        ("FP32", "[1.0]", "[1.0009765625]", DIFFERENT),
        ("BF16", "[1.0]", "[1.0078125]", SAME),
        ("FP16", "[1.0]", "[1.0078125]", DIFFERENT),
    ] {
        check(&one("[1]", datatype, a), &one("[1]", datatype, b), wanted);
    }
    let empty = one("[0,4]", "FP32", "[]");
    check(&empty, &empty, SAME);
}

#[test]
fn tensor_figures() {
    let spec = of_kind(CompareKind::Tensor);
    let one = |shape, data| outputs(&[("x", shape, "FP32", data)]);
    let (main, other) = (one("[4]", "[1,2,3,4]"), one("[4]", "[1,2.5,3,5.5]"));
    let found = looked(&spec, &json(&main), &json(&other));
    let detail = Detail::Tensor {
        max_abs: 1.5,
        mean_abs: 0.5,
        elements: 4,
        mismatch: None,
    };
    assert_eq!((found.detail, found.distance), (detail, 1.5));
    let found = looked(&spec, &json(&main), &json(&one("[2,2]", "[1,2,3,4]")));
    let Detail::Tensor { mismatch, .. } = found.detail else {
        panic!("a tensor");
    };
    assert_eq!(
        mismatch.as_deref(),
        Some("x has shape [4], the challenger's [2, 2]")
    );
}

#[test]
fn texts() {
    let spec = |abs| CompareSpec {
        tolerance_abs: abs,
        ..of_kind(CompareKind::Text)
    };
    let check = |abs, main: &str, challenger: &str, distance: f64, wanted| {
        let (main, challenger) = (main.as_bytes(), challenger.as_bytes());
        let answers = [main, challenger].map(|body| answer("text/plain", body));
        let compared = check(&spec(abs), &answers[0], &answers[1], wanted);
        let Compared::Looked(found) = compared else {
            panic!("looked at");
        };
        assert_eq!(found.distance, distance);
    };
    check(None, "", "", 0.0, SAME);
    check(None, "", "a", 1.0, DIFFERENT);
    check(None, " a  b\n", "a b", 0.0, SAME);
    check(None, "abcdefghij", "abcdefghix", 0.1, SAME);
    check(None, "abcdefghi", "abcdefghx", 1.0 / 9.0, DIFFERENT);
    check(Some(0.0), "abcdefghij", "abcdefghix", 0.1, DIFFERENT);
    check(Some(1.0), "a", "b", 1.0, SAME);
    check(
        None,
        "日本語のテキスト",
        "日本語のテキズト",
        0.125,
        DIFFERENT,
    );
    check(None, "e\u{301}", "é", 1.0, DIFFERENT);
}

#[test]
fn streams_of_text() {
    let spec = CompareSpec::default();
    let main = answer(
        "text/event-stream",
        b"data: {\"token\":\"a\",\"index\":0}\n\ndata: {\"token\":\" b\",\"index\":1}\n\ndata: [DONE]\n\n",
    );
    // The pieces may be others, and so may be the way they come.
    for (content_type, body) in [
        ("text/event-stream", "data: {\"token\":\"a b\"}\r\n\r\n"),
        (
            "application/x-ndjson",
            "{\"text\":\"a \"}\n{\"text\":\"b\"}\n",
        ),
        ("", "data: a\n\ndata:  b\n\n"),
        ("text/plain", "a b"),
    ] {
        let found = looked(&spec, &main, &answer(content_type, body.as_bytes()));
        assert_eq!(
            (found.kind, found.distance),
            (CompareKind::Text, 0.0),
            "{body}"
        );
    }
}

#[test]
fn long_texts() {
    let spec = of_kind(CompareKind::Text);
    let text = |words: usize, every: usize| {
        let word = |at: usize| {
            if at % every == every - 1 {
                "other".to_owned()
            } else {
                format!("w{at}")
            }
        };
        let words: Vec<_> = (0..words).map(word).collect();
        words.join(" ")
    };
    let distance = |main: &str, challenger: &str| {
        let (main, challenger) = (main.as_bytes(), challenger.as_bytes());
        let answers = [main, challenger].map(|body| answer("text/plain", body));
        looked(&spec, &answers[0], &answers[1]).distance
    };
    // By words, whole; and in pieces.
    for words in [5_000, 60_000] {
        let (main, near) = (text(words, usize::MAX), text(words, 20));
        assert!((distance(&main, &near) - 0.05).abs() < 0.001);
        let moved = format!("{} {main}", text(100, usize::MAX));
        let moved = distance(&main, &moved);
        assert!(
            (moved - 100.0 / (words + 100) as f64).abs() < 0.001,
            "{moved}"
        );
        assert!(distance(&main, &near.replace('w', "v")) > 0.99);
    }
    // Scripts without spaces, and no words at all.
    for (piece, other) in [("字典", "字点"), ("abcdefgh", "abcdefgx")] {
        let main = piece.repeat(20_000);
        let near = main.replacen(piece, other, 1_000);
        let distance = distance(&main, &near);
        assert!(distance > 0.0 && distance < 0.06, "{distance}");
    }
    let long = "x".repeat((512 << 10) + 1);
    let long = answer("text/plain", long.as_bytes());
    check(&spec, &long, &long, "too_large");
}
