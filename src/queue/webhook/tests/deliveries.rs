//! What receivers are told, and what is kept of it.

use super::{
    receiver::{ERROR, OK, Receiver},
    *,
};

#[tokio::test]
async fn a_receiver_is_told_of_a_request_that_ended_before_and_of_one_that_ends_now() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[OK]).await;
    let before = bench.complete(1_700_000_000_000, &receiver.url()).await;
    let running = bench.run();
    let first = receiver.next().await;
    bench.until_done(before).await;
    // Heard of by itself: nothing else is due for days.
    let now = bench.complete(1_700_000_000_001, &receiver.url()).await;
    let second = receiver.next().await;
    for (id, received) in [(before, first), (now, second)] {
        assert!(received.head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"));
        assert_eq!(received.header("host"), receiver.address.to_string());
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("webhook-id"), id.to_string());
        let said = bench.verified(&received, 2, GENERATION);
        assert_eq!(said["type"], "async.completed");
        assert_eq!(said["timestamp"], "2023-11-14T22:13:20.123Z");
        assert_eq!(said["data"]["id"], id.to_string());
        assert_eq!(said["data"]["status"], "completed");
        assert_eq!(said["data"]["result_status"], 200);
        assert_eq!(said["data"]["result_url"], format!("/async/{id}/result"));
        assert!(
            !said.to_string().contains("the model's answer"),
            "it is thin"
        );
        let done = bench.until_done(id).await;
        assert_eq!(
            (done.state, done.next_attempt_at_ms),
            (DeliveryState::Delivered, None)
        );
        assert_eq!(done.url, receiver.url());
        assert_eq!(done.attempts.len(), 1);
        let attempt = &done.attempts[0];
        assert_eq!((attempt.status, &attempt.error), (Some(204), &None));
        assert!(attempt.at_ms.abs_diff(clock::unix_ms()) < 60_000 && attempt.ms < 60_000);
    }
    assert_eq!(bench.turns().await, (0, 2));
    assert_eq!(receiver.further(), 0);
    drop(running);
}

#[tokio::test]
async fn a_failed_delivery_is_repeated_as_the_same_one() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[ERROR, ERROR, OK]).await;
    let id = bench.complete(1, &receiver.url()).await;
    let _running = bench.run();
    for _ in 0..3 {
        let received = receiver.next().await;
        assert_eq!(received.header("webhook-id"), id.to_string());
        bench.verified(&received, 2, GENERATION);
    }
    let done = bench.until_done(id).await;
    let statuses: Vec<_> = done.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(500), Some(204)]);
    assert_eq!(done.state, DeliveryState::Delivered);
    assert_eq!(bench.turns().await, (0, 1));
}

#[tokio::test]
async fn between_two_attempts_it_is_pending_and_says_when() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[ERROR]).await;
    let began_ms = clock::unix_ms();
    let id = bench.complete(1, &receiver.url()).await;
    let options = WebhookOptions {
        pauses_ms: vec![3_600_000],
        ..quick()
    };
    let running = bench.run_with(options, lenient());
    let waits = bench
        .until(id, |delivery| delivery.attempts.len() == 1)
        .await;
    assert_eq!(waits.state, DeliveryState::Pending);
    let next_ms = waits.next_attempt_at_ms.expect("a time");
    let pause = next_ms - began_ms;
    assert!(
        (3_600_000..3_600_000 * 6 / 5 + 60_000).contains(&pause),
        "{pause}"
    );
    assert_eq!(bench.turns().await, (1, 0));
    receiver.next().await;
    assert_eq!(receiver.further(), 0);
    drop(running);
    // Whoever runs next has nothing to do before, and knows how many there are.
    let running = bench.run();
    let other = bench.note(2, &receiver.url(), FOREVER_MS).await;
    assert_eq!(
        receiver.next().await.header("webhook-id"),
        other.to_string()
    );
    bench.until_done(other).await;
    let counted = async {
        while running.webhooks.pending.load(Relaxed) != 1 {
            tokio::task::yield_now().await;
        }
    };
    in_time("the count", counted).await;
}

#[tokio::test]
async fn spent_attempts_and_a_receiver_that_is_gone_end_it() {
    let bench = Bench::new();
    const GONE: receiver::Does = receiver::Does::Says("HTTP/1.1 410 Gone\r\n\r\n");
    let options = WebhookOptions {
        pauses_ms: vec![1, 1],
        ..quick()
    };
    let _running = bench.run_with(options, lenient());
    for (number, does, attempts) in [(1, ERROR, 3), (2, GONE, 1)] {
        let receiver = Receiver::new(&[does]).await;
        let id = bench.complete(number, &receiver.url()).await;
        let done = bench.until_done(id).await;
        assert_eq!(done.state, DeliveryState::Failed);
        assert_eq!(
            (done.attempts.len(), done.next_attempt_at_ms),
            (attempts, None)
        );
    }
    assert_eq!(bench.turns().await, (0, 2));
}

#[tokio::test]
async fn a_request_that_is_forgotten_meanwhile_is_told_of_from_the_note() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[OK]).await;
    let id = bench.note(1_700_000_000_000, &receiver.url(), 1).await;
    let running = bench.run();
    let received = receiver.next().await;
    // The deployment is gone, too: the secret is the one that was in use.
    let said = bench.verified(&received, 1, 1);
    assert_eq!(
        said,
        serde_json::json!({
            "type": "async.completed",
            "timestamp": "2023-11-14T22:13:20.123Z",
            "data": {
                "id": id.to_string(),
                "request_id": "req-1",
                "status": "completed",
                "deployment": "demo/gone",
                "version": null,
                "attempts": 1,
                "created_at": "2023-11-14T22:13:20.000Z",
                "ended_at": "2023-11-14T22:13:20.123Z",
                "result_status": 200,
            },
        })
    );
    bench.until_done(id).await;
    drop(running);
    // Its log has nobody left to be read by, and goes with the next tidying.
    let mut watch = bench.sqlite.watch("webhook/of/");
    let _running = bench.run();
    let change = in_time("its end", watch.next()).await.expect("a change");
    assert_eq!(change.value, None);
    assert_eq!(delivery(&*bench.sqlite, id).await.expect("a store"), None);
    assert_eq!(bench.turns().await, (0, 0));
}

#[tokio::test]
async fn a_turn_that_stands_for_nothing_goes() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[OK]).await;
    let id = bench.note(1, &receiver.url(), FOREVER_MS).await;
    let stray = AsyncId::of(Position::at(2), [2; 16]);
    let lane = crate::hook::lane_of(&receiver.address.to_string());
    for key in [
        format!("{DUE}{lane:02x}/{:016x}/{stray}", 1),
        format!("{DUE}{lane:02x}/{:016x}/{id}", 1),
        format!("{DUE}{lane:02x}/not-a-turn"),
    ] {
        let write = Write::Put {
            key,
            value: Bytes::from(receiver.address.to_string()),
            condition: crate::store::If::Any,
        };
        bench.sqlite.commit(vec![write]).await.expect("committed");
    }
    let mut watch = bench.sqlite.watch(DUE);
    let _running = bench.run();
    let mut gone = 0;
    while gone < 3 {
        let change = in_time("their end", watch.next()).await.expect("a change");
        gone += usize::from(change.value.is_none());
    }
    bench.until_done(id).await;
    receiver.next().await;
    assert_eq!(receiver.further(), 0, "told once");
    assert_eq!(
        bench.turns().await,
        (1, 1),
        "what no turn can be is left alone"
    );
}
