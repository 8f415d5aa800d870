//! What `weir apply` and `weir export` stand on: all deployments in one list, deployments without a
//! First Key, keys by digest and under given ids.

use super::*;

const MORE: &str = "/api/v1/projects/more/deployments";

/// A token of this role and reach.
async fn token(world: &World, body: Value) -> String {
    let made = world
        .call("POST /api/v1/tokens", &[], &body.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.json());
    let secret = made.json()["secret"]
        .as_str()
        .expect("shown once")
        .to_owned();
    format!("Bearer {secret}")
}

async fn make(world: &World, path: &str, body: Value) -> Value {
    let mut whole = json!({"version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]},
        "readiness": {"unreachable_ms": 0}}});
    for (name, value) in body.as_object().expect("a table") {
        whole[name] = value.clone();
    }
    let made = world
        .call(&format!("POST {path}"), &[], &whole.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()
}

/// The names of a list, all of its pages joined.
async fn names(world: &World, query: &str, bearer: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let line = format!("GET /api/v1/deployments?{query}{cursor}");
        let reply = world.call(&line, &[("authorization", bearer)], "").await;
        assert_eq!(reply.status, 200, "{line}: {}", reply.json());
        let page = reply.json();
        for item in page["items"].as_array().expect("items") {
            let half = |name: &str| item[name].as_str().expect("a name").to_owned();
            names.push(format!("{}/{}", half("project"), half("name")));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn one_list_has_all_deployments_that_the_caller_sees() {
    let world = world().await;
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "more"}"#)
        .await;
    assert_eq!(made.status, 201);
    // `-` sorts before `/`.
    let made = world
        .call("POST /api/v1/projects", &[], r#"{"name": "demo-a"}"#)
        .await;
    assert_eq!(made.status, 201);
    for (path, body) in [
        (MORE, json!({"name": "b", "tags": ["x"]})),
        (MORE, json!({"name": "a", "description": "Irises"})),
        (DEPLOYMENTS, json!({"name": "iris", "tags": ["x", "y"]})),
        ("/api/v1/projects/demo-a/deployments", json!({"name": "z"})),
    ] {
        make(&world, path, body).await;
    }
    let root = format!("Bearer {}", crate::admin::testing::TOKEN);
    let all = ["demo-a/z", "demo/iris", "more/a", "more/b"];
    for limit in 1..=5 {
        assert_eq!(
            names(&world, &format!("limit={limit}"), &root).await,
            all,
            "{limit}"
        );
    }
    for (query, expected) in [
        ("tag=x", &["demo/iris", "more/b"][..]),
        ("tag=x&limit=1", &["demo/iris", "more/b"]),
        ("tag=x&q=MORE", &["more/b"]),
        ("q=iris", &["demo/iris", "more/a"]),
        ("q=more/", &["more/a", "more/b"]),
        ("state=live", &[]),
        ("state=deleted", &[]),
        ("tag=nobody", &[]),
    ] {
        assert_eq!(names(&world, query, &root).await, expected, "{query}");
    }
    let ann = json!({"name": "ann", "role": "member", "projects": ["demo"]});
    let ann = token(&world, ann).await;
    assert_eq!(names(&world, "limit=1", &ann).await, ["demo/iris"]);
    let shared = world
        .call(
            &format!("POST {MORE}/a/shares"),
            &[],
            r#"{"project": "demo"}"#,
        )
        .await;
    assert_eq!(shared.status, 201, "{}", shared.json());
    assert_eq!(
        names(&world, "limit=1", &ann).await,
        ["demo/iris", "more/a"]
    );
    // An item is what the project's own list shows.
    let own = world
        .call(&format!("GET {MORE}?q=irises"), &[], "")
        .await
        .json();
    let one = world
        .call("GET /api/v1/deployments?q=irises", &[], "")
        .await
        .json();
    assert_eq!(
        (&own["items"], own["items"][0]["name"].as_str()),
        (&one["items"], Some("a"))
    );
    // A cursor of a project's list is none of this one.
    let cursor = crate::control::Page::cursor("iris");
    for bad in [
        "state=gone",
        "q=",
        "limit=0",
        "cursor=x",
        &format!("cursor={cursor}"),
    ] {
        let reply = world
            .call(&format!("GET /api/v1/deployments?{bad}"), &[], "")
            .await;
        assert_eq!(reply.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn deleted_ones_are_listed_when_asked_for() {
    let world = world().await;
    for name in ["a", "b", "c"] {
        make(&world, DEPLOYMENTS, json!({"name": name, "tags": ["t"]})).await;
    }
    for name in ["a", "c"] {
        let path = format!("DELETE {DEPLOYMENTS}/{name}?wait=60");
        let gone = world.call(&path, &[], r#"{"reason": "over"}"#).await;
        assert_eq!(gone.json()["task"]["status"], "done", "{}", gone.json());
    }
    let root = format!("Bearer {}", crate::admin::testing::TOKEN);
    assert_eq!(names(&world, "limit=1", &root).await, ["demo/b"]);
    for query in [
        "state=deleted&limit=1",
        "state=deleted&tag=t",
        "state=deleted&q=demo/",
    ] {
        assert_eq!(
            names(&world, query, &root).await,
            ["demo/a", "demo/c"],
            "{query}"
        );
    }
    let own = world
        .call(&format!("GET {DEPLOYMENTS}?state=deleted"), &[], "")
        .await
        .json();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(2), "{own}");
}

#[tokio::test]
async fn a_deployment_can_be_made_without_a_first_key() {
    let world = world().await;
    let mut body: Value = serde_json::from_str(&iris()).expect("JSON");
    body["first_key"] = json!(false);
    let line = format!("POST {DEPLOYMENTS}");
    let tried = world
        .call(&format!("{line}?dry_run=true"), &[], &body.to_string())
        .await;
    assert_eq!(
        (tried.status.as_u16(), &tried.json()["first_key"]),
        (200, &Value::Null)
    );
    let id = [("idempotency-key", "one")];
    let made = world.call(&line, &id, &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let shown = made.json();
    assert!(
        shown
            .as_object()
            .is_some_and(|shown| shown.contains_key("first_key"))
    );
    assert_eq!(shown["first_key"], Value::Null);
    let keys = world
        .call(&format!("GET {IRIS}/keys"), &[], "")
        .await
        .json();
    assert_eq!(keys["items"], json!([]));
    // The same request is answered with the same task; with a key it is another one.
    let again = world.call(&line, &id, &body.to_string()).await;
    assert_eq!(again.status, 201);
    assert_eq!(again.json()["task"]["id"], shown["task"]["id"]);
    let other = world.call(&line, &id, &iris()).await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (422, "idempotency_mismatch")
    );
    // To say what holds anyway says nothing new.
    let id = [("idempotency-key", "two")];
    let mut text: Value = serde_json::from_str(&iris()).expect("JSON");
    text["name"] = json!("text");
    let first = world.call(&line, &id, &text.to_string()).await;
    assert!(
        first.json()["first_key"]["secret"].is_string(),
        "{}",
        first.json()
    );
    text["first_key"] = json!(true);
    let again = world.call(&line, &id, &text.to_string()).await;
    assert_eq!(again.status, 201, "{}", again.json());
    assert_eq!(again.json()["task"]["id"], first.json()["task"]["id"]);
    let keys = world
        .call(&format!("GET {DEPLOYMENTS}/text/keys"), &[], "")
        .await
        .json();
    assert_eq!(keys["items"].as_array().map(Vec::len), Some(1), "{keys}");
}

/// Where keys are mounted, and what they open there.
const MOUNTS: [(&str, &str); 3] = [
    ("/api/v1/keys", "instance"),
    ("/api/v1/projects/demo/keys", "demo"),
    ("/api/v1/projects/demo/deployments/iris/keys", "demo/iris"),
];

#[tokio::test]
async fn a_key_comes_by_its_digest_and_opens_what_it_says() {
    let (world, _) = with_iris().await;
    for (path, scope) in MOUNTS {
        let secret = format!("a-secret-of-its-owner-{scope}");
        let digest = blake3::hash(secret.as_bytes()).to_hex().to_string();
        let id = format!("shop_1-{}", scope.len());
        let body = json!({"digest": digest, "id": id, "description": "shop"}).to_string();
        let tried = world
            .call(&format!("POST {path}?dry_run=true"), &[], &body)
            .await;
        assert_eq!(tried.status, 200, "{}", tried.json());
        let made = world.call(&format!("POST {path}"), &[], &body).await;
        assert_eq!(made.status, 201, "{}", made.json());
        let shown = made.json();
        assert_eq!(
            (
                &shown["id"],
                &shown["scope"],
                &shown["secret"],
                &shown["revealable"]
            ),
            (&json!(id), &json!(scope), &Value::Null, &json!(false))
        );
        assert_eq!(made.header("location"), format!("{path}/{id}"));
        let parsed = crate::base::secret::KeyDigest::from_hex(&digest).expect("a digest");
        let principal = world.current.keys().get(&parsed).expect("in force");
        assert_eq!(principal.id().as_str(), id);
        // The same value again, as itself or by its digest, whatever its id.
        for body in [
            json!({"secret": secret}),
            json!({"digest": digest}),
            json!({"digest": digest.to_uppercase(), "id": "other"}),
        ] {
            let refused = world
                .call(&format!("POST {path}"), &[], &body.to_string())
                .await;
            assert_eq!(
                (refused.status.as_u16(), refused.code().as_str()),
                (409, "exists")
            );
        }
    }
}

#[tokio::test]
async fn an_id_is_given_once() {
    let (world, _) = with_iris().await;
    for (path, scope) in MOUNTS {
        let line = format!("POST {path}");
        // With a drawn secret, which carries what it can of the id.
        let body = r#"{"id": "shop_1"}"#;
        let made = world.call(&line, &[], body).await;
        assert_eq!(made.status, 201, "{}", made.json());
        let secret = made.json()["secret"]
            .as_str()
            .expect("shown once")
            .to_owned();
        assert!(secret.starts_with("wk_shop1_"), "{secret}");
        for dry_run in ["", "?dry_run=true"] {
            let taken = world.call(&format!("{line}{dry_run}"), &[], body).await;
            assert_eq!(
                (taken.status.as_u16(), taken.code().as_str()),
                (409, "exists")
            );
            let words = taken.json()["detail"].as_str().expect("words").to_owned();
            assert_eq!(
                words,
                format!("the id shop_1 is that of another key of {scope}")
            );
        }
        let revoked = world
            .call(&format!("POST {path}/shop_1/revoke"), &[], "")
            .await;
        assert_eq!(revoked.status, 200, "{}", revoked.json());
        let back = world.call(&line, &[], body).await;
        assert_eq!(
            (back.status.as_u16(), back.code().as_str()),
            (409, "exists")
        );
        let words = back.json()["detail"].as_str().expect("words").to_owned();
        assert!(words.contains("revoked, and never comes back"), "{words}");
        for marks in ["_", "-_-"] {
            let body = json!({"id": marks}).to_string();
            let made = world.call(&line, &[], &body).await;
            assert_eq!(
                (made.status.as_u16(), &made.json()["id"]),
                (201, &json!(marks))
            );
        }
    }
}

#[tokio::test]
async fn the_digest_of_an_admin_token_is_no_key() {
    let world = world().await;
    world
        .plane
        .control
        .reserve(crate::admin::testing::TOKEN)
        .await
        .expect("no key");
    let ann = json!({"name": "ann", "role": "viewer"});
    let ann = token(&world, ann).await;
    let ann = ann.trim_start_matches("Bearer ");
    for token in [ann, crate::admin::testing::TOKEN] {
        let digest = blake3::hash(token.as_bytes()).to_hex().to_string();
        for body in [json!({"digest": digest}), json!({"secret": token})] {
            let refused = world
                .call("POST /api/v1/keys", &[], &body.to_string())
                .await;
            assert_eq!(
                (refused.status.as_u16(), refused.code().as_str()),
                (409, "exists")
            );
            let words = refused.json()["detail"].as_str().expect("words").to_owned();
            assert!(words.contains("admin token"), "{words}");
        }
    }
}

#[tokio::test]
async fn digests_are_listed_for_those_who_make_keys_there() {
    let (world, created) = with_iris().await;
    let secret = created.json()["first_key"]["secret"]
        .as_str()
        .expect("shown")
        .to_owned();
    let digest = blake3::hash(secret.as_bytes()).to_hex().to_string();
    let body = |role: &str| json!({"name": role, "role": role, "projects": ["demo"]});
    let viewer = token(&world, body("viewer")).await;
    let member = token(&world, body("member")).await;
    for (path, scope) in MOUNTS {
        let made = world.call(&format!("POST {path}"), &[], "{}").await;
        assert_eq!(made.status, 201);
        for (bearer, plain, with_digest) in [(&viewer, 200, 403), (&member, 200, 200)] {
            let headers = [("authorization", bearer.as_str())];
            let of_instance = scope == "instance";
            for (query, status) in [
                ("", plain),
                ("?digest=false", plain),
                ("?digest=true", with_digest),
            ] {
                let status = if of_instance { 403 } else { status };
                let reply = world
                    .call(&format!("GET {path}{query}"), &headers, "")
                    .await;
                assert_eq!(reply.status, status, "{path}{query}");
                if status == 200 {
                    for item in reply.json()["items"].as_array().expect("items") {
                        assert_eq!(
                            item.get("digest").is_some(),
                            query == "?digest=true",
                            "{item}"
                        );
                    }
                }
            }
        }
        let root = world
            .call(&format!("GET {path}?digest=true"), &[], "")
            .await
            .json();
        let shown = root["items"][0]["digest"].as_str().expect("a digest");
        assert_eq!(shown.len(), 64);
        assert_eq!(shown == digest, scope == "demo/iris", "{root}");
        let one = world
            .call(&format!("GET {path}?digest=maybe"), &[], "")
            .await;
        assert_eq!(one.status, 400);
    }
}
