//! Files for `weir apply`: several as one set, every mistake at once, and written back by `weir export`.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use crate::support::{Backend, Cli, Gateway, KEY, admin::at, deployment, key, version, want};

const OTHER: &str = "wk_other_0123456789abcdefghijklmnopqrstuv";

#[test]
fn the_files_of_a_directory_are_one_set() {
    let backend = Backend::says("x");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let of = |name: &str| deployment(name).backend(&backend).to_string();
    cli.file("all/10-iris.toml", &of("demo/iris"));
    cli.file("all/20-keys.toml", &key(KEY, "demo/iris"));
    cli.file("all/30-score.toml", &of("fraud/score"));
    cli.file(
        "all/00-places.toml",
        "[[tenant]]\nname = \"acme\"\n\n[[project]]\nname = \"fraud\"\ntenant = \"acme\"\n",
    );
    cli.file("all/notes.txt", "no declaration = [");
    cli.file("all/deeper/more.toml", "neither = [");
    assert_eq!(cli.run("check all").code, 0);
    let plan = cli.json("apply -f all --dry-run");
    let kinds = |kind: &str| {
        let plan = plan["plan"].as_array().expect("a plan").iter();
        plan.filter(|a| a["kind"] == kind).count()
    };
    assert_eq!(
        ["deployment", "key", "tenant", "project"].map(kinds),
        [2, 1, 1, 2],
        "{plan}"
    );
    cli.ok("apply -f all");
    let answer = gateway.call("POST /predict/demo/iris", &[("x-api-key", KEY)], b"");
    assert_eq!(answer.text(), "x");
    assert_eq!(gateway.api().show("/projects/fraud")["tenant"], "acme");
    assert!(
        cli.ok("apply -f all")
            .contains("Nothing to do: 2 deployments, 1 key as declared.")
    );

    cli.file("all/40-again.toml", &format!("\n{}", of("demo/iris")));
    for line in ["apply -f all", "check all", "diff -f all"] {
        let ran = cli.run(line);
        ran.said(1, &["10-iris.toml:1", "40-again.toml:2", "demo/iris"]);
    }
    let none = cli.home().join("empty");
    std::fs::create_dir(none).unwrap();
    let ran = cli.run("apply -f empty");
    assert!(ran.code != 0 && ran.err.contains("empty"), "{ran:?}");
}

#[test]
fn every_mistake_is_said_at_once_with_its_place() {
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let bad = "[[deployment]]\n\
               project = \"demo\"\n\
               name = \"UPPER\"\n\
               version = { main = { backends = [{ url = \"ftp://127.0.0.1:1\" }] } }\n\
               \n\
               [[key]]\n\
               scop = \"demo\"\n\
               secret = \"short\"\n";
    cli.file("bad.toml", bad);
    for line in ["apply -f bad.toml", "diff -f bad.toml", "check bad.toml"] {
        let ran = cli.run(line);
        ran.said(
            1,
            &[
                "bad.toml:3:",
                "bad.toml:4:",
                "bad.toml:7:",
                "bad.toml:8:",
                "\"scope\"",
            ],
        );
        assert_eq!(ran.out, "", "{ran:?}");
        assert!(
            !ran.err.contains("short"),
            "a key, however bad, is not shown: {ran:?}"
        );
    }
    assert!(
        gateway
            .api()
            .list("/projects")
            .iter()
            .all(|p| p["name"] != "demo")
    );
    cli.file("torn.toml", "[[deployment]\n");
    cli.run("apply -f torn.toml").said(1, &["torn.toml:1:"]);
    let ran = cli.run("apply -f nowhere.toml");
    assert!(
        matches!(ran.code, 1 | 2) && ran.err.contains("nowhere.toml"),
        "{ran:?}"
    );
    assert_eq!(cli.run("check nowhere.toml").code, 2);
    // Mistakes are found before the gateway is asked.
    let lost = Cli::lost().env("WEIR_ADMIN_URL", "http://127.0.0.1:1");
    lost.file("bad.toml", bad);
    lost.run("check bad.toml").said(1, &["bad.toml:3:"]);
    assert_eq!(cli.run("apply").code, 2);
}

#[test]
fn a_mistake_that_only_the_gateway_knows_is_said_too() {
    let backend = Backend::says("x");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let iris = deployment("demo/iris").backend(&backend).to_string();
    let key = |secret: &str| {
        format!("[[key]]\nid = \"app1\"\nsecret = \"{secret}\"\nscope = \"demo/iris\"\n")
    };
    cli.file("w.toml", &format!("{iris}\n{}", key(KEY)));
    cli.ok("apply -f w.toml");
    cli.file("w.toml", &format!("{iris}\n{}", key(OTHER)));
    let ran = cli.run("apply -f w.toml");
    ran.said(1, &["app1"]);
    for secret in [KEY, OTHER] {
        assert!(
            !format!("{}{}", ran.out, ran.err).contains(secret),
            "{ran:?}"
        );
    }
    let call = |secret: &str| {
        let headers = [("x-api-key", secret)];
        gateway
            .call("POST /predict/demo/iris", &headers, b"")
            .status
    };
    assert_eq!((call(KEY), call(OTHER)), (200, 401));
}

/// A gateway with much that is not at its default.
fn rich(backends: &[Backend; 2]) -> Gateway {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    want(
        201,
        &api.post(
            "/tenants",
            &json!({"name": "acme", "description": "a bank"}),
        ),
    );
    let project = json!({"name": "fraud", "tenant": "acme", "description": "scores"});
    want(201, &api.post("/projects", &project));
    let full = json!({
        "model": "m \"quoted\" \\ é", "notes": "two\nlines 日本", "parameters": {"a": 1, "b": [1.5, "x"]},
        "labels": {"team": "fraud", "a.b/c": "dotted"}, "instances": 2, "arch": "x86",
        "main": {
            "backends": [{"url": backends[0].url(), "weight": 3}, {"url": backends[1].url()}],
            "predict_path": "/p", "tails": ["v1"], "health_path": "/health"},
        "challenger": {"backends": [{"url": backends[1].url()}], "sample": 0.25},
        "timeouts": {"first_byte_ms": 1234}, "readiness": {"unreachable_ms": 2000},
    });
    let more = json!({"description": "the score", "display_name": "Score", "tags": ["a", "b"],
        "access": "project", "keep_previous": 2});
    api.create_with("fraud/score", &full, &more);
    api.create("demo/iris", &version(&backends[0].url()));
    gateway
}

/// Without what is said about where it came from.
fn uncommented(toml: &str) -> String {
    let lines = toml.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_export_in_git_changes_when_the_gateway_does() {
    let backends = ["one", "two"].map(Backend::says);
    let gateway = rich(&backends);
    let toml = gateway.cli().ok("export");
    let time = toml.split_whitespace().find(|word| {
        word.trim_end_matches([',', '.'])
            .parse::<jiff::Timestamp>()
            .is_ok()
    });
    assert_eq!(
        time, None,
        "each export would differ from the one before:\n{toml}"
    );
}

#[test]
fn what_is_exported_makes_the_same_elsewhere() {
    let backends = ["one", "two"].map(Backend::says);
    let first = rich(&backends);
    let (api, cli) = (first.api(), first.cli());
    let keys: Vec<(&str, String)> = [
        ("/predict/demo/iris", at("demo/iris")),
        ("/predict/fraud/score", "/projects/fraud".to_owned()),
        ("/predict/demo/iris", String::new()),
    ]
    .into_iter()
    .map(|(url, path)| {
        (
            url,
            api.key(&path, &json!({"description": url, "may_pin": true}))
                .1,
        )
    })
    .collect();
    let (revoked_id, revoked) = api.key(&at("demo/iris"), &json!({}));
    want(
        200,
        &api.poke(&format!("{}/keys/{revoked_id}/revoke", at("demo/iris"))),
    );
    let toml = cli.ok("export");
    for (_, secret) in &keys {
        assert!(!toml.contains(secret.as_str()), "{toml}");
    }
    assert!(
        !toml.contains("first_byte_ms = 60000"),
        "defaults are left out:\n{toml}"
    );
    assert_eq!(
        uncommented(&toml),
        uncommented(&cli.ok("export")),
        "the order is stable"
    );
    toml::from_str::<toml::Value>(&toml).expect("TOML");
    cli.file("all.toml", &toml);
    assert_eq!(cli.run("check all.toml").code, 0);
    let diff = cli.run("diff -f all.toml");
    assert_eq!(diff.code, 0, "{diff:#?}\n{toml}");

    let second = Gateway::bare().start();
    let there = second.cli();
    there.file("all.toml", &toml);
    there.ok("apply -f all.toml");
    for (url, secret) in &keys {
        let headers = [("x-api-key", secret.as_str())];
        let answer = second.call(&format!("POST {url}"), &headers, b"");
        assert_eq!(answer.status, 200, "{url}: {}", answer.text());
    }
    let headers = [("x-api-key", revoked.as_str())];
    assert_eq!(
        second.call("POST /predict/demo/iris", &headers, b"").status,
        401
    );
    assert!(there.ok("diff -f all.toml").contains("Nothing to do"));
    assert_eq!(
        uncommented(&there.ok("export")),
        uncommented(&toml),
        "and back again"
    );
    for name in ["fraud/score", "demo/iris"] {
        let of = |gateway: &Gateway| {
            let shown = gateway.api().show(&at(name));
            let members = [
                "version",
                "description",
                "display_name",
                "tags",
                "access",
                "keep_previous",
            ];
            members.map(|member| shown[member].clone())
        };
        assert_eq!(of(&first), of(&second), "{name}");
    }
    let tenant = second.api().show("/projects/fraud")["tenant"].clone();
    assert_eq!(tenant, Value::from("acme"));
    let part = cli.ok("export -p demo");
    assert!(part.contains("iris") && !part.contains("score"), "{part}");
    // A gateway that is started on it is the same too.
    let file = cli.home().join("all.toml");
    let third = Gateway::start(std::fs::read_to_string(file).unwrap());
    let headers = [("x-api-key", keys[0].1.as_str())];
    assert_eq!(
        third.call("POST /predict/demo/iris", &headers, b"").text(),
        "one"
    );
}

#[test]
fn a_diff_in_a_pipeline_is_told_by_its_code() {
    let backend = Backend::says("x");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    cli.file(
        "w.toml",
        &deployment("demo/iris").backend(&backend).to_string(),
    );
    let script = format!(
        "'{}' diff -f w.toml > plan.txt; echo $?",
        crate::support::gateway::binary().display()
    );
    let ran = Command::new("sh")
        .args(["-c", &script])
        .current_dir(cli.home())
        .env("WEIR_ADMIN_URL", gateway.admin_url())
        .env("WEIR_ADMIN_TOKEN", crate::support::gateway::ADMIN_TOKEN)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "7", "{ran:?}");
    let plan = std::fs::read_to_string(cli.home().join("plan.txt")).unwrap();
    assert!(plan.starts_with("+ "), "{plan}");
}

#[test]
fn what_two_apply_at_once_is_done_once_and_fails_for_nobody() {
    let backend = Backend::says("one");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let text = |model: &str| {
        let one = |n: usize| {
            let name = format!("d{n}");
            format!(
                "[[deployment]]\nproject = 'both'\nname = '{name}'\nversion.model = '{model}'\n\
                 version.main.backends = [{{ url = '{}' }}]\n\
                 [[key]]\nsecret = 'a-secret-of-number-{n}'\nscope = 'both/{name}'\n",
                backend.url()
            )
        };
        let all: String = (0..40).map(one).collect();
        format!("[[tenant]]\nname = 'acme'\n[[project]]\nname = 'both'\ntenant = 'acme'\n{all}")
    };
    let by_three = |line: &str| {
        let runs: Vec<_> = (0..3).map(|_| cli.start(line, "")).collect();
        for run in runs {
            run.ended(Duration::from_secs(45)).said(0, &[]);
        }
    };
    for model in ["m:1", "m:2"] {
        cli.file("weir.toml", &text(model));
        by_three("apply -f weir.toml");
        let after = cli.ok("diff -f weir.toml");
        assert!(after.contains("Nothing to do: 40 deployments"), "{after}");
    }
    for deployment in gateway.api().list("/deployments") {
        assert_eq!(deployment["live_version"], 2, "{deployment}");
    }
    cli.file("none.toml", "[[project]]\nname = 'both'\n");
    by_three("apply -f none.toml --prune --yes");
    assert_eq!(gateway.api().list("/deployments"), [Value::Null; 0]);
}

#[test]
fn a_patience_of_ages_is_one() {
    let backend = Backend::says("one");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    cli.file(
        "weir.toml",
        &deployment("demo/iris").backend(&backend).to_string(),
    );
    cli.ok(&format!("apply -f weir.toml --timeout {}", u64::MAX));
}

#[test]
fn texts_with_every_quote_come_back_from_an_export() {
    let backend = Backend::says("one");
    let (from, to) = (Gateway::bare().start(), Gateway::bare().start());
    let body = json!({"name": "iris", "description": "a\nends with \"\"\"", "first_key": false,
        "version": {"notes": "x\n\\\"\"\"\"", "main": {"backends": [{"url": backend.url()}]}}});
    from.api().project("demo");
    let made = from.api().post("/projects/demo/deployments?wait=20", &body);
    assert_eq!(made.status, 201, "{made:?}");
    let cli = to.cli();
    cli.file("export.toml", &from.cli().ok("export"));
    cli.ok("apply -f export.toml");
    for (of, whose) in [(from.cli(), "its own"), (to.cli(), "the other")] {
        let file = cli.home().join("export.toml");
        let diff = of.run(&format!("diff -f {}", file.display()));
        assert_eq!(diff.code, 0, "{whose}: {diff}");
    }
}
