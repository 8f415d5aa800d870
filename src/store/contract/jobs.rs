use super::{bytes, cases, value};
use crate::store::{JobError, Leased, NewJob, Store, StoreError};

cases! {
    a_lane_runs_in_its_order;
    lanes_take_turns;
    a_job_waits_until_it_is_due;
    a_lease_that_ends_gives_the_job_to_another;
    only_who_holds_it_may_speak_for_it;
    a_job_given_back_keeps_its_place;
    finishing_writes_its_record_in_the_same_commit;
    void_leases_ends_all;
    jobs_are_enqueued_once_and_whole;
}

fn job(id: &str, lane: &str) -> NewJob {
    due(id, lane, 0)
}

fn due(id: &str, lane: &str, due_at_ms: u64) -> NewJob {
    NewJob {
        id: id.into(),
        lane: lane.into(),
        due_at_ms,
        payload: bytes(&format!("do {id}")),
    }
}

async fn enqueue(store: &dyn Store, jobs: Vec<NewJob>) {
    store.enqueue(jobs).await.expect("enqueued");
}

async fn lease(store: &dyn Store, now_ms: u64, limit: usize) -> Vec<Leased> {
    store.lease(now_ms, 100, limit).await.expect("leased")
}

async fn ids(store: &dyn Store, now_ms: u64, limit: usize) -> Vec<String> {
    let leased = lease(store, now_ms, limit).await;
    leased.into_iter().map(|leased| leased.id).collect()
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "reads better around a call")]
fn fenced(result: Result<(), JobError>) {
    assert!(matches!(result, Err(JobError::Fenced { .. })), "{result:?}");
}

async fn a_lane_runs_in_its_order(store: &dyn Store) {
    assert!(ids(store, 0, 9).await.is_empty());
    enqueue(store, vec![job("z", "l"), job("b", "l")]).await;
    enqueue(store, vec![job("a", "l")]).await;
    assert!(ids(store, 0, 0).await.is_empty());
    let first = lease(store, 5, 1).await;
    let expected = Leased {
        id: "z".into(),
        lane: "l".into(),
        attempt: 1,
        until_ms: 105,
        payload: bytes("do z"),
    };
    assert_eq!(first, [expected]);
    assert_eq!(ids(store, 5, 9).await, ["b", "a"]);
    assert!(ids(store, 5, 9).await.is_empty(), "all are held");
}

async fn lanes_take_turns(store: &dyn Store) {
    let flood = (0..6).map(|n| job(&format!("flood{n}"), "flood")).collect();
    enqueue(store, flood).await;
    enqueue(store, vec![job("x0", "x"), job("x1", "x"), job("y0", "y")]).await;
    // Within a call: none twice while others wait.
    assert_eq!(ids(store, 0, 4).await, ["flood0", "x0", "y0", "flood1"]);
    // Between calls: the one that was served longest ago.
    assert_eq!(ids(store, 0, 1).await, ["x1"]);
    assert_eq!(ids(store, 0, 1).await, ["flood2"]);
    enqueue(store, vec![job("new0", "new"), job("y1", "y")]).await;
    assert_eq!(ids(store, 0, 2).await, ["y1", "flood3"]);
    assert_eq!(ids(store, 0, 2).await, ["new0", "flood4"]);
    // A lane leaves with its last job, and joins anew at the end.
    store.finish("y0", 1, None).await.expect("held");
    store.finish("y1", 1, None).await.expect("held");
    enqueue(store, vec![job("x2", "x"), job("y2", "y")]).await;
    assert_eq!(ids(store, 0, 9).await, ["x2", "flood5", "y2"]);
}

async fn a_job_waits_until_it_is_due(store: &dyn Store) {
    let jobs = vec![
        due("late", "l", 50),
        due("soon", "l", 20),
        due("never", "l", u64::MAX),
        due("now", "m", 10),
    ];
    enqueue(store, jobs).await;
    assert!(ids(store, 9, 9).await.is_empty());
    assert_eq!(ids(store, 10, 9).await, ["now"]);
    assert_eq!(ids(store, 49, 9).await, ["soon"], "the older is not due");
    assert_eq!(ids(store, 50, 9).await, ["late"]);
}

async fn a_lease_that_ends_gives_the_job_to_another(store: &dyn Store) {
    enqueue(store, vec![job("a", "l"), job("b", "l")]).await;
    assert_eq!(lease(store, 0, 1).await[0].attempt, 1);
    assert_eq!(ids(store, 99, 9).await, ["b"]);
    let again = lease(store, 100, 9).await;
    assert_eq!(again.len(), 1, "b is held until 199");
    assert_eq!((again[0].id.as_str(), again[0].attempt), ("a", 2));
    assert_eq!(again[0].until_ms, 200);
    store.extend("a", 2, 500).await.expect("held");
    assert_eq!(ids(store, 499, 9).await, ["b"]);
    assert_eq!(ids(store, 500, 1).await, ["a"]);
    // Over, and given to nobody yet: its holder may still finish it.
    store.finish("a", 3, None).await.expect("held still");
    // A lease of no time is over at once, and is given once in a call all the same.
    assert_eq!(store.lease(900, 0, 9).await.expect("leased").len(), 1);
    let end = store.lease(u64::MAX, u64::MAX, 9).await.expect("leased");
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].until_ms, i64::MAX as u64);
}

async fn only_who_holds_it_may_speak_for_it(store: &dyn Store) {
    enqueue(store, vec![job("a", "l")]).await;
    for attempt in [0, 1] {
        fenced(store.finish("a", attempt, None).await);
        fenced(store.extend("a", attempt, 1).await);
        fenced(store.requeue("a", attempt, 1).await);
    }
    lease(store, 0, 1).await;
    lease(store, 100, 1).await;
    for attempt in [0, 1, 3, u32::MAX] {
        fenced(
            store
                .finish("a", attempt, Some(("r".into(), bytes("no"))))
                .await,
        );
        fenced(store.extend("a", attempt, 1).await);
        fenced(store.requeue("a", attempt, 1).await);
    }
    assert_eq!(value(store, "r").await, None, "nothing of a fenced finish");
    fenced(store.finish("unknown", 1, None).await);
    store.finish("a", 2, None).await.expect("held");
    fenced(store.finish("a", 2, None).await);
    fenced(store.extend("a", 2, 1).await);
    assert!(ids(store, 9_999, 9).await.is_empty());
}

async fn a_job_given_back_keeps_its_place(store: &dyn Store) {
    enqueue(store, vec![job("a", "l"), job("b", "l"), job("c", "l")]).await;
    assert_eq!(ids(store, 0, 2).await, ["a", "b"]);
    store.requeue("a", 1, 60).await.expect("held");
    fenced(store.requeue("a", 1, 0).await);
    fenced(store.finish("a", 1, None).await);
    assert_eq!(ids(store, 59, 1).await, ["c"]);
    let again = lease(store, 60, 9).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id.as_str(), again[0].attempt), ("a", 2));
}

async fn finishing_writes_its_record_in_the_same_commit(store: &dyn Store) {
    let mut watch = store.watch("results/");
    enqueue(store, vec![job("a", "l"), job("b", "l")]).await;
    lease(store, 0, 2).await;
    let record = |text| Some(("results/a".to_owned(), bytes(text)));
    store.finish("a", 1, record("done")).await.expect("held");
    fenced(store.finish("a", 1, record("twice")).await);
    assert_eq!(value(store, "results/a").await.as_deref(), Some("done"));
    let stored = store.get("results/a").await.expect("a read");
    let change = watch.next().await.expect("a change");
    assert_eq!(change.value, Some(bytes("done")));
    assert_eq!(Some(change.revision), stored.map(|record| record.revision));
    let refused = store.finish("b", 1, Some((String::new(), bytes("")))).await;
    assert!(matches!(
        refused,
        Err(JobError::Store(StoreError::Invalid(_)))
    ));
    store.finish("b", 1, None).await.expect("held still");
}

async fn void_leases_ends_all(store: &dyn Store) {
    assert_eq!(store.void_leases().await.expect("none"), 0);
    let jobs = vec![job("a", "l"), job("b", "m"), job("c", "n")];
    enqueue(store, jobs).await;
    assert_eq!(ids(store, 0, 2).await, ["a", "b"]);
    assert_eq!(store.void_leases().await.expect("ended"), 2);
    assert_eq!(store.void_leases().await.expect("ended"), 0);
    fenced(store.finish("a", 1, None).await);
    fenced(store.extend("b", 1, 900).await);
    let again = lease(store, 1, 9).await;
    let again: Vec<_> = again.iter().map(|l| (l.id.as_str(), l.attempt)).collect();
    assert_eq!(again, [("c", 1), ("a", 2), ("b", 2)]);
}

async fn jobs_are_enqueued_once_and_whole(store: &dyn Store) {
    enqueue(store, vec![]).await;
    enqueue(store, vec![job("a", "l"), job("a", "m")]).await;
    let other = NewJob {
        payload: bytes("other"),
        ..due("a", "n", 5)
    };
    enqueue(store, vec![other, job("b", "l")]).await;
    let leased = lease(store, 0, 9).await;
    let leased: Vec<_> = leased
        .iter()
        .map(|l| (&*l.id, &*l.lane, &l.payload[..]))
        .collect();
    assert_eq!(leased, [("a", "l", &b"do a"[..]), ("b", "l", b"do b")]);
    let half = vec![job("c", "l"), job("", "l")];
    let refused = store.enqueue(half).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    assert!(ids(store, 0, 9).await.is_empty());
}
