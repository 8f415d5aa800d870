//! Chunks on the wire: RFC 9112 section 7.1.

use crate::support::raw::{
    Case, case, chunked, cut, ended, form, reframed, refused_as, run, served, smuggled, torn,
};

#[test]
fn chunks_are_counted_in_one_way() {
    run("chunks", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let hello = || form().body("hello");
    let mut cases = Vec::new();
    for (name, rule, body) in [
        (
            "size-of-no-digits",
            "RFC 9112 7.1",
            &b"zz\r\nhello\r\n0\r\n\r\n"[..],
        ),
        (
            "digits-then-letters",
            "RFC 9112 7.1",
            b"5g\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "signed-size",
            "RFC 9112 7.1 (CVE-2020-26129 family)",
            b"+5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "negative-size",
            "RFC 9112 7.1 (CVE-2013-2028)",
            b"-5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "size-by-0x",
            "RFC 9112 7.1 (CVE-2022-36032 family)",
            b"0x5\r\nhello\r\n0\r\n\r\n",
        ),
        ("size-by-0x-of-zero", "RFC 9112 7.1", b"0x0\r\n\r\n"),
        (
            "underscore-in-size",
            "RFC 9112 7.1",
            b"0_5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "comma-in-size",
            "RFC 9112 7.1",
            b"5,0\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "decimal-point-in-size",
            "RFC 9112 7.1",
            b"5.0\r\nhello\r\n0\r\n\r\n",
        ),
        ("two-sizes", "RFC 9112 7.1", b"5 5\r\nhello\r\n0\r\n\r\n"),
        (
            "quoted-size",
            "RFC 9112 7.1",
            b"\"5\"\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "space-before-size",
            "RFC 9112 7.1",
            b" 5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "tab-before-size",
            "RFC 9112 7.1",
            b"\t5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "nul-before-size",
            "RFC 9112 7.1",
            b"\x005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "nul-behind-size",
            "RFC 9112 7.1",
            b"5\0\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "vertical-tab-behind-size",
            "RFC 9112 7.1",
            b"5\x0b\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "wide-digit-for-size",
            "RFC 9112 7.1: U+FF15",
            b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
        ),
        ("empty-size", "RFC 9112 7.1", b"\r\nhello\r\n0\r\n\r\n"),
        (
            "extension-without-size",
            "RFC 9112 7.1",
            b";a=b\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "seventeen-digits",
            "RFC 9112 7.1: overflow",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "eighteen-fs",
            "RFC 9112 7.1: overflow",
            b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "lf-ends-every-chunk-line",
            "RFC 9112 2.2: bare LF",
            b"5\nhello\n0\n\n",
        ),
        (
            "lf-ends-size",
            "RFC 9112 7.1 (TERM.EXT)",
            b"5\nhello\r\n0\r\n\r\n",
        ),
        (
            "cr-ends-size",
            "RFC 9112 7.1: bare CR",
            b"5\rhello\r\n0\r\n\r\n",
        ),
        (
            "cr-and-another-ends-size",
            "RFC 9112 7.1 (CVE-2025-22871 family)",
            b"5\rXhello\r\n0\r\n\r\n",
        ),
        (
            "cr-cr-lf-ends-size",
            "RFC 9112 7.1: bare CR",
            b"5\r\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "lf-ends-data",
            "RFC 9112 7.1: bare LF",
            b"5\r\nhello\n0\r\n\r\n",
        ),
        ("nothing-ends-data", "RFC 9112 7.1", b"5\r\nhello0\r\n\r\n"),
        (
            "two-bytes-for-an-end-of-data",
            "RFC 9112 7.1 (SPILL.TERM)",
            b"5\r\nhelloXX0\r\n\r\n",
        ),
        (
            "cr-and-another-ends-data",
            "RFC 9112 7.1",
            b"5\r\nhello\rX0\r\n\r\n",
        ),
        (
            "another-and-lf-ends-data",
            "RFC 9112 7.1",
            b"5\r\nhelloX\n0\r\n\r\n",
        ),
        (
            "data-longer-than-its-size",
            "RFC 9112 7.1",
            b"3\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "data-shorter-than-its-size",
            "RFC 9112 7.1",
            b"8\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "lf-ends-last-chunk",
            "RFC 9112 7.1: bare LF",
            b"5\r\nhello\r\n0\n\r\n",
        ),
        (
            "empty-line-between-chunks",
            "RFC 9112 7.1",
            b"5\r\nhello\r\n\r\n0\r\n\r\n",
        ),
        (
            "lf-in-extension",
            "RFC 9112 7.1.1 (TERM.EXT)",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "lf-ends-extension",
            "RFC 9112 7.1.1 (EXT.TERM)",
            b"5;a\nhello\r\n0\r\n\r\n",
        ),
        (
            "lf-ends-empty-extension",
            "RFC 9112 7.1.1 (TERM.EXT)",
            b"5;\nhello\r\n0\r\n\r\n",
        ),
        (
            "cr-in-extension",
            "RFC 9112 7.1.1: bare CR",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "cr-cr-lf-ends-extension",
            "RFC 9112 7.1.1: bare CR",
            b"5;a\r\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "size-in-base-64",
            "RFC 9112 7.1",
            b"NQ==\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "percent-behind-size",
            "RFC 9112 7.1",
            b"5%20\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        cases.push(case(name, rule, chunked(body), cut()));
    }
    // A size that can be said, of data that never came.
    for (name, rule, body) in [
        (
            "sixteen-fs",
            "RFC 9112 7.1: overflow",
            "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "half-of-sixteen-digits",
            "RFC 9112 7.1: overflow",
            "8000000000000000\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "size-of-four-gigabytes",
            "RFC 9112 7.1: 32 bits",
            "100000005\r\nhello\r\n0\r\n\r\n",
        ),
        ("end-behind-the-first-chunk", "RFC 9112 8", "5\r\nhello\r\n"),
        ("end-within-a-chunk", "RFC 9112 8", "ff\r\nhello"),
        ("end-within-a-size", "RFC 9112 8", "5"),
        ("end-behind-the-last-size", "RFC 9112 8", "5\r\nhello\r\n0"),
        (
            "end-behind-the-last-chunk",
            "RFC 9112 8",
            "5\r\nhello\r\n0\r\n",
        ),
        (
            "end-within-the-last-line",
            "RFC 9112 8",
            "5\r\nhello\r\n0\r\n\r",
        ),
        ("end-before-any-chunk", "RFC 9112 8", ""),
    ] {
        let script = ended(chunked(body));
        cases.push(case(name, rule, script, torn().or(refused_as(&[413]))));
    }
    for (name, rule, body) in [
        ("one-chunk", "RFC 9112 7.1", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "two-chunks",
            "RFC 9112 7.1",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        (
            "chunks-of-one-byte",
            "RFC 9112 7.1",
            "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
        ),
        ("extension", "RFC 9112 7.1.1", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        (
            "extension-of-a-name",
            "RFC 9112 7.1.1",
            "5;a\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "extension-of-the-last-chunk",
            "RFC 9112 7.1.1",
            "5\r\nhello\r\n0;a=b\r\n\r\n",
        ),
    ] {
        cases.push(case(name, rule, chunked(body), served(hello())));
    }
    // Read strictly or leniently, but never as anything else.
    for (name, rule, body) in [
        (
            "zeros-before-size",
            "RFC 9112 7.1",
            &b"0005\r\nhello\r\n0\r\n\r\n"[..],
        ),
        (
            "twenty-zeros-before-size",
            "RFC 9112 7.1: overflow",
            b"000000000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "three-zeros-at-last",
            "RFC 9112 7.1",
            b"5\r\nhello\r\n000\r\n\r\n",
        ),
        (
            "space-behind-size",
            "RFC 9112 7.1.1: bad whitespace",
            b"5 \r\nhello\r\n0\r\n\r\n",
        ),
        (
            "tab-behind-size",
            "RFC 9112 7.1.1: bad whitespace",
            b"5\t\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "space-before-extension",
            "RFC 9112 7.1.1: bad whitespace",
            b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "empty-extension",
            "RFC 9112 7.1.1",
            b"5;\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "quoted-extension",
            "RFC 9112 7.1.1",
            b"5;a=\"0;b\"\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "quote-never-closed-in-extension",
            "RFC 9112 7.1.1",
            b"5;a=\"\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "control-in-extension",
            "RFC 9112 7.1.1",
            b"5;a\x01\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "nul-in-extension",
            "RFC 9112 7.1.1",
            b"5;a\0\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "high-byte-in-extension",
            "RFC 9112 7.1.1",
            b"5;a=\xff\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "sizes-in-extension",
            "RFC 9112 7.1.1 (CVE-2020-8287 family)",
            b"5;6\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        cases.push(case(name, rule, chunked(body), reframed(hello()).or(cut())));
    }
    let large_digits = chunked("00000A\r\n0123456789\r\n0\r\n\r\n");
    cases.push(case(
        "size-in-capital-digits",
        "RFC 9112 7.1",
        large_digits,
        served(form().body("0123456789")),
    ));
    let small_digits = chunked("a\r\n0123456789\r\n0\r\n\r\n");
    cases.push(case(
        "size-in-small-digits",
        "RFC 9112 7.1",
        small_digits,
        served(form().body("0123456789")),
    ));
    cases.push(case(
        "no-chunk-but-the-last",
        "RFC 9112 7.1",
        chunked("0\r\n\r\n"),
        served(form()),
    ));
    let disguised = chunked("7\r\n0\r\n\r\nhi\r\n0\r\n\r\n");
    cases.push(case(
        "last-chunk-within-a-chunk",
        "RFC 9112 7.1",
        disguised,
        served(form().body("0\r\n\r\nhi")),
    ));
    let inner = [b"0\r\n\r\n", &smuggled()[..]].concat();
    let size = format!("{:x}\r\n", inner.len());
    let holds = chunked([size.as_bytes(), &inner, b"\r\n0\r\n\r\n"].concat());
    cases.push(case(
        "request-within-a-chunk",
        "RFC 9112 7.1",
        holds,
        served(form().body(&inner)),
    ));
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(20_000));
    cases.push(case(
        "extension-of-20-kb",
        "RFC 9112 7.1.1: limit them (CVE-2023-39326 family)",
        chunked(long),
        reframed(hello()).or(cut()),
    ));
    let flood = format!(
        "{}0\r\n\r\n",
        "1;a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\nx\r\n".repeat(2_000)
    );
    let all = form().body("x".repeat(2_000));
    cases.push(case(
        "extensions-of-70-kb",
        "RFC 9112 7.1.1: limit them (CVE-2023-39326)",
        chunked(flood),
        reframed(all).or(cut()),
    ));
    cases
}
