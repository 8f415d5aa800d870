//! What goes wrong has a code for scripts, words for people, and says what to do.

use serde_json::json;

use crate::{
    ops_cli_nouns::fleet,
    support::{Cli, Gateway, Nowhere, admin::at, want},
};

/// Checks that each command ends with the code, prints no result, and says the words; all that is
/// wrong is told at once.
#[track_caller]
fn all_fail(cli: &Cli, cases: &[(i32, &str, &[&str])]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(code, line, words)| {
            let ran = cli.run(line);
            let missing = words.iter().find(|&&word| !ran.err.contains(word));
            let own = *code == 2 || ran.err.lines().any(|line| line.starts_with("weir: "));
            let good = ran.code == *code && ran.out.is_empty() && own && missing.is_none();
            (!good).then(|| format!("{code} wanted, without {missing:?}: {ran}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_refused_or_fails_is_1() {
    let fleet = fleet();
    let nowhere = fleet.nowhere.url();
    let failed = format!("deployment deploy demo/iris --backend {nowhere}");
    let cli = fleet.gateway.cli();
    let backends =
        json!([{"url": "ftp://127.0.0.1:1"}, {"url": "http://127.0.0.1:1", "weigth": 2}]);
    cli.file(
        "bad.json",
        &json!({"main": {"backends": backends}}).to_string(),
    );
    all_fail(
        &cli,
        &[
            (
                1,
                "deployment create demo/new --file bad.json",
                &[
                    "bad.json:1:",
                    "main/backends/0/url: ",
                    "main/backends/1/weigth: ",
                ],
            ),
            (
                1,
                "deployment deploy demo/iris --file bad.json",
                &[
                    "bad.json:1:",
                    "main/backends/0/url: ",
                    "main/backends/1/weigth: ",
                ],
            ),
            (
                1,
                "subscription add demo --webhook http://192.0.2.1/hook",
                &["\n  /target/url: "],
            ),
            (1, &failed, &["deploy of iris_v2 failed: ", &nowhere]),
        ],
    );
}

#[test]
fn usage_is_2() {
    let fleet = fleet();
    all_fail(
        &fleet.gateway.cli(),
        &[
            (2, "", &[]),
            (2, "deploymint list", &["deployment"]),
            (2, "deployment lst", &["list"]),
            (2, "deployment list --no-such-flag", &["--no-such-flag"]),
            (2, "deployment info", &[]),
            (2, "deployment list -o yaml", &["json"]),
            (2, "deployment create demo/new", &["--backend"]),
            (
                2,
                "deployment create demo/new --backend ftp://127.0.0.1:1",
                &["ftp://127.0.0.1:1"],
            ),
            (
                2,
                "deployment create demo/UPPER --backend http://127.0.0.1:1",
                &["UPPER"],
            ),
            (2, "deployment delete demo/iris --yes", &["--reason"]),
            (2, "deployment info iris", &["iris"]),
            (2, "deployment info a/b/c", &["a/b/c"]),
            (2, "key add", &[]),
            (
                2,
                "deployment delete demo/iris --reason x",
                &["\nhint: ", "--yes"],
            ),
        ],
    );
}

#[test]
fn no_gateway_is_3() {
    let down = Nowhere::new();
    let lost = format!("--admin-url {} --token x status", down.url());
    let list = format!("deployment list --token x --admin-url {}", down.url());
    let words: &[&str] = &[&down.url(), "\nhint: "];
    all_fail(&Cli::lost(), &[(3, &lost, words), (3, &list, words)]);
}

#[test]
fn what_is_not_there_is_4() {
    let fleet = fleet();
    let elsewhere = format!(
        "deployment create nobody/iris --backend {}",
        fleet.backends[0].url()
    );
    all_fail(
        &fleet.gateway.cli(),
        &[
            (4, "deployment info demo/nothing", &["demo/nothing"]),
            (4, "deployment history demo/nothing", &["demo/nothing"]),
            (4, "deployment logs demo/nothing", &["demo/nothing"]),
            (4, "deployment stop demo/nothing", &["demo/nothing"]),
            (
                4,
                "deployment delete demo/nothing --reason x --yes",
                &["demo/nothing"],
            ),
            (4, "deployment versions demo/iris 99", &["99"]),
            (4, "deployment rollback demo/iris --to 99", &["99"]),
            (4, "key info demo/iris nothing", &["nothing"]),
            (4, "key list nothing", &["nothing"]),
            (4, "key add demo/nothing", &["nothing"]),
            (4, "key revoke demo/iris nothing --yes", &["nothing"]),
            (4, "project info nothing", &["nothing"]),
            (4, "tenant info nothing", &["nothing"]),
            (4, "token info nothing", &["nothing"]),
            (4, "task info nothing", &["nothing"]),
            (4, "async show demo/iris nothing", &["nothing"]),
            (4, &elsewhere, &["nobody", "--create-project"]),
        ],
    );
}

#[test]
fn who_may_not_is_5() {
    let fleet = fleet();
    let viewer = json!({"name": "v", "role": "viewer"});
    let viewer = fleet.gateway.api().token(&viewer).1;
    let not_mine = format!("--token {viewer} deployment stop demo/iris");
    all_fail(
        &fleet.gateway.cli(),
        &[
            (5, "--token wrong deployment list", &["\nhint: ", "token"]),
            (5, &not_mine, &[]),
        ],
    );
}

#[test]
fn what_is_there_already_or_not_to_be_done_now_is_6() {
    let fleet = fleet();
    let twice = format!(
        "deployment create demo/iris --backend {}",
        fleet.backends[0].url()
    );
    all_fail(
        &fleet.gateway.cli(),
        &[
            (6, &twice, &["demo/iris"]),
            (6, "project create demo", &["demo"]),
            (6, "deployment promote demo/iris", &["challenger"]),
            (6, "deployment rollback demo/iris", &[]),
        ],
    );
}

#[test]
fn drift_is_7() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    cli.file(
        "drift.toml",
        &declared("demo/elsewhere", &fleet.backends[0].url()),
    );
    assert_eq!(cli.run("diff -f drift.toml").code, 7);
}

/// A file with one deployment.
fn declared(name: &str, url: &str) -> String {
    let deployment = crate::support::deployment(name);
    deployment.backend_at(url, "").to_string()
}

#[test]
fn a_change_meanwhile_and_a_busy_deployment_are_said() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let patient = json!({"unreachable_ms": 0});
    let spec = json!({"main": {"backends": [{"url": fleet.nowhere.url()}]}, "readiness": patient});
    let id = api.begin(&format!("{}/versions", at("demo/iris")), &spec);
    // It waits for its turn behind the one that never ends.
    let ran = cli.run("deployment stop demo/iris --timeout 1");
    ran.said(1, &["weir task wait "]);
    want(200, &api.poke(&format!("/tasks/{id}/cancel")));
}

#[test]
fn without_a_token_it_says_how_to_give_one() {
    let gateway = Gateway::bare().start();
    let url = gateway.admin_url();
    let lost = Cli::lost().env("WEIR_ADMIN_URL", &url);
    let ran = lost.run("status");
    assert_ne!(ran.code, 0, "{ran:?}");
    for words in ["--token", "WEIR_ADMIN_TOKEN", "weir context"] {
        assert!(ran.err.contains(words), "no {words}: {ran:?}");
    }
    let token = "wat_secret_0123456789abcdefghijklmnopqrstuvwxyz";
    let ran = lost.run(&format!("--token {token} status"));
    ran.said(5, &[]);
    assert!(!ran.err.contains(token), "{ran:?}");
}

#[test]
fn a_place_that_is_no_gateway_is_told_from_one() {
    let odd = crate::support::Backend::says("<html>hello</html>");
    let cli = Cli::lost().env("WEIR_ADMIN_TOKEN", "x");
    let url = odd.url();
    for line in ["status", "deployment list", "deployment info demo/iris"] {
        let ran = cli.run(&format!("--admin-url {url} {line}"));
        assert!(matches!(ran.code, 1 | 3), "{ran:?}");
        assert!(
            ran.err.starts_with("weir: ") && ran.err.contains(&url),
            "{ran:?}"
        );
    }
    for bad in ["nonsense", "ftp://127.0.0.1", "http://"] {
        let ran = cli.run(&format!("--admin-url {bad} status"));
        assert!(matches!(ran.code, 2 | 3), "{bad}: {ran:?}");
        assert!(!ran.err.contains("panicked"), "{bad}: {ran:?}");
    }
}

#[test]
fn help_names_the_codes() {
    let help = Cli::lost().ok("--help");
    for (code, words) in [
        "done", "refused", "usage", "reach", "found", "allowed", "busy", "drift",
    ]
    .iter()
    .enumerate()
    {
        let line = help.lines().find(|l| {
            l.trim_start().starts_with(&code.to_string()) || l.contains(&format!(" {code} "))
        });
        assert!(line.is_some(), "no {code}: {help}");
        assert!(help.to_lowercase().contains(words), "no {words}: {help}");
    }
    for noun in [
        "status",
        "context",
        "deployment",
        "endpoint",
        "key",
        "project",
        "tenant",
        "token",
        "task",
        "async",
        "subscription",
        "apply",
        "diff",
        "export",
        "check",
        "completions",
    ] {
        let help = Cli::lost().ok(&format!("{noun} --help"));
        assert!(help.lines().count() > 3, "weir {noun} --help: {help}");
    }
}
