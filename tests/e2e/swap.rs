//! A swap is one atomic store: nothing fails because of it and nothing mixes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gate, Gateway, KEY, Next, PATIENCE, PREDICT, RawClient,
    client::chunk, deployment, eventually, gateway::command, holds_within, iris, key,
};

fn post() -> String {
    format!("POST {PREDICT}")
}

/// Odd versions are answered by one backend, even ones by another.
fn version(n: usize, backends: &[Backend; 2]) -> Declarations {
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
fn the_same_file_again_is_no_new_version() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for _ in 0..5 {
        gateway.declare(iris(&backend));
    }
    // A change elsewhere shows that the reloads have been worked off.
    gateway.redeclare(iris(&backend).with(key("wk_more_0123456789abcdefghijklmnopqrs", "demo")));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v1");
}

#[test]
fn a_burst_of_reloads_ends_at_the_last() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    for n in 2..=40 {
        gateway.declare(version(n, &backends));
    }
    // Not every state in between need have been seen, but the last one must win.
    gateway.declare(version(
        41,
        &[Backend::says("unused"), Backend::says("unused")],
    ));
    let last = Backend::says("last");
    gateway.declare(iris(&last));
    eventually(PATIENCE, "the last declaration answers", || {
        gateway.call(&post(), &[AUTH], b"").text() == "last"
    });
    assert!(!holds_within(Duration::from_millis(300), || {
        gateway.call(&post(), &[AUTH], b"").text() != "last"
    }));
}

#[test]
fn going_back_is_a_new_version_too() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    gateway.redeclare(version(2, &backends));
    gateway.redeclare(version(1, &backends));
    let answer = gateway.call(&post(), &[AUTH], b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("odd", "iris_v3")
    );
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
fn a_changed_file_is_noticed_without_a_signal() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    gateway.write(version(2, &backends));
    eventually(PATIENCE, "the second version", || {
        gateway.call(&post(), &[AUTH], b"").version() == "iris_v2"
    });
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

#[test]
fn deployments_come_and_go() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    assert_eq!(
        gateway.call("POST /predict/demo/text", &[AUTH], b"").status,
        404
    );
    gateway.redeclare(iris(&backend).with(deployment("demo/text").backend(&backend)));
    let answer = gateway.call("POST /predict/demo/text", &[AUTH], b"");
    assert_eq!((answer.status, answer.version().as_str()), (200, "text_v1"));
    gateway.redeclare(
        Declarations::new()
            .with(deployment("demo/text").backend(&backend))
            .with(key(KEY, "demo")),
    );
    assert_eq!(gateway.call(&post(), &[AUTH], b"").status, 404);
    assert_eq!(
        gateway.call("POST /predict/demo/text", &[AUTH], b"").status,
        200
    );
}

const BAD: &str = r#"
[[deployment]]
project = "demo"
name = "UPPER"
version = { main = { backends = [{ url = "http://127.0.0.1:9001" }] } }
[[deployment]]
project = "demo"
name = "sideways"
access = "everybody"
version = { main = { backends = [{ url = "ftp://127.0.0.1:9002" }] } }
[[deployment]]
project = "demo"
name = "empty"
version = { main = { backends = [] } }
[[key]]
secret = "short"
scope = "demo"
[[key]]
secret = "long-enough-but-scoped-wrong"
scope = "a/b/c/d"
"#;

/// Words that a report of all of [`BAD`]'s mistakes can't do without.
const MISTAKES: [&str; 6] = [
    "UPPER",
    "everybody",
    "ftp://",
    "backends",
    "secret",
    "scope",
];

#[test]
fn a_bad_file_changes_nothing_and_says_every_mistake() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let epoch = gateway.epoch();
    for bad in [
        BAD,
        "not toml [",
        "[[deployment]]\nproject = 7\n",
        "surprise = true\n",
    ] {
        let before = gateway.log().len();
        gateway.declare(bad);
        eventually(PATIENCE, "the complaint", || gateway.log().len() > before);
        let answer = gateway.call(&post(), &[AUTH], b"");
        assert_eq!(
            (answer.status, answer.version().as_str()),
            (200, "iris_v1"),
            "{bad}"
        );
    }
    for word in MISTAKES {
        assert!(gateway.log().contains(word), "{word} is not in the log");
    }
    let before = gateway.log().len();
    gateway.remove_declarations();
    eventually(PATIENCE, "the complaint", || gateway.log().len() > before);
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v1");
    assert!(
        (gateway.epoch() - epoch).abs() < 0.5,
        "a bad file moved the epoch"
    );
    gateway.redeclare(iris(&Backend::echo()));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v2");
}

#[test]
fn check_says_every_mistake_at_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let good = dir.path().join("good.toml");
    std::fs::write(&good, iris(&Backend::echo()).to_string()).unwrap();
    let fine = command().arg("check").arg(&good).output().unwrap();
    assert!(
        fine.status.success(),
        "{}",
        String::from_utf8_lossy(&fine.stderr)
    );
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, BAD).unwrap();
    let refused = command().arg("check").arg(&bad).output().unwrap();
    assert!(!refused.status.success());
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for word in MISTAKES {
        assert!(said.contains(word), "{word} is not in\n{said}");
    }
    assert!(
        !said.contains("long-enough-but"),
        "a secret is shown:\n{said}"
    );
    assert!(
        !command()
            .arg("check")
            .arg(dir.path().join("none.toml"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn serve_does_not_start_on_a_bad_file() {
    let dir = tempfile::TempDir::new().unwrap();
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, BAD).unwrap();
    let ready = dir.path().join("ready.json");
    let mut child = command()
        .args(["serve", "--declare"])
        .arg(&bad)
        .arg("--ready-file")
        .arg(&ready)
        .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
        .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
        .env("WEIR_DATA_DIR", dir.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut status = None;
    let ended = holds_within(PATIENCE, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(ended && !status.unwrap().success());
    assert!(!ready.exists());
}

#[test]
fn epochs_on_answers_only_grow() {
    let backend = Arc::new(Backend::echo());
    let gateway = Gateway::start(iris(&backend));
    let mut newest = 0;
    for n in 0..10 {
        let answer = gateway.call(&post(), &[AUTH], b"");
        let epoch: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
        assert!(epoch > newest, "{epoch} after {newest}");
        newest = epoch;
        let more = (0..=n).map(|k| key(&format!("wk_k{k}_0123456789abcdefghijklmnop"), "demo"));
        gateway.redeclare(iris(&backend).with(more.collect::<String>()));
    }
    assert!(holds_within(Duration::from_secs(1), || {
        let seen = gateway.call(&post(), &[AUTH], b"").get("x-config-epoch");
        seen.is_some_and(|e| e.parse::<u64>().unwrap() > newest)
    }));
}
