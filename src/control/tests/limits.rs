//! There is only so much of everything.

use super::*;
use crate::{
    base::id::VersionNumber,
    control::{Page, error::ControlError},
    spec::{
        Scope,
        body::{DeleteBody, NewKey, NewProject, RevokeBody},
    },
};

const IRIS: &str = "demo/iris";

fn code<T: std::fmt::Debug>(result: Result<T, ControlError>) -> &'static str {
    result.expect_err("there is no room").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_enough_of_is_turned_away() {
    let world = World::within(Limits {
        deployments_max: 1,
        keys_max: 2,
        projects_max: 1,
        tasks_waiting_max: 2,
        ..Limits::default()
    })
    .await;
    let control = &world.control;
    world.project("demo").await;
    let body = NewProject::from_json(&json!({ "name": "more" })).expect("a project");
    let refused = control.create_project(&ROOT, body, &PLAIN).await;
    assert_eq!(code(refused), "limit_reached");

    let created = world.create(IRIS, ready().await).await;
    world.ended(&created.task).await;
    let spec = json!({ "name": "more", "version": version(nobody()) });
    let project = Name::parse("demo").expect("a name");
    let body = NewDeployment::from_json(&project, &spec).expect("a deployment");
    let refused = control.create_deployment(&ROOT, body, &PLAIN).await;
    assert_eq!(code(refused), "limit_reached");
    let text = "[[deployment]]\nproject = \"demo\"\nname = \"more\"\n\
                version = { main = { backends = [{ url = \"http://127.0.0.1:1\" }] } }\n";
    let declarations = Declarations::from_toml(text).expect("declarations");
    assert_eq!(code(control.declare(declarations).await), "limit_reached");

    let key = || NewKey::from_json(&json!({}), 0).expect("a key");
    let scope = Scope::Deployment(named(IRIS));
    let second = control.create_key(&ROOT, &scope, key(), &PLAIN).await;
    let second = second
        .expect("the First Key and one more")
        .value
        .key
        .value
        .id;
    let refused = control.create_key(&ROOT, &scope, key(), &PLAIN).await;
    assert_eq!(code(refused), "limit_reached");
    let gone = RevokeBody::default();
    let revoked = control.revoke_key(&ROOT, &scope, second.as_str(), gone, &PLAIN);
    revoked.await.expect("revoked");
    let again = control.create_key(&ROOT, &scope, key(), &PLAIN).await;
    again.expect("a revoked key makes room");

    let slow = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    world.deploy(IRIS, slow).await;
    world.deploy(IRIS, slow).await;
    let spec = VersionSpec::from_json(&version(slow)).expect("a version");
    let refused = control.deploy(&ROOT, &named(IRIS), spec, &PLAIN).await;
    assert_eq!(code(refused), "limit_reached");
    let body = DeleteBody::from_json(&json!({ "reason": "enough" })).expect("a reason");
    let iris = named(IRIS);
    let delete = control.delete_deployment(&ROOT, &iris, body, &PLAIN);
    delete.await.expect("a delete always gets in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_what_is_needed_stays() {
    let world = World::within(Limits {
        tasks_kept_max: 3,
        versions_kept_max: 2,
        history_kept_max: 4,
        ..Limits::default()
    })
    .await;
    let control = &world.control;
    world.project("demo").await;
    let backend = ready().await;
    let created = world.create(IRIS, backend).await;
    world.ended(&created.task).await;
    for _ in 0..5 {
        let task = world.deploy(IRIS, backend).await;
        world.ended(&task).await;
    }
    // The first is live again, and so stays however old it is.
    let back = crate::spec::body::RollbackBody {
        version: Some(VersionNumber(1)),
        ..Default::default()
    };
    let task = control.rollback(&ROOT, &named(IRIS), back, &PLAIN).await;
    world.ended(&task.expect("taken on").value).await;
    control.sweep().await.expect("swept");
    let (name, page) = (
        named(IRIS),
        Page {
            after: None,
            limit: 100,
        },
    );
    let versions = control.versions(&ROOT, &name, &page).await.expect("listed");
    let numbers: Vec<u32> = versions.items.iter().map(|v| v.value.number.0).collect();
    assert_eq!(numbers, [6, 5, 1]);
    let history = control.history(&ROOT, &name, &page).await.expect("listed");
    assert_eq!(history.items.len(), 4);
    let tasks = control
        .tasks(&ROOT, &Default::default(), &page)
        .await
        .expect("listed");
    assert_eq!(tasks.items.len(), 3);
    let next = world.deploy(IRIS, backend).await;
    assert_eq!(next.value.version, Some(VersionNumber(7)));
    assert_eq!(world.ended(&next).await.status, TaskStatus::Done);
}
