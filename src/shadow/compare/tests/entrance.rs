//! What is decided before any comparator looks, what can't be looked at, and bytes.

use super::*;

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
