//! Background work is recorded, ordered, found again, and never done twice.

use std::{collections::BTreeSet, thread};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Gateway, PATIENCE, Stop, admin, at, at_once, eventually, post, problem,
    version, want,
};

/// A body whose deploy stays in readiness for as long as its backend is unhealthy.
fn waiting(backend: &Backend) -> Value {
    backend.set_healthy(false);
    let mut body = version(&backend.url());
    body["main"]["health_path"] = json!("/health");
    body
}

fn when(task: &Value, member: &str) -> Timestamp {
    let words = admin::text(&task[member]);
    words
        .parse()
        .unwrap_or_else(|e| panic!("{member} {words}: {e}"))
}

/// What a task is doing is no part of its record, but of the answer.
#[test]
fn a_task_that_got_further_is_another_answer() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let id = api.begin(&versions, &waiting(&backend));
    let line = format!("GET /api/v1/tasks/{id}");
    eventually(PATIENCE, "a first try", || {
        api.task(&id)["reason"].to_string().contains("tr")
    });
    let tag = api.send(&line, &[], b"");
    let tag = tag.get("etag").expect("a tag").to_owned();
    eventually(PATIENCE, "another try", || {
        api.send(&line, &[("if-none-match", &tag)], b"").status == 200
    });
}

#[test]
fn fifty_deploys_at_once_get_a_number_each_and_run_one_by_one() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let begun = at_once(50, |i| {
        let mut body = version(&backend.url());
        body["notes"] = json!(format!("thread {i}"));
        let body = want(202, &api.post(&versions, &body));
        (
            i,
            body["version"].as_u64().unwrap(),
            admin::text(&body["task"]["id"]),
        )
    });
    let numbers: BTreeSet<_> = begun.iter().map(|(_, n, _)| *n).collect();
    assert_eq!(numbers, (2..=51).collect(), "each once");
    let mut spans: Vec<_> = begun
        .iter()
        .map(|(_, _, id)| api.done(id))
        .map(|task| (when(&task, "started_at"), when(&task, "ended_at"), task))
        .collect();
    spans.sort_by_key(|(start, end, _)| (*start, *end));
    for two in spans.windows(2) {
        assert!(
            two[1].0 >= two[0].1,
            "two at a time: {} and {}",
            two[0].2,
            two[1].2
        );
    }
    for (i, n, _) in &begun {
        let shown = api.show(&format!("{versions}/{n}"));
        assert!(
            shown.to_string().contains(&format!("thread {i}\"")),
            "v{n}: {shown}"
        );
    }
    let listed: Vec<_> = api.list(&versions).iter().map(number).collect();
    let unique: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!((listed.len(), unique), (51, (1..=51).collect()));
    let live = api.live_version("demo/iris").unwrap();
    assert_eq!(live, 51, "who asked last");
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(
        (answer.status, answer.version()),
        (200, format!("iris_v{live}"))
    );
}

/// The number of a listed version, under either name.
fn number(version: &Value) -> u64 {
    ["version", "number", "n"]
        .iter()
        .find_map(|member| version[member].as_u64())
        .unwrap_or_else(|| panic!("no number in {version}"))
}

#[test]
fn one_idempotency_key_is_one_task_whoever_asks_and_when() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&backend.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let ask = |api: &Admin, key: &str| {
        let headers = [("idempotency-key", key)];
        let body = want(
            202,
            &api.json("POST", &versions, &headers, &version(&backend.url())),
        );
        (
            admin::text(&body["task"]["id"]),
            body["version"].as_u64().unwrap(),
        )
    };
    let same: BTreeSet<_> = at_once(20, |_| ask(&api, "release-7"))
        .into_iter()
        .collect();
    assert_eq!(same.len(), 1, "{same:?}");
    let (task, n) = same.into_iter().next().unwrap();
    assert_eq!(n, 2);
    api.done(&task);
    assert_eq!(
        ask(&api, "release-7"),
        (task.clone(), 2),
        "when it is done, too"
    );
    let (other, n) = ask(&api, "release-8");
    assert!(other != task && n == 3);
    api.done(&other);
    // Stop is a task as well, and another deployment's id is another id.
    let stop = format!("{}/stop", at("demo/iris"));
    let stops: BTreeSet<_> = at_once(8, |_| {
        let line = format!("POST /api/v1{stop}");
        let body = want(202, &api.send(&line, &[("idempotency-key", "halt")], b""));
        admin::text(&body["task"]["id"])
    })
    .into_iter()
    .collect();
    assert_eq!(stops.len(), 1, "{stops:?}");
    api.done(stops.first().unwrap());
    api.create("demo/other", &version(&backend.url()));
    let headers = [("idempotency-key", "release-7")];
    let answer = api.json(
        "POST",
        &format!("{}/versions", at("demo/other")),
        &headers,
        &version(&backend.url()),
    );
    if answer.status == 202 {
        assert_eq!(
            answer.json()["task"]["deployment"],
            "demo/other",
            "{}",
            answer.text()
        );
    } else {
        problem(&[409, 422], &answer);
    }
    gateway.restart(Stop::Kill);
    assert_eq!(
        ask(&gateway.api(), "release-7"),
        (task, 2),
        "after a restart, too"
    );
}

#[test]
fn while_one_runs_another_waits_or_is_refused() {
    let old = Backend::says("old");
    let (slow, quick) = (Backend::says("slow"), Backend::says("quick"));
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&old.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let first = api.begin(&versions, &waiting(&slow));
    api.wait_status(&first, "processing");
    for path in [
        versions.clone(),
        format!("{}/stop", at("demo/iris")),
        format!("{}/rollback", at("demo/iris")),
    ] {
        let body = if path == versions {
            version(&quick.url())
        } else {
            json!({})
        };
        let busy = api.post(&format!("{path}?if_busy=refuse"), &body);
        if path.ends_with("rollback") && busy.status == 409 && busy.json()["code"] != "busy" {
            continue; // There is nothing to roll back to, which is as good a reason.
        }
        assert_eq!(problem(&[409], &busy), "busy", "{path}");
    }
    problem(
        &[400, 422],
        &api.post(
            &format!("{versions}?if_busy=perhaps"),
            &version(&quick.url()),
        ),
    );
    let body = want(202, &api.post(&versions, &version(&quick.url())));
    let second = admin::text(&body["task"]["id"]);
    assert_eq!(body["task"]["status"], "pending");
    // Another deployment does not wait for this one.
    api.create("demo/other", &version(&quick.url()));
    assert_eq!(api.task(&second)["status"], "pending", "one at a time");
    let held = want(
        202,
        &api.post(&format!("{versions}?wait=1"), &version(&quick.url())),
    );
    assert_eq!(
        held["task"]["status"], "pending",
        "wait ends before the task"
    );
    let third = admin::text(&held["task"]["id"]);
    slow.set_healthy(true);
    for task in [&first, &second, &third] {
        api.done(task);
    }
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(answer.text(), "quick");
    assert_eq!(answer.version(), format!("iris_v{}", held["version"]));
}

#[test]
fn what_waits_can_be_canceled_and_what_has_ended_can_not() {
    let old = Backend::says("old");
    let new = Backend::says("new");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&old.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let first = api.begin(&versions, &waiting(&new));
    api.wait_status(&first, "processing");
    let second = api.begin(&versions, &version(&new.url()));
    let cancel = |id: &str| api.poke(&format!("/tasks/{id}/cancel"));
    assert!(matches!(cancel(&second).status, 200 | 202));
    api.wait_status(&second, "canceled");
    assert_eq!(
        api.task(&first)["status"],
        "processing",
        "the other goes on"
    );
    assert!(matches!(cancel(&first).status, 200 | 202));
    api.wait_status(&first, "canceled");
    new.set_healthy(true);
    let probes = new.probes();
    assert_eq!(
        api.deploy("demo/iris", &version(&old.url())),
        4,
        "both numbers are spent"
    );
    assert!(new.probes() <= probes + 1, "nobody waits for it any more");
    for n in [2, 3] {
        let shown = api.show(&format!("{versions}/{n}"));
        assert_eq!(shown["status"], "failed", "{shown}");
        let to = api.post(
            &format!("{}/rollback", at("demo/iris")),
            &json!({"version": n}),
        );
        problem(&[409], &to);
    }
    let latest = items(&api, "/tasks?deployment=demo/iris&limit=1").remove(0);
    problem(&[409], &cancel(&admin::text(&latest["id"])));
    problem(&[409], &cancel(&first));
    let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
    assert_eq!(
        (answer.text().as_str(), answer.version().as_str()),
        ("old", "iris_v4")
    );
}

fn items(api: &Admin, path: &str) -> Vec<Value> {
    admin::items(&api.show(path)).clone()
}

#[test]
fn tasks_are_found_by_deployment_and_status_newest_first() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    api.create("demo/other", &version(&backend.url()));
    let mut ids = vec![admin::text(&made.body["task"]["id"])];
    for verb in ["versions", "stop", "restart", "rollback"] {
        let body = if verb == "versions" {
            version(&backend.url())
        } else {
            json!({})
        };
        let id = api.begin(&format!("{}/{verb}", at("demo/iris")), &body);
        let task = api.done(&id);
        let kind = if verb == "versions" { "deploy" } else { verb };
        assert_eq!(task["kind"], kind, "{task}");
        for member in ["created_at", "started_at", "ended_at"] {
            when(&task, member);
        }
        assert!(when(&task, "created_at") <= when(&task, "started_at"));
        assert!(when(&task, "started_at") <= when(&task, "ended_at"));
        assert!(!task["actor"].is_null(), "{task}");
        ids.insert(0, id);
    }
    let of = |path: &str| -> Vec<_> {
        api.list(path)
            .iter()
            .map(|t| admin::text(&t["id"]))
            .collect()
    };
    assert_eq!(of("/tasks?deployment=demo/iris"), ids);
    assert_eq!(
        of("/tasks?deployment=demo/iris&limit=2"),
        ids,
        "page by page"
    );
    assert_eq!(items(&api, "/tasks?deployment=demo/iris&limit=2").len(), 2);
    assert_eq!(of("/tasks?deployment=demo/iris&status=done"), ids);
    assert!(of("/tasks?deployment=demo/iris&status=failed").is_empty());
    assert_eq!(of("/tasks").len(), ids.len() + 1);
    problem(&[400, 422], &api.get("/tasks?status=perhaps"));
    problem(&[400, 422], &api.get("/tasks?limit=-1"));
    problem(&[400, 422], &api.get("/tasks?limit=many"));
}

#[test]
fn everything_at_once_ends_in_one_state_that_both_planes_agree_on() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &version(&backend.url()));
    for _ in 0..2 {
        at_once(12, |i| {
            let (verb, body) = match i % 4 {
                0 => ("versions", version(&backend.url())),
                1 => ("stop", json!({})),
                2 => ("restart", json!({})),
                _ => ("rollback", json!({})),
            };
            let answer = api.post(&format!("{}/{verb}", at("demo/iris")), &body);
            assert!(
                matches!(answer.status, 202 | 409),
                "{verb}: {}",
                answer.text()
            );
        });
        let mut running = Vec::new();
        eventually(PATIENCE, "every task ends", || {
            running = api.list("/tasks?deployment=demo/iris");
            running.iter().all(admin::is_terminal)
        });
        let shown = api.show(&at("demo/iris"));
        let answer = gateway.call(&post(), &[("x-api-key", &made.secret)], b"");
        match shown["state"].as_str() {
            Some("live") => {
                assert_eq!(answer.status, 200, "{shown}");
                assert_eq!(answer.version(), format!("iris_v{}", shown["live_version"]));
            }
            Some("stopped") => assert_eq!(answer.status, 503, "{shown}"),
            other => panic!("{other:?} after everything: {shown}"),
        }
    }
}

#[test]
fn who_waits_for_a_task_keeps_nobody_else_waiting() {
    let old = Backend::says("old");
    let new = Backend::says("new");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.create("demo/iris", &version(&old.url()));
    let versions = format!("{}/versions", at("demo/iris"));
    let body = waiting(&new);
    let ask = |query: &str| {
        let headers = [("idempotency-key", "once")];
        want(
            202,
            &api.json("POST", &format!("{versions}{query}"), &headers, &body),
        )
    };
    let task = admin::text(&ask("")["task"]["id"]);
    api.wait_status(&task, "processing");
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..40).map(|_| scope.spawn(|| ask("?wait=14"))).collect();
        // Keys are still handed out and revoked, other deployments go live, the task is seen.
        for _ in 0..10 {
            let (id, _) = api.key(&at("demo/iris"), &json!({}));
            want(
                200,
                &api.poke(&format!("{}/keys/{id}/revoke", at("demo/iris"))),
            );
        }
        api.create("demo/other", &version(&old.url()));
        assert_eq!(api.task(&task)["status"], "processing");
        assert!(waiters.iter().all(|w| !w.is_finished()), "they wait");
        new.set_healthy(true);
        for waiter in waiters {
            let told = waiter.join().unwrap();
            assert_eq!(told["task"]["id"], task.as_str());
            assert_eq!(told["task"]["status"], "done", "{told}");
        }
    });
    assert_eq!(api.live_version("demo/iris"), Some(2));
}
