use super::*;
use crate::store::{If, Kept, VALUE_BYTES_MAX, Was, Write};

cases! {
    who_may_end_a_job;
    an_end_is_read_as_it_was_given;
    a_dead_letter_keeps_its_body;
    an_end_is_final;
    an_end_and_its_writes_are_one_commit;
    what_is_no_end_is_refused;
    of_many_who_end_it_one_does;
}

async fn who_may_end_a_job(store: &dyn Store) {
    let open = [Holder::Anybody, Holder::Queued, Holder::Attempt(1)];
    let cases: [(&str, [bool; 3]); 3] = [
        ("queued", [true, true, false]),
        ("running", [true, false, true]),
        ("given back", [true, true, false]),
    ];
    let mut n = 0;
    for (stands, may) in cases {
        for (holder, may) in open.into_iter().zip(may) {
            n += 1;
            enqueue(store, vec![job(n)]).await;
            let mut was = Was {
                status: JobStatus::Queued,
                attempt: 0,
            };
            if stands != "queued" {
                was.attempt = lease(store, &[n]).await[0];
                was.status = JobStatus::Running;
            }
            if stands == "given back" {
                store.requeue(id(n), 1, 0, true).await.expect("held");
                was.status = JobStatus::Queued;
            }
            let ended = store.finish(id(n), holder, completed()).await;
            match may {
                true => assert_eq!(ended.expect("may"), was, "{stands} {holder:?}"),
                false => fenced(&ended),
            }
            let expected = if may {
                JobStatus::Completed
            } else {
                was.status
            };
            assert_eq!(status(store, n).await, (expected, was.attempt));
        }
    }
    fenced(&store.finish(id(99), Holder::Anybody, completed()).await);
}

async fn an_end_is_read_as_it_was_given(store: &dyn Store) {
    let answers = [
        (None, Kept::Nothing),
        (Some(content("")), Kept::Inline(0)),
        (Some(content("answer")), Kept::Inline(6)),
        (Some(Content::Spilled(7_000_000)), Kept::Spilled(7_000_000)),
    ];
    let ended = JobStatus::ALL.into_iter().filter(|s| s.has_ended());
    let mut n = 0;
    for status in ended {
        for (answer, kept) in answers.clone() {
            n += 1;
            enqueue(store, vec![job(n)]).await;
            lease(store, &[n]).await;
            let answer = answer.map(|body| (bytes("head"), body));
            let given = End {
                status,
                answer: answer.clone(),
                ..completed()
            };
            end(store, n, given).await;
            let expected = Job {
                id: id(n),
                lane: lane("p/d", 1, 1),
                status,
                attempt: 1,
                due_at_ms: 5_000,
                deadline_at_ms: 1_000 + n,
                doc: bytes(&format!("doc {n}")),
                end: Some(bytes("done")),
                dead: false,
                body: Kept::Nothing,
                answer: kept,
            };
            assert_eq!(read(store, n).await, expected);
            assert_eq!(store.answer(id(n)).await.expect("a read"), answer);
            assert_eq!(store.body(id(n)).await.expect("a read"), None);
        }
    }
    assert!(queued(store).await.is_empty());
}

async fn a_dead_letter_keeps_its_body(store: &dyn Store) {
    let spilled = NewJob {
        body: Content::Spilled(9),
        ..job(2)
    };
    enqueue(store, vec![job(1), spilled.clone()]).await;
    let also = NewJob {
        id: id(3),
        ..spilled
    };
    enqueue(store, vec![also]).await;
    end(store, 1, dead()).await;
    end(store, 2, dead()).await;
    end(store, 3, completed()).await;
    let bodies = [
        (Kept::Inline(6), Some(content("body 1"))),
        (Kept::Spilled(9), Some(Content::Spilled(9))),
        (Kept::Nothing, None),
    ];
    for (n, (kept, body)) in (1..).zip(bodies) {
        let job = read(store, n).await;
        assert_eq!((job.dead, job.body), (n < 3, kept));
        assert_eq!(store.body(id(n)).await.expect("a read"), body);
    }
}

async fn an_end_is_final(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    lease(store, &[1]).await;
    end(store, 1, completed()).await;
    let before = read(store, 1).await;
    for holder in [Holder::Anybody, Holder::Queued, Holder::Attempt(1)] {
        let other = End {
            status: JobStatus::Cancelled,
            doc: bytes("another"),
            ..dead()
        };
        fenced(&store.finish(id(1), holder, other).await);
    }
    fenced(&store.requeue(id(1), 1, 0, false).await);
    fenced(&store.reschedule(id(1), 9).await);
    let held = store.extend(vec![(id(1), 1)], 9).await;
    assert_eq!(held.expect("an answer"), [false]);
    let leased = store.lease(vec![at(1)], 9).await.expect("an answer");
    assert_eq!(leased, [None]);
    assert_eq!(store.void_leases().await.expect("none"), 0);
    assert!(store.overdue(u64::MAX, 9).await.expect("a read").is_empty());
    assert!(store.lapsed(u64::MAX, 9).await.expect("a read").is_empty());
    assert_eq!(read(store, 1).await, before);
    let answer = store.answer(id(1)).await.expect("a read");
    assert_eq!(answer, Some((bytes("head"), content("answer"))));
}

async fn an_end_and_its_writes_are_one_commit(store: &dyn Store) {
    let writing = |writes: Vec<Write>| End {
        writes,
        ..completed()
    };
    let mut watch = store.watch("hooks/");
    enqueue(store, vec![job(1), job(2)]).await;
    lease(store, &[1, 2]).await;
    let absent = || put_if("hooks/1", "tell", If::Absent);
    end(store, 1, writing(vec![absent()])).await;
    assert_eq!(value(store, "hooks/1").await.as_deref(), Some("tell"));
    // Fenced: nothing of it.
    let late = writing(vec![put("hooks/late", "no")]);
    fenced(&store.finish(id(1), Holder::Attempt(1), late).await);
    assert_eq!(value(store, "hooks/late").await, None);
    // A condition does not hold: neither its other writes nor the end.
    let conflict = writing(vec![put("hooks/2", "tell"), absent()]);
    invalid(&store.finish(id(2), Holder::Attempt(1), conflict).await);
    assert_eq!(value(store, "hooks/2").await, None);
    assert_eq!(status(store, 2).await, (JobStatus::Running, 1));
    assert_eq!(store.answer(id(2)).await.expect("a read"), None);
    let body = store.body(id(2)).await.expect("a read");
    assert_eq!(body, Some(content("body 2")));
    let held = store.extend(vec![(id(2), 1)], 900).await;
    assert_eq!(held.expect("an answer"), [true]);
    end(store, 2, writing(vec![put("hooks/2", "tell")])).await;
    for key in ["hooks/1", "hooks/2"] {
        let change = watch.next().await.expect("a change");
        assert_eq!(change.key, key);
        let record = store.get(key).await.expect("a read");
        assert_eq!(record.map(|r| r.revision), Some(change.revision));
    }
}

async fn what_is_no_end_is_refused(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    lease(store, &[1]).await;
    let large = Bytes::from(vec![1; VALUE_BYTES_MAX + 1]);
    let of = |status| End {
        status,
        ..completed()
    };
    let answering = |head: &Bytes, body| End {
        answer: Some((head.clone(), body)),
        ..completed()
    };
    let bad = [
        of(JobStatus::Queued),
        of(JobStatus::Running),
        End {
            doc: large.clone(),
            ..completed()
        },
        answering(&large, content("")),
        answering(&bytes(""), Content::Inline(large.clone())),
        answering(&bytes(""), Content::Spilled(u64::MAX)),
        End {
            writes: vec![put("", "no key")],
            ..completed()
        },
    ];
    for bad in bad {
        invalid(&store.finish(id(1), Holder::Attempt(1), bad).await);
        assert_eq!(status(store, 1).await, (JobStatus::Running, 1));
    }
}

async fn of_many_who_end_it_one_does(store: &dyn Store) {
    enqueue(store, vec![job(1)]).await;
    lease(store, &[1]).await;
    let calls = (0..12).map(|n| {
        let holder = [Holder::Anybody, Holder::Attempt(1)][n % 2];
        let doc = bytes(&n.to_string());
        store.finish(id(1), holder, End { doc, ..completed() })
    });
    let calls = futures_util::future::join_all(calls).await;
    let mut won = calls.iter().enumerate().filter(|(_, call)| call.is_ok());
    let (winner, _) = won.next().expect("one");
    assert!(won.next().is_none());
    for (_, lost) in calls.iter().enumerate().filter(|(n, _)| *n != winner) {
        fenced(lost);
    }
    let doc = read(store, 1).await.end;
    assert_eq!(doc, Some(bytes(&winner.to_string())));
}
