//! A share opens one deployment to another project or tenant, and closing it shuts the door at once.

use serde_json::json;

use crate::support::{Backend, Gateway, Stop, admin, at, problem, version, want};

#[test]
fn a_share_opens_one_door_and_closing_it_shuts_it() {
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    for tenant in ["acme", "globex"] {
        want(201, &api.post("/tenants", &json!({"name": tenant})));
    }
    for (project, tenant) in [("alpha", "acme"), ("beta", "acme"), ("gamma", "globex")] {
        want(
            201,
            &api.post("/projects", &json!({"name": project, "tenant": tenant})),
        );
    }
    for name in ["alpha/one", "gamma/three", "gamma/four"] {
        api.create(name, &version(&backend.url()));
    }
    let token = |project: &str| {
        let body =
            json!({"name": project, "role": "member", "projects": [project], "description": ""});
        api.token(&body).1
    };
    let (member, sister) = (token("alpha"), token("beta"));
    let (_, key) = api.key("/projects/alpha", &json!({}));
    let (_, beta) = api.key("/projects/beta", &json!({}));
    let (_, narrow) = api.key(&at("alpha/one"), &json!({}));
    let calls = |gateway: &Gateway| {
        let status = |key: &str, name: &str| {
            let line = format!("POST /predict/{name}");
            gateway.call(&line, &[("x-api-key", key)], b"").status
        };
        [
            status(&key, "gamma/three"),
            status(&beta, "gamma/three"),
            status(&key, "gamma/four"),
            status(&narrow, "gamma/three"),
        ]
    };
    let reads = |gateway: &Gateway| {
        [&member, &sister].map(|t| gateway.api().with_token(t).get(&at("gamma/three")).status)
    };
    let shut = ([403, 403, 403, 403], [403, 403]);
    assert_eq!((calls(&gateway), reads(&gateway)), shut);
    let shares = format!("{}/shares", at("gamma/three"));
    for (round, (body, open)) in [
        (
            json!({"project": "alpha"}),
            ([200, 403, 403, 403], [200, 403]),
        ),
        (
            json!({"tenant": "acme"}),
            ([200, 200, 403, 403], [200, 200]),
        ),
        (
            json!({"project": "alpha"}),
            ([200, 403, 403, 403], [200, 403]),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let api = gateway.api();
        let answer = api.post(&shares, &body);
        let made = want(201, &answer);
        admin::epoch_of(&answer);
        assert_eq!((calls(&gateway), reads(&gateway)), open, "{body}");
        let again = api.post(&shares, &body);
        assert!(matches!(again.status, 200 | 201 | 409), "{}", again.text());
        let member = api.with_token(&member);
        for answer in [
            member.patch(&at("gamma/three"), &json!({"description": "x"})),
            member.poke(&format!("{}/stop", at("gamma/three"))),
            member.post(&format!("{}/keys", at("gamma/three")), &json!({})),
        ] {
            assert_eq!(
                problem(&[403], &answer),
                "forbidden",
                "it is for reading and calling"
            );
        }
        if round == 0 {
            gateway.restart(Stop::Kill);
            assert_eq!((calls(&gateway), reads(&gateway)), open, "after a restart");
        }
        let api = gateway.api();
        let listed = api.list(&shares);
        assert_eq!(listed.len(), 1, "{listed:?}");
        let id = admin::text(&made["id"]);
        let gone = api.delete(&format!("{shares}/{id}"));
        assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
        assert_eq!((calls(&gateway), reads(&gateway)), shut, "closed");
        assert_eq!(
            problem(&[404], &api.delete(&format!("{shares}/{id}"))),
            "share_unknown"
        );
    }
    let api = gateway.api();
    for bad in [
        json!({}),
        json!({"project": "alpha", "tenant": "acme"}),
        json!({"project": "none"}),
        json!({"tenant": "none"}),
        json!({"user": "x"}),
    ] {
        problem(&[400, 404, 422], &api.post(&shares, &bad));
    }
    assert_eq!((calls(&gateway), reads(&gateway)), shut);
}
