//! The queue over a real store, with attempts that the tests themselves make.

mod world;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use self::world::*;
use super::*;
use crate::{
    snapshot::Current,
    store::{Content, JOB_BYTES, JobStatus, Sqlite, SqliteOptions},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_slept_past_its_lease_is_refused() {
    let world = World::new(QueueOptions {
        lease_ms: 100,
        ..impatient()
    })
    .await;
    let id = world.submit(b"{}").await;
    let sleeper = world.work().await;
    // It shows no sign of life, and another one takes over.
    let other = world.work().await;
    assert_eq!((other.id(), other.attempt()), (id, 2));
    assert_eq!(sleeper.stopped().await, Stop::Over);
    world.answered(&sleeper, 200, b"late").await;
    let request = world.request(id).await;
    assert_eq!(
        (request.status(), request.job.attempt),
        (JobStatus::Running, 2)
    );
    world.queue.beat(&[other.held()]).await;
    world.answered(&other, 200, b"right").await;
    assert_eq!(world.ended(id).await.status(), JobStatus::Completed);
    assert_eq!(world.answer(id).await, "right");
    // And again once it has ended.
    world.answered(&sleeper, 500, b"later").await;
    assert_eq!(world.request(id).await.status(), JobStatus::Completed);
    assert_eq!(world.answer(id).await, "right");
    assert_eq!(world.queue.under_way(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_beats_keeps_its_lease() {
    let world = World::new(QueueOptions {
        lease_ms: 400,
        ..impatient()
    })
    .await;
    let id = world.submit(b"{}").await;
    let work = world.work().await;
    let until = tokio::time::Instant::now() + Duration::from_millis(2_500);
    while tokio::time::Instant::now() < until {
        world.queue.beat(&[work.held()]).await;
        let other = timeout(Duration::from_millis(50), world.works.next()).await;
        assert!(other.is_err(), "it was given to another");
    }
    world.answered(&work, 200, b"slow").await;
    let request = world.ended(id).await;
    assert_eq!(
        (request.status(), request.job.attempt),
        (JobStatus::Completed, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_counted_unless_they_are_given_back() {
    let world = World::new(QueueOptions {
        attempts_max: 2,
        ..impatient()
    })
    .await;
    let id = world.submit(b"{}").await;
    let work = world.work().await;
    world.queue.conclude(&work, Attempted::GivenBack).await;
    let work = world.work().await;
    assert_eq!((work.attempt(), work.is_last), (1, false));
    world.failed(&work).await;
    let work = world.work().await;
    assert_eq!((work.attempt(), work.is_last), (2, true));
    world.failed(&work).await;
    let request = world.ended(id).await;
    assert_eq!(
        (request.status(), request.job.attempt),
        (JobStatus::Error, 2)
    );
    assert_eq!(
        request.ended.and_then(|ended| ended.reason),
        Some(Reason::Exhausted)
    );
    // Run again by an operator it is a new request, once.
    let again = match world.queue.retry(id).await.expect("room") {
        Some(Retried::Again(request)) => request,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.accepted.retry_of, Some(id));
    assert!(matches!(
        world.queue.retry(id).await,
        Ok(Some(Retried::Not(_)))
    ));
    let work = world.work().await;
    assert_eq!((work.id(), work.body.bytes()), (again.id(), 2));
    world.answered(&work, 200, b"at last").await;
    assert_eq!(world.ended(again.id()).await.status(), JobStatus::Completed);
    assert_eq!(world.queue.purge(&name()).await.expect("a store"), 1);
    assert!(world.queue.request(id).await.expect("a store").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_off_or_too_late_frees_its_place() {
    let world = World::new(QueueOptions {
        concurrency: 1,
        concurrency_floor: 1,
        waiting_per_key_max: 2,
        ..impatient()
    })
    .await;
    let running = world.submit(b"1").await;
    let work = world.work().await;
    let queued = world.submit(b"2").await;
    let late = world
        .submit_with(b"3", |new| new.deadline_ms = Some(1))
        .await;
    assert!(matches!(late, Ok(Submitted::New(_))));
    let full = world.submit_with(b"4", |_| {}).await;
    assert!(matches!(full, Err(Refused::ShareSpent)), "{full:?}");
    let cancelled = world.queue.cancel(queued).await.expect("a store");
    assert!(
        matches!(cancelled, Some(Cancelled::Queued(_))),
        "{cancelled:?}"
    );
    let cancelled = world.queue.cancel(running).await.expect("a store");
    assert!(
        matches!(cancelled, Some(Cancelled::Running(_))),
        "{cancelled:?}"
    );
    assert_eq!(work.stopped().await, Stop::Over);
    world.queue.conclude(&work, Attempted::Over).await;
    let Ok(Submitted::New(late)) = late else {
        unreachable!("looked at above")
    };
    assert_eq!(world.ended(late.id()).await.status(), JobStatus::Expired);
    let cancelled = world.queue.cancel(late.id()).await.expect("a store");
    assert!(
        matches!(cancelled, Some(Cancelled::Ended(_))),
        "{cancelled:?}"
    );
    for body in [b"5", b"6"] {
        world.submit(body).await;
    }
    let next = world.work().await;
    assert_eq!(next.body, Content::Inline(Bytes::from_static(b"5")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_is_gone_takes_what_waits_with_it_and_its_successor_gets_none() {
    let world = World::new(impatient()).await;
    publish(&world.current, None);
    let first = world.submit(b"1").await;
    let ended = world.ended(first).await.ended.expect("an end");
    assert_eq!(ended.reason, Some(Reason::DeploymentDeleted));
    publish(&world.current, Some(2));
    let second = world.submit(b"2").await;
    let ended = world.ended(second).await.ended.expect("an end");
    assert_eq!(ended.reason, Some(Reason::DeploymentDeleted));
    let third = world.submit_with(b"3", |new| new.life = 2).await;
    assert!(third.is_ok());
    assert_eq!(world.work().await.lane().life, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_found_again() {
    let options = || QueueOptions {
        concurrency: 2,
        ..impatient()
    };
    let world = World::new(options()).await;
    let mut ids = Vec::new();
    for body in [b"1", b"2", b"3", b"4"] {
        ids.push(world.submit(body).await);
    }
    let (first, second) = (world.work().await, world.work().await);
    world.answered(&first, 200, b"done").await;
    let before = world.request(ids[0]).await;
    // As after a kill: nobody concludes the second, and another queue opens over the same store.
    let World {
        store,
        current,
        directory,
        queue,
        ..
    } = world;
    queue.drain();
    let world = World::over(store, current, directory, options()).await;
    assert_eq!(world.request(ids[0]).await.job, before.job);
    assert_eq!(world.answer(ids[0]).await, "done");
    let mut again = vec![world.work().await, world.work().await];
    again.sort_by_key(Work::id);
    let found: Vec<_> = again.iter().map(Work::id).collect();
    assert_eq!(found, ids[1..3]);
    assert_eq!(
        again[0].attempt(),
        2,
        "the attempt that was cut off is counted"
    );
    // Who held it before has nothing to say any more.
    queue
        .conclude(
            &second,
            Attempted::Failed(Failure::last(Reason::Internal, "")),
        )
        .await;
    for work in &again {
        world.answered(work, 200, b"again").await;
    }
    for id in &ids[1..3] {
        assert_eq!(world.ended(*id).await.status(), JobStatus::Completed);
    }
    assert_eq!(world.work().await.id(), ids[3]);
    assert!(world.directory.path().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_is_one_request() {
    let world = Arc::new(World::new(impatient()).await);
    let submit = |fingerprint: u8| {
        let world = Arc::clone(&world);
        async move {
            let once = Some(("once".to_owned(), [fingerprint; 32]));
            world.submit_with(b"{}", |new| new.once = once).await
        }
    };
    let all = futures_util::future::join_all((0..20).map(|_| submit(1))).await;
    let mut new = 0;
    let mut ids = std::collections::BTreeSet::new();
    for submitted in all {
        match submitted.expect("accepted") {
            Submitted::New(request) => {
                new += 1;
                ids.insert(request.id());
            }
            Submitted::Known(request) => {
                ids.insert(request.id());
            }
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert!(matches!(submit(2).await, Err(Refused::Contradicts)));
    let work = world.work().await;
    world.answered(&work, 200, b"once").await;
    world.ended(work.id()).await;
    match submit(1).await {
        Ok(Submitted::Known(request)) => assert_eq!(request.status(), JobStatus::Completed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_while_he_calls_off_takes_no_place_with_him() {
    let world = World::new(QueueOptions {
        concurrency: 1,
        concurrency_floor: 1,
        waiting_per_key_max: 1,
        ..impatient()
    })
    .await;
    let blocker = world.submit(b"1").await;
    let work = world.work().await;
    assert_eq!(work.id(), blocker);
    for ended in 1..=10 {
        let id = world.submit(b"2").await;
        {
            let mut cancelling = std::pin::pin!(world.queue.cancel(id));
            // Until the store is asked to end it, and not until it has answered.
            while !world.request(id).await.status().has_ended() {
                if futures_util::poll!(cancelling.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // What runs with its body, and the records of those that have ended. One count goes down
        // behind the other.
        let (caps, bytes) = (&world.queue.caps, JOB_BYTES + 1 + JOB_BYTES * ended);
        let freed = timeout(PATIENCE, async {
            while caps.waiting() > 0 || caps.bytes() != bytes {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let freed = freed.await.is_ok();
        assert!(
            freed,
            "{} wait, {} bytes of {bytes}",
            caps.waiting(),
            caps.bytes()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_off_while_it_is_leased_does_not_run() {
    let world = World::new(impatient()).await;
    for _ in 0..1_000 {
        let id = world.submit(b"1").await;
        let cancelled = world.queue.cancel(id).await.expect("a store");
        assert!(!matches!(cancelled, Some(Cancelled::Ended(_)) | None));
        while let Ok(Some(work)) = timeout(Duration::from_millis(2), world.works.next()).await {
            let told = timeout(Duration::from_millis(500), work.stopped()).await;
            assert_eq!(told, Ok(Stop::Over), "{cancelled:?}");
            world.queue.conclude(&work, Attempted::Over).await;
        }
    }
    assert_eq!(world.queue.under_way(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waited_leaves_nothing() {
    let world = World::new(impatient()).await;
    let id = world.submit(b"1").await;
    let moment = Duration::from_millis(20);
    let (one, other) = tokio::join!(world.queue.wait(id, moment), world.queue.wait(id, moment));
    assert!(one.is_ok() && other.is_ok());
    world.queue.wait(id, moment).await.expect("a store");
    assert_eq!(world.queue.waiting.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_slow_to_let_go_frees_its_slot_all_the_same() {
    let world = World::new(QueueOptions {
        concurrency: 2,
        running_max: 2,
        ..impatient()
    })
    .await;
    let id = world.submit(b"1").await;
    let first = world.work().await;
    // Given back as `requeue` does, up to the moment before it lets go.
    let requeued = crate::store::Jobs::requeue(&*world.store, id, 1, 0, true).await;
    requeued.expect("held");
    world.queue.caps.rejoin(first.lane().owner);
    world
        .queue
        .schedule()
        .push_again(first.lane(), id.position(), 1, None);
    world.queue.wake.notify_one();
    let second = world.work().await;
    assert_eq!((second.id(), second.attempt()), (id, 2));
    world.queue.release(&first.held());
    assert_eq!(world.queue.schedule().running(), 1);
    world.answered(&second, 200, b"done").await;
    assert_eq!(world.queue.schedule().running(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_in_front_of_a_full_intake_counts_for_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let current = Arc::new(Current::empty());
    let store = Sqlite::open(directory.path(), SqliteOptions::default()).expect("a store");
    let spill = Spill::open(&directory.path().join("async")).expect("a directory");
    let store = Arc::new(store);
    let opened = Queue::open(
        Arc::clone(&store) as Arc<dyn crate::store::Store>,
        Arc::clone(&current),
        spill,
        Arc::default(),
        impatient(),
    )
    .await;
    // Nobody takes anything in.
    let (queue, pump) = opened.expect("a queue");
    let world = World {
        queue,
        works: Works::nobody(),
        current,
        store,
        directory,
    };
    let mut submitting: Vec<_> = (0..intake::WAITING_MAX + 10)
        .map(|_| Box::pin(tokio::task::unconstrained(world.submit_with(b"1", |_| {}))))
        .collect();
    for submission in &mut submitting {
        assert!(futures_util::poll!(submission.as_mut()).is_pending());
    }
    drop(submitting);
    assert_eq!(world.queue.caps.waiting(), intake::WAITING_MAX as u64);
    drop(pump);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_run_again_once_however_long_it_is_kept() {
    let world = World::new(QueueOptions {
        attempts_max: 1,
        idempotency_ttl_ms: 1,
        result_ttl_ms: 1,
        ..impatient()
    })
    .await;
    let id = world.submit(b"1").await;
    world.failed(&world.work().await).await;
    let again = match world.queue.retry(id).await.expect("room") {
        Some(Retried::Again(request)) => request.id(),
        other => panic!("{other:?}"),
    };
    world.answered(&world.work().await, 200, b"done").await;
    // What ends behind it and is kept for as short a time as may be is forgotten before it.
    let short = world.submit(b"2").await;
    world.answered(&world.work().await, 200, b"done").await;
    let forgotten = timeout(PATIENCE, async {
        while world.queue.request(short).await.expect("a store").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    forgotten.await.expect("it is forgotten");
    let retried = world.queue.retry(id).await;
    assert!(matches!(retried, Ok(Some(Retried::Not(_)))), "{retried:?}");
    assert_eq!(world.queue.replay(&name(), 10).await.expect("a store"), 0);
    assert_eq!(world.request(again).await.status(), JobStatus::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upload_is_not_counted_as_the_requests_time() {
    let world = World::new(impatient()).await;
    let id = world.queue.draw().expect("random");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let limit = |new: &mut Submission| (new.id, new.deadline_ms) = (id, Some(40));
    world.submit_with(b"1", limit).await.expect("accepted");
    let request = world.request(id).await;
    assert!(request.job.deadline_at_ms >= id.position().unix_ms() + 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_on_their_way_have_room_of_their_own() {
    let world = World::new(QueueOptions {
        disk_bytes_max: 1_000_000,
        disk_reserve_bytes: 0,
        ..impatient()
    })
    .await;
    let (mut one, mut other) = (world.queue.reserve(), world.queue.reserve());
    one.take(600_000).expect("room");
    assert!(matches!(other.take(600_000), Err(Refused::Disk)));
    drop(one);
    other.take(600_000).expect("room again");
    drop(other);
    assert_eq!(world.queue.caps.bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_without_a_store_leaves_no_file() {
    let world = World::new(impatient()).await;
    let spilled = async || {
        let id = world.queue.draw().expect("random");
        let file = world
            .queue
            .spill()
            .create(SpillName::Body(id), Opener::Caller)
            .await;
        let mut file = file.expect("a file");
        file.append(Bytes::from(vec![7; 100_000]))
            .await
            .expect("room");
        (id, Content::Spilled(file.finish().await.expect("synced")))
    };
    let is_there = async |id| {
        let read = world
            .queue
            .spill()
            .read(SpillName::Body(id), 0, 1, Opener::Caller)
            .await;
        read.is_ok()
    };
    let gone = async |id| {
        let gone = timeout(PATIENCE, async {
            while is_there(id).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        gone.await.expect("its file is gone");
    };
    // Refused in doubt, and not written.
    let (doubted, _) = spilled().await;
    world.queue.doubt([doubted]);
    // And behind that: while it is away nothing is asked of it.
    let (id, body) = spilled().await;
    world.queue.note_service(false);
    let edit = |new: &mut Submission| (new.id, new.body) = (id, body);
    let refused = world.submit_with(b"", edit).await;
    assert!(matches!(refused, Err(Refused::Store(_))), "{refused:?}");
    gone(id).await;
    gone(doubted).await;
    // It is back once it was asked, and what is accepted then has its file.
    let back = async {
        while world.queue.is_out() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, back).await.expect("it is asked again");
    let (id, body) = spilled().await;
    let edit = |new: &mut Submission| (new.id, new.body) = (id, body);
    world.submit_with(b"", edit).await.expect("accepted");
    assert!(is_there(id).await);
}
