//! What is counted is what happened: requests, errors by kind, quantiles, bytes; kept through
//! restarts and after a deployment's end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Gate, Gateway, Next, PATIENCE, Stop, admin::at, client::chunk, holds_within,
    later, pattern, version,
};

/// The series of a deployment over the last hour, at this step.
#[track_caller]
pub(crate) fn series(api: &Admin, name: &str, step: &str) -> Value {
    api.show(&format!("{}/monitoring?from=-1h&step={step}", at(name)))
}

/// The points of a role.
pub(crate) fn points(answer: &Value, role: &str) -> Vec<Value> {
    let all = answer["series"].as_array().expect("series").iter();
    let of_role = all.filter(|s| s["role"] == role);
    of_role
        .flat_map(|s| s["points"].as_array().expect("points").clone())
        .collect()
}

/// The sum of a member over all points of a role; `errors.timeout` is a member of a member.
pub(crate) fn sum(api: &Admin, name: &str, role: &str, member: &str) -> u64 {
    let pointer = format!("/{}", member.replace('.', "/"));
    let all = points(&series(api, name, "10s"), role);
    all.iter()
        .map(|point| {
            point
                .pointer(&pointer)
                .map_or(0, |n| n.as_u64().expect("a count"))
        })
        .sum()
}

/// Waits until a member of main's series adds up to this, and not to more.
#[track_caller]
pub(crate) fn adds_up(api: &Admin, name: &str, member: &str, want: u64) {
    let mut last = 0;
    let came = holds_within(PATIENCE, || {
        last = sum(api, name, "main", member);
        last >= want
    });
    assert!(
        came && last == want,
        "{name} {member}: {last} instead of {want}"
    );
}

/// Behaves as the request's tail says.
pub(crate) fn moody(gate: &Gate) -> Backend {
    let door = gate.clone();
    Backend::start(move |conn, head| {
        conn.body(head);
        match head.target() {
            "/picky" => conn.answer(422, &[], b"no"),
            "/sick" => conn.answer(500, &[], b"oh"),
            "/garbage" => {
                let _ = conn.write(b"HTTP/9.9 what\r\n\r\n");
                Next::Close
            }
            "/slow" => {
                conn.wait_end(PATIENCE);
                Next::Close
            }
            "/torn" => {
                conn.start_chunked();
                let _ = conn.write(chunk("half"));
                Next::Reset
            }
            "/held" | "/stream" => {
                conn.start_chunked();
                let _ = conn.write(chunk("first"));
                door.wait();
                let _ = conn.write(b"0\r\n\r\n");
                Next::Close
            }
            _ => conn.answer(200, &[], b"fine"),
        }
    })
}

#[test]
fn requests_and_errors_are_counted_by_kind() {
    let gate = Gate::new();
    let backend = moody(&gate);
    let gateway = later::impatient(Gateway::bare()).start();
    let api = gateway.api();
    let mut spec = version(&backend.url());
    spec["timeouts"] = json!({"first_byte_ms": 300});
    let made = api.create("demo/iris", &spec);
    let headers = [("x-api-key", made.secret.as_str())];
    for (tail, times, status) in [
        ("", 20, 200),
        ("/picky", 5, 422),
        ("/sick", 4, 500),
        ("/garbage", 3, 502),
        ("/slow", 2, 504),
        ("/torn", 2, 200),
    ] {
        for _ in 0..times {
            let line = format!("POST /predict/demo/iris{tail}");
            assert_eq!(
                gateway.call(&line, &headers, b"{}").status,
                status,
                "{tail}"
            );
        }
    }
    for _ in 0..3 {
        let mut client = gateway.connect();
        client
            .request("POST /predict/demo/iris/held", &headers, b"{}")
            .head();
    }
    let errors = [
        ("client_error", 5),
        ("backend_error", 4),
        ("bad_answer", 3),
        ("timeout", 2),
        ("broken", 2),
        ("client_gone", 3),
    ];
    for (kind, times) in errors {
        adds_up(&api, "demo/iris", &format!("errors.{kind}"), times);
    }
    adds_up(&api, "demo/iris", "requests", 39);
    let answer = series(&api, "demo/iris", "10s");
    for point in points(&answer, "main") {
        let kinds = point["errors"].as_object().expect("errors");
        assert!(
            kinds.values().all(|n| n.as_u64() > Some(0)),
            "only non-zero: {point}"
        );
        let known = |kind: &String| errors.iter().any(|(k, _)| k == kind);
        assert!(kinds.keys().all(known), "{point}");
    }
    // Who is not let in was nobody's request.
    gateway.call("POST /predict/demo/iris", &[], b"");
    let url = backend.url();
    drop(backend);
    let gone = gateway.call("POST /predict/demo/iris", &headers, b"{}");
    assert_eq!(gone.status, 503, "{url}");
    adds_up(&api, "demo/iris", "errors.unreachable", 1);
    adds_up(&api, "demo/iris", "requests", 40);
}

#[test]
fn quantiles_and_bytes_are_what_was_sent_and_waited_for() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head);
        let slow = body.bytes.first() == Some(&b's');
        std::thread::sleep(Duration::from_millis(if slow { 600 } else { 150 }));
        conn.answer(200, &[], &pattern(body.bytes.len() * 2))
    });
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let minutes = || jiff::Timestamp::now().as_second() / 600;
    for round in 0.. {
        let name = format!("demo/iris{round}");
        let made = api.create(&name, &version(&backend.url()));
        let headers = [("x-api-key", made.secret.as_str())];
        let began = minutes();
        let (mut bytes, mut took) = (0, Vec::new());
        for n in 0..40 {
            let letter = if n % 10 == 9 { b's' } else { b'f' };
            let body = vec![letter; 100 + n];
            let line = format!("POST /predict/{name}");
            let at = Instant::now();
            assert_eq!(gateway.call(&line, &headers, &body).status, 200);
            took.push(at.elapsed().as_secs_f64() * 1e3);
            bytes += body.len() as u64;
        }
        adds_up(&api, &name, "requests", 40);
        adds_up(&api, &name, "request_bytes", bytes);
        adds_up(&api, &name, "response_bytes", 2 * bytes);
        if minutes() != began {
            assert!(round < 3, "each round crosses a boundary");
            continue;
        }
        let all = points(&series(&api, &name, "10m"), "main");
        assert_eq!(all.len(), 1, "{all:?}");
        took.sort_by(f64::total_cmp);
        for figures in ["latency_ms", "first_byte_ms"] {
            for (quantile, index) in [
                ("p50", 19),
                ("p90", 35),
                ("p95", 37),
                ("p99", 39),
                ("max", 39),
            ] {
                let said = all[0][figures][quantile].as_f64().expect(quantile);
                let was = took[index];
                let known = if index < 36 { 150.0 } else { 600.0 };
                let (low, high) = (known * 0.85, f64::max(was, known) * 1.15);
                assert!(
                    (low..=high).contains(&said),
                    "{figures} {quantile}: {said}, was {was}"
                );
            }
        }
        return;
    }
}

#[test]
fn they_outlive_the_process_and_the_deployment() {
    let backend = Backend::says("x");
    let mut gateway = Gateway::bare().start();
    let made = gateway.api().create("demo/iris", &version(&backend.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    for _ in 0..7 {
        gateway.call("POST /predict/demo/iris", &headers, b"12345");
    }
    adds_up(&gateway.api(), "demo/iris", "requests", 7);
    gateway.restart(Stop::Term);
    let api = gateway.api();
    adds_up(&api, "demo/iris", "requests", 7);
    for _ in 0..3 {
        gateway.call("POST /predict/demo/iris", &headers, b"12345");
    }
    adds_up(&api, "demo/iris", "requests", 10);
    adds_up(&api, "demo/iris", "request_bytes", 50);
    gateway
        .cli()
        .ok("deployment delete demo/iris --reason done --yes");
    adds_up(&api, "demo/iris", "requests", 10);
    gateway.restart(Stop::Term);
    let api = gateway.api();
    adds_up(&api, "demo/iris", "requests", 10);
    let all = api.show("/monitoring");
    let live = all["items"].as_array().expect("items").iter();
    assert!(
        live.clone().all(|item| item["deployment"] != "iris"),
        "{all}"
    );
}

#[test]
fn a_broken_file_loses_figures_and_nothing_else() {
    let backend = Backend::says("x");
    let mut gateway = Gateway::bare().start();
    let made = gateway.api().create("demo/iris", &version(&backend.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    gateway.call("POST /predict/demo/iris", &headers, b"");
    adds_up(&gateway.api(), "demo/iris", "requests", 1);
    gateway.stop(Stop::Term);
    let file = gateway.data_dir().join("monitoring.db");
    assert!(file.exists());
    for tail in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(gateway.data_dir().join(format!("monitoring.db{tail}")));
    }
    std::fs::write(&file, pattern(50_000)).unwrap();
    gateway.start_again();
    assert_eq!(
        gateway
            .call("POST /predict/demo/iris", &headers, b"")
            .text(),
        "x"
    );
    adds_up(&gateway.api(), "demo/iris", "requests", 1);
    assert!(gateway.data_dir().join("monitoring.db.broken").exists());
    assert!(gateway.log().contains("monitoring.db"), "it is said");
}
