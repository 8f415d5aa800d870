//! Start, drain, end; and the demo that shows it all.

use std::{
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, Next, PATIENCE, PREDICT, client::chunk, eventually,
    gateway::command, h2::H2Client, iris, post,
};

/// A backend whose stream ends when the gate opens.
fn held(gate: &Gate) -> Backend {
    let door = gate.clone();
    Backend::start(move |conn, head| {
        conn.body(head);
        if head.target() == "/stream" {
            conn.start_chunked();
            let _ = conn.write(chunk("first"));
            door.wait();
            let _ = conn.write([chunk("last"), b"0\r\n\r\n".to_vec()].concat());
            return Next::Keep;
        }
        conn.answer(200, &[], b"ok")
    })
}

/// Who reloads a gateway that has no file must not end it.
#[test]
fn a_hang_up_without_a_file_ends_nothing() {
    let gateway = Gateway::bare().start();
    gateway.signal("HUP");
    eventually(PATIENCE, "the signal is seen", || {
        gateway.log().contains("no declarations file to read again")
    });
    assert_eq!(gateway.api().get("/status").status, 200);
}

#[test]
fn the_ready_file_tells_where_everything_is() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for member in ["data_url", "admin_url", "admin_token"] {
        assert!(
            gateway.ready[member].is_string(),
            "{member}: {}",
            gateway.ready
        );
    }
    assert!(
        !gateway.ready.to_string().contains(":0\""),
        "port 0 is shown resolved"
    );
    assert_eq!(
        gateway.ready["admin_token"],
        "an-admin-token-for-the-tests-only"
    );
    // The first request after the file appeared is answered: the first snapshot is in force.
    assert_eq!(gateway.call(&post(), &[AUTH], b"hi").text(), "hi");
    assert!(gateway.epoch() > 0.5);
    let token = gateway.ready["admin_token"].as_str().unwrap();
    assert_eq!(
        gateway.call(&post(), &[("x-api-key", token)], b"").status,
        401
    );
}

#[test]
fn the_access_log_is_off_unless_asked_for() {
    let backend = Backend::echo();
    for access in [false, true] {
        let gateway = Gateway::with(iris(&backend))
            .env("WEIR_LOG_ACCESS", access)
            .env("WEIR_LOG_FORMAT", "json")
            .start();
        let headers = [AUTH, ("x-request-id", "find-me")];
        for _ in 0..3 {
            assert_eq!(gateway.call(&post(), &headers, b"").status, 200);
        }
        gateway.wait_metric("weir_requests_total", &[("code", "200")], |n| n > 2.5);
        let lines = || gateway.log().matches("find-me").count();
        if access {
            eventually(PATIENCE, "a line for each", || lines() == 3);
        } else {
            assert!(!crate::support::holds_within(
                Duration::from_millis(500),
                || lines() > 0
            ));
        }
        for line in gateway.log().lines() {
            let read: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(read.is_ok_and(|v| v.is_object()), "not JSON: {line}");
        }
    }
}

#[test]
fn sigterm_drains() {
    let gate = Gate::new();
    let backend = held(&gate);
    let mut gateway = Gateway::with(iris(&backend))
        .env("WEIR_DRAIN_GRACE_MS", 20_000)
        .start();
    let mut stream = gateway.connect();
    stream
        .request("POST /stream/demo/iris", &[AUTH], b"{}")
        .head();
    assert_eq!(stream.read_chunk().unwrap(), b"first");
    let mut kept = gateway.connect();
    assert_eq!(kept.call(&post(), &[AUTH], b"").status, 200);
    let mut half = gateway.connect();
    half.send(format!("{} HTTP/1.1\r\nhost: h\r\n", post()));
    gateway.sigterm();
    let addr = gateway.addr();
    eventually(PATIENCE, "no new connections", || {
        TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_err()
    });
    // A kept connection is closed, or answers once more and says that it closes.
    match kept.request(&post(), &[AUTH], b"").try_response("POST") {
        Ok(answer) => {
            assert_eq!(answer.status, 200);
            assert!(
                answer
                    .get("connection")
                    .is_some_and(|c| c.eq_ignore_ascii_case("close"))
            );
            assert!(kept.closed_within(PATIENCE));
        }
        Err(ended) => assert!(matches!(ended, Ended::Eof | Ended::Reset)),
    }
    gate.open();
    assert_eq!(stream.read_chunk().unwrap(), b"last");
    assert_eq!(stream.read_chunk().unwrap(), b"");
    drop((stream, half));
    let status = gateway.wait_exit(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
}

#[test]
fn an_idle_gateway_leaves_at_once() {
    let backend = Backend::echo();
    let mut gateway = Gateway::with(iris(&backend))
        .env("WEIR_DRAIN_GRACE_MS", 60_000)
        .start();
    let mut idle = gateway.connect();
    assert_eq!(idle.call(&post(), &[AUTH], b"").status, 200);
    let _never_spoke = gateway.connect();
    let since = Instant::now();
    gateway.sigterm();
    assert_eq!(idle.end_within(PATIENCE), Ended::Eof);
    assert_eq!(gateway.wait_exit(PATIENCE).code(), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(8),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_stream_beyond_the_grace_ends_broken_and_the_gateway_still_leaves() {
    let gate = Gate::new();
    let backend = held(&gate);
    let mut gateway = Gateway::with(iris(&backend))
        .env("WEIR_DRAIN_GRACE_MS", 700)
        .start();
    let mut stream = gateway.connect();
    stream
        .request("POST /stream/demo/iris", &[AUTH], b"{}")
        .head();
    stream.read_chunk().unwrap();
    let since = Instant::now();
    gateway.sigterm();
    let status = gateway.wait_exit(PATIENCE);
    let took = since.elapsed();
    assert!(
        took > Duration::from_millis(500) && took < Duration::from_secs(6),
        "{took:?}"
    );
    assert_eq!(status.code(), Some(0));
    assert!(matches!(
        stream.read_chunk(),
        Err(Ended::Eof | Ended::Reset)
    ));
    gate.open();
}

#[test]
fn http2_clients_are_told_to_go_and_their_streams_finish() {
    let gate = Gate::new();
    let backend = held(&gate);
    let mut gateway = Gateway::with(iris(&backend))
        .env("WEIR_DRAIN_GRACE_MS", 20_000)
        .start();
    let client = H2Client::connect(gateway.addr());
    let request = client.request(
        "POST",
        "/stream/demo/iris",
        &[AUTH],
        crate::support::h2::whole(b"{}"),
    );
    let head = client.runtime.block_on(request).expect("a head");
    gateway.sigterm();
    eventually(PATIENCE, "no new streams", || {
        let more = client.request("POST", PREDICT, &[AUTH], crate::support::h2::whole(b""));
        client.runtime.block_on(more).is_err()
    });
    gate.open();
    let rest = client
        .runtime
        .block_on(crate::support::h2::read(head))
        .unwrap();
    assert!(rest.clean && rest.body == b"firstlast");
    drop(client);
    assert_eq!(gateway.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn sigint_ends_it_too() {
    let backend = Backend::echo();
    let mut gateway = Gateway::start(iris(&backend));
    gateway.signal("INT");
    assert_eq!(gateway.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn settings_are_refused_when_they_make_no_sense() {
    let dir = tempfile::TempDir::new().unwrap();
    for (name, value) in [
        ("WEIR_DATA_LISTEN", "nowhere"),
        ("WEIR_WORKERS", "many"),
        ("WEIR_DATA_HEAD_TIMEOUT_MS", "-1"),
    ] {
        let mut child = Process(
            command()
                .arg("serve")
                .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
                .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
                .env("WEIR_DATA_DIR", dir.path())
                .env(name, value)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut status = None;
        eventually(PATIENCE, &format!("{name}={value} is refused"), || {
            status = child.0.try_wait().unwrap();
            status.is_some()
        });
        assert!(!status.unwrap().success(), "{name}");
    }
}

/// A process that does not outlive its test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_data_directory_serves_one_process_and_a_killed_one_lets_go() {
    let backend = Backend::echo();
    let dir = tempfile::TempDir::new().unwrap();
    let declared = dir.path().join("declared.toml");
    std::fs::write(&declared, iris(&backend).to_string()).unwrap();
    let first = Gateway::with(iris(&backend))
        .env("WEIR_DATA_DIR", dir.path().display())
        .start();
    let mut second = Process(
        command()
            .args(["serve", "--declare"])
            .arg(&declared)
            .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
            .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("WEIR_DATA_DIR", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut status = None;
    eventually(PATIENCE, "the second is refused", || {
        status = second.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(!status.unwrap().success());
    assert_eq!(first.call(&post(), &[AUTH], b"still").text(), "still");
    first.signal("KILL");
    drop(first);
    let third = Gateway::with(iris(&backend))
        .env("WEIR_DATA_DIR", dir.path().display())
        .start();
    assert_eq!(third.call(&post(), &[AUTH], b"again").text(), "again");
}
