//! One path decides authorisation, routing and the upstream request: design.md section 6,
//! RFC 3986 sections 5.2.4 and 6.2.2.

use crate::support::raw::{Case, aim, answered, case, run};

#[test]
fn a_path_with_two_readings_has_none() {
    run("paths", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, rule, path) in [
        (
            "dots-out-of-the-deployment",
            "RFC 3986 5.2.4 (CWE-22)",
            "/predict/demo/iris/../smuggled",
        ),
        (
            "dots-out-of-the-tree",
            "RFC 3986 5.2.4 (CWE-22)",
            "/predict/demo/iris/../../../../../etc/passwd",
        ),
        (
            "dots-into-the-deployment",
            "RFC 3986 5.2.4: routing",
            "/predict/other/../demo/iris/case",
        ),
        (
            "dots-at-the-beginning",
            "RFC 3986 5.2.4",
            "/../predict/demo/iris/case",
        ),
        (
            "dots-at-the-end",
            "RFC 3986 5.2.4",
            "/predict/demo/iris/case/..",
        ),
        ("one-dot", "RFC 3986 5.2.4", "/predict/demo/iris/./case"),
        (
            "one-dot-at-the-end",
            "RFC 3986 5.2.4",
            "/predict/demo/iris/case/.",
        ),
        (
            "one-dot-in-the-name",
            "RFC 3986 5.2.4",
            "/predict/./demo/iris/case",
        ),
        (
            "encoded-dots",
            "CVE-2021-41773",
            "/predict/demo/iris/%2e%2e/smuggled",
        ),
        (
            "encoded-dots-in-capitals",
            "CVE-2021-41773",
            "/predict/demo/iris/%2E%2E/smuggled",
        ),
        (
            "first-dot-encoded",
            "CVE-2021-41773",
            "/predict/demo/iris/%2e./smuggled",
        ),
        (
            "second-dot-encoded",
            "CVE-2021-41773",
            "/predict/demo/iris/.%2e/smuggled",
        ),
        (
            "one-encoded-dot",
            "RFC 3986 6.2.2.3",
            "/predict/demo/iris/%2e/case",
        ),
        (
            "dots-with-parameters",
            "CVE-2020-5902 family: Tomcat",
            "/predict/demo/iris/..;/smuggled",
        ),
        (
            "dots-with-named-parameters",
            "CVE-2020-5902 family: Tomcat",
            "/predict/demo/iris/..;a=b/smuggled",
        ),
        (
            "encoded-dots-with-parameters",
            "CVE-2020-5902 family: Tomcat",
            "/predict/demo/iris/%2e%2e;/smuggled",
        ),
        (
            "one-dot-with-parameters",
            "CVE-2020-5902 family: Tomcat",
            "/predict/demo/iris/.;/case",
        ),
        (
            "encoded-slash",
            "CVE-2021-42013 family",
            "/predict/demo/iris%2fcase",
        ),
        (
            "encoded-slash-in-capitals",
            "CVE-2021-42013 family",
            "/predict/demo/iris/a%2Fb",
        ),
        (
            "encoded-slash-of-the-name",
            "design.md 6: routing",
            "/predict/demo%2firis/case",
        ),
        (
            "encoded-slash-and-dots",
            "CVE-2021-42013 family",
            "/predict/demo/iris/..%2fsmuggled",
        ),
        (
            "all-encoded-dots-and-slash",
            "CVE-2021-42013 family",
            "/predict/demo/iris/%2e%2e%2fsmuggled",
        ),
        (
            "encoded-backslash",
            "WHATWG URL: a slash",
            "/predict/demo/iris/a%5cb",
        ),
        (
            "encoded-backslash-and-dots",
            "CVE-2019-11510 family",
            "/predict/demo/iris/..%5csmuggled",
        ),
        (
            "raw-backslash-and-dots",
            "WHATWG URL: a slash",
            "/predict/demo/iris/..\\smuggled",
        ),
        (
            "two-slashes-first",
            "RFC 3986 3.3: an authority?",
            "//predict/demo/iris/case",
        ),
        (
            "two-slashes-and-a-host",
            "RFC 3986 4.2: a network path",
            "//evil.test/predict/demo/iris/case",
        ),
        (
            "two-slashes-in-the-name",
            "nginx merge_slashes",
            "/predict//demo/iris/case",
        ),
        (
            "two-slashes-behind-the-name",
            "nginx merge_slashes",
            "/predict/demo/iris//case",
        ),
        (
            "three-slashes-in-the-tail",
            "nginx merge_slashes",
            "/predict/demo/iris/a///b",
        ),
        ("encoded-nul", "CWE-158", "/predict/demo/iris/a%00b"),
        (
            "encoded-nul-behind-the-name",
            "CWE-158",
            "/predict/demo/iris%00/case",
        ),
        (
            "encoded-lf",
            "CWE-93: CR LF injection",
            "/predict/demo/iris/a%0ab",
        ),
        (
            "encoded-cr",
            "CWE-93: CR LF injection",
            "/predict/demo/iris/a%0db",
        ),
        (
            "encoded-request",
            "CWE-93: CR LF injection",
            "/predict/demo/iris/a%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0a",
        ),
        ("encoded-tab", "CWE-93", "/predict/demo/iris/a%09b"),
        ("encoded-delete", "RFC 3986 2", "/predict/demo/iris/a%7fb"),
        ("encoded-escape", "CWE-150", "/predict/demo/iris/a%1b%5bA"),
        (
            "overlong-slash",
            "RFC 3629 3: overlong (CVE-2000-0884)",
            "/predict/demo/iris/a%c0%afb",
        ),
        (
            "overlong-dots",
            "RFC 3629 3: overlong",
            "/predict/demo/iris/%c0%ae%c0%ae/smuggled",
        ),
        (
            "overlong-slash-of-three",
            "RFC 3629 3: overlong",
            "/predict/demo/iris/a%e0%80%afb",
        ),
        (
            "overlong-slash-of-four",
            "RFC 3629 3: overlong",
            "/predict/demo/iris/a%f0%80%80%afb",
        ),
        (
            "overlong-backslash",
            "RFC 3629 3: overlong",
            "/predict/demo/iris/a%c1%9cb",
        ),
        (
            "overlong-nul",
            "RFC 3629 3: overlong",
            "/predict/demo/iris/a%c0%80b",
        ),
        ("encoded-latin-1", "RFC 3629", "/predict/demo/iris/a%e9b"),
        (
            "encoded-byte-of-no-utf-8",
            "RFC 3629",
            "/predict/demo/iris/a%ffb",
        ),
        (
            "encoded-surrogate",
            "RFC 3629 3",
            "/predict/demo/iris/a%ed%a0%80b",
        ),
        (
            "encoded-beyond-unicode",
            "RFC 3629 3",
            "/predict/demo/iris/a%f4%90%80%80b",
        ),
        ("half-a-character", "RFC 3629", "/predict/demo/iris/a%e2%82"),
        ("continuation-alone", "RFC 3629", "/predict/demo/iris/a%80b"),
    ] {
        cases.push(case(name, rule, aim(path), answered(&[400])));
    }
    cases
}
