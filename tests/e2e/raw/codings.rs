//! Codings that are none, that do not end in chunked, or that only look like it to one of two: RFC
//! 9112 sections 6.1 and 7 (TE.TE).

use crate::support::raw::{Case, case, post_with, refused_as, run};

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

#[test]
fn a_hidden_coding_is_refused() {
    run("codings", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, rule, lines) in [
        (
            "x-before-chunked",
            "RFC 9112 6.1 (TE.TE)",
            &b"Transfer-Encoding: xchunked\r\n"[..],
        ),
        (
            "x-behind-chunked",
            "RFC 9112 6.1 (TE.TE)",
            b"Transfer-Encoding: chunkedx\r\n",
        ),
        (
            "dash-behind-chunked",
            "RFC 9112 6.1 (TE.TE)",
            b"Transfer-Encoding: chunked-1\r\n",
        ),
        ("chunk", "RFC 9112 6.1", b"Transfer-Encoding: chunk\r\n"),
        (
            "identity",
            "RFC 9112 7: no longer a coding",
            b"Transfer-Encoding: identity\r\n",
        ),
        (
            "identity-then-chunked",
            "RFC 9112 7 (CVE-2019-18277 family)",
            b"Transfer-Encoding: identity, chunked\r\n",
        ),
        (
            "chunked-then-identity",
            "RFC 9112 7 (CVE-2022-32214 family)",
            b"Transfer-Encoding: chunked, identity\r\n",
        ),
        (
            "gzip-alone",
            "RFC 9112 6.1: chunked is not last",
            b"Transfer-Encoding: gzip\r\n",
        ),
        (
            "deflate-then-chunked",
            "RFC 9112 6.1: unknown here",
            b"Transfer-Encoding: deflate, chunked\r\n",
        ),
        (
            "gzip-then-chunked",
            "RFC 9112 6.1: unknown here",
            b"Transfer-Encoding: gzip, chunked\r\n",
        ),
        (
            "chunked-then-gzip",
            "RFC 9112 6.1: chunked is not last",
            b"Transfer-Encoding: chunked, gzip\r\n",
        ),
        (
            "gzip-and-chunked-in-two-lines",
            "RFC 9112 6.1",
            b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "chunked-and-gzip-in-two-lines",
            "RFC 9112 6.1",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        ),
        (
            "chunked-and-nothing",
            "RFC 9112 6.1 (TE.TE)",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
        ),
        (
            "nothing-and-chunked",
            "RFC 9112 6.1 (TE.TE)",
            b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("empty-coding", "RFC 9112 6.1", b"Transfer-Encoding:\r\n"),
        (
            "coding-of-spaces",
            "RFC 9112 6.1",
            b"Transfer-Encoding:   \r\n",
        ),
        (
            "comma-for-a-coding",
            "RFC 9112 6.1",
            b"Transfer-Encoding: ,\r\n",
        ),
        (
            "quoted-chunked",
            "RFC 9112 7 (TE.TE)",
            b"Transfer-Encoding: \"chunked\"\r\n",
        ),
        (
            "single-quoted-chunked",
            "RFC 9112 7 (TE.TE)",
            b"Transfer-Encoding: 'chunked'\r\n",
        ),
        (
            "parameter-of-chunked",
            "RFC 9112 7.1: no parameters",
            b"Transfer-Encoding: chunked;q=1\r\n",
        ),
        (
            "semicolon-behind-chunked",
            "RFC 9112 7.1: no parameters",
            b"Transfer-Encoding: chunked;\r\n",
        ),
        (
            "words-behind-chunked",
            "RFC 9112 7",
            b"Transfer-Encoding: chunked foo\r\n",
        ),
        (
            "words-before-chunked",
            "RFC 9112 7",
            b"Transfer-Encoding: foo chunked\r\n",
        ),
        (
            "nul-behind-chunked",
            "RFC 9110 5.5 (TE.TE)",
            b"Transfer-Encoding: chunked\0\r\n",
        ),
        (
            "nul-before-chunked",
            "RFC 9110 5.5 (TE.TE)",
            b"Transfer-Encoding: \0chunked\r\n",
        ),
        (
            "vertical-tab-before-chunked",
            "RFC 9110 5.5 (CVE-2019-18277)",
            b"Transfer-Encoding: \x0bchunked\r\n",
        ),
        (
            "vertical-tab-behind-chunked",
            "RFC 9110 5.5 (TE.TE)",
            b"Transfer-Encoding: chunked\x0b\r\n",
        ),
        (
            "form-feed-before-chunked",
            "RFC 9110 5.5 (CVE-2019-18277)",
            b"Transfer-Encoding: \x0cchunked\r\n",
        ),
        (
            "no-break-space-before-chunked",
            "RFC 9112 7 (TE.TE)",
            b"Transfer-Encoding: \xa0chunked\r\n",
        ),
        (
            "next-line-before-chunked",
            "RFC 9112 7 (TE.TE)",
            b"Transfer-Encoding: \x85chunked\r\n",
        ),
        (
            "high-byte-behind-chunked",
            "RFC 9112 7 (TE.TE)",
            b"Transfer-Encoding: chunked\xff\r\n",
        ),
        (
            "kelvin-sign-in-chunked",
            "RFC 9112 7: folding of U+212A",
            b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n",
        ),
        (
            "cr-behind-chunked",
            "RFC 9112 2.2: bare CR",
            b"Transfer-Encoding: chunked\r\r\n",
        ),
        (
            "cr-before-chunked",
            "RFC 9112 2.2: bare CR",
            b"Transfer-Encoding: \rchunked\r\n",
        ),
        (
            "lf-before-chunked",
            "RFC 9112 2.2: bare LF",
            b"Transfer-Encoding:\nchunked\r\n",
        ),
        (
            "lf-behind-chunked",
            "RFC 9112 2.2 (CVE-2021-22959 family)",
            b"Transfer-Encoding: chunked\nX: y\r\n",
        ),
        (
            "chunked-in-a-fold",
            "RFC 9112 5.2: obs-fold",
            b"Transfer-Encoding:\r\n chunked\r\n",
        ),
        (
            "chunked-in-a-fold-by-tab",
            "RFC 9112 5.2: obs-fold",
            b"Transfer-Encoding:\r\n\tchunked\r\n",
        ),
        (
            "chunked-then-a-fold",
            "RFC 9112 5.2: obs-fold",
            b"Transfer-Encoding: chunked\r\n , identity\r\n",
        ),
        (
            "coding-in-a-fold",
            "RFC 9112 5.2: obs-fold",
            b"X: y\r\n Transfer-Encoding: chunked\r\n",
        ),
        (
            "space-before-codings-colon",
            "RFC 9112 5.1 (CVE-2019-16869)",
            b"Transfer-Encoding : chunked\r\n",
        ),
        (
            "tab-before-codings-colon",
            "RFC 9112 5.1 (CVE-2019-16869)",
            b"Transfer-Encoding\t: chunked\r\n",
        ),
        (
            "space-before-coding",
            "RFC 9112 2.2",
            b" Transfer-Encoding: chunked\r\n",
        ),
        (
            "nul-before-codings-colon",
            "RFC 9110 5.1",
            b"Transfer-Encoding\0: chunked\r\n",
        ),
        (
            "tab-in-codings-name",
            "RFC 9110 5.1",
            b"Transfer-\tEncoding: chunked\r\n",
        ),
        (
            "space-in-codings-name",
            "RFC 9110 5.1",
            b"Transfer Encoding: chunked\r\n",
        ),
        (
            "coding-without-colon",
            "RFC 9112 5 (CVE-2019-20445 family)",
            b"Transfer-Encoding chunked\r\n",
        ),
        (
            "coding-with-underscore",
            "issue: underscored spoofs (CGI)",
            b"Transfer_Encoding: chunked\r\n",
        ),
        (
            "vertical-tab-before-coding",
            "RFC 9110 5.1",
            b"\x0bTransfer-Encoding: chunked\r\n",
        ),
        (
            "control-behind-coding",
            "RFC 9110 5.1",
            b"Transfer-Encoding\x0b: chunked\r\n",
        ),
    ] {
        let bytes = post_with(lines, CHUNKS);
        cases.push(case(name, rule, bytes, refused_as(&[400, 501])));
    }
    cases
}
