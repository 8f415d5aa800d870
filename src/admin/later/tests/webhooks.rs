//! A deployment's webhook and its secret.

use super::*;

const SECRET: &str = "whsec_demo/iris.1.0";

#[tokio::test]
async fn a_webhook_is_set_shown_and_cleared() {
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let (get, put) = (format!("GET {IRIS}/webhook"), format!("PUT {IRIS}/webhook"));
    let before = world.call(&get, &[], "").await;
    assert_eq!(before.json(), json!({"url": null, "secret": SECRET}));
    let tag = before.header("etag").to_owned();
    let known = world.call(&get, &[("if-none-match", &tag)], "").await;
    assert_eq!(known.status, 304);
    let url = r#"{"url": "https://hooks.example/a"}"#;
    let tried = world.call(&format!("{put}?dry_run=true"), &[], url).await;
    assert_eq!(tried.json()["url"], "https://hooks.example/a");
    assert_eq!(world.call(&get, &[], "").await.json()["url"], Value::Null);
    let stale = [("if-match", "\"r1\"")];
    assert_eq!(world.call(&put, &stale, url).await.status, 412);
    let set = world.call(&put, &[("if-match", &tag)], url).await;
    let expected = json!({"url": "https://hooks.example/a", "secret": SECRET});
    assert_eq!((set.status.as_u16(), set.json()), (200, expected.clone()));
    assert!(!set.header("x-config-epoch").is_empty());
    let read = world.call(&get, &[], "").await;
    assert_eq!(read.json(), expected);
    assert_ne!(read.header("etag"), tag);
    let cleared = world.call(&format!("DELETE {IRIS}/webhook"), &[], "").await;
    assert_eq!((cleared.status.as_u16(), cleared.body.len()), (204, 0));
    assert_eq!(world.call(&get, &[], "").await.json()["url"], Value::Null);
    let told = history(&world).await;
    let actions: Vec<_> = told[..2].iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["webhook-edit", "webhook-edit"]);
}

#[tokio::test]
async fn an_address_where_nobody_may_be_told_is_a_mistake_with_its_place() {
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let long = format!(
        r#"{{"url": "https://hooks.example/{}"}}"#,
        "a".repeat(2_048)
    );
    for body in [
        r#"{"url": "http://user:hunter2@169.254.169.254/"}"#,
        r#"{"url": ""}"#,
        r#"{"url": null}"#,
        r#"{"url": 1}"#,
        r#"{}"#,
        r#"{"url": "https://hooks.example/a", "secret": "hunter2"}"#,
        &long,
    ] {
        let reply = world.call(&format!("PUT {IRIS}/webhook"), &[], body).await;
        assert_eq!(outcome(&reply), (422, "invalid_fields".into()), "{body}");
        let shown = reply.json();
        let pointer = shown["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(matches!(pointer, "/url" | "/secret"), "{shown}");
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
    }
    let read = world.call(&format!("GET {IRIS}/webhook"), &[], "").await;
    assert_eq!(read.json()["url"], Value::Null);
}

#[tokio::test]
async fn a_secret_is_replaced_and_only_owner_and_admins_see_it() {
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let bearer = bearer(&world, "ann", "member").await;
    let ann = [("authorization", bearer.as_str())];
    let rotate = format!("POST {IRIS}/webhook/rotate");
    let tried = world.call(&format!("{rotate}?dry_run=true"), &[], "").await;
    assert_eq!(
        tried.json(),
        json!({"dry_run": true, "url": null, "secret": null})
    );
    let mine = world.call(&rotate, &[], r#"{"reason": "leaked"}"#).await;
    assert_eq!(mine.json()["secret"], "whsec_demo/iris.1.1");
    let theirs = world.call(&rotate, &ann, "").await;
    assert_eq!(
        (theirs.status.as_u16(), &theirs.json()["secret"]),
        (200, &Value::Null)
    );
    let get = format!("GET {IRIS}/webhook");
    assert_eq!(
        world.call(&get, &ann, "").await.json()["secret"],
        Value::Null
    );
    let read = world.call(&get, &[], "").await;
    assert_eq!(read.json()["secret"], "whsec_demo/iris.1.2");
    let told = history(&world).await;
    assert_eq!(
        (&told[1]["action"], &told[1]["reason"]),
        (&json!("webhook-rotate"), &json!("leaked"))
    );
    assert!(!json!(told).to_string().contains("whsec_"));
    // One who owns a deployment sees its secret.
    let own =
        r#"{"name": "own", "version": {"main": {"backends": [{"url": "http://127.0.0.1:1"}]}}}"#;
    let made = world
        .call("POST /api/v1/projects/demo/deployments", &ann, own)
        .await;
    assert_eq!(made.status, 201);
    let get = get.replace("iris", "own");
    let read = world.call(&get, &ann, "").await;
    assert_eq!(read.json()["secret"], "whsec_demo/own.1.0");
}
