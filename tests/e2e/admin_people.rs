//! Who may do what: every role against every verb and every place.

use serde_json::{Value, json};

use crate::support::{Admin, Backend, Gateway, admin, at, problem, version, want};

/// What a cell of the matrix may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Allowed, whatever that answers below 300.
    Yes,
    /// 403, and nothing said about what is there.
    No,
    /// 404: it is the caller's own place, and empty.
    Gone,
    /// What somebody else made in the caller's project: allowed, or kept to its owner.
    Either,
}

use May::{Either, Gone, No, Yes};

/// Two tenants, three projects, a deployment in each.
pub(crate) fn world(backend: &Backend) -> Gateway {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    for tenant in ["acme", "globex"] {
        want(201, &api.post("/tenants", &json!({"name": tenant})));
    }
    for (project, tenant) in [
        ("alpha", "acme"),
        ("beta", "acme"),
        ("delta", "acme"),
        ("gamma", "globex"),
    ] {
        want(
            201,
            &api.post("/projects", &json!({"name": project, "tenant": tenant})),
        );
    }
    for name in ["alpha/one", "beta/two", "gamma/three"] {
        api.create(name, &version(&backend.url()));
    }
    gateway
}

pub(crate) fn someone(api: &Admin, name: &str, role: &str, place: &Value) -> Admin {
    let mut body = json!({"name": name, "role": role, "description": "for the matrix"});
    let place = place.as_object().unwrap();
    for (member, value) in place {
        // Whoever names projects names no tenant beside them.
        if member != "tenant" || !place.contains_key("projects") {
            body[member] = value.clone();
        }
    }
    let (_, secret) = api.token(&body);
    api.with_token(&secret)
}

#[test]
fn every_role_every_verb_every_place() {
    let backend = Backend::echo();
    let gateway = world(&backend);
    let api = gateway.api();
    let alpha = json!({"projects": ["alpha"]});
    let people = [
        ("org-admin", someone(&api, "o", "org-admin", &json!({}))),
        (
            "tenant-admin",
            someone(&api, "t", "tenant-admin", &json!({"tenant": "acme"})),
        ),
        ("member", someone(&api, "m", "member", &alpha)),
        ("viewer", someone(&api, "v", "viewer", &alpha)),
    ];
    let deploy = json!({"name": "new", "version": version(&backend.url())});
    let body = version(&backend.url());
    let none = Value::Null;
    people[2].1.create("alpha/mine", &body);
    let places = [
        "alpha/mine",
        "alpha/one",
        "beta/two",
        "gamma/three",
        "alpha/none",
        "gamma/none",
    ];
    // Mutations are asked as dry runs, which check the same and leave the world as it is.
    //  verb, path below the deployment, body, then per role: what the member made, own project, same
    //  tenant, other tenant, own project but absent, other tenant and absent.
    let read = [
        [Yes, Yes, Yes, Yes, Gone, Gone],
        [Yes, Yes, Yes, No, Gone, No],
        [Yes, Yes, No, No, Gone, No],
        [Yes, Yes, No, No, Gone, No],
    ];
    let member = [Yes, Either, No, No, Gone, No];
    let write = [read[0], read[1], member, [No; 6]];
    let rows = [
        ("GET", "", none.clone(), read),
        ("GET", "/versions", none.clone(), read),
        ("GET", "/versions/1", none.clone(), read),
        ("GET", "/history", none.clone(), read),
        ("GET", "/keys", none.clone(), read),
        ("GET", "/shares", none.clone(), read),
        ("GET", "/openapi.json", none.clone(), read),
        ("PATCH", "", json!({"description": "d"}), write),
        ("DELETE", "", json!({"reason": "r"}), write),
        ("POST", "/versions", body, write),
        ("POST", "/stop", none.clone(), write),
        ("POST", "/restart", none.clone(), write),
        ("POST", "/keys", json!({"description": "k"}), write),
        ("POST", "/shares", json!({"project": "delta"}), write),
        ("PUT", "/readme", json!({"text": "t"}), write),
    ];
    let mut wrong = Vec::new();
    for (method, below, body, table) in rows {
        let query = if method == "GET" { "" } else { "?dry_run=true" };
        for ((role, person), row) in people.iter().zip(table) {
            for (name, may) in places.iter().zip(row) {
                let answer = person.verb(method, &format!("{}{below}{query}", at(name)), &body);
                let right = match may {
                    Yes => answer.status < 300,
                    No => answer.status == 403 && answer.json()["code"] == "forbidden",
                    Gone => answer.status == 404 && answer.json()["code"] == "deployment_unknown",
                    Either => answer.status < 300 || answer.status == 403,
                };
                // An absent place that a viewer may not write to has two good reasons.
                let either = may == No && *role == "viewer" && *name == "alpha/none";
                if !(right || either && answer.status == 404) {
                    wrong.push(format!(
                        "{role} {method} {name}{below}: {} instead of {may:?}: {}",
                        answer.status,
                        answer.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells: {wrong:#?}", wrong.len());

    //  verb, path, body, then org-admin, tenant-admin of acme, member and viewer of alpha.
    for (method, path, body, row) in [
        (
            "POST",
            "/tenants",
            json!({"name": "more"}),
            [Yes, No, No, No],
        ),
        (
            "POST",
            "/projects",
            json!({"name": "more", "tenant": "acme"}),
            [Yes, Yes, No, No],
        ),
        (
            "POST",
            "/projects",
            json!({"name": "more", "tenant": "globex"}),
            [Yes, No, No, No],
        ),
        (
            "POST",
            "/projects/alpha/deployments",
            deploy.clone(),
            [Yes, Yes, Yes, No],
        ),
        (
            "POST",
            "/projects/beta/deployments",
            deploy.clone(),
            [Yes, Yes, No, No],
        ),
        (
            "POST",
            "/projects/gamma/deployments",
            deploy,
            [Yes, No, No, No],
        ),
        (
            "DELETE",
            "/tenants/globex",
            none.clone(),
            [Gone, No, No, No],
        ),
        ("POST", "/keys", json!({}), [Yes, No, No, No]),
        ("POST", "/projects/beta/keys", json!({}), [Yes, Yes, No, No]),
        ("POST", "/projects/gamma/keys", json!({}), [Yes, No, No, No]),
        ("GET", "/projects/alpha", none.clone(), [Yes, Yes, Yes, Yes]),
        ("GET", "/projects/beta", none.clone(), [Yes, Yes, No, No]),
        ("GET", "/projects/gamma", none.clone(), [Yes, No, No, No]),
        (
            "GET",
            "/projects/gamma/keys",
            none.clone(),
            [Yes, No, No, No],
        ),
        ("GET", "/tenants/globex", none.clone(), [Yes, No, No, No]),
        ("GET", "/audit", none.clone(), [Yes, No, No, No]),
        (
            "POST",
            "/tokens",
            json!({"name": "x", "role": "org-admin", "description": ""}),
            [Yes, No, No, No],
        ),
        (
            "POST",
            "/tokens",
            json!({"name": "x", "role": "member", "projects": ["gamma"], "description": ""}),
            [Yes, No, No, No],
        ),
    ] {
        let query = if method == "GET" { "" } else { "?dry_run=true" };
        for ((role, person), may) in people.iter().zip(row) {
            let answer = person.verb(method, &format!("{path}{query}"), &body);
            let right = match may {
                Yes => answer.status < 300,
                No => answer.status == 403,
                Either => answer.status < 300 || answer.status == 403,
                // Allowed, but it is not empty.
                Gone => answer.status == 409,
            };
            if !right {
                wrong.push(format!(
                    "{role} {method} {path}: {} for {may:?}",
                    answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells: {wrong:#?}", wrong.len());
}

#[test]
fn what_one_may_not_see_looks_the_same_whether_or_not_it_is_there() {
    let backend = Backend::echo();
    let gateway = world(&backend);
    let member = someone(
        &gateway.api(),
        "m",
        "member",
        &json!({"projects": ["alpha"]}),
    );
    let shape = |path: &str| {
        let mut body = {
            let answer = member.get(path);
            problem(&[403], &answer);
            answer.json()
        };
        body.as_object_mut().unwrap().remove("request_id");
        body.as_object_mut().unwrap().remove("instance");
        body.to_string()
    };
    // But for the names that the caller gave, the words are the same.
    let plain = |path: &str, project: &str, name: &str| {
        shape(path).replace(project, "P").replace(name, "D")
    };
    let there = plain("/projects/gamma/deployments/three", "gamma", "three");
    assert_eq!(
        plain("/projects/gamma/deployments/xyzzy", "gamma", "xyzzy"),
        there
    );
    assert_eq!(
        plain("/projects/plugh/deployments/xyzzy", "plugh", "xyzzy"),
        there
    );
}

#[test]
fn whether_one_may_comes_before_what_is_wrong_with_it() {
    let backend = Backend::echo();
    let gateway = world(&backend);
    let api = gateway.api();
    let member = someone(&api, "m", "member", &json!({"projects": ["alpha"]}));
    let viewer = someone(&api, "v", "viewer", &json!({"projects": ["alpha"]}));
    for (person, path) in [
        (&member, "/projects/gamma/deployments".to_owned()),
        (&member, format!("{}/versions", at("gamma/three"))),
        (&member, format!("{}/keys", at("gamma/three"))),
        (&viewer, "/projects/alpha/deployments".to_owned()),
        (&viewer, format!("{}/versions", at("alpha/one"))),
    ] {
        let answer = person.post(&path, &json!({"nonsense": 1}));
        assert_eq!(problem(&[403], &answer), "forbidden", "{path}");
    }
}

#[test]
fn lists_show_what_one_may_see() {
    let backend = Backend::echo();
    let gateway = world(&backend);
    let api = gateway.api();
    let (key_id, _) = api.key(&at("gamma/three"), &json!({"description": "theirs"}));
    for (role, place) in [
        ("member", json!({"projects": ["alpha"]})),
        ("viewer", json!({"projects": ["alpha"]})),
        ("tenant-admin", json!({"tenant": "acme"})),
    ] {
        let person = someone(&api, role, role, &place);
        let names: Vec<_> = person
            .list("/projects")
            .iter()
            .map(|p| admin::text(&p["name"]))
            .collect();
        let right = if role == "tenant-admin" {
            vec!["alpha", "beta", "delta"]
        } else {
            vec!["alpha"]
        };
        assert!(
            names.iter().all(|n| right.contains(&n.as_str())),
            "{role} sees {names:?}"
        );
        assert_eq!(names.len(), right.len(), "{role} sees {names:?}");
        for path in ["/tasks", "/keys", "/tokens", "/tenants", "/status"] {
            let answer = person.get(path);
            if answer.status == 403 {
                continue;
            }
            let text = want(200, &answer).to_string();
            for foreign in ["gamma", "globex", &key_id] {
                assert!(
                    !text.contains(foreign),
                    "{role} sees {foreign} in {path}: {text}"
                );
            }
        }
        let theirs = person.get("/tasks?deployment=gamma/three");
        if theirs.status != 403 {
            assert_eq!(want(200, &theirs)["items"], json!([]), "{role}");
        }
    }
    // A task is found by its id alone, so it is guarded by what it is about.
    let member = someone(&api, "m", "member", &json!({"projects": ["alpha"]}));
    let tasks = api.list("/tasks?deployment=gamma/three");
    let id = admin::text(&tasks[0]["id"]);
    problem(&[403, 404], &member.get(&format!("/tasks/{id}")));
    problem(&[403, 404], &member.poke(&format!("/tasks/{id}/cancel")));
}
