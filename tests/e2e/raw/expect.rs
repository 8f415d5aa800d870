//! `Expect: 100-continue`: RFC 9110 section 10.1.1, in all orders.

use crate::support::raw::{
    Case, Step, answered, bare, case, ended, form, head, post_with, reframed, refused, refused_as,
    run, served, served_last, smuggled, torn,
};

const EXPECT: &str = "Expect: 100-continue\r\nContent-Length: 5\r\n";

#[test]
fn an_expectation_moves_no_border() {
    run("expect", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let hello = || form().body("hello").lacks(&["expect"]);
    let waiting = |head: Vec<u8>, rest: &[u8]| {
        vec![Step::Send(head), Step::Await100, Step::Send(rest.to_vec())]
    };
    let mut cases = vec![
        case(
            "waits-for-100",
            "RFC 9110 10.1.1",
            waiting(post_with(EXPECT, ""), b"hello"),
            served(hello()),
        ),
        case(
            "does-not-wait",
            "RFC 9110 10.1.1",
            post_with(EXPECT, "hello"),
            served(hello()),
        ),
        case(
            "half-of-the-body-first",
            "RFC 9110 10.1.1",
            vec![
                Step::Send(post_with(EXPECT, "he")),
                Step::Send(b"llo".to_vec()),
            ],
            served(hello()),
        ),
    ];
    let chunked = post_with("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "");
    let chunks = b"5\r\nhello\r\n0\r\n\r\n";
    cases.push(case(
        "waits-with-chunks",
        "RFC 9110 10.1.1",
        waiting(chunked.clone(), chunks),
        served(hello()),
    ));
    let at_once = [&chunked[..], chunks].concat();
    cases.push(case(
        "does-not-wait-with-chunks",
        "RFC 9110 10.1.1",
        at_once,
        served(hello()),
    ));
    for (name, lines) in [
        (
            "expectation-in-capitals",
            "Expect: 100-CONTINUE\r\nContent-Length: 5\r\n",
        ),
        (
            "expectation-with-spaces",
            "Expect:   100-continue  \r\nContent-Length: 5\r\n",
        ),
    ] {
        cases.push(case(
            name,
            "RFC 9110 10.1.1: case-insensitive",
            post_with(lines, "hello"),
            served(hello()),
        ));
    }
    let none = || form().lacks(&["expect"]);
    let empty = post_with("Expect: 100-continue\r\n", "");
    cases.push(case(
        "expects-without-a-body",
        "RFC 9110 10.1.1 (CVE-2024 Expect desync)",
        empty,
        reframed(none()).or(refused()),
    ));
    let zero = post_with("Expect: 100-continue\r\nContent-Length: 0\r\n", "");
    cases.push(case(
        "expects-with-a-body-of-zero",
        "RFC 9110 10.1.1",
        zero,
        reframed(none()).or(refused()),
    ));
    let get = head(
        "GET /predict/demo/iris/case HTTP/1.1",
        "Expect: 100-continue\r\n",
    );
    cases.push(case(
        "expects-with-get",
        "RFC 9110 10.1.1 (0.CL by Expect)",
        get,
        reframed(none().method("GET")).or(refused()),
    ));
    // Others than 100-continue: 417, or as if it was not there; upstream it never goes.
    for (name, value) in [
        ("unknown-expectation", "200-ok"),
        ("obfuscated-expectation", "y 100-continue"),
        ("expectation-with-more-digits", "1000-continue"),
        ("list-of-expectations", "100-continue, 100-continue"),
        ("empty-expectation", ""),
        ("quoted-expectation", "\"100-continue\""),
    ] {
        let bytes = post_with(format!("Expect: {value}\r\nContent-Length: 5\r\n"), "hello");
        let allowed = reframed(hello()).or(answered(&[400, 417]));
        cases.push(case(
            name,
            "RFC 9110 10.1.1: 417 (Expect desync)",
            bytes,
            allowed,
        ));
    }
    let twice = post_with(format!("Expect: 100-continue\r\n{EXPECT}"), "hello");
    cases.push(case(
        "two-expectations",
        "RFC 9110 5.3",
        twice,
        reframed(hello()).or(answered(&[400, 417])),
    ));
    let folded = post_with("Expect:\r\n 100-continue\r\nContent-Length: 5\r\n", "hello");
    cases.push(case(
        "folded-expectation",
        "RFC 9112 5.2: obs-fold",
        folded,
        refused(),
    ));
    let spaced = post_with("Expect : 100-continue\r\nContent-Length: 5\r\n", "hello");
    cases.push(case(
        "space-before-expects-colon",
        "RFC 9112 5.1",
        spaced,
        refused(),
    ));
    let old = [
        head("POST /predict/demo/iris/case HTTP/1.0", EXPECT),
        b"hello".to_vec(),
    ]
    .concat();
    cases.push(case(
        "expects-with-1-0",
        "RFC 9110 10.1.1: ignored",
        old,
        served_last(hello()).or(refused()),
    ));
    // Refused instead of asked to go on: the client may send its body all the same, or a new request.
    // Which it is can't be told.
    let unknown = bare(
        "POST /predict/demo/iris/case HTTP/1.1",
        "Host: gateway.test\r\nX-Api-Key: abcdefghijklmnopqrstuvwx\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
    );
    let body_is_kept = waiting(unknown.clone(), b"");
    cases.push(case(
        "refused-before-100",
        "RFC 9110 10.1.1",
        body_is_kept,
        refused_as(&[401]),
    ));
    let inner = smuggled();
    let lines = format!(
        "Host: gateway.test\r\nX-Api-Key: abcdefghijklmnopqrstuvwx\r\nExpect: 100-continue\r\nContent-Length: {}\r\n",
        inner.len()
    );
    let refused_body = bare("POST /predict/demo/iris/case HTTP/1.1", &lines);
    let at_once = [&refused_body[..], &inner].concat();
    cases.push(case(
        "refused-with-a-request-for-a-body",
        "RFC 9110 10.1.1 (CL.0)",
        at_once,
        answered(&[401]),
    ));
    let late = vec![
        Step::Send(refused_body),
        Step::AwaitAny,
        Step::Send(inner.clone()),
        Step::End,
    ];
    cases.push(case(
        "refused-then-a-request-for-a-body",
        "RFC 9110 10.1.1 (CL.0)",
        late,
        refused_as(&[401]),
    ));
    let too_large = post_with(
        "Expect: 100-continue\r\nContent-Length: 1099511627776\r\n",
        "",
    );
    let late = vec![
        Step::Send(too_large),
        Step::AwaitAny,
        Step::Send(inner),
        Step::End,
    ];
    cases.push(case(
        "too-large-then-a-request-for-a-body",
        "RFC 9110 15.5.14 (CL.0)",
        late,
        refused_as(&[413]),
    ));
    let never = ended(post_with(EXPECT, ""));
    cases.push(case("expects-and-leaves", "RFC 9112 8", never, torn()));
    cases
}
