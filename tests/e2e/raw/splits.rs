//! The same bytes in other pieces are the same bytes: what a reader makes of them may not hang on
//! where one write ended.

use crate::support::raw::{
    Case, Step, aim, case, chunked, crumbs, cut, form, got, parted, post, post_with, refused,
    refused_as, run, served, smuggled,
};

const RULE: &str = "RFC 9112 2: a stream of octets";

#[test]
fn pieces_change_nothing() {
    run("splits", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let hello = || form().body("hello");
    let get = aim("/predict/demo/iris/case");
    let length = post_with("Content-Length: 5\r\n", "hello");
    let chunks = chunked("5;a=b\r\nhello\r\n0\r\nX-T: a\r\n\r\n");
    let mut cases = vec![
        case("get-byte-by-byte", RULE, crumbs(&get), served(got("/case"))),
        case(
            "length-byte-by-byte",
            RULE,
            crumbs(&length),
            served(hello()),
        ),
        case(
            "chunks-byte-by-byte",
            RULE,
            crumbs(&chunks),
            served(hello()),
        ),
    ];
    for (name, mark) in [
        ("cut-behind-the-first-byte", "G"),
        ("cut-in-the-method", "GE"),
        ("cut-behind-the-method", "GET "),
        ("cut-in-the-target", "/predict/de"),
        ("cut-in-the-version", "HTTP/1."),
        ("cut-within-a-line-end", "HTTP/1.1\r"),
        ("cut-behind-the-request-line", "HTTP/1.1\r\n"),
        ("cut-in-the-key", "X-Api-Key: wk_"),
        ("cut-before-the-last-line-end", "@CASEID@\r\n"),
        ("cut-within-the-last-line-end", "@CASEID@\r\n\r"),
    ] {
        cases.push(case(name, RULE, parted(&get, mark), served(got("/case"))));
    }
    for (name, mark) in [
        ("cut-in-the-length", "Content-Length: "),
        ("cut-in-the-body", "\r\n\r\nhe"),
    ] {
        cases.push(case(name, RULE, parted(&length, mark), served(hello())));
    }
    for (name, mark) in [
        ("cut-in-the-coding", "Transfer-Encoding: chu"),
        ("cut-behind-a-size", "\r\n\r\n5"),
        ("cut-in-an-extension", "5;a"),
        ("cut-within-the-end-of-a-size", "5;a=b\r"),
        ("cut-in-a-chunk", "\r\nhel"),
        ("cut-within-the-end-of-a-chunk", "hello\r"),
        ("cut-behind-the-last-size", "hello\r\n0"),
        ("cut-before-the-trailers", "hello\r\n0\r\n"),
        ("cut-in-a-trailer", "X-T:"),
        ("cut-within-the-last-of-a-body", "X-T: a\r\n\r"),
    ] {
        cases.push(case(name, RULE, parted(&chunks, mark), served(hello())));
    }
    // Bad in one piece, bad in many.
    let bad_length = post_with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello");
    let both = post_with(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    );
    let fold = post("X-A: a\r\n b\r\n");
    let lf = post("X-A: a\nX-B: b\r\n");
    for (name, rule, script) in [
        (
            "two-lengths-byte-by-byte",
            "RFC 9112 6.3",
            crumbs(&bad_length),
        ),
        (
            "length-and-chunked-byte-by-byte",
            "RFC 9112 6.1",
            crumbs(&both),
        ),
        (
            "length-and-chunked-apart",
            "RFC 9112 6.1",
            parted(&both, "Content-Length: 5\r\n"),
        ),
        ("fold-byte-by-byte", "RFC 9112 5.2: obs-fold", crumbs(&fold)),
        (
            "cut-before-a-fold",
            "RFC 9112 5.2: obs-fold",
            parted(&fold, "X-A: a\r\n"),
        ),
        ("lf-byte-by-byte", "RFC 9112 2.2: bare LF", crumbs(&lf)),
        (
            "cut-behind-a-bare-lf",
            "RFC 9112 2.2: bare LF",
            parted(&lf, "X-A: a\n"),
        ),
        (
            "nul-byte-by-byte",
            "RFC 9110 5.5",
            crumbs(&post("X-A: a\0\r\n")),
        ),
        (
            "cut-behind-a-bare-cr",
            "RFC 9112 2.2: bare CR",
            parted(&post("X-A: a\rb\r\n"), "X-A: a\r"),
        ),
        (
            "spoof-byte-by-byte",
            "issue: underscored spoofs",
            crumbs(&post("Content_Length: 5\r\n")),
        ),
        (
            "fragment-byte-by-byte",
            "RFC 9112 3.2",
            crumbs(&aim("/predict/demo/iris/case#x")),
        ),
        (
            "control-in-target-byte-by-byte",
            "RFC 9112 3.2",
            crumbs(&aim("/predict/demo/iris/\x01")),
        ),
        (
            "two-hosts-apart",
            "RFC 9112 3.2",
            parted(&post("Host: evil.test\r\n"), "Host: evil"),
        ),
        (
            "named-host-byte-by-byte",
            "issue: protected headers",
            crumbs(&post("Connection: host\r\n")),
        ),
    ] {
        cases.push(case(name, rule, script, refused()));
    }
    let hidden = post_with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n");
    let script = parted(&hidden, "Transfer-Encoding: x");
    cases.push(case(
        "cut-in-a-hidden-coding",
        "RFC 9112 6.1 (TE.TE)",
        script,
        refused_as(&[400, 501]),
    ));
    for (name, body) in [
        ("bad-size-byte-by-byte", "5x\r\nhello\r\n0\r\n\r\n"),
        ("lf-for-a-size-byte-by-byte", "5\nhello\r\n0\r\n\r\n"),
        ("long-data-byte-by-byte", "3\r\nhello\r\n0\r\n\r\n"),
        (
            "bad-trailer-byte-by-byte",
            "5\r\nhello\r\n0\r\nX A: b\r\n\r\n",
        ),
    ] {
        cases.push(case(name, "RFC 9112 7.1", crumbs(&chunked(body)), cut()));
    }
    // The border between two requests in the middle of a write, and in a piece of its own.
    let two = [&length[..], &get].concat();
    let both = || served(hello()).then(served(got("/case")));
    cases.push(case(
        "cut-in-the-second-request",
        "RFC 9112 9.3.2",
        parted(&two, "helloGE"),
        both(),
    ));
    cases.push(case(
        "cut-between-two-requests",
        "RFC 9112 9.3.2",
        parted(&two, "\r\n\r\nhello"),
        both(),
    ));
    cases.push(case(
        "two-requests-byte-by-byte",
        "RFC 9112 9.3.2",
        crumbs(&two),
        both(),
    ));
    let held = [&length[..], &post("X-A: a\0\r\n")].concat();
    let allowed = served(hello()).then(refused());
    cases.push(case(
        "bad-second-byte-by-byte",
        "RFC 9112 9.3.2",
        crumbs(&held),
        allowed,
    ));
    // A pause in a body, then what looks like a request (a client that lies about its pace).
    let inner = smuggled();
    let head = post(format!("Content-Length: {}\r\n", inner.len() + 5));
    let script = vec![
        Step::Send(head),
        Step::Send(b"hello".to_vec()),
        Step::Send(inner.clone()),
    ];
    let whole = form().body([b"hello", &inner[..]].concat());
    cases.push(case(
        "request-in-the-second-half-of-a-body",
        "pause-based desync",
        script,
        served(whole),
    ));
    let head = post(format!("Content-Length: {}\r\n", inner.len()));
    let script = vec![Step::Send(head), Step::Send(inner.clone())];
    cases.push(case(
        "request-in-a-write-of-its-own",
        "pause-based desync",
        script,
        served(form().body(inner)),
    ));
    cases
}
