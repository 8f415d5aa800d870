//! Results alone are on standard output, and colour only where somebody sees it.

use serde_json::json;

use crate::{
    ops_cli_nouns::fleet,
    support::{admin::at, version},
};

/// Starts every colour.
const ESC: char = '\u{1b}';

#[test]
fn results_alone_are_on_standard_output() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    let url = fleet.backends[1].url();
    let made = cli.run(&format!(
        "deployment create demo/new --backend {url} -o json"
    ));
    let body: serde_json::Value = serde_json::from_str(&made.out).expect(&made.out);
    assert_eq!(
        (&body["project"], &body["name"]),
        (&json!("demo"), &json!("new"))
    );
    assert!(body["first_key"]["secret"].is_string(), "{body}");
    made.plain();
    let told = cli.run(&format!("deployment deploy demo/new --backend {url}"));
    assert!(
        told.err.contains("deploying") || told.err.contains("live"),
        "{told:?}"
    );
    // Elsewhere than on a terminal there is a line per phase, not a line rewritten.
    told.plain();
    let quiet = cli.run(&format!("-q deployment deploy demo/new --backend {url}"));
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""), "{quiet:?}");
    for line in [
        "deployment list",
        "key list demo/iris",
        "task list",
        "status",
    ] {
        let ran = cli.run(line);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (0, ""),
            "weir {line}: {ran:?}"
        );
        assert!(ran.out.ends_with('\n'), "weir {line}: {ran:?}");
    }
}

#[test]
fn colour_is_for_those_who_see_it() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    let coloured = |line: &str, env: &[(&str, &str)]| {
        let mut cli = cli.clone();
        for (name, value) in env {
            cli = cli.env(name, value);
        }
        let ran = cli.run(line);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out.contains(ESC)
    };
    assert!(!coloured("deployment list", &[]));
    assert!(coloured("--color always deployment list", &[]));
    assert!(coloured("deployment list --color always", &[]));
    assert!(!coloured("--color never deployment list", &[]));
    assert!(
        !coloured("--color always -o json deployment list", &[]),
        "JSON is for programs"
    );
    let seen = |line: &str, env: &[(&str, &str)]| {
        let mut cli = cli.clone();
        for (name, value) in env {
            cli = cli.env(name, value);
        }
        let (code, raw, screen) = cli.on_terminal(line).ended();
        assert_eq!(code, Some(0), "{screen}");
        assert_eq!(screen.count("demo/broken"), 1, "{screen}");
        raw.contains("\u{1b}[")
    };
    assert!(seen("deployment list", &[]));
    assert!(!seen("deployment list", &[("NO_COLOR", "1")]));
    assert!(
        seen("deployment list", &[("NO_COLOR", "")]),
        "an empty one says nothing"
    );
    assert!(!seen("deployment list --color never", &[]));
    assert!(!seen("deployment list", &[("TERM", "dumb")]));
    // Whoever asks for it by hand gets it.
    assert!(coloured(
        "--color always deployment list",
        &[("NO_COLOR", "1")]
    ));
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let nasty = "red \u{1b}[31m bell \u{7} title \u{1b}]0;x\u{7} csi \u{9b}2J";
    let changed = api.patch(&at("demo/iris"), &json!({"description": nasty}));
    if changed.status == 200 {
        for line in ["deployment info demo/iris", "deployment list --wide"] {
            cli.ok(line);
        }
    }
    api.key(&at("demo/iris"), &json!({"description": "two\twords"}));
    let spec = version(&fleet.backends[0].url());
    api.deploy("demo/iris", &spec);
    for line in ["key list demo/iris", "deployment versions demo/iris"] {
        cli.ok(line);
    }
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let fleet = fleet();
    let api = fleet.gateway.api();
    for n in 0..150 {
        api.project(&format!("p{n:03}-{}", "long".repeat(12)));
    }
    let cli = fleet.gateway.cli();
    let weir = crate::support::gateway::binary();
    let url = fleet.gateway.admin_url();
    let script = format!(
        "set -o pipefail; for i in 1 2 3; do '{}' project list | head -n 1; done",
        weir.display()
    );
    let ran = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(cli.home())
        .env("WEIR_ADMIN_URL", url)
        .env("WEIR_ADMIN_TOKEN", crate::support::gateway::ADMIN_TOKEN)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && words.is_empty(), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 3);
}
