//! What a request asks of those on its way: a tunnel, a trace, another protocol, how far it may travel,
//! whether its body is wanted.

use crate::framing::{answers, head, smuggled};
use crate::support::{AUTH, Backend, Gateway, KEY, PATIENCE, PREDICT, iris};

#[test]
fn tunnels_and_traces_go_nowhere_and_upgrades_are_not_passed_on() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for line in [
        format!("TRACE {PREDICT}"),
        format!("CONNECT {PREDICT}"),
        format!("CONNECT {}", backend.addr()),
    ] {
        let mut client = gateway.connect();
        client.request(&line, &[AUTH], b"");
        client.send(smuggled());
        let (statuses, ended) = answers(&mut client);
        assert_eq!(statuses, [501], "{line}, then {ended:?}");
    }
    assert_eq!(backend.count(), 0);
    let mut client = gateway.connect();
    for upgrade in ["websocket", "h2c"] {
        let more = format!("connection: upgrade, http2-settings\r\nupgrade: {upgrade}\r\n");
        client.send(head(&(more + "http2-settings: AAMAAABk\r\ncontent-length: 2\r\n")) + "hi");
        assert_eq!(client.response("POST").text(), "hi", "{upgrade}");
        let up = backend.last().head;
        assert!(
            ["connection", "upgrade", "http2-settings"]
                .iter()
                .all(|name| !up.has(name))
        );
    }
}

#[test]
fn options_travel_as_far_as_they_may() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let mut client = gateway.connect();
    let options = format!("OPTIONS {PREDICT}");
    for (limit, reached) in [("0", None), ("1", Some("0")), ("10", Some("9"))] {
        let before = backend.count();
        let answer = client.call(&options, &[AUTH, ("max-forwards", limit)], b"");
        assert_eq!(answer.status, 200, "{limit}");
        assert_eq!(backend.count() - before, usize::from(reached.is_some()));
        if let Some(left) = reached {
            assert_eq!(
                backend.last().head.get("max-forwards").as_deref(),
                Some(left)
            );
        }
    }
    let post = format!("POST {PREDICT}");
    assert_eq!(
        client
            .call(&post, &[AUTH, ("max-forwards", "0")], b"")
            .status,
        200
    );
    assert_eq!(
        client
            .call(&options, &[AUTH, ("max-forwards", "x")], b"")
            .status,
        400
    );
}

#[test]
fn continue_is_said_when_the_body_is_wanted_and_only_then() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    // Without a body, in HTTP/1.0, or with another expectation there is nothing to say.
    for (line, more, body) in [
        ("HTTP/1.1", "expect: 100-continue\r\n", ""),
        (
            "HTTP/1.1",
            "expect: 100-continue\r\ncontent-length: 0\r\n",
            "",
        ),
        (
            "HTTP/1.0",
            "expect: 100-continue\r\ncontent-length: 2\r\n",
            "hi",
        ),
        (
            "HTTP/1.1",
            "expect: something-else\r\ncontent-length: 2\r\n",
            "hi",
        ),
    ] {
        let mut client = gateway.connect();
        client.send(head(more).replace("HTTP/1.1", line) + body);
        let answer = client.response("POST");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, body),
            "{more}"
        );
        assert!(answer.interim.is_empty(), "{line} {more}");
    }
    // A body that does not wait is taken as it comes, and so is the next request.
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(head("Expect: 100-Continue\r\ncontent-length: 5\r\n") + "hello");
        let answer = client.response("POST");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert!(!backend.last().head.has("expect"));
    }
    // Refused before it is wanted: no 100, and what follows is no request.
    let mut client = gateway.connect();
    let more = "expect: 100-continue\r\ncontent-length: 300\r\n";
    client.send(head(more).replace(KEY, "wrong"));
    client.send(smuggled());
    let answer = client.response("POST");
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
    assert!(client.closed_within(PATIENCE));
}
