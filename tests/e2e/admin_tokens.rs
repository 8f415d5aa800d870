//! Tokens give no more than their maker has, and end.

use serde_json::json;

use crate::{
    admin_people::{someone, world},
    support::{Backend, PATIENCE, Stop, at, eventually, problem, version, want},
};

#[test]
fn nobody_hands_out_more_than_they_have() {
    let backend = Backend::echo();
    let gateway = world(&backend);
    let api = gateway.api();
    let tenant_admin = someone(&api, "t", "tenant-admin", &json!({"tenant": "acme"}));
    let member = someone(&api, "m", "member", &json!({"projects": ["alpha"]}));
    for body in [
        json!({"name": "x", "role": "org-admin", "description": ""}),
        json!({"name": "x", "role": "tenant-admin", "tenant": "globex", "description": ""}),
        json!({"name": "x", "role": "member", "projects": ["gamma"], "description": ""}),
        json!({"name": "x", "role": "member", "projects": ["gamma"], "description": ""}),
    ] {
        problem(&[403, 404, 422], &tenant_admin.post("/tokens", &body));
        problem(&[403, 404, 422], &member.post("/tokens", &body));
    }
    // A new version of one's own may not be someone else's key: what a member makes is in its place.
    let made = member.post(
        "/projects/alpha/deployments?wait=15",
        &json!({"name": "mine", "version": version(&backend.url())}),
    );
    let made = want(201, &made);
    assert_eq!(made["task"]["status"], "done");
    let shown = member.show(&at("alpha/mine"));
    assert!(!shown["owner"].is_null(), "{shown}");
    let path = at("alpha/mine");
    want(200, &member.patch(&path, &json!({"description": "mine"})));
    member.key(&path, &json!({}));
    assert_eq!(member.deploy("alpha/mine", &version(&backend.url())), 2);
    want(
        202,
        &member.json(
            "DELETE",
            &format!("{path}?wait=15"),
            &[],
            &json!({"reason": "done"}),
        ),
    );
}

#[test]
fn tokens_end_when_they_are_revoked_or_their_time_is_over() {
    let backend = Backend::echo();
    let mut gateway = world(&backend);
    let api = gateway.api();
    let (id, secret) =
        api.token(&json!({"name": "ci", "role": "viewer", "tenant": "acme", "description": ""}));
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1_000);
    let (_, short) = api.token(
        &json!({"name": "short", "role": "org-admin", "description": "",
        "expires_at": soon.to_string()}),
    );
    let list = json!(api.list("/tokens")).to_string();
    assert!(list.contains(&id));
    for secret in [&secret, &short] {
        assert!(!list.contains(secret.as_str()));
        assert!(!list.contains(blake3::hash(secret.as_bytes()).to_hex().as_str()));
    }
    want(200, &api.with_token(&secret).get(&at("alpha/one")));
    let revoked = api.poke(&format!("/tokens/{id}/revoke"));
    assert!(matches!(revoked.status, 200 | 204), "{}", revoked.text());
    let answer = api.with_token(&secret).get(&at("alpha/one"));
    problem(&[401], &answer);
    eventually(PATIENCE, "the short one ends", || {
        api.with_token(&short).get("/status").status == 401
    });
    assert!(jiff::Timestamp::now() >= soon, "too early");
    gateway.restart(Stop::Kill);
    let api = gateway.api();
    for dead in [&secret, &short, &format!("{secret}x"), &String::new()] {
        problem(&[401], &api.with_token(dead).get("/status"));
    }
    problem(&[401], &api.nobody().get("/status"));
    want(200, &api.get("/status"));
    for bad in [
        json!({"name": "x", "role": "king", "description": ""}),
        json!({"name": "x", "description": ""}),
        json!({"name": "x", "role": "tenant-admin", "description": ""}),
        json!({"name": "x", "role": "member", "tenant": "none", "description": ""}),
    ] {
        problem(&[400, 404, 422], &api.post("/tokens", &bad));
    }
}
