//! Kills between any two steps, and stores that fail in the middle of one.

use super::{
    receiver::{Does, ERROR, OK},
    *,
};
use crate::hook::testing::store::{LOST, MADE, STUCK, STUCK_BEHIND};

/// Killed while the commit of an attempt is under way, made or not: one turn is left, or none is
/// needed.
#[tokio::test]
async fn a_kill_around_a_commit_leaves_one_turn() {
    for under in [Under::Sqlite, Under::Memory] {
        for (first, mode, turns, times, attempts) in [
            // The attempt is not known of: the receiver is told again.
            (OK, STUCK, 1, 2, 1),
            (ERROR, STUCK, 1, 2, 1),
            // It is.
            (OK, STUCK_BEHIND, 0, 1, 1),
            (ERROR, STUCK_BEHIND, 1, 2, 2),
        ] {
            let case = format!("{under:?} {first:?} {mode}");
            let bench = Bench::new(under);
            let mut receiver = Receiver::new(&[first, OK]).await;
            let of = hook("s1", &receiver.url());
            bench.put(&of).await;
            let id = bench.tell(&of, 1).await;
            let running = bench.run();
            bench.store.set(mode);
            in_time("a commit", bench.store.asked(1)).await;
            drop(running);
            assert_eq!(bench.turns().await, turns, "{case}");
            let _running = bench.run();
            let done = bench.until_done("s1", id).await;
            assert_eq!(done.state, DeliveryState::Delivered, "{case}");
            assert_eq!(done.attempts.len(), attempts, "{case}");
            assert_eq!(bench.turns().await, 0, "{case}");
            for _ in 0..times {
                assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
            }
            assert_eq!(receiver.further(), 0, "{case}");
        }
    }
}

/// Killed while the receiver has been told and has not answered.
#[tokio::test]
async fn a_kill_in_the_middle_of_an_attempt_leaves_its_turn() {
    let bench = Bench::new(Under::Sqlite);
    let mut receiver = Receiver::new(&[Does::Hangs, OK]).await;
    let of = hook("s1", &receiver.url());
    bench.put(&of).await;
    let id = bench.tell(&of, 1).await;
    let running = bench.run();
    receiver.next().await;
    drop(running);
    assert_eq!(bench.turns().await, 1);
    let _running = bench.run();
    let done = bench.until_done("s1", id).await;
    assert_eq!(
        (done.state, done.attempts.len()),
        (DeliveryState::Delivered, 1)
    );
    assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
}

/// A store that is out of service is waited for: nobody is told again because of it, and an attempt
/// stands in the log once.
#[tokio::test]
async fn a_store_that_fails_is_waited_for_and_nobody_is_told_twice() {
    for mode in [LOST, MADE] {
        let bench = Bench::new(Under::Sqlite);
        let mut receiver = Receiver::new(&[OK]).await;
        let of = hook("s1", &receiver.url());
        bench.put(&of).await;
        let id = bench.tell(&of, 1).await;
        let _running = bench.run();
        bench.store.set(mode);
        in_time("two tries", bench.store.asked(2)).await;
        bench.store.set(WELL);
        let done = bench.until_done("s1", id).await;
        assert_eq!(
            (done.state, done.attempts.len()),
            (DeliveryState::Delivered, 1)
        );
        receiver.next().await;
        assert_eq!(receiver.further(), 0);
    }
}
