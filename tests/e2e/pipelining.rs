//! Requests sent ahead are answered in order, each by its own answer.

use crate::support::{AUTH, Backend, Ended, Gateway, PREDICT, iris, pattern};

#[test]
fn answers_come_in_order() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    for n in 0..50 {
        client.request(
            &format!("POST {PREDICT}/{n}"),
            &[AUTH],
            format!("body {n}").as_bytes(),
        );
    }
    for n in 0..50 {
        let answer = client.response("POST");
        assert_eq!((answer.status, answer.text()), (200, format!("body {n}")));
    }
    let targets: Vec<_> = backend
        .received()
        .iter()
        .map(|r| r.head.target().to_owned())
        .collect();
    assert_eq!(
        targets,
        (0..50).map(|n| format!("/{n}")).collect::<Vec<_>>()
    );
}

#[test]
fn refusals_between_answers_keep_their_place() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"one");
    client.request(&format!("POST {PREDICT}"), &[("x-api-key", "wrong")], b"");
    client.request("POST /predict/demo/none", &[AUTH], b"");
    client.request(&format!("HEAD {PREDICT}"), &[AUTH], b"");
    client.request(&format!("POST {PREDICT}"), &[AUTH], b"last");
    for (method, status, text) in [
        ("POST", 200, Some("one")),
        ("POST", 401, None),
        ("POST", 404, None),
        ("HEAD", 200, Some("")),
        ("POST", 200, Some("last")),
    ] {
        let answer = client.response(method);
        assert_eq!(
            (answer.status, answer.ended.clone()),
            (status, Ended::Clean)
        );
        assert!(
            text.is_none_or(|text| answer.text() == text),
            "{:?}",
            answer.text()
        );
    }
}

#[test]
fn requests_in_crumbs_are_the_same_requests() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    let body = pattern(200);
    let request = [
        crate::support::client::request_head(
            &format!("POST {PREDICT}"),
            &[AUTH, ("content-length", "200")],
        ),
        b"\r\n".to_vec(),
        body.clone(),
    ]
    .concat();
    for byte in request.iter().chain(&request) {
        client.send([*byte]);
    }
    for _ in 0..2 {
        assert!(client.response("POST").body == body);
    }
}

#[test]
fn connection_close_ends_the_line() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    client.request(
        &format!("POST {PREDICT}"),
        &[AUTH, ("connection", "close")],
        b"last",
    );
    client.request(&format!("POST {PREDICT}/ignored"), &[AUTH], b"");
    let answer = client.response("POST");
    assert_eq!(answer.text(), "last");
    assert!(
        answer
            .get("connection")
            .is_some_and(|c| c.eq_ignore_ascii_case("close"))
    );
    assert!(client.closed_within(crate::support::PATIENCE));
    assert_eq!(backend.count(), 1);
}
