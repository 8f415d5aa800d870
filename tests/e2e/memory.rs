//! A slow reader costs what a buffer costs, not what its answer weighs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Gateway, Next, PATIENCE, PREDICT, eventually, h2::H2Client, h2::whole, iris,
};

/// What one stalled client may cost.
const STALLED_KIB_MAX: u64 = 2_048;

/// A backend that sends a counted GiB, and how much of it was taken.
fn generous() -> (Backend, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        if head.target() != "/stream" {
            return conn.answer(200, &[], b"ok");
        }
        let _ = conn.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            1_u64 << 30
        ));
        let piece = vec![b'x'; 64 << 10];
        while conn.write(&piece).is_ok() {
            count.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Next::Close
    });
    (backend, taken)
}

/// Waits until a count has stood still for a while, which is what backpressure looks like.
fn settled(count: &AtomicU64) -> u64 {
    let mut last = (count.load(Ordering::SeqCst), Instant::now());
    eventually(PATIENCE, "the flow stops", || {
        let now = count.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        now > 0 && last.1.elapsed() > Duration::from_millis(400)
    });
    last.0
}

fn warm(gateway: &Gateway) -> u64 {
    for _ in 0..20 {
        assert_eq!(
            gateway
                .call(&format!("POST {PREDICT}"), &[AUTH], &[b'x'; 10_000])
                .status,
            200
        );
    }
    gateway.metrics();
    gateway.rss_kib()
}

#[test]
fn a_gib_to_a_stalled_client() {
    let (backend, taken) = generous();
    let gateway = Gateway::start(iris(&backend));
    let before = warm(&gateway);
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    client.head();
    let bytes = settled(&taken);
    let grown = gateway.rss_kib().saturating_sub(before);
    println!(
        "stalled HTTP/1.1 client: {} KiB taken, {grown} KiB more",
        bytes >> 10
    );
    assert!(
        bytes < 64 << 20,
        "{bytes} bytes were taken for a client that does not read"
    );
    assert!(grown < STALLED_KIB_MAX, "{grown} KiB");
}

#[test]
fn a_gib_to_a_stalled_http2_stream() {
    let (backend, taken) = generous();
    let gateway = Gateway::start(iris(&backend));
    let before = warm(&gateway);
    let client = H2Client::connect(gateway.addr());
    let request = client.request("POST", "/stream/demo/iris", &[AUTH], whole(b"{}"));
    let _held = client.runtime.block_on(request).expect("a head");
    let bytes = settled(&taken);
    let grown = gateway.rss_kib().saturating_sub(before);
    println!(
        "stalled HTTP/2 stream: {} KiB taken, {grown} KiB more",
        bytes >> 10
    );
    assert!(
        bytes < 64 << 20 && grown < STALLED_KIB_MAX,
        "{bytes} bytes, {grown} KiB"
    );
}

#[test]
fn an_upload_to_a_stalled_backend() {
    let backend = Backend::start(|conn, head| {
        if head.target() == "/stream" {
            // Reads nothing for as long as the test may last.
            crate::support::Gate::new().wait();
            return Next::Close;
        }
        conn.body(head);
        conn.answer(200, &[], b"ok")
    });
    let gateway = Gateway::start(iris(&backend));
    let before = warm(&gateway);
    let mut client = gateway.connect();
    let sent = Arc::new(AtomicU64::new(0));
    client.request(
        "POST /stream/demo/iris",
        &[AUTH, ("content-length", "67108864")],
        b"",
    );
    let mut socket = client.socket.try_clone().unwrap();
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        let piece = vec![b'x'; 64 << 10];
        while count.load(Ordering::SeqCst) < 64 << 20
            && std::io::Write::write_all(&mut socket, &piece).is_ok()
        {
            count.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
    });
    let bytes = settled(&sent);
    let grown = gateway.rss_kib().saturating_sub(before);
    println!(
        "stalled backend: {} KiB taken, {grown} KiB more",
        bytes >> 10
    );
    assert!(bytes < 64 << 20, "the whole upload was taken");
    assert!(grown < STALLED_KIB_MAX, "{grown} KiB");
    client.reset_on_close();
}
