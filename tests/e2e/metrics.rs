//! What operators read: true counts, bounded labels.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{
    AUTH, Backend, Gateway, Next, PATIENCE, PREDICT, RawClient, client::chunk, eventually, iris,
    metrics::Metrics, post,
};

/// Every series as text, without its value.
fn series(metrics: &Metrics) -> BTreeSet<String> {
    metrics
        .samples
        .iter()
        .map(|s| format!("{}{:?}", s.name, s.labels))
        .collect()
}

#[test]
fn requests_are_counted_by_what_was_answered() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.answer(
            if head.target() == "/picky" { 422 } else { 200 },
            &[],
            b"12345",
        )
    });
    let gateway = Gateway::start(iris(&backend));
    for _ in 0..7 {
        gateway.call(&post(), &[AUTH], b"123");
    }
    for _ in 0..3 {
        gateway.call(&format!("{}/picky", post()), &[AUTH], b"");
    }
    for _ in 0..2 {
        gateway.call(&post(), &[], b"");
    }
    let close = |name: &str, labels: &[(&str, &str)], want: f64| {
        gateway.wait_metric(name, labels, |n| (n - want).abs() < 0.5);
    };
    let mine = [
        ("project", "demo"),
        ("deployment", "iris"),
        ("role", "main"),
    ];
    close(
        "weir_requests_total",
        &[&mine[..], &[("code", "200")]].concat(),
        7.0,
    );
    close(
        "weir_requests_total",
        &[&mine[..], &[("code", "422")]].concat(),
        3.0,
    );
    gateway.wait_metric("weir_faults_total", &[], |n| n > 1.5);
    let bytes = [("deployment", "iris")];
    close("weir_request_bytes_total", &bytes, 21.0);
    close("weir_response_bytes_total", &bytes, 50.0);
    close("weir_requests_in_flight", &[], 0.0);
    for histogram in [
        "weir_request_duration_seconds",
        "weir_first_byte_seconds",
        "weir_gateway_overhead_seconds",
    ] {
        gateway.wait_metric(
            &format!("{histogram}_count"),
            &[("deployment", "iris")],
            |n| n > 9.5,
        );
    }
}

#[test]
fn the_table_is_there_and_histograms_start_at_ten_microseconds() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    gateway.call(&post(), &[AUTH], b"{}");
    gateway.wait_metric("weir_requests_total", &[], |n| n > 0.5);
    let metrics = gateway.metrics();
    for name in [
        "weir_requests_total",
        "weir_requests_in_flight",
        "weir_request_bytes_total",
        "weir_response_bytes_total",
        "weir_upstream_connections",
        "weir_config_epoch",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(
            metrics.select(name, &[]).next().is_some(),
            "{name} is missing"
        );
    }
    for name in [
        "weir_snapshot_build_seconds",
        "weir_snapshot_publish_seconds",
    ] {
        assert!(
            metrics.samples.iter().any(|s| s.name.starts_with(name)),
            "{name} is missing"
        );
    }
    for name in [
        "weir_request_duration_seconds",
        "weir_first_byte_seconds",
        "weir_gateway_overhead_seconds",
    ] {
        let bounds: Vec<f64> = metrics
            .samples
            .iter()
            .filter(|s| s.name == format!("{name}_bucket"))
            .filter_map(|s| s.label("le")?.parse().ok())
            .collect();
        let least = bounds.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((least - 1e-5).abs() < 1e-9, "{name} starts at {least}");
    }
    for sample in &metrics.samples {
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| sample.name.ends_with(end));
        assert!(
            !histogram || sample.label("version").is_none(),
            "{sample:?}"
        );
    }
    assert!(
        metrics
            .select("weir_requests_total", &[])
            .all(|s| s.label("version").is_some())
    );
}

#[test]
fn promtool_finds_nothing_to_say() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("promtool is not installed: skipped");
        return;
    }
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    gateway.call(&post(), &[AUTH], b"{}");
    gateway.call(&post(), &[], b"{}");
    gateway.wait_metric("weir_requests_total", &[], |n| n > 0.5);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = gateway.metrics().text;
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words =
        String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && words.trim().is_empty(), "{words}");
}

#[test]
fn invented_names_add_no_series() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let addr = gateway.addr();
    let ask = move |from: usize, to: usize| {
        let mut client = RawClient::connect(addr);
        for n in from..to {
            for (line, status) in [
                (format!("POST /predict/demo/made-up-{n}"), 404),
                (format!("POST /predict/p{n}/d"), 403),
                (format!("M{n} {PREDICT}"), 200),
                (format!("GET {PREDICT}/tail-{n}?q={n}"), 200),
                (format!("GET /odd/{n}"), 404),
            ] {
                let answer = client.call(&line, &[AUTH], b"");
                assert_eq!(answer.status, status, "{line}");
                if answer.get("connection").is_some_and(|c| c == "close") {
                    client = RawClient::connect(addr);
                }
            }
            let wrong = format!("wk_wrong{n}_0123456789abcdefghijklmno");
            assert_eq!(client.call(&post(), &[("key", &wrong)], b"").status, 401);
        }
    };
    ask(0, 2);
    gateway.wait_metric("weir_requests_total", &[("code", "200")], |n| n > 3.5);
    let before = series(&gateway.metrics());
    ask(2, 120);
    gateway.wait_metric("weir_requests_total", &[("code", "200")], |n| n > 239.5);
    let after = series(&gateway.metrics());
    let new: Vec<_> = after.difference(&before).collect();
    assert!(
        new.len() <= 4,
        "{} new series: {:?}",
        new.len(),
        &new[..new.len().min(8)]
    );
    let text = gateway.metrics().text;
    for invented in ["made-up", "tail-", "wrong", "M77"] {
        assert!(!text.contains(invented), "{invented} is a label");
    }
}

#[test]
fn series_of_retired_versions_and_deleted_deployments_expire() {
    let backends = [Backend::echo(), Backend::echo()];
    let gateway = Gateway::with(iris(&backends[0]))
        .env("WEIR_METRICS_SERIES_IDLE_S", 1)
        .start();
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v1");
    gateway.wait_metric("weir_requests_total", &[("deployment", "iris")], |n| {
        n > 0.5
    });
    let old = gateway.metrics();
    let old: Vec<_> = old
        .select("weir_requests_total", &[("deployment", "iris")])
        .cloned()
        .collect();
    let label = old[0].label("version").unwrap().to_owned();
    gateway.redeclare(iris(&backends[1]));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v2");
    eventually(PATIENCE, "series of version 1 are gone", || {
        gateway
            .metrics()
            .select("weir_requests_total", &[("version", &label)])
            .next()
            .is_none()
    });
    gateway.redeclare(crate::support::key(crate::support::KEY, "demo"));
    let mut left = Vec::new();
    let gone = crate::support::holds_within(PATIENCE, || {
        let metrics = gateway.metrics();
        let of_iris = metrics.samples.into_iter();
        left = of_iris
            .filter(|s| s.label("deployment") == Some("iris"))
            .collect();
        left.is_empty()
    });
    assert!(
        gone,
        "{} series stay: {:?}",
        left.len(),
        &left[..left.len().min(5)]
    );
    // What belongs to no deployment stays, however long nobody has written to it.
    assert!(gateway.metric("weir_upstream_connects_total", &[("result", "ok")]) > 0.5);
}

#[test]
fn a_live_deployment_that_rests_keeps_counting_where_it_was() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_METRICS_SERIES_IDLE_S", 1)
        .start();
    for _ in 0..5 {
        gateway.call(&post(), &[AUTH], b"");
    }
    gateway.wait_metric("weir_requests_total", &[("deployment", "iris")], |n| {
        (n - 5.0).abs() < 0.5
    });
    // Longer than the idle limit, without a request.
    assert!(!crate::support::holds_within(
        std::time::Duration::from_millis(2_500),
        || { gateway.metric("weir_requests_total", &[("deployment", "iris")]) < 4.5 }
    ));
    gateway.call(&post(), &[AUTH], b"");
    gateway.wait_metric("weir_requests_total", &[("deployment", "iris")], |n| {
        (n - 6.0).abs() < 0.5
    });
}

#[test]
fn a_token_guards_the_metrics_when_it_is_set() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_METRICS_TOKEN", "a-scrape-token-0123456789")
        .start();
    let refused = gateway.admin("GET /metrics");
    assert_eq!(refused.status, 401);
    assert!(!refused.text().contains("weir_"));
    let admin = gateway.ready["admin_url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://");
    let admin: std::net::SocketAddr = admin.trim_end_matches('/').parse().unwrap();
    for (token, status) in [
        ("Bearer wrong", 401),
        ("Bearer a-scrape-token-0123456789", 200),
    ] {
        let answer =
            RawClient::connect(admin).call("GET /metrics", &[("authorization", token)], b"");
        assert_eq!(answer.status, status, "{token}");
    }
    assert_eq!(gateway.admin("GET /healthz").status, 200);
}

#[test]
fn broken_and_left_exchanges_are_counted_once() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("some"));
        if head.target() == "/torn" {
            return Next::Reset;
        }
        conn.wait_end(PATIENCE);
        Next::Close
    });
    let gateway = Gateway::start(iris(&backend));
    let _ = gateway
        .connect()
        .request(&format!("{}/torn", post()), &[AUTH], b"")
        .try_response("POST");
    let mut leaving = gateway.connect();
    leaving.request(&post(), &[AUTH], b"").head();
    drop(leaving);
    let labels = [("deployment", "iris"), ("role", "main")];
    gateway.wait_metric("weir_requests_total", &labels, |n| n > 1.5);
    gateway.wait_metric("weir_requests_in_flight", &[], |n| n < 0.5);
    assert!((gateway.metric("weir_requests_total", &labels) - 2.0).abs() < 0.5);
}
