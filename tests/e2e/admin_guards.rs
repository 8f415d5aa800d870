//! The admin plane keeps out what a browser, a stranger or a careless address could bring in.

use serde_json::json;

use crate::support::{
    Gateway, PATIENCE, RawClient, admin, gateway::ADMIN_TOKEN, holds_within, problem, want,
};

#[test]
fn only_its_own_names_are_answered() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let port = gateway.admin_addr().port();
    for (host, allowed) in [
        (format!("127.0.0.1:{port}"), true),
        (format!("localhost:{port}"), true),
        (format!("LOCALHOST:{port}"), true),
        ("evil.test".to_owned(), false),
        (format!("evil.test:{port}"), false),
        (format!("127.0.0.1.evil.test:{port}"), false),
        (format!("localhost.evil.test:{port}"), false),
        (format!("evil.test#@127.0.0.1:{port}"), false),
        (format!("127.0.0.1:{port}@evil.test"), false),
        ("169.254.169.254".to_owned(), false),
    ] {
        let answer = api.send("GET /api/v1/status", &[("host", &host)], b"");
        if allowed {
            want(200, &answer);
        } else if answer.status != 400 {
            assert_eq!(problem(&[421], &answer), "host_not_allowed", "{host}");
        }
        // Said before anything is said about the token.
        if !allowed {
            let answer = api
                .nobody()
                .send("GET /api/v1/status", &[("host", &host)], b"");
            assert!(
                matches!(answer.status, 400 | 421),
                "{host}: {}",
                answer.status
            );
        }
        for open in ["/metrics", "/healthz", "/readyz"] {
            let answer = api
                .nobody()
                .send(&format!("GET {open}"), &[("host", &host)], b"");
            let malformed = host.contains('@') && answer.status == 400;
            assert!(
                answer.status == 200 || malformed,
                "{open} for {host}: {}",
                answer.status
            );
        }
    }
    // The name in the request line counts as well.
    let line = format!("GET http://evil.test:{port}/api/v1/status");
    let answer = api.send(&line, &[("host", "evil.test")], b"");
    assert!(matches!(answer.status, 400 | 421), "{}", answer.status);
    let answer = api.send(&line, &[], b"");
    assert!(matches!(answer.status, 400 | 421), "{}", answer.status);
    let mut bare = RawClient::connect(gateway.admin_addr());
    bare.send(format!(
        "GET /api/v1/status HTTP/1.0\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    ));
    let answer = bare.response("GET");
    assert!(
        matches!(answer.status, 400 | 421),
        "no Host: {}",
        answer.status
    );
}

#[test]
fn a_browsers_page_changes_nothing() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let post = |headers: &[(&str, &str)], body: &str| {
        api.send("POST /api/v1/projects", headers, body.as_bytes())
    };
    let body = r#"{"name": "demo"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/json",
        "",
    ] {
        problem(&[415], &post(&[("content-type", kind)], body));
    }
    problem(&[415], &post(&[], body));
    let json = ("content-type", "application/json");
    for origin in [
        "http://evil.test",
        "null",
        "https://127.0.0.1",
        "http://127.0.0.1.evil.test",
    ] {
        problem(&[403], &post(&[json, ("origin", origin)], body));
    }
    problem(
        &[403],
        &post(
            &[
                json,
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://evil.test"),
            ],
            body,
        ),
    );
    assert_eq!(
        problem(&[404], &api.get("/projects/demo")),
        "project_unknown",
        "nothing was made"
    );
    for method in ["PATCH", "PUT", "DELETE"] {
        let line = format!("{method} /api/v1/projects/demo");
        let answer = api.send(&line, &[json, ("origin", "http://evil.test")], b"{}");
        assert!(
            matches!(answer.status, 403 | 405),
            "{method}: {}",
            answer.status
        );
    }
    let preflight = api.nobody().send(
        "OPTIONS /api/v1/projects",
        &[
            ("origin", "http://evil.test"),
            ("access-control-request-method", "POST"),
        ],
        b"",
    );
    for answer in [
        &preflight,
        &api.send(
            "GET /api/v1/projects",
            &[("origin", "http://evil.test")],
            b"",
        ),
    ] {
        assert!(answer.get("access-control-allow-origin").is_none());
    }
    let own = format!("http://{}", api.host());
    want(
        201,
        &post(
            &[
                ("content-type", "application/json; charset=utf-8"),
                ("origin", &own),
            ],
            body,
        ),
    );
}

#[test]
fn bodies_have_a_limit_that_chunks_do_not_get_round() {
    let gateway = Gateway::bare()
        .env("WEIR_ADMIN_BODY_BYTES_MAX", 65_536)
        .start();
    let api = gateway.api();
    let big = json!({"name": "demo", "description": "x".repeat(100_000)}).to_string();
    let kind = ("content-type", "application/json");
    problem(
        &[413],
        &api.send("POST /api/v1/projects", &[kind], big.as_bytes()),
    );
    let (host, bearer) = (api.host(), format!("Bearer {ADMIN_TOKEN}"));
    let mut client = RawClient::connect(gateway.admin_addr());
    let mut bytes = crate::support::client::request_head(
        "POST /api/v1/projects",
        &[
            kind,
            ("host", &host),
            ("authorization", &bearer),
            ("transfer-encoding", "chunked"),
        ],
    );
    bytes.extend(b"\r\n");
    for piece in big.as_bytes().chunks(8_192) {
        bytes.extend(crate::support::client::chunk(piece));
    }
    bytes.extend(b"0\r\n\r\n");
    assert_eq!(client.send(bytes).response("POST").status, 413);
    // One that says it is endless is turned away before it has come.
    let mut client = RawClient::connect(gateway.admin_addr());
    let mut head = crate::support::client::request_head(
        "POST /api/v1/projects",
        &[
            kind,
            ("host", &host),
            ("authorization", &bearer),
            ("content-length", "99999999999"),
        ],
    );
    head.extend(b"\r\n");
    assert_eq!(client.send(head).response("POST").status, 413);
    problem(&[404], &api.get("/projects/demo"));
    want(200, &api.get("/status"));
}

#[test]
fn every_refusal_is_audited() {
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    api.project("demo");
    let viewer =
        json!({"name": "only-eyes", "role": "viewer", "projects": ["demo"], "description": ""});
    let (_, secret) = api.token(&viewer);
    let wrong = "no-such-token-0123456789abcdef";
    let kind = ("content-type", "application/json");
    api.with_token(wrong).get("/projects/unauthenticated-here");
    api.with_token(&secret).get("/projects/forbidden-here");
    api.send(
        "GET /api/v1/misdirected-here",
        &[("host", "evil.test")],
        b"",
    );
    api.send(
        "POST /api/v1/projects?origin-here",
        &[kind, ("origin", "http://evil.test")],
        b"{}",
    );
    let mut list = String::new();
    let held = holds_within(PATIENCE, || {
        list = json!(api.list("/audit")).to_string();
        ["unauthenticated-here", "forbidden-here", "misdirected-here"]
            .iter()
            .all(|word| list.contains(word))
    });
    assert!(held, "{list}");
    for status in ["401", "403", "421"] {
        assert!(list.contains(status), "no {status} in {list}");
    }
    assert!(
        list.contains("only-eyes"),
        "who it was, when that is known: {list}"
    );
    for secret in [wrong, &secret, ADMIN_TOKEN] {
        assert!(!list.contains(secret), "a secret is in the audit");
        assert!(!gateway.log().contains(secret), "a secret is in the log");
    }
    let (newer, older) = (
        list.find("misdirected-here"),
        list.find("unauthenticated-here"),
    );
    assert!(newer < older, "newest first: {list}");
    assert_eq!(
        problem(&[403], &api.with_token(&secret).get("/audit")),
        "forbidden"
    );
    assert_eq!(admin::items(&api.show("/audit?limit=1")).len(), 1);
}
