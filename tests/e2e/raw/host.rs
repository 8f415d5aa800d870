//! `Host` and the authority: RFC 9112 section 3.2, RFC 9110 section 7.2.

use crate::support::raw::{
    Case, answered, bare, case, form, got, reframed, refused, refused_as, run, served, served_last,
};

const POST: &str = "POST /predict/demo/iris/case HTTP/1.1";

#[test]
fn there_is_one_host_and_it_is_one() {
    run("host", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let with = |lines: &[u8]| bare(POST, [b"X-Api-Key: @KEY@\r\n", lines].concat());
    let mut cases = Vec::new();
    for (name, rule, lines) in [
        ("no-host", "RFC 9112 3.2", &b""[..]),
        (
            "same-host-twice",
            "RFC 9112 3.2",
            b"Host: gateway.test\r\nHost: gateway.test\r\n",
        ),
        (
            "two-hosts",
            "RFC 9112 3.2 (Host of Troubles)",
            b"Host: gateway.test\r\nHost: evil.test\r\n",
        ),
        (
            "two-hosts-in-other-case",
            "RFC 9112 3.2 (Host of Troubles)",
            b"Host: gateway.test\r\nhOST: evil.test\r\n",
        ),
        (
            "second-host-empty",
            "RFC 9112 3.2",
            b"Host: gateway.test\r\nHost:\r\n",
        ),
        (
            "first-host-empty",
            "RFC 9112 3.2",
            b"Host: \r\nHost: gateway.test\r\n",
        ),
        (
            "hosts-far-apart",
            "RFC 9112 3.2 (Host of Troubles)",
            b"Host: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nHost: b\r\n",
        ),
        ("empty-host", "RFC 9110 4.2.1: an empty host", b"Host:\r\n"),
        ("host-of-spaces", "RFC 9110 4.2.1", b"Host:    \r\n"),
        ("space-in-host", "RFC 9110 7.2", b"Host: gateway .test\r\n"),
        ("tab-in-host", "RFC 9110 7.2", b"Host: gateway\t.test\r\n"),
        (
            "list-of-hosts",
            "RFC 9110 7.2",
            b"Host: gateway.test, evil.test\r\n",
        ),
        (
            "slash-in-host",
            "RFC 9110 7.2",
            b"Host: gateway.test/evil\r\n",
        ),
        (
            "userinfo-in-host",
            "RFC 9110 4.2.4",
            b"Host: user@gateway.test\r\n",
        ),
        (
            "query-in-host",
            "RFC 9110 7.2",
            b"Host: gateway.test?evil\r\n",
        ),
        (
            "fragment-in-host",
            "RFC 9110 7.2",
            b"Host: gateway.test#evil\r\n",
        ),
        (
            "backslash-in-host",
            "RFC 9110 7.2",
            b"Host: gateway.test\\evil\r\n",
        ),
        (
            "scheme-in-host",
            "RFC 9110 7.2",
            b"Host: http://gateway.test\r\n",
        ),
        (
            "quote-in-host",
            "RFC 9110 7.2",
            b"Host: \"gateway.test\"\r\n",
        ),
        (
            "angle-brackets-in-host",
            "CWE-79",
            b"Host: <gateway.test>\r\n",
        ),
        (
            "brace-in-host",
            "RFC 3986 3.2.2",
            b"Host: {gateway}.test\r\n",
        ),
        ("nul-in-host", "RFC 9110 5.5", b"Host: gateway\0.test\r\n"),
        (
            "control-in-host",
            "RFC 9110 5.5",
            b"Host: gateway\x01.test\r\n",
        ),
        (
            "latin-1-in-host",
            "RFC 3986 3.2.2",
            b"Host: g\xe4teway.test\r\n",
        ),
        (
            "utf-8-in-host",
            "RFC 3986 3.2.2",
            b"Host: g\xc3\xa4teway.test\r\n",
        ),
        (
            "port-of-letters",
            "RFC 3986 3.2.3",
            b"Host: gateway.test:http\r\n",
        ),
        (
            "signed-port",
            "RFC 3986 3.2.3",
            b"Host: gateway.test:+80\r\n",
        ),
        (
            "two-ports",
            "RFC 3986 3.2.3",
            b"Host: gateway.test:80:80\r\n",
        ),
        ("port-alone", "RFC 9110 4.2.1", b"Host: :80\r\n"),
        ("bracket-never-closed", "RFC 3986 3.2.2", b"Host: [::1\r\n"),
        ("bracket-never-opened", "RFC 3986 3.2.2", b"Host: ::1]\r\n"),
        (
            "words-behind-a-bracket",
            "RFC 3986 3.2.2",
            b"Host: [::1]evil\r\n",
        ),
        (
            "no-address-in-brackets",
            "RFC 3986 3.2.2",
            b"Host: [evil]\r\n",
        ),
        ("empty-brackets", "RFC 3986 3.2.2", b"Host: []\r\n"),
        (
            "broken-escape-in-host",
            "RFC 3986 2.1",
            b"Host: gateway%zz.test\r\n",
        ),
        (
            "space-before-hosts-colon",
            "RFC 9112 5.1",
            b"Host : gateway.test\r\n",
        ),
        (
            "folded-host",
            "RFC 9112 5.2: obs-fold",
            b"Host: gateway\r\n .test\r\n",
        ),
        (
            "lf-in-host",
            "RFC 9112 2.2: bare LF",
            b"Host: gateway.test\nHost: evil.test\r\n",
        ),
        (
            "host-in-a-fold",
            "RFC 9112 5.2 (Host of Troubles)",
            b"Host: gateway.test\r\nX: y\r\n Host: evil.test\r\n",
        ),
        (
            "space-before-second-host",
            "RFC 9112 5.2 (Host of Troubles)",
            b"Host: gateway.test\r\n Host: evil.test\r\n",
        ),
    ] {
        cases.push(case(name, rule, with(lines), refused()));
    }
    let space_first = bare(POST, " Host: gateway.test\r\nX-Api-Key: @KEY@\r\n");
    cases.push(case(
        "space-before-host",
        "RFC 9112 2.2 (Host of Troubles)",
        space_first,
        refused(),
    ));
    for (name, rule, host) in [
        ("host-with-port", "RFC 9110 7.2", "gateway.test:8080"),
        ("host-by-ipv6", "RFC 3986 3.2.2", "[::1]:8080"),
        ("host-by-ipv4", "RFC 3986 3.2.2", "127.0.0.1"),
        (
            "host-of-the-metadata-service",
            "RFC 9110 7.2: never routed by",
            "169.254.169.254",
        ),
        (
            "host-with-spaces-around",
            "RFC 9112 5.1",
            "  gateway.test \t",
        ),
        ("host-in-capitals", "RFC 9110 4.2.3", "GATEWAY.TEST"),
        ("host-with-underscore", "RFC 3986 2.3", "gate_way.test"),
    ] {
        let lines = format!("Host: {host}\r\n");
        cases.push(case(name, rule, with(lines.as_bytes()), served(form())));
    }
    for (name, rule, host) in [
        ("empty-port", "RFC 3986 3.2.3", "gateway.test:"),
        ("port-too-large", "RFC 3986 3.2.3", "gateway.test:99999"),
        ("escape-in-host", "RFC 3986 3.2.2", "gateway%2etest"),
        ("dot-first-in-host", "RFC 3986 3.2.2", ".gateway.test"),
        ("two-dots-in-host", "RFC 3986 3.2.2", "gateway..test"),
        ("sub-delimiters-in-host", "RFC 3986 3.2.2", "gateway;x=1"),
    ] {
        let lines = format!("Host: {host}\r\n");
        cases.push(case(
            name,
            rule,
            with(lines.as_bytes()),
            reframed(form()).or(refused()),
        ));
    }
    // The absolute form names an authority too.
    let absolute = |target: &str, lines: &str| {
        let lines = format!("X-Api-Key: @KEY@\r\n{lines}");
        bare(&format!("GET {target} HTTP/1.1"), lines)
    };
    let host = "Host: gateway.test\r\n";
    for (name, target) in [
        (
            "absolute-form",
            "http://gateway.test/predict/demo/iris/case",
        ),
        (
            "absolute-form-in-capitals",
            "HTTP://GATEWAY.test/predict/demo/iris/case",
        ),
    ] {
        cases.push(case(
            name,
            "RFC 9112 3.2.2",
            absolute(target, host),
            served(got("/case")),
        ));
    }
    for (name, target) in [
        (
            "absolute-form-of-another",
            "http://evil.test/predict/demo/iris/case",
        ),
        (
            "absolute-form-on-another-port",
            "http://gateway.test:81/predict/demo/iris/case",
        ),
        (
            "absolute-form-with-userinfo",
            "http://gateway.test@evil.test/predict/demo/iris/case",
        ),
        (
            "absolute-form-with-own-user",
            "http://user:word@gateway.test/predict/demo/iris/case",
        ),
        (
            "absolute-form-of-a-longer-name",
            "http://gateway.test.evil.test/predict/demo/iris/case",
        ),
    ] {
        let bytes = absolute(target, host);
        cases.push(case(
            name,
            "RFC 9112 3.2.2; issue: against Host",
            bytes,
            refused_as(&[400, 421]),
        ));
    }
    let bare_form = absolute("http://gateway.test/predict/demo/iris/case", "");
    cases.push(case(
        "absolute-form-without-host",
        "RFC 9112 3.2",
        bare_form,
        refused(),
    ));
    let two = absolute(
        "http://gateway.test/predict/demo/iris/case",
        "Host: gateway.test\r\nHost: evil.test\r\n",
    );
    cases.push(case(
        "absolute-form-with-two-hosts",
        "RFC 9112 3.2",
        two,
        refused(),
    ));
    let secure = absolute("https://gateway.test/predict/demo/iris/case", host);
    cases.push(case(
        "absolute-form-by-another-scheme",
        "RFC 9110 7.4: misdirected",
        secure,
        reframed(got("/case")).or(refused_as(&[400, 421])),
    ));
    let port = absolute("http://gateway.test:80/predict/demo/iris/case", host);
    cases.push(case(
        "absolute-form-with-the-default-port",
        "RFC 9110 4.2.3",
        port,
        reframed(got("/case")).or(refused()),
    ));
    let empty = absolute("http://gateway.test", host);
    cases.push(case(
        "absolute-form-without-path",
        "RFC 9112 3.2.2",
        empty,
        answered(&[400, 404]),
    ));
    let ftp = absolute("ftp://gateway.test/predict/demo/iris/case", host);
    cases.push(case(
        "absolute-form-by-ftp",
        "RFC 9110 7.4",
        ftp,
        reframed(got("/case")).or(answered(&[400, 404, 421, 501])),
    ));
    // HTTP/1.0 knew no Host; one that is sent must still be one.
    let old = |lines: &str| {
        bare(
            "GET /predict/demo/iris/case HTTP/1.0",
            format!("X-Api-Key: @KEY@\r\n{lines}"),
        )
    };
    cases.push(case(
        "old-without-host",
        "RFC 9112 3.2",
        old(""),
        served_last(got("/case")),
    ));
    cases.push(case(
        "old-with-two-hosts",
        "RFC 9112 3.2",
        old("Host: a\r\nHost: b\r\n"),
        refused(),
    ));
    cases.push(case(
        "old-with-a-bad-host",
        "RFC 9112 3.2",
        old("Host: a b\r\n"),
        refused(),
    ));
    cases
}
