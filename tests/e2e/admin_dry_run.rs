//! A dry run answers what would be, and changes nothing.

use serde_json::{Value, json};

use crate::{
    admin_mistakes::pointers,
    support::{Backend, Gateway, admin, at, post, problem, version, want},
};

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let mut challenged = version(&backend.url());
    challenged["challenger"] = json!({"backends": [{"url": backend.url()}]});
    let made = api.create("demo/iris", &version(&backend.url()));
    api.deploy("demo/iris", &challenged);
    let (id, secret) = api.key(&at("demo/iris"), &json!({"description": "k"}));
    let (token, token_secret) =
        api.token(&json!({"name": "t", "role": "viewer", "tenant": "default", "description": ""}));
    let share = {
        api.project("other");
        api.project("spare");
        want(201, &api.post("/tenants", &json!({"name": "acme"})));
        let share = json!({"project": "other"});
        admin::text(
            &want(
                201,
                &api.post(&format!("{}/shares", at("demo/iris")), &share),
            )["id"],
        )
    };
    let world = || -> Vec<String> {
        [
            "/projects",
            "/tenants",
            "/tokens",
            "/tasks",
            "/keys",
            "/projects/demo/keys",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(
            ["", "/versions", "/history", "/keys", "/shares"]
                .map(|p| format!("{}{p}", at("demo/iris"))),
        )
        .map(|path| {
            let text = api.show(&path).to_string();
            assert!(!text.contains(&secret));
            text
        })
        .collect()
    };
    let before = world();
    let epoch = gateway.epoch();
    let d = at("demo/iris");
    for (method, path, body) in [
        ("POST", "/projects".to_owned(), json!({"name": "more"})),
        ("POST", "/tenants".to_owned(), json!({"name": "more"})),
        (
            "POST",
            "/tokens".to_owned(),
            json!({"name": "more", "role": "org-admin", "description": ""}),
        ),
        ("POST", format!("/tokens/{token}/revoke"), Value::Null),
        (
            "POST",
            "/projects/demo/deployments".to_owned(),
            json!({"name": "more", "version": version(&backend.url())}),
        ),
        ("DELETE", "/projects/spare".to_owned(), Value::Null),
        (
            "PATCH",
            d.clone(),
            json!({"description": "changed", "access": "public"}),
        ),
        ("DELETE", d.clone(), json!({"reason": "r"})),
        ("POST", format!("{d}/versions"), version(&backend.url())),
        ("DELETE", format!("{d}/versions/1"), Value::Null),
        ("POST", format!("{d}/rollback"), json!({})),
        ("POST", format!("{d}/promote"), Value::Null),
        ("POST", format!("{d}/stop"), Value::Null),
        ("POST", format!("{d}/restart"), Value::Null),
        ("POST", format!("{d}/keys"), json!({"description": "more"})),
        (
            "PATCH",
            format!("{d}/keys/{id}"),
            json!({"description": "changed"}),
        ),
        ("POST", format!("{d}/keys/{id}/revoke"), Value::Null),
        ("POST", "/projects/demo/keys".to_owned(), json!({})),
        ("POST", "/keys".to_owned(), json!({})),
        ("POST", format!("{d}/shares"), json!({"tenant": "acme"})),
        ("DELETE", format!("{d}/shares/{share}"), Value::Null),
        ("PUT", format!("{d}/readme"), json!({"text": "changed"})),
    ] {
        let answer = api.verb(method, &format!("{path}?dry_run=true"), &body);
        let said = want(200, &answer);
        assert_eq!(said["dry_run"], true, "{method} {path}: {said}");
        assert!(
            !said.to_string().contains("\"secret\":\""),
            "{method} {path} gives out a secret"
        );
        assert_eq!(world(), before, "{method} {path} changed something");
    }
    assert!(
        (gateway.epoch() - epoch).abs() < 0.5,
        "nothing was published"
    );
    assert!(api.get(&format!("{d}/readme")).text() != "changed");
    assert_eq!(
        gateway.call(&post(), &[("x-api-key", &secret)], b"").status,
        200
    );
    assert_eq!(gateway.call(&post(), &[], b"").status, 401);
    want(200, &api.with_token(&token_secret).get("/status"));
    // It finds what the real one would.
    let taken = json!({"name": "iris", "version": version(&backend.url())});
    let answer = api.post("/projects/demo/deployments?dry_run=true", &taken);
    assert_eq!(problem(&[409], &answer), "exists");
    let bad = api.post(
        &format!("{d}/versions?dry_run=true"),
        &json!({"main": {"backends": []}}),
    );
    assert!(!pointers(&bad).is_empty());
    assert_eq!(api.deploy("demo/iris", &version(&backend.url())), 3);
    assert_eq!(
        gateway
            .call(&post(), &[("x-api-key", &made.secret)], b"")
            .status,
        200
    );
}
