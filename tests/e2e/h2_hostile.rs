//! Hostile heads and bodies by HTTP/2: what RFC 9113 section 8 forbids reaches no backend, or only in
//! its one canonical form. `h2_floods` has the floods.

use crate::support::{
    AUTH, Backend, Ended, Gateway, KEY, PATIENCE, PREDICT, eventually,
    h2::H2Client,
    iris, pattern, post,
    raw_h2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Fate, HEADERS, PING, PRIORITY, PUSH_PROMISE,
        RST_STREAM, RawH2, SETTINGS, WINDOW_UPDATE, block, frame, request, setting,
    },
};

type Fields = &'static [(&'static str, &'static str)];

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "gateway.test");
const PATH: (&str, &str) = (":path", PREDICT);
const OURS: (&str, &str) = ("x-api-key", KEY);

/// Whole lists of fields that are no request.
const HEADS: &[(&str, Fields)] = &[
    ("no method", &[SCHEME, AUTHORITY, PATH, OURS]),
    ("no scheme", &[METHOD, AUTHORITY, PATH, OURS]),
    ("no path", &[METHOD, SCHEME, AUTHORITY, OURS]),
    ("nobody meant", &[METHOD, SCHEME, PATH, OURS]),
    (
        "two methods",
        &[METHOD, (":method", "GET"), SCHEME, AUTHORITY, PATH, OURS],
    ),
    (
        "two paths",
        &[METHOD, SCHEME, AUTHORITY, PATH, (":path", "/x"), OURS],
    ),
    (
        "two schemes",
        &[METHOD, SCHEME, SCHEME, AUTHORITY, PATH, OURS],
    ),
    (
        "two authorities",
        &[
            METHOD,
            SCHEME,
            AUTHORITY,
            (":authority", "evil"),
            PATH,
            OURS,
        ],
    ),
    (
        "pseudo after regular",
        &[METHOD, SCHEME, AUTHORITY, OURS, PATH],
    ),
    (
        "unknown pseudo",
        &[METHOD, SCHEME, AUTHORITY, PATH, (":evil", "x"), OURS],
    ),
    (
        "status",
        &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200"), OURS],
    ),
    ("connect", &[(":method", "CONNECT"), AUTHORITY, OURS]),
    (
        "connect with path",
        &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH, OURS],
    ),
    (
        "extended connect",
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            SCHEME,
            AUTHORITY,
            PATH,
            OURS,
        ],
    ),
    (
        "protocol",
        &[
            METHOD,
            (":protocol", "websocket"),
            SCHEME,
            AUTHORITY,
            PATH,
            OURS,
        ],
    ),
];

/// What spoils a request that is good without it.
const FIELDS: &[(&str, &str)] = &[
    (":method", ""),
    (":method", "PO ST"),
    (":method", "POST / HTTP/1.1\r\nx: y"),
    (":scheme", ""),
    (":scheme", "ftp"),
    (":scheme", "http://evil/"),
    (":authority", "evil@gateway.test"),
    (":authority", "a:b@gateway.test"),
    (":authority", "gateway.test/evil"),
    (":authority", "gate way"),
    (":authority", "a\r\nx: y"),
    (":path", ""),
    (":path", "*"),
    (":path", "predict/demo/iris"),
    (":path", "http://evil/predict/demo/iris"),
    (":path", "//evil/predict/demo/iris"),
    (":path", "/predict/demo/iris HTTP/1.1"),
    (":path", "/predict/demo/iris\r\nx: y"),
    (":path", "/predict/demo/iris\0"),
    (":path", "/predict/demo/iris?a b"),
    (":path", "/predict/demo/iris?a\nb"),
    (":path", "/predict/demo/../demo/iris"),
    (":path", "/predict/demo\\iris"),
    ("host", "evil"),
    ("host", "gateway.test:81"),
    ("host", ""),
    ("X-Upper", "x"),
    ("", "x"),
    ("a b", "x"),
    ("a:b", "x"),
    ("a\r\nb", "x"),
    ("x", "a\r\nb: c"),
    ("x", "a\nb"),
    ("x", "a\rb"),
    ("x", "a\0b"),
    ("x", " a"),
    ("x", "a "),
    ("x", "\ta"),
    ("connection", "close"),
    ("connection", "x-request-id"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "close"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("upgrade", "h2c"),
    ("te", "gzip"),
    ("te", "trailers, chunked"),
    ("content-length", "+0"),
    ("content-length", "0, 0"),
    ("content-length", "0x0"),
    ("content-length", "-1"),
    ("content-length", ""),
    ("content-length", "99999999999999999999"),
];

/// Whether a stream was refused: told so, reset, or its connection given up.
fn is_refusal(fate: Fate) -> bool {
    matches!(
        fate,
        Fate::Status(400..=499 | 501) | Fate::Reset | Fate::GoneAway | Fate::Closed
    )
}

#[test]
fn heads_that_break_the_rules_reach_no_backend() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let whole = HEADS
        .iter()
        .map(|(name, fields)| (format!("{name:?}"), block(fields)));
    let spoiled = FIELDS
        .iter()
        .map(|field| (format!("{field:?}"), request(&[*field])));
    let twice = [("host", "gateway.test"), ("content-length", "0")].map(|field| {
        let fields = [METHOD, SCHEME, AUTHORITY, PATH, OURS, field, field];
        (format!("{field:?} twice"), block(&fields))
    });
    let many: Vec<(String, String)> = (0..101)
        .map(|n| (format!("x-{n}"), "y".to_owned()))
        .collect();
    let many = [request(&[]), block(&many)].concat();
    for (name, head) in whole
        .chain(spoiled)
        .chain(twice)
        .chain([("many".to_owned(), many)])
    {
        let mut client = RawH2::connect(gateway.addr());
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &head));
        let fate = client.fate(1);
        assert!(is_refusal(fate), "{name}: {fate:?}");
        assert_eq!(
            backend.count(),
            0,
            "{name} reached the backend: {:?}",
            backend.received()
        );
    }
    assert_eq!(gateway.call(&post(), &[AUTH], b"x").text(), "x");
}

#[test]
fn what_travels_is_canonical() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "Gateway.Test:443"),
        (":path", "/predict/demo/%69ris/a%2db?q=%2f#fragment"),
        ("host", "gateway.test:443"),
        ("x-api-key", KEY),
        ("cookie", "a=1"),
        ("x-one", "1"),
        ("cookie", "b=2"),
        ("te", "trailers"),
        ("http2-settings", "AAMAAABk"),
        ("expect", "100-continue"),
    ];
    let mut client = RawH2::connect(gateway.addr());
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields)));
    assert_eq!(client.fate(1), Fate::Status(200));
    let head = backend.last().head;
    assert_eq!(head.start, "POST /a-b?q=%2f HTTP/1.1");
    assert_eq!(head.all("cookie"), ["a=1; b=2"]);
    assert_eq!(head.all("host"), [backend.addr().to_string()]);
    assert_eq!(head.all("content-length"), ["0"]);
    for gone in [
        "te",
        "http2-settings",
        "expect",
        "transfer-encoding",
        "connection",
    ] {
        assert!(!head.has(gone), "{gone}: {head:?}");
    }
    assert!(!head.raw.contains(&b'#'));
}

/// A body that is not as long as its head says is never a whole one upstream.
#[test]
fn lengths_that_lie_are_no_bodies() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (length, bodies) in [
        ("5", &[&b"hell"[..]][..]),
        ("5", &[b"hello!"]),
        ("5", &[b"hello", b"!"]),
        (
            "0",
            &[b"POST /predict/demo/iris HTTP/1.1\r\nhost: h\r\n\r\n"],
        ),
        ("5", &[]),
    ] {
        let mut client = RawH2::connect(gateway.addr());
        let flags = if bodies.is_empty() {
            END_STREAM | END_HEADERS
        } else {
            END_HEADERS
        };
        let mut bytes = frame(HEADERS, flags, 1, &request(&[("content-length", length)]));
        for (n, body) in bodies.iter().enumerate() {
            let flags = if n + 1 == bodies.len() { END_STREAM } else { 0 };
            bytes.extend(frame(DATA, flags, 1, body));
        }
        client.send(bytes);
        let fate = client.fate(1);
        assert!(is_refusal(fate), "{length} {bodies:?}: {fate:?}");
    }
    eventually(PATIENCE, "the uploads end", || {
        backend.received().iter().all(|r| r.body.is_some())
    });
    for got in backend.received() {
        let body = got.body.unwrap();
        assert_ne!(body.ended, Ended::Clean, "{:?}: {:?}", got.head, body.bytes);
    }
}

/// A client that gives up says why or, with 0, that there is no reason: what it had sent until then is no
/// whole request.
#[test]
fn what_is_reset_is_no_whole_request() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for reason in 0..14 {
        let mut client = RawH2::connect(gateway.addr());
        let before = backend.count();
        client.send(frame(HEADERS, END_HEADERS, 1, &request(&[])));
        client.send(frame(DATA, 0, 1, b"TRANSFER 100"));
        eventually(PATIENCE, "the backend has the head", || {
            backend.count() > before
        });
        client.send(frame(RST_STREAM, 0, 1, &[0, 0, 0, reason]));
        // Nor is one that is to be kept.
        let later = request(&[("x-async-request", "true")]);
        client.send(frame(HEADERS, END_HEADERS, 3, &later));
        client.send(frame(DATA, 0, 3, b"TRANSFER 100"));
        client.send(frame(RST_STREAM, 0, 3, &[0, 0, 0, reason]));
        client.ask(5, &[]);
        assert_eq!(client.fate(5), Fate::Status(200), "{reason}");
    }
    eventually(PATIENCE, "the uploads end", || {
        backend.received().iter().all(|r| r.body.is_some())
    });
    for got in backend.received() {
        let body = got.body.unwrap();
        let is_whole = body.ended == Ended::Clean;
        assert_eq!(is_whole, body.bytes.is_empty(), "{:?}", got.head);
    }
    let kept = gateway.api().get("/projects/demo/deployments/iris/async");
    let kept = kept.json();
    assert_eq!(kept["items"], serde_json::json!([]), "{kept}");
}

#[test]
fn trailers_play_no_games() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for trailers in [
        &[(":path", "/evil")][..],
        &[("content-length", "5")],
        &[("transfer-encoding", "chunked")],
        &[("connection", "close")],
        &[
            ("host", "evil"),
            ("x-api-key", "evil"),
            ("cookie", "evil"),
            ("x-request-id", "evil"),
        ],
        &[("x", "a\r\nevil: b")],
        &[("X-Evil", "x")],
    ] {
        let before = backend.count();
        let mut client = RawH2::connect(gateway.addr());
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &request(&[]));
        bytes.extend(frame(DATA, 0, 1, b"hello"));
        bytes.extend(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &block(trailers),
        ));
        client.send(bytes);
        let fate = client.fate(1);
        assert!(
            fate == Fate::Status(200) || is_refusal(fate),
            "{trailers:?}: {fate:?}"
        );
        eventually(PATIENCE, "the upload ends", || {
            backend.received()[before..]
                .iter()
                .all(|r| r.body.is_some())
        });
        for got in &backend.received()[before..] {
            let body = got.body.as_ref().unwrap();
            assert!(
                body.trailers.is_empty(),
                "{trailers:?} became {:?}",
                body.trailers
            );
            assert!(body.ended != Ended::Clean || body.bytes == b"hello");
        }
    }
}

/// Frames out of place end their stream or connection, and nothing else.
#[test]
fn frames_out_of_place_are_refused() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let victim = H2Client::connect(gateway.addr());
    let good = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request(&[]));
    let open = frame(HEADERS, 0, 1, &request(&[]));
    for (name, bytes) in [
        ("data on no stream", frame(DATA, END_STREAM, 1, b"x")),
        ("data on the connection", frame(DATA, 0, 0, b"x")),
        (
            "an even stream",
            frame(HEADERS, END_STREAM | END_HEADERS, 2, &request(&[])),
        ),
        (
            "headers on the connection",
            frame(HEADERS, END_STREAM | END_HEADERS, 0, &request(&[])),
        ),
        ("a push", frame(PUSH_PROMISE, END_HEADERS, 1, &[0; 8])),
        (
            "continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, b""),
        ),
        (
            "ping within a head",
            [open.clone(), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        (
            "another's continuation",
            [open.clone(), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        ),
        ("a short ping", frame(PING, 0, 0, b"x")),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8])),
        ("odd settings", frame(SETTINGS, 0, 0, b"x")),
        (
            "settings on a stream",
            frame(SETTINGS, 0, 1, &setting(3, 1)),
        ),
        (
            "an ack that says something",
            frame(SETTINGS, 1, 0, &setting(3, 1)),
        ),
        (
            "a window of 2^31",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
        ),
        ("frames of no size", frame(SETTINGS, 0, 0, &setting(5, 0))),
        (
            "frames of 2^24",
            frame(SETTINGS, 0, 0, &setting(5, 1 << 24)),
        ),
        (
            "push neither on nor off",
            frame(SETTINGS, 0, 0, &setting(2, 2)),
        ),
        ("no room", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "too much room",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        ("reset of nothing", frame(RST_STREAM, 0, 1, &[0; 4])),
        (
            "a stream on itself",
            [frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), frame(9, 0, 1, b"")].concat(),
        ),
        ("a huge frame", frame(DATA, 0, 1, &[0; 20_000])),
        (
            "hpack of nonsense",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 20]),
        ),
        (
            "hpack index 0",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x80]),
        ),
        (
            "hpack table of 2^30",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x03],
            ),
        ),
        (
            "padding beyond the frame",
            frame(HEADERS, END_STREAM | END_HEADERS | 8, 1, &[255, 0]),
        ),
        ("a stream anew", [good.clone(), good.clone()].concat()),
    ] {
        let mut client = RawH2::connect(gateway.addr());
        client.send(bytes);
        let fate = client.fate(u32::MAX);
        assert!(
            matches!(fate, Fate::GoneAway | Fate::Closed),
            "{name}: {fate:?}"
        );
        assert_eq!(
            victim.call("POST", PREDICT, &[AUTH], b"v").body,
            b"v",
            "beside {name}"
        );
    }
}

#[test]
fn extreme_settings_are_lived_with() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let before = gateway.rss_kib();
    for settings in [
        [
            (1, u32::MAX),
            (4, (1 << 31) - 1),
            (5, (1 << 24) - 1),
            (3, u32::MAX),
            (6, u32::MAX),
        ],
        [(1, 0), (4, 1), (5, 1 << 14), (3, 0), (6, u32::MAX)],
        [(0xfff0, 7), (4, 3), (4, 2), (4, 1), (8, 1)],
    ] {
        let mut client = RawH2::with(gateway.addr(), &settings);
        let sent = pattern(300);
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &request(&[]));
        bytes.extend(frame(DATA, END_STREAM, 1, &sent));
        client.send(bytes);
        // With a window of one byte the answer comes byte by byte.
        assert_eq!(client.body(1, 1), sent, "{settings:?}");
    }
    assert!(gateway.rss_kib().saturating_sub(before) < 8 * 1024);
}

/// MadeYouReset, rapid reset and what carries nothing are mended in the library from this version on.
#[test]
fn the_library_has_its_mends() {
    let lock = include_str!("../../Cargo.lock");
    let versions: Vec<Vec<u32>> = lock
        .split("[[package]]")
        .filter(|package| package.contains("\nname = \"h2\"\n"))
        .filter_map(|package| package.split("version = \"").nth(1)?.split('"').next())
        .map(|version| {
            version
                .split('.')
                .map(|part| part.parse().unwrap())
                .collect()
        })
        .collect();
    assert!(
        !versions.is_empty() && versions.iter().all(|v| *v >= vec![0, 4, 18]),
        "{versions:?}"
    );
}
