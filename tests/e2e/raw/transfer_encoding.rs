//! `Transfer-Encoding`: RFC 9112 sections 6.1 and 7, and the ways to hide it from one of two.

use crate::support::raw::{
    Case, bare, case, form, head, post, post_with, reframed, refused, refused_as, run, served,
    smuggled,
};

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

#[test]
fn a_coding_is_chunked_and_stands_alone() {
    run("transfer-encoding", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let hello = || form().body("hello");
    let mut cases = Vec::new();
    for (name, rule, lines) in [
        (
            "plain-chunked",
            "RFC 9112 7.1",
            "Transfer-Encoding: chunked\r\n",
        ),
        (
            "chunked-in-capitals",
            "RFC 9112 7: case-insensitive",
            "Transfer-Encoding: CHUNKED\r\n",
        ),
        (
            "chunked-in-odd-case",
            "RFC 9112 7: case-insensitive",
            "tRANSFER-eNCODING: chUNKed\r\n",
        ),
        (
            "spaces-around-chunked",
            "RFC 9112 5.1",
            "Transfer-Encoding: \t chunked \t\r\n",
        ),
        (
            "no-space-before-chunked",
            "RFC 9112 5",
            "Transfer-Encoding:chunked\r\n",
        ),
        (
            "chunked-content-coding",
            "RFC 9110 8.4: not framing",
            "Content-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "te-of-chunked",
            "RFC 9110 10.1.4: not framing",
            "TE: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
    ] {
        cases.push(case(name, rule, post_with(lines, CHUNKS), served(hello())));
    }
    // Length and coding in one head.
    for (name, rule, lines, body) in [
        (
            "length-then-chunked",
            "RFC 9112 6.1 (CL.TE)",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "chunked-then-length",
            "RFC 9112 6.1 (TE.CL)",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            CHUNKS,
        ),
        (
            "zero-length-and-chunked",
            "RFC 9112 6.1 (CL.TE)",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "length-far-from-chunked",
            "RFC 9112 6.1",
            "Content-Length: 5\r\nA: 1\r\nB: 2\r\nC: 3\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "right-length-and-chunked",
            "RFC 9112 6.1",
            "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n",
            CHUNKS,
        ),
        (
            "length-and-empty-coding",
            "RFC 9112 6.1",
            "Content-Length: 5\r\nTransfer-Encoding:\r\n",
            "hello",
        ),
        (
            "length-and-identity",
            "RFC 9112 6.1",
            "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
            "hello",
        ),
        (
            "length-and-unknown-coding",
            "RFC 9112 6.1",
            "Content-Length: 5\r\nTransfer-Encoding: cow\r\n",
            "hello",
        ),
        (
            "length-and-hidden-chunked",
            "RFC 9112 6.1 (TE.TE)",
            "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "length-and-spaced-chunked",
            "CVE-2019-16869",
            "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "length-and-underscored-chunked",
            "issue: underscored spoofs",
            "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "bad-length-and-chunked",
            "RFC 9112 6.3 (CVE-2019-20444)",
            "Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
            CHUNKS,
        ),
    ] {
        cases.push(case(
            name,
            rule,
            post_with(lines, body),
            refused_as(&[400, 501]),
        ));
    }
    let inner = smuggled();
    let cl_te = post_with(
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
            inner.len() + 5
        ),
        [b"0\r\n\r\n", &inner[..]].concat(),
    );
    cases.push(case(
        "request-behind-chunks-within-length",
        "RFC 9112 6.1 (CL.TE)",
        cl_te,
        refused(),
    ));
    let size = format!("{:x}\r\n", inner.len());
    let te_cl = post_with(
        format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
            size.len()
        ),
        [size.as_bytes(), &inner, b"\r\n0\r\n\r\n"].concat(),
    );
    cases.push(case(
        "request-within-a-chunk-behind-length",
        "RFC 9112 6.1 (TE.CL)",
        te_cl,
        refused(),
    ));
    let te_te = post_with(
        "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
        [b"0\r\n\r\n", &inner[..]].concat(),
    );
    cases.push(case(
        "request-behind-two-codings",
        "RFC 9112 6.1 (TE.TE)",
        te_te,
        refused_as(&[400, 501]),
    ));
    // RFC 9112 7.1 forbids to send these; RFC 9110 5.6.1 lets a recipient pass over empty members.
    for (name, rule, lines) in [
        (
            "chunked-twice-in-a-list",
            "RFC 9112 6.1",
            "Transfer-Encoding: chunked, chunked\r\n",
        ),
        (
            "chunked-twice-in-two-lines",
            "RFC 9112 6.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "comma-before-chunked",
            "RFC 9110 5.6.1",
            "Transfer-Encoding: ,chunked\r\n",
        ),
        (
            "comma-behind-chunked",
            "RFC 9110 5.6.1",
            "Transfer-Encoding: chunked,\r\n",
        ),
    ] {
        let allowed = reframed(hello()).or(refused_as(&[400, 501]));
        cases.push(case(name, rule, post_with(lines, CHUNKS), allowed));
    }
    // HTTP/1.0 has no such field.
    let old = |more: &str| {
        let head = head(
            "POST /predict/demo/iris/case HTTP/1.0",
            format!("Transfer-Encoding: chunked\r\n{more}"),
        );
        [&head[..], CHUNKS.as_bytes()].concat()
    };
    cases.push(case(
        "chunked-in-1-0",
        "RFC 9112 6.1: HTTP/1.0",
        old(""),
        refused(),
    ));
    cases.push(case(
        "chunked-in-1-0-kept-alive",
        "RFC 9112 6.1: HTTP/1.0",
        old("Connection: keep-alive\r\n"),
        refused(),
    ));
    cases.push(case(
        "chunked-and-length-in-1-0",
        "RFC 9112 6.1: HTTP/1.0",
        old("Content-Length: 5\r\n"),
        refused(),
    ));
    for method in ["GET", "HEAD", "DELETE"] {
        let head = head(
            &format!("{method} /predict/demo/iris/case HTTP/1.1"),
            "Transfer-Encoding: chunked\r\n",
        );
        let bytes = [&head[..], CHUNKS.as_bytes()].concat();
        let name = format!("chunked-with-{}", method.to_lowercase());
        cases.push(case(
            name,
            "RFC 9110 9.3 (TE.0)",
            bytes,
            reframed(hello().method(method)).or(refused()),
        ));
    }
    let unframed = post("Content-Type: text/plain\r\n");
    cases.push(case(
        "no-framing-at-all",
        "RFC 9112 6.3: no body",
        unframed,
        served(form()),
    ));
    let first = bare(
        "POST /predict/demo/iris/case HTTP/1.1",
        "Transfer-Encoding: chunked\r\nHost: gateway.test\r\nX-Api-Key: @KEY@\r\nContent-Length: 0\r\n",
    );
    cases.push(case(
        "coding-first-length-last",
        "RFC 9112 6.1 (TE.CL)",
        first,
        refused(),
    ));
    cases
}
