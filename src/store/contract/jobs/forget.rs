use super::*;
use crate::store::{Forgotten, JOB_BYTES, Kept};

cases! {
    what_has_ended_is_forgotten_when_its_time_is_over;
    nothing_is_left_of_what_is_forgotten;
    a_lane_goes_with_its_last_job;
    dead_letters_are_forgotten_by_deployment;
    a_long_forgetting_takes_all_it_should;
}

fn places(gone: &[Forgotten]) -> Vec<u64> {
    gone.iter()
        .map(|gone| gone.id.position().as_u64())
        .collect()
}

async fn forget(store: &dyn Store, now_ms: u64, limit: usize) -> Vec<u64> {
    places(&store.forget(now_ms, limit).await.expect("forgotten"))
}

async fn what_has_ended_is_forgotten_when_its_time_is_over(store: &dyn Store) {
    assert!(forget(store, u64::MAX, 9).await.is_empty());
    enqueue(store, (1..=6).map(job).collect()).await;
    lease(store, &[1, 5]).await;
    for (n, forget_at_ms) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        let given = End {
            forget_at_ms,
            ..completed()
        };
        end(store, n, given).await;
    }
    assert!(forget(store, 9, 9).await.is_empty());
    assert!(forget(store, 10, 0).await.is_empty());
    assert_eq!(forget(store, 20, 2).await, [2, 4]);
    assert_eq!(forget(store, 20, 9).await, [3]);
    assert_eq!(forget(store, u64::MAX, 9).await, [1]);
    assert!(forget(store, u64::MAX, 9).await.is_empty());
    assert_eq!(status(store, 5).await, (JobStatus::Running, 1));
    assert_eq!(queued(store).await, [6]);
}

async fn nothing_is_left_of_what_is_forgotten(store: &dyn Store) {
    let spilled = |n| NewJob {
        body: Content::Spilled(70),
        ..job(n)
    };
    enqueue(store, vec![job(1), job(2), spilled(3), spilled(4)]).await;
    lease(store, &[1, 4]).await;
    store.requeue(id(1), 1, 0, true).await.expect("held");
    lease(store, &[1]).await;
    end(store, 1, completed()).await;
    end(store, 2, dead()).await;
    let answered = |dead| End {
        answer: Some((bytes("head"), Content::Spilled(80))),
        dead,
        ..completed()
    };
    end(store, 3, answered(true)).await;
    end(store, 4, answered(false)).await;
    let gone = store.forget(5_000, 9).await.expect("forgotten");
    let expected = |n, attempt, body: Kept, answer: Kept| Forgotten {
        id: id(n),
        attempt,
        body,
        answer,
        bytes: JOB_BYTES + body.bytes() + answer.bytes(),
    };
    let expected = [
        expected(1, 2, Kept::Nothing, Kept::Inline(6)),
        expected(2, 0, Kept::Inline(6), Kept::Nothing),
        expected(3, 0, Kept::Spilled(70), Kept::Spilled(80)),
        expected(4, 1, Kept::Nothing, Kept::Spilled(80)),
    ];
    assert_eq!(gone, expected);
    for n in 1..=4 {
        assert_eq!(store.job(id(n)).await.expect("a read"), None);
        assert_eq!(store.body(id(n)).await.expect("a read"), None);
        assert_eq!(store.answer(id(n)).await.expect("a read"), None);
    }
    assert!(listed(store, &JobFilter::default(), 9).await.is_empty());
    // Its rows would be in the way of the next one at their place.
    enqueue(store, vec![job(1), job(2), job(3)]).await;
    end(store, 2, dead()).await;
}

async fn a_lane_goes_with_its_last_job(store: &dyn Store) {
    let (one, other) = (lane("p/d", 1, 1), lane("p/d", 1, 2));
    let jobs = vec![of(1, one.clone()), of(2, one.clone()), of(3, other.clone())];
    enqueue(store, jobs).await;
    end(store, 1, completed()).await;
    end(store, 3, completed()).await;
    assert_eq!(lanes(store).await, [one.clone(), other], "ended ones count");
    assert_eq!(forget(store, 5_000, 9).await, [1, 3]);
    assert_eq!(lanes(store).await, std::slice::from_ref(&one));
    end(store, 2, dead()).await;
    let gone = store.forget_dead("p/d", 9).await.expect("forgotten");
    assert_eq!(places(&gone), [2]);
    assert!(lanes(store).await.is_empty());
    enqueue(store, vec![of(4, one.clone())]).await;
    assert_eq!(lanes(store).await, [one]);
}

async fn dead_letters_are_forgotten_by_deployment(store: &dyn Store) {
    let of_lanes = [
        (1, lane("p/d", 1, 2)),
        (2, lane("p/d", 2, 1)),
        (3, lane("p/d", 1, 1)),
        (4, lane("p/e", 1, 1)),
        (5, lane("p/d", 1, 2)),
        (6, lane("p/d", 1, 1)),
        (7, lane("p/d", 1, 1)),
    ];
    for (n, lane) in of_lanes {
        enqueue(store, vec![of(n, lane)]).await;
        match n {
            6 => {}
            7 => end(store, n, completed()).await,
            _ => end(store, n, dead()).await,
        }
    }
    let by = |name: &'static str, limit| async move {
        let gone = store.forget_dead(name, limit).await.expect("forgotten");
        places(&gone)
    };
    assert!(by("p", 9).await.is_empty());
    assert!(by("p/d", 0).await.is_empty());
    let mut gone = by("p/d", 3).await;
    assert_eq!(gone.len(), 3);
    gone.extend(by("p/d", 9).await);
    gone.sort_unstable();
    assert_eq!(gone, [1, 2, 3, 5]);
    assert!(by("p/d", 9).await.is_empty());
    assert_eq!(listed(store, &JobFilter::default(), 9).await, [7, 6, 4]);
    assert_eq!(by("p/e", 9).await, [4]);
}

async fn a_long_forgetting_takes_all_it_should(store: &dyn Store) {
    enqueue(store, (0..600).map(job).collect()).await;
    for n in 0..600 {
        end(store, n, completed()).await;
    }
    let first: Vec<u64> = (0..520).collect();
    assert_eq!(forget(store, 5_000, 520).await, first);
    let rest: Vec<u64> = (520..600).collect();
    assert_eq!(forget(store, 5_000, usize::MAX).await, rest);
}
