//! A submission is admitted like a direct call, and answered 202 with everything to find it again.

use serde_json::Value;

use crate::support::{
    AUTH, Backend, Declarations, Gate, Gateway, KEY, at, deployment, iris, key, later,
    later::LATER, pattern, post, problem, version, want,
};

const OTHER: &str = "wk_other_0123456789abcdefghijklmnopqrstu";

/// Deployments of every kind of access, on one backend.
fn world(backend: &Backend) -> Declarations {
    iris(backend)
        .with(deployment("demo/open").access("public").backend(backend))
        .with(
            deployment("demo/narrow")
                .backend(backend)
                .main("tails = [\"v1\"]"),
        )
        .with(deployment("other/shut").backend(backend))
        .with(key(OTHER, "other"))
}

#[test]
fn the_answer_says_everything_that_is_needed_to_find_it_again() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let answer = caller.submit(&post(), &[("x-request-id", "mine-1")], b"{}");
    let document = want(202, &answer);
    let id = later::whole_document(&document);
    for (name, right) in [
        ("location", format!("/async/{id}")),
        ("retry-after", "1".to_owned()),
        ("x-request-id", "mine-1".to_owned()),
        ("x-deployment-version", "iris_v1".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ] {
        assert_eq!(answer.head.all(name), [right], "{name}");
    }
    let epoch: u64 = answer.get("x-config-epoch").unwrap().parse().unwrap();
    assert!(epoch > 0);
    assert!(!answer.head.has("preference-applied"), "nobody preferred");
    assert_eq!(document["request_id"], "mine-1");
    assert_eq!(document["deployment"], "demo/iris");
    assert_eq!(document["status_url"], format!("/async/{id}"));
    assert_eq!(document["result_url"], format!("/async/{id}/result"));
    assert_eq!(document["cancel_url"], format!("/async/{id}/cancel"));
    let shown = caller.show(&id);
    for member in ["request_id", "deployment", "created_at", "expires_at"] {
        assert_eq!(shown[member], document[member]);
    }
    gate.open();
    caller.ends(&id, "completed");
    assert_eq!(caller.result(&id).body, b"{}");
}

#[test]
fn its_urls_are_whole_where_the_gateway_knows_its_name() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_PUBLIC_URL", "https://models.example")
        .start();
    let document = want(202, &gateway.caller().submit(&post(), &[], b"{}"));
    let id = later::whole_document(&document);
    let whole = format!("https://models.example/async/{id}");
    assert_eq!(document["status_url"], whole);
    assert_eq!(document["result_url"], format!("{whole}/result"));
}

/// An answer's status and, where it is a problem, its code.
fn verdict(answer: &crate::support::Response) -> (u16, Value) {
    let code = match answer.status {
        400.. => answer.json()["code"].clone(),
        _ => Value::Null,
    };
    (answer.status, code)
}

#[test]
fn it_is_refused_where_a_direct_call_is() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    let (mine, theirs, unknown) = (
        ("x-api-key", KEY),
        ("x-api-key", OTHER),
        ("key", "wk_nobody_0123456789abcdefghijklmnopqr"),
    );
    let mut client = gateway.connect();
    for (path, headers, right) in [
        ("/predict/demo/iris", vec![], 401),
        ("/predict/demo/iris", vec![unknown], 401),
        ("/predict/demo/iris", vec![mine, ("key", OTHER)], 401),
        ("/predict/demo/open", vec![unknown], 401),
        ("/predict/demo/iris", vec![theirs], 403),
        ("/predict/demo/none", vec![theirs], 403),
        ("/predict/demo/none", vec![mine], 404),
        ("/stream/demo/none", vec![mine], 404),
        ("/predict/demo/narrow/v2/x", vec![mine], 404),
        (
            "/predict/demo/iris",
            vec![mine, ("x-deployment-version", "1")],
            403,
        ),
    ] {
        let line = format!("POST {path}");
        let direct = verdict(&client.call(&line, &headers, b"{}"));
        assert_eq!(direct.0, right, "{path} {headers:?}");
        let mut later = headers.clone();
        later.push(LATER);
        assert_eq!(
            verdict(&client.call(&line, &later, b"{}")),
            direct,
            "{path} {headers:?}"
        );
    }
    assert_eq!(backend.count(), 0);
    assert_eq!(gateway.caller().list("").len(), 0, "nothing is kept");
    assert_eq!(gateway.caller_with(OTHER).list("").len(), 0);
    let narrow = gateway
        .caller()
        .accepted_as("POST /predict/demo/narrow/v1/x", &[], b"");
    gateway.caller().ends(&narrow, "completed");
    assert_eq!(backend.last().head.target(), "/v1/x");
}

#[test]
fn a_key_is_needed_even_where_access_is_public() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    assert_eq!(
        gateway.call("POST /predict/demo/open", &[], b"").status,
        200
    );
    let caller = gateway.caller_with(OTHER);
    let id = caller.accepted_as("POST /predict/demo/open", &[], b"open");
    caller.ends(&id, "completed");
    assert_eq!(caller.result(&id).body, b"open");
    for (line, headers) in [
        ("POST /predict/demo/open".to_owned(), vec![LATER]),
        (
            "POST /predict/demo/open".to_owned(),
            vec![("prefer", "respond-async")],
        ),
        ("GET /async".to_owned(), vec![]),
        (format!("GET /async/{id}"), vec![]),
        (format!("GET /async/{id}/result"), vec![]),
        (format!("POST /async/{id}/cancel"), vec![]),
        (format!("DELETE /async/{id}"), vec![]),
    ] {
        let answer = gateway.call(&line, &headers, b"");
        assert_eq!(problem(&[401], &answer), "key_invalid", "{line}");
        assert_eq!(answer.get("www-authenticate").as_deref(), Some("Bearer"));
    }
}

#[test]
fn a_deployment_that_was_never_live_takes_none() {
    let nowhere = crate::support::Nowhere::new();
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 60_000)
        .start();
    let api = gateway.api();
    api.project("demo");
    let made = want(
        201,
        &api.post(
            "/projects/demo/deployments",
            &serde_json::json!({"name": "iris", "version": version(&nowhere.url())}),
        ),
    );
    let secret = made["first_key"]["secret"].as_str().unwrap();
    let caller = gateway.caller_with(secret);
    let refused = caller.submit(&post(), &[], b"");
    assert_eq!(problem(&[503], &refused), "deployment_not_live");
    assert!(refused.head.has("retry-after"));
    assert_eq!(api.list(&format!("{}/async", at("demo/iris"))).len(), 0);
}

#[test]
fn both_ways_of_asking_are_understood_and_nothing_else_is() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = Gateway::start(iris(&backend));
    let prefer = |value: &'static str| vec![("prefer", value)];
    for (headers, applied) in [
        (vec![("X-Async-Request", "true")], None),
        (vec![("x-async-request", "TRUE")], None),
        (prefer("respond-async"), Some("respond-async")),
        (prefer("Respond-Async"), Some("respond-async")),
        (
            prefer("handling=lenient, respond-async"),
            Some("respond-async"),
        ),
        (
            prefer("respond-async, wait=1"),
            Some("respond-async, wait=1"),
        ),
        (
            vec![("prefer", "wait=1"), ("prefer", "respond-async")],
            Some("respond-async, wait=1"),
        ),
    ] {
        let mut all = vec![AUTH];
        all.extend(&headers);
        let answer = gateway.call(&post(), &all, b"{}");
        assert_eq!(answer.status, 202, "{headers:?}: {}", answer.text());
        assert_eq!(
            answer.get("preference-applied").as_deref(),
            applied,
            "{headers:?}"
        );
    }
    for headers in [
        vec![("x-async-request", "false")],
        prefer("wait=5"),
        prefer("return=minimal"),
    ] {
        let mut all = vec![AUTH];
        all.extend(&headers);
        let answer = gateway.call(&post(), &all, b"direct");
        assert_eq!((answer.status, answer.text().as_str()), (200, "direct"));
        assert!(!answer.head.has("preference-applied"), "{headers:?}");
    }
    gate.open();
}

#[test]
fn with_a_wait_it_is_answered_plainly_when_the_answer_is_there_in_time() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head);
        match body.bytes.as_slice() {
            b"reset" => crate::support::Next::Reset,
            b"no" => conn.answer(500, &[("x-model", "m")], b"why"),
            _ => conn.answer(201, &[("x-model", "m")], &body.bytes),
        }
    });
    let gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 1)
        .start();
    let caller = gateway.caller();
    let ask = |body: &[u8]| {
        let answer = caller.send(&post(), &[("prefer", "respond-async, wait=10")], body);
        assert_eq!(
            answer.get("preference-applied").as_deref(),
            Some("respond-async, wait=10")
        );
        answer
    };
    let body = pattern(100_000);
    let plain = ask(&body);
    assert_eq!((plain.status, plain.body == body), (201, true));
    assert_eq!(plain.get("x-model").as_deref(), Some("m"));
    assert_eq!(plain.get("x-async-status").as_deref(), Some("completed"));
    let location = plain.get("location").expect("Location");
    assert_eq!(want(200, &caller.get(&location))["status"], "completed");
    let again = caller.get(&format!("{location}/result"));
    assert!(again.status == 201 && again.body == body, "still there");
    let failed = ask(b"no");
    assert_eq!((failed.status, failed.text().as_str()), (500, "why"));
    assert_eq!(failed.get("x-async-status").as_deref(), Some("error"));
    assert_eq!(problem(&[502], &ask(b"reset")), "async_exhausted");
}

#[test]
fn headers_that_make_no_sense_are_400_and_nothing_is_kept() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let long = "k".repeat(256);
    for (name, value) in [
        ("x-request-timeout", "0"),
        ("x-request-timeout", "86401"),
        ("x-request-timeout", "-1"),
        ("x-request-timeout", "1.5"),
        ("x-request-timeout", "soon"),
        ("x-request-timeout", ""),
        ("x-full-live-timeout", "0"),
        ("x-full-live-timeout", "604801"),
        ("x-full-live-timeout", "a day"),
        ("x-webhook-url", "not a url"),
        ("x-webhook-url", "ftp://models.example/x"),
        ("x-webhook-url", "http://"),
        ("idempotency-key", ""),
        ("idempotency-key", "two words"),
        ("idempotency-key", long.as_str()),
    ] {
        let answer = caller.submit(&post(), &[(name, value)], b"{}");
        assert_eq!(
            problem(&[400], &answer),
            "async_header_invalid",
            "{name}: {value:?}"
        );
    }
    let twice = [("x-request-timeout", "5"), ("x-request-timeout", "6")];
    let answer = caller.submit(&post(), &twice, b"{}");
    assert_eq!(problem(&[400], &answer), "async_header_invalid");
    assert_eq!(caller.list("").len(), 0);
    assert_eq!(backend.count(), 0);
    for (name, value) in [
        ("x-request-timeout", "1"),
        ("x-request-timeout", "86400"),
        ("x-full-live-timeout", "604800"),
        ("idempotency-key", &long[..255]),
    ] {
        let id = caller.accepted_as(&post(), &[(name, value)], b"{}");
        caller.ends(&id, "completed");
    }
}
