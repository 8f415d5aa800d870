//! Sizes: RFC 9110 section 5.4, RFC 9112 section 3, design.md section 3.

use crate::support::raw::{
    Case, aim, answered, bare, case, chunked, closed, cut, ended, exactly, form, got, head, post,
    post_with, reframed, refused_as, run, served,
};

#[test]
fn sizes_have_limits_on_this_side_of_the_backend() {
    run("sizes", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, size) in [("field-of-10-kb", 10_000), ("field-of-40-kb", 40_000)] {
        let bytes = post(format!("X-A: {}\r\n", "a".repeat(size)));
        cases.push(case(name, "RFC 9110 5.4", bytes, served(form())));
    }
    // What is too large is refused, or cut off while it is still being sent.
    let large = || closed().or(refused_as(&[413, 414, 431]));
    for (name, size) in [("field-of-70-kb", 70_000), ("field-of-400-kb", 400_000)] {
        let bytes = post(format!("X-A: {}\r\n", "a".repeat(size)));
        cases.push(case(name, "RFC 6585 5: 431", bytes, large()));
    }
    let name = post(format!("{}: a\r\n", "x".repeat(70_000)));
    cases.push(case("name-of-70-kb", "RFC 6585 5: 431", name, large()));
    let name = post(format!("{}: a\r\n", "x".repeat(5_000)));
    cases.push(case(
        "name-of-5-kb",
        "RFC 9110 5.4",
        name,
        reframed(form()).or(large()),
    ));
    let fields = |count: usize| -> String { (0..count).map(|n| format!("X-{n}: a\r\n")).collect() };
    cases.push(case(
        "ninety-fields",
        "RFC 9110 5.4",
        post(fields(90)),
        served(form()),
    ));
    for (name, count) in [
        ("hundred-and-fifty-fields", 150),
        ("five-thousand-fields", 5_000),
        ("twenty-thousand-fields", 20_000),
    ] {
        cases.push(case(
            name,
            "RFC 6585 5: 431 (CVE-2011-4858 family)",
            post(fields(count)),
            large(),
        ));
    }
    let same = post("X-A: a\r\n".repeat(1_000));
    cases.push(case(
        "a-thousand-fields-of-one-name",
        "RFC 6585 5: 431",
        same,
        large(),
    ));
    let empty = post("X-A:\r\n".repeat(3_000));
    cases.push(case(
        "three-thousand-empty-fields",
        "RFC 6585 5: 431 (CVE-2019-9516 family)",
        empty,
        large(),
    ));
    let tail = "a".repeat(4_000);
    let fits = aim(format!("/predict/demo/iris/{tail}"));
    cases.push(case(
        "path-of-4-kb",
        "RFC 9112 3: 8000 octets",
        fits,
        served(got(&format!("/{tail}"))),
    ));
    let long = aim(format!("/predict/demo/iris/{}", "a".repeat(70_000)));
    cases.push(case(
        "path-of-70-kb",
        "RFC 9110 15.5.15: 414",
        long,
        large(),
    ));
    let query = "a".repeat(4_000);
    let fits = aim(format!("/predict/demo/iris/case?{query}"));
    cases.push(case(
        "query-of-4-kb",
        "RFC 9112 3: 8000 octets",
        fits,
        served(got(&format!("/case?{query}"))),
    ));
    let long = aim(format!("/predict/demo/iris/case?{}", "a".repeat(70_000)));
    cases.push(case(
        "query-of-70-kb",
        "RFC 9110 15.5.15: 414",
        long,
        large(),
    ));
    let deep = aim(format!("/predict/demo/iris{}", "/a".repeat(3_000)));
    let target = "/a".repeat(3_000);
    cases.push(case(
        "path-of-three-thousand-segments",
        "RFC 3986 3.3",
        deep,
        served(got(&target)),
    ));
    let escapes = aim(format!("/predict/demo/iris/{}", "%41".repeat(2_000)));
    let target = format!("/{}", "A".repeat(2_000));
    cases.push(case(
        "path-of-two-thousand-escapes",
        "RFC 3986 6.2.2.2",
        escapes,
        served(got(&target)),
    ));
    let host = bare(
        "POST /predict/demo/iris/case HTTP/1.1",
        format!("X-Api-Key: @KEY@\r\nHost: {}\r\n", "a".repeat(20_000)),
    );
    cases.push(case(
        "host-of-20-kb",
        "RFC 9110 7.2",
        host,
        reframed(form()).or(large()),
    ));
    let key = bare(
        "POST /predict/demo/iris/case HTTP/1.1",
        format!(
            "Host: gateway.test\r\nX-Api-Key: {}\r\n",
            "k".repeat(20_000)
        ),
    );
    cases.push(case(
        "key-of-20-kb",
        "design.md 3: 401",
        key,
        answered(&[400, 401, 431]),
    ));
    let lines = exactly("\r\n".repeat(50_000));
    let allowed = large().or(served(got("/case")));
    let flood = [&lines[..], &aim("/predict/demo/iris/case")].concat();
    cases.push(case(
        "fifty-thousand-empty-lines",
        "RFC 9112 2.2: empty lines in front",
        flood,
        allowed,
    ));
    let endless = ended(format!("GET /{}", "a".repeat(200_000)));
    cases.push(case(
        "request-line-without-an-end",
        "RFC 9112 3",
        endless,
        large(),
    ));
    let unfinished = ended("GET /predict/demo/iris/case HTTP/1.1\r\nHost: gateway.test\r\n");
    cases.push(case(
        "head-without-an-end",
        "RFC 9112 8",
        unfinished,
        closed(),
    ));
    let half = ended("GE");
    cases.push(case("half-a-method", "RFC 9112 8", half, closed()));
    let nothing = ended("");
    cases.push(case("nothing-at-all", "RFC 9112 9.5", nothing, closed()));
    let body = "x".repeat(1 << 20);
    let fits = post_with(format!("Content-Length: {}\r\n", body.len()), &body);
    cases.push(case(
        "body-of-1-mb",
        "design.md 3",
        fits,
        served(form().body(&body)),
    ));
    let fits = chunked(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    cases.push(case(
        "chunk-of-1-mb",
        "design.md 3",
        fits,
        served(form().body(&body)),
    ));
    let crumbs = chunked(format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(5_000)));
    let all = "x".repeat(5_000);
    cases.push(case(
        "five-thousand-chunks",
        "RFC 9112 7.1",
        crumbs,
        served(form().body(all)),
    ));
    let zeros = chunked(format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(100_000)));
    cases.push(case(
        "size-of-100-kb-of-zeros",
        "RFC 9112 7.1: limits",
        zeros,
        reframed(form().body("hello")).or(cut()),
    ));
    let old = head(
        "GET /predict/demo/iris/case HTTP/1.0",
        format!("X-A: {}\r\n", "a".repeat(70_000)),
    );
    cases.push(case("old-with-70-kb", "RFC 6585 5: 431", old, large()));
    cases
}
