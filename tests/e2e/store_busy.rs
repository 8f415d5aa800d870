//! With the store out of reach nothing is acknowledged, and the data plane does not notice.

use std::{sync::mpsc, thread, time::Duration};

use rusqlite::Connection;
use serde_json::json;

use crate::{
    restart::files,
    support::{Backend, Gateway, PATIENCE, Stop, at, eventually, post, version},
};

#[test]
fn what_can_not_be_written_is_not_acknowledged_and_requests_go_on() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    let mut held = Vec::new();
    // Looked for first: closing any file of the store would let go of the locks of this process.
    let mut stores = files(&gateway.data_dir());
    stores.retain(|path| {
        std::fs::read(path)
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    });
    for path in stores {
        let store = Connection::open(&path).unwrap();
        // A store that is locked for as long as it is open can't be held from outside.
        if store.busy_timeout(Duration::from_millis(50)).is_ok()
            && store.execute_batch("BEGIN IMMEDIATE").is_ok()
        {
            held.push(store);
        }
    }
    if held.is_empty() {
        println!("the store is locked by the gateway, nothing to hold");
        return;
    }
    let (answered, answers) = mpsc::channel();
    let asker = {
        let api = api.clone();
        thread::spawn(move || {
            let body = json!({"description": "unwritten"});
            let answer = api.try_json("PATCH", &at("demo/iris"), &[], &body);
            let _ = answered.send(answer.map(|a| a.status));
        })
    };
    let mut kept = gateway.connect();
    let first = answers.recv_timeout(Duration::from_secs(2));
    for _ in 0..50 {
        assert_eq!(kept.call(&post(), &headers, b"").status, 200);
    }
    if let Ok(status) = &first {
        assert!(matches!(status, Ok(500..=504)), "acknowledged: {status:?}");
    }
    drop(held);
    asker.join().unwrap();
    eventually(PATIENCE, "it is written again", || {
        let body = json!({"description": "written"});
        let answer = api.try_json("PATCH", &at("demo/iris"), &[], &body);
        answer.is_ok_and(|a| a.status == 200)
    });
    gateway.restart(Stop::Kill);
    assert_eq!(
        gateway.api().show(&at("demo/iris"))["description"],
        "written"
    );
    assert_eq!(gateway.call(&post(), &headers, b"").status, 200);
}
