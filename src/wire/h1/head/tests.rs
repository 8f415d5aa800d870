//! Heads that pass, and each rule with what breaks it.

use super::*;

fn head(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\n{fields}\r\n").into_bytes()
}

fn post(fields: &str) -> Checked {
    check(&head("POST /p HTTP/1.1", &format!("Host: h\r\n{fields}")))
}

fn line(line: &str) -> Checked {
    check(&head(line, "Host: h\r\n"))
}

fn framing(checked: Checked) -> Framing {
    match checked {
        Checked::Complete { framing, .. } => framing,
        other => panic!("{other:?}"),
    }
}

#[test]
fn usual_heads() {
    assert_eq!(framing(post("")), Framing::None);
    assert_eq!(framing(post("Content-Length: 0\r\n")), Framing::Length(0));
    assert_eq!(
        framing(post("content-length:\t 12 \r\n")),
        Framing::Length(12)
    );
    assert_eq!(
        framing(post("Transfer-Encoding: Chunked\r\n")),
        Framing::Chunked
    );
    assert_eq!(
        framing(post("X: \t\u{e9} \"q\" \t\r\nY:\r\n")),
        Framing::None
    );
    assert_eq!(
        framing(post("Connection: TE, x-mine, Upgrade\r\n")),
        Framing::None
    );
    assert_eq!(framing(post("x_mine: 1\r\n")), Framing::None);
    let bytes = head("GET / HTTP/1.0", "");
    let complete = Checked::Complete {
        length: bytes.len(),
        framing: Framing::None,
    };
    assert_eq!(check(&bytes), complete);
    assert_eq!(check(&[&bytes, &b"GET more"[..]].concat()), complete);
    let led = [b"\r\n", &bytes[..]].concat();
    assert!(matches!(check(&led), Checked::Complete { length, .. } if length == led.len()));
}

#[test]
fn request_lines() {
    for good in [
        "OPTIONS * HTTP/1.1",
        "X-ODD! //a?b=/../%zz HTTP/1.1",
        "GET http://H/p HTTP/1.1",
        "GET HTTP://h:80 HTTP/1.1",
        "GET https://h:?x HTTP/1.1",
        "CONNECT h:80 HTTP/1.1",
    ] {
        assert!(matches!(line(good), Checked::Complete { .. }), "{good}");
    }
    for (bad, why) in [
        ("G(T / HTTP/1.1", Why::Method),
        (" GET / HTTP/1.1", Why::Method),
        ("\r\nGET / HTTP/1.1", Why::Method),
        ("\nGET / HTTP/1.1", Why::Method),
        ("GET\t/ HTTP/1.1", Why::Method),
        ("GET  / HTTP/1.1", Why::Target),
        ("GET /a#b HTTP/1.1", Why::Target),
        ("GET /a\tb HTTP/1.1", Why::Target),
        ("GET /\u{e9} HTTP/1.1", Why::Target),
        ("GET /\x7f HTTP/1.1", Why::Target),
        ("GET * HTTP/1.1", Why::Target),
        ("GET h:80 HTTP/1.1", Why::Target),
        ("GET ftp://h/ HTTP/1.1", Why::Target),
        ("GET http:/p HTTP/1.1", Why::Target),
        ("GET http:///p HTTP/1.1", Why::Target),
        ("GET http://u@h/ HTTP/1.1", Why::Target),
        ("GET http://other/ HTTP/1.1", Why::Host),
        ("GET https://h:80/ HTTP/1.1", Why::Host),
        ("GET p HTTP/1.1", Why::Target),
        ("GET /", Why::Target),
        ("GET / HTTP/1.2", Why::Version),
        ("GET / HTTP/2.0", Why::Version),
        ("GET / HTTP/0.9", Why::Version),
        ("GET / http/1.1", Why::Version),
        ("GET / HTTP/1.1 ", Why::Version),
        ("GET /  HTTP/1.1", Why::Version),
        ("GET / HTTP/1.1\n", Why::Version),
        ("GET / HTTP/01.1", Why::Version),
        (&"M".repeat(33), Why::Method),
    ] {
        let line = if bad.starts_with("\r\n") {
            format!("\r\n{bad}")
        } else {
            bad.to_owned()
        };
        let checked = check(&head(&line, "Host: h\r\n"));
        assert_eq!(checked, Checked::Refused(why), "{bad:?}");
    }
}

#[test]
fn fields() {
    for (bad, why) in [
        ("Content-Length: 1\r\nContent-Length: 1\r\n", Why::Length),
        ("Content-Length: 1, 1\r\n", Why::Length),
        ("Content-Length: +1\r\n", Why::Length),
        ("Content-Length: -1\r\n", Why::Length),
        ("Content-Length: 1 1\r\n", Why::Length),
        ("Content-Length: 0x1\r\n", Why::Length),
        ("Content-Length: 1.0\r\n", Why::Length),
        ("Content-Length:\r\n", Why::Length),
        ("Content-Length: 9999999999999999999\r\n", Why::Length),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Why::TwoFramings,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            Why::TwoFramings,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Why::Coding,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", Why::Coding),
        ("Transfer-Encoding: gzip, chunked\r\n", Why::Coding),
        ("Transfer-Encoding: identity\r\n", Why::Coding),
        ("Transfer-Encoding: \"chunked\"\r\n", Why::Coding),
        ("Transfer-Encoding: ,chunked\r\n", Why::Coding),
        ("Transfer-Encoding: chunked;q=1\r\n", Why::Coding),
        ("Transfer-Encoding:\r\n", Why::Coding),
        ("Transfer-Encoding : chunked\r\n", Why::Name),
        ("X:a\r\n b\r\n", Why::Folded),
        ("X:a\r\n\tb\r\n", Why::Folded),
        ("X:a\rb\r\n", Why::LineEnd),
        ("X:a\nY:b\r\n", Why::LineEnd),
        ("X:a\r\r\n", Why::LineEnd),
        ("X:\0\r\n", Why::Value),
        ("X:a\x0bb\r\n", Why::Value),
        ("X:\x7f\r\n", Why::Value),
        ("X\x01:a\r\n", Why::Name),
        ("X\r\n", Why::Name),
        (":a\r\n", Why::Name),
        ("\"x\":a\r\n", Why::Name),
        ("\u{e9}:a\r\n", Why::Name),
        ("Host: h\r\n", Why::Host),
        ("Connection: close, Content-Length\r\n", Why::Connection),
        ("Connection: x,\tHOST ,y\r\n", Why::Connection),
        ("Connection: x-api-key\r\n", Why::Connection),
        ("Content_Length: 1\r\n", Why::Spoofed),
        ("X_Request-Id: 1\r\n", Why::Spoofed),
        ("x_api_key: 1\r\n", Why::Spoofed),
    ] {
        assert_eq!(post(bad), Checked::Refused(why), "{bad:?}");
    }
}

#[test]
fn hosts() {
    let with = |version: &str, fields: &str| check(&head(&format!("GET / HTTP/{version}"), fields));
    let refused = Checked::Refused(Why::Host);
    assert_eq!(with("1.1", ""), refused);
    for bad in ["", "u@h", "h/p", "h:x", "h h", "h,h:1:2"] {
        let field = format!("Host: {bad}\r\n");
        assert_eq!(with("1.1", &field), refused, "{bad:?}");
        assert_eq!(with("1.0", &field), refused, "{bad:?}");
    }
    assert_eq!(with("1.0", "Host: a\r\nHost: a\r\n"), refused);
    assert_eq!(
        with("1.0", "Transfer-Encoding: chunked\r\n"),
        Checked::Refused(Why::Coding)
    );
    assert!(matches!(with("1.0", "X: y\r\n"), Checked::Complete { .. }));
}
