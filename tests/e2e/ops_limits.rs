//! Limits, priorities and what protects backends, from the command line and from files.

use serde_json::json;

use crate::support::{Backend, Gateway, KEY, admin::at, deployment, key, version, want};

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
    refused.said(
        2,
        &["'--concurrency <N>': must be a whole number from 1 to 1000000, or `none`"],
    );
    cli.ok("deployment limits demo/iris --none");
    limits(json!({}));
    let history = cli.ok("deployment history demo/iris");
    for change in [
        "limits: none -> 500/s (burst 1,000)",
        "limits: 500/s (burst 1,000), 64 at once; only counted -> 64 at once",
        "limits: 64 at once -> none",
    ] {
        assert!(history.contains(change), "no {change}: {history}");
    }
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
    // A floor that nobody named is not kept: it follows what it is under.
    for (most, told) in [(2, "adaptive, 2 to 2"), (32, "adaptive, 4 to 32")] {
        let shown = cli.ok(&format!(
            "deployment overload demo/iris --concurrency {most}"
        ));
        assert!(shown.contains(told), "{shown}");
    }
    cli.ok("deployment overload demo/iris --concurrency 2 --no-adaptive");
    assert_eq!(
        api.show(&at("demo/iris"))["overload"],
        json!({"concurrency_max": 2, "adaptive": false, "queue_max": 12, "queue_timeout_ms": 1000})
    );
    // A floor is for what adapts, and for what it is under.
    cli.fails_with(
        2,
        "deployment overload demo/iris --concurrency-min 2",
        &[
            "--concurrency-min is how far --adaptive",
            "hint: add --adaptive",
        ],
    );
    cli.fails_with(
        1,
        "deployment overload demo/iris --concurrency 4 --adaptive --concurrency-min 5",
        &["--concurrency-min: must not be above --concurrency, which is 4"],
    );
    for (line, words) in [
        (
            "--queue-timeout-ms 1s",
            "must be milliseconds, a whole number from 1 to 86400000",
        ),
        ("--queue -1", "must be a whole number from 0 to 100000"),
    ] {
        let line = format!("deployment overload demo/iris {line}");
        cli.run(&line).said(2, &[words]);
    }
    let told = cli.ok("deployment overload demo/iris");
    assert!(
        told.contains("refused:") && told.contains("nothing"),
        "{told}"
    );
    cli.ok("deployment overload demo/iris --none");
    assert!(api.show(&at("demo/iris"))["overload"].is_null());
    let history = cli.ok("deployment history demo/iris");
    let change = "overload: none -> adaptive, 4 to 64 at once, 12 may wait 1,000 ms";
    assert!(history.contains(change), "no {change}: {history}");
}

#[test]
fn flags_for_limits_are_refused_in_their_own_words() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    api.create("demo/iris", &version(&backend.url()));
    let (id, _) = api.key(&at("demo/iris"), &json!({}));
    let limits = format!("key limits demo/iris {id}");
    for line in ["--burst -5", "--burst 1.5", "--burst 0", "--burst 1000001"] {
        let ran = cli.run(&format!("{limits} {line}"));
        ran.said(
            2,
            &["'--burst <N>': must be a whole number from 1 to 1000000, or `none`"],
        );
        assert!(!ran.err.contains("tip:"), "{ran}");
    }
    let create = "deployment create demo/new --backend http://127.0.0.1:9";
    for line in [&limits, "key create demo/iris", create] {
        cli.fails_with(
            1,
            &format!("{line} --burst 5"),
            &["--burst: is how many", "it needs --requests-per-second"],
        );
        for mode in ["--count", "--enforce"] {
            cli.fails_with(
                2,
                &format!("{line} {mode}"),
                &[
                    &format!("{mode} is for limits, and there are none"),
                    "hint: name one",
                ],
            );
        }
    }
    // With a limit it is a mode; without the last of them it goes, too.
    cli.ok(&format!("{limits} --count --concurrency 3"));
    let path = format!("{}/keys/{id}", at("demo/iris"));
    let both = json!({"concurrency_max": 3, "mode": "count"});
    assert_eq!(api.show(&path)["limits"], both);
    cli.ok(&format!("{limits} --concurrency none"));
    assert_eq!(api.show(&path)["limits"], json!({}));
}

#[test]
fn a_key_that_is_not_there_is_said_to_be_where_it_is() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    let made = api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({}));
    let (whole, _) = api.key("/projects/demo", &json!({}));
    for (verb, scope, id, home) in [
        ("info", "demo", &id, "demo/iris"),
        ("info", "instance", &id, "demo/iris"),
        ("limits", "demo/iris", &whole, "demo"),
        ("edit", "instance", &whole, "demo/iris"),
        ("revoke --yes", "demo", &id, "demo/iris"),
    ] {
        let more = if verb == "edit" {
            "--description x"
        } else {
            ""
        };
        let err = cli.fails_well(4, &format!("key {verb} {scope} {id} {more}"));
        // A whole project's is not looked for from the instance: there may be many.
        let hint = match (verb, home) {
            ("edit", _) => format!("`weir key list {scope}` shows the ids"),
            _ => format!("a key of this id opens {home}: name it as `{home} {id}`"),
        };
        assert!(err.contains(&hint), "{verb}: {err}");
    }
    cli.fails_with(
        4,
        "key info demo nobody",
        &[
            "`weir key list demo`",
            "PROJECT/DEPLOYMENT, PROJECT or `instance`",
        ],
    );
    cli.fails_with(
        4,
        "key info demo/nowhere k1",
        &["hint: `weir deployment list` shows"],
    );
    // A key in place of its id is not repeated, by whichever of the two it is seen.
    let err = cli.fails_well(2, &format!("key limits demo/iris {secret}"));
    assert!(
        err.contains("that is a key itself") && err.contains(&id),
        "{err}"
    );
    assert!(!err.contains(&secret), "{err}");
    let own = "0123456789abcdefghijklmnop";
    let imported = json!({ "secret": own });
    want(
        201,
        &api.post(&format!("{}/keys", at("demo/iris")), &imported),
    );
    let err = cli.fails_well(4, &format!("key info demo/iris {own}"));
    assert!(err.contains("that is a key itself"), "{err}");
    // Nor is it looked for elsewhere, which would take it into more URLs.
    let hint = "shows those there are";
    assert!(err.contains(hint) && !err.contains(own), "{err}");
    // The First Key stays as it is, and there is a way.
    for line in [
        "limits demo/iris ID --burst none --concurrency 3",
        "revoke demo/iris ID --yes",
    ] {
        let line = format!("key {}", line.replace("ID", &made.key_id));
        cli.fails_with(
            6,
            &line,
            &["First Key", "make another key", "hint: `weir key create"],
        );
    }
}

#[test]
fn backends_speak_what_a_flag_says() {
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let (cli, api) = (gateway.cli(), gateway.api());
    api.project("demo");
    let url = backend.url();
    cli.run(&format!(
        "deployment create demo/iris --backend {url} --protocol http2"
    ))
    .said(2, &["[possible values: http1, h2c, h2]"]);
    cli.fails_with(
        1,
        &format!("deployment create demo/iris --backend {url} --protocol h2"),
        &["h2"],
    );
    cli.ok(&format!(
        "deployment create demo/iris --backend {url} --protocol http1 --no-wait"
    ));
    let task = format!("deployment deploy demo/iris --backend {url} --protocol h2c --no-wait");
    cli.ok(&task);
    let versions = api.list(&format!("{}/versions", at("demo/iris")));
    let spoken = |number: u64| {
        let of = |version: &&serde_json::Value| version["version"] == number;
        let version = versions.iter().find(of).expect("a version");
        let path = format!("{}/versions/{}", at("demo/iris"), version["version"]);
        api.show(&path)["spec"]["main"]["backends"][0]["protocol"].clone()
    };
    assert_eq!((spoken(1), spoken(2)), (json!("http1"), json!("h2c")));
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
