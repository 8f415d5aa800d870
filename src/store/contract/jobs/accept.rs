use super::*;
use crate::store::{Kept, OpenJob, VALUE_BYTES_MAX};

cases! {
    a_job_is_read_as_it_was_accepted;
    an_id_is_its_place_and_its_tag;
    a_place_is_one_jobs;
    a_token_is_used_once;
    a_token_is_remembered_for_its_time;
    a_token_is_forgotten_with_its_job;
    queued_ones_are_read_in_pages;
    what_is_too_large_is_refused_whole;
    of_many_with_a_token_one_is_accepted;
}

async fn a_job_is_read_as_it_was_accepted(store: &dyn Store) {
    let spilled = NewJob {
        body: Content::Spilled(9_000_000),
        deadline_at_ms: u64::MAX,
        ..of(2, lane("p/e", 9, 2))
    };
    enqueue(store, vec![job(1), spilled]).await;
    let first = Job {
        id: id(1),
        lane: lane("p/d", 1, 1),
        status: JobStatus::Queued,
        attempt: 0,
        due_at_ms: 0,
        deadline_at_ms: 1_001,
        doc: bytes("doc 1"),
        end: None,
        dead: false,
        body: Kept::Inline(6),
        answer: Kept::Nothing,
    };
    assert_eq!(read(store, 1).await, first);
    let second = read(store, 2).await;
    assert_eq!(second.body, Kept::Spilled(9_000_000));
    assert_eq!(second.deadline_at_ms, i64::MAX as u64, "as good as never");
    let body = store.body(id(1)).await.expect("a read");
    assert_eq!(body, Some(content("body 1")));
    let body = store.body(id(2)).await.expect("a read");
    assert_eq!(body, Some(Content::Spilled(9_000_000)));
    assert_eq!(store.answer(id(1)).await.expect("a read"), None);

    let lanes = store.lanes().await.expect("a read");
    let number = |deployment: &str| {
        let named = lanes.iter().find(|(_, l)| l.deployment == deployment);
        named.expect("there").0
    };
    let open = |n, deployment| OpenJob {
        position: at(n),
        lane: number(deployment),
        due_at_ms: 0,
        weight: 3,
    };
    let queued = store.queued(None, 9).await.expect("a read");
    assert_eq!(queued, [open(1, "p/d"), open(2, "p/e")]);
    enqueue(store, vec![]).await;
}

async fn an_id_is_its_place_and_its_tag(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    end(store, 1, dead()).await;
    enqueue(store, vec![job(2)]).await;
    lease(store, &[2]).await;
    for wrong in [tagged(1, 8), tagged(2, 8), id(3)] {
        assert_eq!(store.job(wrong).await.expect("a read"), None);
        assert_eq!(store.body(wrong).await.expect("a read"), None);
        assert_eq!(store.answer(wrong).await.expect("a read"), None);
        let held = store.extend(vec![(wrong, 1)], 9).await;
        assert_eq!(held.expect("an answer"), [false]);
        fenced(&store.finish(wrong, Holder::Anybody, completed()).await);
        fenced(&store.requeue(wrong, 1, 0, true).await);
    }
    store.requeue(id(2), 1, 0, true).await.expect("held");
    fenced(&store.reschedule(tagged(2, 8), 9).await);
    assert_eq!(read(store, 2).await.due_at_ms, 0);
}

async fn a_place_is_one_jobs(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    let other = NewJob {
        id: tagged(1, 8),
        ..of(1, lane("p/other", 1, 1))
    };
    let call = vec![job(2), other.clone(), job(3)];
    let refused = store.enqueue(call, 0).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    assert_eq!(queued(store).await, [1], "all or nothing");
    // The same one again, however it says that it is another.
    let again = NewJob {
        id: id(1),
        once: once(1, 1, 1, 99).once,
        ..other
    };
    let became = store.enqueue(vec![again, once(2, 1, 2, 99)], 0).await;
    assert_eq!(
        became.expect("accepted"),
        [Enqueued::Known(id(1)), Enqueued::Added],
        "a job that was not accepted uses no token up"
    );
    assert_eq!(read(store, 1).await.lane, lane("p/d", 1, 1));
    assert_eq!(lanes(store).await, [lane("p/d", 1, 1)]);
}

async fn a_token_is_used_once(store: &dyn Store) {
    let call = vec![
        once(1, 1, 1, 100),
        once(2, 1, 1, 100),
        once(3, 1, 2, 100),
        once(4, 2, 1, 100),
        job(5),
    ];
    let became = store.enqueue(call, 0).await.expect("accepted");
    let expected = [
        Enqueued::Added,
        Enqueued::Known(id(1)),
        Enqueued::Contradicts,
        Enqueued::Added,
        Enqueued::Added,
    ];
    assert_eq!(became, expected);
    let call = vec![once(6, 2, 1, 100), once(7, 2, 9, 100)];
    let became = store.enqueue(call, 0).await.expect("accepted");
    assert_eq!(became, [Enqueued::Known(id(4)), Enqueued::Contradicts]);
    assert_eq!(queued(store).await, [1, 4, 5]);
    // Also when it has ended.
    end(store, 1, completed()).await;
    let became = store.enqueue(vec![once(8, 1, 1, 100)], 0).await;
    assert_eq!(became.expect("accepted"), [Enqueued::Known(id(1))]);
}

async fn a_token_is_remembered_for_its_time(store: &dyn Store) {
    enqueue(store, vec![once(1, 1, 1, 100)]).await;
    let known = store.enqueue(vec![once(2, 1, 1, 100)], 99).await;
    assert_eq!(known.expect("accepted"), [Enqueued::Known(id(1))]);
    // Taken anew, for something else and for a time of its own.
    let added = store.enqueue(vec![once(3, 1, 2, 300)], 100).await;
    assert_eq!(added.expect("accepted"), [Enqueued::Added]);
    assert!(store.forget(200, 9).await.expect("forgotten").is_empty());
    let known = store.enqueue(vec![once(4, 1, 2, 300)], 299).await;
    assert_eq!(known.expect("accepted"), [Enqueued::Known(id(3))]);
    assert!(store.forget(300, 9).await.expect("forgotten").is_empty());
    let added = store.enqueue(vec![once(5, 1, 1, 400)], 299).await;
    assert_eq!(added.expect("accepted"), [Enqueued::Added]);
}

async fn a_token_is_forgotten_with_its_job(store: &dyn Store) {
    enqueue(store, vec![once(1, 1, 1, 9_000)]).await;
    end(store, 1, completed()).await;
    let contradicts = store.enqueue(vec![once(2, 1, 2, 9_000)], 10).await;
    assert_eq!(contradicts.expect("accepted"), [Enqueued::Contradicts]);
    assert_eq!(store.forget(5_000, 9).await.expect("forgotten").len(), 1);
    let added = store.enqueue(vec![once(2, 1, 2, 9_000)], 10).await;
    assert_eq!(added.expect("accepted"), [Enqueued::Added]);
    let known = store.enqueue(vec![once(3, 1, 2, 9_000)], 10).await;
    assert_eq!(known.expect("accepted"), [Enqueued::Known(id(2))]);
}

async fn queued_ones_are_read_in_pages(store: &dyn Store) {
    let jobs = [0, 5, 6, 7, 8].map(job).to_vec();
    enqueue(store, jobs).await;
    // Not in the order of their places; others run or have ended.
    enqueue(store, vec![job(2)]).await;
    lease(store, &[6]).await;
    end(store, 7, completed()).await;
    let cases: [(Option<u64>, usize, &[u64]); 6] = [
        (None, 9, &[0, 2, 5, 8]),
        (None, 2, &[0, 2]),
        (Some(0), 2, &[2, 5]),
        (Some(5), 2, &[8]),
        (Some(8), 2, &[]),
        (None, 0, &[]),
    ];
    for (after, limit, expected) in cases {
        let page = store.queued(after.map(at), limit).await.expect("a read");
        let found: Vec<u64> = page.iter().map(|job| job.position.as_u64()).collect();
        assert_eq!(found, expected, "{after:?} {limit}");
    }
}

async fn what_is_too_large_is_refused_whole(store: &dyn Store) {
    let large = Bytes::from(vec![1; VALUE_BYTES_MAX + 1]);
    let unnamed = of(2, lane("", 1, 1));
    let doc = NewJob {
        doc: large.clone(),
        ..job(2)
    };
    let body = NewJob {
        body: Content::Inline(large),
        ..job(2)
    };
    let spilled = NewJob {
        body: Content::Spilled(u64::MAX),
        ..job(2)
    };
    for bad in [unnamed, doc, body, spilled] {
        let refused = store.enqueue(vec![job(1), bad], 0).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))));
        assert!(queued(store).await.is_empty());
    }
    let most = NewJob {
        body: Content::Inline(Bytes::from(vec![1; VALUE_BYTES_MAX])),
        ..job(1)
    };
    let body = most.body.clone();
    enqueue(store, vec![most]).await;
    assert_eq!(store.body(id(1)).await.expect("a read"), Some(body));
}

async fn of_many_with_a_token_one_is_accepted(store: &dyn Store) {
    let calls = (1..=20).map(|n| store.enqueue(vec![once(n, 1, 1, 100)], 0));
    let became = futures_util::future::join_all(calls).await;
    let became: Vec<Enqueued> = became
        .into_iter()
        .flat_map(|call| call.expect("accepted"))
        .collect();
    let winner = queued(store).await;
    assert_eq!(winner.len(), 1);
    let known = Enqueued::Known(id(winner[0]));
    let added = became.iter().filter(|one| **one == Enqueued::Added);
    assert_eq!(added.count(), 1);
    assert_eq!(became.iter().filter(|one| **one == known).count(), 19);
}
