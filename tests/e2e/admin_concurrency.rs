//! Many hands at once: one wins, the others are told, and no list loses or repeats anything.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    Backend, Gateway, PATIENCE, Response, SetOnDrop, admin, at, at_once, eventually, post, problem,
    version, want,
};

/// One 201, and `exists` for everybody else.
#[track_caller]
fn one_wins(answers: &[Response]) -> Value {
    let made: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
    assert_eq!(made.len(), 1, "of {}", answers.len());
    for lost in answers.iter().filter(|a| a.status != 201) {
        assert_eq!(problem(&[409], lost), "exists");
    }
    made[0].json()
}

#[test]
fn of_those_who_read_the_same_state_one_writes() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let path = at("demo/iris");
    for round in 0..5 {
        let tag = api.get(&path).get("etag").expect("an ETag");
        let answers = at_once(16, |i| {
            let body = json!({"description": format!("{round} by {i}")});
            api.json("PATCH", &path, &[("if-match", &tag)], &body)
        });
        let won: Vec<_> = answers.iter().filter(|a| a.status == 200).collect();
        assert_eq!(won.len(), 1, "exactly one of 16");
        for lost in answers.iter().filter(|a| a.status != 200) {
            assert_eq!(problem(&[412], lost), "revision_mismatch");
        }
        let now = api.get(&path);
        assert_eq!(now.json()["description"], won[0].json()["description"]);
        // What the winner was given can be used for the next change.
        let tag = won[0].get("etag").expect("an ETag");
        let body = json!({"tags": [format!("after {round}")]});
        want(200, &api.json("PATCH", &path, &[("if-match", &tag)], &body));
    }
    // Without a condition, the members of concurrent patches do not undo each other.
    for round in 0..5 {
        let words = format!("round {round}");
        let tags = json!([format!("t{round}")]);
        let shown = format!("Iris {round}");
        at_once(3, |i| {
            let body = match i {
                0 => json!({"description": words}),
                1 => json!({"tags": tags}),
                _ => json!({"display_name": shown}),
            };
            want(200, &api.patch(&path, &body));
        });
        let now = api.show(&path);
        assert_eq!(
            (&now["description"], &now["tags"], &now["display_name"]),
            (&json!(words), &tags, &json!(shown))
        );
    }
}

#[test]
fn of_those_who_make_the_same_thing_one_does() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let body = json!({"name": "demo"});
    one_wins(&at_once(16, |_| api.post("/projects", &body)));
    one_wins(&at_once(8, |_| {
        api.post("/tenants", &json!({"name": "acme"}))
    }));
    let body = json!({"name": "iris", "version": version(&backend.url())});
    let made = one_wins(&at_once(16, |_| {
        api.post("/projects/demo/deployments", &body)
    }));
    api.done(&admin::text(&made["task"]["id"]));
    let keys = api.list(&format!("{}/keys", at("demo/iris")));
    assert_eq!(keys.len(), 1, "one First Key: {keys:?}");
    assert_eq!(api.list("/tasks?deployment=demo/iris").len(), 1);
    let secret = admin::text(&made["first_key"]["secret"]);
    let answer = gateway.call(&post(), &[("x-api-key", &secret)], b"");
    assert_eq!((answer.status, answer.version().as_str()), (200, "iris_v1"));
}

#[test]
fn a_repeated_creation_gives_out_one_first_key() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.project("demo");
    let body = json!({"name": "iris", "version": version(&backend.url())});
    let answers = at_once(12, |_| {
        let headers = [("idempotency-key", "create-iris")];
        api.json("POST", "/projects/demo/deployments", &headers, &body)
    });
    let mut tasks = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for answer in &answers {
        if answer.status == 201 {
            tasks.insert(admin::text(&answer.json()["task"]["id"]));
            let secret = answer.json()["first_key"]["secret"].clone();
            secrets.extend(secret.as_str().map(str::to_owned));
        } else {
            assert_eq!(problem(&[409], answer), "exists");
        }
    }
    assert_eq!((tasks.len(), secrets.len()), (1, 1), "{tasks:?}");
    api.done(tasks.first().unwrap());
    let keys = api.list(&format!("{}/keys", at("demo/iris")));
    assert_eq!(keys.len(), 1, "{keys:?}");
    let headers = [("x-api-key", secrets.first().unwrap().as_str())];
    assert_eq!(gateway.call(&post(), &headers, b"").status, 200);
}

#[test]
fn pages_lose_and_repeat_nothing_while_more_comes_in() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let before: BTreeSet<_> = at_once(4, |_| {
        (0..10)
            .map(|_| api.key(&at("demo/iris"), &json!({})).0)
            .collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .collect();
    let keys = format!("{}/keys", at("demo/iris"));
    let stop = AtomicBool::new(false);
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (api, stop, made) = (&api, &stop, &made);
        for _ in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) && made.load(Ordering::SeqCst) < 400 {
                    api.key(&at("demo/iris"), &json!({}));
                    made.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _done = SetOnDrop(stop);
        for limit in [1, 3, 7, 20] {
            let path = format!("{keys}?limit={limit}");
            let mut page = api.show(&path);
            let mut seen = Vec::new();
            for _ in 0..2_000 {
                let items = admin::items(&page);
                assert!(
                    items.len() <= limit,
                    "{} for a limit of {limit}",
                    items.len()
                );
                seen.extend(items.iter().map(|k| admin::text(&k["id"])));
                let known: BTreeSet<_> = seen.iter().cloned().collect();
                assert_eq!(
                    known.len(),
                    seen.len(),
                    "something came twice, limit {limit}"
                );
                // What is made meanwhile may go on for ever; what was there must have come.
                if before.is_subset(&known) {
                    break;
                }
                let Some(next) = page["next"].as_str() else {
                    break;
                };
                page = api.show(&format!("{path}&cursor={next}"));
            }
            let known: BTreeSet<_> = seen.into_iter().collect();
            let lost: Vec<_> = before.difference(&known).collect();
            assert!(lost.is_empty(), "limit {limit} lost {lost:?}");
        }
    });
    assert!(made.into_inner() > 5);
    let all = api.list(&format!("{keys}?limit=9"));
    let ids: BTreeSet<_> = all.iter().map(|k| admin::text(&k["id"])).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(ids.len(), api.list(&keys).len());
    for bad in [
        "cursor=nonsense",
        "cursor=%00",
        "limit=x",
        "limit=-5",
        "limit=1e99",
    ] {
        problem(&[400, 422], &api.get(&format!("{keys}?{bad}")));
    }
    // A larger limit than weir likes is cut, not an endless answer.
    let huge = api.get(&format!("{keys}?limit=4000000000"));
    assert!(matches!(huge.status, 200 | 400 | 422), "{}", huge.status);
    // Filters go on through the pages.
    for key in &all[..5] {
        if key["description"] != "First Key" {
            want(
                200,
                &api.poke(&format!("{keys}/{}/revoke", admin::text(&key["id"]))),
            );
        }
    }
    let filtered = format!("{keys}?status=revoked&limit=2");
    if api.get(&filtered).status == 200 {
        let revoked = api.list(&filtered);
        assert!(matches!(revoked.len(), 4 | 5), "{revoked:?}");
        assert!(
            revoked.iter().all(|k| k["status"] == "revoked"),
            "{revoked:?}"
        );
    }
}

#[test]
fn deleting_while_everybody_works_ends_deleted() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    for round in 0..3 {
        let name = format!("demo/d{round}");
        let made = api.create(&name, &version(&backend.url()));
        let path = at(&name);
        let answers = at_once(9, |i| match i {
            0 => api.json("DELETE", &path, &[], &json!({"reason": "race"})),
            1..=3 => api.post(&format!("{path}/versions"), &version(&backend.url())),
            4 => api.poke(&format!("{path}/stop")),
            5 => api.poke(&format!("{path}/restart")),
            6 => api.post(&format!("{path}/keys"), &json!({})),
            7 => api.patch(&path, &json!({"access": "public"})),
            _ => api.post(&format!("{path}/rollback"), &json!({})),
        });
        assert_eq!(answers[0].status, 202, "{}", answers[0].text());
        for answer in &answers[1..] {
            assert!(
                matches!(answer.status, 200..=202 | 404 | 409),
                "{}",
                answer.text()
            );
        }
        eventually(PATIENCE, "every task ends", || {
            api.list(&format!("/tasks?deployment={name}"))
                .iter()
                .all(admin::is_terminal)
        });
        assert_eq!(api.show(&path)["state"], "deleted");
        let line = format!("POST /predict/{name}");
        let mut secrets = vec![made.secret];
        secrets
            .extend((answers[6].status == 201).then(|| admin::text(&answers[6].json()["secret"])));
        for secret in &secrets {
            assert_eq!(
                gateway.call(&line, &[("x-api-key", secret)], b"").status,
                401
            );
        }
        assert_ne!(gateway.call(&line, &[], b"").status, 200, "public or not");
    }
}

#[test]
fn each_mutation_says_its_epoch_and_it_only_grows() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &version(&backend.url()));
    api.project("other");
    let (_, caller) = api.key("/projects/demo", &json!({}));
    let (id, _) = api.key(&at("demo/iris"), &json!({}));
    let d = at("demo/iris");
    let mut kept: Vec<_> = (0..6).map(|_| gateway.connect()).collect();
    let mut newest = 0;
    for (method, path, body) in [
        ("POST", "/projects".to_owned(), json!({"name": "more"})),
        ("PATCH", d.clone(), json!({"description": "x"})),
        ("PATCH", d.clone(), json!({"access": "project"})),
        (
            "POST",
            format!("{d}/versions?wait=15"),
            version(&backend.url()),
        ),
        ("POST", format!("{d}/rollback?wait=15"), json!({})),
        ("POST", format!("{d}/keys"), json!({})),
        ("POST", "/projects/demo/keys".to_owned(), json!({})),
        ("POST", "/keys".to_owned(), json!({})),
        (
            "PATCH",
            format!("{d}/keys/{id}"),
            json!({"description": "y"}),
        ),
        ("POST", format!("{d}/keys/{id}/revoke"), Value::Null),
        ("POST", format!("{d}/shares"), json!({"project": "other"})),
        ("POST", format!("{d}/stop?wait=15"), Value::Null),
        ("POST", format!("{d}/restart?wait=15"), Value::Null),
        ("DELETE", "/projects/more".to_owned(), Value::Null),
    ] {
        let answer = api.verb(method, &path, &body);
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        let mut epoch = admin::epoch_of(&answer);
        if let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
            && let Some(own) = body["task"]["config_epoch"].as_u64()
        {
            assert_eq!(body["task"]["status"], "done", "{body}");
            epoch = epoch.max(own);
        }
        assert!(epoch >= newest, "{method} {path}: {epoch} after {newest}");
        newest = epoch;
        for client in &mut kept {
            let answer = client.call(&post(), &[("x-api-key", &caller)], b"");
            let seen = answer
                .get("x-config-epoch")
                .and_then(|e| e.parse::<u64>().ok());
            if answer.status == 200 {
                assert!(
                    seen >= Some(epoch),
                    "{method} {path}: {seen:?} after {epoch}"
                );
            }
        }
    }
    assert!(gateway.epoch() + 0.5 > newest as f64);
}
