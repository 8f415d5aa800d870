//! Documents of deployments in every condition: each well formed, and true of what is declared.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::document::Described;
use crate::{
    admin::testing::World,
    base::name::DeploymentName,
    control::{Shown, access::Caller},
    spec::Declarations,
};

const PATH: &str = "GET /api/v1/projects/demo/deployments/iris/openapi.json";

/// Declared deployments are live at once.
async fn declared(world: &World, lines: &str) -> Shown {
    let text = format!(
        "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
         version.main.backends = [{{ url = 'http://127.0.0.1:1' }}]\n{lines}"
    );
    let declarations = Declarations::from_toml(&text).expect("declarations");
    let control = &world.plane.control;
    control.declare(declarations).await.expect("declared");
    let name = DeploymentName::parse("demo/iris").expect("a name");
    let shown = control.deployment(&Caller::root(), &name).await;
    shown.expect("it is there")
}

fn document(shown: &Shown, takes_later: bool) -> Value {
    let described = Described {
        shown,
        data_url: "https://models.example/",
        takes_later,
    };
    described.document()
}

/// What a value leads to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).expect(target),
        None => value,
    }
}

/// Holds a value against the part of JSON Schema that is used here.
fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(document, schema);
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let by_type = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(|own| own == kind),
        own => own == kind,
    };
    let by_items = value.as_array().is_none_or(|items| {
        let mut items = items.iter();
        schema
            .get("items")
            .is_none_or(|schema| items.all(|item| fits(document, schema, item)))
    });
    let by_members = value.as_object().is_none_or(|members| {
        let mut members = members.iter();
        members.all(|(name, member)| {
            let schema = schema["properties"].get(name);
            schema.is_none_or(|schema| fits(document, schema, member))
        })
    });
    by_type && by_items && by_members
}

/// Every reference leads somewhere, every part is led to, every operation has what it must.
fn check(document: &Value) {
    fn references<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(document, &mut found);
    for target in &found {
        assert!(document.pointer(&target[1..]).is_some(), "{target}");
    }
    for kind in ["schemas", "headers", "parameters"] {
        for name in document["components"][kind]
            .as_object()
            .into_iter()
            .flatten()
        {
            let target = format!("#/components/{kind}/{}", name.0);
            assert!(
                found.contains(target.as_str()),
                "{target} is led to by nothing"
            );
        }
    }
    assert_eq!(document["openapi"], "3.1.0");
    let texts = [
        "/info/title",
        "/info/version",
        "/info/description",
        "/servers/0/url",
    ];
    for text in texts {
        let text = document.pointer(text).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{text:?}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("an item").iter();
        for (method, operation) in methods.filter(|(method, _)| *method != "parameters") {
            let id = operation["operationId"].as_str().expect(path);
            assert!(ids.insert(id), "{id}");
            let responses = operation["responses"].as_object().expect(path);
            assert!(responses.contains_key("200"), "{method} {path}");
            for (status, response) in responses {
                let words = response["description"].as_str();
                assert!(
                    words.is_some_and(|words| !words.is_empty()),
                    "{path} {status}"
                );
            }
            for requirement in operation["security"].as_array().expect(path) {
                for scheme in requirement.as_object().expect("a table").keys() {
                    assert!(
                        document["components"]["securitySchemes"]
                            .get(scheme)
                            .is_some()
                    );
                }
            }
            let media = operation["requestBody"]["content"]
                .as_object()
                .into_iter()
                .flatten();
            let answers = responses
                .values()
                .filter_map(|own| own["content"].as_object());
            for (kind, media) in media.chain(answers.flatten()) {
                if let Some(example) = media.get("example") {
                    assert!(fits(document, &media["schema"], example), "{path} {kind}");
                }
            }
        }
    }
}

#[tokio::test]
async fn it_is_well_formed_whatever_is_declared() {
    let world = World::new().await;
    for lines in [
        "",
        "access = 'public'\ndescription = 'Irises'\nversion.model = 'iris:1'",
        "access = 'project'\nversion.input_example = { rows = [[5.1, 3], []], n = 1 }",
        "access = 'instance'\nversion.input_example = 'a'\nversion.output_example = [1, 'a', [true]]",
    ] {
        let shown = declared(&world, lines).await;
        for takes_later in [false, true] {
            let document = document(&shown, takes_later);
            check(&document);
            let paths: Vec<_> = document["paths"]
                .as_object()
                .expect("paths")
                .keys()
                .collect();
            let expected = [
                "/predict/demo/iris",
                "/stream/demo/iris",
                "/async/{id}",
                "/async/{id}/result",
                "/async/{id}/cancel",
            ];
            assert_eq!(
                paths,
                expected[..if takes_later { 5 } else { 2 }],
                "{lines}"
            );
            assert_eq!(document["servers"][0]["url"], "https://models.example");
            assert_eq!(
                document.to_string().contains("sync"),
                takes_later,
                "{document}"
            );
        }
    }
}

#[tokio::test]
async fn examples_and_what_follows_from_them_are_those_of_the_live_version() {
    let world = World::new().await;
    let shown = declared(
        &world,
        "version.input_example = { rows = [[5.1, 3]] }\nversion.output_example = ['setosa']",
    )
    .await;
    let with = document(&shown, true);
    let predict = &with["paths"]["/predict/demo/iris"]["post"];
    let input = &predict["requestBody"]["content"]["application/json"];
    assert_eq!(input["example"], json!({"rows": [[5.1, 3]]}));
    assert_eq!(
        *resolved(&with, &input["schema"]),
        json!({"type": "object", "properties": {"rows":
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}}})
    );
    let output = &predict["responses"]["200"]["content"]["application/json"];
    assert_eq!(output["example"], json!(["setosa"]));
    assert!(predict["responses"]["202"].is_object());
    // A model answers with any status, in its own form; weir's document of a request has one form.
    let kinds = |path: &str, method: &str| {
        let kinds = &with["paths"][path][method]["responses"]["404"]["content"];
        let kinds = kinds.as_object().expect("kinds").keys();
        kinds.map(String::as_str).collect::<Vec<_>>()
    };
    let both = ["application/problem+json", "*/*"];
    assert_eq!(kinds("/predict/demo/iris", "post"), both);
    assert_eq!(kinds("/async/{id}/result", "get"), both);
    assert_eq!(kinds("/async/{id}", "get"), both[..1]);
    let stream = &with["paths"]["/stream/demo/iris"]["post"];
    assert_eq!(stream["requestBody"], predict["requestBody"]);
    let kinds = stream["responses"]["200"]["content"]
        .as_object()
        .expect("kinds");
    assert_eq!(
        kinds.keys().collect::<Vec<_>>(),
        ["text/event-stream", "*/*"]
    );
    assert_eq!(with["info"]["version"], "iris_v1");

    let shown = declared(&world, "").await;
    let without = document(&shown, true);
    assert_eq!(without["info"]["version"], "iris_v2");
    assert!(!without.to_string().contains("OfModel"), "{without}");
    let predict = &without["paths"]["/predict/demo/iris"]["post"];
    assert_eq!(predict["requestBody"]["content"], json!({"*/*": {}}));
    assert_eq!(predict["responses"]["200"]["content"], json!({"*/*": {}}));
}

#[tokio::test]
async fn who_is_let_in_is_as_the_access_says() {
    let world = World::new().await;
    for (access, open, words) in [
        (
            "keys",
            false,
            "Its own API keys open it, and its project's.",
        ),
        ("project", false, "Any API key of its project opens it."),
        ("instance", false, "Any valid API key opens it."),
        ("public", true, "It needs no API key"),
    ] {
        let shown = declared(&world, &format!("access = '{access}'")).await;
        let document = document(&shown, true);
        let text = document["info"]["description"].as_str().expect("words");
        assert!(text.contains(words) && !text.contains("not live"), "{text}");
        for (path, open) in [
            ("/predict/demo/iris/post", open),
            ("/stream/demo/iris/post", open),
            ("/async/{id}/get", false),
            ("/async/{id}/result/get", false),
        ] {
            let (path, method) = path.rsplit_once('/').expect("both");
            let security = &document["paths"][path][method]["security"];
            let security = security.as_array().expect(path);
            assert_eq!(security.contains(&json!({})), open, "{access} {path}");
            assert!(security.contains(&json!({"bearer": []})), "{access} {path}");
            assert!(security.contains(&json!({"header": []})), "{access} {path}");
        }
    }
}

#[tokio::test]
async fn it_is_read_with_its_tag_also_of_what_is_not_live() {
    let world = World::new().await;
    let unknown = world.call(PATH, &[], "").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (404, "project_unknown")
    );
    declared(&world, "version.input_example = 1").await;
    let read = world.call(PATH, &[], "").await;
    assert_eq!(
        (read.status.as_u16(), read.header("content-type")),
        (200, "application/json")
    );
    check(&read.json());
    assert_eq!(read.json()["servers"][0]["url"], "http://127.0.0.1:8080");
    let tag = read.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    assert_eq!(world.call(PATH, &known, "").await.status, 304);
    declared(&world, "version.input_example = 2").await;
    assert_eq!(world.call(PATH, &known, "").await.status, 200);
    assert_eq!(
        world.call(&format!("{PATH}?x=1"), &[], "").await.status,
        400
    );

    let told = |reply: &crate::admin::testing::Reply| {
        let text = reply.json()["info"]["description"]
            .as_str()
            .expect("words")
            .to_owned();
        check(&reply.json());
        text
    };
    let stop = "POST /api/v1/projects/demo/deployments/iris/stop?wait=60";
    assert_eq!(world.call(stop, &[], "").await.status, 202);
    assert!(told(&world.call(PATH, &[], "").await).contains("It is stopped"));
    let made = json!({"name": "new", "version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]},
        "readiness": {"unreachable_ms": 0}}});
    let line = "POST /api/v1/projects/demo/deployments";
    assert_eq!(world.call(line, &[], &made.to_string()).await.status, 201);
    let new = world.call(&PATH.replace("iris", "new"), &[], "").await;
    assert!(told(&new).contains("It is not live"));
    assert_eq!(new.json()["info"]["version"], "none");
    let gone = "DELETE /api/v1/projects/demo/deployments/new?wait=60";
    assert_eq!(
        world.call(gone, &[], r#"{"reason": "over"}"#).await.status,
        202
    );
    let gone = world.call(&PATH.replace("iris", "new"), &[], "").await;
    assert!(told(&gone).contains("It was deleted"));
}
