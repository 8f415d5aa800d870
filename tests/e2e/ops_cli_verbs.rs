//! The verbs that change a deployment, and the nouns beside it: status, tasks, logs, subscriptions.

use serde_json::{Value, json};

use crate::{
    ops_cli_nouns::{fleet, table},
    support::{
        Backend, Gateway, PATIENCE,
        admin::{at, text},
        eventually, want,
    },
};

#[test]
fn the_status_tells_how_the_gateway_stands() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let shown = cli.ok("status");
    for words in ["live", "failed", "4", env!("CARGO_PKG_VERSION")] {
        assert!(shown.contains(words), "no {words}: {shown}");
    }
    assert_eq!(cli.json("status"), api.show("/status"));
}

#[test]
fn each_verb_of_a_deployment_does_it() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let state = || text(&api.show(&at("demo/iris"))["state"]);
    cli.ok("deployment stop demo/iris --reason 'over night'");
    assert_eq!(state(), "stopped");
    assert_eq!(api.show(&at("demo/iris"))["reason"], "over night");
    cli.ok("deployment restart demo/iris");
    assert_eq!(state(), "live");
    let line = "deployment update demo/iris --description 'all flowers' --display-name Iris \
                --tag a --tag b --access project --keep-previous 2";
    cli.ok(line);
    let shown = api.show(&at("demo/iris"));
    assert_eq!(shown["tags"], json!(["a", "b"]));
    for (member, value) in [
        ("description", "all flowers"),
        ("display_name", "Iris"),
        ("access", "project"),
    ] {
        assert_eq!(shown[member], value, "{shown}");
    }
    assert_eq!(shown["keep_previous"], 2);
    let (text_url, score_url) = (fleet.backends[1].url(), fleet.backends[2].url());
    cli.ok(&format!(
        "deployment deploy demo/iris --backend {text_url}=3 --backend {score_url} --challenger {score_url} \
         --sample 0.5 --model model:2 --arch x86 --instances 2 --label team=fraud --health-path /health"
    ));
    let live = api.show(&at("demo/iris"))["version"].clone();
    assert_eq!(
        live["main"]["backends"][0],
        json!({"url": text_url, "weight": 3, "protocol": live["main"]["backends"][0]["protocol"]}),
        "{live}"
    );
    assert_eq!(
        live["main"]["backends"][1]["url"],
        json!(score_url),
        "{live}"
    );
    assert_eq!(live["challenger"]["sample"], 0.5, "{live}");
    assert_eq!(
        (&live["model"], &live["instances"]),
        (&json!("model:2"), &json!(2))
    );
    assert_eq!(live["labels"], json!({"team": "fraud"}));
    cli.ok("deployment promote demo/iris");
    let live = api.show(&at("demo/iris"))["version"].clone();
    assert_eq!(
        live["main"]["backends"][0]["url"],
        json!(score_url),
        "{live}"
    );
    cli.ok("deployment rollback demo/iris --to 1");
    assert_eq!(api.live_version("demo/iris"), Some(1));
    cli.ok("deployment rollback demo/iris");
    assert_eq!(
        api.live_version("demo/iris"),
        Some(3),
        "what was live before"
    );
    let deleted = cli.ok("deployment delete demo/iris --reason 'not needed' --yes");
    assert_eq!(deleted, "Deployment demo/iris deleted.\n");
    assert_eq!(state(), "deleted");
    assert!(
        cli.ok("deployment history demo/iris")
            .contains("not needed")
    );
}

#[test]
fn a_version_comes_from_a_file_with_flags_on_top() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let url = fleet.backends[2].url();
    let backends = format!("{{ url = \"{url}\" }}");
    cli.file(
        "v.toml",
        &format!(
            "model = \"m:7\"\nnotes = \"of the file\"\nmain = {{ backends = [{backends}] }}\n"
        ),
    );
    let file = json!({"model": "m:8", "main": {"backends": [{"url": url}]}});
    cli.file("v.json", &file.to_string());
    cli.ok("deployment create new/one --file v.toml --notes 'of the flag' --create-project");
    let shown = api.show(&at("new/one"))["version"].clone();
    assert_eq!(
        (&shown["model"], &shown["notes"]),
        (&json!("m:7"), &json!("of the flag"))
    );
    cli.ok("deployment deploy new/one --file v.json");
    let shown = api.show(&at("new/one"))["version"].clone();
    assert_eq!(shown["model"], "m:8");
    assert!(
        !shown.to_string().contains("of the flag"),
        "all is replaced: {shown}"
    );
}

#[test]
fn tasks_are_listed_waited_for_and_called_off() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let listed = cli.json("task list");
    assert_eq!(listed, json!({"items": api.list("/tasks"), "next": null}));
    let failed = listed["items"].as_array().unwrap().iter();
    let failed = failed
        .clone()
        .find(|t| t["status"] == "failed")
        .expect("the broken one");
    let id = text(&failed["id"]);
    assert_eq!(cli.json(&format!("task info {id}")), *failed);
    cli.fails_with(1, &format!("task wait {id}"), &["broken_v1", "failed"]);
    let rows = table(&cli.ok("task list"));
    assert!(rows.iter().flatten().any(|cell| cell == &id), "{rows:?}");

    let nowhere = fleet.nowhere.url();
    let spec = format!("--backend {nowhere} --model m");
    let begun = cli.json(&format!("deployment deploy demo/iris {spec} --no-wait"));
    let id = text(&begun["task"]["id"]);
    let waiter = cli.start(&format!("task wait {id}"), "");
    let ran = waiter.ended(PATIENCE);
    ran.said(1, &["iris_v2", "failed", &nowhere]);

    // One that never ends by itself.
    let patient = json!({"unreachable_ms": 0});
    let spec = json!({"main": {"backends": [{"url": nowhere}]}, "readiness": patient});
    let begun = want(
        202,
        &api.post(&format!("{}/versions", at("demo/iris")), &spec),
    );
    let id = text(&begun["task"]["id"]);
    let early = cli.run(&format!("task wait {id} --timeout 1"));
    early.said(1, &[&id]);
    cli.ok(&format!("task cancel {id}"));
    eventually(PATIENCE, "canceled", || {
        api.task(&id)["status"] == "canceled"
    });
    cli.fails_well(6, &format!("task cancel {id}"));
}

#[test]
fn logs_are_printed_and_followed() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    let headers = [
        ("x-api-key", fleet.secret.as_str()),
        ("x-request-id", "the-one-i-seek"),
    ];
    fleet
        .gateway
        .call("POST /predict/demo/iris", &headers, b"{}");
    fleet.gateway.call("POST /predict/demo/iris", &[], b"{}");
    let mut logs = String::new();
    eventually(PATIENCE, "the request is in the log", || {
        logs = cli.ok("deployment logs demo/iris");
        logs.contains("the-one-i-seek")
    });
    let line = logs.lines().find(|l| l.contains("the-one-i-seek")).unwrap();
    for words in [
        "INFO",
        "200",
        "POST",
        "/predict/demo/iris",
        "v1",
        "main",
        "2B/4B",
    ] {
        assert!(line.contains(words), "no {words}: {line}");
    }
    assert!(!logs.contains(&fleet.secret), "{logs}");
    assert_eq!(cli.ok("deployment logs demo/iris -n 1").lines().count(), 1);
    let warnings = cli.ok("deployment logs demo/iris --level warn --since 10m");
    assert!(!warnings.contains("the-one-i-seek"), "{warnings}");
    let follower = cli.start("deployment logs demo/iris -f", "");
    follower.shows("the-one-i-seek");
    let headers = [
        ("x-api-key", fleet.secret.as_str()),
        ("x-request-id", "while-you-look"),
    ];
    fleet
        .gateway
        .call("POST /predict/demo/iris", &headers, b"{}");
    follower.shows("while-you-look");
    follower.interrupt();
    follower.ended(PATIENCE);
    for line in cli.ok("deployment logs demo/iris -o json").lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(line["kind"].is_string(), "{line}");
    }
}

#[test]
fn a_readme_and_a_page_of_the_api_are_printed() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    cli.file("about.md", "# Iris\n\nFlowers.\n");
    cli.ok("deployment readme demo/iris --write about.md");
    assert_eq!(
        cli.ok("deployment readme demo/iris"),
        "# Iris\n\nFlowers.\n"
    );
    cli.say("deployment readme demo/iris --write -", "# Said\n")
        .said(0, &[]);
    assert_eq!(cli.ok("deployment readme demo/iris"), "# Said\n");
    let page: Value = serde_json::from_str(&cli.ok("deployment openapi demo/iris")).expect("JSON");
    assert!(text(&page["openapi"]).starts_with("3.1"), "{page}");
    assert_eq!(page, api.show(&format!("{}/openapi.json", at("demo/iris"))));
}

#[test]
fn subscriptions_are_kept_and_tried() {
    let hook = Backend::says("");
    let gateway = Gateway::bare()
        .env("WEIR_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
        .start();
    let (cli, api) = (gateway.cli(), gateway.api());
    cli.ok("project create demo");
    let url = format!("{}/hook", hook.url());
    cli.ok(&format!(
        "subscription add demo --webhook {url} --event version.ready"
    ));
    let all = api.list("/projects/demo/subscriptions");
    assert_eq!(all.len(), 1, "{all:?}");
    let id = text(&all[0]["id"]);
    assert_eq!(all[0]["events"], json!(["version.ready"]));
    assert_eq!(
        cli.json("subscription list demo"),
        json!({"items": all, "next": null})
    );
    assert!(cli.ok("subscription list demo").contains(&id));
    let shown = api.show(&format!("/projects/demo/subscriptions/{id}"));
    assert_eq!(cli.json(&format!("subscription info demo {id}")), shown);
    cli.ok(&format!("subscription test demo {id}"));
    hook.wait_count(1);
    assert!(hook.last().head.has("webhook-id"), "{:?}", hook.last());
    let deliveries = cli.json(&format!("subscription deliveries demo {id}"));
    assert_eq!(deliveries["items"][0]["event"], "test", "{deliveries}");
    let asked = cli.say(&format!("subscription remove demo {id}"), "y\n");
    asked.said(0, &[]);
    cli.fails_well(4, &format!("subscription info demo {id}"));
}
