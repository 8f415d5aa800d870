//! Subscribers are told of what is in force: each once, in the commit that makes it so.

use super::{faulty::*, *};
use crate::{
    base::id::KeyId,
    control::Page,
    notify::{Delivery, Subscription, deliveries},
    spec::{
        Scope,
        body::{
            DeleteBody, NewKey, NewSubscription, RestartBody, RevokeBody, RollbackBody,
            SubscriptionPatch,
        },
    },
    store::Records,
    upstream::backend::Health,
};

const IRIS: &str = "demo/iris";

fn everything() -> Page {
    Page {
        after: None,
        limit: 1_000,
    }
}

static DEMO: LazyLock<Name> = LazyLock::new(|| Name::parse("demo").expect("a name"));
static NAMED: LazyLock<DeploymentName> = LazyLock::new(|| named(IRIS));

async fn subscribe(world: &World, more: serde_json::Value) -> Stored<Subscription> {
    let mut body = json!({ "target": { "kind": "webhook", "url": "http://hooks.example/" } });
    for (name, value) in more.as_object().expect("a table") {
        body[name] = value.clone();
    }
    let body = NewSubscription::from_json(&body).expect("a subscription");
    let made = world
        .control
        .create_subscription(&ROOT, &DEMO, body, &PLAIN);
    made.await.expect("made").value
}

/// What a subscription is told, oldest first.
async fn told(world: &World, of: &Stored<Subscription>) -> Vec<String> {
    let all = kept(world, of).await;
    let words = |one: &Delivery| match &one.deployment {
        Some(name) => format!("{name} {}", one.event),
        None => one.event.to_string(),
    };
    all.iter().rev().map(words).collect()
}

async fn kept(world: &World, of: &Stored<Subscription>) -> Vec<Delivery> {
    let all = deliveries(&*world.store, &of.value.id, None, 1_000).await;
    all.expect("a list")
}

async fn key(world: &World, scope: &Scope) -> KeyId {
    let body = NewKey::from_json(&json!({}), 0).expect("a key");
    let made = world.control.create_key(&ROOT, scope, body, &PLAIN).await;
    made.expect("made").value.key.value.id
}

async fn revoke(
    world: &World,
    scope: &Scope,
    id: &KeyId,
) -> Result<(), crate::control::error::ControlError> {
    let body = RevokeBody::default();
    let revoked = world
        .control
        .revoke_key(&ROOT, scope, id.as_str(), body, &PLAIN);
    revoked.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_told_once_to_each_who_wants_it() {
    let world = World::new().await;
    world.project("demo").await;
    world.project("other").await;
    let all = subscribe(&world, json!({})).await;
    let failures = subscribe(&world, json!({ "events": ["version.failed"] })).await;
    let flan = subscribe(&world, json!({ "deployments": ["flan"] })).await;
    let paused = subscribe(&world, json!({ "paused": true })).await;
    let (one, two) = (ready().await, ready().await);
    let created = world.create(IRIS, one).await;
    world.ended(&created.task).await;
    assert_eq!(told(&world, &all).await, ["iris version.ready"]);
    let task = world.deploy(IRIS, nobody()).await;
    assert_eq!(world.ended(&task).await.status, TaskStatus::Failed);
    let task = world.deploy(IRIS, two).await;
    world.ended(&task).await;
    let name = named(IRIS);
    let intent = Intent::default();
    let body = RollbackBody::from_json(&json!({})).expect("a body");
    let rolled = world.control.rollback(&ROOT, &name, body, &intent).await;
    world.ended(&rolled.expect("taken on").value).await;
    let body = RestartBody::from_json(&json!({})).expect("a body");
    let restarted = world.control.restart(&ROOT, &name, body, &intent).await;
    world.ended(&restarted.expect("taken on").value).await;
    let of_deployment = Scope::Deployment(name.clone());
    let id = key(&world, &of_deployment).await;
    revoke(&world, &of_deployment, &id).await.expect("revoked");
    revoke(&world, &of_deployment, &id)
        .await
        .expect("it is already");
    let of_project = Scope::Project(DEMO.clone());
    let id = key(&world, &of_project).await;
    revoke(&world, &of_project, &id).await.expect("revoked");
    // Nobody's business here.
    let elsewhere = Scope::Project(Name::parse("other").expect("a name"));
    let id = key(&world, &elsewhere).await;
    revoke(&world, &elsewhere, &id).await.expect("revoked");
    let id = key(&world, &Scope::Instance).await;
    revoke(&world, &Scope::Instance, &id)
        .await
        .expect("revoked");
    let expected = [
        "iris version.ready",
        "iris version.failed",
        "iris version.ready",
        "iris deployment.rolled_back",
        "iris version.ready",
        "iris key.revoked",
        "key.revoked",
    ];
    assert_eq!(told(&world, &all).await, expected);
    assert_eq!(told(&world, &failures).await, ["iris version.failed"]);
    assert!(told(&world, &flan).await.is_empty());
    assert!(told(&world, &paused).await.is_empty());
    let ids: std::collections::BTreeSet<_> =
        kept(&world, &all).await.iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), expected.len());
    // Another process tells nothing anew, and goes on.
    let world = world.again().await;
    assert_eq!(told(&world, &all).await, expected);
    revoke(&world, &of_project, &key(&world, &of_project).await)
        .await
        .expect("revoked");
    assert_eq!(told(&world, &all).await.len(), expected.len() + 1);
}

/// A commit that is refused tells nobody; one that was made in the dark tells once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_what_is_in_force() {
    for (mode, is_made) in [(FULL, false), (LOST, false), (MADE, true)] {
        let world = World::new().await;
        world.project("demo").await;
        let all = subscribe(&world, json!({})).await;
        let scope = Scope::Project(DEMO.clone());
        let id = key(&world, &scope).await;
        world.store.set(mode);
        revoke(&world, &scope, &id).await.expect_err("nobody knows");
        world.store.set(WELL);
        let count = usize::from(is_made);
        assert_eq!(told(&world, &all).await.len(), count, "{mode}");
        let world = world.again().await;
        assert_eq!(told(&world, &all).await.len(), count, "{mode}");
        // Asked again, as people do.
        revoke(&world, &scope, &id).await.expect("revoked");
        assert_eq!(told(&world, &all).await, ["key.revoked"], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_puts_in_force_is_told() {
    let world = World::new().await;
    world.project("demo").await;
    let all = subscribe(&world, json!({})).await;
    let deployment = |port: u16, words: &str| {
        format!(
            "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\ndescription = \"{words}\"\n\
             version = {{ main = {{ backends = [{{ url = \"http://127.0.0.1:{port}\" }}] }} }}\n"
        )
    };
    let key = "[[key]]\nsecret = \"wk_demo_0123456789abcdefghijklmnopqrstuv\"\nscope = \"demo\"\n";
    world.declare(&format!("{}{key}", deployment(1, "a"))).await;
    assert_eq!(told(&world, &all).await, ["iris version.ready"]);
    // Nothing goes live by these.
    world.declare(&format!("{}{key}", deployment(1, "a"))).await;
    world.declare(&format!("{}{key}", deployment(1, "b"))).await;
    assert_eq!(told(&world, &all).await.len(), 1);
    world.declare(&deployment(2, "b")).await;
    let mut seen = told(&world, &all).await;
    seen.sort();
    let expected = ["iris version.ready", "iris version.ready", "key.revoked"];
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_ordered_by_those_who_operate_and_go_with_their_project() {
    let world = World::within(Limits {
        subscriptions_per_project_max: 2,
        ..Limits::default()
    })
    .await;
    world.project("demo").await;
    let control = &world.control;
    let one = subscribe(&world, json!({ "name": "one" })).await;
    let two = subscribe(&world, json!({})).await;
    let body = json!({ "target": { "kind": "webhook", "url": "http://a/" } });
    let body = NewSubscription::from_json(&body).expect("good");
    let refused = control.create_subscription(&ROOT, &DEMO, body, &PLAIN);
    let refused = refused.await.expect_err("there is no room");
    assert_eq!(refused.code(), "limit_reached");
    assert!(
        refused
            .to_string()
            .contains("notify.subscriptions_per_project_max")
    );
    let viewer = Caller {
        role: crate::spec::Role::Viewer,
        ..Caller::root()
    };
    let refused = control.subscriptions(&viewer, &DEMO, &everything());
    assert_eq!(
        refused.expect_err("secrets are shown there").code(),
        "forbidden"
    );
    // A change that nobody else made meanwhile, and one too late.
    let intent = Intent {
        if_match: Some(one.revision),
        ..Intent::default()
    };
    let patch = || SubscriptionPatch::from_json(&json!({ "paused": true })).expect("good");
    let id = one.value.id.as_str();
    let edited = control.edit_subscription(&ROOT, &DEMO, id, patch(), &intent);
    let edited = edited.await.expect("edited").value;
    assert!(edited.value.paused && edited.value.name == "one");
    let late = control.rotate_subscription(&ROOT, &DEMO, id, &intent).await;
    assert_eq!(late.expect_err("it changed").code(), "revision_mismatch");
    // Paused or not, a test is written down; it waits.
    for of in [&one, &two] {
        let id = of.value.id.as_str();
        let tested = control.test_subscription(&ROOT, &DEMO, id, &PLAIN).await;
        tested.expect("tested");
        assert_eq!(told(&world, of).await, ["test"]);
    }
    let dry = Intent {
        dry_run: true,
        ..Intent::default()
    };
    let tested = control.test_subscription(&ROOT, &DEMO, id, &dry).await;
    tested.expect("tried");
    let deleted = control.delete_subscription(&ROOT, &DEMO, id, &dry).await;
    deleted.expect("tried");
    assert_eq!(told(&world, &one).await.len(), 1);
    let deleted = control.delete_subscription(&ROOT, &DEMO, id, &PLAIN).await;
    deleted.expect("deleted");
    assert!(told(&world, &one).await.is_empty());
    let gone = control.subscription(&ROOT, &DEMO, id);
    assert_eq!(gone.expect_err("gone").code(), "subscription_unknown");
    let deleted = control.delete_project(&ROOT, "demo", &PLAIN).await;
    deleted.expect("deleted");
    assert!(told(&world, &two).await.is_empty());
    for prefix in ["subscription/", "notify/"] {
        let left = world.store.list(prefix, None, 9, crate::store::Order::Up);
        assert!(left.await.expect("a list").is_empty(), "{prefix}");
    }
    let page = control.deeds(&ROOT, &everything()).await.expect("a list");
    let deeds = page
        .items
        .iter()
        .filter(|(_, deed)| deed.kind == "subscription");
    let deeds: Vec<_> = deeds.map(|(_, deed)| deed.action.as_str()).collect();
    assert_eq!(deeds, ["delete", "edit", "create", "create"]);
}

/// A pool that nobody answers in is told of once, also over a restart; a deployment that is stopped
/// is not down.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_goes_down_and_comes_back_is_told_of_once() {
    let world = World::new().await;
    world.project("demo").await;
    let all = subscribe(&world, json!({ "events": ["pool.down", "pool.up"] })).await;
    let created = world.create(IRIS, ready().await).await;
    world.ended(&created.task).await;
    set_health(&world, Health::Down);
    until(&world, &all, 1).await;
    let history = || async {
        let all = everything();
        let page = world.control.history(&ROOT, &NAMED, &all);
        let page = page.await.expect("a list");
        let pools = page.items.into_iter().map(|(_, entry)| entry);
        let pools = pools.filter(|entry| entry.action.as_str().starts_with("pool-"));
        pools.collect::<Vec<_>>()
    };
    let entries = history().await;
    assert_eq!(entries.len(), 1);
    assert_eq!((&*entries[0].by, &*entries[0].name), ("system", "iris_v1"));
    let reason = entries[0].reason.as_deref().expect("a reason");
    assert_eq!(
        reason,
        "none of 1 backends is available: 1 unhealthy, 0 ejected"
    );
    drop(entries);
    let world = world.again().await;
    // Nobody has asked the backend since the start: that says nothing.
    rounds(3).await;
    assert_eq!(told(&world, &all).await, ["iris pool.down"]);
    set_health(&world, Health::Up);
    until(&world, &all, 2).await;
    assert_eq!(told(&world, &all).await, ["iris pool.down", "iris pool.up"]);
    // Down again within the minute: not told, nor that it is up.
    set_health(&world, Health::Down);
    rounds(3).await;
    set_health(&world, Health::Up);
    rounds(3).await;
    assert_eq!(told(&world, &all).await.len(), 2);
    let body = DeleteBody::from_json(&json!({ "reason": "over" })).expect("a body");
    let deleted = world.control.delete_deployment(&ROOT, &NAMED, body, &PLAIN);
    world.ended(&deleted.await.expect("taken on").value).await;
    rounds(3).await;
    assert_eq!(told(&world, &all).await.len(), 2);
}

fn set_health(world: &World, health: Health) {
    let snapshot = world.current.load_full();
    let route = snapshot.route(IRIS).expect("a route");
    let plan = route.live().expect("a live version");
    let main = plan.legs().next().expect("main");
    for member in main.pool.members() {
        member.backend.set_health(health);
    }
}

/// Until a subscription has been told of so much.
async fn until(world: &World, of: &Stored<Subscription>, count: usize) {
    let mut watch = world.store.watch("notify/of/");
    let reached = async {
        while told(world, of).await.len() < count {
            watch.next().await.expect("a store");
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached.expect("it is told of");
}

/// So many of the rounds in which pools are looked at: there is nothing else to wait for where
/// nothing is to happen.
async fn rounds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count) + Duration::from_millis(500)).await;
}
