//! Floods by HTTP/2: the connection is closed or costs nothing, and other clients notice nothing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::support::{
    AUTH, Backend, Gate, Gateway, Next, PATIENCE, SetOnDrop, eventually, iris, pattern, post,
    raw_h2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Fate, HEADERS, PING, PRIORITY, RST_STREAM,
        RawH2, SETTINGS, WINDOW_UPDATE, block, frame, request, setting,
    },
};

/// How much larger the gateway may be after a flood: a connection's own limits and some slack for what
/// an allocator keeps.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// Frames in one write.
const AT_ONCE: usize = 100;

/// Runs an attack beside a client all of whose requests must be answered, and bounds what the
/// gateway keeps of it.
#[track_caller]
fn beside_a_victim(gateway: &Gateway, name: &str, attack: impl FnOnce()) {
    assert_eq!(gateway.call(&post(), &[AUTH], b"warm").text(), "warm");
    let before = gateway.rss_kib();
    let over = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let victim = scope.spawn(|| {
            let mut client = gateway.connect();
            let mut answered = 0;
            while !over.load(Ordering::SeqCst) || answered < 5 {
                let answer = client.call(&post(), &[AUTH], b"victim");
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (200, "victim"),
                    "{name}"
                );
                answered += 1;
            }
            answered
        });
        let over = SetOnDrop(&over);
        attack();
        drop(over);
        victim.join().unwrap()
    });
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{name}: {grown} KiB more");
    assert!(answered > 4, "{name}: {answered} answered");
}

fn echoing() -> (Backend, Gateway) {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    (backend, gateway)
}

fn refused(gateway: &Gateway) -> f64 {
    gateway.metric("weir_client_connections_refused_total", &[])
}

#[test]
fn frames_that_carry_nothing_end_their_connection() {
    let (_backend, gateway) = echoing();
    let stream = frame(HEADERS, END_HEADERS, 1, &request(&[]));
    for (name, begin, flood) in [
        ("pings", &[][..], frame(PING, 0, 0, &[0; 8])),
        ("answers to no ping", &[], frame(PING, 1, 0, &[0; 8])),
        ("settings", &[], frame(SETTINGS, 0, 0, &setting(3, 100))),
        ("empty settings", &[], frame(SETTINGS, 0, 0, &[])),
        ("priorities", &[], frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7])),
        ("room", &[], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        (
            "room on a stream",
            &stream,
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ),
        ("unknown frames", &[], frame(0xfe, 0, 0, &[])),
        ("large unknown frames", &[], frame(0xfe, 0, 0, &[0; 1_000])),
        ("empty data", &stream, frame(DATA, 0, 1, &[])),
        ("padding", &stream, frame(DATA, 8, 1, &[3, 0, 0, 0])),
    ] {
        let before = refused(&gateway);
        let closed = AtomicBool::new(false);
        beside_a_victim(&gateway, name, || {
            let mut attacker = RawH2::connect(gateway.addr());
            attacker.send(begin);
            let many = flood.repeat(AT_ONCE);
            closed.store(attacker.flood(1_000, |_| many.clone()), Ordering::SeqCst);
        });
        assert!(closed.load(Ordering::SeqCst), "{name}: still open");
        assert!(refused(&gateway) > before, "{name}: not counted");
    }
}

/// A head that never ends, in frames that are full, tiny or empty.
#[test]
fn endless_heads_end_their_connection() {
    let (backend, gateway) = echoing();
    let own = backend.count();
    let field = block(&[("x-more", "y".repeat(100))]);
    let open = frame(HEADERS, END_STREAM, 1, &request(&[]));
    for (name, more) in [
        ("empty", Vec::new()),
        ("tiny", vec![0x82]),
        ("fields", field.repeat(100)),
        // One field, remembered, and told again and again by a byte each.
        (
            "a bomb",
            [
                &[0x40][..],
                &block(&[("x", "y".repeat(3_000))])[1..],
                &[0xbe; 10_000],
            ]
            .concat(),
        ),
    ] {
        let closed = AtomicBool::new(false);
        beside_a_victim(&gateway, name, || {
            let mut attacker = RawH2::connect(gateway.addr());
            attacker.send(&open);
            let more = frame(CONTINUATION, 0, 1, &more);
            closed.store(attacker.flood(20_000, |_| more.clone()), Ordering::SeqCst);
        });
        assert!(closed.load(Ordering::SeqCst), "{name}: still open");
    }
    let evil = |r: &crate::support::backend::Received| r.head.has("x-more");
    assert!(backend.count() > own && !backend.received().iter().any(evil));
}

/// Streams opened and reset at once (CVE-2023-44487), and streams that make the gateway reset them
/// (CVE-2025-8671): the requests behind them are bounded.
#[test]
fn resets_are_bounded() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if head.target().ends_with("/slow") {
            door.wait();
        }
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let path = [(":path", "/predict/demo/iris/slow")];
    type Ending = fn(u32) -> Vec<u8>;
    let endings: [(&str, Ending); 5] = [
        ("rapid reset", |id| frame(RST_STREAM, 0, id, &[0, 0, 0, 8])),
        ("no room", |id| frame(WINDOW_UPDATE, 0, id, &[0; 4])),
        ("too much room", |id| {
            frame(WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])
        }),
        ("a stream on itself", |id| {
            frame(PRIORITY, 0, id, &[&id.to_be_bytes()[..], &[1]].concat())
        }),
        ("data behind the end", |id| frame(DATA, 0, id, b"x")),
    ];
    for (name, ending) in endings {
        // One at a time, so that each stream is at work before it ends; and all at once.
        for step in [1, 50] {
            let before = backend.received().len();
            let closed = AtomicBool::new(false);
            beside_a_victim(&gateway, name, || {
                let mut attacker = RawH2::connect(gateway.addr());
                let closed_it = attacker.flood(4_000 / step, |n| {
                    let ids = (0..step).map(|k| ((n * step + k) * 2 + 1) as u32);
                    ids.flat_map(|id| {
                        let head = frame(HEADERS, END_STREAM | END_HEADERS, id, &request(&path));
                        [head, ending(id)].concat()
                    })
                    .collect()
                });
                closed.store(closed_it, Ordering::SeqCst);
            });
            assert!(
                closed.load(Ordering::SeqCst),
                "{name} by {step}: still open"
            );
            let received = backend.received();
            let slow = received[before..]
                .iter()
                .filter(|r| r.head.target().ends_with("/slow"));
            let slow = slow.count();
            assert!(slow < 500, "{name} by {step}: {slow} reached the backend");
        }
    }
    gate.open();
}

/// Answers that nobody makes room for wait at the backend, not in memory.
#[test]
fn answers_without_room_cost_no_memory() {
    let answer = pattern(1 << 20);
    let sent = answer.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        if head.target().ends_with("/large") {
            return conn.answer(200, &[], &sent);
        }
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let path = [(":path", "/predict/demo/iris/large")];
    beside_a_victim(&gateway, "no room", || {
        let mut client = RawH2::with(gateway.addr(), &[(4, 0)]);
        for stream in 0..100 {
            client.ask(stream * 2 + 1, &path);
        }
        for _ in 0..100 {
            // All heads come, and no byte of a body.
            while client.read().expect("a frame").kind != HEADERS {}
        }
        // One more is one too many, and takes nothing from the others.
        client.ask(201, &path);
        assert_eq!(client.fate(201), Fate::Reset);
        let room = 1u32 << 20;
        client.send(frame(WINDOW_UPDATE, 0, 0, &room.to_be_bytes()));
        client.send(frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()));
        let body = client.body(1, 64 << 10);
        assert!(body == answer, "{} bytes of {}", body.len(), answer.len());
    });
    eventually(PATIENCE, "the exchanges end with their client", || {
        gateway.metric("weir_requests_in_flight", &[]) < 0.5
    });
}

/// Requests that never end hold their streams and no more.
#[test]
fn uploads_that_never_end_cost_no_memory() {
    let backend = Backend::start(|conn, head| {
        if head.target().ends_with("/never") {
            // Takes the head, and nothing of the body.
            std::thread::park_timeout(std::time::Duration::from_secs(3));
            return Next::Close;
        }
        let body = conn.body(head);
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    beside_a_victim(&gateway, "endless uploads", || {
        let mut client = RawH2::connect(gateway.addr());
        let head = request(&[(":path", "/predict/demo/iris/never")]);
        for stream in 0..100 {
            client.send(frame(HEADERS, END_HEADERS, stream * 2 + 1, &head));
            // No more than the connection's own window.
            client.send(frame(DATA, 0, stream * 2 + 1, &[b'x'; 600]));
        }
        backend.wait_count(100);
    });
}
