//! The metrics say what the API says, and nothing that is a secret.

use std::process::Command;

use serde_json::json;

use crate::support::{
    Duel, Gateway, PATIENCE,
    duel::{NAME, alike, both, challenged, lenient, puppets},
    eventually,
};

const OF: [(&str, &str); 2] = [("project", "demo"), ("deployment", "iris")];

fn labelled<'a>(label: (&'a str, &'a str)) -> [(&'a str, &'a str); 3] {
    [OF[0], OF[1], label]
}

#[test]
fn metrics_say_what_the_api_says() {
    let sides = puppets();
    let verdict = json!({"max_latency_ratio_p50": 900.0, "max_latency_ratio_p99": 900.0});
    let spec = challenged(&sides.0.url(), &sides.1.url(), json!({"verdict": verdict}));
    let builder = Gateway::bare().env("WEIR_METRICS_SERIES_IDLE_S", 1);
    let duel = Duel::on(builder, &spec);
    duel.asks(20, &alike(json!({})));
    duel.asks(20, &both(json!({"text": "1"}), json!({"text": "2"})));
    duel.asks(2, &both(json!({}), json!({"status": 500})));
    duel.ask(&both(json!({"status": 500}), json!({})));
    let shown = duel.saw(43);
    let pairs = "weir_comparison_pairs_total";
    for (result, count) in [("agree", 20.0), ("disagree", 22.0), ("uncompared", 1.0)] {
        duel.gateway
            .wait_metric(pairs, &labelled(("result", result)), |n: f64| {
                (n - count).abs() < 0.5
            });
    }
    let near = |have: f64, pointer: &str| {
        let wanted = shown
            .pointer(pointer)
            .and_then(|v| v.as_f64())
            .expect(pointer);
        (have - wanted).abs() < 1e-6
    };
    let wait = |name: &str, labels: &[(&str, &str)], pointer: &str| {
        duel.gateway.wait_metric(name, labels, |n| near(n, pointer));
    };
    wait("weir_comparison_agreement_ratio", &OF, "/agreement/value");
    wait(
        "weir_comparison_error_increase_ratio",
        &OF,
        "/errors/increase/value",
    );
    for (percentile, member) in [("50", "p50"), ("99", "p99")] {
        let pointer = format!("/latency/{member}/ratio/value");
        let labels = labelled(("percentile", percentile));
        wait("weir_comparison_latency_ratio", &labels, &pointer);
    }
    assert_eq!(shown["verdict"]["state"], "reject", "{shown}");
    for (state, value) in [("promote", 0.0), ("hold", 0.0), ("reject", 1.0)] {
        let labels = labelled(("state", state));
        duel.gateway
            .wait_metric("weir_comparison_verdict", &labels, |n: f64| {
                (n - value).abs() < 0.1
            });
    }
    duel.gateway
        .wait_metric("weir_comparison_available", &[], |n| n > 0.5);
    duel.gateway
        .wait_metric("weir_comparison_bytes", &[], |n| n > 1_000.0);
    let copies = duel
        .gateway
        .metric("weir_requests_total", &[("role", "challenger")]);
    assert!((copies - 43.0).abs() < 0.5, "{copies}");
    // A new version is another verdict; what was counted stays counted.
    let spec = challenged(
        &sides.0.url(),
        &sides.1.url(),
        json!({"verdict": lenient(json!({}))}),
    );
    duel.api.deploy(NAME, &spec);
    duel.asks(1, &alike(json!({})));
    duel.saw(1);
    let labels = labelled(("state", "reject"));
    duel.gateway
        .wait_metric("weir_comparison_verdict", &labels, |n| n < 0.1);
    duel.gateway
        .wait_metric(pairs, &labelled(("result", "agree")), |n| {
            (n - 21.0).abs() < 0.5
        });
    // A deployment that is gone has no verdict.
    duel.gateway
        .cli()
        .ok("deployment delete demo/iris --reason done --yes");
    let left = || {
        duel.gateway
            .metrics()
            .select("weir_comparison_verdict", &OF)
            .count()
    };
    eventually(PATIENCE, "its verdict goes", || left() == 0);
}

#[test]
fn metrics_hold_no_secret_and_are_well_formed() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"keep_bodies": {"sample": 1.0}}));
    let secret = "s3cr3t-in-a-body";
    let part = |text: &str| json!({"text": json!({"label": text}).to_string()});
    duel.asks(5, &both(part(secret), part("0ther-label")));
    duel.saw(5);
    duel.listed("", 5);
    let text = duel.gateway.metrics().text;
    for hidden in [secret, duel.secret.as_str(), "0ther-label"] {
        assert!(!text.contains(hidden), "{hidden} is in the metrics");
    }
    for name in [
        "weir_comparison_pairs_total",
        "weir_comparison_agreement_ratio",
        "weir_comparison_verdict",
        "weir_comparison_bytes",
        "weir_comparison_available",
    ] {
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} is explained"
        );
        assert!(
            text.contains(&format!("# TYPE {name} ")),
            "{name} has a type"
        );
    }
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("promtool is not installed: its check is skipped");
        return;
    }
    let cli = duel.gateway.cli();
    let file = cli.file("metrics", &text);
    let line = format!("promtool check metrics < {}", file.display());
    let checked = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|l| l.contains("comparison")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
