//! Hostile backends that speak HTTP/2: a 502 or a broken answer, and others on the link unharmed.

use bytes::Bytes;
use http::Response;
use http_body::Frame;

use crate::support::{
    AUTH, Declarations, Deployment, Ended, Gateway, KEY, PREDICT, deployment,
    h2::{H2Backend, fed, whole},
    key, post,
    raw_h2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PUSH_PROMISE, RST_STREAM,
        RawH2, RawH2Backend, SETTINGS, WINDOW_UPDATE, block, frame, honest, setting,
    },
};

fn at(url: &str) -> Deployment {
    deployment("demo/iris")
        .backend_at(url, ", protocol = \"h2c\"")
        .timeouts("first_byte_ms = 2000\nidle_ms = 1500")
}

fn start(deployment: Deployment) -> Gateway {
    let declarations = Declarations::new().with(deployment).with(key(KEY, "demo"));
    Gateway::with(declarations).env("WEIR_WORKERS", 1).start()
}

fn head(flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags, 1, &block(fields))
}

fn reset(reason: u8) -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &[0, 0, 0, reason])
}

#[test]
fn answers_that_are_no_http2_are_a_502_or_broken() {
    const OK: (&str, &str) = (":status", "200");
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let large = "y".repeat(70_000);
    let large = block(&[OK, ("x", &large)]);
    let mut oversized = frame(HEADERS, 0, 1, &large[..16_000]);
    for (n, piece) in large[16_000..].chunks(16_000).enumerate() {
        let flags = if n == 3 { END_HEADERS } else { 0 };
        oversized.extend(frame(CONTINUATION, flags, 1, piece));
    }
    let many: Vec<_> = (0..101).map(|n| (format!("x-{n}"), "y")).collect();
    let many = [block(&[OK]), block(&many)].concat();
    for (name, bytes, at_once) in [
        (
            "HTTP/1",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec(),
            true,
        ),
        ("garbage", vec![0xff; 100], true),
        ("no settings first", honest(1), true),
        (
            "bad settings",
            frame(SETTINGS, 0, 0, &setting(4, u32::MAX)),
            true,
        ),
        ("goodbye", frame(GOAWAY, 0, 0, &[0; 8]), false),
        (
            "goodbye, calm down",
            frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]),
            false,
        ),
        ("reset", reset(2), false),
        (
            "no status",
            head(END_STREAM | END_HEADERS, &[("x", "y")]),
            false,
        ),
        (
            "two statuses",
            head(END_STREAM | END_HEADERS, &[OK, OK]),
            false,
        ),
        (
            "status of words",
            head(END_STREAM | END_HEADERS, &[(":status", "abc")]),
            false,
        ),
        (
            "a late status",
            head(END_STREAM | END_HEADERS, &[("x", "y"), OK]),
            false,
        ),
        (
            "a request",
            head(
                END_STREAM | END_HEADERS,
                &[(":method", "GET"), (":path", "/")],
            ),
            false,
        ),
        (
            "switching",
            head(END_STREAM | END_HEADERS, &[(":status", "101")]),
            false,
        ),
        (
            "connection",
            head(END_STREAM | END_HEADERS, &[OK, ("connection", "close")]),
            false,
        ),
        (
            "chunked",
            head(
                END_STREAM | END_HEADERS,
                &[OK, ("transfer-encoding", "chunked")],
            ),
            false,
        ),
        (
            "upper case",
            head(END_STREAM | END_HEADERS, &[OK, ("X-Y", "z")]),
            false,
        ),
        (
            "line feed",
            head(END_STREAM | END_HEADERS, &[OK, ("x", "a\r\nevil: b")]),
            false,
        ),
        (
            "nul",
            head(END_STREAM | END_HEADERS, &[OK, ("x", "a\0b")]),
            false,
        ),
        (
            "no body",
            head(END_STREAM | END_HEADERS, &[OK, ("content-length", "5")]),
            false,
        ),
        (
            "too short",
            [
                head(END_HEADERS, &[OK, ("content-length", "5")]),
                data(END_STREAM, b"some"),
            ]
            .concat(),
            false,
        ),
        (
            "too long",
            [
                head(END_HEADERS, &[OK, ("content-length", "3")]),
                data(END_STREAM, b"some"),
            ]
            .concat(),
            false,
        ),
        ("data first", data(END_STREAM, b"some"), false),
        (
            "beyond the window",
            [head(END_HEADERS, &[OK]), data(0, &[b'x'; 16_000]).repeat(5)].concat(),
            false,
        ),
        (
            "a push",
            [
                frame(
                    PUSH_PROMISE,
                    END_HEADERS,
                    1,
                    &[&2u32.to_be_bytes()[..], &block(&[OK])].concat(),
                ),
                honest(2),
            ]
            .concat(),
            false,
        ),
        (
            "no room",
            [
                head(END_HEADERS, &[OK]),
                frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            ]
            .concat(),
            false,
        ),
        (
            "reset for no reason",
            [head(END_HEADERS, &[OK]), data(0, b"some"), reset(0)].concat(),
            false,
        ),
        (
            "a head, reset for no reason",
            [head(END_HEADERS, &[OK]), reset(0)].concat(),
            false,
        ),
        (
            "disowned in good order",
            [
                head(END_HEADERS, &[OK]),
                data(0, b"some"),
                frame(GOAWAY, 0, 0, &[0; 8]),
            ]
            .concat(),
            false,
        ),
        (
            "never ends",
            [head(END_HEADERS, &[OK]), data(0, b"some")].concat(),
            false,
        ),
        ("an oversized head", oversized, false),
        (
            "101 headers",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &many),
            false,
        ),
    ] {
        let backend = RawH2Backend::start(bytes, at_once);
        let gateway = start(at(&backend.url()));
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], b"{}");
        match client.try_response("POST") {
            // What was not taken may be sent again, on the next connection.
            Ok(told) if told.status == 200 => {
                assert!(
                    told.ended != Ended::Clean || told.text() == "honest",
                    "{name}"
                );
            }
            Ok(told) => assert!(matches!(told.status, 502..=504), "{name}: {}", told.status),
            Err(ended) => assert!(
                matches!(ended, Ended::Eof | Ended::Reset),
                "{name}: {ended:?}"
            ),
        }
        assert!(backend.has_said(), "{name}");
        for _ in 0..2 {
            let next = gateway.call(&post(), &[AUTH], b"{}");
            assert_eq!(
                (next.status, next.text().as_str()),
                (200, "honest"),
                "behind {name}"
            );
        }
        assert!(
            backend.connections() < 5,
            "{name}: {} connections",
            backend.connections()
        );
    }
}

/// A server that has answered in full may reset the stream, to be sent no more of the request (RFC 9113
/// section 8.1).
#[test]
fn a_whole_answer_stays_whole_whatever_comes_behind_it() {
    let answer = [
        head(END_HEADERS, &[(":status", "200")]),
        frame(DATA, END_STREAM, 1, b"whole"),
    ]
    .concat();
    let goodbye = frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    for behind in [reset(0), goodbye] {
        let bytes = [&answer[..], &behind].concat();
        let backend = RawH2Backend::start(bytes, false);
        let gateway = start(at(&backend.url()));
        let told = gateway.call(&post(), &[AUTH], b"{}");
        let text = told.text();
        assert_eq!((told.status, text.as_str()), (200, "whole"), "{behind:?}");
        assert_eq!(told.ended, Ended::Clean);
    }
}

/// A link is shared. Clients that do not take their answers, token by token or in bulk, leave those of
/// all others on it alone.
#[test]
fn answers_nobody_takes_hold_up_no_other() {
    for size in [30, 16_000] {
        let backend = H2Backend::start(move |parts, _| {
            if !parts.uri.path().ends_with("/endless") {
                return Response::new(whole(b"honest"));
            }
            let (feeder, body) = fed();
            for _ in 0..(256 << 10) / size {
                let _ = feeder.send(Frame::data(Bytes::from(vec![b'x'; size])));
            }
            Response::new(body)
        });
        let gateway = start(at(&backend.url()).timeouts("total_ms = 60000"));
        let mut idlers: Vec<_> = (0..2)
            .map(|_| RawH2::with(gateway.addr(), &[(4, 0)]))
            .collect();
        for idler in &mut idlers {
            for stream in 0..40 {
                idler.ask(stream * 2 + 1, &[(":path", "/predict/demo/iris/endless")]);
            }
            for _ in 0..40 {
                while idler.read().expect("a frame").kind != HEADERS {}
            }
        }
        for n in 0..50 {
            let answer = gateway.call(&format!("POST {PREDICT}/{n}"), &[AUTH], b"{}");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "honest"),
                "{size}: {n}"
            );
        }
        for idler in &mut idlers {
            // Room for one byte: its stream is as alive as before.
            idler.send(frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()));
            loop {
                let next = idler.read().expect("a frame");
                assert!(
                    !matches!(next.kind, GOAWAY | RST_STREAM),
                    "{size}: {next:?}"
                );
                if (next.kind, next.stream) == (DATA, 1) && !next.payload.is_empty() {
                    break;
                }
            }
        }
    }
}
