//! Who may read a secret again, and where it is good for nothing.

use serde_json::{Value, json};

use crate::support::{
    Backend, Gateway, Stop, admin, at, gateway::ADMIN_TOKEN, post, problem, version, want,
};

const IMPORTED: &str = "sk-imported:any-visible-ascii/~!";
const SEALING: &str = "6b0f5d5c1e2a39485766758493a2b1c0d0e1f2031425364758697a8b9cadbecf";

#[test]
fn a_secret_is_read_again_only_when_the_operator_says_so() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare()
        .env("WEIR_KEYS_REVEAL", "true")
        .env("WEIR_KEYS_SEALING_KEY", SEALING)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let (id, secret) = api.key(&at("demo/iris"), &json!({"description": "read again"}));
    let (import_id, _) = {
        let body = json!({"secret": IMPORTED});
        let key = want(201, &api.post(&format!("{}/keys", at("demo/iris")), &body));
        (admin::text(&key["id"]), ())
    };
    let path = |id: &str| format!("{}/keys/{id}/reveal", at("demo/iris"));
    gateway.restart(Stop::Kill);
    let api = gateway.api();
    for (id, secret) in [
        (&id, &secret),
        (&made.key_id, &made.secret),
        (&import_id, &IMPORTED.to_owned()),
    ] {
        assert_eq!(want(200, &api.poke(&path(id)))["secret"], **secret);
    }
    let viewer = json!({"name": "eyes", "role": "viewer", "projects": ["demo"], "description": ""});
    let (_, viewer) = api.token(&viewer);
    assert_eq!(
        problem(&[403], &api.with_token(&viewer).poke(&path(&id))),
        "forbidden"
    );
    let history = json!(api.list(&format!("{}/history", at("demo/iris")))).to_string();
    assert!(
        history.contains("reveal"),
        "every reveal is in the history: {history}"
    );
    assert!(!history.contains(&secret));
    want(
        200,
        &api.poke(&format!("{}/keys/{id}/revoke", at("demo/iris"))),
    );
    let after = api.poke(&path(&id));
    assert!(matches!(after.status, 200 | 409), "{}", after.text());
    assert_eq!(
        gateway.call(&post(), &[("x-api-key", &secret)], b"").status,
        401
    );

    let plain = Gateway::bare().start();
    let api = plain.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    assert_eq!(
        problem(&[409], &api.poke(&path(&made.key_id))),
        "reveal_off"
    );
}

#[test]
fn each_plane_knows_its_own_secrets_only() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let (_, instance) = api.key("", &json!({}));
    let (_, token) = api.token(&json!({"name": "ci", "role": "org-admin", "description": ""}));
    for key in [&made.secret, &instance] {
        for line in [
            "GET /api/v1/status",
            "GET /api/v1/projects",
            "POST /api/v1/tokens",
        ] {
            let bearer = format!("Bearer {key}");
            let answer = api.send(line, &[("authorization", &bearer)], b"");
            problem(&[401], &answer);
            assert_eq!(answer.get("www-authenticate").as_deref(), Some("Bearer"));
        }
    }
    for token in [token.as_str(), ADMIN_TOKEN] {
        let bearer = format!("Bearer {token}");
        for header in [
            ("authorization", bearer.as_str()),
            ("x-api-key", token),
            ("key", token),
        ] {
            assert_eq!(
                gateway.call(&post(), &[header], b"").status,
                401,
                "{}",
                header.0
            );
        }
    }
    want(200, &api.with_token(&token).get("/status"));
    // The token's header is Authorization and nothing else.
    for header in [
        ("x-api-key", ADMIN_TOKEN),
        ("key", ADMIN_TOKEN),
        ("cookie", ADMIN_TOKEN),
    ] {
        let answer = api.nobody().send("GET /api/v1/status", &[header], b"");
        problem(&[401], &answer);
    }
    let query = format!("GET /api/v1/status?access_token={ADMIN_TOKEN}");
    problem(&[401], &api.nobody().send(&query, &[], b""));
    let value: Value = api.show("/status");
    assert!(value.is_object());
}
