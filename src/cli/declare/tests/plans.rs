//! Golden texts of plans.

use serde_json::json;

use crate::{
    base::{
        id::KeyId,
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    cli::{
        declare::{
            gateway::{
                Deploying, Standing, StandingDeployment, StandingKey, StandingProject,
                StandingVersion,
            },
            plan::{Action, Plan, Work},
            planning::plan,
            show,
        },
        terminal::Style,
    },
    spec::{Access, Declarations, LimitsSpec, Priority, Scope, VersionSpec},
};

/// A moment in between those of the tests.
const NOW_MS: u64 = 1_900_000_000_000;

fn declared(text: &str) -> Declarations {
    Declarations::from_toml(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

/// A deployment with a backend on this host.
fn deployment(name: &str, host: &str, rest: &str) -> String {
    let (project, name) = name.split_once('/').expect("a name");
    format!(
        "[[deployment]]\nproject = '{project}'\nname = '{name}'\n{rest}\n\
         [deployment.version.main]\nbackends = [{{ url = 'http://{host}' }}]\n"
    )
}

fn key(id: &str, scope: &str, rest: &str) -> String {
    let digest = digest(id).to_hex();
    format!("[[key]]\nid = '{id}'\ndigest = '{digest}'\nscope = '{scope}'\n{rest}\n")
}

fn digest(id: &str) -> KeyDigest {
    KeyDigest::of_key(format!("the-secret-of-{id}").as_bytes()).expect("a key")
}

fn version(host: &str) -> VersionSpec {
    let json = json!({"main": {"backends": [{"url": format!("http://{host}")}]}});
    VersionSpec::from_json(&json).expect("good")
}

/// What stands: `demo` with live deployments on the hosts of their names.
fn standing(names: &[&str]) -> Standing {
    let mut standing = Standing::default();
    for project in ["demo", "other"] {
        let project = Name::parse(project).expect("a name");
        let own = StandingProject {
            tenant: Name::parse("default").expect("a name"),
            description: String::new(),
        };
        standing.projects.insert(project, own);
    }
    for name in names {
        let name = DeploymentName::parse(name).expect("a name");
        let version = version(name.deployment());
        let own = StandingDeployment {
            display_name: name.deployment().to_owned(),
            description: String::new(),
            tags: Vec::new(),
            access: Access::Keys,
            keep_previous: 0,
            limits: LimitsSpec::default(),
            overload: None,
            state: "live".to_owned(),
            reason: None,
            is_declared: false,
            live: Some((3, version.clone())),
            newest: Some(StandingVersion {
                number: 3,
                spec: version,
            }),
            deploying: None,
            mark: "then".to_owned(),
        };
        standing.deployments.insert(name, own);
    }
    standing
}

fn with_key(mut standing: Standing, id: &str, scope: &str) -> Standing {
    let own = StandingKey {
        digest: Some(digest(id)),
        description: String::new(),
        may_pin: false,
        limits: LimitsSpec::default(),
        priority: Priority::default(),
        expires_at_ms: None,
        is_live: true,
        is_first: false,
    };
    let scope = Scope::parse(scope).expect("a scope");
    standing.keys.insert((scope, KeyId::new(id)), own);
    standing
}

impl Standing {
    fn own(&mut self, name: &str) -> &mut StandingDeployment {
        self.deployments.get_mut(name).expect("stands")
    }

    fn key(&mut self, id: &str) -> &mut StandingKey {
        let found = self
            .keys
            .iter_mut()
            .find(|((_, own), _)| own.as_str() == id);
        found.expect("stands").1
    }
}

fn text(plan: &Plan) -> String {
    show::text(plan, Style::new(false)).join("\n")
}

fn check(declared_text: &str, standing: &Standing, expected: &[&str]) -> Plan {
    let plan = plan(&declared(declared_text), standing, false, NOW_MS);
    assert_eq!(text(&plan), expected.join("\n"));
    plan
}

#[test]
fn what_is_new_is_made_with_its_project() {
    let text = [
        "[[tenant]]\nname = 'acme'\n[[project]]\nname = 'shop'\ntenant = 'acme'\n".to_owned(),
        deployment("shop/text", "text", ""),
        deployment("fresh/a", "a", ""),
        deployment("demo/iris", "iris", ""),
        key("k1", "shop/text", ""),
    ];
    check(
        &text.concat(),
        &standing(&["demo/iris"]),
        &[
            "+ tenant acme           create",
            "+ project shop          create",
            "+ project fresh         create",
            "+ deployment shop/text  create",
            "+ deployment fresh/a    create",
            "+ key k1 (shop/text)    create",
            "Plan: 6 to create, 0 to change, 0 to delete, 1 unchanged.",
        ],
    );
}

#[test]
fn what_is_as_declared_is_left_alone() {
    let text = [
        deployment("demo/iris", "iris:80", "display_name = 'iris'"),
        deployment("demo/text", "text", ""),
        key("k1", "demo", ""),
    ];
    let mut standing = with_key(
        standing(&["demo/iris", "demo/text", "demo/x"]),
        "k1",
        "demo",
    );
    let plan = check(
        &text.concat(),
        &standing,
        &["Nothing to do: 2 deployments, 1 key as declared."],
    );
    assert_eq!(plan.unchanged, 3);
    standing.own("demo/text").state = "stopped".to_owned();
    standing.key("k1").is_live = false;
    let plan = check(
        &text.concat(),
        &standing,
        &[
            "= deployment demo/text is stopped, as somebody left it",
            "= key k1 (demo) is revoked, and never comes back",
            "Nothing to do: 2 deployments, 1 key as declared.",
        ],
    );
    assert!(plan.steps.is_empty());
    standing.key("k1").expires_at_ms = Some(1);
    check(
        &text.concat(),
        &standing,
        &[
            "= deployment demo/text is stopped, as somebody left it",
            "= key k1 (demo) has expired, and never comes back",
            "Nothing to do: 2 deployments, 1 key as declared.",
        ],
    );
}

#[test]
fn a_change_is_shown_field_by_field() {
    let text = [
        deployment(
            "demo/iris",
            "b",
            "description = \"y\\u001b\"\ntags = ['a', 'b']\nversion.model = 'iris:1.3'\n\
             version.challenger.backends = [{ url = 'http://c' }]",
        ),
        deployment("demo/text", "text", "access = 'public'"),
        key("k1", "demo", "description = 'load'"),
    ];
    let mut standing = with_key(standing(&["demo/iris", "demo/text"]), "k1", "demo");
    standing.own("demo/iris").description = "x".to_owned();
    standing
        .own("demo/iris")
        .newest
        .as_mut()
        .expect("there")
        .number = 7;
    standing.own("demo/text").is_declared = true;
    let plan = check(
        &text.concat(),
        &standing,
        &[
            "~ deployment demo/iris  swap iris_v3 -> iris_v8",
            "    version.model: \"\" -> \"iris:1.3\"",
            "    version.main.backends[0].url: \"http://iris\" -> \"http://b\"",
            "    version.challenger: (none) -> {\"backends\":[{\"url\":\"http://c\"}]}",
            "    description: \"x\" -> \"y\\u001b\"",
            "    tags: [] -> [\"a\",\"b\"]",
            "~ deployment demo/text",
            "    access: \"keys\" -> \"public\"",
            "~ key k1 (demo)",
            "    description: \"\" -> \"load\"",
            "= deployment demo/text is declared by the gateway's own file too, which may say otherwise",
            "Plan: 0 to create, 3 to change, 0 to delete, 0 unchanged.",
        ],
    );
    assert_eq!(
        show::json(&plan),
        json!({"plan": [
            {"action": "swap", "kind": "deployment", "name": "demo/iris", "changes": [
                {"field": "version.model", "from": "", "to": "iris:1.3"},
                {"field": "version.main.backends[0].url", "from": "http://iris", "to": "http://b"},
                {"field": "version.challenger", "from": null, "to": {"backends": [{"url": "http://c"}]}},
                {"field": "description", "from": "x", "to": "y\u{1b}"},
                {"field": "tags", "from": [], "to": ["a", "b"]}]},
            {"action": "change", "kind": "deployment", "name": "demo/text", "changes": [
                {"field": "access", "from": "keys", "to": "public"}]},
            {"action": "change", "kind": "key", "name": "k1", "scope": "demo", "changes": [
                {"field": "description", "from": "", "to": "load"}]}],
            "unchanged": 0, "notes": plan.notes})
    );
    let Work::ChangeDeployment { patch, version, .. } = &plan.steps[1].work else {
        panic!("{:?}", plan.steps[1]);
    };
    assert_eq!(
        (json!(patch), version),
        (json!({"access": "public"}), &None)
    );
}

#[test]
fn what_failed_is_deployed_again_and_what_is_under_way_is_waited_for() {
    let text = deployment("demo/iris", "iris", "");
    let mut own = standing(&["demo/iris"]);
    own.own("demo/iris").state = "failed".to_owned();
    own.own("demo/iris").live = None;
    check(
        &text,
        &own,
        &[
            "~ deployment demo/iris  deploy iris_v4 in place of iris_v3, which failed",
            "Plan: 0 to create, 1 to change, 0 to delete, 0 unchanged.",
        ],
    );
    own.own("demo/iris").state = "setting-up".to_owned();
    own.own("demo/iris").deploying = Some(Deploying {
        task: "t1".to_owned(),
        version: 3,
    });
    let plan = check(
        &text,
        &own,
        &[
            "~ deployment demo/iris  wait for iris_v3, which is being deployed",
            "Plan: 0 to create, 1 to change, 0 to delete, 0 unchanged.",
        ],
    );
    assert!(matches!(&plan.steps[0].work, Work::Wait { task, .. } if task == "t1"));
    // Another version is under way: what is live is not what will be.
    own.own("demo/iris").live = Some((2, version("iris")));
    own.own("demo/iris").newest = Some(StandingVersion {
        number: 3,
        spec: version("else"),
    });
    check(
        &text,
        &own,
        &[
            "~ deployment demo/iris  swap iris_v2 -> iris_v4",
            "Plan: 0 to create, 1 to change, 0 to delete, 0 unchanged.",
        ],
    );
    own.own("demo/iris").state = "deleting".to_owned();
    check(
        &text,
        &own,
        &[
            "! deployment demo/iris  is being deleted; apply again when it is gone",
            "Plan: 0 to create, 0 to change, 0 to delete, 1 that can't be done, 0 unchanged.",
        ],
    );
}

#[test]
fn what_can_not_be_done_is_said_before_anything_is() {
    let text = [
        "[[project]]\nname = 'demo'\ntenant = 'acme'\n".to_owned(),
        key("same", "demo", ""),
        key("moved", "demo", ""),
        key("pins", "demo", "may_pin = true"),
        key("late", "demo", "expires_at = 2020-01-01T00:00:00Z"),
        key("hidden", "instance", ""),
    ];
    let own = with_key(standing(&["demo/iris"]), "same", "demo");
    let own = with_key(own, "moved", "demo/iris");
    let mut own = with_key(own, "pins", "demo");
    own.key("same").digest = Some(digest("another"));
    own.closed.push(Scope::Instance);
    let plan = check(
        &text.concat(),
        &own,
        &[
            "! project demo           is of the tenant default, and can't move to acme",
            "! key same (demo)        is another key under the same id; declare the new one under an id of its own",
            "! key moved (demo)       is the key moved of demo/iris already, and can't move",
            "! key pins (demo)        has another may_pin, which never changes of a key",
            "! key hidden (instance)  can't be seen: this token opens no keys of instance",
            "= key late (demo) has expired",
            "Plan: 0 to create, 0 to change, 0 to delete, 5 that can't be done, 1 unchanged.",
        ],
    );
    assert!(!text.concat().is_empty() && plan.count(&[Action::Blocked]) == 5);
    let shown = show::json(&plan).to_string();
    assert!(!shown.contains(&digest("same").to_hex()), "{shown}");
}

#[test]
fn only_what_is_of_the_declared_projects_and_not_declared_is_pruned() {
    let own = standing(&["demo/iris", "demo/old", "other/x"]);
    let mut own = with_key(own, "stays", "demo");
    for (id, scope) in [
        ("first", "demo/iris"),
        ("goes", "demo/iris"),
        ("goes2", "demo"),
        ("with", "demo/old"),
        ("theirs", "other/x"),
        ("all", "instance"),
        ("gone", "demo"),
    ] {
        own = with_key(own, id, scope);
    }
    own.key("first").is_first = true;
    own.key("gone").is_live = false;
    let text = [
        deployment("demo/iris", "iris", ""),
        key("stays", "demo", ""),
    ]
    .concat();
    let shown = |text: &str| {
        let plan = plan(&declared(text), &own, true, NOW_MS);
        (self::text(&plan), show::question(&plan))
    };
    let (lines, question) = shown(&text);
    assert_eq!(
        lines,
        [
            "- deployment demo/old   delete",
            "- key goes (demo/iris)  revoke",
            "- key goes2 (demo)      revoke",
            "Plan: 0 to create, 0 to change, 3 to delete, 2 unchanged.",
        ]
        .join("\n")
    );
    assert_eq!(
        question.as_deref(),
        Some(
            "Delete 1 deployment and revoke 2 keys (deployment demo/old, key goes (demo/iris), \
             key goes2 (demo))? It can't be undone."
        )
    );
    let (lines, question) = shown(&format!("{text}{}", key("new", "instance", "")));
    assert!(lines.contains("- key all (instance)"), "{lines}");
    assert!(question.is_some());
    let unpruned = plan(&declared(&text), &own, false, NOW_MS);
    assert_eq!(show::question(&unpruned), None);
}

#[test]
fn null_can_not_be_declared_and_is_no_drift() {
    let mut own = standing(&["demo/iris"]);
    let json = json!({"main": {"backends": [{"url": "http://iris"}]},
        "parameters": {"a": null, "b": 1}});
    let spec = VersionSpec::from_json(&json).expect("good");
    own.own("demo/iris").live = Some((3, spec));
    let text = deployment("demo/iris", "iris", "version.parameters = { b = 1 }");
    check(
        &text,
        &own,
        &["Nothing to do: 1 deployment, 0 keys as declared."],
    );
}
