//! What a request allocates, counted: a keep-alive predict of 1 KiB in and out, with everything on.
//! `cargo test --test allocations -- --nocapture` prints it.
//!
//! ```text
//! this thread ──1 KiB──▶ the gateway, one worker ──▶ a model on a thread of its own
//!   (not counted)            (counted)                    (not counted)
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use weir::{
    app::{Gateway, Source},
    config::Settings,
    spec::Declarations,
};

/// As measured (7.0 and 1,512), and a fifth: two more for each request fail. What the rest of the
/// process does meanwhile is counted, too; it is the 0.05.
const ALLOCATIONS_MAX: f64 = 8.5;
const BYTES_MAX: f64 = 1_850.0;

const BODY_BYTES: usize = 1_024;
const WARM_UP: u32 = 500;
const COUNTED: u32 = 5_000;
const KEY: &str = "wk_k1_0123456789abcdefghijklmnopqrstuvwxyz";

#[global_allocator]
static COUNTING: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, with a count of what is asked of it.
struct Counting;

impl Counting {
    fn note(bytes: usize) {
        // A thread that is ending has no thread-locals any more; it serves no requests either.
        if !IS_EXEMPT.try_with(Cell::get).unwrap_or(true) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator can't be counted from outside; each call is handed to System as it came"
)]
// SAFETY: every method passes its arguments to `System` unchanged, and so keeps its contract.
// Counting touches atomics and a thread-local without destructor, neither of which allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        Self::note(bytes);
        // SAFETY: the caller's promises are System's.
        unsafe { System.realloc(block, layout, bytes) }
    }
}

#[test]
fn a_predict_of_1_kib() {
    let directory = tempfile::tempdir().expect("a directory");
    let (gateway, data_url) = gateway(model(), directory.path());
    let (tell, started) = mpsc::channel();
    let running = thread::spawn(move || {
        let told = move || {
            tell.send(()).expect("awaited");
            Ok(())
        };
        gateway.run(told)
    });
    started.recv().expect("the gateway starts");

    IS_EXEMPT.set(true);
    let address = data_url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).expect("a listener");
    client.set_nodelay(true).expect("an option");
    let request = format!(
        "POST /predict/bench/one HTTP/1.1\r\nhost: bench.local\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n{}",
        "x".repeat(BODY_BYTES)
    );
    let mut buffer = [0; 8 * 1_024];
    (0..WARM_UP).for_each(|_| call(&mut client, request.as_bytes(), &mut buffer));
    let before = counts();
    (0..COUNTED).for_each(|_| call(&mut client, request.as_bytes(), &mut buffer));
    let after = counts();
    drop(client);
    IS_EXEMPT.set(false);

    let per_request = |before, after| (after - before) as f64 / f64::from(COUNTED);
    let allocations = per_request(before.0, after.0);
    let bytes = per_request(before.1, after.1);
    println!("a predict of 1 KiB: {allocations:.2} allocations, {bytes:.0} bytes");
    kill(Pid::this(), Signal::SIGTERM).expect("a signal");
    let ended = running.join().expect("no panic");
    assert!(ended.is_ok(), "{ended:?}");
    assert!(allocations > 1.0, "nothing counted: {allocations}");
    assert!(allocations <= ALLOCATIONS_MAX, "{allocations} allocations");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

fn counts() -> (u64, u64) {
    let (allocations, bytes) = (&ALLOCATIONS, &BYTES);
    (
        allocations.load(Ordering::SeqCst),
        bytes.load(Ordering::SeqCst),
    )
}

/// One request and the whole of its answer.
fn call(client: &mut TcpStream, request: &[u8], buffer: &mut [u8]) {
    client.write_all(request).expect("sent");
    let length = read_message(client, buffer, |_| BODY_BYTES).expect("an answer");
    assert!(buffer.starts_with(b"HTTP/1.1 200 "));
    assert!(
        buffer[length - BODY_BYTES..length]
            .iter()
            .all(|&b| b == b'y')
    );
}

/// Reads a head and as much body as `body_bytes` says of it; the length of both, or none at the
/// end of the connection. Anything behind it is a failure.
fn read_message(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    body_bytes: impl Fn(&[u8]) -> usize,
) -> Option<usize> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).ok()?;
        if read == 0 {
            return None;
        }
        filled += read;
        let bytes = &buffer[..filled];
        let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let length = head + 4 + body_bytes(bytes);
        assert!(filled <= length, "more than one message");
        if filled == length {
            return Some(length);
        }
    }
}

fn gateway(model: SocketAddr, directory: &std::path::Path) -> (Gateway, String) {
    let declarations = format!(
        "[[deployment]]\nproject = \"bench\"\nname = \"one\"\n\
         version = {{ main = {{ backends = [{{ url = \"http://{model}\" }}] }} }}\n\
         [[key]]\nsecret = \"{KEY}\"\nscope = \"bench\"\n"
    );
    let declarations = Declarations::from_toml(&declarations).expect("declarations");
    let mut settings = Settings {
        data_dir: directory.to_owned(),
        workers: 1,
        ..Settings::default()
    };
    settings.data.listen.set_port(0);
    settings.admin.listen.set_port(0);
    let gateway = Gateway::prepare(settings, Source::Inline(declarations)).expect("a gateway");
    let ready = gateway.ready().expect("addresses");
    (gateway, ready.data_url)
}

/// Answers every POST with 1 KiB and every probe with nothing, and allocates nothing for either.
fn model() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let serve = |mut stream: TcpStream| {
        IS_EXEMPT.set(true);
        let body = "y".repeat(BODY_BYTES);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
        let (answer, well) = (head + &body, "HTTP/1.1 204 No Content\r\n\r\n");
        let mut buffer = [0; 8 * 1_024];
        let body_bytes = |head: &[u8]| {
            if head.starts_with(b"POST") {
                BODY_BYTES
            } else {
                0
            }
        };
        while read_message(&mut stream, &mut buffer, body_bytes).is_some() {
            let answer = if buffer.starts_with(b"POST") {
                &answer
            } else {
                well
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    };
    thread::spawn(move || {
        IS_EXEMPT.set(true);
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}
