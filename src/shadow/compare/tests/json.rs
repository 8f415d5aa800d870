//! JSON texts: what differs, where, and what is declared of places.

use super::*;

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
