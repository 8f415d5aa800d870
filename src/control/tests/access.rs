//! The access matrix: every role, verb and scope.

use super::*;
use crate::{
    control::{
        DeploymentFilter, Page,
        access::{Object, Reach, Verb},
        record::DeploymentState,
    },
    spec::{
        Role,
        body::{DeleteBody, NewShare, NewTenant},
    },
};

fn caller(name: &str, role: Role, reach: Reach) -> Caller {
    Caller {
        name: name.to_owned(),
        token: Some(name.to_owned()),
        role,
        reach,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// Two tenants with a project each, a deployment in each of both, and one project more beside the
/// first. `one/own` belongs to ann.
async fn world() -> World {
    let world = World::new().await;
    let (root, intent) = (Caller::root(), Intent::default());
    for tenant in ["red", "blue"] {
        let body = NewTenant::from_json(&json!({ "name": tenant })).expect("a tenant");
        world
            .control
            .create_tenant(&root, body, &intent)
            .await
            .expect("made");
    }
    for (project, tenant) in [("one", "red"), ("more", "red"), ("two", "blue")] {
        let body = json!({ "name": project, "tenant": tenant });
        let body = crate::spec::body::NewProject::from_json(&body).expect("a project");
        world
            .control
            .create_project(&root, body, &intent)
            .await
            .expect("made");
    }
    let ann = caller("ann", Role::Member, Reach::Projects(vec![name("one")]));
    for (who, project, bare) in [
        (&ann, "one", "own"),
        (&root, "one", "other"),
        (&root, "two", "far"),
    ] {
        let body = json!({ "name": bare, "version": version(nobody()) });
        let body = NewDeployment::from_json(&name(project), &body).expect("a deployment");
        world
            .control
            .create_deployment(who, body, &intent)
            .await
            .expect("made");
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_verb_and_scope() {
    let world = world().await;
    let org = caller("org", Role::OrgAdmin, Reach::Instance);
    let red = caller("red", Role::TenantAdmin, Reach::Tenant(name("red")));
    let ann = caller("ann", Role::Member, Reach::Projects(vec![name("one")]));
    let eye = caller("eye", Role::Viewer, Reach::Instance);
    let red_eye = caller("red-eye", Role::Viewer, Reach::Tenant(name("red")));
    let one_eye = caller("one-eye", Role::Viewer, Reach::Projects(vec![name("one")]));
    let callers = [&org, &red, &ann, &eye, &red_eye, &one_eye];
    let (own, other, far, none) = (
        named("one/own"),
        named("one/other"),
        named("two/far"),
        named("one/none"),
    );
    let objects = [
        Object::Instance,
        Object::Tenant("red"),
        Object::Tenant("blue"),
        Object::Project("one"),
        Object::Project("more"),
        Object::Project("two"),
        Object::Project("unknown"),
        Object::Deployment(&own),
        Object::Deployment(&other),
        Object::Deployment(&none),
        Object::Deployment(&far),
    ];
    // A letter for each verb that is allowed: read, operate, own, govern, rule; in the order of
    // the callers above.
    let table: [[&str; 6]; 11] = [
        ["rowgR", "", "", "r", "", ""],
        ["rowgR", "rowg", "r", "r", "r", "r"],
        ["rowgR", "", "", "r", "", ""],
        ["rowgR", "rowg", "ro", "r", "r", "r"],
        ["rowgR", "rowg", "", "r", "r", ""],
        ["rowgR", "", "", "r", "", ""],
        ["rowgR", "", "", "r", "", ""],
        ["rowgR", "rowg", "row", "r", "r", "r"],
        ["rowgR", "rowg", "ro", "r", "r", "r"],
        ["rowgR", "rowg", "row", "r", "r", "r"],
        ["rowgR", "", "", "r", "", ""],
    ];
    let verbs = [
        (Verb::Read, 'r'),
        (Verb::Operate, 'o'),
        (Verb::Own, 'w'),
        (Verb::Govern, 'g'),
        (Verb::Rule, 'R'),
    ];
    let state = world.control.state();
    for (object, row) in objects.iter().zip(table) {
        for (caller, expected) in callers.iter().zip(row) {
            let allowed = verbs
                .iter()
                .filter(|(verb, _)| caller.is_allowed(*verb, *object, &state));
            let allowed: String = allowed.map(|(_, letter)| *letter).collect();
            assert_eq!(allowed, expected, "{} on {object:?}", caller.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_seen_and_no_more() {
    let world = world().await;
    let two = caller("two", Role::Member, Reach::Projects(vec![name("two")]));
    let blue = caller("blue", Role::TenantAdmin, Reach::Tenant(name("blue")));
    let own = named("one/own");
    let sees = |caller: &Caller, verb| {
        let state = world.control.state();
        caller.is_allowed(verb, Object::Deployment(&own), &state)
    };
    assert!(!sees(&two, Verb::Read) && !sees(&blue, Verb::Read));
    let (root, intent) = (Caller::root(), Intent::default());
    let share = |with| world.control.share(&root, &own, with, &intent);
    share(NewShare::Project(name("two"))).await.expect("shared");
    assert!(sees(&two, Verb::Read) && sees(&blue, Verb::Read));
    assert!(!sees(&two, Verb::Operate) && !sees(&blue, Verb::Operate));
    let route = |project: &str| {
        let snapshot = world.current.load_full();
        let route = snapshot.route("one/own").expect("there");
        route.is_shared_with(project)
    };
    assert!(route("two") && !route("more"));
    let unshare = world.control.unshare(&root, &own, "project:two", &intent);
    unshare.await.expect("taken back");
    assert!(!sees(&two, Verb::Read) && !route("two"));
    share(NewShare::Tenant(name("blue"))).await.expect("shared");
    assert!(sees(&two, Verb::Read) && sees(&blue, Verb::Read) && route("two"));
}

/// Deployments of a project as a caller lists them.
async fn listed(world: &World, caller: &Caller, state: Option<DeploymentState>) -> Vec<String> {
    let filter = DeploymentFilter {
        state,
        ..DeploymentFilter::default()
    };
    let page = Page {
        after: None,
        limit: 100,
    };
    let project = name("one");
    let listed = world.control.deployments(caller, &project, &filter, &page);
    let listed = listed.await.expect("listed").items;
    listed.iter().map(|shown| shown.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_one_deployment_shows_no_deleted_ones_beside_it() {
    let world = world().await;
    let (root, intent) = (Caller::root(), Intent::default());
    let two = caller("two", Role::Member, Reach::Projects(vec![name("two")]));
    let share = NewShare::Project(name("two"));
    let shared = world
        .control
        .share(&root, &named("one/own"), share, &intent)
        .await;
    shared.expect("shared");
    let body = DeleteBody::from_json(&json!({ "reason": "old" })).expect("a reason");
    let other = named("one/other");
    let task = world
        .control
        .delete_deployment(&root, &other, body, &intent);
    world.ended(&task.await.expect("taken on").value).await;
    let deleted = Some(DeploymentState::Deleted);
    assert_eq!(listed(&world, &root, deleted).await, ["one/other"]);
    assert_eq!(listed(&world, &two, None).await, ["one/own"]);
    assert!(listed(&world, &two, deleted).await.is_empty());
}

/// Tokens, shares, and what is kept of deleted deployments go by a project's name.
#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_deleted_project_stays_its_tenants() {
    let world = world().await;
    let (root, intent) = (Caller::root(), Intent::default());
    let more = |tenant: &str| {
        let body = json!({ "name": "more", "tenant": tenant });
        let body = crate::spec::body::NewProject::from_json(&body).expect("a project");
        world.control.create_project(&root, body, &intent)
    };
    let delete = async || {
        let deleted = world.control.delete_project(&root, "more", &intent).await;
        deleted.expect("deleted");
    };
    delete().await;
    let blue = caller("blue", Role::TenantAdmin, Reach::Tenant(name("blue")));
    let body = json!({ "name": "more", "tenant": "blue" });
    let body = crate::spec::body::NewProject::from_json(&body).expect("a project");
    let taken = world.control.create_project(&blue, body, &intent).await;
    assert_eq!(taken.err().map(|error| error.status()), Some(409));
    assert_eq!(more("blue").await.err().map(|e| e.status()), Some(409));
    more("red").await.expect("it is theirs");
    delete().await;
    world
        .declare("[[key]]\nsecret = \"a-secret-of-sixteen\"\nscope = \"more\"\n")
        .await;
    let back = world.control.project(&root, "more").expect("declared");
    assert_eq!(back.value.tenant, name("red"));
}

/// Ownership and the history go by names: nobody may hand out somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_admin_makes_no_token_in_the_name_of_others() {
    let world = world().await;
    let token = |who: &Caller, name: &str, project: &str| {
        let body = json!({ "name": name, "role": "member", "projects": [project] });
        let body = crate::spec::body::NewToken::from_json(&body, 0).expect("a token");
        let (control, who) = (Arc::clone(&world.control), who.clone());
        async move { control.create_token(&who, body, &PLAIN).await }
    };
    let red = caller("red", Role::TenantAdmin, Reach::Tenant(name("red")));
    token(&ROOT, "eve", "two").await.expect("made");
    token(&ROOT, "ann", "one").await.expect("made");
    let refused = token(&red, "eve", "one").await;
    assert_eq!(
        refused.err().map(|error| error.code()),
        Some("name_reserved")
    );
    token(&red, "ann", "one")
        .await
        .expect("one more of their own");
}

/// Two tokens of one person are told apart in what happened.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_names_the_token() {
    let world = world().await;
    let ann = caller("ann", Role::Member, Reach::Projects(vec![name("one")]));
    let second = Caller {
        token: Some("second".to_owned()),
        ..ann.clone()
    };
    let (own, page) = (
        named("one/own"),
        Page {
            after: None,
            limit: 100,
        },
    );
    let spec = VersionSpec::from_json(&version(ready().await)).expect("a version");
    let task = world.control.deploy(&second, &own, spec, &PLAIN).await;
    world.ended(&task.expect("taken on").value).await;
    let patch = crate::spec::body::DeploymentPatch::from_json(&json!({ "description": "x" }));
    let patch = patch.expect("a patch");
    let edited = world.control.edit_deployment(&ann, &own, patch, &PLAIN);
    edited.await.expect("edited");
    let history = world.control.history(&ROOT, &own, &page).await;
    let history = history.expect("kept").items;
    let told = |action: &str| {
        let mut of_action = history.iter().filter(|(_, h)| h.action.as_str() == action);
        let (_, found) = of_action.next().expect(action);
        (found.by.clone(), found.token.clone())
    };
    let by = |token: &str| ("ann".to_owned(), Some(token.to_owned()));
    assert_eq!(told("create"), by("ann"));
    assert_eq!(told("deploy"), by("second"));
    assert_eq!(told("edit"), by("ann"));
}
