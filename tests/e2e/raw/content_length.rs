//! `Content-Length`: RFC 9110 section 8.6, RFC 9112 section 6.3.

use crate::support::raw::{
    Case, case, ended, form, head, post_with, reframed, refused, refused_as, run, served, smuggled,
    torn,
};

#[test]
fn a_length_is_digits_and_there_is_one() {
    run("content-length", &cases());
}

pub(super) fn cases() -> Vec<Case> {
    let five = |lines: &[u8]| post_with(lines, "hello");
    let hello = || form().body("hello");
    let mut cases = Vec::new();
    for (name, rule, lines) in [
        ("two-lengths", "RFC 9112 6.3", &b"Content-Length: 5\r\nContent-Length: 6\r\n"[..]),
        ("zero-and-a-length", "RFC 9112 6.3 (CL.0)", b"Content-Length: 0\r\nContent-Length: 5\r\n"),
        ("length-and-zero", "RFC 9112 6.3 (CL.0)", b"Content-Length: 5\r\nContent-Length: 0\r\n"),
        ("list-of-lengths", "RFC 9112 6.3", b"Content-Length: 5, 6\r\n"),
        ("list-without-space", "RFC 9112 6.3", b"Content-Length: 5,6\r\n"),
        ("signed-length", "RFC 9110 8.6 (CVE-2018-7159 family)", b"Content-Length: +5\r\n"),
        ("negative-length", "RFC 9110 8.6", b"Content-Length: -5\r\n"),
        ("negative-zero", "RFC 9110 8.6", b"Content-Length: -0\r\n"),
        ("hexadecimal-length", "RFC 9110 8.6", b"Content-Length: 0x5\r\n"),
        ("length-of-hexadecimal-digits", "RFC 9110 8.6", b"Content-Length: 5a\r\n"),
        ("binary-length", "RFC 9110 8.6", b"Content-Length: 0b101\r\n"),
        ("decimal-point", "RFC 9110 8.6", b"Content-Length: 5.0\r\n"),
        ("exponent", "RFC 9110 8.6", b"Content-Length: 5e0\r\n"),
        ("underscore-in-length", "RFC 9110 8.6 (CVE-2018-7159 family)", b"Content-Length: 0_5\r\n"),
        ("space-in-length", "RFC 9110 8.6", b"Content-Length: 5 5\r\n"),
        ("tab-in-length", "RFC 9110 8.6", b"Content-Length: 5\t0\r\n"),
        ("words-behind-length", "RFC 9110 8.6", b"Content-Length: 5 bytes\r\n"),
        ("semicolon-behind-length", "RFC 9110 8.6", b"Content-Length: 5;\r\n"),
        ("quoted-length", "RFC 9110 8.6", b"Content-Length: \"5\"\r\n"),
        ("nul-behind-length", "RFC 9110 5.5", b"Content-Length: 5\0\r\n"),
        ("vertical-tab-before-length", "RFC 9110 5.5", b"Content-Length: \x0b5\r\n"),
        ("form-feed-behind-length", "RFC 9110 5.5", b"Content-Length: 5\x0c\r\n"),
        ("no-break-space-before-length", "RFC 9110 8.6", b"Content-Length: \xa05\r\n"),
        ("wide-digit", "RFC 9110 8.6: U+FF15", b"Content-Length: \xef\xbc\x95\r\n"),
        ("arabic-digit", "RFC 9110 8.6: U+0665", b"Content-Length: \xd9\xa5\r\n"),
        ("superscript-digit", "RFC 9110 8.6: U+2075", b"Content-Length: \xe2\x81\xb5\r\n"),
        ("empty-length", "RFC 9110 8.6", b"Content-Length:\r\n"),
        ("length-of-spaces", "RFC 9110 8.6", b"Content-Length:   \r\n"),
        ("empty-and-a-length", "RFC 9112 6.3", b"Content-Length:\r\nContent-Length: 5\r\n"),
        ("comma-alone", "RFC 9110 8.6", b"Content-Length: ,\r\n"),
        ("comma-behind-length", "RFC 9110 8.6", b"Content-Length: 5,\r\n"),
        ("comma-before-length", "RFC 9110 8.6", b"Content-Length: ,5\r\n"),
        ("length-null", "RFC 9110 8.6", b"Content-Length: null\r\n"),
        ("two-to-the-64", "RFC 9110 8.6: overflow", b"Content-Length: 18446744073709551616\r\n"),
        ("wraps-to-five", "RFC 9110 8.6: overflow", b"Content-Length: 18446744073709551621\r\n"),
        ("wraps-32-bits-to-five-twice", "RFC 9110 8.6: overflow", b"Content-Length: 5\r\nContent-Length: 4294967301\r\n"),
        ("a-hundred-nines", "RFC 9110 8.6: overflow", b"Content-Length: 9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999\r\n"),
        ("folded-length", "RFC 9112 5.2: obs-fold", b"Content-Length:\r\n 5\r\n"),
        ("digits-in-a-fold", "RFC 9112 5.2: obs-fold", b"Content-Length: 5\r\n 0\r\n"),
        ("lf-in-front-of-second-length", "RFC 9112 2.2: bare LF", b"Content-Length: 0\nContent-Length: 5\r\n"),
        ("cr-in-front-of-second-length", "RFC 9112 2.2: bare CR", b"Content-Length: 0\rContent-Length: 5\r\n"),
        ("space-before-lengths-colon", "RFC 9112 5.1 (CVE-2019-16869)", b"Content-Length : 5\r\n"),
        ("tab-before-lengths-colon", "RFC 9112 5.1 (CVE-2019-16869)", b"Content-Length\t: 5\r\n"),
        ("space-before-length", "RFC 9112 5.2", b" Content-Length: 5\r\n"),
        ("nul-in-lengths-name", "RFC 9110 5.1", b"Content-Length\0: 5\r\n"),
        ("control-in-lengths-name", "RFC 9110 5.1", b"Content\x01-Length: 5\r\n"),
        ("length-without-colon", "RFC 9112 5 (CVE-2019-20444)", b"Content-Length 5\r\n"),
        ("length-with-underscore", "issue: underscored spoofs (CGI)", b"Content_Length: 5\r\n"),
        ("both-lengths", "issue: underscored spoofs (CGI)", b"Content-Length: 5\r\nContent_Length: 0\r\n"),
    ] {
        cases.push(case(name, rule, five(lines), refused()));
    }
    // The largest that can be said is a length, but more than is taken.
    for (name, lines) in [
        ("two-to-the-63", "Content-Length: 9223372036854775808\r\n"),
        (
            "two-to-the-64-less-one",
            "Content-Length: 18446744073709551615\r\n",
        ),
        (
            "two-to-the-64-less-two",
            "Content-Length: 18446744073709551614\r\n",
        ),
        ("a-terabyte", "Content-Length: 1099511627776\r\n"),
    ] {
        let allowed = refused_as(&[400, 413, 431]);
        cases.push(case(
            name,
            "RFC 9110 15.5.14: no more than is taken",
            five(lines.as_bytes()),
            allowed,
        ));
    }
    for (name, rule, lines) in [
        ("plain-length", "RFC 9110 8.6", "Content-Length: 5\r\n"),
        (
            "spaces-around-length",
            "RFC 9112 5.1",
            "Content-Length:  \t5 \r\n",
        ),
        (
            "length-in-odd-case",
            "RFC 9110 5.1",
            "cONTENT-lENGTH: 5\r\n",
        ),
    ] {
        cases.push(case(name, rule, five(lines.as_bytes()), served(hello())));
    }
    // A gateway may mend these, if it does so in the one sure way.
    for (name, rule, lines) in [
        (
            "same-length-twice",
            "RFC 9110 8.6",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
        (
            "list-of-one-length",
            "RFC 9110 8.6",
            "Content-Length: 5, 5\r\n",
        ),
        (
            "zeros-before-length",
            "RFC 9110 8.6",
            "Content-Length: 0005\r\n",
        ),
        (
            "many-zeros-before-length",
            "RFC 9110 8.6",
            "Content-Length: 000000000000000000000000000005\r\n",
        ),
        (
            "same-length-in-other-words",
            "RFC 9110 8.6",
            "Content-Length: 5\r\nContent-Length: 05\r\n",
        ),
    ] {
        let allowed = reframed(hello()).or(refused());
        cases.push(case(name, rule, five(lines.as_bytes()), allowed));
    }
    let zero = post_with("Content-Length: 0\r\n", "");
    cases.push(case("length-of-zero", "RFC 9110 8.6", zero, served(form())));
    let zeros = post_with("Content-Length: 00\r\n", "");
    cases.push(case(
        "length-of-two-zeros",
        "RFC 9110 8.6",
        zeros,
        reframed(form()).or(refused()),
    ));
    let lies = post_with("Content-Length: 5\r\n", "helloGARBAGE\r\n\r\n");
    let then = served(hello()).then(refused());
    cases.push(case(
        "body-longer-than-its-length",
        "RFC 9112 6.3",
        lies,
        then,
    ));
    let short = ended(post_with("Content-Length: 100\r\n", "hello"));
    cases.push(case(
        "body-shorter-than-its-length",
        "RFC 9112 8",
        short,
        torn(),
    ));
    let inside = smuggled();
    let holds = post_with(format!("Content-Length: {}\r\n", inside.len()), &inside);
    let holder = post_with(format!("Content-Length: {}\r\n", 7), "GET /a ");
    cases.push(case(
        "body-that-begins-like-a-request",
        "RFC 9112 6",
        holder,
        served(form().body("GET /a ")),
    ));
    cases.push(case(
        "body-that-is-a-request",
        "RFC 9112 6 (CL.0)",
        holds,
        served(form().body(inside)),
    ));
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let line = format!("{method} /predict/demo/iris/case HTTP/1.1");
        let bytes = [head(&line, "Content-Length: 5\r\n"), b"hello".to_vec()].concat();
        let name = format!("length-with-{}", method.to_lowercase());
        cases.push(case(
            name,
            "RFC 9110 9.3 (CL.0)",
            bytes,
            reframed(hello().method(method)).or(refused()),
        ));
    }
    cases
}
