//! A declarations file beside what people do.

use super::*;
use crate::spec::body::{DeleteBody, RollbackBody};

const IRIS: &str = "demo/iris";

fn text(port: u16, access: &str, keys: &[&str]) -> String {
    let mut text = format!(
        "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\naccess = \"{access}\"\n\
         version = {{ main = {{ backends = [{{ url = \"http://127.0.0.1:{port}\" }}] }} }}\n"
    );
    for key in keys {
        text += &format!("[[key]]\nsecret = \"secret-of-16-and-more-{key}\"\nscope = \"demo\"\n");
    }
    text
}

fn opens(world: &World, key: &str) -> bool {
    let key = format!("secret-of-16-and-more-{key}");
    let digest = crate::base::secret::KeyDigest::of_key(key.as_bytes()).expect("a key");
    world.current.keys().get(&digest).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_grow_with_the_version_alone_and_never_come_back() {
    let mut world = World::new().await;
    let first = world.declare(&text(1, "keys", &[])).await;
    assert_eq!((first.deployments_changed, world.live(IRIS)), (1, Some(1)));
    assert!(world.declare(&text(1, "keys", &[])).await.is_empty());
    let access = world.declare(&text(1, "public", &[])).await;
    assert!(access.epoch > first.epoch);
    assert_eq!(
        world.live(IRIS),
        Some(1),
        "access is not part of the version"
    );
    world.declare(&text(2, "public", &[])).await;
    assert_eq!(world.live(IRIS), Some(2));
    world.declare(&text(1, "public", &[])).await;
    assert_eq!(world.live(IRIS), Some(3));
    world = world.again().await;
    assert_eq!(world.live(IRIS), Some(3), "from the store alone");
    assert!(world.declare(&text(1, "public", &[])).await.is_empty());
    assert_eq!(world.declare("").await.deployments_removed, 1);
    assert_eq!(world.live(IRIS), None);
    world.declare(&text(1, "public", &[])).await;
    assert_eq!(world.live(IRIS), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go() {
    let world = World::new().await;
    world.declare(&text(1, "keys", &["a", "b"])).await;
    assert!(opens(&world, "a") && opens(&world, "b"));
    let changes = world.declare(&text(1, "keys", &["b", "c"])).await;
    assert_eq!((changes.keys_granted, changes.keys_revoked), (1, 1));
    assert!(!opens(&world, "a") && opens(&world, "b") && opens(&world, "c"));
    assert_eq!(world.current.keys().len(), 2);
    let world = world.again().await;
    assert!(!opens(&world, "a") && opens(&world, "b") && opens(&world, "c"));
    let back = world.declare(&text(1, "keys", &["a", "b"])).await;
    assert_eq!((back.keys_granted, back.keys_revoked), (1, 1));
    assert!(opens(&world, "a") && !opens(&world, "c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_leaves_with_its_declared_key_and_returns_with_it() {
    let world = World::new().await;
    let with_key = text(1, "keys", &[])
        + "[[key]]\nsecret = \"secret-of-16-and-more-x\"\nscope = \"demo/iris\"\n";
    world.declare(&with_key).await;
    assert!(opens(&world, "x"));
    world.declare("").await;
    assert!(!opens(&world, "x"));
    world.declare(&with_key).await;
    assert!(opens(&world, "x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_stays_until_the_file_says_something_new() {
    let world = World::new().await;
    world.declare(&text(1, "keys", &[])).await;
    world.declare(&text(2, "keys", &[])).await;
    let intent = Intent::default();
    let back = RollbackBody {
        force: true,
        ..RollbackBody::default()
    };
    let task = world
        .control
        .rollback(&ROOT, &named(IRIS), back, &intent)
        .await
        .expect("taken on");
    world.ended(&task.value).await;
    assert_eq!(world.live(IRIS), Some(1));
    assert!(world.declare(&text(2, "keys", &[])).await.is_empty());
    let world = world.again().await;
    assert!(world.declare(&text(2, "keys", &[])).await.is_empty());
    assert_eq!(world.live(IRIS), Some(1));
    world.declare(&text(3, "keys", &[])).await;
    assert_eq!(world.live(IRIS), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_the_file_declared_makes_nothing_new_of_the_file() {
    let world = World::new().await;
    world.declare(&text(1, "keys", &[])).await;
    let task = world.deploy(IRIS, ready().await).await;
    world.ended(&task).await;
    let (iris, first) = (named(IRIS), crate::base::id::VersionNumber(1));
    let deleted = world
        .control
        .delete_version(&ROOT, &iris, first, &PLAIN)
        .await;
    deleted.expect("deleted");
    let world = world.again().await;
    assert!(world.declare(&text(1, "keys", &[])).await.is_empty());
    assert_eq!(world.live(IRIS), Some(2));
    world.declare(&text(1, "public", &[])).await;
    assert_eq!(world.live(IRIS), Some(2), "only the access is new");
    world.declare(&text(3, "public", &[])).await;
    assert_eq!(world.live(IRIS), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_calls_off_what_is_under_way() {
    let world = World::new().await;
    world.declare(&text(1, "keys", &[])).await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let waiting = world.deploy(IRIS, slow).await;
    world.declare(&text(2, "keys", &[])).await;
    let ended = world.ended(&waiting).await;
    assert_eq!(ended.status, TaskStatus::Canceled);
    assert_eq!(world.live(IRIS), Some(3));
    let more = world.deploy(IRIS, ready().await).await;
    assert_eq!(
        world.ended(&more).await.status,
        TaskStatus::Done,
        "the queue goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_again_after_people_deleted_it_is_there_again() {
    let world = World::new().await;
    world.declare(&text(1, "keys", &["a"])).await;
    let body = DeleteBody {
        reason: "a test".to_owned(),
    };
    let intent = Intent::default();
    let task = world
        .control
        .delete_deployment(&ROOT, &named(IRIS), body, &intent)
        .await
        .expect("taken on");
    assert_eq!(world.ended(&task.value).await.status, TaskStatus::Done);
    assert_eq!(world.live(IRIS), None);
    world.declare(&text(1, "keys", &["a"])).await;
    assert_eq!(world.live(IRIS), Some(2));
}

fn with_ids(keys: &[(&str, &str)]) -> String {
    let mut text = text(1, "keys", &[]);
    for (id, key) in keys {
        text += &format!(
            "[[key]]\nid = \"{id}\"\nsecret = \"secret-of-16-and-more-{key}\"\nscope = \"demo\"\n"
        );
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_takes_the_place_of_another_one() {
    let world = World::new().await;
    let opened = |keys: &str| -> String {
        let all = "abcd".chars();
        let open = all.filter(|key| opens(&world, &key.to_string()));
        let open: String = open.collect();
        assert_eq!(open, keys);
        open
    };
    world.declare(&with_ids(&[("x", "a"), ("y", "b")])).await;
    opened("ab");
    // Another secret under the same id: the one before is gone.
    let changes = world.declare(&with_ids(&[("x", "c"), ("y", "b")])).await;
    assert_eq!((changes.keys_granted, changes.keys_revoked), (1, 1));
    opened("bc");
    // Ids that change hands.
    world.declare(&with_ids(&[("x", "b"), ("y", "c")])).await;
    opened("bc");
    let demo = crate::spec::Scope::parse("demo").expect("a scope");
    let body = crate::spec::body::RevokeBody { reason: None };
    let revoked = world
        .control
        .revoke_key(&ROOT, &demo, "x", body, &PLAIN)
        .await;
    revoked.expect("revoked");
    opened("c");
    // What was revoked keeps its place, and is not brought back from there.
    for keys in [
        &[("x", "d"), ("y", "c")][..],
        &[("x", "c")],
        &[("x", "d"), ("z", "b")],
    ] {
        world.declare(&with_ids(keys)).await;
        opened(if keys.len() == 2 && keys[1].1 == "c" {
            "c"
        } else {
            ""
        });
    }
    world.declare(&with_ids(&[("z", "d")])).await;
    opened("d");
    world.declare(&with_ids(&[("z", "d"), ("q", "b")])).await;
    opened("d");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_from_the_settings_is_no_key() {
    let world = World::new().await;
    let reserved = world.control.reserve("secret-of-16-and-more-a").await;
    reserved.expect("it is none");
    world.declare(&text(1, "keys", &["a", "b"])).await;
    assert!(!opens(&world, "a") && opens(&world, "b"));
    // Started again with a token that has become a key meanwhile.
    let world = world.again().await;
    let refused = world.control.reserve("secret-of-16-and-more-b").await;
    let words = refused.expect_err("it is a key").to_string();
    assert!(words.contains("set another one"), "{words}");
    assert!(!words.contains("secret-of"), "{words}");
    world.control.reserve("short").await.expect("never a key");
}
