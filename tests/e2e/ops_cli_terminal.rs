//! While a task runs, a person at a terminal sees one live line; a log file sees none of it.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Backend, Gateway, Nowhere, PATIENCE, Stop,
    admin::{self, at},
    eventually, version,
};

/// `demo/iris`, live, on a gateway that never gives up a deploy.
fn gateway(backend: &Backend) -> Gateway {
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 0)
        .env("WEIR_HEALTH_INTERVAL_MS", 100)
        .start();
    gateway.api().create("demo/iris", &version(&backend.url()));
    gateway
}

/// The id behind `weir task wait` in what was said.
#[track_caller]
fn task_named(said: &str) -> String {
    let (_, rest) = said
        .split_once("weir task wait ")
        .unwrap_or_else(|| panic!("{said}"));
    let id = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    rest.chars().take_while(id).collect()
}

#[test]
fn the_live_line_is_one_line_until_it_ends() {
    let backend = Backend::says("old");
    let gateway = gateway(&backend);
    let place = Nowhere::new();
    let line = format!("deployment deploy demo/iris --backend {}", place.url());
    let terminal = gateway.cli().on_terminal(&line);
    terminal.wait("a live line with version, time and reason", |screen| {
        let lines = screen.lines();
        let live = lines.iter().find(|l| l.contains("iris_v2"));
        live.is_some_and(|l| {
            let reason = l.contains("refused") || l.contains(&place.url());
            l.contains(" s") && l.contains('(') && reason
        })
    });
    let pause = Duration::from_millis(40);
    eventually(PATIENCE, "it is written again", || {
        terminal.bursts(pause) >= 5
    });
    let screen = terminal.screen();
    assert_eq!(screen.count("iris_v2"), 1, "rewritten in place:\n{screen}");
    assert!(
        !terminal.raw().contains("\u{1b}[2J"),
        "the screen is not wiped"
    );
    let came = Backend::listen(place.addr(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"new")
    });
    let (code, raw, screen) = terminal.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(screen.count("iris_v2 is live after "), 1, "{screen}");
    assert_eq!(
        screen.count("refused"),
        0,
        "the live line is gone:\n{screen}"
    );
    assert!(
        screen.cursor && !screen.borrowed,
        "as it was found: {raw:?}"
    );
    drop(came);
}

#[test]
fn a_long_reason_does_not_fold_the_live_line() {
    let backend = Backend::says("old");
    let gateway = gateway(&backend);
    let place = Nowhere::new();
    let long = format!("{}/{}", place.url(), "very-long-path/".repeat(20));
    let line = format!("deployment deploy demo/iris --backend {long}");
    let terminal = gateway.cli().on_terminal(&line);
    terminal.shows("iris_v2");
    let pause = Duration::from_millis(40);
    eventually(PATIENCE, "it is written again", || {
        terminal.bursts(pause) >= 6
    });
    let screen = terminal.screen();
    assert_eq!(screen.count("iris_v2"), 1, "{screen}");
    let lines = screen.lines();
    let used = lines.iter().filter(|line| !line.is_empty()).count();
    assert!(used <= 2, "{screen}");
    terminal.interrupt();
    terminal.ended();
}

#[test]
fn interrupted_it_leaves_the_task_and_says_how_to_wait_for_it() {
    let backend = Backend::says("old");
    let gateway = gateway(&backend);
    let (cli, api) = (gateway.cli(), gateway.api());
    let place = Nowhere::new();
    let line = format!("deployment deploy demo/iris --backend {}", place.url());
    let running = cli.start(&line, "");
    running.shows("iris_v2");
    running.interrupt();
    let ran = running.ended(PATIENCE);
    assert_ne!(ran.code, 0, "{ran}");
    ran.plain();
    let id = task_named(&ran.err);
    assert!(!admin::is_terminal(&api.task(&id)), "it goes on");
    let terminal = cli.on_terminal(&format!("task wait {id}"));
    terminal.shows("iris_v2");
    terminal.interrupt();
    let (_, _, screen) = terminal.ended();
    assert_eq!(task_named(&screen.to_string()), id, "{screen}");
    assert!(screen.cursor, "{screen}");
    cli.ok(&format!("task cancel {id}"));
    let waited = cli.run(&format!("task wait {id}"));
    waited.said(1, &["canceled"]);
}

#[test]
fn a_gateway_that_goes_away_meanwhile_is_said() {
    let backend = Backend::says("old");
    let mut gateway = gateway(&backend);
    let place = Nowhere::new();
    let line = format!("deployment deploy demo/iris --backend {}", place.url());
    let running = gateway.cli().start(&line, "");
    running.shows("iris_v2");
    gateway.stop(Stop::Kill);
    let ran = running.ended(PATIENCE * 3);
    ran.said(3, &["weir: ", &gateway.admin_url(), "hint: "]);
}

#[test]
fn to_a_file_it_is_a_line_per_change_of_phase() {
    let backend = Backend::says("old");
    let gateway = gateway(&backend);
    let place = Nowhere::new();
    let line = format!("deployment deploy demo/iris --backend {}", place.url());
    let running = gateway.cli().start(&line, "");
    running.shows("iris_v2");
    // Probes go on failing meanwhile, which changes no phase.
    let api = gateway.api();
    eventually(PATIENCE, "a probe has failed", || {
        let tasks = api.list("/tasks");
        let mine = tasks.iter().find(|t| t["version"] == 2);
        mine.is_some_and(|t| t["reason"].is_string())
    });
    let came = Backend::listen(place.addr(), |conn, head| {
        conn.body(head);
        conn.answer(200, &[], b"new")
    });
    let ran = running.ended(PATIENCE);
    ran.said(0, &[]);
    ran.plain();
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines.len() <= 5, "{ran}");
    let again = lines.windows(2).find(|two| two[0] == two[1]);
    assert!(again.is_none(), "{ran}");
    let both = format!("{}{}", ran.out, ran.err);
    assert!(both.contains("iris_v2 is live after "), "{ran}");
    drop(came);
}

#[test]
fn tables_at_a_terminal_are_the_tables_elsewhere() {
    let backend = Backend::says("old");
    let gateway = gateway(&backend);
    let cli = gateway.cli();
    gateway
        .api()
        .key(&at("demo/iris"), &json!({"description": "日本 app"}));
    for line in ["deployment list", "key list demo/iris", "project list"] {
        let piped = cli.ok(line);
        let (code, _, screen) = cli.on_terminal(line).ended();
        assert_eq!(code, Some(0), "{screen}");
        let heads = |text: &str| text.lines().next().unwrap_or_default().trim().to_owned();
        assert_eq!(heads(&piped), heads(&screen.to_string()), "weir {line}");
        assert_eq!(piped.lines().count(), screen.to_string().lines().count());
    }
}
