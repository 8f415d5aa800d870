//! Tables: what each body reads, what it refuses and in which words.

mod limits;
mod properties;
mod queue;
mod subscriptions;
mod tasks;

use std::fmt::Debug;

use serde_json::{Value, json};

use super::*;
use crate::{
    base::{
        id::{KeyId, VersionNumber},
        name::Name,
        secret::KeyDigest,
    },
    spec::{Access, Mistakes, Role},
};

/// 2026-01-01T00:00:00Z.
const NOW_MS: u64 = 1_767_225_600_000;
const SECRET: &str = "wk_k7_0123456789abcdefghijklmnopqrstuvwxyz";

/// What reads a body and keeps one of its values.
type Reads<'a, T> = &'a dyn Fn(&Value) -> Result<T, Mistakes>;

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// Holds the mistakes of each body against the words expected, a line each.
fn refused<T: Debug>(
    from_json: impl Fn(&Value) -> Result<T, Mistakes>,
    table: impl IntoIterator<Item = (Value, &'static str)>,
) {
    let always = [
        (json!(null), "must be a table, not nothing"),
        (json!([]), "must be a table, not a list"),
        (json!("x"), "must be a table, not a string"),
    ];
    for (json, words) in always.into_iter().chain(table) {
        let mistakes = from_json(&json).expect_err(&json.to_string());
        assert_eq!(mistakes.to_string(), words, "{json}");
    }
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn patches_of_a_deployment() {
    let patch = DeploymentPatch::from_json;
    for (json, expected) in [
        (
            json!({"display_name": "Flan T5_v2", "description": "a\nb", "tags": ["x", "é"],
                   "access": "public", "keep_previous": 16}),
            DeploymentPatch {
                display_name: Some("Flan T5_v2".into()),
                description: Some("a\nb".into()),
                tags: Some(vec!["x".into(), "é".into()]),
                access: Some(Access::Public),
                keep_previous: Some(16),
                ..DeploymentPatch::default()
            },
        ),
        (
            json!({"description": "", "tags": [], "access": null, "display_name": ""}),
            DeploymentPatch {
                display_name: Some(String::new()),
                description: Some(String::new()),
                tags: Some(vec![]),
                ..DeploymentPatch::default()
            },
        ),
        (
            json!({"keep_previous": 0, "tags": null}),
            DeploymentPatch {
                keep_previous: Some(0),
                ..DeploymentPatch::default()
            },
        ),
    ] {
        assert_eq!(patch(&json), Ok(expected), "{json}");
    }
    refused(
        patch,
        [
            (json!({}), "names nothing to change"),
            (
                json!({"tags": null, "access": null}),
                "names nothing to change",
            ),
            (
                json!({"acess": "keys"}),
                "/acess: is not known; did you mean \"access\"?",
            ),
            (
                json!({"display_name": "a\nb", "tags": ["a", "a", ""], "access": "all",
                       "keep_previous": 17, "description": 1, "version": {}}),
                "/display_name: must not have line breaks or other control characters\n\
                 /description: must be a string, not a whole number\n\
                 /tags/1: \"a\" stands in this list already\n\
                 /tags/2: a tag has 1 to 64 characters\n\
                 /access: \"all\" is none of keys, project, instance, public\n\
                 /keep_previous: must be from 0 to 16\n\
                 /version: is not known",
            ),
            (
                json!({"display_name": long(513), "description": long(4097)}),
                "/display_name: is 513 bytes long, 512 are allowed\n\
                 /description: is 4097 bytes long, 4096 are allowed",
            ),
        ],
    );
}

#[test]
fn new_deployments() {
    let new = |json: &Value| NewDeployment::from_json(&name("demo"), json);
    let body = |first_key: Value| {
        json!({"name": "iris", "first_key": first_key,
               "version": {"main": {"backends": [{"url": "http://m"}]}}})
    };
    for (said, first_key) in [
        (json!(null), true),
        (json!(true), true),
        (json!(false), false),
    ] {
        let read = new(&body(said.clone())).expect("good");
        assert_eq!(
            (read.spec.name.as_str(), read.first_key),
            ("demo/iris", first_key),
            "{said}"
        );
    }
    refused(
        new,
        [
            (
                body(json!("no")),
                "/first_key: must be true or false, not a string",
            ),
            (
                json!({"firstkey": false}),
                "/name: is missing\n/version: is missing\n\
                 /firstkey: is not known; did you mean \"first_key\"?",
            ),
        ],
    );
}

#[test]
fn new_keys() {
    let new = |json: &Value| NewKey::from_json(json, NOW_MS);
    assert_eq!(new(&json!({})), Ok(NewKey::default()));
    let read = new(
        &json!({"description": "load test", "expires_at": "2026-01-01T01:00:00.001+01:00",
                           "may_pin": true, "secret": SECRET}),
    )
    .expect("good");
    assert_eq!(read.description, "load test");
    assert_eq!((read.expires_at_ms, read.may_pin), (Some(NOW_MS + 1), true));
    let Some(OwnKey::Secret(secret)) = read.own else {
        panic!("a secret")
    };
    assert_eq!((secret.expose(), read.id), (SECRET, None));
    assert_eq!(Ok(secret.digest()), KeyDigest::of_key(SECRET.as_bytes()));
    assert_eq!(secret.to_key_id().as_str(), "k7");
    assert_eq!(format!("{secret:?}"), "KeySecret(***)");
    let hex = secret.digest().to_hex();
    for digest in [hex.clone(), hex.to_uppercase()] {
        let read = new(&json!({"id": "shop_1-a", "digest": digest, "secret": null})).expect("good");
        assert_eq!(read.own, Some(OwnKey::Digest(secret.digest())));
        assert_eq!(read.id, Some(KeyId::new("shop_1-a")));
    }
    let foreign = KeySecret::parse("0123456789abcdef").expect("a key");
    assert_eq!(foreign.to_key_id(), foreign.digest().to_key_id());
    assert!(foreign != secret);

    refused(
        new,
        [
            (
                json!({"expires_at": "2026-01-01T00:00:00Z", "may_pin": 1, "secret": "short"}),
                "/expires_at: lies in the past\n\
                 /may_pin: must be true or false, not a whole number\n\
                 /secret: a key is 16 to 512 visible ASCII characters",
            ),
            (
                json!({"expires_at": "tomorrow", "secret": long(513)}),
                "/expires_at: must be a date and time with its offset, such as 2030-01-31T12:00:00Z\n\
                 /secret: a key is 16 to 512 visible ASCII characters",
            ),
            (
                json!({"expires_at": "2026-01-02", "secret": 5}),
                "/expires_at: must be a date and time with its offset, such as 2030-01-31T12:00:00Z\n\
                 /secret: must be a string, not a whole number",
            ),
            (
                json!({"description": long(4097), "scope": "demo"}),
                "/description: is 4097 bytes long, 4096 are allowed\n/scope: is not known",
            ),
            (
                json!({"digest": hex, "secret": SECRET}),
                "/digest: stands beside a secret; a key has one of the two",
            ),
            (
                json!({"digest": SECRET, "id": "a b"}),
                "/id: an id is 1 to 64 of a-z, A-Z, 0-9, '_', '-'\n\
                 /digest: a digest is the key's blake3 hash in 64 hexadecimal digits",
            ),
            (
                json!({"digest": 1, "id": long(65)}),
                "/id: an id is 1 to 64 of a-z, A-Z, 0-9, '_', '-'\n\
                 /digest: must be a string, not a whole number",
            ),
            (
                json!({"maypin": true}),
                "/maypin: is not known; did you mean \"may_pin\"?",
            ),
        ],
    );
}

/// Wherever an imported key slips to, no mistake repeats it.
#[test]
fn no_mistake_shows_an_imported_key() {
    for json in [
        json!({"secret": format!("{SECRET} ")}),
        json!({"secret": [SECRET]}),
        json!({"secret": {SECRET: 1}}),
        json!({"secrets": SECRET}),
        json!({"digest": SECRET}),
        json!({"id": format!("{SECRET} ")}),
        json!({"expires_at": SECRET}),
        json!({"may_pin": SECRET}),
        json!({"description": [SECRET]}),
        json!({SECRET: 1}),
        json!(SECRET),
        json!([SECRET]),
    ] {
        let mistakes = NewKey::from_json(&json, NOW_MS).expect_err("bad");
        assert!(!mistakes.to_string().contains(SECRET), "{mistakes}");
    }
}

/// All bodies that change a description and nothing else.
#[test]
fn patches_of_a_description() {
    let key =
        |json: &Value| KeyPatch::from_json(json).map(|patch| patch.description.unwrap_or_default());
    let token = |json: &Value| TokenPatch::from_json(json).map(|patch| patch.description);
    let project = |json: &Value| ProjectPatch::from_json(json).map(|patch| patch.description);
    let tenant = |json: &Value| TenantPatch::from_json(json).map(|patch| patch.description);
    let all: [Reads<'_, String>; 4] = [&key, &token, &project, &tenant];
    for patch in all {
        for text in ["", "a\nb"] {
            assert_eq!(patch(&json!({"description": text})).as_deref(), Ok(text));
        }
        refused(
            patch,
            [
                (json!({}), "names nothing to change"),
                (json!({"description": null}), "names nothing to change"),
                (
                    json!({"descripton": "x"}),
                    "/descripton: is not known; did you mean \"description\"?",
                ),
                (
                    json!({"description": true, "status": "live"}),
                    "/description: must be a string, not true or false\n/status: is not known",
                ),
                (
                    json!({"description": long(4097)}),
                    "/description: is 4097 bytes long, 4096 are allowed",
                ),
            ],
        );
    }
}

#[test]
fn new_projects_and_tenants() {
    assert_eq!(
        NewProject::from_json(&json!({"name": "demo"})),
        Ok(NewProject {
            name: name("demo"),
            tenant: name("default"),
            description: String::new(),
        })
    );
    assert_eq!(
        NewProject::from_json(&json!({"name": "demo", "tenant": "acme", "description": "d"})),
        Ok(NewProject {
            name: name("demo"),
            tenant: name("acme"),
            description: "d".into(),
        })
    );
    refused(
        NewProject::from_json,
        [
            (json!({}), "/name: is missing"),
            (
                json!({"name": null, "tenant": 1}),
                "/name: is missing\n/tenant: must be a string, not a whole number",
            ),
            (
                json!({"name": "Demo", "tenant": "", "description": [], "tennant": "x"}),
                "/name: \"Demo\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit\n\
                 /tenant: \"\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit\n\
                 /description: must be a string, not a list\n\
                 /tennant: is not known; did you mean \"tenant\"?",
            ),
        ],
    );
    assert_eq!(
        NewTenant::from_json(&json!({"name": "acme", "description": "d"})),
        Ok(NewTenant {
            name: name("acme"),
            description: "d".into(),
        })
    );
    refused(
        NewTenant::from_json,
        [
            (
                json!({"tenant": "acme"}),
                "/name: is missing\n/tenant: is not known",
            ),
            (
                json!({"name": "a/b", "description": long(4097)}),
                "/name: \"a/b\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit\n\
                 /description: is 4097 bytes long, 4096 are allowed",
            ),
        ],
    );
}

#[test]
fn new_tokens() {
    let new = |json: &Value| NewToken::from_json(json, NOW_MS);
    let bare = |role, tenant: Option<&str>, projects: &[&str]| NewToken {
        name: "Ada".into(),
        description: String::new(),
        role,
        tenant: tenant.map(name),
        projects: projects.iter().map(|text| name(text)).collect(),
        expires_at_ms: None,
    };
    for (json, expected) in [
        (
            json!({"role": "org-admin"}),
            bare(Role::OrgAdmin, None, &[]),
        ),
        (
            json!({"role": "org-admin", "tenant": null, "projects": []}),
            bare(Role::OrgAdmin, None, &[]),
        ),
        (
            json!({"role": "tenant-admin", "tenant": "acme"}),
            bare(Role::TenantAdmin, Some("acme"), &[]),
        ),
        (
            json!({"role": "member", "projects": ["a", "b"]}),
            bare(Role::Member, None, &["a", "b"]),
        ),
        (json!({"role": "viewer"}), bare(Role::Viewer, None, &[])),
        (
            json!({"role": "viewer", "tenant": "acme", "projects": []}),
            bare(Role::Viewer, Some("acme"), &[]),
        ),
        (
            json!({"role": "viewer", "projects": ["a"]}),
            bare(Role::Viewer, None, &["a"]),
        ),
    ] {
        let mut json = json;
        json["name"] = json!("Ada");
        assert_eq!(new(&json), Ok(expected), "{json}");
    }
    let read = new(
        &json!({"name": "CI", "role": "viewer", "description": "d", "expires_at": "2030-01-01T00:00:00Z"}),
    )
    .expect("good");
    assert_eq!((read.name.as_str(), read.description.as_str()), ("CI", "d"));
    assert_eq!(read.expires_at_ms, Some(1_893_456_000_000));

    refused(
        new,
        [
            (json!({}), "/name: is missing\n/role: is missing"),
            (
                json!({"name": "", "role": "admin", "expires_at": "2025-12-31T23:59:59Z", "tenants": "a"}),
                "/name: must not be empty\n\
                 /role: \"admin\" is none of org-admin, tenant-admin, member, viewer\n\
                 /expires_at: lies in the past\n\
                 /tenants: is not known; did you mean \"tenant\"?",
            ),
            (
                json!({"name": "a\nb", "role": "viewer", "projects": ["a", "A", "a", 1], "tenant": null}),
                "/name: must not have line breaks or other control characters\n\
                 /projects/1: \"A\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit\n\
                 /projects/2: a stands in this list already\n\
                 /projects/3: must be a string, not a whole number",
            ),
            (
                json!({"name": long(129), "role": "org-admin", "description": long(4097)}),
                "/name: is 129 bytes long, 128 are allowed\n\
                 /description: is 4097 bytes long, 4096 are allowed",
            ),
            (
                json!({"name": "a", "role": "org-admin", "tenant": "t", "projects": ["p"]}),
                "/tenant: an org-admin reaches everything and names nothing\n\
                 /projects: an org-admin reaches everything and names nothing",
            ),
            (
                json!({"name": "a", "role": "tenant-admin", "projects": ["p"]}),
                "/tenant: is missing; a tenant-admin has one\n\
                 /projects: a tenant-admin reaches its whole tenant",
            ),
            (
                json!({"name": "a", "role": "tenant-admin", "tenant": "T"}),
                "/tenant: \"T\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit",
            ),
            (
                json!({"name": "a", "role": "member"}),
                "/projects: is missing; a member has at least one",
            ),
            (
                json!({"name": "a", "role": "member", "tenant": "t", "projects": []}),
                "/tenant: a member names its projects\n\
                 /projects: is missing; a member has at least one",
            ),
            (
                json!({"name": "a", "role": "member", "projects": "p"}),
                "/projects: must be a list, not a string",
            ),
            (
                json!({"name": "a", "role": "member", "projects": vec!["p"; 257]}),
                "/projects: has 257 items, 256 are allowed",
            ),
            (
                json!({"name": "a", "role": "viewer", "tenant": "t", "projects": ["p"]}),
                "/projects: stands beside a tenant; a viewer names one of the two, or neither",
            ),
        ],
    );
}

#[test]
fn new_shares() {
    for (json, expected) in [
        (json!({"project": "b"}), NewShare::Project(name("b"))),
        (
            json!({"project": null, "tenant": "t"}),
            NewShare::Tenant(name("t")),
        ),
    ] {
        assert_eq!(NewShare::from_json(&json), Ok(expected));
    }
    refused(
        NewShare::from_json,
        [
            (json!({}), "names neither a project nor a tenant"),
            (
                json!({"project": "a", "tenant": "t"}),
                "/tenant: stands beside a project; a share names one of the two",
            ),
            (
                json!({"projet": "a", "tenant": 5}),
                "/tenant: must be a string, not a whole number\n\
                 /projet: is not known; did you mean \"project\"?",
            ),
        ],
    );
}

#[test]
fn readmes() {
    for text in [String::new(), "# Iris\n".to_owned(), long(256 << 10)] {
        let json = json!({ "text": text });
        assert_eq!(NewReadme::from_json(&json), Ok(NewReadme { text }));
    }
    refused(
        NewReadme::from_json,
        [
            (json!({}), "/text: is missing"),
            (
                json!({"text": long((256 << 10) + 1)}),
                "/text: is 262145 bytes long, 262144 are allowed",
            ),
            (
                json!({"text": ["a"], "format": "md"}),
                "/text: must be a string, not a list\n/format: is not known",
            ),
        ],
    );
}
