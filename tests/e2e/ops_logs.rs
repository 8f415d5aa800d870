//! A deployment's log: each request as it was, what happened to the deployment, nothing secret,
//! nothing forged, and nobody's lines at another's cost.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Backend, Ended, Gateway, PATIENCE, Response, admin, at, eventually, gateway::ADMIN_TOKEN,
    holds_within, later::LATER, log_lines::*, problem, version,
};

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
    let digits = if ms < 10.0 { 2 } else { 1 };
    assert_eq!(
        text,
        format!(
            "{at} ERROR 500 POST /stream/demo/iris {ms:.digits$}ms v1 main id=r-1 key={key} 3B/7B\n"
        )
    );
    let all = read_text(&api, "demo/iris", "");
    let first = all.lines().next().unwrap();
    assert!(first[24..].starts_with(" INFO  create "), "{first}");
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
