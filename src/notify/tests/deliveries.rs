//! What receivers are told, and what is kept of it.

use super::{
    receiver::{Does, ERROR, OK},
    *,
};

const GONE: Does = Does::Says("HTTP/1.1 410 Gone\r\n\r\n");

#[tokio::test]
async fn a_receiver_is_told_of_what_happened_before_and_of_what_happens_now() {
    for under in [Under::Sqlite, Under::Memory] {
        let bench = Bench::new(under);
        let mut receiver = Receiver::new(&[OK]).await;
        let of = hook("s1", &receiver.url());
        bench.put(&of).await;
        let before = bench.tell(&of, 1).await;
        let _running = bench.run();
        let first = receiver.next().await;
        bench.until_done("s1", before).await;
        let now = bench.tell(&of, 2).await;
        let second = receiver.next().await;
        for (id, received) in [(before, first), (now, second)] {
            assert_eq!(received.header("webhook-id"), id.to_string());
            let said = bench.verified(&received, &of);
            assert_eq!(said["type"], "version.ready");
            let data = &said["data"];
            assert_eq!(data["project"], "demo");
            assert_eq!(data["deployment"], "iris");
            assert_eq!(data["version"], 3);
            assert_eq!(data["version_name"], "iris_v3");
            assert_eq!(data["by"], "ann");
            assert!(data["reason"].is_null() && data["key"].is_null());
            let url = "http://weir.example:1/api/v1/projects/demo/deployments/iris";
            assert_eq!(data["url"], url);
            let done = bench.until_done("s1", id).await;
            assert_eq!(done.state, DeliveryState::Delivered);
            assert_eq!(done.next_attempt_at_ms, None);
            assert_eq!(done.attempts.len(), 1);
            assert_eq!(done.attempts[0].status, Some(204));
        }
        assert_eq!(bench.turns().await, 0);
        assert_eq!(receiver.further(), 0);
    }
}

/// More attempts than the store has readers, while the lanes of others are looked at: who waits for a
/// reader must get it whoever else waits.
#[tokio::test]
async fn attempts_that_wait_for_the_store_hold_nobody_up() {
    let bench = Bench::new(Under::OneReader);
    let mut receivers = Vec::new();
    for number in 0..8 {
        let receiver = Receiver::new(&[OK]).await;
        let of = hook(&format!("s{number}"), &receiver.url());
        bench.put(&of).await;
        receivers.push((receiver, of));
    }
    let mut told = Vec::new();
    let tell = async |number: u64| {
        let (_, of) = &receivers[number as usize % receivers.len()];
        (of.id.clone(), bench.tell(of, number).await)
    };
    for number in 1..=64 {
        told.push(tell(number).await);
    }
    let _running = bench.run();
    for number in 65..=128 {
        told.push(in_time("the store", tell(number)).await);
    }
    for (of, id) in &told {
        let done = bench.until_done(of, *id).await;
        assert_eq!(
            (done.state, done.attempts.len()),
            (DeliveryState::Delivered, 1)
        );
    }
}

#[tokio::test]
async fn who_fails_is_told_again_as_the_schedule_says_and_who_is_gone_is_not() {
    let bench = Bench::new(Under::Sqlite);
    let mut failing = Receiver::new(&[ERROR, Does::Closes, OK]).await;
    let mut hopeless = Receiver::new(&[ERROR]).await;
    let mut gone = Receiver::new(&[GONE]).await;
    let targets = [
        ("s1", failing.url(), DeliveryState::Delivered, 3),
        ("s2", hopeless.url(), DeliveryState::Failed, 10),
        ("s3", gone.url(), DeliveryState::Failed, 1),
    ];
    let _running = bench.run();
    for (number, (of, url, state, attempts)) in targets.iter().enumerate() {
        let subscription = hook(of, url);
        bench.put(&subscription).await;
        let id = bench.tell(&subscription, number as u64 + 1).await;
        let done = bench.until_done(of, id).await;
        assert_eq!(
            (done.state, done.attempts.len()),
            (*state, *attempts),
            "{of}"
        );
    }
    let ids: Vec<_> = [
        failing.next().await,
        failing.next().await,
        failing.next().await,
    ]
    .iter()
    .map(|received| received.header("webhook-id").to_owned())
    .collect();
    assert!(ids.iter().all(|own| *own == ids[0]), "{ids:?}");
    for _ in 0..10 {
        hopeless.next().await;
    }
    gone.next().await;
    assert_eq!(failing.further() + hopeless.further() + gone.further(), 0);
    assert_eq!(bench.turns().await, 0);
}

#[tokio::test]
async fn a_private_address_is_never_reached() {
    let bench = Bench::new(Under::Sqlite);
    let mut receiver = Receiver::new(&[OK]).await;
    let of = hook("s1", &receiver.url());
    bench.put(&of).await;
    let id = bench.tell(&of, 1).await;
    let strict = AddressGuard::for_webhooks(vec![], vec![], vec![]);
    let options = NotifyOptions {
        pauses_ms: vec![],
        ..options()
    };
    let _running = bench.run_with(options, strict, None);
    let done = bench.until_done("s1", id).await;
    assert_eq!(done.state, DeliveryState::Failed);
    let error = done.attempts[0].error.as_deref().expect("words");
    assert!(error.contains("not allowed"), "{error}");
    assert_eq!(receiver.further(), 0);
}

/// What waits goes to where the subscription says now, and nowhere when it is gone.
#[tokio::test]
async fn a_subscription_that_changes_takes_what_waits_along() {
    let bench = Bench::new(Under::Sqlite);
    let mut wrong = Receiver::new(&[ERROR]).await;
    let mut right = Receiver::new(&[OK]).await;
    let of = hook("s1", &wrong.url());
    bench.put(&of).await;
    let id = bench.tell(&of, 1).await;
    // The second attempt is so late that the test comes before it.
    let slow = NotifyOptions {
        pauses_ms: vec![3_600_000],
        ..options()
    };
    let running = bench.run_with(slow, lenient(), None);
    wrong.next().await;
    bench
        .until("s1", id, |delivery| delivery.attempts.len() == 1)
        .await;
    drop(running);
    bench.put(&hook("s1", &right.url())).await;
    let turn = bench.inner.list(DUE, None, 1, Order::Up).await;
    let turn = turn.expect("a list").remove(0);
    // As if its time had come.
    let record = bench
        .inner
        .get(&super::super::delivery::key_of("s1", id))
        .await;
    let record = record.expect("a store").expect("a delivery");
    let mut kept: Value = serde_json::from_slice(&record.value).expect("JSON");
    kept["due_at_ms"] = clock::unix_ms().into();
    let due = format!("{:016x}", clock::unix_ms());
    let moved: Vec<_> = turn.key.split('/').collect();
    let key = [moved[0], moved[1], moved[2], &due, moved[4], moved[5]].join("/");
    kept["due_at_ms"] = u64::from_str_radix(&due, 16).expect("hex").into();
    let put = |key: String, value: Vec<u8>| Write::Put {
        key,
        value: value.into(),
        condition: If::Any,
    };
    let writes = vec![
        put(record.key.clone(), kept.to_string().into_bytes()),
        put(key, turn.value.to_vec()),
        Write::Delete {
            key: turn.key,
            condition: If::Any,
        },
    ];
    bench.inner.commit(writes).await.expect("committed");
    let _running = bench.run();
    assert_eq!(right.next().await.header("webhook-id"), id.to_string());
    let done = bench.until_done("s1", id).await;
    assert_eq!(
        (done.state, done.attempts.len()),
        (DeliveryState::Delivered, 2)
    );
    // One of a subscription that is gone is dropped with its turn.
    bench.tell(&hook("gone", &right.url()), 2).await;
    let mut watch = bench.inner.watch("notify/of/gone/");
    let dropped = async {
        while !bench.deliveries("gone").await.is_empty() {
            watch.next().await.expect("a store");
        }
    };
    in_time("dropped", dropped).await;
    assert_eq!(bench.turns().await, 0);
    assert_eq!(right.further(), 0);
}

#[tokio::test]
async fn one_that_is_paused_waits() {
    let bench = Bench::new(Under::Sqlite);
    let mut receiver = Receiver::new(&[OK]).await;
    let mut of = hook("s1", &receiver.url());
    of.paused = true;
    bench.put(&of).await;
    let id = bench.tell(&of, 1).await;
    let _running = bench.run();
    let now = clock::unix_ms();
    let waits = bench
        .until("s1", id, |delivery| {
            delivery.next_attempt_at_ms > Some(now + 50_000)
        })
        .await;
    assert_eq!(waits.state, DeliveryState::Pending);
    assert!(waits.attempts.is_empty());
    assert_eq!((bench.turns().await, receiver.further()), (1, 0));
}

#[tokio::test]
async fn the_newest_are_kept_and_what_waits_is_too() {
    let bench = Bench::new(Under::Sqlite);
    let mut receiver = Receiver::new(&[OK]).await;
    let nowhere = hook("s2", "http://127.0.0.1:1/");
    let of = hook("s1", &receiver.url());
    bench.put(&of).await;
    bench.put(&nowhere).await;
    let slow = NotifyOptions {
        pauses_ms: vec![3_600_000],
        deliveries_kept: 3,
        ..options()
    };
    let running = bench.run_with(slow.clone(), lenient(), None);
    for number in 1..=8 {
        let id = bench.tell(&of, number).await;
        bench.until_done("s1", id).await;
        receiver.next().await;
        let id = bench.tell(&nowhere, number).await;
        bench
            .until("s2", id, |delivery| delivery.attempts.len() == 1)
            .await;
    }
    drop(running);
    // Tidied when it starts.
    let mut watch = bench.inner.watch("notify/of/s1/");
    let _running = bench.run_with(slow, lenient(), None);
    let trimmed = async {
        while bench.deliveries("s1").await.len() > 3 {
            watch.next().await.expect("a store");
        }
    };
    in_time("trimmed", trimmed).await;
    let left: Vec<_> = bench.deliveries("s1").await;
    let left: Vec<_> = left.iter().map(|delivery| delivery.id).collect();
    assert_eq!(left, [id(8), id(7), id(6)]);
    assert_eq!(bench.deliveries("s2").await.len(), 8);
    assert_eq!(bench.turns().await, 8);
}
