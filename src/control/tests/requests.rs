//! A deployment's queue and webhook: who may, what is in force, what stays over a restart and a
//! deletion, what the history says.

use super::*;
use crate::{
    base::id::{Epoch, KeyId},
    control::{
        Done, Page, QueueDeed, Shown, Webhook,
        access::Reach,
        error::ControlError,
        record::{Action, Happening},
    },
    snapshot::QueueRules,
    spec::{
        Role, Scope,
        body::{DeleteBody, NewKey},
    },
};

const IRIS: &str = "demo/iris";

async fn with_iris() -> World {
    let world = World::new().await;
    world.project("demo").await;
    let created = world.create(IRIS, ready().await).await;
    assert_eq!(world.ended(&created.task).await.status, TaskStatus::Done);
    world
}

fn of_demo(name: &str, role: Role) -> Caller {
    Caller {
        name: name.to_owned(),
        token: Some(format!("{name}-token")),
        role,
        reach: Reach::Projects(vec![Name::parse("demo").expect("a name")]),
    }
}

/// What the data plane is told of the queue.
#[track_caller]
fn rules(world: &World) -> QueueRules {
    let snapshot = world.current.load_full();
    snapshot.route(IRIS).expect("in force").queue().clone()
}

async fn history(world: &World) -> Vec<Happening> {
    let page = Page {
        after: None,
        limit: 1_000,
    };
    let listed = world.control.history(&ROOT, &named(IRIS), &page).await;
    let items = listed.expect("kept").items;
    items.into_iter().map(|(_, entry)| entry).collect()
}

async fn pause(world: &World, by: &Caller) -> Result<Done<Shown>, ControlError> {
    let reason = Some("too hot".to_owned());
    let control = &world.control;
    control.pause_queue(by, &named(IRIS), reason, &PLAIN).await
}

async fn tell(world: &World, by: &Caller, url: &str) -> Result<Done<Webhook>, ControlError> {
    let (control, url) = (&world.control, Some(url.to_owned()));
    control.set_webhook(by, &named(IRIS), url, &PLAIN).await
}

async fn rotate(world: &World, by: &Caller) -> Result<Done<Webhook>, ControlError> {
    let control = &world.control;
    control.rotate_webhook(by, &named(IRIS), None, &PLAIN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_in_force_at_once_stays_over_a_restart_and_is_told() {
    let world = with_iris().await;
    let ann = of_demo("ann", Role::Member);
    assert_eq!(
        rules(&world),
        QueueRules {
            life: 1,
            ..QueueRules::default()
        }
    );
    let done = pause(&world, &ann).await.expect("paused");
    assert!(done.value.stored.value.queue_paused);
    assert!(rules(&world).paused);
    assert_eq!(world.current.load_full().epoch(), done.epoch);
    assert_eq!(world.live(IRIS), Some(1), "direct calls go on");
    let told = history(&world).await;
    assert_eq!(told[0].action, Action::QueuePause);
    assert_eq!(
        (&*told[0].by, told[0].token.as_deref()),
        ("ann", Some("ann-token"))
    );
    assert_eq!(told[0].reason.as_deref(), Some("too hot"));

    // What is paused already changes nothing, and nothing is told of it.
    let again = pause(&world, &ann).await.expect("paused");
    assert_eq!(again.epoch, done.epoch);
    assert_eq!(history(&world).await.len(), told.len());

    let world = world.again().await;
    assert!(rules(&world).paused);
    let deployed = world.deploy(IRIS, ready().await).await;
    assert_eq!(world.ended(&deployed).await.status, TaskStatus::Done);
    assert!(rules(&world).paused, "a new version changes nothing of it");
    let resumed = world
        .control
        .resume_queue(&ann, &named(IRIS), None, &PLAIN)
        .await
        .expect("resumed");
    assert!(!rules(&world).paused && resumed.epoch > done.epoch);
    assert_eq!(history(&world).await[0].action, Action::QueueResume);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_and_a_lost_race_change_nothing() {
    let world = with_iris().await;
    let before = history(&world).await.len();
    let dry = Intent {
        dry_run: true,
        ..Intent::default()
    };
    let late = Intent {
        if_match: Some(crate::base::id::Revision(1)),
        ..Intent::default()
    };
    let (control, iris) = (&world.control, named(IRIS));
    let tried = control.pause_queue(&ROOT, &iris, None, &dry).await;
    assert!(tried.expect("tried").value.stored.value.queue_paused);
    let tried = control.rotate_webhook(&ROOT, &iris, None, &dry).await;
    assert_eq!(tried.expect("tried").value.generation, 1);
    let url = || Some("http://hooks.example/a".to_owned());
    let tried = control.set_webhook(&ROOT, &iris, url(), &dry).await;
    assert_eq!(tried.expect("tried").value.url, url());
    let refused = [
        control.pause_queue(&ROOT, &iris, None, &late).await.err(),
        control.resume_queue(&ROOT, &iris, None, &late).await.err(),
        control.set_webhook(&ROOT, &iris, url(), &late).await.err(),
        control
            .rotate_webhook(&ROOT, &iris, None, &late)
            .await
            .err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(ControlError::Changed)), "{error:?}");
    }
    let untouched = QueueRules {
        life: 1,
        ..QueueRules::default()
    };
    assert_eq!(rules(&world), untouched);
    assert_eq!(history(&world).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_carried_to_the_data_plane_and_its_secret_is_for_few() {
    let world = with_iris().await;
    let (ann, eye) = (of_demo("ann", Role::Member), of_demo("eye", Role::Viewer));
    let set = tell(&world, &ann, "http://hooks.example/a").await;
    let set = set.expect("set");
    assert_eq!(set.value.url.as_deref(), Some("http://hooks.example/a"));
    // Iris is root's: ann works with it and does not own it.
    assert!(!set.value.shows_secret);
    assert!(
        rotate(&world, &ROOT)
            .await
            .expect("rotated")
            .value
            .shows_secret
    );
    let expected = QueueRules {
        life: 1,
        paused: false,
        webhook_url: Some("http://hooks.example/a".into()),
        webhook_generation: 1,
    };
    assert_eq!(rules(&world), expected);
    let world = world.again().await;
    assert_eq!(rules(&world), expected);
    let seen = world.control.webhook(&eye, &named(IRIS)).expect("readable");
    assert_eq!((seen.life, seen.generation), (1, 1));
    assert!(!seen.shows_secret);
    let cleared = world
        .control
        .set_webhook(&ann, &named(IRIS), None, &PLAIN)
        .await
        .expect("cleared");
    assert_eq!(cleared.value.url, None);
    assert_eq!(rules(&world).webhook_url, None);
    let told = history(&world).await;
    let actions: Vec<_> = told.iter().take(3).map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        [
            Action::WebhookEdit,
            Action::WebhookRotate,
            Action::WebhookEdit
        ]
    );
    let shown = serde_json::to_string(&told).expect("JSON");
    assert!(
        !shown.contains("hooks.example"),
        "addresses may hold secrets"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_changes_nothing() {
    let world = with_iris().await;
    let mut far = of_demo("far", Role::Member);
    far.reach = Reach::Projects(vec![Name::parse("other").expect("a name")]);
    let tenant = Caller {
        reach: Reach::Tenant(Name::parse("default").expect("a name")),
        ..of_demo("tenant", Role::TenantAdmin)
    };
    for (by, acts, sees, owns) in [
        (&*ROOT, true, true, true),
        (&tenant, true, true, true),
        (&of_demo("ann", Role::Member), true, true, false),
        (&of_demo("eye", Role::Viewer), false, true, false),
        (&far, false, false, false),
    ] {
        let (control, iris) = (&world.control, named(IRIS));
        let done = [
            pause(&world, by).await.map(drop),
            control
                .resume_queue(by, &iris, None, &PLAIN)
                .await
                .map(drop),
            tell(&world, by, "http://hooks.example/b").await.map(drop),
            rotate(&world, by).await.map(drop),
        ];
        for (i, done) in done.into_iter().enumerate() {
            let status = done.map_err(|error| error.status());
            let expected = if acts { Ok(()) } else { Err(403) };
            assert_eq!(status, expected, "{} {i}", by.name);
        }
        let seen = control.webhook(by, &iris).map(|shown| shown.shows_secret);
        let expected = if sees { Ok(owns) } else { Err(403) };
        assert_eq!(
            seen.map_err(|error| error.status()),
            expected,
            "{}",
            by.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_life_of_a_name_starts_unpaused_and_tells_nobody() {
    let world = with_iris().await;
    pause(&world, &ROOT).await.expect("paused");
    tell(&world, &ROOT, "http://hooks.example/a")
        .await
        .expect("set");
    rotate(&world, &ROOT).await.expect("rotated");
    let body = DeleteBody {
        reason: "old".to_owned(),
    };
    let (control, iris) = (&world.control, named(IRIS));
    let gone = control.delete_deployment(&ROOT, &iris, body, &PLAIN).await;
    assert_eq!(
        world.ended(&gone.expect("taken on").value).await.status,
        TaskStatus::Done
    );
    let unknown = control.webhook(&ROOT, &iris).err();
    assert_eq!(
        unknown.map(|error| error.code()),
        Some("deployment_unknown")
    );
    assert_eq!(
        pause(&world, &ROOT).await.err().map(|error| error.code()),
        Some("deployment_unknown")
    );
    let created = world.create(IRIS, ready().await).await;
    assert_eq!(world.ended(&created.task).await.status, TaskStatus::Done);
    let fresh = QueueRules {
        life: 2,
        ..QueueRules::default()
    };
    assert_eq!(rules(&world), fresh);
    assert_eq!(rules(&world.again().await), fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_from_before_there_were_queues_is_read() {
    let world = with_iris().await;
    let held = world
        .control
        .standing(&ROOT, super::super::access::Verb::Read, &named(IRIS));
    let mut json = serde_json::to_value(&held.expect("there").record).expect("JSON");
    let members = json.as_object_mut().expect("a table");
    for added in ["queue_paused", "webhook", "webhook_generation"] {
        assert!(members.remove(added).is_some(), "{added}");
    }
    let old: super::super::record::Deployment = serde_json::from_value(json).expect("readable");
    assert_eq!(
        (old.queue_paused, old.webhook, old.webhook_generation),
        (false, None, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_did_to_requests_is_told_also_of_a_failure() {
    let world = with_iris().await;
    let deed = |action, count, failure: Option<&str>| QueueDeed {
        action,
        request: None,
        count,
        reason: Some("stuck".to_owned()),
        failure: failure.map(str::to_owned),
    };
    let (control, iris) = (&world.control, named(IRIS));
    let ann = of_demo("ann", Role::Member);
    let purged = deed(Action::QueuePurge, Some(7), None);
    let epoch = control.note_queue_deed(&ann, &iris, purged).await;
    assert!(epoch > Epoch(0));
    let stopped = deed(Action::QueueReplay, None, Some("the queue is full"));
    control.note_queue_deed(&ann, &iris, stopped).await;
    let told = history(&world.again().await).await;
    assert_eq!((told[0].action, told[0].count), (Action::QueueReplay, None));
    assert_eq!(
        (&*told[0].status, told[0].reason.as_deref()),
        ("failed", Some("the queue is full"))
    );
    assert_eq!(
        (told[1].action, told[1].count),
        (Action::QueuePurge, Some(7))
    );
    assert_eq!(
        (&*told[1].by, &*told[1].status, told[1].reason.as_deref()),
        ("ann", "success", Some("stuck"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_answered_also_when_the_history_can_not_take_it() {
    let world = with_iris().await;
    world.store.set(faulty::FULL);
    let deed = QueueDeed {
        action: Action::QueuePurge,
        request: None,
        count: Some(1),
        reason: None,
        failure: None,
    };
    let iris = named(IRIS);
    let epoch = world.control.note_queue_deed(&ROOT, &iris, deed).await;
    assert_eq!(epoch, world.current.load_full().epoch());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_in_the_three_scopes_that_open_a_deployment() {
    let world = with_iris().await;
    let demo = Name::parse("demo").expect("a name");
    let (control, iris) = (&world.control, named(IRIS));
    for (scope, secret) in [
        (Scope::Deployment(iris.clone()), "a-key-of-the-deployment"),
        (Scope::Project(demo), "a-key-of-the-project"),
        (Scope::Instance, "a-key-of-the-instance"),
    ] {
        let body = NewKey::from_json(&json!({ "secret": secret }), 0).expect("a key");
        let made = control.create_key(&ROOT, &scope, body, &PLAIN).await;
        let key = made.expect("made").value.key.value;
        let found = control.key_digest(&iris, &key.id).await.expect("read");
        assert_eq!(found, Some(key.digest), "{scope}");
    }
    let nobody = control.key_digest(&iris, &KeyId::new("k404")).await;
    assert_eq!(nobody.expect("read"), None);
}
