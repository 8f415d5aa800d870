//! Limits, priorities and what protects backends, from the command line and from files.

use serde_json::json;

use crate::support::{Backend, Gateway, KEY, admin::at, deployment, key, version};

#[test]
fn limits_of_a_deployment_are_shown_changed_one_by_one_and_lifted() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    api.create("demo/iris", &version(&backend.url()));
    let limits = |expected| assert_eq!(api.show(&at("demo/iris"))["limits"], expected);
    assert!(cli.ok("deployment limits demo/iris").contains("none"));
    let told = cli.ok("deployment limits demo/iris --requests-per-second 500 --burst 1000");
    assert!(told.contains("500/s (burst 1,000)"), "{told}");
    cli.ok("deployment limits demo/iris --concurrency 64 --count");
    limits(
        json!({"requests_per_second": 500.0, "burst": 1000, "concurrency_max": 64,
        "mode": "count"}),
    );
    let info = cli.ok("deployment info demo/iris --calls none");
    assert!(
        info.contains("500/s (burst 1,000), 64 at once; only counted"),
        "{info}"
    );
    let wide = cli.ok("deployment list --wide");
    assert!(wide.contains("500/s (burst 1,000), 64 at once"), "{wide}");
    cli.ok("deployment limits demo/iris --requests-per-second none --enforce");
    limits(json!({"concurrency_max": 64}));
    let shown = cli.json("deployment limits demo/iris");
    assert_eq!(shown, api.show(&at("demo/iris")));
    let both = cli.run("deployment limits demo/iris --none --burst 5");
    assert_eq!(both.code, 2, "{both:?}");
    let refused = cli.run("deployment limits demo/iris --concurrency 0");
    assert!(
        refused.code != 0 && refused.err.contains("/limits/concurrency_max"),
        "{refused:?}"
    );
    cli.ok("deployment limits demo/iris --none");
    limits(json!({}));
    let history = cli.ok("deployment history demo/iris");
    assert!(history.contains("changed limits"), "{history}");
}

#[test]
fn what_protects_backends_is_shown_changed_and_taken_away() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    api.create("demo/iris", &version(&backend.url()));
    assert!(cli.ok("deployment overload demo/iris").contains("none"));
    let told = cli.ok("deployment overload demo/iris --concurrency 64 --adaptive --queue 12");
    assert!(
        told.contains("adaptive, 4 to 64 at once, 12 may wait 1,000 ms"),
        "{told}"
    );
    cli.ok("deployment overload demo/iris --concurrency 2 --no-adaptive");
    assert_eq!(
        api.show(&at("demo/iris"))["overload"],
        json!({"concurrency_max": 2, "adaptive": false, "concurrency_min": 2, "queue_max": 12,
            "queue_timeout_ms": 1000})
    );
    cli.ok("deployment overload demo/iris --none");
    assert!(api.show(&at("demo/iris"))["overload"].is_null());
}

#[test]
fn keys_are_made_with_limits_and_have_them_changed() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    api.create("demo/iris", &version(&backend.url()));
    let line = "key add demo/iris -q --requests-per-second 0.001 --burst 1 --priority bulk";
    let secret = cli.ok(line).trim().to_owned();
    let call = || {
        gateway
            .call("POST /predict/demo/iris", &[("x-api-key", &secret)], b"")
            .status
    };
    assert_eq!((call(), call()), (200, 429));
    let keys = api.list(&format!("{}/keys", at("demo/iris")));
    let id = keys
        .iter()
        .find(|key| key["priority"] == "bulk")
        .expect("made")["id"]
        .clone();
    let id = id.as_str().expect("an id");
    let table = cli.ok("key list demo/iris");
    assert!(
        table.contains("bulk") && table.contains("0.001/s (burst 1)"),
        "{table}"
    );
    let told = cli.ok(&format!("key limits demo/iris {id}"));
    assert!(
        told.contains("refused:") && told.contains("1 by requests"),
        "{told}"
    );
    let told = cli.ok(&format!(
        "key limits demo/iris {id} --none --priority interactive"
    ));
    assert!(told.contains("interactive"), "{told}");
    assert_eq!((call(), call()), (200, 200));
}

#[test]
fn files_say_them_and_an_export_says_them_again() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    let file = |of_deployment: &str, of_key: &str| {
        let iris = deployment("demo/iris").backend(&backend).to_string();
        let lines = format!("{of_deployment}\n[deployment.version]");
        let iris = iris.replace("[deployment.version]", &lines);
        let key = key(KEY, "demo/iris");
        cli.file(
            "weir.toml",
            &format!("{iris}\n{}\n{of_key}\n", key.trim_end()),
        );
    };
    let limits = "limits = { requests_per_second = 100.0, burst = 200 }";
    let overload = "overload = { concurrency_max = 64, adaptive = true }";
    file(
        &format!("{limits}\n{overload}"),
        "limits = { requests_per_day = 1000 }\npriority = 'bulk'",
    );
    cli.ok("check weir.toml");
    cli.ok("apply -f weir.toml");
    assert!(cli.ok("diff -f weir.toml").contains("Nothing to do"));
    let exported = cli.ok("export");
    for line in [
        limits,
        overload,
        "limits = { requests_per_day = 1000 }",
        "priority = \"bulk\"",
    ] {
        assert!(exported.contains(line), "no {line}: {exported}");
    }
    cli.file("again.toml", &exported);
    assert!(cli.ok("diff -f again.toml").contains("Nothing to do"));
    file(
        "limits = { requests_per_second = 50.0 }",
        "priority = 'interactive'",
    );
    let diff = cli.run("diff -f weir.toml");
    assert_eq!(diff.code, 7, "{diff:?}");
    for line in [
        "limits: {\"requests_per_second\":100.0,\"burst\":200} -> {\"requests_per_second\":50.0}",
        "limits: {\"requests_per_day\":1000} -> {}",
        "priority: \"bulk\" -> \"interactive\"",
    ] {
        assert!(diff.out.contains(line), "no {line}: {}", diff.out);
    }
    cli.ok("apply -f weir.toml");
    let shown = api.show(&at("demo/iris"));
    assert_eq!(shown["limits"], json!({"requests_per_second": 50.0}));
    assert!(shown["overload"].is_null(), "{shown}");
    assert_eq!(shown["live_version"], 1, "no new version");
    let wrong =
        "limits = { burst = 5, request_per_second = 1 }\noverload = { concurrency_max = 0 }";
    file(wrong, "priority = 'high'");
    let refused = cli.run("check weir.toml");
    assert_ne!(refused.code, 0);
    let said = format!("{}{}", refused.out, refused.err);
    for words in [
        "/deployment/0/limits/burst",
        "did you mean \"requests_per_second\"?",
        "/deployment/0/overload/concurrency_max: must be from 1 to 100000",
        "/key/0/priority: this is none of interactive, default, bulk",
    ] {
        assert!(said.contains(words), "no {words}: {said}");
    }
}
