//! Backends that lie, stall and flood: a 502 or a visibly broken answer, the connection thrown away,
//! and no byte of it in another client's answer. `lies` has the malformed heads one by one.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::broken::one_worker;
use crate::support::{
    AUTH, Backend, Conn, Declarations, Ended, Gateway, KEY, Next, PATIENCE, PREDICT, at_once,
    client::chunk, deployment, eventually, key, post,
};

/// A second answer that nobody asked for.
const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";

/// Answers the first request with these bytes, and all others honestly.
fn lies_once(lie: impl Fn(&mut Conn) -> Next + Send + Sync + 'static) -> Backend {
    Backend::start(move |conn, head| {
        conn.body(head);
        if head.target().ends_with("/lie") {
            return lie(conn);
        }
        conn.answer(200, &[], b"honest")
    })
}

/// The lie's answer, and that those behind it are honest and come on other connections.
fn told(backend: &Backend, gateway: &Gateway, method: &str) -> Result<(u16, String, Ended), Ended> {
    let mut liar = gateway.connect();
    liar.request(&format!("{method} {PREDICT}/lie"), &[AUTH], b"");
    let told = liar.try_response(method);
    for _ in 0..3 {
        let next = gateway.call(&post(), &[AUTH], b"{}");
        assert_eq!((next.status, next.text().as_str()), (200, "honest"));
    }
    let received = backend.received();
    let lied: Vec<_> = received
        .iter()
        .filter(|r| r.head.target() == "/lie")
        .collect();
    assert_eq!(lied.len(), 1, "asked again");
    let after = received.iter().filter(|r| r.conn == lied[0].conn).count();
    assert_eq!(after, 1, "the liar's connection was used again");
    told.map(|t| (t.status, t.text(), t.ended))
}

/// Whether nothing came on a connection since its last request.
fn nothing_came(conn: &Conn) -> bool {
    conn.socket.set_nonblocking(true).unwrap();
    let peeked = conn.socket.peek(&mut [0]);
    conn.socket.set_nonblocking(false).unwrap();
    conn.buffer.is_empty() && peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

/// What the forging backend saw.
#[derive(Default)]
struct Forged {
    /// Orders what clients send and what is known to lie before the gateway.
    clock: AtomicUsize,
    /// Forgeries that the system held for the gateway with no request on its way that anybody knew of.
    early: AtomicUsize,
    /// Requests that a client sent when such a forgery lay there, and that came behind it all the same.
    violations: AtomicUsize,
    /// Forgeries that may have crossed a request on its way: nobody can tell whose answer they are.
    crossed: AtomicUsize,
}

impl Forged {
    fn now(&self) -> usize {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

/// Waits until what was written to a connection lies in its other end's queue, or was taken from there.
fn wait_arrived(conn: &Conn) {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => {
            let ip = u32::from_le_bytes(v4.ip().octets());
            format!("{ip:08X}:{:04X}", v4.port())
        }
        SocketAddr::V6(_) => unreachable!("backends listen on IPv4"),
    };
    let (ours, theirs) = (conn.socket.local_addr(), conn.socket.peer_addr());
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
        return;
    };
    let ends = format!(" {} {} 01 ", hex(theirs), hex(ours));
    eventually(PATIENCE, "the forgery arrives", || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        let Some((_, queues)) = sockets.split_once(&ends) else {
            return true; // closed already
        };
        let received = queues.split([':', ' ']).nth(1).unwrap();
        usize::from_str_radix(received, 16).unwrap() > 0 || !nothing_came(conn)
    });
}

/// Bytes that the system holds for a connection when a request is written to it are never the answer to
/// that request, however busy the worker is, whose own view of the connection may be older.
///
/// Between the gateway's last look and its request lie microseconds that no proxy can close, and nobody
/// sees from outside in which of them a forgery came. What a client sent after it had arrived is beyond
/// doubt: of that nothing may be answered by it. How often that happens is up to the machine; the test of
/// `Stream::is_quiet` makes it happen.
#[test]
fn a_forged_answer_behind_an_answer_poisons_nobody() {
    let forged = Arc::<Forged>::default();
    let seen = Arc::clone(&forged);
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let id = head.get("x-id").unwrap_or_default();
        conn.answer(200, &[], id.as_bytes());
        let nth: usize = id.bytes().map(usize::from).sum();
        let pause = Duration::from_micros([0, 20, 50, 100, 200, 400, 1_000][nth % 7]);
        let began = Instant::now();
        while began.elapsed() < pause {
            std::hint::spin_loop();
        }
        if !nothing_came(conn) {
            return Next::Keep;
        }
        let _ = conn.write(POISON);
        wait_arrived(conn);
        let arrived = seen.now();
        if !nothing_came(conn) {
            seen.crossed.fetch_add(1, Ordering::SeqCst);
            return Next::Reset;
        }
        seen.early.fetch_add(1, Ordering::SeqCst);
        // It ends without a further request: looked at when it is next taken up, or within a second.
        let Ok(next) = conn.read_head() else {
            return Next::Close;
        };
        let sent: usize = next.get("x-sent").unwrap().parse().unwrap();
        let count = match sent > arrived {
            true => &seen.violations,
            false => &seen.crossed,
        };
        count.fetch_add(1, Ordering::SeqCst);
        Next::Reset
    });
    let gateway = one_worker(&backend);
    let poisoned: usize = at_once(48, |client| {
        let mut connection = gateway.connect();
        let mut poisoned = 0;
        for n in 0..20 {
            let id = format!("client-{client}-request-{n}");
            let sent = forged.now().to_string();
            let fields = [AUTH, ("x-id", id.as_str()), ("x-sent", sent.as_str())];
            let answer = connection.call(&post(), &fields, b"{}");
            match answer.status {
                200 if answer.text() == "poison" => poisoned += 1,
                200 => assert_eq!(answer.text(), id),
                // Its connection was reset because of another's forgery.
                status => assert_eq!(status, 502),
            }
        }
        poisoned
    })
    .iter()
    .sum();
    let [early, violations, crossed] =
        [&forged.early, &forged.violations, &forged.crossed].map(|n| n.load(Ordering::SeqCst));
    println!("{early} forged, {crossed} crossed, {violations} taken up, {poisoned} poisoned");
    assert_eq!(violations, 0, "requests behind {early} forgeries");
    assert!(
        poisoned <= crossed,
        "{poisoned} poisoned, {crossed} crossed"
    );
}

#[test]
fn interim_answers_are_bounded_in_number_bytes_and_time() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n";
    let large = format!(
        "HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n",
        "a".repeat(30_000)
    );
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for (bytes, status) in [
        (early.repeat(10) + fine, 200),
        (early.repeat(17) + fine, 502),
        (early.repeat(10_000), 502),
        (large.repeat(2) + fine, 200),
        (large.repeat(3) + fine, 502),
        (
            "HTTP/1.1 100 Continue\r\ncontent-length: 45\r\n\r\n".to_owned() + fine,
            502,
        ),
        (
            "HTTP/1.1 100 Continue\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()
                + fine,
            502,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
                .to_owned()
                + fine,
            502,
        ),
    ] {
        let backend = lies_once(move |conn| {
            let _ = conn.write(&bytes);
            // Neither reads on nor closes: that is the gateway's to do.
            let _ = conn.wait_end(Duration::from_millis(300));
            Next::Close
        });
        let gateway = one_worker(&backend);
        let told = told(&backend, &gateway, "GET").expect("an answer");
        assert_eq!(told.0, status, "{told:?}");
    }
    // They give the final answer no more time.
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        while conn.write(early).is_ok() {
            if conn.wait_end(Duration::from_millis(100)).is_some() {
                break;
            }
        }
        Next::Close
    });
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&backend)
                    .timeouts("first_byte_ms = 500"),
            )
            .with(key(KEY, "demo")),
    );
    assert_eq!(gateway.call(&post(), &[AUTH], b"{}").status, 504);
}

#[test]
fn a_head_may_come_byte_by_byte_but_not_for_ever() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let endless = head.target().ends_with("/endless");
        let text = match endless {
            true => "HTTP/1.1 200 OK\r\nx-endless: ",
            false => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        };
        for byte in text.bytes() {
            if conn.write([byte]).is_err() {
                return Next::Close;
            }
        }
        while endless && conn.write("x").is_ok() {
            if conn.wait_end(Duration::from_millis(20)).is_some() {
                return Next::Close;
            }
        }
        Next::Keep
    });
    // However slow the machine is, the one has all the time that it needs, and the other never enough.
    let strict = deployment("demo/strict").backend(&backend);
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend(&backend))
            .with(strict.timeouts("first_byte_ms = 700"))
            .with(key(KEY, "demo")),
    );
    assert_eq!(gateway.call(&post(), &[AUTH], b"{}").text(), "ok");
    let slow = gateway.call("POST /predict/demo/strict/endless", &[AUTH], b"{}");
    assert_eq!(slow.status, 504, "{}", slow.text());
}

/// What must have no body has none, and what its backend sends in its place is thrown away, whether it
/// comes with the head or after it.
#[test]
fn bodies_where_none_may_be_reach_nobody() {
    for head in [
        "HTTP/1.1 204 No Content\r\ncontent-length: 43\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 43\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let bytes = format!("{head}{POISON}");
        let backend = lies_once(move |conn| {
            let _ = conn.write(&bytes);
            Next::Keep
        });
        let gateway = one_worker(&backend);
        let (status, text, ended) = told(&backend, &gateway, "GET").expect("an answer");
        assert!(
            matches!(status, 204 | 304) && text.is_empty(),
            "{head}: {status} {text}"
        );
        assert_eq!(ended, Ended::Clean, "{head}");
    }
    for framing in ["content-length: 43", "transfer-encoding: chunked"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{POISON}");
        let backend = lies_once(move |conn| {
            let _ = conn.write(&bytes);
            Next::Keep
        });
        let gateway = one_worker(&backend);
        let (status, text, _) = told(&backend, &gateway, "HEAD").expect("an answer");
        assert_eq!((status, text.as_str()), (200, ""), "{framing}");
    }
}

#[test]
fn bodies_that_break_the_rules_break_visibly() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";
    let long = "x".repeat(2_000);
    let trailers = format!("0\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(100));
    for rest in [
        "-1\r\n",
        "+4\r\nsome\r\n0\r\n\r\n",
        "0x4\r\nsome\r\n0\r\n\r\n",
        " 4\r\nsome\r\n0\r\n\r\n",
        "4 \r\nsome\r\n0\r\n\r\n",
        "4\nsome\r\n0\r\n\r\n",
        "4\rsome\r\n0\r\n\r\n",
        "4;a\0b\r\nsome\r\n0\r\n\r\n",
        "4;a\rb\r\nsome\r\n0\r\n\r\n",
        "4\r\nsomeX\r\n0\r\n\r\n",
        "\r\n4\r\nsome\r\n0\r\n\r\n",
        "g\r\n\r\n",
        "ffffffffffffffff\r\nsome",
        "10000000000000004\r\nsome\r\n0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx: a\0b\r\n\r\n",
        "0\r\nx: a\r\n b\r\n\r\n",
        &long,
        &format!("4;{long}\r\nsome\r\n0\r\n\r\n"),
        &trailers,
        &many,
    ] {
        let bytes = format!("{head}{rest}");
        let backend = lies_once(move |conn| {
            let _ = conn.write(&bytes);
            Next::Keep
        });
        let gateway = one_worker(&backend);
        match told(&backend, &gateway, "GET") {
            Ok((200, text, ended)) => {
                assert!(
                    ended != Ended::Clean && "some".starts_with(&text),
                    "{rest:?}: {text:?}"
                );
            }
            Ok((status, ..)) => assert_eq!(status, 502, "{rest:?}"),
            Err(ended) => assert!(
                matches!(ended, Ended::Eof | Ended::Reset),
                "{rest:?}: {ended:?}"
            ),
        }
    }
}

#[test]
fn trailers_frame_nothing() {
    let fields = "content-length: 5\r\ntransfer-encoding: chunked\r\nhost: evil\r\nconnection: x-sum\r\n\
        set-cookie: a=b\r\nx-config-epoch: 9\r\nx-sum: 42\r\n";
    let bytes = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n4\r\nsome\r\n0\r\n{fields}\r\n"
    );
    let backend = Backend::raw(bytes, Next::Keep);
    let gateway = one_worker(&backend);
    let answer = gateway.call(&post(), &[AUTH, ("te", "trailers")], b"{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, "some"));
    let names: Vec<_> = answer
        .trailers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(names.is_empty() || names == ["x-sum"], "{names:?}");
}

/// An answer without an end is passed on as fast as its client takes it, and ends with its client.
#[test]
fn an_endless_body_costs_no_memory() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 32 * 1024]);
        while conn.write(&piece).is_ok() {}
        Next::Close
    });
    let gateway = one_worker(&backend);
    let before = gateway.rss_kib();
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.request(&post(), &[AUTH], b"{}");
        assert_eq!(client.head().status(), Ok(200));
    }
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(
        grown < 32 * 1024,
        "{grown} KiB for 20 clients that do not read"
    );
    drop(clients);
    eventually(PATIENCE, "the endless answers end", || {
        backend.open_connections() == 0
    });
}
