//! A swap is one atomic store: nothing fails because of it and nothing mixes.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gate, Gateway, KEY, Next, PATIENCE, RawClient,
    client::chunk, deployment, eventually, holds_within, iris, key, post,
};

/// Odd versions are answered by one backend, even ones by another.
pub(crate) fn version(n: usize, backends: &[Backend; 2]) -> Declarations {
    Declarations::new()
        .with(
            deployment("demo/iris")
                .model(&format!("model:{n}"))
                .backend(&backends[(n + 1) % 2]),
        )
        .with(key(KEY, "demo"))
}

fn number(version: &str) -> usize {
    let digits = version.strip_prefix("iris_v").unwrap_or_default();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("version {version:?}"))
}

#[test]
fn reloads_under_load_fail_nothing_and_mix_nothing() {
    let reloads = if std::env::var_os("WEIR_FULL").is_some() {
        1_000
    } else {
        200
    };
    let gate = Gate::new();
    let backends = [("odd", gate.clone()), ("even", gate.clone())].map(|(parity, door)| {
        Backend::start(move |conn, head| {
            let body = conn.body(head);
            if head.target() == "/stream" {
                conn.start_chunked();
                let _ = conn.write(chunk(format!("first {parity}")));
                door.wait();
                let _ = conn.write(chunk(format!(" last {parity}")));
                let _ = conn.write("0\r\n\r\n");
                return Next::Keep;
            }
            let mut said = parity.as_bytes().to_vec();
            said.extend(body.bytes);
            conn.answer(200, &[("x-parity", parity)], &said)
        })
    });
    let gateway = Gateway::with(version(1, &backends))
        .env("WEIR_METRICS_SERIES_IDLE_S", 1)
        .start();
    let mut stream = gateway.connect();
    stream.request("POST /stream/demo/iris", &[AUTH], b"{}");
    let stream_head = stream.head();
    assert_eq!(stream.read_chunk().unwrap(), b"first odd");

    let done = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let addr = gateway.addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = RawClient::connect(addr);
                let mut newest = 0;
                while !done.load(Ordering::SeqCst) {
                    let answer = match client
                        .request(&post(), &[AUTH], b" body")
                        .try_response("POST")
                    {
                        Ok(answer) => answer,
                        Err(ended) => {
                            wrong.lock().unwrap().push(format!("no answer: {ended:?}"));
                            return;
                        }
                    };
                    served.fetch_add(1, Ordering::SeqCst);
                    if answer.status != 200 || answer.ended != Ended::Clean {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{} {}", answer.status, answer.text()));
                        continue;
                    }
                    let n = number(&answer.version());
                    let parity = if n % 2 == 1 { "odd" } else { "even" };
                    let agrees = answer.text() == format!("{parity} body")
                        && answer.get("x-parity").as_deref() == Some(parity);
                    if !agrees || n < newest {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("v{n} after v{newest}: {}", answer.text()));
                    }
                    newest = n;
                }
            });
        }
        // Ended in any case, so that a failure below does not leave the load running.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let _ended = Done(&done);
        let mut probe = gateway.connect();
        for n in 2..=reloads + 1 {
            gateway.declare(version(n, &backends));
            let mut seen = 0;
            let came = holds_within(PATIENCE, || {
                seen = number(&probe.call(&post(), &[AUTH], b" body").version());
                seen >= n
            });
            assert!(came, "version {n} never came, v{seen} answers");
            assert_eq!(seen, n, "one version per change");
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!(
        "{} requests during {reloads} reloads",
        served.load(Ordering::SeqCst)
    );
    assert!(
        wrong.is_empty(),
        "{} of {}: {:?}",
        wrong.len(),
        served.load(Ordering::SeqCst),
        &wrong[..wrong.len().min(5)]
    );
    assert!(served.load(Ordering::SeqCst) > reloads);

    // The long stream began on version 1 and ends there.
    assert_eq!(
        stream_head.get("x-deployment-version").as_deref(),
        Some("iris_v1")
    );
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b" last odd");
    assert_eq!(stream.read_chunk().unwrap(), b"");

    // The series of retired versions go.
    eventually(PATIENCE, "series of retired versions expire", || {
        let metrics = gateway.metrics();
        let mut versions: Vec<_> = metrics
            .samples
            .iter()
            .filter_map(|s| s.label("version"))
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions.len() <= 4
    });
}

#[test]
fn an_upload_under_way_stays_with_its_version() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    let mut client = gateway.connect();
    client.request(&post(), &[AUTH, ("transfer-encoding", "chunked")], b"");
    client.send(chunk("some"));
    backends[0].wait_count(1);
    gateway.redeclare(version(2, &backends));
    client.send(chunk("more")).send("0\r\n\r\n");
    let answer = client.response("POST");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("odd", "iris_v1")
    );
    assert_eq!(backends[0].last().body.unwrap().bytes, b"somemore");
    let next = client.call(&post(), &[AUTH], b"");
    assert_eq!(
        (next.text().as_str(), next.version().as_str()),
        ("even", "iris_v2")
    );
}

#[test]
fn an_old_pool_goes_when_its_last_exchange_ends() {
    let gate = Gate::new();
    let door = gate.clone();
    let slow = Backend::start(move |conn, head| {
        conn.body(head);
        door.wait();
        conn.answer(200, &[], b"old")
    });
    let new = Backend::says("new");
    let gateway = Gateway::with(iris(&slow))
        .env("WEIR_HEALTH_INTERVAL_MS", 100)
        .start();
    let mut client = gateway.connect();
    client.request(&post(), &[AUTH], b"{}");
    slow.wait_count(1);
    gateway.redeclare(iris(&new));
    assert_eq!(gateway.call(&post(), &[AUTH], b"{}").text(), "new");
    gate.open();
    assert_eq!(client.response("POST").text(), "old");
    eventually(PATIENCE, "connections of the old pool are closed", || {
        slow.open_connections() == 0
    });
    let probes = slow.probes();
    let now = new.probes();
    eventually(PATIENCE, "the new pool is probed on", || {
        new.probes() > now + 4
    });
    assert!(slow.probes() <= probes + 1, "the old one is probed no more");
}

#[test]
fn a_stream_outlives_its_deployment() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("first"));
        door.wait();
        let _ = conn.write([chunk("last"), b"0\r\n\r\n".to_vec()].concat());
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let mut stream = gateway.connect();
    stream.request("POST /stream/demo/iris", &[AUTH], b"{}");
    stream.head();
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    gateway.redeclare(key(KEY, "demo"));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").status, 404);
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b"last");
    assert_eq!(stream.read_chunk().unwrap(), b"");
}

#[test]
fn a_stream_outlives_its_key_but_no_request_starts_with_it() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("first"));
        door.wait();
        let _ = conn.write([chunk("last"), b"0\r\n\r\n".to_vec()].concat());
        Next::Keep
    });
    let gone = "wk_gone_0123456789abcdefghijklmnopqrs";
    let gateway = Gateway::start(iris(&backend).with(key(gone, "demo")));
    let mut stream = gateway.connect();
    stream.request("POST /stream/demo/iris", &[("key", gone)], b"{}");
    stream.head();
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    gateway.redeclare(iris(&backend));
    assert_eq!(gateway.call(&post(), &[("key", gone)], b"").status, 401);
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b"last");
    assert_eq!(stream.read_chunk().unwrap(), b"");
}
