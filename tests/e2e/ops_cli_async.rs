//! Async requests in an operator's hands: listed, shown, called off, run again, thrown away.

use serde_json::{Value, json};

use crate::support::{
    Backend, Cli, Gate, Gateway, PATIENCE,
    admin::{at, text},
    eventually, iris, later,
};

/// A gateway whose backend answers 422 for `bad`, 503 for `sick`, waits for the gate for `slow`, and
/// else says the body again.
fn gateway(gate: &Gate) -> (Gateway, Backend) {
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        let status = match &body.bytes[..] {
            b"sick" => 503,
            b"slow" => {
                while !door.wait() {}
                200
            }
            _ => 200,
        };
        conn.answer(status, &[("content-type", "text/x-echo")], &body.bytes)
    });
    let builder = later::impatient(Gateway::with(iris(&backend)));
    let gateway = builder.env("WEIR_QUEUE_ATTEMPTS_MAX", 2).start();
    (gateway, backend)
}

fn status_of(cli: &Cli, id: &str) -> String {
    text(&cli.json(&format!("async show demo/iris {id}"))["status"])
}

#[test]
fn requests_are_listed_shown_and_their_results_printed() {
    let gate = Gate::new();
    let (gateway, _backend) = gateway(&gate);
    let (cli, api, caller) = (gateway.cli(), gateway.api(), gateway.caller());
    let body = crate::support::pattern(5_000);
    let id = caller.accepted(&body);
    caller.ends(&id, "completed");
    let path = format!("{}/async", at("demo/iris"));
    let shown = cli.json(&format!("async show demo/iris {id}"));
    assert_eq!(shown, api.show(&format!("{path}/{id}")));
    assert!(
        cli.ok(&format!("async show demo/iris {id}"))
            .contains("completed")
    );
    let other = caller.accepted(b"words");
    caller.ends(&other, "completed");
    assert_eq!(cli.ok(&format!("async result demo/iris {other}")), "words");
    // Whatever bytes they are.
    let raw = cli
        .command(&format!("async result demo/iris {id}"))
        .output()
        .unwrap();
    assert!(
        raw.status.success() && raw.stdout == body,
        "{:?}",
        raw.stderr
    );
    let listed = cli.json("async list demo/iris");
    assert_eq!(listed, json!({"items": api.list(&path), "next": null}));
    let table = cli.ok("async list demo/iris --status completed");
    assert!(table.contains(&id) && table.contains(&other), "{table}");
    assert!(
        !cli.ok("async list demo/iris --status running")
            .contains(&id)
    );
    let sideways = cli.run("async list demo/iris --status sideways");
    assert!(matches!(sideways.code, 1 | 2), "{sideways}");
    assert!(
        sideways.err.contains("sideways") || sideways.err.contains("status"),
        "{sideways}"
    );
}

#[test]
fn what_waits_is_held_and_called_off() {
    let gate = Gate::new();
    let (gateway, backend) = gateway(&gate);
    let (cli, caller) = (gateway.cli(), gateway.caller());
    cli.ok("async queue pause demo/iris");
    let id = caller.accepted(b"one");
    let queue = cli.json("async queue show demo/iris");
    assert_eq!(
        (&queue["paused"], &queue["queued"]),
        (&json!(true), &json!(1))
    );
    let shown = cli.ok("async queue demo/iris");
    assert!(shown.contains("paused"), "{shown}");
    cli.fails_with(
        1,
        &format!("async result demo/iris {id}"),
        &["queued", "hint: "],
    );
    cli.ok(&format!("async cancel demo/iris {id}"));
    assert_eq!(status_of(&cli, &id), "cancelled");
    cli.fails_well(6, &format!("async cancel demo/iris {id}"));
    assert_eq!(backend.count(), 0);
    let next = caller.accepted(b"two");
    cli.ok("async queue resume demo/iris");
    caller.ends(&next, "completed");
}

#[test]
fn dead_letters_are_listed_run_again_and_thrown_away() {
    let gate = Gate::new();
    let (gateway, _backend) = gateway(&gate);
    let (cli, api, caller) = (gateway.cli(), gateway.api(), gateway.caller());
    let dead: Vec<String> = (0..3).map(|_| caller.accepted(b"sick")).collect();
    for id in &dead {
        caller.fails(id, "exhausted");
    }
    let path = format!("{}/async?dead=true", at("demo/iris"));
    let ids = |value: &Value| -> Vec<String> {
        let items = value["items"].as_array().unwrap().iter();
        items.map(|item| text(&item["id"])).collect()
    };
    let listed = cli.json("async dead-letters demo/iris");
    assert_eq!(listed, json!({"items": api.list(&path), "next": null}));
    assert_eq!(ids(&cli.json("async dead-letters list demo/iris")).len(), 3);
    assert!(
        cli.ok("async dead-letters list demo/iris")
            .contains(&dead[0])
    );
    let again = cli.run(&format!("async retry demo/iris {}", dead[0]));
    again.said(0, &[]);
    let replayed = cli.run("async dead-letters replay demo/iris");
    replayed.said(0, &[]);
    eventually(PATIENCE, "all have failed again", || {
        let open = api.list(&format!("{}/async?status=error", at("demo/iris")));
        open.len() >= 3
            && api
                .list(&format!("{}/async?status=queued", at("demo/iris")))
                .is_empty()
    });
    eventually(PATIENCE, "dead letters again", || {
        !api.list(&path).is_empty()
    });
    let asked = cli.say("async dead-letters purge demo/iris", "");
    asked.said(2, &["demo/iris", "It can't be undone. [y/N] ", "--yes"]);
    assert!(!api.list(&path).is_empty(), "no one said yes");
    cli.ok("async dead-letters purge demo/iris --yes");
    assert!(api.list(&path).is_empty());
    cli.fails_well(4, "async dead-letters list demo/nothing");
}

#[test]
fn a_running_one_is_called_off_too() {
    let gate = Gate::new();
    let (gateway, _backend) = gateway(&gate);
    let (cli, caller) = (gateway.cli(), gateway.caller());
    let id = caller.accepted(b"slow");
    caller.wait_status(&id, "running");
    cli.ok(&format!("async cancel demo/iris {id}"));
    caller.ends(&id, "cancelled");
    gate.open();
}
