use super::*;
use crate::store::Leased;

cases! {
    a_lease_gives_all_that_is_needed;
    only_queued_jobs_are_leased;
    only_who_holds_it_may_speak_for_it;
    a_job_given_back_keeps_its_place;
    an_attempt_that_did_not_happen_is_not_counted;
    a_queued_job_is_put_off;
    leases_that_ended_are_found;
    deadlines_that_came_are_found;
    void_leases_ends_all;
    of_many_who_lease_one_does;
}

async fn a_lease_gives_all_that_is_needed(store: &dyn Store) {
    let spilled = NewJob {
        body: Content::Spilled(77),
        ..of(2, lane("p/e", 2, 2))
    };
    enqueue(store, vec![job(1), spilled]).await;
    let leased = store.lease(vec![at(2), at(1)], 500).await.expect("leased");
    let expected = |n, lane, body| {
        Some(Leased {
            id: id(n),
            lane,
            attempt: 1,
            deadline_at_ms: 1_000 + n,
            doc: bytes(&format!("doc {n}")),
            body,
        })
    };
    let expected = [
        expected(2, lane("p/e", 2, 2), Content::Spilled(77)),
        expected(1, lane("p/d", 1, 1), content("body 1")),
    ];
    assert_eq!(leased, expected);
    let job = read(store, 2).await;
    let found = (job.status, job.attempt, job.due_at_ms);
    assert_eq!(found, (JobStatus::Running, 1, 500));
    assert_eq!(job.body, crate::store::Kept::Spilled(77));
    assert!(store.lease(vec![], 1).await.expect("leased").is_empty());
}

async fn only_queued_jobs_are_leased(store: &dyn Store) {
    enqueue(store, vec![job(1), job(2), job(3)]).await;
    // When it is due is not looked at.
    store.reschedule(id(1), u64::MAX).await.expect("queued");
    end(store, 3, completed()).await;
    let places = [1, 2, 9, 1, 3].map(at).to_vec();
    let leased = store.lease(places.clone(), 500).await.expect("leased");
    let found: Vec<bool> = leased.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, true, false, false, false]);
    let leased = store.lease(places, 900).await.expect("leased");
    assert_eq!(leased, [None, None, None, None, None]);
    assert_eq!(read(store, 1).await.due_at_ms, 500);
}

async fn only_who_holds_it_may_speak_for_it(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    let nobody = |attempts: &'static [u32]| async move {
        for attempt in attempts {
            let held = store.extend(vec![(id(1), *attempt)], 900).await;
            assert_eq!(held.expect("an answer"), [false]);
            fenced(&store.requeue(id(1), *attempt, 9, true).await);
            let holder = Holder::Attempt(*attempt);
            fenced(&store.finish(id(1), holder, completed()).await);
        }
    };
    nobody(&[0, 1]).await;
    assert_eq!(lease(store, &[1]).await, [1]);
    store.requeue(id(1), 1, 9, true).await.expect("held");
    nobody(&[0, 1, 2]).await;
    assert_eq!(lease(store, &[1]).await, [2]);
    nobody(&[0, 1, 3, u32::MAX]).await;
    assert_eq!(status(store, 1).await, (JobStatus::Running, 2));
    assert_eq!(read(store, 1).await.due_at_ms, 100);
    // Its lease may be over, as long as it is nobody else's.
    let held = vec![(id(1), 1), (id(1), 2), (id(2), 1)];
    let held = store.extend(held, 900).await.expect("an answer");
    assert_eq!(held, [false, true, false]);
    assert_eq!(read(store, 1).await.due_at_ms, 900);
    let holder = Holder::Attempt(2);
    let ended = store.finish(id(1), holder, completed()).await;
    ended.expect("held");
    nobody(&[0, 1, 2, 3]).await;
    assert_eq!(status(store, 1).await, (JobStatus::Completed, 2));
}

async fn a_job_given_back_keeps_its_place(store: &dyn Store) {
    enqueue(store, vec![job(1), job(2)]).await;
    lease(store, &[1, 2]).await;
    store.requeue(id(1), 1, 60, true).await.expect("held");
    store.requeue(id(2), 1, 0, true).await.expect("held");
    fenced(&store.requeue(id(1), 1, 90, true).await);
    let open = store.queued(None, 9).await.expect("a read");
    let open: Vec<_> = open
        .iter()
        .map(|job| (job.position.as_u64(), job.due_at_ms))
        .collect();
    assert_eq!(open, [(1, 60), (2, 0)]);
    assert_eq!(status(store, 1).await, (JobStatus::Queued, 1));
    assert_eq!(lease(store, &[1]).await, [2]);
}

async fn an_attempt_that_did_not_happen_is_not_counted(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    assert_eq!(lease(store, &[1]).await, [1]);
    store.requeue(id(1), 1, 5, false).await.expect("held");
    assert_eq!(status(store, 1).await, (JobStatus::Queued, 0));
    assert_eq!(lease(store, &[1]).await, [1]);
    store.requeue(id(1), 1, 5, true).await.expect("held");
    assert_eq!(lease(store, &[1]).await, [2]);
    store.requeue(id(1), 2, 5, false).await.expect("held");
    assert_eq!(status(store, 1).await, (JobStatus::Queued, 1));
}

async fn a_queued_job_is_put_off(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    store.reschedule(id(1), 70).await.expect("queued");
    let open = store.queued(None, 9).await.expect("a read");
    assert_eq!(open[0].due_at_ms, 70);
    lease(store, &[1]).await;
    fenced(&store.reschedule(id(1), 80).await);
    end(store, 1, completed()).await;
    fenced(&store.reschedule(id(1), 80).await);
    fenced(&store.reschedule(id(2), 80).await);
    assert_eq!(read(store, 1).await.due_at_ms, 5_000);
}

async fn leases_that_ended_are_found(store: &dyn Store) {
    let jobs = (1..=6).map(job).collect();
    enqueue(store, jobs).await;
    for (n, until_ms) in [(1, 30), (2, 10), (3, 20), (4, 10), (5, 5)] {
        let leased = store.lease(vec![at(n)], until_ms).await;
        assert!(leased.expect("leased")[0].is_some());
    }
    store.requeue(id(4), 1, 0, true).await.expect("held");
    store.lease(vec![at(4)], 10).await.expect("leased");
    end(store, 5, completed()).await;
    let cases: [(u64, usize, &[u64]); 5] = [
        (9, 9, &[]),
        (10, 9, &[2, 4]),
        (u64::MAX, 9, &[2, 4, 3, 1]),
        (20, 1, &[2]),
        (20, 0, &[]),
    ];
    for (now_ms, limit, expected) in cases {
        let lapsed = store.lapsed(now_ms, limit).await.expect("a read");
        // The fourth was leased twice.
        let of = |n: &u64| (id(*n), if *n == 4 { 2 } else { 1 });
        let expected: Vec<_> = expected.iter().map(of).collect();
        assert_eq!(lapsed, expected, "{now_ms} {limit}");
    }
}

async fn deadlines_that_came_are_found(store: &dyn Store) {
    let due = |n, deadline_at_ms| NewJob {
        deadline_at_ms,
        ..job(n)
    };
    let jobs = vec![due(1, 30), due(2, 10), due(3, 20), due(4, 10), due(5, 5)];
    enqueue(store, jobs).await;
    lease(store, &[2]).await;
    end(store, 5, completed()).await;
    let cases: [(u64, usize, &[u64]); 5] = [
        (9, 9, &[]),
        (10, 9, &[2, 4]),
        (30, 9, &[2, 4, 3, 1]),
        (30, 3, &[2, 4, 3]),
        (30, 0, &[]),
    ];
    for (now_ms, limit, expected) in cases {
        let overdue = store.overdue(now_ms, limit).await.expect("a read");
        let expected: Vec<_> = expected.iter().map(|n| id(*n)).collect();
        assert_eq!(overdue, expected, "{now_ms} {limit}");
    }
}

async fn void_leases_ends_all(store: &dyn Store) {
    assert_eq!(store.void_leases().await.expect("none"), 0);
    enqueue(store, vec![job(1), job(2), job(3), job(4)]).await;
    lease(store, &[1, 2, 4]).await;
    end(store, 4, completed()).await;
    store.reschedule(id(3), 7).await.expect("queued");
    assert_eq!(store.void_leases().await.expect("ended"), 2);
    assert_eq!(store.void_leases().await.expect("ended"), 0);
    for n in [1, 2] {
        fenced(&store.requeue(id(n), 1, 0, true).await);
        let job = read(store, n).await;
        let found = (job.status, job.attempt, job.due_at_ms);
        assert_eq!(found, (JobStatus::Queued, 1, 0));
    }
    assert_eq!(read(store, 3).await.due_at_ms, 7);
    assert_eq!(status(store, 4).await, (JobStatus::Completed, 1));
    assert_eq!(lease(store, &[1, 2, 3]).await, [2, 2, 1]);
}

async fn of_many_who_lease_one_does(store: &dyn Store) {
    enqueue(store, (1..=10).map(job).collect()).await;
    let places: Vec<_> = (1..=10).map(at).collect();
    let calls = (0..8).map(|_| store.lease(places.clone(), 100));
    let calls = futures_util::future::join_all(calls).await;
    let leased: Vec<Leased> = calls
        .into_iter()
        .flat_map(|call| call.expect("leased"))
        .flatten()
        .collect();
    assert_eq!(leased.len(), 10);
    assert!(leased.iter().all(|leased| leased.attempt == 1));
}
