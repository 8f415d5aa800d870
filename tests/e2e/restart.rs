//! Another process on the same directory goes on where the last one ended, however that was.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    life::Process,
    support::{
        Backend, Gateway, Nowhere, PATIENCE, Stop, admin, at, eventually, gateway::command,
        holds_within, post, problem, version, want,
    },
};

/// All files below a directory.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

#[test]
fn everything_is_there_again() {
    let backends = ["one", "two"].map(Backend::says);
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create_with(
        "demo/iris",
        &version(&backends[0].url()),
        &json!({"description": "words", "tags": ["t"], "keep_previous": 1}),
    );
    api.deploy("demo/iris", &version(&backends[1].url()));
    api.project("other");
    api.post(
        &format!("{}/shares", at("demo/iris")),
        &json!({"project": "other"}),
    );
    let (_, pin) = api.key(&at("demo/iris"), &json!({"may_pin": true}));
    let (_, shared) = api.key("/projects/other", &json!({}));
    let (_, token) =
        api.token(&json!({"name": "t", "role": "viewer", "tenant": "default", "description": ""}));
    let paths = ["", "/versions", "/versions/1", "/history", "/shares"]
        .map(|p| format!("{}{p}", at("demo/iris")));
    let world = |gateway: &Gateway| {
        let api = gateway.api();
        paths
            .iter()
            .map(|path| {
                // URLs tell the port, which is another one.
                let mut shown = api.show(path);
                if let Some(members) = shown.as_object_mut() {
                    members.retain(|name, _| !name.ends_with("_url"));
                }
                shown
            })
            .collect::<Vec<Value>>()
    };
    let before = world(&gateway);
    for stop in [Stop::Term, Stop::Kill, Stop::Kill] {
        gateway.restart(stop);
        assert_eq!(world(&gateway), before, "after {stop:?}");
        let call = |key: &str, more: &[(&str, &str)]| {
            let mut headers = vec![("x-api-key", key)];
            headers.extend(more);
            gateway.call(&post(), &headers, b"").text()
        };
        assert_eq!(call(&made.secret, &[]), "two");
        assert_eq!(call(&shared, &[]), "two");
        assert_eq!(
            call(&pin, &[("x-deployment-version", "1")]),
            "one",
            "still kept warm"
        );
        want(200, &gateway.api().with_token(&token).get(&at("demo/iris")));
    }
}

#[test]
fn the_first_token_is_made_once_printed_once_and_kept_for_its_owner() {
    let mut gateway = Gateway::bare().unset("WEIR_ADMIN_TOKEN").start();
    let file = gateway.data_dir().join("admin.token");
    let token = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(token.len() >= 32, "{} characters", token.len());
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{mode:o}");
    assert_eq!(gateway.ready["admin_token"], *token);
    assert_eq!(gateway.log().matches(&token).count(), 1, "printed once");
    want(200, &gateway.api().with_token(&token).get("/status"));
    want(
        201,
        &gateway
            .api()
            .with_token(&token)
            .post("/tenants", &json!({"name": "acme"})),
    );
    problem(&[401], &gateway.api().get("/status"));
    for stop in [Stop::Kill, Stop::Term] {
        gateway.restart(stop);
        assert_eq!(
            fs::read_to_string(&file).unwrap().trim(),
            token,
            "the same one"
        );
        assert_eq!(gateway.log().matches(&token).count(), 1, "printed once");
        want(200, &gateway.api().with_token(&token).get("/tenants/acme"));
        problem(&[401], &gateway.api().get("/status"));
    }
}

#[test]
fn a_task_that_was_under_way_goes_on_or_says_why_not() {
    let old = Backend::says("old");
    let slow = Backend::says("slow");
    let nowhere = Nowhere::new();
    for stop in [Stop::Kill, Stop::Term] {
        slow.set_healthy(false);
        let mut gateway = Gateway::bare()
            .env("WEIR_DEPLOY_UNREACHABLE_MS", 60_000)
            .start();
        let api = gateway.api();
        let made = api.create("demo/iris", &version(&old.url()));
        let mut body = version(&slow.url());
        body["main"]["health_path"] = json!("/health");
        let first = api.begin(&format!("{}/versions", at("demo/iris")), &body);
        api.wait_status(&first, "processing");
        let behind = api.begin(
            &format!("{}/versions", at("demo/iris")),
            &version(&old.url()),
        );
        // A first version that is not reached yet, for a deployment that is not live.
        let fresh = want(
            201,
            &api.post(
                "/projects/demo/deployments",
                &json!({"name": "fresh", "version": version(&nowhere.url())}),
            ),
        );
        let fresh_task = admin::text(&fresh["task"]["id"]);
        let since = Instant::now();
        gateway.restart(stop);
        let took = since.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?} for {stop:?}");
        let api = gateway.api();
        let headers = [("x-api-key", made.secret.as_str())];
        let answer = gateway.call(&post(), &headers, b"");
        assert_eq!(answer.text(), "old", "from the first moment on");
        slow.set_healthy(true);
        let task = api.ended(&first);
        let shown = api.show(&format!("{}/versions/2", at("demo/iris")));
        if task["status"] == "done" {
            assert!(
                shown["status"] == "success" || shown["status"] == "retired",
                "{shown}"
            );
        } else {
            assert_eq!(task["status"], "failed", "{task}");
            admin::text(&task["reason"]);
            assert_eq!(shown["status"], "failed", "{shown}");
            admin::text(&shown["reason"]);
        }
        api.done(&behind);
        let answer = gateway.call(&post(), &headers, b"");
        assert_eq!(
            (answer.text().as_str(), answer.version().as_str()),
            ("old", "iris_v3")
        );
        assert_eq!(api.deploy("demo/iris", &version(&slow.url())), 4);
        // The other is not stuck either: it is resumed, and its backend comes; or it has ended.
        let came = Backend::listen(nowhere.addr(), |conn, head| {
            conn.body(head);
            conn.answer(200, &[], b"came")
        });
        let task = api.ended(&fresh_task);
        let state = api.show(&at("demo/fresh"))["state"].clone();
        if task["status"] == "done" {
            assert_eq!(state, "live");
        } else {
            assert_eq!(state, "failed", "{task}");
            admin::text(&task["reason"]);
            assert_eq!(api.deploy("demo/fresh", &version(&came.url())), 2);
        }
    }
}

#[test]
fn epochs_go_on_growing() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let made = gateway.api().create("demo/iris", &version(&backend.url()));
    let mut newest = 0;
    for stop in [Stop::Term, Stop::Kill, Stop::Kill] {
        let answer = gateway
            .api()
            .post(&format!("{}/keys", at("demo/iris")), &json!({}));
        newest = admin::epoch_of(&answer).max(newest);
        gateway.restart(stop);
        let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
        let seen: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
        assert!(seen >= newest, "{seen} after {newest} was shown");
        newest = seen;
    }
}

#[test]
fn a_second_process_is_told_clearly() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let made = gateway.api().create("demo/iris", &version(&backend.url()));
    let mut second = Process(
        command()
            .arg("serve")
            .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
            .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("WEIR_DATA_DIR", gateway.data_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut status = None;
    eventually(PATIENCE, "the second is refused", || {
        status = second.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(!status.unwrap().success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut second.0.stderr.take().unwrap(), &mut said).unwrap();
    std::io::Read::read_to_string(&mut second.0.stdout.take().unwrap(), &mut said).unwrap();
    let dir = gateway.data_dir();
    assert!(
        said.contains(dir.to_str().unwrap()),
        "which directory: {said}"
    );
    let clear = ["another", "in use", "locked", "already"]
        .iter()
        .any(|w| said.contains(w));
    assert!(clear && !said.contains("panicked"), "{said}");
    want(
        200,
        &gateway
            .api()
            .patch(&at("demo/iris"), &json!({"description": "unharmed"})),
    );
    assert_eq!(
        gateway
            .call(&post(), &[("x-api-key", &made.secret)], b"")
            .status,
        200
    );
}

#[test]
fn a_damaged_store_is_not_taken_for_an_empty_one() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    gateway.api().create("demo/iris", &version(&backend.url()));
    gateway.stop(Stop::Term);
    let mut damaged = Vec::new();
    for path in files(&gateway.data_dir()) {
        // The file, and its journal, from which it would rightly be mended.
        let head = fs::read(&path).unwrap();
        let journal = head.starts_with(&[0x37, 0x7f, 0x06]);
        if head.starts_with(b"SQLite format 3\0") || journal {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&[0xa5; 4_096], 0).unwrap();
            damaged.push(path);
        }
    }
    assert!(!damaged.is_empty(), "the store is a SQLite file");
    let ready = gateway.data_dir().join("ready.json");
    let mut child = Process(
        command()
            .args(["serve", "--ready-file"])
            .arg(&ready)
            .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
            .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("WEIR_DATA_DIR", gateway.data_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut status = None;
    holds_within(PATIENCE, || {
        status = child.0.try_wait().unwrap();
        status.is_some() || ready.exists()
    });
    assert!(
        status.is_some_and(|s| !s.success()),
        "it started on a damaged store: {status:?}"
    );
    for path in damaged {
        assert!(
            fs::read(&path).unwrap().starts_with(&[0xa5; 64]),
            "it wrote over the evidence"
        );
    }
}
