//! What is done about challengers without anybody asking: each once, and only where it is wanted.

use super::{faulty::*, *};
use crate::{
    base::id::VersionNumber,
    control::{
        Page,
        record::{Action, Happening, Version},
        verdicts::{Spent, Verdicts},
    },
    notify::deliveries,
    shadow::verdict::{Estimate, Evidence, VerdictState},
    snapshot::Plan,
    spec::{
        EventName, VerdictSpec,
        body::{DeleteBody, NewSubscription, PromoteBody, RestartBody, RollbackBody, StopBody},
    },
};

const IRIS: &str = "demo/iris";
const FIRST: VersionNumber = VersionNumber(1);
const SECOND: VersionNumber = VersionNumber(2);

/// A version with a challenger, and what is to be done about it.
fn duel(main: SocketAddr, challenger: SocketAddr, flags: &[&str]) -> serde_json::Value {
    let mut version = version(main);
    version["challenger"] = json!({ "backends": [{ "url": format!("http://{challenger}") }] });
    for flag in flags {
        version[flag] = json!(true);
    }
    version
}

async fn with_duel(challenger: SocketAddr, flags: &[&str]) -> World {
    let world = World::new().await;
    world.project("demo").await;
    let body = json!({ "name": "iris", "version": duel(ready().await, challenger, flags) });
    let project = Name::parse("demo").expect("a name");
    let body = crate::spec::body::NewDeployment::from_json(&project, &body);
    let body = body.expect("a deployment");
    let made = world.control.create_deployment(&ROOT, body, &PLAIN).await;
    let task = made.expect("made").value.task;
    assert_eq!(world.ended(&task).await.status, TaskStatus::Done);
    world
}

/// A comparison that has found this about one version, and nothing about others.
fn found(of: VersionNumber, state: VerdictState) -> Box<Verdicts> {
    Box::new(move |name, life, version| {
        assert_eq!((name.as_str(), life), (IRIS, 1));
        let mut judgement = Evidence::default().judge(&VerdictSpec::default());
        judgement.state = state;
        judgement.reasons = vec!["agreement is surely below 0.95".to_owned(), "so".to_owned()];
        judgement.pairs = 120;
        judgement.errors = (3, 9);
        judgement.agreement = Estimate {
            n: 118,
            value: Some(0.7),
            low: 0.61,
            high: 0.73,
            limit: Some(0.95),
        };
        judgement.latency_p50.main_ns = Some(2e6);
        judgement.latency_p50.ratio.high = f64::INFINITY;
        (version == of).then_some(judgement)
    })
}

/// One round, as after a restart of the process: nothing is known of earlier ones.
async fn look(world: &World, verdicts: &Verdicts) -> bool {
    let mut spent = Spent::default();
    world.control.act_on_verdicts(verdicts, &mut spent).await
}

fn live_plan(world: &World) -> Arc<Plan> {
    let snapshot = world.current.load_full();
    let route = snapshot.route(IRIS).expect("there");
    Arc::clone(route.live().expect("live"))
}

fn is_stopped(plan: &Plan) -> bool {
    let challenger = plan.challenger.as_ref().expect("it has one");
    challenger.brake.is_stopped()
}

/// What happened, newest first, of these kinds.
async fn happened(world: &World, action: Action) -> Vec<Happening> {
    let page = Page {
        after: None,
        limit: 1_000,
    };
    let listed = world.control.history(&ROOT, &named(IRIS), &page).await;
    let items = listed.expect("a history").items.into_iter();
    let all = items.map(|(_, happening)| happening);
    all.filter(|happening| happening.action == action).collect()
}

async fn stored(world: &World, number: VersionNumber) -> Version {
    let version = world.control.version(&ROOT, &named(IRIS), number).await;
    version.expect("it is there").value
}

fn versions(world: &World) -> u32 {
    let state = world.control.state();
    let held = state.deployment(&named(IRIS)).expect("there");
    held.record.versions
}

/// Waits for every task of the deployment.
async fn settled(world: &World) -> Option<Task> {
    let shown = world.control.deployment(&ROOT, &named(IRIS)).await;
    let task = shown.expect("there").task?;
    Some(world.ended(&task).await)
}

async fn roll_back(world: &World) {
    let (name, body) = (named(IRIS), RollbackBody::default());
    let task = world.control.rollback(&ROOT, &name, body, &PLAIN).await;
    let ended = world.ended(&task.expect("taken on").value).await;
    assert_eq!(ended.status, TaskStatus::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_surely_worse_is_stopped_at_once_and_stays_so() {
    let challenger = ready().await;
    let world = with_duel(challenger, &["auto_stop"]).await;
    let (hold, reject) = (
        found(FIRST, VerdictState::Hold),
        found(FIRST, VerdictState::Reject),
    );
    let plan = live_plan(&world);
    assert!(look(&world, &*hold).await && !is_stopped(&plan));
    for _ in 0..2 {
        assert!(look(&world, &*reject).await);
        assert!(is_stopped(&plan), "for requests that hold the plan, too");
        assert!(
            Arc::ptr_eq(&plan, &live_plan(&world)),
            "nothing is compiled"
        );
    }

    let [stop] = &happened(&world, Action::ChallengerStop).await[..] else {
        panic!("it is told once");
    };
    let title = (&*stop.by, &*stop.name, stop.version, &*stop.status);
    assert_eq!(title, ("system", "iris_v1", Some(FIRST), "success"));
    let reason = "the verdict is reject: agreement is surely below 0.95; so";
    assert_eq!(stop.reason.as_deref(), Some(reason));
    let evidence = stop.evidence.as_ref().expect("what was seen");
    let at = |pointer| evidence.pointer(pointer).expect(pointer).clone();
    assert_eq!(at("/state"), "reject");
    assert_eq!(at("/pairs"), 120);
    assert_eq!(at("/limits/alpha"), 0.05);
    let agreement = json!({"n": 118, "value": 0.7, "low": 0.61, "high": 0.73, "limit": 0.95});
    assert_eq!(at("/agreement"), agreement);
    assert_eq!(at("/errors/challenger"), 9);
    assert_eq!(at("/latency/p50/main_ms"), 2.0);
    assert_eq!(at("/latency/p50/ratio/high"), json!(null), "no bound");
    let noted = stored(&world, FIRST).await.challenger_stopped;
    assert_eq!(noted.map(|noted| noted.reason), stop.reason);

    let world = world.again().await;
    assert!(is_stopped(&live_plan(&world)), "also in another process");
    let (name, body) = (named(IRIS), RestartBody::default());
    let task = world.control.restart(&ROOT, &name, body, &PLAIN).await;
    world.ended(&task.expect("taken on").value).await;
    let restarted = live_plan(&world);
    assert!(!Arc::ptr_eq(&plan, &restarted) && is_stopped(&restarted));

    // The same as a new version has evidence of its own.
    let spec = VersionSpec::from_json(&stored(&world, FIRST).await.spec).expect("a version");
    let task = world.control.deploy(&ROOT, &name, spec, &PLAIN).await;
    world.ended(&task.expect("taken on").value).await;
    assert!(
        look(&world, &*reject).await,
        "the old verdict is of another"
    );
    assert_eq!(world.live(IRIS), Some(2));
    assert!(!is_stopped(&live_plan(&world)));
    roll_back(&world).await;
    assert_eq!(world.live(IRIS), Some(1));
    assert!(
        is_stopped(&live_plan(&world)),
        "what is noted is of a version"
    );
    assert_eq!(happened(&world, Action::ChallengerStop).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_where_nobody_asked_for_it() {
    let challenger = ready().await;
    for (flags, state) in [
        (&[][..], VerdictState::Reject),
        (&[], VerdictState::Promote),
        (&["auto_promote"], VerdictState::Reject),
        (&["auto_stop"], VerdictState::Promote),
        (&["auto_promote", "auto_stop"], VerdictState::Hold),
    ] {
        let world = with_duel(challenger, flags).await;
        assert!(look(&world, &*found(FIRST, state)).await);
        assert!(!is_stopped(&live_plan(&world)), "{flags:?} {state:?}");
        assert_eq!(versions(&world), 1, "{flags:?} {state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_surely_as_good_is_promoted_once() {
    let challenger = ready().await;
    let world = with_duel(challenger, &["auto_promote", "auto_stop"]).await;
    let promote = found(FIRST, VerdictState::Promote);
    let mut spent = Spent::default();
    for _ in 0..3 {
        assert!(world.control.act_on_verdicts(&*promote, &mut spent).await);
    }
    let task = settled(&world).await.expect("it was taken on");
    assert_eq!((task.status, &*task.actor), (TaskStatus::Done, "system"));
    assert_eq!((world.live(IRIS), versions(&world)), (Some(2), 2));
    let spec = VersionSpec::from_json(&stored(&world, SECOND).await.spec).expect("a version");
    let url = spec.main.backends[0].url.to_string();
    assert!(url.contains(&challenger.to_string()), "{url}");
    assert!(spec.challenger.is_none() && !spec.auto_promote && !spec.auto_stop);
    let [promoted] = &happened(&world, Action::Promote).await[..] else {
        panic!("it is told once");
    };
    assert_eq!((&*promoted.by, promoted.version), ("system", Some(SECOND)));
    let reason = promoted.reason.as_deref().expect("a reason");
    assert!(reason.starts_with("the verdict is promote: "), "{reason}");
    let evidence = promoted.evidence.as_ref().expect("what was seen");
    assert_eq!(evidence["pairs"], 120);

    // Who goes back to it has decided: it is not promoted again, in whatever process.
    roll_back(&world).await;
    for _ in 0..2 {
        assert!(world.control.act_on_verdicts(&*promote, &mut spent).await);
        assert!(look(&world, &*promote).await);
    }
    let world = world.again().await;
    assert!(look(&world, &*promote).await);
    assert_eq!((world.live(IRIS), versions(&world)), (Some(1), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promote_that_fails_is_not_repeated() {
    let world = with_duel(nobody(), &["auto_promote"]).await;
    let promote = found(FIRST, VerdictState::Promote);
    assert!(look(&world, &*promote).await);
    let task = settled(&world).await.expect("it was taken on");
    assert_eq!(task.status, TaskStatus::Failed);
    let [failed] = &happened(&world, Action::Promote).await[..] else {
        panic!("it is told once");
    };
    assert_eq!((&*failed.status, &*failed.by), ("failed", "system"));
    assert!(failed.evidence.is_some());
    assert!(look(&world, &*promote).await);
    assert_eq!((world.live(IRIS), versions(&world)), (Some(1), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promote_waits_for_who_is_at_work_and_a_stop_does_not() {
    let challenger = ready().await;
    let world = with_duel(challenger, &["auto_promote", "auto_stop"]).await;
    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let waiting = world.deploy(IRIS, slow).await;
    let promote = found(FIRST, VerdictState::Promote);
    assert!(look(&world, &*promote).await);
    assert_eq!(versions(&world), 2, "only what somebody deploys");
    let canceled = world.control.cancel_task(&ROOT, &waiting.value.id, &PLAIN);
    canceled.await.expect("called off");
    assert!(look(&world, &*promote).await);
    let task = settled(&world).await.expect("it was taken on");
    assert_eq!(task.version, Some(VersionNumber(3)));
    assert_eq!(world.live(IRIS), Some(3));

    let world = with_duel(challenger, &["auto_promote", "auto_stop"]).await;
    world.deploy(IRIS, slow).await;
    assert!(look(&world, &*found(FIRST, VerdictState::Reject)).await);
    assert!(is_stopped(&live_plan(&world)));
}

/// Subscribers are told in the same commit, once.
#[tokio::test(flavor = "multi_thread")]
async fn who_subscribed_hears_of_it() {
    let world = with_duel(ready().await, &["auto_stop"]).await;
    let body = json!({ "events": ["challenger.stopped"],
        "target": { "kind": "webhook", "url": "http://hooks.example/" } });
    let body = NewSubscription::from_json(&body).expect("a subscription");
    let project = Name::parse("demo").expect("a name");
    let made = world
        .control
        .create_subscription(&ROOT, &project, body, &PLAIN)
        .await;
    let id = made.expect("made").value.value.id;
    for _ in 0..2 {
        assert!(look(&world, &*found(FIRST, VerdictState::Reject)).await);
    }
    let told = deliveries(&*world.store, &id, None, 10).await;
    let [told] = &told.expect("a list")[..] else {
        panic!("it is told once");
    };
    assert_eq!(told.event, EventName::ChallengerStopped);
    assert_eq!(told.deployment.as_ref().map(Name::as_str), Some("iris"));
}

/// A stopped challenger is no candidate any more, whatever is said of it later.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_is_not_promoted() {
    let world = with_duel(ready().await, &["auto_promote", "auto_stop"]).await;
    assert!(look(&world, &*found(FIRST, VerdictState::Reject)).await);
    assert!(look(&world, &*found(FIRST, VerdictState::Promote)).await);
    assert_eq!((world.live(IRIS), versions(&world)), (Some(1), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_comes_too_late_does_nothing() {
    let challenger = ready().await;
    for state in [VerdictState::Reject, VerdictState::Promote] {
        let world = Arc::new(with_duel(challenger, &["auto_promote", "auto_stop"]).await);
        let (inner, next) = (
            found(FIRST, state),
            duel(challenger, challenger, &["auto_stop"]),
        );
        let (other, runtime) = (Arc::clone(&world), tokio::runtime::Handle::current());
        // Another version goes live between the look and the turn.
        let late: Box<Verdicts> = Box::new(move |name, life, version| {
            let spec = VersionSpec::from_json(&next).expect("a version");
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    let task = other.control.deploy(&ROOT, name, spec, &PLAIN).await;
                    let ended = other.ended(&task.expect("taken on").value).await;
                    assert_eq!(ended.status, TaskStatus::Done);
                });
            });
            inner(name, life, version)
        });
        assert!(look(&world, &*late).await);
        assert_eq!((world.live(IRIS), versions(&world)), (Some(2), 2));
        assert!(!is_stopped(&live_plan(&world)));
        assert!(happened(&world, Action::ChallengerStop).await.is_empty());
        let first = stored(&world, FIRST).await;
        let noted = (first.challenger_stopped, first.auto_promoted_at_ms);
        assert_eq!(noted, (None, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_out_of_service_or_gone_is_left_alone() {
    let (challenger, iris) = (ready().await, named(IRIS));
    let unasked: Box<Verdicts> = Box::new(|_, _, _| panic!("there is nothing to ask about"));
    let world = with_duel(challenger, &["auto_promote", "auto_stop"]).await;
    let stop = world
        .control
        .stop(&ROOT, &iris, StopBody::default(), &PLAIN);
    world.ended(&stop.await.expect("taken on").value).await;
    assert!(look(&world, &*unasked).await);
    let body = DeleteBody {
        reason: "old".to_owned(),
    };
    let delete = world.control.delete_deployment(&ROOT, &iris, body, &PLAIN);
    world.ended(&delete.await.expect("taken on").value).await;
    assert!(look(&world, &*unasked).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_done_later_and_once() {
    let challenger = ready().await;
    let world = with_duel(challenger, &["auto_stop"]).await;
    let reject = found(FIRST, VerdictState::Reject);
    for mode in [FULL, LOST] {
        world.store.set(mode);
        assert!(!look(&world, &*reject).await);
        assert!(!is_stopped(&live_plan(&world)), "it is not stored");
    }
    for mode in [MADE, WELL] {
        world.store.set(mode);
        look(&world, &*reject).await;
    }
    assert!(look(&world, &*reject).await);
    assert!(is_stopped(&live_plan(&world)));
    assert_eq!(happened(&world, Action::ChallengerStop).await.len(), 1);

    let world = with_duel(challenger, &["auto_promote"]).await;
    let promote = found(FIRST, VerdictState::Promote);
    for mode in [FULL, LOST] {
        world.store.set(mode);
        assert!(!look(&world, &*promote).await);
        world.store.set(WELL);
        assert_eq!(versions(&world), 1, "it is not stored");
    }
    world.store.set(MADE);
    assert!(!look(&world, &*promote).await);
    world.store.set(WELL);
    assert!(
        look(&world, &*promote).await,
        "the task that was made goes on"
    );
    let task = settled(&world).await.expect("it was taken on");
    assert_eq!(task.status, TaskStatus::Done);
    assert_eq!((world.live(IRIS), versions(&world)), (Some(2), 2));
    assert_eq!(happened(&world, Action::Promote).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_does_not_take_a_promote_back_until_it_says_something_new() {
    let (main, challenger) = (ready().await, ready().await);
    let file = |sample: f64| {
        format!(
            "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\n[deployment.version]\n\
             auto_promote = true\nmain = {{ backends = [{{ url = \"http://{main}\" }}] }}\n\
             challenger = {{ backends = [{{ url = \"http://{challenger}\" }}], sample = {sample} }}"
        )
    };
    let world = World::new().await;
    world.declare(&file(1.0)).await;
    assert!(look(&world, &*found(FIRST, VerdictState::Promote)).await);
    settled(&world).await;
    assert_eq!(world.live(IRIS), Some(2));
    assert!(world.declare(&file(1.0)).await.is_empty());
    assert_eq!(world.live(IRIS), Some(2));
    world.declare(&file(0.5)).await;
    assert_eq!(world.live(IRIS), Some(3));
    let third = live_plan(&world);
    assert!(!is_stopped(&third));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_promotes_and_keeps_main_does_not_have_them_change_places_for_ever() {
    let world = with_duel(ready().await, &["auto_promote", "auto_stop"]).await;
    let promote = async |keeps: bool| {
        let body = json!({ "keep_main_as_challenger": keeps });
        let body = PromoteBody::from_json(&body).expect("a body");
        let name = named(IRIS);
        let task = world.control.promote(&ROOT, &name, body, &PLAIN);
        let ended = world.ended(&task.await.expect("taken on").value).await;
        assert_eq!(ended.status, TaskStatus::Done);
        let number = ended.version.expect("a version");
        let spec = stored(&world, number).await.spec;
        let spec = VersionSpec::from_json(&spec).expect("a version");
        (spec.challenger.is_some(), spec.auto_promote, spec.auto_stop)
    };
    assert_eq!(promote(true).await, (true, false, true));
    assert_eq!(promote(false).await, (false, false, false));
}
