//! What was submitted is found again: its state at once or as soon as it changes, its result byte
//! by byte, by its own key and nobody else's.

use std::{thread, time::Duration};

use serde_json::Value;

use crate::support::{
    Backend, Gate, Gateway, KEY, PREDICT, Stop, admin, holds_within, iris, later, later::Caller,
    pattern, post, problem, want,
};

/// Answers with the status that the path ends with, the request's body and a header.
fn by_path() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head);
        let status = head
            .target()
            .rsplit('/')
            .next()
            .and_then(|s| s.parse().ok());
        let headers = [
            ("content-type", "application/x-model"),
            ("x-model", "one"),
            ("x-model", "two"),
            ("x-deployment-version", "forged"),
            ("x-async-status", "forged"),
        ];
        conn.answer(status.unwrap_or(200), &headers, &body.bytes)
    })
}

#[test]
fn a_status_is_told_at_once_or_when_it_is_final() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted(b"{}");
    backend.wait_count(1);
    let shown = caller.wait_status(&id, "running");
    assert_eq!(shown["attempts"], 1);
    admin::text(&shown["started_at"]);
    assert!(shown.get("ended_at").is_none_or(Value::is_null), "{shown}");
    let answer = caller.get(&format!("/async/{id}"));
    assert_eq!(answer.get("cache-control").as_deref(), Some("no-store"));
    let kind = answer.get("content-type").unwrap();
    assert_eq!(kind, "application/json");
    let early = want(200, &caller.get(&format!("/async/{id}?wait=1")));
    assert_eq!(early["status"], "running", "the wait ended first");
    let held: Vec<_> = (0..5)
        .map(|_| {
            let (caller, path) = (caller.clone(), format!("/async/{id}?wait=600"));
            thread::spawn(move || want(200, &caller.get(&path)))
        })
        .collect();
    assert!(
        !holds_within(Duration::from_millis(300), || held
            .iter()
            .any(thread::JoinHandle::is_finished)),
        "answered before there was an end"
    );
    gate.open();
    for waiter in held {
        let document = waiter.join().unwrap();
        assert_eq!(document["status"], "completed", "{document}");
        assert_eq!(document["result_status"], 200);
        admin::text(&document["ended_at"]);
    }
    for (query, right) in [
        ("wait=0", 200),
        ("wait=60", 200),
        ("wait=61", 200),
        ("wait=x", 400),
        ("wait=-1", 400),
        ("wait=", 400),
        ("wait=1.5", 400),
    ] {
        let answer = caller.get(&format!("/async/{id}?{query}"));
        assert_eq!(answer.status, right, "{query}: {}", answer.text());
        if right == 400 {
            assert_eq!(problem(&[400], &answer), "query_malformed");
        }
    }
    let head = caller.send(&format!("HEAD /async/{id}"), &[], b"");
    assert!(head.status == 200 && head.body.is_empty());
}

#[test]
fn a_result_is_what_the_model_said_whatever_that_was() {
    let backend = by_path();
    let mut gateway = Gateway::start(iris(&backend));
    let body = pattern(70_000);
    let caller = gateway.caller();
    let asked: Vec<_> = [200, 201, 207, 302, 400, 404, 422]
        .into_iter()
        .map(|status: u16| {
            let line = format!("{}/{status}", post());
            (status, caller.accepted_as(&line, &[], &body))
        })
        .collect();
    let check = |caller: &Caller| {
        for (status, id) in &asked {
            let document = caller.ends(id, "completed");
            assert_eq!(document["result_status"], *status, "{document}");
            let result = caller.result(id);
            assert_eq!(result.status, *status);
            assert!(result.body == body, "{status}");
            assert_eq!(result.head.all("x-model"), ["one", "two"]);
            assert_eq!(result.head.all("content-type"), ["application/x-model"]);
            assert_eq!(result.head.all("x-async-status"), ["completed"]);
            assert_eq!(result.head.all("x-deployment-version"), ["iris_v1"]);
            let head = caller.send(&format!("HEAD /async/{id}/result"), &[], b"");
            assert_eq!(head.status, *status);
            assert!(head.body.is_empty());
            assert_eq!(head.get("content-length").as_deref(), Some("70000"));
        }
    };
    check(&caller);
    gateway.restart(Stop::Kill);
    check(&gateway.caller());
    assert_eq!(backend.count(), asked.len(), "fetched often, run once");
}

#[test]
fn parts_of_a_result_are_fetched_by_range_and_tag() {
    let backend = by_path();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let body = pattern(100_000);
    let id = caller.accepted(&body);
    caller.ends(&id, "completed");
    let line = format!("GET /async/{id}/result");
    let whole = caller.result(&id);
    assert_eq!(whole.get("accept-ranges").as_deref(), Some("bytes"));
    let etag = whole.get("etag").expect("ETag");
    assert_eq!(etag, later::etag(&caller.show(&id), 1));
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99999", 0, 100_000),
        ("bytes=5-", 5, 100_000),
        ("bytes=65530-65545", 65_530, 65_546),
        ("bytes=99999-200000", 99_999, 100_000),
        ("bytes=-7", 99_993, 100_000),
        ("bytes=-200000", 0, 100_000),
    ] {
        for conditions in [vec![], vec![("if-range", etag.as_str())]] {
            let mut headers = vec![("range", range)];
            headers.extend(conditions);
            let part = caller.send(&line, &headers, b"");
            assert_eq!(part.status, 206, "{range}");
            assert!(part.body == body[from..to], "{range}");
            let right = format!("bytes {from}-{}/100000", to - 1);
            assert_eq!(part.get("content-range"), Some(right));
            assert_eq!(part.get("etag").as_deref(), Some(etag.as_str()));
        }
    }
    for range in ["bytes=100000-", "bytes=100000-100001", "bytes=-0"] {
        let none = caller.send(&line, &[("range", range)], b"");
        assert_eq!(none.status, 416, "{range}");
        assert_eq!(none.get("content-range").as_deref(), Some("bytes */100000"));
    }
    for headers in [
        vec![("range", "bytes=0-1,5-6")],
        vec![("range", "bytes=x-y")],
        vec![("range", "bytes=6-5")],
        vec![("range", "lines=0-1")],
        vec![("range", "bytes=0-1"), ("if-range", "\"another.1\"")],
        vec![("if-none-match", "\"another.1\"")],
    ] {
        let all = caller.send(&line, &headers, b"");
        assert_eq!(all.status, 200, "{headers:?}");
        assert!(all.body == body, "{headers:?}");
    }
    let list = format!("\"another.1\", {etag}");
    for known in [etag.as_str(), "*", list.as_str()] {
        let same = caller.send(&line, &[("if-none-match", known)], b"");
        assert_eq!((same.status, same.body.len()), (304, 0), "{known}");
        assert_eq!(same.get("etag").as_deref(), Some(etag.as_str()));
    }
    // Ranges are for what succeeded.
    let id = caller.accepted_as(&format!("{}/404", post()), &[], b"0123456789");
    caller.ends(&id, "completed");
    let line = format!("GET /async/{id}/result");
    let whole = caller.send(&line, &[("range", "bytes=0-1")], b"");
    assert_eq!((whole.status, whole.text().as_str()), (404, "0123456789"));
}

#[test]
fn a_result_that_is_not_ready_or_never_comes_says_so() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(Gateway::with(iris(&backend)), 1).start();
    let caller = gateway.caller();
    let running = caller.accepted(b"first");
    backend.wait_count(1);
    let queued = caller.accepted(b"second");
    let expired = caller.accepted_as(&post(), &[("x-full-live-timeout", "1")], b"third");
    for (id, status) in [(&running, "running"), (&queued, "queued")] {
        let answer = caller.result(id);
        let document = want(202, &answer);
        assert_eq!(&later::whole_document(&document), id);
        assert_eq!(document["status"], status);
        assert_eq!(answer.get("retry-after").as_deref(), Some("1"));
        assert_eq!(answer.get("x-async-status").as_deref(), Some(status));
    }
    want(200, &caller.cancel(&queued));
    caller.ends(&expired, "expired");
    for (id, status) in [(&queued, "cancelled"), (&expired, "expired")] {
        let answer = caller.result(id);
        assert_eq!(problem(&[410], &answer), format!("async_{status}"));
        assert_eq!(answer.get("x-async-status").as_deref(), Some(status));
    }
    gate.open();
    caller.ends(&running, "completed");
    assert_eq!(caller.result(&running).text(), "first");
    assert_eq!(backend.count(), 1, "the others never reached it");
}

#[test]
fn other_methods_are_405_with_what_is_allowed() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted(b"{}");
    caller.ends(&id, "completed");
    for (method, path, allowed) in [
        ("PUT", format!("/async/{id}"), vec!["GET", "HEAD", "DELETE"]),
        ("POST", format!("/async/{id}/result"), vec!["GET", "HEAD"]),
        ("GET", format!("/async/{id}/cancel"), vec!["POST"]),
        ("PATCH", "/async".to_owned(), vec!["GET"]),
    ] {
        let answer = caller.send(&format!("{method} {path}"), &[], b"");
        problem(&[405], &answer);
        let allow = answer.get("allow").expect("Allow");
        for one in allowed {
            assert!(allow.split(',').any(|a| a.trim() == one), "{path}: {allow}");
        }
    }
    assert_eq!(caller.result(&id).status, 200);
}

#[test]
fn words_follow_the_reader_and_statuses_never_do() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        while !door.wait() {}
        let status = if body.bytes == b"no" { 500 } else { 200 };
        conn.answer(status, &[], b"")
    });
    let gateway = later::at_most(Gateway::with(iris(&backend)), 1).start();
    let caller = gateway.caller();
    let done = caller.accepted(b"yes");
    backend.wait_count(1);
    let waiting = caller.accepted(b"no");
    let words = |id: &str, language: &str| {
        let headers = [("accept-language", language)];
        let shown = want(
            200,
            &caller.send(&format!("GET /async/{id}"), &headers, b""),
        );
        (
            admin::text(&shown["status"]),
            admin::text(&shown["status_text"]),
        )
    };
    let say = |status: &str, text: &str| (status.to_owned(), text.to_owned());
    assert_eq!(words(&waiting, "ru"), say("queued", "В очереди"));
    assert_eq!(
        words(&waiting, "ru-RU,ru;q=0.9,en;q=0.8"),
        say("queued", "В очереди")
    );
    for english in ["en", "en-US, ru;q=0.5", "*", "tlh"] {
        let (status, text) = words(&waiting, english);
        assert_eq!(status, "queued");
        assert!(text.is_ascii(), "{english}: {text}");
    }
    gate.open();
    caller.ends(&done, "completed");
    caller.fails(&waiting, "unprocessable");
    assert_eq!(words(&done, "ru"), say("completed", "Завершен"));
    assert_eq!(words(&waiting, "ru"), say("error", "Ошибка"));
    let headers = [("accept-language", "ru"), later::LATER, ("x-api-key", KEY)];
    let answer = gateway.call(&format!("POST {PREDICT}"), &headers, b"");
    assert_eq!(want(202, &answer)["status_text"], "В очереди");
}
