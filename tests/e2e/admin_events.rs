//! Live events: what happens is told as it happens, in order, and nothing is told twice after a
//! connection was lost.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Events, Gateway, PATIENCE, Stop, admin, at, eventually, problem, version, want,
};

fn patch(api: &Admin, n: usize) {
    want(
        200,
        &api.patch(
            &at("demo/iris"),
            &json!({"description": format!("marker-{n}")}),
        ),
    );
}

fn mentions(data: &Value, word: &str) -> bool {
    data.to_string().contains(word)
}

#[test]
fn a_deploy_is_told_as_it_goes() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let mut events = Events::listen(&api, None);
    let made = api.create("demo/iris", &version(&backend.url()));
    let task = admin::text(&made.body["task"]["id"]);
    let seen = events.until("of the done task", |e| {
        mentions(&e.data, &task) && mentions(&e.data, "done")
    });
    let ids: BTreeSet<_> = seen.iter().map(|e| e.id.clone()).collect();
    assert_eq!(ids.len(), seen.len(), "ids are not repeated: {seen:#?}");
    for event in &seen {
        assert!(!event.id.is_empty() && !event.event.is_empty(), "{event:?}");
        assert!(event.data.is_object(), "{event:?}");
        assert!(
            !mentions(&event.data, &made.secret),
            "a secret in {event:?}"
        );
    }
    // Two listeners hear the same.
    let mut others = [Events::listen(&api, None), Events::listen(&api, None)];
    let (_, secret) = api.key(&at("demo/iris"), &json!({"description": "told"}));
    for events in &mut others {
        let told = events.until("of the key", |e| mentions(&e.data, "iris"));
        assert!(!told.iter().any(|e| mentions(&e.data, &secret)), "{told:?}");
    }
}

#[test]
fn a_listener_goes_on_where_it_was_cut_off() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let mut events = Events::listen(&api, None);
    patch(&api, 0);
    let first = events.until("of the first", |e| mentions(&e.data, "iris"));
    let last = first.last().unwrap().clone();
    drop(events);
    for n in 1..=5 {
        api.key(&at("demo/iris"), &json!({"description": format!("k{n}")}));
    }
    let mut events = Events::listen(&api, Some(&last.id));
    let marker = "end-marker";
    api.create(&format!("demo/{marker}"), &version(&backend.url()));
    let rest = events.until("of the marker", |e| mentions(&e.data, marker));
    let old: BTreeSet<_> = first.iter().map(|e| e.id.clone()).collect();
    let ids: Vec<_> = rest.iter().map(|e| e.id.clone()).collect();
    assert!(
        ids.iter().all(|id| !old.contains(id)),
        "told again: {ids:?} after {old:?}"
    );
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    let missed = rest.iter().filter(|e| mentions(&e.data, "iris")).count();
    assert!(
        missed >= 5,
        "{missed} of 5 keys came after the cut: {rest:#?}"
    );
    // And once more from the same place: the same, in the same order.
    let mut again = Events::listen(&api, Some(&last.id));
    let again = again.until("of the marker", |e| mentions(&e.data, marker));
    assert_eq!(again.iter().map(|e| e.id.clone()).collect::<Vec<_>>(), ids);
    for nonsense in ["nonsense", "-1", "99999999999999999999999"] {
        let answer = api
            .nobody()
            .send("GET /api/v1/events", &[("last-event-id", nonsense)], b"");
        problem(&[401], &answer);
        match Events::try_listen(&api, Some(nonsense)) {
            Ok(mut events) => {
                patch(&api, 9);
                events.until("after a strange id", |e| mentions(&e.data, "iris"));
            }
            Err(status) => assert_eq!(status, 400, "{nonsense}"),
        }
    }
}

#[test]
fn one_hears_what_one_may_see() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    for (tenant, project) in [("acme", "alpha"), ("globex", "gamma")] {
        want(201, &api.post("/tenants", &json!({"name": tenant})));
        want(
            201,
            &api.post("/projects", &json!({"name": project, "tenant": tenant})),
        );
    }
    let (_, member) = api
        .token(&json!({"name": "m", "role": "member", "projects": ["alpha"], "description": ""}));
    let mut events = Events::listen(&api.with_token(&member), None);
    api.create("gamma/hidden", &version(&backend.url()));
    api.key("/projects/gamma", &json!({"description": "hidden"}));
    api.create("alpha/shown", &version(&backend.url()));
    let seen = events.until("of one's own", |e| mentions(&e.data, "shown"));
    for event in &seen {
        for foreign in ["hidden", "gamma", "globex"] {
            assert!(!mentions(&event.data, foreign), "{event:?}");
        }
    }
}

#[test]
fn listeners_neither_hold_up_the_end_nor_each_other() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().env("WEIR_DRAIN_GRACE_MS", 20_000).start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    // Those who never read do not keep a mutation from being answered.
    let deaf: Vec<_> = (0..8).map(|_| Events::listen(&api, None)).collect();
    for n in 0..200 {
        patch(&api, n);
    }
    let since = std::time::Instant::now();
    gateway.stop(Stop::Term);
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    drop(deaf);
    gateway.start_again();
    let api = gateway.api();
    let mut events = Events::listen(&api, None);
    patch(&api, 1_000);
    events.until("after the restart", |e| mentions(&e.data, "iris"));
    drop(events);
    eventually(PATIENCE, "still answering", || {
        api.get("/status").status == 200
    });
}
