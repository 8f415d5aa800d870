//! The real store beside the simple one: whatever is asked of jobs, they answer the same.

use proptest::prelude::*;

use super::{super::both, *};
use crate::store::{If, Records, Write};

/// Places that are asked for.
const PLACES: u64 = 8;

#[derive(Debug, Clone)]
enum Ask {
    Enqueue(Vec<NewJob>, u64),
    Lease(Vec<u64>, u64),
    Extend(Vec<(AsyncId, u32)>, u64),
    Finish(AsyncId, Holder, End),
    Requeue(AsyncId, u32, u64, bool),
    Reschedule(AsyncId, u64),
    VoidLeases,
    Queued(Option<u64>, usize),
    Lapsed(u64, usize),
    Overdue(u64, usize),
    Job(AsyncId),
    List(JobFilter, usize),
    Forget(u64, usize),
    ForgetDead(String, usize),
}

fn some_id() -> impl Strategy<Value = AsyncId> {
    (0..PLACES, prop_oneof![9 => Just(7u8), 1 => Just(8)]).prop_map(|(n, tag)| tagged(n, tag))
}

fn deployment() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["p/d", "p/e"]).prop_map(str::to_owned)
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        "[a-c]{0,9}".prop_map(|text| Content::Inline(text.into())),
        (0..99u64).prop_map(Content::Spilled),
    ]
}

fn new_job() -> impl Strategy<Value = NewJob> {
    let of_lane = (deployment(), 1..3u32, 1..3u8);
    let once = prop::option::of((0..3u8, 0..2u8, 0..60u64));
    (some_id(), of_lane, 0..60u64, content(), once).prop_map(
        |(id, (deployment, life, by), deadline_at_ms, body, once)| NewJob {
            id,
            lane: lane(&deployment, life, by),
            deadline_at_ms,
            body,
            once: once.map(|(token, fingerprint, until_ms)| Once {
                token: [token; 32],
                fingerprint: [fingerprint; 32],
                until_ms,
            }),
            ..job(1)
        },
    )
}

fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![
        2 => (0..4u32).prop_map(Holder::Attempt),
        1 => Just(Holder::Queued),
        2 => Just(Holder::Anybody),
    ]
}

fn some_end() -> impl Strategy<Value = End> {
    let write = prop::option::of(any::<bool>());
    let answer = prop::option::of(content());
    let status = prop::sample::select(JobStatus::ALL.to_vec());
    (status, answer, any::<bool>(), 0..60u64, write).prop_map(
        |(status, answer, dead, forget_at_ms, write)| {
            let write = write.map(|is_any| match is_any {
                true => put("k", "v"),
                false => put_if("absent", "v", If::Absent),
            });
            End {
                status,
                doc: bytes("end"),
                answer: answer.map(|body| (bytes("head"), body)),
                dead,
                forget_at_ms,
                writes: write.into_iter().collect::<Vec<Write>>(),
            }
        },
    )
}

fn filter() -> impl Strategy<Value = JobFilter> {
    use prop::option::of;
    let status = of(prop::sample::select(JobStatus::ALL.to_vec()));
    (of(1..3u8), of(deployment()), status, any::<bool>()).prop_map(
        |(by, deployment, status, dead)| JobFilter {
            owner: by.map(owner),
            deployment,
            status,
            dead,
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    use prop::{collection::vec, option::of};
    let (ms, limit) = (0..60u64, 0..6usize);
    prop_oneof![
        5 => (vec(new_job(), 0..4), 0..60u64).prop_map(|(jobs, now)| Ask::Enqueue(jobs, now)),
        4 => (vec(0..PLACES, 0..4), 0..60u64).prop_map(|(at, until)| Ask::Lease(at, until)),
        2 => (vec((some_id(), 0..4u32), 0..4), 0..60u64)
            .prop_map(|(held, until)| Ask::Extend(held, until)),
        4 => (some_id(), holder(), some_end())
            .prop_map(|(id, holder, end)| Ask::Finish(id, holder, end)),
        2 => (some_id(), 0..4u32, 0..60u64, any::<bool>())
            .prop_map(|(id, attempt, due, counted)| Ask::Requeue(id, attempt, due, counted)),
        1 => (some_id(), ms).prop_map(|(id, due)| Ask::Reschedule(id, due)),
        1 => Just(Ask::VoidLeases),
        1 => (of(0..PLACES), limit).prop_map(|(after, limit)| Ask::Queued(after, limit)),
        1 => (0..60u64, 0..6usize).prop_map(|(now, limit)| Ask::Lapsed(now, limit)),
        1 => (0..60u64, 0..6usize).prop_map(|(now, limit)| Ask::Overdue(now, limit)),
        1 => some_id().prop_map(Ask::Job),
        3 => (filter(), 1..5usize).prop_map(|(filter, limit)| Ask::List(filter, limit)),
        1 => (0..60u64, 0..4usize).prop_map(|(now, limit)| Ask::Forget(now, limit)),
        1 => (deployment(), 0..4usize).prop_map(|(name, limit)| Ask::ForgetDead(name, limit)),
    ]
}

/// The answer as text, errors and all.
async fn answer(store: &dyn Store, ask: Ask) -> String {
    match ask {
        Ask::Enqueue(jobs, now) => format!("{:?}", store.enqueue(jobs, now).await),
        Ask::Lease(places, until) => {
            let places = places.into_iter().map(at).collect();
            format!("{:?}", store.lease(places, until).await)
        }
        Ask::Extend(held, until) => format!("{:?}", store.extend(held, until).await),
        Ask::Finish(id, holder, end) => format!("{:?}", store.finish(id, holder, end).await),
        Ask::Requeue(id, attempt, due, counted) => {
            format!("{:?}", store.requeue(id, attempt, due, counted).await)
        }
        Ask::Reschedule(id, due) => format!("{:?}", store.reschedule(id, due).await),
        Ask::VoidLeases => format!("{:?}", store.void_leases().await),
        Ask::Queued(after, limit) => {
            let open = store.queued(after.map(at), limit).await.expect("a read");
            let lanes = store.lanes().await.expect("a read");
            // Lanes are numbered as each store likes.
            let open = open.into_iter().map(|job| {
                let lane = lanes.iter().find(|(number, _)| *number == job.lane);
                (
                    job.position,
                    job.due_at_ms,
                    job.weight,
                    lane.expect("known").1.clone(),
                )
            });
            format!("{:?}", open.collect::<Vec<_>>())
        }
        Ask::Lapsed(now, limit) => format!("{:?}", store.lapsed(now, limit).await),
        Ask::Overdue(now, limit) => format!("{:?}", store.overdue(now, limit).await),
        Ask::Job(id) => {
            let (body, answer) = (store.body(id).await, store.answer(id).await);
            format!("{:?} {body:?} {answer:?}", store.job(id).await)
        }
        Ask::List(filter, limit) => format!("{:?}", listed(store, &filter, limit).await),
        Ask::Forget(now, limit) => format!("{:?}", store.forget(now, limit).await),
        Ask::ForgetDead(name, limit) => format!("{:?}", store.forget_dead(&name, limit).await),
    }
}

/// All that can be seen from outside.
async fn state(store: &dyn Store) -> String {
    let mut all = Vec::new();
    for n in listed(store, &JobFilter::default(), 3).await {
        for tag in [7, 8] {
            all.push(answer(store, Ask::Job(tagged(n, tag))).await);
        }
    }
    format!(
        "{:?} {:?} {all:?}",
        store.totals().await,
        lanes(store).await
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_answer_the_same(asks in prop::collection::vec(ask(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (real, simple, _directory) = both();
            let (mut one, mut other) = (real.watch(""), simple.watch(""));
            for ask in asks {
                let expected = answer(&simple, ask.clone()).await;
                prop_assert_eq!(answer(&real, ask.clone()).await, expected, "{:?}", ask);
            }
            prop_assert_eq!(state(&real).await, state(&simple).await);
            // Both end by closing, when all that was committed has been seen.
            drop((real, simple));
            loop {
                let (one, other) = (one.next().await, other.next().await);
                prop_assert_eq!(&one, &other);
                if one.is_err() {
                    return Ok(());
                }
            }
        })?;
    }
}
