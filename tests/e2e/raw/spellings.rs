//! Two spellings of one path are one path, and no more than is there is found: RFC 3986 section
//! 6.2.2, design.md sections 3 and 6.

use crate::support::raw::{Case, aim, answered, case, got, reframed, run, served};

#[test]
fn every_spelling_has_one_form() {
    run("spellings", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, rule, path, form) in [
        (
            "encoded-letter",
            "RFC 3986 6.2.2.2",
            "/predict/demo/iris/c%61se",
            "/case",
        ),
        (
            "encoded-letter-of-the-name",
            "RFC 3986 6.2.2.2",
            "/predict/demo/%69ris/case",
            "/case",
        ),
        (
            "encoded-letter-of-the-plane",
            "RFC 3986 6.2.2.2",
            "/%70redict/demo/iris/case",
            "/case",
        ),
        (
            "encoded-dash-and-tilde",
            "RFC 3986 6.2.2.2",
            "/predict/demo/iris/a%2db%7ec",
            "/a-b~c",
        ),
        (
            "escape-in-small-letters",
            "RFC 3986 6.2.2.1",
            "/predict/demo/iris/a%3fb",
            "/a%3Fb",
        ),
        (
            "encoded-utf-8",
            "RFC 3629",
            "/predict/demo/iris/%e2%82%ac",
            "/%E2%82%AC",
        ),
        (
            "escaped-escape",
            "RFC 3986 2.4: decoded once",
            "/predict/demo/iris/%252e%252e/case",
            "/%252e%252e/case",
        ),
        (
            "escaped-escape-of-a-slash",
            "RFC 3986 2.4: decoded once",
            "/predict/demo/iris/a%252fb",
            "/a%252fb",
        ),
        (
            "escaped-escape-of-nul",
            "RFC 3986 2.4: decoded once",
            "/predict/demo/iris/a%2500",
            "/a%2500",
        ),
        (
            "escape-put-together",
            "RFC 3986 2.4: decoded once",
            "/predict/demo/iris/%25%32%65/case",
            "/%252e/case",
        ),
        (
            "three-dots",
            "RFC 3986 3.3: a name",
            "/predict/demo/iris/.../case",
            "/.../case",
        ),
        (
            "hidden-name",
            "RFC 3986 3.3: a name",
            "/predict/demo/iris/.well-known/a",
            "/.well-known/a",
        ),
        (
            "dots-within-a-name",
            "RFC 3986 3.3: a name",
            "/predict/demo/iris/a..b",
            "/a..b",
        ),
        (
            "parameters-of-a-segment",
            "RFC 3986 3.3",
            "/predict/demo/iris/case;v=1",
            "/case;v=1",
        ),
        (
            "colon-in-a-segment",
            "RFC 3986 3.3",
            "/predict/demo/iris/v1:predict",
            "/v1:predict",
        ),
        (
            "slash-at-the-end",
            "RFC 3986 3.3",
            "/predict/demo/iris/case/",
            "/case/",
        ),
        ("no-tail", "design.md 3", "/predict/demo/iris", "/predict"),
        (
            "dots-in-the-query-alone",
            "RFC 3986 3.4",
            "/predict/demo/iris/case?a=../..",
            "/case?a=../..",
        ),
        (
            "streaming-plane",
            "design.md 3",
            "/stream/demo/iris/case",
            "/case",
        ),
    ] {
        cases.push(case(name, rule, aim(path), served(got(form))));
    }
    // Look like slashes and dots to some; opaque here, or refused.
    for (name, rule, path, form) in [
        (
            "encoded-wide-slash",
            "Unicode NFKC of U+FF0F",
            "/predict/demo/iris/a%ef%bc%8fb",
            "/a%EF%BC%8Fb",
        ),
        (
            "encoded-division-slash",
            "Unicode U+2215",
            "/predict/demo/iris/a%e2%88%95b",
            "/a%E2%88%95b",
        ),
        (
            "encoded-two-dot-leader",
            "Unicode NFKC of U+2025",
            "/predict/demo/iris/%e2%80%a5/a",
            "/%E2%80%A5/a",
        ),
        (
            "dots-with-an-encoded-semicolon",
            "CVE-2020-5902 family: Tomcat",
            "/predict/demo/iris/..%3b/a",
            "/..%3B/a",
        ),
        (
            "encoded-semicolon",
            "RFC 3986 2.4",
            "/predict/demo/iris/a%3bb",
            "/a%3Bb",
        ),
    ] {
        let allowed = reframed(got(form)).or(answered(&[400]));
        cases.push(case(name, rule, aim(path), allowed));
    }
    // Well formed, but nothing there, or nothing of this key's.
    for (name, rule, path, statuses) in [
        ("root", "design.md 3", "/", &[404][..]),
        (
            "plane-in-capitals",
            "RFC 3986 6.2.2.1: case matters",
            "/PREDICT/demo/iris/case",
            &[404],
        ),
        (
            "plane-with-parameters",
            "RFC 3986 3.3",
            "/predict;a=b/demo/iris/case",
            &[404],
        ),
        (
            "deployment-with-parameters",
            "RFC 3986 3.3",
            "/predict/demo/iris;a=b/case",
            &[400, 404],
        ),
        (
            "name-in-capitals",
            "design.md 2: names",
            "/predict/demo/IRIS/case",
            &[404],
        ),
        (
            "name-with-an-encoded-space",
            "design.md 2: names",
            "/predict/demo/iris%20/case",
            &[400, 404],
        ),
        (
            "name-of-dots",
            "design.md 2: names",
            "/predict/demo/.../case",
            &[400, 404],
        ),
        ("name-left-out", "design.md 3", "/predict/demo", &[404]),
        ("name-of-nothing", "design.md 3", "/predict/demo/", &[404]),
        (
            "other-deployment",
            "design.md 3: 404 inside the scope",
            "/predict/demo/other/case",
            &[404],
        ),
        (
            "other-project-by-path",
            "design.md 3: 403",
            "/predict/other/iris/case",
            &[403],
        ),
        (
            "admin-plane",
            "design.md 4: another listener",
            "/api/v1/projects",
            &[404],
        ),
        (
            "metrics-of-the-admin-plane",
            "design.md 4: another listener",
            "/metrics",
            &[404],
        ),
        ("path-of-the-backend", "design.md 3", "/health", &[404]),
    ] {
        cases.push(case(name, rule, aim(path), answered(statuses)));
    }
    cases
}
