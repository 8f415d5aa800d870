//! Requests of the day over restarts.

use super::*;
use crate::{
    base::{
        clock::{Tick, unix_ms},
        secret::KeyDigest,
    },
    control::{
        quotas::Ahead,
        record::{decode, place},
    },
    limit::{Arrival, DayCount, Limiter, day_of},
};

const IRIS: &str = "demo/iris";
const SECRET: &str = "wk_limited_0123456789abcdefghijklmnopqrstuv";

fn declared(limits: &str) -> String {
    format!(
        "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\nlimits = {{ {limits} }}\n\
         version = {{ main = {{ backends = [{{ url = \"http://127.0.0.1:1\" }}] }} }}\n\
         [[key]]\nid = \"limited\"\ndigest = \"{}\"\nscope = \"instance\"\nlimits = {{ {limits} }}\n",
        digest().to_hex()
    )
}

fn digest() -> KeyDigest {
    KeyDigest::of_key(SECRET.as_bytes()).expect("a key")
}

impl World {
    #[track_caller]
    fn limiters(&self) -> [Arc<Limiter>; 2] {
        let view = self.current.load_full();
        let route = view.route(IRIS).expect("a route");
        let of_key = self.current.keys().limits_of(&digest());
        [route.limits().cloned(), of_key].map(|limits| limits.expect("limited"))
    }

    fn life(&self) -> u32 {
        let view = self.current.load_full();
        view.route(IRIS).map_or(0, |route| route.queue().life)
    }

    async fn written(&self) -> [Option<DayCount>; 2] {
        let places = [
            place::deployment_quota(&named(IRIS), self.life()),
            place::key_quota(&digest()),
        ];
        let mut written = [None; 2];
        for (written, place) in written.iter_mut().zip(places) {
            let record = self.store.inner().get(&place).await.expect("read");
            *written = record.map(|record| decode(&record).expect("a count").value);
        }
        written
    }
}

fn take(limiters: &[Arc<Limiter>], count: usize, now_ms: u64) {
    for limiter in limiters {
        for _ in 0..count {
            drop(
                limiter
                    .take(Arrival::Now, Tick::now(), now_ms)
                    .expect("within the day"),
            );
        }
    }
}

/// Noon, so that no test sees the day turn.
fn noon() -> u64 {
    u64::from(day_of(unix_ms())) * 86_400_000 + 43_200_000
}

fn count(count: u64) -> [Option<DayCount>; 2] {
    let day = day_of(noon());
    [Some(DayCount { day, count }); 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_errs_on_the_side_of_the_limit_and_an_orderly_end_is_exact() {
    let world = World::new().await;
    world.declare(&declared("requests_per_day = 100")).await;
    let now = noon();
    take(&world.limiters(), 10, now);
    let control = &world.control;
    control
        .write_quotas(Ahead::ByGrowth, now)
        .await
        .expect("written");
    take(&world.limiters(), 3, now);
    control
        .write_quotas(Ahead::ByGrowth, now)
        .await
        .expect("written");
    // What the background wrote in between can only have made the step smaller.
    for written in world.written().await {
        let written = written.expect("written").count;
        assert!((13..=26).contains(&written), "{written}");
    }
    for limiter in world.limiters() {
        assert_eq!(limiter.unnoted(), None);
    }
    control
        .write_quotas(Ahead::ByGrowth, now)
        .await
        .expect("written");
    assert_eq!(world.written().await, count(13), "exact when it is quiet");

    take(&world.limiters(), 7, now);
    control
        .write_quotas(Ahead::Exact, now)
        .await
        .expect("written");
    assert_eq!(world.written().await, count(20));
    let world = world.again().await;
    for limiter in world.limiters() {
        assert_eq!(limiter.standing(Tick::now(), now).requests_today, 20);
    }
    take(&world.limiters(), 80, now);
    for limiter in world.limiters() {
        assert!(limiter.take(Arrival::Now, Tick::now(), now).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_out_of_service_is_told_later() {
    let world = World::new().await;
    world.declare(&declared("requests_per_day = 100")).await;
    let now = noon();
    world.store.set(faulty::FULL);
    take(&world.limiters(), 5, now);
    let refused = world.control.write_quotas(Ahead::Exact, now).await;
    assert!(refused.is_err(), "the store is full");
    assert_eq!(world.written().await, [None; 2]);
    world.store.set(faulty::WELL);
    world
        .control
        .write_quotas(Ahead::Exact, now)
        .await
        .expect("written");
    assert_eq!(world.written().await, count(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_go_with_their_day_and_with_whose_they_are() {
    let world = World::new().await;
    world.declare(&declared("requests_per_day = 100")).await;
    let control = &world.control;
    let now = noon();
    take(&world.limiters(), 5, now);
    control
        .write_quotas(Ahead::Exact, now)
        .await
        .expect("written");
    control.prune_quotas(now).await.expect("pruned");
    assert_eq!(world.written().await, count(5));
    let tomorrow = now + 86_400_000;
    control.prune_quotas(tomorrow).await.expect("pruned");
    assert_eq!(world.written().await, [None; 2]);

    take(&world.limiters(), 1, now);
    control
        .write_quotas(Ahead::Exact, now)
        .await
        .expect("written");
    assert_eq!(world.written().await, count(6));
    // An edit of other limits keeps the count.
    world
        .declare(&declared("requests_per_day = 50, concurrency_max = 9"))
        .await;
    for limiter in world.limiters() {
        assert_eq!(limiter.standing(Tick::now(), now).requests_today, 6);
    }
    // Made anew they have had nothing, and nothing is written of those before.
    let daily = declared("requests_per_day = 50");
    let first_life = world.life();
    world.declare("").await;
    world.declare(&daily).await;
    assert_ne!(world.life(), first_life);
    control.prune_quotas(now).await.expect("pruned");
    assert_eq!(world.written().await, [None; 2]);
    let before = place::deployment_quota(&named(IRIS), first_life);
    let before = world.store.inner().get(&before).await.expect("read");
    assert!(before.is_none(), "{before:?}");
    take(&world.limiters(), 6, now);
    control
        .write_quotas(Ahead::Exact, now)
        .await
        .expect("written");
    control.prune_quotas(now).await.expect("pruned");
    assert_eq!(world.written().await, count(6));
    // Lifted, the count stays for the rest of the day.
    world.declare(&declared("concurrency_max = 9")).await;
    control.prune_quotas(now).await.expect("pruned");
    assert_eq!(world.written().await, count(6));
    control.prune_quotas(tomorrow).await.expect("pruned");
    assert_eq!(world.written().await, [None; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_lifted_and_declared_again_is_no_fresh_one() {
    let daily = declared("requests_per_day = 100");
    let now = noon();
    let counted = |world: &World| {
        let limiters = world.limiters();
        limiters.map(|limiter| limiter.standing(Tick::now(), now).requests_today)
    };
    let mut world = World::new().await;
    for (round, between) in ["", "concurrency_max = 9", "", "concurrency_max = 9"]
        .into_iter()
        .enumerate()
    {
        let before = 5 * round as u64;
        world.declare(&daily).await;
        assert_eq!(counted(&world), [before; 2]);
        take(&world.limiters(), 5, now);
        // What was not written down before it was lifted is afterwards.
        world.declare(&declared(between)).await;
        let control = &world.control;
        let written = control.write_quotas(Ahead::Exact, now).await;
        written.expect("written");
        control.prune_quotas(now).await.expect("pruned");
        assert_eq!(world.written().await, count(before + 5));
        if round > 1 {
            world = world.again().await;
            world.control.prune_quotas(now).await.expect("pruned");
            assert_eq!(world.written().await, count(before + 5));
        }
    }
    world.declare(&daily).await;
    assert_eq!(counted(&world), [20; 2]);
    // Another day's is forgotten, and nothing is written of it any more.
    world.declare(&declared("")).await;
    let tomorrow = now + 86_400_000;
    world.control.prune_quotas(tomorrow).await.expect("pruned");
    assert_eq!(world.written().await, [None; 2]);
    world
        .control
        .write_quotas(Ahead::Exact, tomorrow)
        .await
        .expect("written");
    assert_eq!(world.written().await, [None; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_made_anew_begins_anew_after_a_kill_too() {
    let daily = declared("requests_per_day = 100");
    let world = World::new().await;
    world.declare(&daily).await;
    let now = noon();
    take(&world.limiters(), 5, now);
    let written = world.control.write_quotas(Ahead::Exact, now).await;
    written.expect("written");
    let [of_deployment, _] = world.limiters();
    assert_eq!(of_deployment.standing(Tick::now(), now).requests_today, 5);
    world.declare("").await;
    world.declare(&daily).await;
    // Nothing was pruned in between.
    let world = world.again().await;
    let [of_deployment, _] = world.limiters();
    assert_eq!(of_deployment.standing(Tick::now(), now).requests_today, 0);
}
