//! Handshakes that stall, what is no handshake at all, and clients that leave or stop reading: nobody else
//! notices, and backends do in time.

use std::{
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio_rustls::rustls::{ClientConnection, pki_types::ServerName};

use crate::support::{
    AUTH, Backend, Ended, Gateway, HANGUP_BOUND, Next, PATIENCE, PREDICT, RawClient,
    client::chunk,
    eventually,
    gateway::Builder,
    h2::{H2Client, fed},
    iris, post,
    tls::Pki,
};

const HANDSHAKES: &str = "weir_tls_handshakes_total";
const REFUSED: &str = "weir_client_connections_refused_total";

fn builder(pki: &Pki, backend: &Backend) -> Builder {
    pki.on("DATA", Gateway::with(iris(backend)))
}

/// What a client says first.
fn client_hello(pki: &Pki) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(pki.client().into(), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

#[track_caller]
fn serves(gateway: &Gateway, pki: &Pki) {
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
}

#[test]
fn a_handshake_that_stalls_is_closed_by_its_deadline_and_holds_up_nobody() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let hello = client_hello(&pki);
    let gateway = builder(&pki, &backend)
        .env("WEIR_DATA_TLS_HANDSHAKE_TIMEOUT_MS", 2_000)
        .start();
    let began = Instant::now();
    let stalled: Vec<_> = (0..60)
        .map(|i| {
            let mut client = gateway.connect();
            // Nothing, some of the first message, or all of it and then nothing.
            client.send(&hello[..[0, 1, 100, hello.len()][i % 4]]);
            client
        })
        .collect();
    gateway.wait_metric("weir_client_connections", &[], |open| open >= 60.0);
    for _ in 0..5 {
        serves(&gateway, &pki);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "others had to wait"
    );
    for mut client in stalled {
        assert!(client.closed_within(PATIENCE));
    }
    assert!(began.elapsed() >= Duration::from_millis(1_900));
    let timeouts = [("listener", "data"), ("result", "timeout")];
    gateway.wait_metric(HANDSHAKES, &timeouts, |n| n == 60.0);
    gateway.wait_metric(REFUSED, &[("reason", "tls_timeout")], |n| n == 60.0);
    gateway.wait_metric("weir_client_connections", &[], |open| open == 0.0);
}

#[test]
fn what_is_no_handshake_is_told_so_or_closed() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = builder(&pki, &backend).start();
    for line in ["POST /predict/demo/iris", "GET /", "PRI * HTTP/2.0"] {
        let mut client = gateway.connect();
        let answer = client.call(line, &[AUTH], &[b'x'; 100_000]);
        assert_eq!(answer.status, 400, "{line}");
        assert!(answer.text().contains("https://"), "{}", answer.text());
        assert_eq!(answer.ended, Ended::Clean, "{line}");
        assert!(client.closed_within(PATIENCE), "{line}");
    }
    let hello = client_hello(&pki);
    let mut torn = hello.clone();
    torn[5..].fill(0xff);
    let huge_record = [&[22, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat();
    let sslv2 = [&[0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16][..], &[7; 37]].concat();
    for (what, bytes) in [
        ("SSLv2", sslv2),
        ("zeros", vec![0; 1_000]),
        ("an alert", vec![21, 3, 3, 0, 2, 2, 40]),
        ("garbage in a handshake", torn),
        ("a record that is too large", huge_record),
    ] {
        let mut client = gateway.connect();
        client.send(&bytes);
        assert!(client.closed_within(PATIENCE), "{what}");
    }
    // Nobody's bytes: a probe that only connects is no failure.
    drop(gateway.connect());
    serves(&gateway, &pki);
    let failed = [("listener", "data"), ("result", "failed")];
    gateway.wait_metric(HANDSHAKES, &failed, |n| n == 8.0);
    assert_eq!(backend.count(), 1, "nothing of it was forwarded");
}

#[test]
fn names_that_are_none_fill_no_log() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = builder(&pki, &backend).start();
    let mut hello = client_hello(&pki);
    // The name that is asked for is an address, which it may not be.
    let at = hello.windows(9).position(|w| w == b"localhost").unwrap();
    hello[at..at + 9].copy_from_slice(b"127.0.0.1");
    for _ in 0..3 {
        let mut client = gateway.connect();
        client.send(&hello);
        assert_eq!(client.read_exact(1).unwrap(), [22], "a ServerHello");
    }
    let failed = [("listener", "data"), ("result", "failed")];
    gateway.wait_metric(HANDSHAKES, &failed, |n| n == 3.0);
    let log = gateway.log();
    assert!(!log.contains("WARN") && !log.contains("SNI"), "{log}");
}

#[test]
fn beyond_the_cap_a_handshake_has_as_little_time_as_a_head() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = builder(&pki, &backend)
        .env("WEIR_DATA_CONNECTIONS_MAX", 4)
        .env("WEIR_DATA_TLS_HANDSHAKE_TIMEOUT_MS", 600_000)
        .start();
    let held: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    gateway.wait_metric("weir_client_connections", &[], |open| open >= 4.0);
    let mut stalled = gateway.connect();
    stalled.send(&client_hello(&pki)[..100]);
    assert!(
        stalled.closed_within(PATIENCE),
        "it keeps a place for health"
    );
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    let answer = client.call(&post(), &[AUTH], b"{}");
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (503, &"shedding".into())
    );
    let mut client = RawClient::secure(gateway.addr(), &pki.client());
    assert_eq!(client.call("GET /v2/health/ready", &[], b"").status, 200);
    drop(held);
}

type Seen = Option<(Instant, Ended)>;

/// A backend that begins a stream, says so, and waits for its connection to end.
fn waiting() -> (Backend, Receiver<()>, Receiver<Seen>) {
    let (reached, at_work) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: 1\n\n"));
        let _ = reached.send(());
        let _ = ended.send(conn.wait_end(PATIENCE));
        Next::Close
    });
    (backend, at_work, ends)
}

#[track_caller]
fn check(what: &str, left: Instant, ends: &Receiver<Seen>) {
    let seen = ends.recv_timeout(PATIENCE * 2).expect("the script ended");
    let (at, _) = seen.unwrap_or_else(|| panic!("{what}: upstream stayed open"));
    let took = at.saturating_duration_since(left);
    println!("{what}: upstream closed after {took:?}");
    assert!(took < HANGUP_BOUND, "{what}: {took:?}");
}

#[test]
fn a_client_that_leaves_takes_its_exchange_with_it() {
    let (backend, at_work, ends) = waiting();
    let pki = Pki::new();
    let gateway = builder(&pki, &backend).start();
    for how in [
        "with a word",
        "without",
        "by a reset",
        "behind pipelined bytes",
    ] {
        let mut client = RawClient::secure(gateway.addr(), &pki.client());
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        client.head();
        client.read_chunk().unwrap();
        at_work.recv_timeout(PATIENCE).unwrap();
        match how {
            "with a word" => client.close_notify(),
            "by a reset" => client.reset_on_close(),
            "behind pipelined bytes" => {
                client.request(&post(), &[AUTH], &[b'x'; 100_000]);
            }
            _ => {}
        }
        let left = Instant::now();
        drop(client);
        check(how, left, &ends);
    }
    let client = H2Client::connect_tls(gateway.addr(), pki.client());
    let (feeder, body) = fed();
    drop(feeder);
    let request = client.request("POST", PREDICT, &[AUTH], body);
    let request = client.runtime.spawn(request);
    at_work.recv_timeout(PATIENCE).unwrap();
    let left = Instant::now();
    request.abort();
    drop(client);
    check("HTTP/2", left, &ends);
    gateway.wait_metric("weir_requests_in_flight", &[], |n| n == 0.0);
}

#[test]
fn a_client_that_reads_nothing_is_closed_and_one_that_reads_slowly_is_not() {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 60_000]);
        let mut pieces = 0_usize;
        // Without an end for who asks for it.
        while head.target().ends_with("endless") || pieces < 400 {
            if conn.write(&piece).is_err() {
                let _ = ended.send(Instant::now());
                return Next::Close;
            }
            pieces += 1;
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Close
    });
    let pki = Pki::new();
    let gateway = builder(&pki, &backend)
        .env("WEIR_DATA_WRITE_STALL_TIMEOUT_MS", 2_500)
        .start();
    let mut silent = RawClient::secure(gateway.addr(), &pki.client());
    silent.request("POST /stream/demo/iris/endless", &[AUTH], b"{}");
    ends.recv_timeout(PATIENCE).expect("the flood is stopped");
    gateway.wait_metric(REFUSED, &[("reason", "write_stall")], |n| n == 1.0);

    let mut slow = RawClient::secure(gateway.addr(), &pki.client());
    SockRef::from(&slow.socket)
        .set_recv_buffer_size(64 << 10)
        .unwrap();
    let began = Instant::now();
    slow.request("POST /stream/demo/iris", &[AUTH], b"{}");
    slow.head();
    let mut bytes = 0;
    loop {
        let chunk = slow.read_chunk().expect("it goes on");
        if chunk.is_empty() {
            break;
        }
        bytes += chunk.len();
        // On the whole it takes longer than a pause may; between two pieces it never does. The system
        // tells of room only when a third of its buffer is free, which takes half a second of this.
        if began.elapsed() < Duration::from_millis(5_500) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(bytes, 400 * 60_000);
    assert!(began.elapsed() > Duration::from_millis(5_000));
    assert_eq!(gateway.metric(REFUSED, &[("reason", "write_stall")]), 1.0);
}

#[test]
fn a_gateway_that_drains_waits_for_no_handshake_that_has_not_begun() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let mut gateway = builder(&pki, &backend)
        .env("WEIR_DATA_TLS_HANDSHAKE_TIMEOUT_MS", 60_000)
        .start();
    let mut silent = gateway.connect();
    let mut kept = RawClient::secure(gateway.addr(), &pki.client());
    assert_eq!(kept.call(&post(), &[AUTH], b"{}").status, 200);
    eventually(PATIENCE, "both are open", || {
        gateway.metric("weir_client_connections", &[]) == 2.0
    });
    gateway.sigterm();
    assert_eq!(silent.end_within(PATIENCE), Ended::Eof);
    assert_eq!(kept.end(), Ended::Eof);
    assert_eq!(gateway.wait_exit(PATIENCE).code(), Some(0));
}
