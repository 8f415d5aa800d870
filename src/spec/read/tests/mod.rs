//! Tables over `good` and `bad`: what is read, what is refused and in which words.

mod properties;
mod refusals;
mod round_trip;

use serde_json::json;

use super::*;
use crate::{
    base::{id::KeyId, secret::KeyDigest},
    spec::{Access, ProjectSpec, Protocol, Scope, Tails, TenantSpec, TimeoutsSpec},
};

const SECRET: &str = "wk_k7_0123456789abcdefghijklmnopqrstuvwxyz";
const IRIS: &str = "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
                    version.main.backends = [{ url = 'http://127.0.0.1:9001' }]\n";

fn good(text: &str) -> Declarations {
    Declarations::from_toml(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}"))
}

/// The mistakes of `text`, as shown.
fn bad(text: &str) -> String {
    let mistakes = Declarations::from_toml(text).expect_err(text);
    assert!(!mistakes.to_string().contains(SECRET), "{mistakes}");
    mistakes.to_string()
}

/// A good deployment with `inner` behind it.
fn with_version(inner: &str) -> String {
    format!("{IRIS}{inner}")
}

fn with_key(inner: &str) -> String {
    format!("[[key]]\n{inner}")
}

#[test]
fn what_is_left_out_has_the_designs_defaults() {
    let read = good(IRIS);
    let [iris] = &read.deployments[..] else {
        panic!("one deployment")
    };
    assert_eq!(iris.name.as_str(), "demo/iris");
    assert_eq!(iris.display_name, "iris");
    assert_eq!(iris.access, Access::Keys);
    assert_eq!(iris.keep_previous, 0);
    let [backend] = &iris.version.main.backends[..] else {
        panic!("one backend")
    };
    assert_eq!((backend.weight, backend.protocol), (1, Protocol::Http1));
    let mut expected = VersionSpec::default();
    expected.main.backends.push(backend.clone());
    assert_eq!(iris.version, expected);
    assert_eq!(good(""), Declarations::default());
}

#[test]
fn every_field_is_read() {
    let read = good(&format!(
        r#"
        [[deployment]]
        project = "demo"
        name = "iris"
        display_name = "Iris, the flower"
        description = "two\nlines"
        tags = ["tabular", "é"]
        access = "public"
        keep_previous = 16
        [deployment.version]
        model = "iris-logreg:1.2"
        notes = "n"
        image = "i"
        hardware = "h"
        optimization = "o"
        instances = 2
        arch = "a"
        labels = {{ team = "x" }}
        parameters = {{ z = 1, a = [1.5, true, "s", 2020-01-01], deep = {{ er = -1 }} }}
        input_example = {{ rows = [[5.1, 3], [], "é"], deep = {{ er = false }} }}
        output_example = "text"
        timeouts = {{ connect_ms = 1, first_byte_ms = 2, idle_ms = 3, total_ms = 86_400_000 }}
        readiness = {{ unreachable_ms = 0, ready_ms = 5 }}
        warm_up = {{ path = "/w", method = "POST", content_type = "text/plain; charset=utf-8", body = "b\n", expect_status = 204, timeout_ms = 7 }}
        [deployment.version.main]
        backends = [
            {{ url = "http://A:1/base/", weight = 0 }},
            {{ url = "http://b", weight = 1000, protocol = "h2c" }},
        ]
        predict_path = "/p"
        stream_path = "/s"
        health_path = "/h"
        tails = ["/v1/", "v2/x"]
        [deployment.version.challenger]
        backends = [{{ url = "http://b" }}]
        sample = 1
        concurrency_max = 5
        queue_max = 6
        body_bytes_max = 7
        response_bytes_max = 8
        timeout_ms = 9
        predict_path = "/q"

        [[key]]
        secret = "{SECRET}"
        scope = "demo/iris"
        description = "load test"
        may_pin = true
        expires_at = 2030-01-01T00:00:00.5+01:00
        [[key]]
        id = "mine"
        digest = "{digest}"
        scope = "instance"
        expires_at = "2030-01-01T00:00:00Z"
        "#,
        digest = "ab".repeat(32),
    ));
    let iris = &read.deployments[0];
    assert_eq!(iris.display_name, "Iris, the flower");
    assert_eq!(iris.description, "two\nlines");
    assert_eq!(iris.tags, ["tabular", "é"]);
    assert_eq!(iris.access, Access::Public);
    assert_eq!(iris.keep_previous, 16);
    let version = &iris.version;
    let shown = serde_json::to_value(version).expect("JSON");
    assert_eq!(
        shown.to_string(),
        json!({
            "model": "iris-logreg:1.2",
            "parameters": {"z": 1, "a": [1.5, true, "s", "2020-01-01"], "deep": {"er": -1}},
            "input_example": {"rows": [[5.1, 3], [], "é"], "deep": {"er": false}},
            "output_example": "text",
            "notes": "n", "image": "i", "hardware": "h", "optimization": "o",
            "instances": 2, "arch": "a", "labels": {"team": "x"},
            "main": {
                "backends": [
                    {"url": "http://a:1/base", "weight": 0, "protocol": "http1"},
                    {"url": "http://b", "weight": 1000, "protocol": "h2c"},
                ],
                "predict_path": "/p", "stream_path": "/s", "health_path": "/h",
                "tails": ["v1", "v2/x"],
            },
            "challenger": {
                "backends": [{"url": "http://b", "weight": 1, "protocol": "http1"}],
                "predict_path": "/q", "stream_path": "/stream", "tails": "any",
                "sample": 1.0, "concurrency_max": 5, "queue_max": 6, "body_bytes_max": 7,
                "response_bytes_max": 8, "timeout_ms": 9,
            },
            "timeouts": {
                "connect_ms": 1, "first_byte_ms": 2, "idle_ms": 3, "total_ms": 86_400_000,
            },
            "readiness": {"unreachable_ms": 0, "ready_ms": 5},
            "warm_up": {
                "path": "/w", "method": "POST", "content_type": "text/plain; charset=utf-8",
                "body": "b\n", "expect_status": 204, "timeout_ms": 7,
            },
        })
        .to_string()
    );
    // What is shown can be sent again.
    assert_eq!(VersionSpec::from_json(&shown).as_ref(), Ok(version));

    let [first, second] = &read.keys[..] else {
        panic!("two keys")
    };
    assert_eq!(first.id, KeyId::new("k7"));
    assert_eq!(Ok(first.digest), KeyDigest::of_key(SECRET.as_bytes()));
    assert_eq!(first.scope.to_string(), "demo/iris");
    assert_eq!(
        (first.description.as_str(), first.may_pin),
        ("load test", true)
    );
    assert_eq!(first.expires_at_ms, Some(1_893_452_400_500));
    assert_eq!(second.id, KeyId::new("mine"));
    assert_eq!((&second.scope, second.may_pin), (&Scope::Instance, false));
    assert_eq!(second.expires_at_ms, Some(1_893_456_000_000));
}

#[test]
fn every_mistake_is_said_at_once_with_its_place() {
    let text = "\
[[deployment]]
project = 'Demo'
acess = 'x'
tags = ['a', 'a']
access = 'all'
[deployment.version]
main = { backends = [{ url = 'x', wight = 1 }], predict_path = 'p' }
timeouts.connect_ms = 0
[[deployment]]
project = 'demo'
name = 'a'
version.main.backends = []
[[key]]
scope = 'demo'
[[keys]]
";
    let expected = "\
d.toml:1:1: /deployment/0/name: is missing
d.toml:2:11: /deployment/0/project: \"Demo\" is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit
d.toml:3:1: /deployment/0/acess: is not known; did you mean \"access\"?
d.toml:4:14: /deployment/0/tags/1: \"a\" stands in this list already
d.toml:5:10: /deployment/0/access: \"all\" is none of keys, project, instance, public
d.toml:7:30: /deployment/0/version/main/backends/0/url: \"x\" is not a backend address: write http://host:port or https://host:port, with a path behind it if wanted
d.toml:7:35: /deployment/0/version/main/backends/0/wight: is not known; did you mean \"weight\"?
d.toml:7:64: /deployment/0/version/main/predict_path: \"p\": a path starts with a single /
d.toml:8:23: /deployment/0/version/timeouts/connect_ms: must be from 1 to 86400000
d.toml:12:25: /deployment/1/version/main/backends: a pool needs at least one backend
d.toml:13:1: /key/0/secret: is missing; a key has a secret or a digest
d.toml:15:3: /keys: is not known; did you mean \"key\"?";
    let mistakes = Declarations::from_toml(text).expect_err("mistakes");
    let shown = mistakes.in_file(Some("d.toml".as_ref())).to_string();
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn instants_in_every_spelling() {
    for text in [
        "2030-01-01T00:00:00Z",
        "2030-01-01T00:00Z",
        "2030-01-01 00:00:00Z",
        "2029-12-31T19:00:00.000-05:00",
        "'2030-01-01T00:00:00Z'",
        "'2030-01-01t00:00:00z'",
    ] {
        let key = format!("secret='{SECRET}'\nscope='demo'\nexpires_at={text}");
        let read = good(&with_key(&key));
        assert_eq!(
            read.keys[0].expires_at_ms,
            Some(1_893_456_000_000),
            "{text}"
        );
    }
}

#[test]
fn a_key_may_open_what_is_not_declared() {
    let read = good(&with_key(&format!("secret='{SECRET}'\nscope='no/where'")));
    assert_eq!(read.keys[0].scope.to_string(), "no/where");
}

#[test]
fn an_imported_key_with_an_overlong_id_gets_one_from_its_digest() {
    let secret = format!("wk_{}_{}", "i".repeat(65), "s".repeat(32));
    let read = good(&with_key(&format!("secret='{secret}'\nscope='demo'")));
    assert_eq!(read.keys[0].id, read.keys[0].digest.to_key_id());
}

#[test]
fn projects_and_tenants_are_read() {
    let read = good(
        "[[tenant]]\nname = 'retail'\ndescription = 'Shops'\n\
         [[project]]\nname = 'demo'\ntenant = 'retail'\ndescription = 'Tries'\n\
         [[project]]\nname = 'more'\n",
    );
    let name = |text| Name::parse(text).expect("a name");
    assert_eq!(
        read.tenants,
        [TenantSpec {
            name: name("retail"),
            description: "Shops".to_owned(),
        }]
    );
    assert_eq!(
        read.projects,
        [
            ProjectSpec {
                name: name("demo"),
                tenant: Some(name("retail")),
                description: "Tries".to_owned(),
            },
            ProjectSpec {
                name: name("more"),
                tenant: None,
                description: String::new(),
            },
        ]
    );
}

#[test]
fn a_flood_of_mistakes_is_counted_and_cut() {
    let text: String = (0..250).map(|i| format!("x{i} = 1\n")).collect();
    let mistakes = Declarations::from_toml(&text).expect_err("mistakes");
    assert_eq!((mistakes.list().len(), mistakes.count()), (100, 250));
    assert!(mistakes.to_string().ends_with("\nand 150 more"));
}

#[test]
fn json_is_read_under_the_same_rules() {
    let version = json!({"main": {"backends": [{"url": "http://m"}]}, "challenger": null,
                         "timeouts": {"idle_ms": 5}});
    let read = VersionSpec::from_json(&version).expect("good");
    assert_eq!(read.challenger, None);
    assert_eq!(
        read.timeouts,
        TimeoutsSpec {
            idle_ms: 5,
            ..TimeoutsSpec::default()
        }
    );
    assert_eq!(read.main.tails, Tails::Any);

    let project = Name::parse("demo").expect("a name");
    let body = json!({"name": "iris", "version": version});
    let inside = DeploymentSpec::from_json(Some(&project), &body).expect("good");
    assert_eq!(inside.name.as_str(), "demo/iris");
    let mistakes = DeploymentSpec::from_json(None, &body).expect_err("no project");
    assert_eq!(mistakes.to_string(), "/project: is missing");
    let other = json!({"project": "other", "name": "iris", "version": version, "x": 1});
    let mistakes = DeploymentSpec::from_json(Some(&project), &other).expect_err("another");
    assert_eq!(
        serde_json::to_value(mistakes.list()).expect("JSON"),
        json!([
            {"pointer": "/project", "words": "names other, but the address names demo"},
            {"pointer": "/x", "words": "is not known"},
        ])
    );
    for (json, words) in [
        (json!(null), "must be a table, not nothing"),
        (json!([]), "must be a table, not a list"),
        (json!({}), "/main: is missing"),
        (
            json!({"main": {"backends": [null]}}),
            "/main/backends/0: must be a table, not nothing",
        ),
        (
            json!({"main": {"backends": [{"url": "http://m", "weight": 1.5}]}}),
            "a whole number",
        ),
        (
            json!({"main": {"backends": [{"url": "http://m", "weight": u64::MAX}]}}),
            "0 to 1000",
        ),
    ] {
        let mistakes = VersionSpec::from_json(&json).expect_err("bad");
        assert!(mistakes.to_string().contains(words), "{mistakes}");
    }
}
