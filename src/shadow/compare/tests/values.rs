//! Labels, numbers and tensors.

use super::*;

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
