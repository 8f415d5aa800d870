//! Kills between any two steps, and stores that fail in the middle of one.

use super::{
    receiver::{ERROR, OK, Receiver},
    store::{LOST, MADE, STUCK, STUCK_BEHIND},
    *,
};

/// Killed while the commit of an attempt is under way, made or not: one turn is left, or one log.
#[tokio::test]
async fn a_kill_around_a_commit_leaves_one_turn() {
    for (number, (first, mode, times)) in [
        // The attempt is not known of: the receiver is told again.
        (OK, STUCK, 2),
        (ERROR, STUCK, 2),
        // It is.
        (OK, STUCK_BEHIND, 1),
        (ERROR, STUCK_BEHIND, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let bench = Bench::new();
        let mut receiver = Receiver::new(&[first, OK]).await;
        let id = bench.complete(number as u64 + 1, &receiver.url()).await;
        let running = bench.run();
        bench.store.set(mode);
        in_time("a commit", bench.store.asked(1)).await;
        drop(running);
        let (due, end) = bench.turns().await;
        assert_eq!(due + end, 1, "one turn or one log");
        let _running = bench.run();
        let done = bench.until_done(id).await;
        assert_eq!(done.state, DeliveryState::Delivered);
        assert_eq!(bench.turns().await, (0, 1));
        for _ in 0..times {
            assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
        }
        assert_eq!(receiver.further(), 0, "case {number}");
    }
}

/// Killed while the receiver has been told and has not answered.
#[tokio::test]
async fn a_kill_in_the_middle_of_an_attempt_leaves_its_turn() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[receiver::Does::Hangs, OK]).await;
    let id = bench.complete(1, &receiver.url()).await;
    let running = bench.run();
    receiver.next().await;
    drop(running);
    assert_eq!(bench.turns().await, (1, 0));
    let _running = bench.run();
    let done = bench.until_done(id).await;
    assert_eq!(
        (done.state, done.attempts.len()),
        (DeliveryState::Delivered, 1)
    );
    assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
}

/// A store that is out of service is waited for: nobody is told again because of it.
#[tokio::test]
async fn a_store_that_fails_is_waited_for_and_nobody_is_told_twice() {
    for (number, mode) in [LOST, MADE].into_iter().enumerate() {
        let bench = Bench::new();
        let mut receiver = Receiver::new(&[OK]).await;
        let id = bench.complete(number as u64 + 1, &receiver.url()).await;
        let _running = bench.run();
        bench.store.set(mode);
        in_time("two tries", bench.store.asked(2)).await;
        bench.store.set(WELL);
        let done = bench.until_done(id).await;
        assert_eq!(
            (done.state, done.attempts.len()),
            (DeliveryState::Delivered, 1)
        );
        // Its slot is free again, and its turn gone.
        let other = bench.note(100, &receiver.url(), FOREVER_MS).await;
        bench.until_done(other).await;
        assert_eq!(bench.turns().await, (0, 2));
        receiver.next().await;
        receiver.next().await;
        assert_eq!(receiver.further(), 0);
    }
}
