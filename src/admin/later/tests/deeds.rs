//! What operators do: what is answered, and what the history says of it.

use super::*;
use crate::{control::access::Caller, queue::Refused};

#[tokio::test]
async fn a_pause_is_answered_with_the_queue_and_its_epoch() {
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let bearer = bearer(&world, "ann", "member").await;
    let ann = [("authorization", bearer.as_str())];
    let because = r#"{"reason": "too hot"}"#;
    let pause = format!("POST {IRIS}/async/pause");
    let tried = world
        .call(&format!("{pause}?dry_run=true"), &ann, because)
        .await
        .json();
    assert_eq!(
        (&tried["dry_run"], &tried["paused"]),
        (&json!(true), &json!(true))
    );
    let read = world.call(&format!("GET {IRIS}"), &[], "").await;
    assert_eq!(read.json()["queue_paused"], false);
    let stale = [("authorization", &*bearer), ("if-match", "\"r1\"")];
    assert_eq!(world.call(&pause, &stale, "").await.status, 412);
    let paused = world.call(&pause, &ann, because).await;
    assert_eq!(
        (paused.status.as_u16(), &paused.json()["paused"]),
        (200, &json!(true))
    );
    let epoch: u64 = paused.header("x-config-epoch").parse().expect("a number");
    assert_eq!(world.plane.control.epoch().0, epoch);
    let read = world.call(&format!("GET {IRIS}"), &[], "").await;
    assert_eq!(read.json()["queue_paused"], true);
    let resumed = world
        .call(&format!("POST {IRIS}/async/resume"), &ann, "")
        .await;
    assert_eq!(resumed.json()["paused"], false);
    let told = history(&world).await;
    assert_eq!(told[0]["action"], "queue-resume");
    assert_eq!(
        (&told[1]["action"], &told[1]["by"], &told[1]["reason"]),
        (&json!("queue-pause"), &json!("ann"), &json!("too hot"))
    );
    assert!(told[1]["token"].is_string());
}

#[tokio::test]
async fn a_request_is_called_off_once() {
    let requests = one_of_each();
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    for own in &requests {
        let (id, status) = (own.id(), own.status());
        let line = format!("POST {IRIS}/async/{id}/cancel");
        let expected = match status {
            JobStatus::Queued => (200, String::new()),
            JobStatus::Running => (202, String::new()),
            _ => (409, "async_ended".to_owned()),
        };
        let done = script.told().done.len();
        let tried = world.call(&format!("{line}?dry_run=true"), &[], "").await;
        assert_eq!(tried.code(), expected.1, "{status:?}");
        assert_eq!(script.told().done.len(), done);
        let reply = world.call(&line, &[], r#"{"reason": "stuck"}"#).await;
        assert_eq!(outcome(&reply), expected, "{status:?}");
        assert_eq!(script.told().done.len(), done + 1);
        if !status.has_ended() {
            assert_eq!(reply.json()["status"], "cancelled");
            assert!(!reply.header("x-config-epoch").is_empty());
            let told = history(&world).await;
            assert_eq!(told[0]["action"], "async-cancel");
            assert_eq!(told[0]["request"], id.to_string());
            assert_eq!(told[0]["reason"], "stuck");
        }
        let again = world.call(&line, &[], "").await;
        assert_eq!(outcome(&again), (409, "async_ended".into()), "{status:?}");
    }
    let told = history(&world).await;
    let cancels = told
        .iter()
        .filter(|entry| entry["action"] == "async-cancel");
    assert_eq!(cancels.count(), 2, "what did not happen is not told");
}

#[tokio::test]
async fn a_request_is_run_again_when_there_is_something_to_run() {
    let mut requests = one_of_each();
    let mut waits = request(40, "demo/iris", JobStatus::Queued);
    waits.job.attempt = 2;
    let (waits_id, dead_id) = (waits.id(), id_of(&requests, JobStatus::Error));
    requests.push(waits);
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    for own in &requests {
        let id = own.id();
        let line = format!("POST {IRIS}/async/{id}/retry");
        let expected = match id {
            id if id == waits_id => (200, String::new()),
            id if id == dead_id => (202, String::new()),
            _ => (409, "async_not_retryable".to_owned()),
        };
        let done = script.told().done.len();
        let tried = world.call(&format!("{line}?dry_run=true"), &[], "").await;
        assert_eq!(tried.code(), expected.1, "{:?}", own.status());
        assert_eq!(script.told().done.len(), done);
        let reply = world.call(&line, &[], "").await;
        assert_eq!(outcome(&reply), expected, "{:?}", own.status());
    }
    let again = world
        .call(&format!("POST {IRIS}/async/{dead_id}/retry"), &[], "")
        .await;
    assert_eq!(again.json()["retry_of"], dead_id.to_string());
    assert_ne!(again.json()["id"], dead_id.to_string());
    let location = format!(
        "{IRIS}/async/{}",
        again.json()["id"].as_str().expect("an id")
    );
    assert_eq!(again.header("location"), location);
    let told = history(&world).await;
    assert_eq!(
        (&told[0]["action"], &told[0]["request"]),
        (&json!("async-retry"), &json!(dead_id.to_string()))
    );
    script.told().refusal = Some(Refused::ShareSpent);
    let refused = world
        .call(&format!("POST {IRIS}/async/{dead_id}/retry"), &[], "")
        .await;
    assert_eq!(outcome(&refused), (429, "queue_share_spent".into()));
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn dead_letters_are_counted_and_who_did_it_is_told() {
    let requests: Vec<Request> = (0..9)
        .map(|after| {
            let statuses = [JobStatus::Error, JobStatus::Completed];
            request(after, "demo/iris", statuses[usize::from(after % 3 == 0)])
        })
        .collect();
    let script = Script::of(requests);
    let world = world(&script).await;
    let (replay, purge) = (
        format!("POST {IRIS}/async/replay"),
        format!("POST {IRIS}/async/purge"),
    );
    for (line, body, shown) in [
        (&replay, "", json!({"dry_run": true, "replayed": 6})),
        (
            &replay,
            r#"{"limit": 4}"#,
            json!({"dry_run": true, "replayed": 4}),
        ),
        (&purge, "", json!({"dry_run": true, "purged": 6})),
    ] {
        let tried = world.call(&format!("{line}?dry_run=true"), &[], body).await;
        assert_eq!(tried.json(), shown, "{body}");
    }
    assert_eq!(script.told().done.len(), 0);
    let one = world.call(&replay, &[], r#"{"limit": 1}"#).await;
    assert_eq!(one.json(), json!({"replayed": 1}));
    let all = world.call(&replay, &[], "").await;
    assert_eq!(all.json(), json!({"replayed": 2}));
    let purged = world.call(&purge, &[], r#"{"reason": "old"}"#).await;
    assert_eq!(purged.json(), json!({"purged": 3}));
    assert!(!purged.header("x-config-epoch").is_empty());
    let done = script.told().done.clone();
    assert_eq!(done, ["replay 1", "replay 1000000", "purge"]);
    let told = history(&world).await;
    let shown: Vec<_> = told[..3]
        .iter()
        .map(|entry| (&entry["action"], &entry["count"], &entry["by"]))
        .collect();
    let by = &json!("admin");
    assert_eq!(
        shown,
        [
            (&json!("queue-purge"), &json!(3), by),
            (&json!("queue-replay"), &json!(2), by),
            (&json!("queue-replay"), &json!(1), by),
        ]
    );
    for body in [r#"{"limit": 0}"#, r#"{"limit": "all"}"#, r#"{"all": true}"#] {
        let reply = world.call(&replay, &[], body).await;
        assert_eq!(outcome(&reply), (422, "invalid_fields".into()), "{body}");
    }
    script.told().refusal = Some(Refused::Full);
    let refused = world.call(&replay, &[], "").await;
    assert_eq!(outcome(&refused), (503, "queue_full".into()));
    assert_eq!(refused.header("retry-after"), "1");
    let told = history(&world).await;
    assert_eq!(
        (&told[0]["status"], &told[0]["reason"], &told[0]["count"]),
        (&json!("failed"), &json!("the queue is full"), &Value::Null)
    );
}

#[tokio::test]
async fn what_was_begun_is_done_and_told_though_nobody_waits() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Queued);
    let script = Script::of(requests);
    let world = world(&script).await;
    let all = script.gate.available_permits();
    script.gate.forget_permits(all);
    let mut events = world.plane.control.events(&Caller::root(), None);
    {
        let line = format!("POST {IRIS}/async/{id}/cancel");
        tokio::select! {
            _ = world.call(&line, &[], "") => panic!("nobody let it through"),
            // The queue is asked by now; the client goes.
            () = script.asked.notified() => {}
        }
    }
    script.gate.add_permits(1);
    let told = async {
        loop {
            let event = events.next().await.expect("the feed goes on");
            if event.data["action"] == "async-cancel" {
                return event;
            }
        }
    };
    let patience = std::time::Duration::from_secs(20);
    let told = tokio::time::timeout(patience, told).await.expect("told");
    assert_eq!(told.data["request"], id.to_string());
    let told = history(&world).await;
    assert_eq!(told[0]["action"], "async-cancel");
}
