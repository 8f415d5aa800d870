//! What becomes of deployments, versions, tasks and keys.

use super::*;
use crate::{
    base::{id::VersionNumber, secret::KeyDigest},
    control::{
        Page,
        access::Verb,
        record::{DeploymentState, VersionStatus},
    },
    snapshot::Idle,
    spec::{
        Scope,
        body::{DeleteBody, NewKey, RestartBody, RevokeBody, RollbackBody, StopBody},
    },
};

const IRIS: &str = "demo/iris";

fn all() -> Page {
    Page {
        after: None,
        limit: 1_000,
    }
}

async fn with_iris() -> World {
    let world = World::new().await;
    world.project("demo").await;
    let created = world.create(IRIS, ready().await).await;
    assert_eq!(world.ended(&created.task).await.status, TaskStatus::Done);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_leaves_the_old_live_and_uses_up_its_number() {
    let world = with_iris().await;
    assert_eq!(world.live(IRIS), Some(1));
    let address = nobody();
    let failed = world.deploy(IRIS, address).await;
    let failed = world.ended(&failed).await;
    let (status, reason) = status_of(&failed);
    assert_eq!(status, TaskStatus::Failed);
    let expected = format!("main backend http://{address}: connection refused, ");
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(reason.contains(" tries in "), "{reason}");
    assert_eq!(world.live(IRIS), Some(1));
    let shown = world.control.deployment(&ROOT, &named(IRIS)).await;
    let shown = shown.expect("there");
    assert_eq!(shown.stored.value.state, DeploymentState::Live);
    let second = world
        .control
        .version(&ROOT, &named(IRIS), VersionNumber(2))
        .await
        .expect("kept");
    assert_eq!(second.value.status, VersionStatus::Failed);
    assert_eq!(second.value.reason.as_deref(), Some(reason));
    let third = world.deploy(IRIS, ready().await).await;
    assert_eq!(world.ended(&third).await.status, TaskStatus::Done);
    assert_eq!(world.live(IRIS), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_never_ready_is_waited_for_until_it_is_called_off() {
    let world = with_iris().await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let waiting = world.deploy(IRIS, slow).await;
    let refused = async {
        loop {
            let task = world.control.find_task(&waiting.value.id).await;
            let task = task.expect("read").expect("known").value;
            if task
                .reason
                .is_some_and(|words| words.contains("/health answered 503"))
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("a reason");
    let behind = world.deploy(IRIS, ready().await).await;
    assert_eq!(behind.value.status, TaskStatus::Pending);
    assert!(
        behind
            .value
            .reason
            .is_some_and(|words| words.contains(&waiting.value.id))
    );
    let intent = Intent::default();
    let canceled = world
        .control
        .cancel_task(&ROOT, &waiting.value.id, &intent)
        .await
        .expect("called off");
    assert_eq!(canceled.value.value.status, TaskStatus::Canceled);
    let behind = world.control.wait_task(&behind.value.id, PATIENCE).await;
    assert_eq!(behind.expect("known").value.status, TaskStatus::Done);
    assert_eq!(world.live(IRIS), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deploys_at_once_take_their_turns() {
    let world = with_iris().await;
    let backend = ready().await;
    let deploys = (0..20).map(|_| world.deploy(IRIS, backend));
    let tasks = futures_util::future::join_all(deploys).await;
    let mut numbers: Vec<_> = tasks.iter().filter_map(|task| task.value.version).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=21).map(VersionNumber).collect::<Vec<_>>());
    for task in &tasks {
        assert_eq!(world.ended(task).await.status, TaskStatus::Done);
    }
    assert_eq!(world.live(IRIS), Some(21));
    let (name, page) = (named(IRIS), all());
    let versions = world.control.versions(&ROOT, &name, &page);
    let versions = versions.await.expect("listed").items;
    let live = versions
        .iter()
        .filter(|v| v.value.status == VersionStatus::Success);
    assert_eq!(live.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_goes_back_and_forth_and_the_next_number_is_new() {
    let world = with_iris().await;
    let second = world.deploy(IRIS, ready().await).await;
    world.ended(&second).await;
    for expected in [1, 2, 1] {
        let task = world
            .control
            .rollback(&ROOT, &named(IRIS), RollbackBody::default(), &PLAIN)
            .await
            .expect("taken on")
            .value;
        assert_eq!(world.ended(&task).await.status, TaskStatus::Done);
        assert_eq!(world.live(IRIS), Some(expected));
    }
    let third = world.deploy(IRIS, ready().await).await;
    assert_eq!(third.value.version, Some(VersionNumber(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_restarted_deleted_and_made_again() {
    let world = with_iris().await;
    let (root, name, intent) = (Caller::root(), named(IRIS), Intent::default());
    let control = &world.control;
    let stop = control
        .stop(&root, &name, StopBody::default(), &intent)
        .await;
    assert_eq!(
        world.ended(&stop.expect("taken on").value).await.status,
        TaskStatus::Done
    );
    let idle = |world: &World| {
        let snapshot = world.current.load_full();
        snapshot.route(IRIS).map(|route| route.live().err())
    };
    assert_eq!(idle(&world), Some(Some(Idle::Stopped)));
    let world = world.again().await;
    assert_eq!(
        idle(&world),
        Some(Some(Idle::Stopped)),
        "also after a restart of weir"
    );
    let control = &world.control;
    let start = control
        .restart(&root, &name, RestartBody::default(), &intent)
        .await;
    assert_eq!(
        world.ended(&start.expect("taken on").value).await.status,
        TaskStatus::Done
    );
    assert_eq!(world.live(IRIS), Some(1));
    let body = DeleteBody {
        reason: "no longer needed".to_owned(),
    };
    let delete = control.delete_deployment(&root, &name, body, &intent).await;
    assert_eq!(
        world.ended(&delete.expect("taken on").value).await.status,
        TaskStatus::Done
    );
    assert_eq!(idle(&world), None);
    let shown = control.deployment(&root, &name).await.expect("a tombstone");
    assert_eq!(shown.stored.value.state, DeploymentState::Deleted);
    assert!(
        !control
            .history(&root, &name, &all())
            .await
            .expect("kept")
            .items
            .is_empty()
    );
    let again = world.create(IRIS, ready().await).await;
    assert_eq!(again.task.value.version, Some(VersionNumber(2)));
    world.ended(&again.task).await;
    let back = RollbackBody {
        version: Some(VersionNumber(1)),
        ..RollbackBody::default()
    };
    let refused = control.rollback(&root, &name, back, &intent).await;
    assert_eq!(
        refused.expect_err("of a former life").code(),
        "version_never_live"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_under_way_begins_again_after_a_restart() {
    let world = with_iris().await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let under_way = world.deploy(IRIS, slow).await;
    let behind = world.deploy(IRIS, ready().await).await;
    let mut looks = 0;
    while world
        .control
        .task(&ROOT, &under_way.value.id)
        .await
        .expect("known")
        .value
        .status
        == TaskStatus::Pending
    {
        looks += 1;
        assert!(looks < 1_000_000);
        tokio::task::yield_now().await;
    }
    let world = world.again().await;
    let intent = Intent::default();
    let task = world
        .control
        .task(&ROOT, &under_way.value.id)
        .await
        .expect("known");
    assert!(!task.value.status.is_final(), "{task:?}");
    world
        .control
        .cancel_task(&ROOT, &under_way.value.id, &intent)
        .await
        .expect("called off");
    assert_eq!(world.ended(&behind).await.status, TaskStatus::Done);
    assert_eq!(world.live(IRIS), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stays_revoked_and_can_be_nobodys_again() {
    let world = with_iris().await;
    let (root, intent) = (Caller::root(), Intent::default());
    let scope = Scope::Deployment(named(IRIS));
    let own = "an-imported-key-of-the-operators";
    let body =
        || NewKey::from_json(&json!({ "secret": own, "description": "d" }), 0).expect("a key");
    let made = world
        .control
        .create_key(&root, &scope, body(), &intent)
        .await
        .expect("made")
        .value;
    assert!(made.secret.is_none());
    let digest = KeyDigest::of_key(own.as_bytes()).expect("a key");
    assert!(world.current.keys().get(&digest).is_some());
    let id = made.key.value.id.to_string();
    let revealed = world
        .control
        .reveal_key(&root, &scope, &id)
        .await
        .expect("sealed");
    assert_eq!(revealed.value, own);
    world
        .control
        .revoke_key(&root, &scope, &id, RevokeBody::default(), &intent)
        .await
        .expect("revoked");
    assert!(world.current.keys().get(&digest).is_none());
    let world = world.again().await;
    assert!(world.current.keys().get(&digest).is_none());
    let again = world
        .control
        .create_key(&root, &scope, body(), &intent)
        .await;
    assert_eq!(again.expect_err("final").code(), "exists");
    let revealed = world.control.reveal_key(&root, &scope, &id).await;
    assert_eq!(revealed.expect_err("gone").code(), "key_revoked");
    let text = format!("[[key]]\nsecret = \"{own}\"\nscope = \"instance\"\n");
    assert_eq!(world.declare(&text).await.keys_granted, 0);
    assert!(world.current.keys().get(&digest).is_none());
    let first = world
        .control
        .deployment(&root, &named(IRIS))
        .await
        .expect("there");
    let first = first.stored.value.first_key.expect("it has one");
    let refused = world
        .control
        .revoke_key(&root, &scope, &first, RevokeBody::default(), &intent)
        .await;
    assert_eq!(refused.expect_err("the First Key").code(), "first_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn calling_off_one_that_waits_leaves_the_one_whose_turn_it_is() {
    let world = World::new().await;
    world.project("demo").await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let first = world.create(IRIS, slow).await;
    let second = world.deploy(IRIS, ready().await).await;
    let cancel = |task: &Stored<Task>| {
        let (control, id) = (Arc::clone(&world.control), task.value.id.clone());
        async move { control.cancel_task(&ROOT, &id, &PLAIN).await }
    };
    let state = async || {
        let shown = world.control.deployment(&ROOT, &named(IRIS)).await;
        shown.expect("there").stored.value.state
    };
    cancel(&second).await.expect("called off");
    assert!(
        matches!(
            state().await,
            DeploymentState::Queued | DeploymentState::SettingUp
        ),
        "the first is still on its way"
    );
    cancel(&first.task).await.expect("called off");
    assert_eq!(state().await, DeploymentState::Failed);
}

/// The newest task of a deployment is shown however many others have ended since.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_task_is_still_the_newest_of_its_deployment() {
    let world = with_iris().await;
    let shown = async || {
        let shown = world.control.deployment(&ROOT, &named(IRIS)).await;
        shown.expect("there").task.map(|task| task.value)
    };
    let known = shown().await.expect("known by heart");
    world.control.with_state(|state| {
        for n in 0..2_000 {
            let mut value = known.clone();
            value.id = format!("other{n}");
            let revision = crate::base::id::Revision(0);
            state.put_task(Stored { revision, value });
        }
        assert!(state.task(&known.id).is_none(), "it was pushed out");
    });
    assert_eq!(shown().await, Some(known));
}

/// A reader that comes back for more while it reads waits for a writer that waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_beside_changes() {
    let world = World::new().await;
    world.project("demo").await;
    let (ended, all) = std::sync::mpsc::channel();
    for writes in [false, false, true] {
        let (control, ended) = (Arc::clone(&world.control), ended.clone());
        // Threads that nobody joins: stuck ones fail the test instead of holding it up.
        std::thread::spawn(move || {
            let name = named("demo/none");
            for _ in 0..20_000 {
                if writes {
                    control.with_state(|state| assert!(state.deployment(&name).is_none()));
                } else {
                    let found = control.standing(&ROOT, Verb::Operate, &name);
                    assert_eq!(found.err().map(|error| error.status()), Some(404));
                }
            }
            ended.send(()).expect("somebody waits");
        });
    }
    for _ in 0..3 {
        all.recv_timeout(PATIENCE).expect("nobody is stuck");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_going_gets_no_new_key() {
    let world = with_iris().await;
    // An exchange under way: the deployment stays while it lasts.
    let plan = {
        let snapshot = world.current.load_full();
        let route = snapshot.route(IRIS).expect("there");
        Arc::clone(route.live().expect("live"))
    };
    let iris = named(IRIS);
    let body = DeleteBody::from_json(&json!({ "reason": "old" })).expect("a reason");
    let task = world
        .control
        .delete_deployment(&ROOT, &iris, body, &PLAIN)
        .await
        .expect("taken on");
    let leaving = async {
        let state = || {
            world
                .control
                .state()
                .deployment(&iris)
                .map(|held| held.record.state)
        };
        while state() != Some(DeploymentState::Deleting) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, leaving)
        .await
        .expect("leaving");
    let scope = Scope::Deployment(iris.clone());
    let late = NewKey::from_json(&json!({ "secret": "a-key-that-is-late" }), 0);
    let late = world
        .control
        .create_key(&ROOT, &scope, late.expect("a key"), &PLAIN)
        .await;
    assert_eq!(late.err().map(|error| error.code()), Some("deleting"));
    drop(plan);
    assert_eq!(world.ended(&task.value).await.status, TaskStatus::Done);
    let digest = KeyDigest::of_key(b"a-key-that-is-late").expect("a key");
    assert!(world.current.keys().get(&digest).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_does_not_wait_for_what_may_never_be_ready() {
    let world = with_iris().await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let never = world.deploy(IRIS, slow).await;
    let behind = world.deploy(IRIS, slow).await;
    let body = DeleteBody {
        reason: "no longer needed".to_owned(),
    };
    let iris = named(IRIS);
    let delete = world.control.delete_deployment(&ROOT, &iris, body, &PLAIN);
    let delete = delete.await.expect("taken on").value;
    assert_eq!(world.ended(&delete).await.status, TaskStatus::Done);
    for task in [never, behind] {
        assert_eq!(world.ended(&task).await.status, TaskStatus::Canceled);
    }
    assert_eq!(world.live(IRIS), None);
}
