//! Start, drain, end; and the demo that shows it all.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, Next, Nowhere, PATIENCE, PREDICT, RawClient,
    client::chunk, eventually, gateway::command, h2::H2Client, iris,
};

fn post() -> String {
    format!("POST {PREDICT}")
}

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
        ("WEIR_DATA_NO_SUCH_KEY", "1"),
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
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_answers_streams_and_refuses() {
    let demo = Gateway::demo();
    let text = |member: &str| demo.ready[member].as_str().unwrap_or_default().to_owned();
    let (key, predict, stream) = (text("api_key"), text("predict_url"), text("stream_url"));
    let base = text("data_url");
    let path = |url: &str| {
        url.strip_prefix(base.trim_end_matches('/'))
            .unwrap_or_default()
            .to_owned()
    };
    let auth = [("authorization", format!("Bearer {key}"))];
    let auth: Vec<_> = auth.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let flower = br#"{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}"#;
    let answer = demo.call(&format!("POST {}", path(&predict)), &auth, flower);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json().to_string();
    assert!(
        said.contains("setosa") && said.contains("virginica"),
        "{said}"
    );
    let refused = demo.call(
        &format!("POST {}", path(&predict)),
        &[("key", "wrong")],
        flower,
    );
    assert_eq!(refused.status, 401);

    let mut client = demo.connect();
    let since = Instant::now();
    client.request(
        &format!("POST {}", path(&stream)),
        &auth,
        br#"{"prompt": "the", "max_tokens": 10}"#,
    );
    let head = client.head();
    assert_eq!(head.status(), Ok(200));
    assert!(
        head.get("content-type")
            .is_some_and(|t| t.starts_with("text/event-stream"))
    );
    let mut events = 0;
    let mut first = None;
    loop {
        let piece = client.read_chunk().expect("a whole stream");
        if piece.is_empty() {
            break;
        }
        first.get_or_insert_with(|| since.elapsed());
        events += String::from_utf8_lossy(&piece).matches("data:").count();
    }
    let (first, all) = (first.unwrap(), since.elapsed());
    println!("{events} events, the first after {first:?}, all after {all:?}");
    assert!(events >= 10, "{events}");
    assert!(
        all >= first + Duration::from_millis(120),
        "tokens come one by one: {first:?} {all:?}"
    );

    // Bad input is the model's own 4xx, passed on.
    let bad = demo.call(&format!("POST {}", path(&predict)), &auth, b"not json");
    assert!((400..500).contains(&bad.status), "{}", bad.status);
    demo.wait_metric("weir_requests_total", &[("role", "challenger")], |n| {
        n > 0.5
    });
}

#[test]
fn the_demos_curl_lines_work_as_printed() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("curl is not installed: skipped");
        return;
    }
    let demo = Gateway::demo();
    let log = demo.log();
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in log.lines() {
        let line = line.trim().trim_start_matches("$ ");
        if open {
            lines.last_mut().unwrap().push_str(&format!("\n{line}"));
        } else if line.starts_with("curl ") {
            lines.push(line.to_owned());
        } else {
            continue;
        }
        open = line.ends_with('\\');
    }
    assert!(
        lines.len() >= 4,
        "predict, stream, a wrong key, metrics:\n{log}"
    );
    let mut said = String::new();
    for line in &lines {
        let output = Command::new("timeout")
            .args(["20", "sh", "-c", line])
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        said.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    for word in ["setosa", "data:", "request_id", "weir_requests_total"] {
        let known = said.contains(word)
            || (word == "setosa" && (said.contains("versicolor") || said.contains("virginica")));
        assert!(
            known,
            "{word} is in none of the answers:\n{lines:#?}\n{said}"
        );
    }
}

#[test]
fn sample_models_run_alone() {
    for (model, path, body, words) in [
        (
            "iris",
            "/predict",
            r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#,
            "setosa",
        ),
        (
            "iris-challenger",
            "/predict",
            r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#,
            "setosa",
        ),
        (
            "text",
            "/stream",
            r#"{"prompt": "the", "max_tokens": 3}"#,
            "data:",
        ),
    ] {
        let place = Nowhere::new();
        let addr = place.addr();
        let _model = Process(
            command()
                .args(["sample-model", model, "--listen", &addr.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        eventually(PATIENCE, "the model listens", || {
            TcpStream::connect(addr).is_ok()
        });
        let mut client = RawClient::connect(addr);
        assert_eq!(client.call("GET /health", &[], b"").status, 200, "{model}");
        let answer = client.call(
            &format!("POST {path}"),
            &[("content-type", "application/json")],
            body.as_bytes(),
        );
        assert_eq!(
            (answer.status, answer.ended.clone()),
            (200, Ended::Clean),
            "{model}"
        );
        assert!(answer.text().contains(words), "{model}: {}", answer.text());
    }
}
