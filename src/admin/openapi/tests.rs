//! The description against its committed copy, against the routes, and against the readers of
//! bodies.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use super::document;
use crate::{
    admin::testing::World,
    spec::{
        VersionSpec,
        body::{
            DeleteBody, DeploymentPatch, KeyPatch, NewDeployment, NewKey, NewProject, NewReadme,
            NewShare, NewSubscription, NewTenant, NewToken, NewWebhook, ProjectPatch, PromoteBody,
            ReplayBody, RollbackBody, StopBody, SubscriptionPatch,
        },
    },
};

/// Set it, and the committed copy is written instead of compared.
const WRITE: &str = "WEIR_WRITE_OPENAPI";

#[test]
fn the_committed_copy_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/openapi.json");
    let mut made = serde_json::to_string_pretty(&document()).expect("JSON");
    made.push('\n');
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &made).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "config/openapi.json is not what the code says; if the change is meant, run\n\
         {WRITE}=1 cargo test --lib admin::openapi\nand commit the file"
    );
}

/// Each operation as `GET /path`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("an item") {
            all.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    all
}

#[tokio::test]
async fn every_path_takes_the_methods_that_are_described_and_no_others() {
    let world = World::new().await;
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 30, "{}", paths.len());
    for (path, item) in paths {
        let item = item.as_object().expect("an item");
        let mut described: BTreeSet<_> = item.keys().map(|name| name.to_uppercase()).collect();
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        // A template that matches itself: braces are no names, and routing comes first.
        let line = format!("TRACE {}", path.replace(['{', '}'], "x"));
        let reply = world.call(&line, &[], "").await;
        assert_eq!(reply.status, 405, "{path} is not mounted");
        let allowed = reply
            .header("allow")
            .split(',')
            .map(str::to_owned)
            .collect();
        assert_eq!(described, allowed, "{path}");
    }
}

#[test]
fn every_mounted_route_is_described() {
    // Whatever is mounted through `routes!` is described by it; the rest is listed here.
    let beside = [
        "/api/reference",
        "/api",
        "/api/",
        "/metrics",
        "/healthz",
        "/readyz",
    ];
    let mut mounted = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            let routes = text.split(".route(\"").skip(1);
            mounted.extend(
                routes
                    .filter_map(|rest| rest.split('"').next())
                    .map(str::to_owned),
            );
        }
    }
    mounted.sort();
    let mut expected = beside.map(str::to_owned);
    expected.sort();
    assert_eq!(mounted, expected);
}

#[test]
fn every_operation_is_told_apart_and_says_what_may_happen() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (line, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect(&line);
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|words| words.len() > 5),
            "{line}"
        );
        assert_eq!(
            operation["tags"].as_array().map(Vec::len),
            Some(1),
            "{line}"
        );
        let responses = operation["responses"].as_object().expect(&line);
        let good = responses.keys().filter(|status| status.starts_with('2'));
        assert!(good.count() > 0, "{line}");
        let is_open = operation["security"] == json!([]);
        assert_eq!(is_open, !line.contains(" /api/v1/"), "{line}");
        assert_eq!(responses.contains_key("401"), !is_open, "{line}");
        let is_change = !line.starts_with("GET ") && !line.ends_with("/reveal");
        let parameters = operation["parameters"].as_array().expect(&line);
        let has = |name: &str| parameters.iter().any(|own| own["name"] == name);
        assert_eq!(has("dry_run"), is_change, "{line}");
        if operation.get("requestBody").is_some() {
            assert!(responses.contains_key("422"), "{line}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let found = document.pointer(target.trim_start_matches('#'));
                    assert!(found.is_some(), "{target}");
                }
                members.values().for_each(|value| check(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| check(document, value)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}

/// Reads a body of the schema of this name, as its handler does.
fn is_read(schema: &str, body: &Value) -> bool {
    match schema {
        "NewDeployment" => {
            let project = crate::base::name::Name::parse("demo").expect("a name");
            NewDeployment::from_json(&project, body).is_ok()
        }
        "DeploymentPatch" => DeploymentPatch::from_json(body).is_ok(),
        "VersionSpec" => VersionSpec::from_json(body).is_ok(),
        "Rollback" => RollbackBody::from_json(body).is_ok(),
        "Promote" => PromoteBody::from_json(body).is_ok(),
        "Because" => StopBody::from_json(body).is_ok(),
        "Delete" => DeleteBody::from_json(body).is_ok(),
        "NewKey" => NewKey::from_json(body, 0).is_ok(),
        "KeyPatch" => KeyPatch::from_json(body).is_ok(),
        "DescriptionPatch" => ProjectPatch::from_json(body).is_ok(),
        "NewTenant" => NewTenant::from_json(body).is_ok(),
        "NewProject" => NewProject::from_json(body).is_ok(),
        "NewToken" => NewToken::from_json(body, 0).is_ok(),
        "NewShare" => NewShare::from_json(body).is_ok(),
        "Replay" => ReplayBody::from_json(body).is_ok(),
        "NewWebhook" => NewWebhook::from_json(body).is_ok(),
        "NewReadme" => NewReadme::from_json(body).is_ok(),
        "NewSubscription" => NewSubscription::from_json(body).is_ok(),
        "SubscriptionPatch" => SubscriptionPatch::from_json(body).is_ok(),
        other => panic!("{other} is read by nobody here"),
    }
}

/// Every place of a body where its schema sets a limit, with a value within it and one beyond.
fn limits(document: &Value, schema: &Value, at: &str, found: &mut Vec<(String, Value, Value)>) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).expect(target),
        None => schema,
    };
    for kind in schema["oneOf"].as_array().into_iter().flatten() {
        if kind["type"] != "null" && kind.get("required").is_none() {
            limits(document, kind, at, found);
        }
    }
    let text = |n: u64| json!("a".repeat(n as usize));
    if let Some(max) = schema["maxLength"].as_u64()
        && schema
            .get("pattern")
            .is_none_or(|own| own.as_str().is_some_and(|p| p.contains("u0000")))
    {
        found.push((at.to_owned(), text(max), text(max + 1)));
    }
    if let Some(max) = schema["maximum"].as_u64() {
        found.push((at.to_owned(), json!(max), json!(max + 1)));
    }
    if let Some(min) = schema["minimum"].as_i64() {
        found.push((at.to_owned(), json!(min), json!(min - 1)));
    }
    let words = schema["enum"].as_array().into_iter().flatten();
    for word in words.filter(|word| !word.is_null()) {
        found.push((at.to_owned(), word.clone(), json!("none of them")));
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let under = format!("{at}/{name}");
        // As the schema is silent about these here, so are the readers: others depend on them.
        let is_plain = !matches!(
            under.as_str(),
            "/role" | "/weight" | "/tenant" | "/projects"
        );
        if is_plain && name != "backends" {
            limits(document, member, &under, found);
        }
    }
}

/// Puts a value at a pointer, making what is on the way.
fn put(body: &mut Value, at: &str, value: &Value) {
    let mut place = body;
    for name in at.split('/').skip(1) {
        if place.is_null() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = value.clone();
}

#[test]
fn the_limits_that_are_described_are_those_that_are_read() {
    let document = document();
    let version = json!({"main": {"backends": [{"url": "http://m:1"}]}});
    let mut count = 0;
    for (name, least) in [
        ("NewDeployment", json!({"name": "a", "version": version})),
        ("DeploymentPatch", json!({})),
        ("VersionSpec", version.clone()),
        ("Rollback", json!({})),
        ("Promote", json!({})),
        ("Because", json!({})),
        ("Delete", json!({"reason": "a"})),
        ("NewKey", json!({})),
        ("KeyPatch", json!({})),
        ("DescriptionPatch", json!({})),
        ("NewTenant", json!({"name": "a"})),
        ("NewProject", json!({"name": "a"})),
        ("NewToken", json!({"name": "a", "role": "viewer"})),
        ("NewShare", json!({"project": "a"})),
        ("NewReadme", json!({"text": ""})),
        ("Replay", json!({})),
        ("NewWebhook", json!({"url": "a"})),
        (
            "NewSubscription",
            json!({"target": {"kind": "webhook", "url": "a"}}),
        ),
        ("SubscriptionPatch", json!({})),
    ] {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let mut found = Vec::new();
        limits(&document, schema, "", &mut found);
        for (at, good, bad) in found {
            let mut base = least.clone();
            // A challenger and a warm-up have members of their own that have to be there.
            if at.contains("/challenger/") {
                let under = &at[..at.find("/challenger/").expect("it is there") + 11];
                put(
                    &mut base,
                    &format!("{under}/backends"),
                    &version["main"]["backends"],
                );
            }
            if let Some(under) = at.strip_suffix("/compare/kind") {
                put(&mut base, &format!("{under}/compare/pointer"), &json!("/a"));
            }
            // What depends on others of its table.
            if let Some(under) = at.strip_suffix("/burst") {
                put(
                    &mut base,
                    &format!("{under}/requests_per_second"),
                    &json!(1),
                );
            }
            if let Some(under) = at.strip_suffix("/limits/mode") {
                put(
                    &mut base,
                    &format!("{under}/limits/requests_per_day"),
                    &json!(1),
                );
            }
            if let Some(under) = at.strip_suffix("/concurrency_min") {
                put(
                    &mut base,
                    &format!("{under}/concurrency_max"),
                    &json!(100_000),
                );
            }
            if at.contains("/warm_up/") {
                let under = &at[..at.find("/warm_up/").expect("it is there") + 8];
                put(&mut base, &format!("{under}/path"), &json!("/"));
            }
            for (value, expected) in [(&good, true), (&bad, false)] {
                let mut body = base.clone();
                put(&mut body, &at, value);
                let shown: String = value.to_string().chars().take(40).collect();
                assert_eq!(is_read(name, &body), expected, "{name}{at} = {shown}");
            }
            count += 1;
        }
        let unknown = {
            let mut body = least.clone();
            put(&mut body, "/nobody_knows", &json!(1));
            body
        };
        assert!(!is_read(name, &unknown), "{name}");
        if let Some(example) = schema.get("example") {
            assert!(is_read(name, example), "{name}: {example}");
        }
    }
    assert!(count > 100, "{count}");
}

/// A pattern of the document holds for exactly what the readers take.
#[test]
fn the_patterns_that_are_described_take_what_is_read() {
    let document = document();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    assert_eq!(
        schema("NewProject")["properties"]["name"]["pattern"],
        "^[a-z0-9][a-z0-9._-]{0,62}$"
    );
    for (good, name) in [
        (true, "a".repeat(63)),
        (false, "a".repeat(64)),
        (false, "-a".into()),
    ] {
        assert_eq!(
            is_read("NewProject", &json!({"name": name})),
            good,
            "{name}"
        );
    }
    assert_eq!(
        schema("JsonPointer")["pattern"],
        "^(/([^/~]|~[01])*){0,64}$"
    );
    let challenger = |with: Value| {
        let pool = json!([{"url": "http://m:1"}]);
        let mut challenger = json!({"backends": pool});
        for (name, value) in with.as_object().expect("a table") {
            challenger[name] = value.clone();
        }
        json!({"main": {"backends": pool}, "challenger": challenger})
    };
    for (good, pointer) in [
        (true, String::new()),
        (true, "/a~1b/*/0".into()),
        (true, "/".repeat(64)),
        (false, "/".repeat(65)),
        (false, "a".into()),
        (false, "/a~2".into()),
        (false, format!("/{}", "a".repeat(1_024))),
    ] {
        for with in [
            json!({"compare": {"pointer": pointer}}),
            json!({"compare": {"ignore": [pointer]}}),
            json!({"keep_bodies": {"redact": [pointer]}}),
        ] {
            assert_eq!(is_read("VersionSpec", &challenger(with)), good, "{pointer}");
        }
    }
    // What depends on what.
    for (good, compare) in [
        (false, json!({"kind": "label"})),
        (false, json!({"kind": "number", "pointer": null})),
        (true, json!({"kind": "number", "pointer": ""})),
        (true, json!({"kind": "text", "tolerance_abs": 1})),
        (false, json!({"kind": "text", "tolerance_abs": 1.5})),
        (true, json!({"kind": "json", "tolerance_abs": 1.5})),
        (true, json!({"ignore": vec!["/a"; 64]})),
        (false, json!({"ignore": vec!["/a"; 65]})),
    ] {
        let body = challenger(json!({"compare": compare}));
        assert_eq!(is_read("VersionSpec", &body), good, "{compare}");
    }
    for act in ["auto_promote", "auto_stop"] {
        let mut body = challenger(json!({}));
        body[act] = json!(true);
        assert!(is_read("VersionSpec", &body), "{act}");
        body["challenger"] = Value::Null;
        assert!(!is_read("VersionSpec", &body), "{act}");
        body[act] = json!(false);
        assert!(is_read("VersionSpec", &body), "{act}");
    }
    for (good, limits) in [
        (true, json!(null)),
        (true, json!({})),
        (true, json!({"burst": null})),
        (false, json!({"burst": 2})),
        (false, json!({"burst": 2, "requests_per_second": null})),
        (true, json!({"burst": 2, "requests_per_second": 0.001})),
        (false, json!({"requests_per_second": 0.000_9})),
        (true, json!({"mode": null})),
        (false, json!({"mode": "count"})),
        (false, json!({"mode": "count", "requests_per_day": null})),
        (true, json!({"mode": "count", "requests_per_day": 1})),
    ] {
        for name in ["KeyPatch", "DeploymentPatch"] {
            assert_eq!(is_read(name, &json!({"limits": limits})), good, "{limits}");
        }
    }
    for (name, member) in [
        ("KeyPatch", "limits"),
        ("DeploymentPatch", "limits"),
        ("DeploymentPatch", "overload"),
    ] {
        let lifts = json!({"required": [member]});
        let ways = schema(name)["anyOf"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(ways.contains(&lifts), "{name}: {ways:?}");
        assert!(is_read(name, &json!({member: null})), "{name}/{member}");
    }
    for (good, secret) in [(false, 15), (true, 16), (true, 512), (false, 513)] {
        let body = json!({"secret": "k".repeat(secret)});
        assert_eq!(is_read("NewKey", &body), good, "{secret}");
    }
}
