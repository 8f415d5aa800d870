//! The whole life of a deployment by the command line alone: nothing but `weir` and the application.

use crate::support::{Backend, Gateway, Response, Stop};

/// What an application gets.
fn call(gateway: &Gateway, key: &str) -> Response {
    gateway.call("POST /predict/demo/iris", &[("x-api-key", key)], b"{}")
}

/// The rest of the line that begins like this.
#[track_caller]
fn after<'a>(out: &'a str, start: &str) -> &'a str {
    let found = out.lines().find_map(|line| line.strip_prefix(start));
    found
        .unwrap_or_else(|| panic!("no {start:?}: {out}"))
        .trim()
}

#[test]
fn from_the_first_command_to_the_last() {
    let backends = ["one", "two"].map(Backend::says);
    let mut gateway = Gateway::bare().start();
    let mut cli = gateway.cli();
    let [one, two] = backends.each_ref().map(Backend::url);
    let missing = cli.run(&format!("deployment create demo/iris --backend {one}"));
    missing.said(4, &["demo", "--create-project"]);
    let created = cli.ok(&format!(
        "deployment create demo/iris --backend {one} --model iris:1 --description flowers --create-project"
    ));
    assert!(
        created.starts_with("Deployment demo/iris created.\n"),
        "{created}"
    );
    assert!(created.contains(&format!("http://{}/predict/demo/iris", gateway.addr())));
    assert!(created.contains(&format!("http://{}/stream/demo/iris", gateway.addr())));
    let first = after(&created, "First key (shown once): ").to_owned();
    let answer = call(&gateway, &first);
    assert_eq!(
        (answer.text(), answer.version()),
        ("one".into(), "iris_v1".into())
    );

    let made = cli.ok("key add demo/iris --description 'the app'");
    let key = after(&made, "Secret (shown once): ").to_owned();
    let id = after(&made, "Key ")
        .trim_end_matches(" created.")
        .to_owned();
    cli.ok(&format!(
        "deployment deploy demo/iris --backend {two} --model iris:2"
    ));
    let answer = call(&gateway, &key);
    assert_eq!(
        (answer.text(), answer.version()),
        ("two".into(), "iris_v2".into())
    );

    let rolled = cli.run("deployment rollback demo/iris");
    rolled.said(0, &[]);
    let said = format!("{}{}", rolled.out, rolled.err);
    assert!(said.contains("iris_v1 is live after "), "{rolled:?}");
    let answer = call(&gateway, &key);
    assert_eq!(
        (answer.text(), answer.version()),
        ("one".into(), "iris_v1".into())
    );

    cli.ok(&format!("key revoke demo/iris {id} --yes"));
    assert_eq!(call(&gateway, &key).status, 401, "at once");
    assert_eq!(call(&gateway, &first).status, 200);
    gateway.restart(Stop::Kill);
    cli = gateway.cli();
    assert_eq!(call(&gateway, &key).status, 401);
    // Its First Key is not anybody's to revoke.
    let ids = cli.ok("key list demo/iris");
    let row = ids.lines().find(|l| l.contains("First Key")).expect(&ids);
    let first_id = row.split_whitespace().next().unwrap();
    let refused = cli.run(&format!("key revoke demo/iris {first_id} --yes"));
    refused.said(6, &["weir: ", "First Key"]);

    assert_eq!(
        cli.ok("deployment delete demo/iris --reason 'no longer needed' --yes"),
        "Deployment demo/iris deleted.\n"
    );
    let gone = call(&gateway, &first);
    assert_eq!(gone.status, 401, "{}", gone.text());
    let history = cli.ok("deployment history demo/iris");
    for words in ["create", "rollback", "revoke", "delete", "no longer needed"] {
        assert!(history.contains(words), "no {words}: {history}");
    }
    assert!(!cli.ok("deployment list").contains("demo/iris"));
}

#[test]
fn a_deploy_that_fails_leaves_the_old_one_and_says_why() {
    let backend = Backend::says("old");
    let nowhere = crate::support::Nowhere::new();
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let cli = gateway.cli();
    let url = backend.url();
    let created = cli.ok(&format!(
        "deployment create demo/iris --backend {url} --create-project"
    ));
    let key = after(&created, "First key (shown once): ").to_owned();
    let ran = cli.run(&format!(
        "deployment deploy demo/iris --backend {}",
        nowhere.url()
    ));
    ran.said(1, &["weir: deploy of iris_v2 failed: ", &nowhere.url()]);
    ran.plain();
    let phases = ran.err.lines().filter(|l| l.contains("iris_v2")).count();
    assert!(
        (2..12).contains(&phases),
        "a line per change of phase: {ran}"
    );
    assert_eq!(call(&gateway, &key).text(), "old");
    // One that fails from its beginning is there all the same, with its key.
    let ran = cli.run(&format!(
        "deployment create demo/b --backend {}",
        nowhere.url()
    ));
    ran.said(1, &["deploy of b_v1 failed: "]);
    assert!(
        after(&ran.out, "First key (shown once):").starts_with("wk_"),
        "{ran}"
    );
    assert!(
        cli.ok("deployment info demo/b --calls none")
            .contains("failed")
    );
}

#[test]
fn what_was_not_waited_for_can_be_waited_for() {
    let backend = Backend::says("x");
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    cli.ok("project create demo");
    let url = backend.url();
    let made = cli.json(&format!(
        "deployment create demo/iris --backend {url} --no-wait"
    ));
    let task = made["task"]["id"].as_str().expect("a task").to_owned();
    let waited = cli.run(&format!("task wait {task}"));
    waited.said(0, &[]);
    assert!(cli.ok("deployment list").contains("live"));
    let ran = cli.run(&format!(
        "deployment deploy demo/iris --backend {url} --no-wait"
    ));
    ran.said(0, &[]);
    assert!(
        !format!("{}{}", ran.out, ran.err).contains("is live after"),
        "{ran:?}"
    );
}
