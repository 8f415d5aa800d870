//! A deadline strikes what stalls, and nothing else: not what moved meanwhile, not what waits for
//! something else.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use socket2::SockRef;
use tokio::task::JoinHandle;

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gate, Gateway, KEY, Next, PATIENCE, PREDICT, RawClient,
    client::chunk,
    deployment,
    h2::{H2Answer, H2Client, read, whole},
    iris, key,
};

/// A relay that passes the gateway's bytes on only once the gate is open, so that the gateway finds
/// its socket full.
fn narrows(gateway: SocketAddr, gate: &Gate) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let gate = gate.clone();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(gateway).unwrap();
        SockRef::from(&server)
            .set_recv_buffer_size(64 * 1024)
            .unwrap();
        let (up, down) = (
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        );
        let up = std::thread::spawn(move || pass(up.0, up.1));
        gate.wait();
        pass(down.0, down.1);
        let _ = up.join();
    });
    addr
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, stream]);
    frame.extend(payload);
    frame
}

/// A request without a body, its headers as literals (RFC 7541 section 6.2.2).
fn request_frame(stream: u8) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", PREDICT),
        (":authority", "h"),
        AUTH,
    ] {
        for text in [name, value] {
            if text == name {
                block.push(0);
            }
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    frame(1, 0x5, stream, &block)
}

/// Reads frames up to the end of a stream's answer.
fn read_stream(client: &mut RawClient, stream: u8) -> Result<(), Ended> {
    loop {
        let head = client.read_exact(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        client.read_exact(length as usize)?;
        if matches!(head[3], 0 | 1) && head[8] == stream && head[4] & 1 == 1 {
            return Ok(());
        }
    }
}

#[test]
fn an_http2_connection_between_two_requests_is_idle_and_not_slow_with_a_head() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_HEAD_TIMEOUT_MS", 400)
        .start();
    let mut client = gateway.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(frame(4, 0, 0, b""));
    for stream in [1, 3, 5] {
        client.send(request_frame(stream));
        assert_eq!(read_stream(&mut client, stream), Ok(()), "{stream}");
        client.send(frame(6, 0, 0, b"a ping!!"));
        // The rest is the script: longer than a head may take, shorter than idling may.
        std::thread::sleep(Duration::from_millis(900));
    }
    assert!(gateway.metric("weir_client_connections_refused_total", &[]) < 0.5);
}

/// Asks for two large answers: more than the sockets between hold.
fn fill(client: &H2Client, path: &str) -> [JoinHandle<hyper::Result<H2Answer>>; 2] {
    [(); 2].map(|()| {
        let large = client.request("POST", path, &[AUTH], whole(b""));
        client.runtime.spawn(async { read(large.await?).await })
    })
}

#[test]
fn an_http2_connection_that_was_full_for_a_moment_serves_on() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        if head.target() == "/slow" {
            // Its slowness is the script: longer than a client may stall.
            if conn.wait_end(Duration::from_millis(1_500)).is_some() {
                return Next::Close;
            }
            return conn.answer(200, &[], b"slow");
        }
        conn.answer(200, &[], &vec![b'x'; 8 << 20])
    });
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_WRITE_STALL_TIMEOUT_MS", 700)
        .start();
    let gate = Gate::new();
    let client = H2Client::connect(narrows(gateway.addr(), &gate));
    let large = fill(&client, PREDICT);
    backend.wait_count(2);
    let slow = client.request("POST", &format!("{PREDICT}/slow"), &[AUTH], whole(b""));
    let slow = client.runtime.spawn(async { read(slow.await?).await });
    backend.wait_count(3);
    // Time for the gateway to fill what lies between, and less than a stall.
    std::thread::sleep(Duration::from_millis(200));
    gate.open();
    for large in large {
        let large = client.runtime.block_on(large).unwrap().expect("an answer");
        assert_eq!((large.body.len(), large.clean), (8 << 20, true));
    }
    let slow = client.runtime.block_on(slow).unwrap().expect("an answer");
    assert_eq!((&slow.body[..], slow.clean), (&b"slow"[..], true));
}

#[test]
fn an_http2_stream_that_breaks_on_a_full_connection_is_seen_to_break() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        if head.target() == "/large" {
            return conn.answer(200, &[], &vec![b'x'; 8 << 20]);
        }
        conn.start_chunked();
        let _ = conn.write(chunk("begun"));
        Next::Close
    });
    let gateway = Gateway::start(iris(&backend));
    let gate = Gate::new();
    let client = H2Client::connect(narrows(gateway.addr(), &gate));
    let large = fill(&client, &format!("{PREDICT}/large"));
    backend.wait_count(2);
    // Time for the gateway to fill what lies between.
    std::thread::sleep(Duration::from_millis(300));
    let torn = client.request("POST", PREDICT, &[AUTH], whole(b""));
    let torn = client.runtime.spawn(async { read(torn.await?).await });
    backend.wait_count(3);
    std::thread::sleep(Duration::from_millis(300));
    gate.open();
    for large in large {
        let large = client.runtime.block_on(large).unwrap().expect("an answer");
        assert!(large.clean);
    }
    let torn = client
        .runtime
        .block_on(async { tokio::time::timeout(PATIENCE, torn).await })
        .expect("an end in time")
        .unwrap();
    assert!(torn.is_err() || torn.is_ok_and(|torn| !torn.clean));
}

/// A backend that never stops, and tells how long it could go on.
fn floods() -> (Backend, mpsc::Receiver<Duration>) {
    let (ended, ends) = mpsc::channel();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 60_000]);
        let since = Instant::now();
        while conn.write(&piece).is_ok() && since.elapsed() < PATIENCE {}
        let _ = ended.send(since.elapsed());
        Next::Close
    });
    (backend, ends)
}

#[test]
fn the_total_limit_ends_an_answer_that_never_falls_silent() {
    let (backend, ends) = floods();
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&backend)
                    .timeouts("total_ms = 800"),
            )
            .with(key(KEY, "demo")),
    );
    // One client takes it slowly, so that there is always more to read; one takes nothing at all,
    // so that nobody asks the body.
    for steadily in [true, false] {
        let mut client = gateway.connect();
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        let took = loop {
            match ends.recv_timeout(Duration::from_millis(20)) {
                Ok(took) => break took,
                Err(_) if steadily => drop(client.fill()),
                Err(_) => {}
            }
        };
        assert!(took > Duration::from_millis(600), "{steadily}: {took:?}");
        assert!(took < Duration::from_secs(4), "{steadily}: {took:?}");
        assert!(matches!(
            client.end_within(PATIENCE),
            Ended::Eof | Ended::Reset
        ));
    }
}

#[test]
fn the_total_limit_ends_an_http2_stream_that_nobody_reads() {
    let (backend, ends) = floods();
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&backend)
                    .timeouts("total_ms = 800"),
            )
            .with(key(KEY, "demo")),
    );
    let client = H2Client::connect(gateway.addr());
    let request = client.request("POST", "/stream/demo/iris", &[AUTH], whole(b""));
    let answer = client.runtime.block_on(request).expect("a head");
    let took = ends.recv_timeout(PATIENCE * 2).expect("upstream closed");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let body = client.runtime.block_on(answer.into_body().collect());
    assert!(body.map(|body| body.to_bytes()).map(|_: Bytes| ()).is_err());
}
