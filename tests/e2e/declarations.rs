//! What is declared is in force, whole or not at all.

use std::{sync::Arc, time::Duration};

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, PATIENCE, deployment, eventually, gateway::command,
    holds_within, iris, key, post,
};
use crate::swap::version;

const BAD: &str = r#"
[[deployment]]
project = "demo"
name = "UPPER"
version = { main = { backends = [{ url = "http://127.0.0.1:9001" }] } }
[[deployment]]
project = "demo"
name = "sideways"
access = "everybody"
version = { main = { backends = [{ url = "ftp://127.0.0.1:9002" }] } }
[[deployment]]
project = "demo"
name = "empty"
version = { main = { backends = [] } }
[[key]]
secret = "short"
scope = "demo"
[[key]]
secret = "long-enough-but-scoped-wrong"
scope = "a/b/c/d"
"#;

/// Words that a report of all of [`BAD`]'s mistakes can't do without.
const MISTAKES: [&str; 6] = [
    "UPPER",
    "everybody",
    "ftp://",
    "backends",
    "secret",
    "scope",
];

#[test]
fn the_same_file_again_is_no_new_version() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for _ in 0..5 {
        gateway.declare(iris(&backend));
    }
    // A change elsewhere shows that the reloads have been worked off.
    gateway.redeclare(iris(&backend).with(key("wk_more_0123456789abcdefghijklmnopqrs", "demo")));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v1");
}

#[test]
fn a_burst_of_reloads_ends_at_the_last() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    for n in 2..=40 {
        gateway.declare(version(n, &backends));
    }
    // Not every state in between need have been seen, but the last one must win.
    gateway.declare(version(
        41,
        &[Backend::says("unused"), Backend::says("unused")],
    ));
    let last = Backend::says("last");
    gateway.declare(iris(&last));
    eventually(PATIENCE, "the last declaration answers", || {
        gateway.call(&post(), &[AUTH], b"").text() == "last"
    });
    assert!(!holds_within(Duration::from_millis(300), || {
        gateway.call(&post(), &[AUTH], b"").text() != "last"
    }));
}

#[test]
fn going_back_is_a_new_version_too() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    gateway.redeclare(version(2, &backends));
    gateway.redeclare(version(1, &backends));
    let answer = gateway.call(&post(), &[AUTH], b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("odd", "iris_v3")
    );
}

#[test]
fn a_changed_file_is_noticed_without_a_signal() {
    let backends = [Backend::says("odd"), Backend::says("even")];
    let gateway = Gateway::start(version(1, &backends));
    gateway.write(version(2, &backends));
    eventually(PATIENCE, "the second version", || {
        gateway.call(&post(), &[AUTH], b"").version() == "iris_v2"
    });
}

#[test]
fn deployments_come_and_go() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    assert_eq!(
        gateway.call("POST /predict/demo/text", &[AUTH], b"").status,
        404
    );
    gateway.redeclare(iris(&backend).with(deployment("demo/text").backend(&backend)));
    let answer = gateway.call("POST /predict/demo/text", &[AUTH], b"");
    assert_eq!((answer.status, answer.version().as_str()), (200, "text_v1"));
    gateway.redeclare(
        Declarations::new()
            .with(deployment("demo/text").backend(&backend))
            .with(key(KEY, "demo")),
    );
    assert_eq!(gateway.call(&post(), &[AUTH], b"").status, 404);
    assert_eq!(
        gateway.call("POST /predict/demo/text", &[AUTH], b"").status,
        200
    );
}

#[test]
fn a_bad_file_changes_nothing_and_says_every_mistake() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let epoch = gateway.epoch();
    for bad in [
        BAD,
        "not toml [",
        "[[deployment]]\nproject = 7\n",
        "surprise = true\n",
    ] {
        let before = gateway.log().len();
        gateway.declare(bad);
        eventually(PATIENCE, "the complaint", || gateway.log().len() > before);
        let answer = gateway.call(&post(), &[AUTH], b"");
        assert_eq!(
            (answer.status, answer.version().as_str()),
            (200, "iris_v1"),
            "{bad}"
        );
    }
    for word in MISTAKES {
        assert!(gateway.log().contains(word), "{word} is not in the log");
    }
    let before = gateway.log().len();
    gateway.remove_declarations();
    eventually(PATIENCE, "the complaint", || gateway.log().len() > before);
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v1");
    assert!(
        (gateway.epoch() - epoch).abs() < 0.5,
        "a bad file moved the epoch"
    );
    gateway.redeclare(iris(&Backend::echo()));
    assert_eq!(gateway.call(&post(), &[AUTH], b"").version(), "iris_v2");
}

#[test]
fn check_says_every_mistake_at_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let good = dir.path().join("good.toml");
    std::fs::write(&good, iris(&Backend::echo()).to_string()).unwrap();
    let fine = command().arg("check").arg(&good).output().unwrap();
    assert!(
        fine.status.success(),
        "{}",
        String::from_utf8_lossy(&fine.stderr)
    );
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, BAD).unwrap();
    let refused = command().arg("check").arg(&bad).output().unwrap();
    assert!(!refused.status.success());
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for word in MISTAKES {
        assert!(said.contains(word), "{word} is not in\n{said}");
    }
    assert!(
        !said.contains("long-enough-but"),
        "a secret is shown:\n{said}"
    );
    assert!(
        !command()
            .arg("check")
            .arg(dir.path().join("none.toml"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn serve_does_not_start_on_a_bad_file() {
    let dir = tempfile::TempDir::new().unwrap();
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, BAD).unwrap();
    let ready = dir.path().join("ready.json");
    let mut child = command()
        .args(["serve", "--declare"])
        .arg(&bad)
        .arg("--ready-file")
        .arg(&ready)
        .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
        .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
        .env("WEIR_DATA_DIR", dir.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut status = None;
    let ended = holds_within(PATIENCE, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(ended && !status.unwrap().success());
    assert!(!ready.exists());
}

#[test]
fn epochs_on_answers_only_grow() {
    let backend = Arc::new(Backend::echo());
    let gateway = Gateway::start(iris(&backend));
    let mut newest = 0;
    for n in 0..10 {
        let answer = gateway.call(&post(), &[AUTH], b"");
        let epoch: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
        assert!(epoch > newest, "{epoch} after {newest}");
        newest = epoch;
        let more = (0..=n).map(|k| key(&format!("wk_k{k}_0123456789abcdefghijklmnop"), "demo"));
        gateway.redeclare(iris(&backend).with(more.collect::<String>()));
    }
    assert!(holds_within(Duration::from_secs(1), || {
        let seen = gateway.call(&post(), &[AUTH], b"").get("x-config-epoch");
        seen.is_some_and(|e| e.parse::<u64>().unwrap() > newest)
    }));
}
