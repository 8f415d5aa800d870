//! Async requests over the real router and a real control plane, with a queue that does as it is
//! told.

mod deeds;
mod looks;
mod results;
mod script;
mod webhooks;

use serde_json::{Value, json};

use self::script::{Script, request, world};
use crate::{
    admin::testing::{Reply, World},
    base::async_id::AsyncId,
    queue::Request,
    store::JobStatus,
};

const IRIS: &str = "/api/v1/projects/demo/deployments/iris";

/// One request in each status, oldest first.
fn one_of_each() -> Vec<Request> {
    let statuses = JobStatus::ALL.into_iter().zip(0..);
    statuses
        .map(|(status, after)| request(after, "demo/iris", status))
        .collect()
}

fn id_of(requests: &[Request], status: JobStatus) -> AsyncId {
    let found = requests.iter().find(|own| own.status() == status);
    found.expect("one of each").id()
}

/// A token of a role in the project, as headers.
async fn bearer(world: &World, name: &str, role: &str) -> String {
    let token = json!({"name": name, "role": role, "projects": ["demo"]}).to_string();
    let token = world.call("POST /api/v1/tokens", &[], &token).await.json();
    format!("Bearer {}", token["secret"].as_str().expect("a token"))
}

/// The history of iris, newest first.
async fn history(world: &World) -> Vec<Value> {
    let reply = world.call(&format!("GET {IRIS}/history"), &[], "").await;
    reply.json()["items"].as_array().cloned().expect("a list")
}

fn outcome(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.code())
}

#[tokio::test]
async fn without_a_queue_all_of_it_is_unavailable_and_nothing_else_is() {
    let world = World::new().await;
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "demo"}"#)
        .await;
    assert_eq!(made.status, 201);
    let iris = r#"{"name": "iris", "version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]},
        "readiness": {"unreachable_ms": 0}}}"#;
    let deployments = "POST /api/v1/projects/demo/deployments";
    assert_eq!(world.call(deployments, &[], iris).await.status, 201);
    let id = request(0, "demo/iris", JobStatus::Queued).id();
    for line in [
        format!("GET {IRIS}/async"),
        format!("GET {IRIS}/async/queue"),
        format!("POST {IRIS}/async/pause"),
        format!("POST {IRIS}/async/resume"),
        format!("POST {IRIS}/async/replay"),
        format!("POST {IRIS}/async/purge"),
        format!("GET {IRIS}/async/{id}"),
        format!("GET {IRIS}/async/{id}/result"),
        format!("POST {IRIS}/async/{id}/cancel"),
        format!("POST {IRIS}/async/{id}/retry"),
        format!("GET {IRIS}/async/{id}/webhook"),
        format!("GET {IRIS}/webhook"),
        format!("POST {IRIS}/webhook/rotate"),
    ] {
        let reply = world.call(&line, &[], "").await;
        assert_eq!(outcome(&reply), (503, "async_unavailable".into()), "{line}");
        assert_eq!(reply.header("retry-after"), "1", "{line}");
    }
    let read = world.call(&format!("GET {IRIS}"), &[], "").await.json();
    assert_eq!(read["queue_paused"], false);
    let told = history(&world).await;
    assert!(
        told.iter().all(|entry| entry["action"] == "create"),
        "{told:?}"
    );
}

#[tokio::test]
async fn every_role_is_held_to_what_it_may() {
    let requests = one_of_each();
    let queued = id_of(&requests, JobStatus::Queued);
    let completed = id_of(&requests, JobStatus::Cancelled);
    let script = Script::of(requests);
    let world = world(&script).await;
    let far = json!({"name": "far", "role": "member", "projects": ["other"]}).to_string();
    let other = r#"{"name": "other"}"#;
    assert_eq!(
        world.call("POST /api/v1/projects", &[], other).await.status,
        201
    );
    let far = world.call("POST /api/v1/tokens", &[], &far).await.json();
    let far = format!("Bearer {}", far["secret"].as_str().expect("a token"));
    let (member, viewer) = (
        bearer(&world, "ann", "member").await,
        bearer(&world, "eye", "viewer").await,
    );
    let url = r#"{"url": "https://hooks.example/a"}"#;
    for (line, body, good, viewed) in [
        (format!("GET {IRIS}/async"), "", 200, true),
        (format!("GET {IRIS}/async/queue"), "", 200, true),
        (format!("GET {IRIS}/async/{queued}"), "", 200, true),
        (format!("GET {IRIS}/async/{queued}/webhook"), "", 200, true),
        (format!("GET {IRIS}/webhook"), "", 200, true),
        // What a model answered is its client's.
        (
            format!("GET {IRIS}/async/{completed}/result"),
            "",
            410,
            false,
        ),
        (format!("POST {IRIS}/async/pause"), "", 200, false),
        (format!("POST {IRIS}/async/resume"), "", 200, false),
        (format!("POST {IRIS}/async/replay"), "", 200, false),
        (format!("POST {IRIS}/async/purge"), "", 200, false),
        (format!("POST {IRIS}/async/{queued}/retry"), "", 409, false),
        (format!("POST {IRIS}/async/{queued}/cancel"), "", 200, false),
        (format!("PUT {IRIS}/webhook"), url, 200, false),
        (format!("POST {IRIS}/webhook/rotate"), "", 200, false),
        (format!("DELETE {IRIS}/webhook"), "", 204, false),
    ] {
        for (bearer, status) in [
            (&far, 403),
            (&viewer, if viewed { good } else { 403 }),
            (&member, good),
        ] {
            let headers = [("authorization", bearer.as_str())];
            let reply = world.call(&line, &headers, body).await;
            assert_eq!(reply.status, status, "{line}");
        }
    }
    let done = script.told().done.clone();
    assert_eq!(done, ["replay 1000000", "purge", "retry", "cancel"]);
}

#[tokio::test]
async fn requests_of_a_deleted_deployment_are_read_and_no_more() {
    let requests = one_of_each();
    let dead = id_of(&requests, JobStatus::Error);
    let script = Script::of(requests);
    let world = world(&script).await;
    let gone = world
        .call(
            &format!("DELETE {IRIS}?wait=20"),
            &[],
            r#"{"reason": "old"}"#,
        )
        .await;
    assert_eq!(gone.json()["task"]["status"], "done");
    for (path, status) in [
        ("async", 200),
        ("async/queue", 200),
        (&format!("async/{dead}"), 200),
        (&format!("async/{dead}/result"), 502),
        (&format!("async/{dead}/webhook"), 200),
        ("webhook", 404),
    ] {
        let reply = world.call(&format!("GET {IRIS}/{path}"), &[], "").await;
        assert_eq!(reply.status, status, "{path}");
    }
    for path in [
        "async/pause",
        "async/resume",
        "async/replay",
        "async/purge",
        &format!("async/{dead}/cancel"),
        &format!("async/{dead}/retry"),
        "webhook/rotate",
    ] {
        let reply = world.call(&format!("POST {IRIS}/{path}"), &[], "").await;
        let expected = (404, "deployment_unknown".to_owned());
        assert_eq!(outcome(&reply), expected, "{path}");
    }
    assert_eq!(script.told().done.len(), 0);
    let never = "/api/v1/projects/demo/deployments/never/async";
    let reply = world.call(&format!("GET {never}"), &[], "").await;
    assert_eq!(outcome(&reply), (404, "deployment_unknown".into()));
}
