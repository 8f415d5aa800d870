//! Thousands of clients that are slow on purpose leave all others alone.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    AUTH, Declarations, Gateway, KEY, PATIENCE, PREDICT, deployment, key,
    load::{Load, during},
};

/// How a client is slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// Its head comes byte by byte.
    Head,
    /// So does its body, behind a head that opens the deployment.
    Body,
    /// It reads nothing of an answer without an end.
    Reader,
    /// It never says a word.
    Silent,
    /// It was answered once, and stays.
    Kept,
    /// It lets HTTP/2 send it nothing.
    NoWindow,
}

const EVERY: [Slow; 6] = [
    Slow::Head,
    Slow::Body,
    Slow::Reader,
    Slow::Silent,
    Slow::Kept,
    Slow::NoWindow,
];

const STREAM: &str = "/stream/demo/iris";

/// What one of them may cost in memory: the buffers of a connection on either side, and no more.
const EACH_KIB_MAX: u64 = 160;

/// How many come before the others are waited for. They are slow, which is what this is about; thousands
/// in one moment would be a crowd, with half a gigabyte of answers to fetch for it.
const AT_ONCE: usize = 250;

/// Connections that may wait for the model to accept them: thousands come at once, and one that is
/// turned away would look like a fault of the gateway's.
const BACKLOG: i32 = 16_384;

/// A model for many connections: one thread for all of them.
fn model() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    // Accepted ones have it too: the kernel would otherwise have gigabytes of buffers to fill with
    // thousands of answers without an end.
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.listen(BACKLOG).unwrap();
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    // It ends with the process.
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                // What is wrong with one connection says nothing of the next.
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                tokio::spawn(async move {
                    let _ = answer(stream).await;
                });
            }
        });
    });
    addr
}

async fn answer(mut stream: tokio::net::TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(&bytes[..at + 4]).to_lowercase();
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap_or(0));
        while bytes.len() < head.len() + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        bytes.drain(..head.len() + length);
        if head.contains(" /stream") {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n")
                .await?;
            loop {
                stream.write_all(&[b'x'; 16 << 10]).await?;
            }
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await?;
    }
}

/// `POST` with this key by HTTP/2, its window closed: preface, settings, one whole head.
fn without_window(path: &str) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
        ("x-api-key", KEY),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    // SETTINGS_INITIAL_WINDOW_SIZE is 4.
    let settings = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let headers = frame(1, 0x5, 1, &block);
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &headers].concat()
}

fn open(addr: SocketAddr, slow: Slow) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Else it is the kernel whose memory thousands of unread answers fill.
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&addr.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let head = |path: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\r\n").into_bytes()
    };
    let first = match slow {
        Slow::Head => head(PREDICT, "")[..20].to_vec(),
        Slow::Body => head(PREDICT, "content-length: 1000000\r\n"),
        Slow::Reader => head(STREAM, "content-length: 0\r\n"),
        Slow::Silent => Vec::new(),
        Slow::Kept => head(PREDICT, "content-length: 0\r\n"),
        Slow::NoWindow => without_window(STREAM),
    };
    stream.write_all(&first).unwrap();
    if let Slow::Kept = slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(stream.read(&mut [0; 4_096]).unwrap() > 0);
    }
    stream.set_nonblocking(true).unwrap();
    stream
}

/// One more byte of each that goes on byte by byte. Those that were cut off are let be.
fn drip(slow: Slow, streams: &mut [TcpStream]) {
    if let Slow::Head | Slow::Body = slow {
        for stream in streams {
            let written = stream.write(b"x");
            assert!(
                written.is_ok()
                    || written.is_err_and(|e| matches!(
                        e.kind(),
                        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                    )),
            );
        }
    }
}

fn others_are_served_beside(count: usize, each: usize) {
    // One deployment, one model, one key, for the slow and for the others.
    let declared = Declarations::new()
        .with(deployment("demo/iris").backend_at(&format!("http://{}", model()), ""))
        .with(key(KEY, "demo"));
    for slow in EVERY {
        let gateway = Gateway::with(&declared).start();
        let before = gateway.rss_kib();
        let load = Load {
            path: PREDICT,
            key: KEY,
            http1: 4,
            http2: 1,
        };
        let judge = |shot: &crate::support::load::Shot| match shot.status {
            200 => Ok(()),
            status => Err(format!("{status}: {}", shot.text)),
        };
        let (wrong, (took, grown)) = during(&gateway, load, judge, |going| {
            let began = Instant::now();
            let mut streams = Vec::new();
            while streams.len() < count {
                let some = AT_ONCE.min(count - streams.len());
                streams.extend((0..some).map(|_| open(gateway.addr(), slow)));
                going.wait_each(1);
            }
            for _ in 0..each {
                drip(slow, &mut streams);
                going.wait_each(5);
                let fresh = gateway.call(&format!("POST {PREDICT}"), &[AUTH], b"{}");
                assert_eq!(fresh.status, 200, "{slow:?}: {}", fresh.text());
            }
            let health = gateway.call("GET /v2/health/ready", &[], b"");
            assert_eq!(health.status, 200, "{slow:?}");
            (began.elapsed(), gateway.rss_kib().saturating_sub(before))
        });
        println!(
            "{count} x {slow:?}: {took:?}, {} KiB each",
            grown / count as u64
        );
        assert!(
            wrong.is_empty(),
            "{slow:?}: {} wrong: {:?}",
            wrong.len(),
            wrong.first()
        );
        // Apart from what the gateway takes for its first requests.
        let allowed = EACH_KIB_MAX * count as u64 + 40_000;
        assert!(grown < allowed, "{slow:?}: {grown} KiB more");
    }
}

#[test]
fn hundreds_of_slow_clients_of_each_kind_leave_others_alone() {
    others_are_served_beside(100, 5);
}

/// The goal: 5,000 of each kind.
#[test]
#[ignore = "takes a minute and ten thousand descriptors"]
fn thousands_of_slow_clients_of_each_kind_leave_others_alone() {
    others_are_served_beside(5_000, 40);
}
