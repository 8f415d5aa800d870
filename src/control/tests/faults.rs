//! A store that fails: nothing that was not stored is in force, and nothing that was is lost.

use super::{
    faulty::{FULL, Faulty, LOST, MADE, WELL},
    *,
};
use crate::{
    base::secret::KeyDigest,
    spec::{Scope, body::NewKey},
};

async fn faulty() -> (World, Arc<Faulty>) {
    let world = World::new().await;
    let store = Arc::clone(&world.store);
    (world, store)
}

fn digest(key: &str) -> KeyDigest {
    KeyDigest::of_key(key.as_bytes()).expect("a key")
}

async fn import(world: &World, key: &str) -> Result<(), u16> {
    let body = NewKey::from_json(&json!({ "secret": key }), 0).expect("a key");
    let intent = Intent::default();
    let made = world
        .control
        .create_key(&ROOT, &Scope::Instance, body, &intent);
    made.await.map(drop).map_err(|error| error.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_not_in_force() {
    let (world, store) = faulty().await;
    for mode in [FULL, LOST] {
        store.set(mode);
        assert_eq!(import(&world, "a-key-that-is-refused").await, Err(503));
        assert!(
            world
                .current
                .keys()
                .get(&digest("a-key-that-is-refused"))
                .is_none()
        );
    }
    // Out of service: what is in force stays, and nothing else is taken.
    assert_eq!(import(&world, "a-key-that-is-refused").await, Err(503));
    store.set(WELL);
    assert_eq!(import(&world, "a-key-that-is-taken").await, Ok(()));
    assert!(
        world
            .current
            .keys()
            .get(&digest("a-key-that-is-taken"))
            .is_some()
    );
    assert!(
        world
            .current
            .keys()
            .get(&digest("a-key-that-is-refused"))
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_in_the_dark_is_in_force_with_the_next_change() {
    let (world, store) = faulty().await;
    assert_eq!(import(&world, "a-key-from-before-it").await, Ok(()));
    store.set(MADE);
    assert_eq!(import(&world, "a-key-in-the-darkness").await, Err(503));
    store.set(WELL);
    assert_eq!(import(&world, "a-key-that-comes-after").await, Ok(()));
    for key in [
        "a-key-from-before-it",
        "a-key-in-the-darkness",
        "a-key-that-comes-after",
    ] {
        assert!(world.current.keys().get(&digest(key)).is_some(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_outlives_a_store_that_was_away() {
    let (world, store) = faulty().await;
    world.project("demo").await;
    let created = world.create("demo/iris", ready().await).await;
    world.ended(&created.task).await;
    let task = world.deploy("demo/iris", ready().await).await;
    for mode in [LOST, MADE, LOST] {
        store.set(mode);
        tokio::task::yield_now().await;
    }
    assert!(world.live("demo/iris").is_some(), "the data plane goes on");
    store.set(WELL);
    let ended = world.ended(&task).await;
    assert_eq!(ended.status, TaskStatus::Done);
    assert_eq!(world.live("demo/iris"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_recorded_in_the_dark_is_done_with_the_next_change() {
    let (world, store) = faulty().await;
    world.project("demo").await;
    let created = world.create("demo/iris", ready().await).await;
    world.ended(&created.task).await;
    store.set(MADE);
    let spec = VersionSpec::from_json(&version(ready().await)).expect("a version");
    let iris = named("demo/iris");
    let dark = world.control.deploy(&ROOT, &iris, spec, &PLAIN).await;
    assert_eq!(dark.err().map(|error| error.status()), Some(503));
    store.set(WELL);
    assert_eq!(import(&world, "a-key-that-comes-after").await, Ok(()));
    let shown = world.control.deployment(&ROOT, &iris).await.expect("there");
    let task = shown.task.expect("recorded");
    assert_eq!(task.value.version.map(|version| version.0), Some(2));
    assert_eq!(world.ended(&task).await.status, TaskStatus::Done);
    assert_eq!(world.live("demo/iris"), Some(2));
}
