//! A revoked key admits no request that starts after the answer: not on a connection that has used
//! it a thousand times, not while everything else changes too, not after a restart.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::json;

use crate::support::{
    Backend, Gateway, SetOnDrop, Stop, admin, at, at_once, load, load::Load, post, problem,
    version, want,
};

fn rounds(short: usize) -> usize {
    if std::env::var_os("WEIR_FULL").is_some() {
        short * 20
    } else {
        short
    }
}

#[test]
fn under_load_no_admission_starts_after_the_answer() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let mut revoked = Vec::new();
    for round in 0..rounds(12) {
        // Each scope is kept in its own way, so each is tried.
        let path = [at("demo/iris"), "/projects/demo".to_owned(), String::new()][round % 3].clone();
        let (id, secret) = api.key(&path, &json!({}));
        let shots = Mutex::new(Vec::new());
        let (wrong, answered) = load::during(
            &gateway,
            Load {
                path: "/predict/demo/iris",
                key: &secret,
                http1: 3,
                http2: 1,
            },
            |shot| {
                shots
                    .lock()
                    .unwrap()
                    .push((shot.started, shot.status, shot.client));
                match shot.status {
                    200 | 401 => Ok(()),
                    _ => Err(format!("{shot:?}")),
                }
            },
            |going| {
                going.wait_each(5);
                let answer = api.poke(&format!("{path}/keys/{id}/revoke"));
                let answered = Instant::now();
                assert_eq!(want(200, &answer)["status"], "revoked");
                admin::epoch_of(&answer);
                going.wait_each(10);
                answered
            },
        );
        assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
        let shots = shots.into_inner().unwrap();
        let before = shots.iter().filter(|(_, status, _)| *status == 200).count();
        let late: Vec<_> = shots
            .iter()
            .filter(|(started, ..)| *started > answered)
            .collect();
        assert!(
            before >= 15 && late.len() >= 15,
            "{before} before, {} after",
            late.len()
        );
        let admitted = late.iter().filter(|(_, status, _)| *status != 401).count();
        assert_eq!(
            admitted,
            0,
            "of {} that started after the answer, round {round}",
            late.len()
        );
        revoked.push(secret);
    }
    let refused = |gateway: &Gateway| {
        let mut kept = gateway.connect();
        for secret in &revoked {
            let headers = [("x-api-key", secret.as_str())];
            assert_eq!(kept.call(&post(), &headers, b"").status, 401);
        }
    };
    refused(&gateway);
    gateway.restart(Stop::Kill);
    refused(&gateway);
}

#[test]
fn while_everything_else_is_published_it_stays_revoked() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &version(&backend.url()));
    let stop = AtomicBool::new(false);
    let published = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (api, stop, published) = (&api, &stop, &published);
        // Publishers of everything that could carry an old view of the keys.
        for kind in 0..3 {
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    match kind {
                        0 => {
                            let path = format!("{}/rollback?wait=15", at("demo/iris"));
                            want(202, &api.post(&path, &json!({})));
                        }
                        1 => drop(api.key(&at("demo/iris"), &json!({}))),
                        _ => {
                            let body = json!({"access": "keys", "description": "again"});
                            want(200, &api.patch(&at("demo/iris"), &body));
                        }
                    }
                    published.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _done = SetOnDrop(stop);
        let mut gone: Vec<String> = Vec::new();
        let mut kept: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
        for round in 0..rounds(25) {
            let (id, secret) = api.key(&at("demo/iris"), &json!({}));
            for client in &mut kept {
                let headers = [("x-api-key", secret.as_str())];
                assert_eq!(client.call(&post(), &headers, b"").status, 200, "{round}");
            }
            want(
                200,
                &api.poke(&format!("{}/keys/{id}/revoke", at("demo/iris"))),
            );
            gone.push(secret);
            // This one on all connections, and the earlier ones on some.
            let earlier = gone.iter().rev().take(6);
            for (nth, secret) in earlier.enumerate() {
                for client in kept.iter_mut().skip(if nth == 0 { 0 } else { nth % 4 }) {
                    let headers = [("x-api-key", secret.as_str())];
                    assert_eq!(
                        client.call(&post(), &headers, b"").status,
                        401,
                        "{round}/{nth}"
                    );
                }
            }
        }
    });
    assert!(published.into_inner() >= 6, "the others got their turn");
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_stream_that_began_before_ends_and_a_body_that_began_before_is_served_or_refused_whole() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({}));
    let headers = [("x-api-key", secret.as_str()), ("content-length", "8")];
    let mut half = gateway.connect();
    half.send(crate::support::client::request_head(&post(), &headers))
        .send("\r\nhalf");
    backend.wait_count(1);
    want(
        200,
        &api.poke(&format!("{}/keys/{id}/revoke", at("demo/iris"))),
    );
    half.send("half");
    let answer = half.response("POST");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "halfhalf"),
        "admitted before"
    );
    let again = half.call(&post(), &[("x-api-key", &secret)], b"");
    assert_eq!(again.status, 401, "the same connection, afterwards");
}

#[test]
fn a_key_made_and_revoked_in_a_race_ends_revoked() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let revoked = at_once(6, |_| {
        (0..5)
            .map(|_| {
                let (id, secret) = api.key(&at("demo/iris"), &json!({}));
                let path = format!("{}/keys/{id}", at("demo/iris"));
                // An edit at the same moment must not write the live state back.
                thread::scope(|scope| {
                    let edit = scope.spawn(|| api.patch(&path, &json!({"description": "edited"})));
                    want(200, &api.poke(&format!("{path}/revoke")));
                    let edit = edit.join().unwrap();
                    if edit.status != 200 {
                        problem(&[409, 412], &edit);
                    }
                });
                (id, secret)
            })
            .collect::<Vec<_>>()
    });
    let check = |gateway: &Gateway| {
        let api = gateway.api();
        for (id, secret) in revoked.iter().flatten() {
            let shown = api.show(&format!("{}/keys/{id}", at("demo/iris")));
            assert_eq!(shown["status"], "revoked", "{shown}");
            assert_eq!(
                gateway.call(&post(), &[("x-api-key", secret)], b"").status,
                401
            );
        }
    };
    check(&gateway);
    gateway.restart(Stop::Kill);
    check(&gateway);
}

#[test]
fn a_declared_key_that_was_revoked_stays_so_whatever_the_file_says() {
    let backend = Backend::echo();
    let declared = crate::support::iris(&backend);
    let mut gateway = Gateway::start(&declared);
    let call = |gateway: &Gateway| gateway.call(&post(), &[crate::support::AUTH], b"").status;
    assert_eq!(call(&gateway), 200);
    let list = gateway.api().list("/projects/demo/keys");
    let key = list
        .iter()
        .find(|key| key["description"] == "test")
        .unwrap_or_else(|| panic!("the declared key among {list:?}"));
    let path = format!("/projects/demo/keys/{}/revoke", admin::text(&key["id"]));
    want(200, &gateway.api().poke(&path));
    assert_eq!(call(&gateway), 401);
    let more = crate::support::key("wk_more_0123456789abcdefghijklmnopqrs", "demo");
    gateway.redeclare(declared.with(more));
    assert_eq!(call(&gateway), 401, "after a reload");
    gateway.restart(Stop::Kill);
    assert_eq!(call(&gateway), 401, "after a restart");
}
