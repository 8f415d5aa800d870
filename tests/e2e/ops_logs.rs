//! A deployment's log: each request as it was, what happened to the deployment, nothing secret,
//! nothing forged, and nobody's lines at another's cost.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Ended, Gateway, Next, PATIENCE, RawClient, Response, Stop, admin, at,
    eventually, gateway::ADMIN_TOKEN, holds_within, later::LATER, problem, version, want,
};

const BODY: &[u8] = b"{\"secret\": \"a body is nobody's business\"}";

/// A backend that answers with the status that the request's body names, breaks off at `break`, and
/// answers 200 otherwise.
fn obedient() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        let wish = String::from_utf8(body.clone()).unwrap_or_default();
        match wish.parse() {
            Ok(status) => conn.answer(status, &[], b"as told"),
            Err(_) if wish == "break" => {
                let _ = conn.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
                Next::Close
            }
            Err(_) => conn.answer(200, &[], &body),
        }
    })
}

fn path(name: &str, query: &str) -> String {
    format!("{}/logs{query}", at(name))
}

fn read(api: &Admin, name: &str, query: &str) -> Vec<Value> {
    let answer = api.get(&path(name, query));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.get("content-type");
    assert_eq!(kind.as_deref(), Some("application/x-ndjson"));
    lines(&answer.text())
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn read_text(api: &Admin, name: &str, query: &str) -> String {
    let line = format!("GET /api/v1{}", path(name, query));
    let answer = api.send(&line, &[("accept", "text/plain")], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.get("content-type");
    assert_eq!(kind.as_deref(), Some("text/plain; charset=utf-8"));
    answer.text()
}

/// Waits for the request of this id; its line. Workers hand over what they know a few times a second.
#[track_caller]
fn line_of(api: &Admin, name: &str, id: &str) -> Value {
    let mut found = None;
    eventually(PATIENCE, &format!("a line of {id}"), || {
        let all = read(api, name, "");
        found = all.into_iter().find(|line| line["request_id"] == id);
        found.is_some()
    });
    found.unwrap()
}

fn call(gateway: &Gateway, target: &str, secret: &str, id: &str, body: &[u8]) -> Response {
    let headers = [("x-api-key", secret), ("x-request-id", id)];
    gateway.call(&format!("POST {target}"), &headers, body)
}

/// Those of the requests, by their ids.
fn ids(lines: &[Value]) -> Vec<&str> {
    let requests = lines.iter().filter(|line| line["kind"] == "request");
    requests
        .map(|line| line["request_id"].as_str().unwrap())
        .collect()
}

fn actions(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|l| l["action"].as_str()).collect()
}

#[test]
fn a_request_is_told_with_all_but_its_secrets() {
    for access in [false, true] {
        let backend = Backend::start(|conn, head| {
            let body = conn.body(head).bytes;
            thread::sleep(Duration::from_millis(20));
            conn.answer(200, &[], &body)
        });
        let challenger = obedient();
        let gateway = Gateway::bare().env("WEIR_LOG_ACCESS", access).start();
        let api = gateway.api();
        let mut spec = version(&backend.url());
        spec["challenger"] = json!({"backends": [{"url": challenger.url()}], "sample": 1.0});
        let made = api.create("demo/iris", &spec);
        let target = "/predict/demo/iris/v1/chat?token=in-the-query";
        let answer = call(&gateway, target, &made.secret, "find-me", BODY);
        assert_eq!(answer.status, 200);

        let mut both = Vec::new();
        eventually(PATIENCE, "main and the challenger", || {
            both = read(&api, "demo/iris", "");
            ids(&both).len() == 2
        });
        let of = |role: &str| both.iter().find(|line| line["role"] == role).unwrap();
        let line = of("main");
        for (member, expected) in [
            ("kind", json!("request")),
            ("level", json!("info")),
            ("request_id", json!("find-me")),
            ("method", json!("POST")),
            ("path", json!("/predict/demo/iris/v1/chat")),
            ("operation", json!("predict")),
            ("status", json!(200)),
            ("code", Value::Null),
            ("error", Value::Null),
            ("ended", json!("complete")),
            ("version", json!(1)),
            ("key", json!(made.key_id)),
            ("request_bytes", json!(BODY.len())),
            ("response_bytes", json!(BODY.len())),
        ] {
            assert_eq!(line[member], expected, "{member} of {line}");
        }
        let first_byte = line["first_byte_ms"].as_f64().unwrap();
        let duration = line["duration_ms"].as_f64().unwrap();
        assert!(first_byte >= 20.0 && duration >= first_byte, "{line}");
        assert!(duration < PATIENCE.as_millis() as f64, "{line}");
        let copy = of("challenger");
        assert_eq!(
            (&copy["status"], &copy["path"]),
            (&json!(200), &line["path"])
        );

        let all = read(&api, "demo/iris", "");
        let moments: Vec<_> = all.iter().map(|l| l["at"].as_str().unwrap()).collect();
        assert!(moments.is_sorted(), "{moments:?}");
        assert_eq!(actions(&all), ["create", "deploy"], "{all:#?}");
        for shown in [
            api.get(&path("demo/iris", "")).text(),
            read_text(&api, "demo/iris", ""),
        ] {
            assert!(shown.contains("find-me"));
            for secret in [
                &made.secret,
                ADMIN_TOKEN,
                "in-the-query",
                "nobody's business",
            ] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
        }
    }
}

#[test]
fn levels_limits_and_moments_choose_lines() {
    let backend = obedient();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut client = gateway.connect();
    for (id, body) in [("fine", "200"), ("missing", "404"), ("failed", "500")] {
        let headers = [("x-api-key", &*made.secret), ("x-request-id", id)];
        client.call("POST /predict/demo/iris", &headers, body.as_bytes());
    }
    let headers = [("x-api-key", &*made.secret), ("x-request-id", "broken")];
    let mut other = gateway.connect();
    let broken = other
        .request("POST /predict/demo/iris", &headers, b"break")
        .try_response("POST");
    assert!(!matches!(
        broken,
        Ok(Response {
            ended: Ended::Clean,
            ..
        })
    ));
    let broken = line_of(&api, "demo/iris", "broken");
    assert_eq!(broken["level"], "error", "{broken}");
    assert_eq!(broken["ended"], "backend_broke", "{broken}");
    line_of(&api, "demo/iris", "failed");

    let chosen = |query: &str| -> Vec<String> {
        let mut all: Vec<_> = ids(&read(&api, "demo/iris", query))
            .iter()
            .map(|id| (*id).to_owned())
            .collect();
        all.sort();
        all
    };
    assert_eq!(chosen("?level=error"), ["broken", "failed"]);
    assert_eq!(chosen("?level=warn"), ["broken", "failed", "missing"]);
    assert_eq!(chosen("?level=info").len(), 4);
    assert_eq!(read(&api, "demo/iris", "?limit=2").len(), 2);
    assert_eq!(read(&api, "demo/iris", "?limit=0").len(), 0);
    assert_eq!(chosen("?since=10m&level=warn").len(), 3);
    assert_eq!(chosen("?since=0s").len(), 0);
    let since = broken["at"].as_str().unwrap();
    assert!(chosen(&format!("?since={since}")).contains(&"broken".to_owned()));
    for bad in [
        "?since=yesterday",
        "?since=",
        "?level=debug",
        "?level=Warn",
        "?limit=-1",
        "?limit=10001",
        "?follow=1",
        "?tail=1",
    ] {
        assert_eq!(
            problem(&[400], &api.get(&path("demo/iris", bad))),
            "invalid"
        );
    }
    assert_eq!(
        problem(&[404], &api.get(&path("demo/none", ""))),
        "deployment_unknown"
    );
    problem(&[401], &api.nobody().get(&path("demo/iris", "")));
    let member = json!({"name": "m", "role": "member", "projects": ["other"], "description": ""});
    api.project("other");
    let (_, member) = api.token(&member);
    problem(
        &[403, 404],
        &api.with_token(&member).get(&path("demo/iris", "")),
    );
}

#[test]
fn the_text_form_is_one_line_of_known_words() {
    let backend = obedient();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    assert_eq!(
        call(&gateway, "/stream/demo/iris", &made.secret, "r-1", b"500").status,
        500
    );
    let line = line_of(&api, "demo/iris", "r-1");
    let text = read_text(&api, "demo/iris", "?level=error");
    let (at, ms) = (
        line["at"].as_str().unwrap(),
        line["duration_ms"].as_f64().unwrap(),
    );
    let key = made.key_id;
    assert_eq!(
        text,
        format!("{at} ERROR 500 POST /stream/demo/iris {ms:.1}ms v1 main id=r-1 key={key} 3B/7B\n")
    );
    let all = read_text(&api, "demo/iris", "");
    let first = all.lines().next().unwrap();
    assert!(first[24..].starts_with(" INFO  create "), "{first}");
}

/// Lines that are followed, as they come.
struct Followed {
    client: RawClient,
    text: String,
}

impl Followed {
    #[track_caller]
    fn begin(api: &Admin, name: &str, query: &str) -> Self {
        let mut client = RawClient::connect(api.host().parse().unwrap());
        let (host, token) = (api.host(), api.token_presented().unwrap());
        let headers = [
            ("host", &*host),
            ("authorization", &format!("Bearer {token}")),
        ];
        let line = format!("GET /api/v1{}", path(name, query));
        let head = client.request(&line, &headers, b"").head();
        assert_eq!(head.status(), Ok(200));
        Self {
            client,
            text: String::new(),
        }
    }

    /// The next line; none when it has ended in order.
    #[track_caller]
    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line: String = self.text.drain(..=end).collect();
                match line.trim() {
                    "" => continue,
                    line => return Some(serde_json::from_str(line).expect(line)),
                }
            }
            let bytes = self.client.read_chunk().expect("a line or the end");
            if bytes.is_empty() {
                assert_eq!(self.text, "", "half a line");
                return None;
            }
            self.text += &String::from_utf8(bytes).unwrap();
        }
    }

    #[track_caller]
    fn until(&mut self, member: &str, value: &str) -> Value {
        while let Some(line) = self.next() {
            if line[member] == value {
                return line;
            }
        }
        panic!("ended before {member} {value}");
    }
}

#[test]
fn lines_are_followed_as_they_come_and_to_the_end() {
    let backend = obedient();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    call(&gateway, "/predict/demo/iris", &made.secret, "before", b"x");
    line_of(&api, "demo/iris", "before");
    let mut followed = Followed::begin(&api, "demo/iris", "?follow=true&limit=1");
    assert_eq!(followed.next().unwrap()["request_id"], "before");
    let mut errors = Followed::begin(&api, "demo/iris", "?follow=true&limit=0&level=error");
    for n in 0..3 {
        let id = format!("live-{n}");
        let since = Instant::now();
        call(&gateway, "/predict/demo/iris", &made.secret, &id, b"x");
        assert_eq!(followed.next().unwrap()["request_id"], *id);
        // Not in the next keep-alive's company.
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{:?}",
            since.elapsed()
        );
    }
    call(
        &gateway,
        "/predict/demo/iris",
        &made.secret,
        "wrong",
        b"503",
    );
    assert_eq!(errors.next().unwrap()["request_id"], "wrong");
    followed.until("request_id", "wrong");
    api.key(&at("demo/iris"), &json!({"description": "k"}));
    assert_eq!(followed.next().unwrap()["action"], "key-create");

    // A token that is taken back ends what it opened, and nothing else.
    let token = json!({"name": "m", "role": "viewer", "description": ""});
    let (id, secret) = api.token(&token);
    let mut revoked = Followed::begin(&api.with_token(&secret), "demo/iris", "?follow=true");
    want(200, &api.poke(&format!("/tokens/{id}/revoke")));
    while revoked.next().is_some() {}

    // So does the deployment's end, of which one still hears.
    let deleted = api.json("DELETE", &at("demo/iris"), &[], &json!({"reason": "over"}));
    assert_eq!(deleted.status, 202, "{}", deleted.text());
    followed.until("action", "delete");
    assert_eq!(followed.next(), None);
    let left = read(&api, "demo/iris", "");
    assert!(ids(&left).contains(&"live-2"), "{left:#?}");

    // A new life of the name has none of the old lines.
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut followed = Followed::begin(&api, "demo/iris", "?follow=true");
    assert_eq!(followed.next().unwrap()["action"], "create");
    call(&gateway, "/predict/demo/iris", &made.secret, "anew", b"x");
    followed.until("request_id", "anew");
    assert_eq!(ids(&read(&api, "demo/iris", "")), ["anew"]);

    // The gateway's end waits for no follower.
    let since = Instant::now();
    gateway.stop(Stop::Term);
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    let _ = followed.client.read_to_end(PATIENCE);
    gateway.start_again();
    let api = gateway.api();
    assert_eq!(read(&api, "demo/iris", "").len(), 0, "in memory only");
    api.json("DELETE", &at("demo/iris"), &[], &json!({"reason": "over"}));
    eventually(PATIENCE, "deleted", || {
        api.show(&at("demo/iris"))["state"] == "deleted"
    });
    gateway.restart(Stop::Term);
    let api = gateway.api();
    let history = read(&api, "demo/iris", "");
    assert_eq!(actions(&history).last(), Some(&"delete"), "{history:#?}");
    assert!(actions(&history).contains(&"create"), "{history:#?}");
    let warned = read(&api, "demo/iris", "?level=warn&limit=1");
    assert_eq!(actions(&warned), ["delete"]);
}

#[test]
fn nothing_that_people_or_clients_write_forges_a_line() {
    let backend = obedient();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let hostile = "/predict/demo/iris/%E2%80%AEgnp.exe/%1B%5B31m";
    // weir refuses what no path may hold before it knows whose it is; the rest it forwards.
    assert_eq!(
        call(&gateway, hostile, &made.secret, "h-0", b"x").status,
        400
    );
    let hostile = "/predict/demo/iris/%E2%80%AEgnp.exe/%5B31m";
    assert_eq!(
        call(&gateway, hostile, &made.secret, "h-1", b"x").status,
        200
    );
    let spoofed = "an id with\tspaces";
    call(&gateway, "/predict/demo/iris", &made.secret, spoofed, b"x");
    let reason = "done \u{202e}gnp.exe\u{2066}\u{200b}\u{feff}";
    let stopped = api.post(
        &format!("{}/stop?wait=15", at("demo/iris")),
        &json!({"reason": reason}),
    );
    assert_eq!(stopped.status, 202, "{}", stopped.text());
    line_of(&api, "demo/iris", "h-1");

    let json = api.get(&path("demo/iris", "")).text();
    let text = read_text(&api, "demo/iris", "");
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                | '\u{feff}')
    };
    for shown in [&json, &text] {
        assert!(!shown.contains(harmful), "{shown:?}");
        assert!(shown.contains("/%E2%80%AEgnp.exe/%5B31m"), "{shown}");
        assert!(shown.contains("u{202e}gnp.exe"), "{shown}");
        assert!(
            !shown.contains("spaces") && !shown.contains("h-0"),
            "{shown}"
        );
    }
    // In what a program makes of the JSON, too: it prints what it decoded.
    for line in lines(&json) {
        for value in line.as_object().unwrap().values() {
            let harmless = !value.as_str().unwrap_or_default().contains(harmful);
            assert!(harmless, "{line}");
        }
    }
    for line in text.lines() {
        let level = line[24..].trim_start();
        let known = ["INFO ", "WARN ", "ERROR "]
            .iter()
            .any(|l| level.starts_with(l));
        assert!(known && line.as_bytes()[23] == b'Z', "{line}");
    }
}

#[test]
fn a_noisy_deployment_hides_neither_its_faults_nor_its_neighbour() {
    let backend = obedient();
    let gateway = Gateway::bare()
        .env("WEIR_LOGS_LINES_PER_SECOND", 5)
        .env("WEIR_LOGS_LINES_PER_DEPLOYMENT", 200)
        .start();
    let api = gateway.api();
    let noisy = api.create("demo/noisy", &version(&backend.url()));
    let quiet = api.create("demo/quiet", &version(&backend.url()));
    let mut client = gateway.connect();
    let headers = [("x-api-key", &*noisy.secret)];
    // More than there are lines in any second, until some were over.
    let told = || {
        let all = read(&api, "demo/noisy", "");
        let lost = all.iter().filter(|line| line["kind"] == "lost");
        lost.map(|line| line["lines"].as_u64().unwrap())
            .sum::<u64>()
    };
    eventually(PATIENCE, "too many", || {
        for _ in 0..300 {
            let answer = client.call("POST /predict/demo/noisy", &headers, b"x");
            assert_eq!(answer.status, 200);
        }
        told() > 0
    });
    call(
        &gateway,
        "/predict/demo/noisy",
        &noisy.secret,
        "failed",
        b"500",
    );
    call(
        &gateway,
        "/predict/demo/quiet",
        &quiet.secret,
        "quiet",
        b"x",
    );
    line_of(&api, "demo/noisy", "failed");
    line_of(&api, "demo/quiet", "quiet");
    let lost = told();
    let counted = gateway.metric("weir_log_lines_dropped_total", &[("reason", "rate")]);
    assert!(counted >= lost as f64, "{counted} of {lost}");
    let all = read(&api, "demo/noisy", "?limit=1000");
    assert!(all.len() <= 200, "{}", all.len());
    let errors = read(&api, "demo/noisy", "?level=error");
    assert_eq!(ids(&errors), ["failed"], "{errors:#?}");
    assert_eq!(errors.len(), 1, "lost lines were no errors: {errors:#?}");
}

#[test]
fn a_follower_that_does_not_read_slows_nobody_and_is_told_what_it_missed() {
    const CALLS: usize = 3_000;
    let backend = obedient();
    let gateway = Gateway::bare()
        .env("WEIR_LOGS_LINES_PER_SECOND", 1_000_000)
        .env("WEIR_LOGS_LINES_PER_DEPLOYMENT", 50)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let mut slow = Followed::begin(&api, "demo/iris", "?follow=true&limit=0");
    let socket = socket2::SockRef::from(&slow.client.socket);
    socket.set_recv_buffer_size(4_096).unwrap();
    let line = format!("POST /predict/demo/iris/{}", "x".repeat(500));
    let mut client = gateway.connect();
    for n in 0..CALLS {
        let id = format!("n-{n:0120}");
        let headers = [("x-api-key", &*made.secret), ("x-request-id", &id)];
        assert_eq!(client.call(&line, &headers, b"x").status, 200);
    }
    let last = format!("n-{:0120}", CALLS - 1);
    line_of(&api, "demo/iris", &last);
    let (mut seen, mut lost) = (0, 0);
    loop {
        let line = slow.next().expect("it goes on");
        match line["kind"].as_str() {
            Some("lost") => lost += line["lines"].as_u64().unwrap() as usize,
            _ => seen += 1,
        }
        if line["request_id"] == last {
            break;
        }
    }
    println!("{lost} of {CALLS} lines were lost to it");
    assert!(lost > 0, "all of {seen} lines were kept for it");
    assert_eq!(seen + lost, CALLS, "each line is shown or counted");
}

#[test]
fn backends_that_turn_and_requests_that_ran_later_are_told() {
    let backend = obedient();
    let gateway = Gateway::bare().env("WEIR_HEALTH_INTERVAL_MS", 50).start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let headers = [
        ("x-api-key", &*made.secret),
        ("x-request-id", "later"),
        LATER,
    ];
    let accepted = gateway.call("POST /predict/demo/iris", &headers, b"x");
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let attempt = line_of(&api, "demo/iris", "later");
    assert_eq!(attempt["operation"], "async", "{attempt}");
    assert_eq!(
        (&attempt["status"], &attempt["version"]),
        (&json!(200), &json!(1))
    );

    let turned = |status: &str| {
        let all = read(&api, "demo/iris", "");
        let mut found = all.into_iter();
        found.find(|l| l["action"] == "backend" && l["status"] == status)
    };
    // Known as ready first: before that nothing turns.
    let probes = backend.probes();
    eventually(PATIENCE, "probed", || backend.probes() > probes + 2);
    assert_eq!(turned("unhealthy"), None);
    backend.set_healthy(false);
    eventually(PATIENCE, "told", || turned("unhealthy").is_some());
    let line = turned("unhealthy").unwrap();
    assert_eq!(
        (&line["level"], &line["by"]),
        (&json!("warn"), &json!("system"))
    );
    let words = admin::text(&line["text"]);
    assert!(
        words.starts_with(&format!("backend {}", backend.url())),
        "{words}"
    );
    assert!(line["reason"].is_string(), "{line}");
    backend.set_healthy(true);
    eventually(PATIENCE, "told", || turned("available").is_some());
}

#[test]
fn where_none_are_kept_there_are_none() {
    let backend = obedient();
    let gateway = Gateway::bare()
        .env("WEIR_LOGS_LINES_PER_DEPLOYMENT", 0)
        .start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    call(&gateway, "/predict/demo/iris", &made.secret, "r", b"x");
    gateway.wait_metric("weir_requests_total", &[("code", "200")], |n| n > 0.5);
    let any = || !read(&api, "demo/iris", "").is_empty();
    assert!(!holds_within(Duration::from_millis(300), any));
    let mut followed = Followed::begin(&api, "demo/iris", "?follow=true");
    assert_eq!(followed.next(), None);
}
