//! The demo shows it all, and the models in it run alone too.

use std::{
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::life::Process;
use crate::support::{
    Ended, Gateway, Nowhere, PATIENCE, RawClient, eventually, gateway::command, tls::Pki,
};

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
    // Declarations that come from no file are built and published like any others.
    assert!(demo.metric("weir_snapshot_build_seconds_count", &[]) > 0.5);

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
    curl_lines_work(&Gateway::demo(), &[]);
    let pki = Pki::new();
    let demo = pki
        .on("ADMIN", pki.on("DATA", Gateway::demo_with()))
        .start();
    let log = demo.log();
    assert!(
        log.contains("export CURL_CA_BUNDLE=ca.pem WEIR_CA_FILE=ca.pem"),
        "{log}"
    );
    curl_lines_work(&demo, &[("CURL_CA_BUNDLE", pki.path("ca.pem"))]);
}

#[track_caller]
fn curl_lines_work(demo: &Gateway, env: &[(&str, PathBuf)]) {
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
            .envs(env.iter().map(|(name, value)| (name, value)))
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
