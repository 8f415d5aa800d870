//! A file in git is what runs: planned, shown, done, and done again without doing anything.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::support::{Backend, Cli, Gateway, KEY, Nowhere, admin::at, deployment, key, problem};

/// A gateway with the project `demo`, and somebody with files.
fn gateway() -> (Gateway, Cli) {
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    gateway.api().project("demo");
    let cli = gateway.cli();
    (gateway, cli)
}

/// What is put together from parts, in a file.
fn write(cli: &Cli, name: &str, parts: &[&dyn Display]) {
    let text: Vec<String> = parts.iter().map(|part| part.to_string()).collect();
    cli.file(name, &text.join("\n"));
}

/// Lines with their spaces squeezed, so that columns may be as wide as they like.
fn squeezed(text: &str) -> Vec<String> {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines()
        .map(squeeze)
        .filter(|l| !l.is_empty())
        .collect()
}

/// Checks that the plan has these lines in this order, whatever is between them.
#[track_caller]
fn has_lines(text: &str, wanted: &[&str]) {
    let mut lines = squeezed(text).into_iter();
    for want in wanted {
        assert!(
            lines.any(|line| line == *want),
            "no {want:?} (in order) in:\n{text}"
        );
    }
}

const NOTHING: &str = "Nothing to do";

#[test]
fn a_life_by_one_file_alone() {
    let backends = ["one", "two"].map(Backend::says);
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let iris = |n: usize| {
        let version = deployment("demo/iris").backend(&backends[n - 1]);
        version.model(&format!("iris:{n}"))
    };
    let say = || gateway.call("POST /predict/demo/iris", &[("x-api-key", KEY)], b"");
    let app = key(KEY, "demo/iris");
    write(&cli, "weir.toml", &[&iris(1), &app]);
    let first = cli.run("apply -f weir.toml");
    first.said(0, &[]);
    let shown = format!("{}{}", first.out, first.err);
    has_lines(&shown, &["+ deployment demo/iris create"]);
    assert!(shown.contains("+ key "), "{shown}");
    assert_eq!(
        (say().text(), say().version()),
        ("one".into(), "iris_v1".into())
    );
    let keys = gateway.api().list(&format!("{}/keys", at("demo/iris")));
    assert_eq!(keys.len(), 1, "no First Key was asked for: {keys:?}");
    let again = cli.ok("apply -f weir.toml");
    assert!(
        again.contains(&format!("{NOTHING}: 1 deployment, 1 key as declared.")),
        "{again}"
    );

    write(&cli, "weir.toml", &[&iris(2), &app]);
    let diff = cli.run("diff -f weir.toml");
    assert_eq!(diff.code, 7, "{diff:?}");
    has_lines(
        &diff.out,
        &[
            "~ deployment demo/iris swap iris_v1 -> iris_v2",
            "version.model: \"iris:1\" -> \"iris:2\"",
        ],
    );
    let (one, two) = (backends[0].url(), backends[1].url());
    has_lines(
        &diff.out,
        &[&format!(
            "version.main.backends[0].url: \"{one}\" -> \"{two}\""
        )],
    );
    assert_eq!(say().text(), "one", "a diff does nothing");
    cli.ok("apply -f weir.toml");
    assert_eq!(
        (say().text(), say().version()),
        ("two".into(), "iris_v2".into())
    );

    // Back to what it was: what git revert leaves.
    write(&cli, "weir.toml", &[&iris(1), &app]);
    cli.ok("apply -f weir.toml");
    assert_eq!(say().text(), "one");
    assert!(cli.ok("diff -f weir.toml").contains(NOTHING));

    write(&cli, "weir.toml", &[&iris(1)]);
    assert!(
        cli.ok("apply -f weir.toml").contains(NOTHING),
        "keys stay without --prune"
    );
    assert_eq!(say().status, 200);
    let asked = cli.say("apply -f weir.toml --prune", "");
    asked.said(2, &["[y/N]", "--yes"]);
    assert_eq!(say().status, 200, "nobody said yes");
    let pruned = cli.run("apply -f weir.toml --prune --yes");
    pruned.said(0, &[]);
    assert!(
        format!("{}{}", pruned.out, pruned.err).contains("revoke"),
        "{pruned:?}"
    );
    assert_eq!(say().status, 401);

    let other = deployment("demo/other").backend(&backends[1]);
    write(&cli, "weir.toml", &[&other]);
    let ran = cli.say("apply -f weir.toml --prune", "y\n");
    ran.said(0, &[]);
    has_lines(
        &format!("{}{}", ran.out, ran.err),
        &["- deployment demo/iris delete"],
    );
    assert_eq!(gateway.api().show(&at("demo/iris"))["state"], "deleted");
    assert_eq!(gateway.api().show(&at("demo/other"))["state"], "live");
}

#[test]
fn the_plan_is_read_before_anything_is_done() {
    let (gateway, cli) = gateway();
    let api = gateway.api();
    let backend = Backend::says("x");
    for name in ["same", "told", "gone"] {
        let version = json!({"model": "model:1", "main": {"backends": [{"url": backend.url()}]}});
        api.create(&format!("demo/{name}"), &version);
    }
    let of = |name: &str| deployment(name).backend(&backend);
    let told = of("demo/told").to_string();
    let told = told.replace(
        "[deployment.version]",
        "description = \"told\"\n[deployment.version]",
    );
    write(&cli, "w.toml", &[&of("demo/new"), &of("demo/same"), &told]);
    let before = api.list("/deployments");
    let plan = cli.ok("apply -f w.toml --dry-run");
    has_lines(
        &plan,
        &[
            "+ deployment demo/new create",
            "description: \"\" -> \"told\"",
            "Plan: 1 to create, 1 to change, 0 to delete, 1 unchanged.",
        ],
    );
    assert!(
        !plan.contains("demo/gone") && !plan.contains("demo/same"),
        "{plan}"
    );
    let plan = cli.ok("apply -f w.toml --dry-run --prune");
    has_lines(
        &plan,
        &[
            "- deployment demo/gone delete",
            "Plan: 1 to create, 1 to change, 1 to delete, 1 unchanged.",
        ],
    );
    assert!(
        !plan.contains("key"),
        "First Keys are nobody's to revoke: {plan}"
    );
    let plan = cli.json("apply -f w.toml --dry-run --prune");
    let actions: Vec<Value> = plan["plan"].as_array().expect("a plan").clone();
    for (action, kind, name) in [
        ("create", "deployment", "demo/new"),
        ("change", "deployment", "demo/told"),
        ("delete", "deployment", "demo/gone"),
    ] {
        let found = actions.iter().find(|a| a["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}: {plan}"));
        assert_eq!(
            (&found["action"], &found["kind"]),
            (&json!(action), &json!(kind))
        );
    }
    let told = actions.iter().find(|a| a["name"] == "demo/told").unwrap();
    assert_eq!(
        told["changes"],
        json!([{"field": "description", "from": "", "to": "told"}])
    );
    assert_eq!((actions.len(), &plan["unchanged"]), (3, &json!(1)));
    let drift = cli.run("diff -f w.toml -o json");
    assert_eq!(drift.code, 7, "{drift:?}");
    assert_eq!(api.list("/deployments"), before, "nothing was done");
    cli.ok("apply -f w.toml");
    let all = api.list("/deployments");
    assert_eq!(all.len(), 4, "what is not declared stays without --prune");
    let told = api.show(&at("demo/told"));
    assert_eq!(
        (&told["description"], &told["live_version"]),
        (&json!("told"), &json!(1))
    );
}

#[test]
fn what_somebody_changed_by_hand_is_drift() {
    let (gateway, cli) = gateway();
    let backend = Backend::says("x");
    let iris = deployment("demo/iris").backend(&backend);
    write(&cli, "w.toml", &[&iris, &key(KEY, "demo/iris")]);
    cli.ok("apply -f w.toml");
    assert_eq!(cli.run("diff -f w.toml").code, 0);
    cli.ok("deployment update demo/iris --description 'by hand' --access public");
    let url = backend.url();
    cli.ok(&format!(
        "deployment deploy demo/iris --backend {url} --model model:9"
    ));
    let drift = cli.run("diff -f w.toml");
    assert_eq!(drift.code, 7, "{drift:?}");
    for line in [
        "~ deployment demo/iris swap iris_v2 -> iris_v3",
        "version.model: \"model:9\" -> \"model:1\"",
        "description: \"by hand\" -> \"\"",
        "access: \"public\" -> \"keys\"",
    ] {
        has_lines(&drift.out, &[line]);
    }
    cli.ok("apply -f w.toml");
    assert_eq!(cli.run("diff -f w.toml").code, 0);
    let shown = gateway.api().show(&at("demo/iris"));
    assert_eq!(
        (&shown["access"], &shown["live_version"]),
        (&json!("keys"), &json!(3))
    );
    // A declaration says what answers, not whether: an operator's stop is theirs to end.
    cli.ok("deployment stop demo/iris");
    let plan = cli.ok("diff -f w.toml");
    has_lines(
        &plan,
        &["= deployment demo/iris is stopped, as somebody left it"],
    );
    assert!(cli.ok("apply -f w.toml").contains(NOTHING));
    assert_eq!(gateway.api().show(&at("demo/iris"))["state"], "stopped");
    // Another version is a reason to start it.
    let newer = deployment("demo/iris").backend(&backend).model("model:2");
    write(&cli, "w.toml", &[&newer, &key(KEY, "demo/iris")]);
    cli.ok("apply -f w.toml");
    assert_eq!(gateway.api().show(&at("demo/iris"))["state"], "live");
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let (gateway, cli) = gateway();
    let backend = Backend::says("x");
    let nowhere = Nowhere::new();
    let broken = deployment("demo/b").backend_at(&nowhere.url(), "");
    let of = |name: &str| deployment(name).backend(&backend);
    write(&cli, "w.toml", &[&of("demo/a"), &broken, &of("demo/c")]);
    let ran = cli.run("apply -f w.toml");
    ran.said(1, &["demo/b", &nowhere.url()]);
    ran.plain();
    let api = gateway.api();
    for (name, state) in [("demo/a", "live"), ("demo/b", "failed"), ("demo/c", "live")] {
        assert_eq!(api.show(&at(name))["state"], state, "{name}");
    }
    assert_eq!(
        cli.run("diff -f w.toml").code,
        7,
        "it is not as declared yet"
    );
    let came = Backend::listen(nowhere.addr(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"here")
    });
    cli.ok("apply -f w.toml");
    assert_eq!(api.show(&at("demo/b"))["state"], "live");
    assert!(cli.ok("apply -f w.toml").contains(NOTHING));
    drop(came);
    let missing = api.get(&at("demo/nothing"));
    problem(&[404], &missing);
}
