//! A key opens what its scope says, and nothing else; and nobody upstream ever sees it.

use crate::support::{Backend, Declarations, Gateway, PATIENCE, deployment, eventually, iris, key};

const DEPLOYMENT: &str = "wk_a1_0123456789abcdefghijklmnopqrstuv";
const PROJECT: &str = "wk_a2_0123456789abcdefghijklmnopqrstuv";
const OTHER: &str = "wk_a3_0123456789abcdefghijklmnopqrstuv";
const SPACED: &str = "words with spaces are no key";
const IMPORTED: &str = "sk-imported:any-visible-ascii/~!";
const UNKNOWN: &str = "wk_a1_0123456789abcdefghijklmnopqrstuX";

fn world(backend: &Backend) -> Declarations {
    Declarations::new()
        .with(deployment("demo/iris").backend(backend))
        .with(deployment("demo/text").backend(backend))
        .with(deployment("demo/wide").access("project").backend(backend))
        .with(deployment("demo/all").access("instance").backend(backend))
        .with(deployment("demo/open").access("public").backend(backend))
        .with(deployment("other/shut").backend(backend))
        .with(key(DEPLOYMENT, "demo/iris"))
        .with(key(PROJECT, "demo"))
        .with(key(OTHER, "other"))
        .with(key(IMPORTED, "instance"))
}

#[test]
fn access_levels_and_scopes() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    let keys = [
        None,
        Some(UNKNOWN),
        Some(DEPLOYMENT),
        Some(PROJECT),
        Some(OTHER),
        Some(IMPORTED),
    ];
    //                          none  unkn  depl  proj  other inst
    for (name, want) in [
        ("demo/iris", [401, 401, 200, 200, 403, 200]),
        ("demo/text", [401, 401, 403, 200, 403, 200]),
        ("demo/wide", [401, 401, 200, 200, 403, 200]),
        ("demo/all", [401, 401, 200, 200, 200, 200]),
        ("demo/open", [200, 401, 200, 200, 200, 200]),
        ("other/shut", [401, 401, 403, 403, 200, 200]),
        ("demo/none", [401, 401, 403, 404, 403, 404]),
        ("none/none", [401, 401, 403, 403, 403, 404]),
    ] {
        for (key, want) in keys.iter().zip(want) {
            let headers: Vec<_> = key.iter().map(|key| ("X-API-Key", *key)).collect();
            for kind in ["predict", "stream"] {
                let answer = gateway.call(&format!("POST /{kind}/{name}"), &headers, b"{}");
                assert_eq!(answer.status, want, "{kind} {name} with {key:?}");
            }
        }
    }
}

#[test]
fn a_name_beyond_a_keys_scope_looks_the_same_whether_or_not_it_exists() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    let answers = ["other/shut", "other/none", "none/none"].map(|name| {
        let answer = gateway.call(
            &format!("POST /predict/{name}"),
            &[("key", DEPLOYMENT)],
            b"",
        );
        let names: Vec<_> = answer.head.headers.iter().map(|(n, _)| n.clone()).collect();
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        (answer.status, names, body)
    });
    assert_eq!(answers[0].0, 403);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn three_headers_carry_keys_and_must_agree() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    let bearer = |key: &str| format!("Bearer {key}");
    let (good, bad) = (bearer(DEPLOYMENT), bearer(UNKNOWN));
    let project = bearer(PROJECT);
    let lower = format!("bearer {DEPLOYMENT}");
    let upper = format!("BEARER {DEPLOYMENT}");
    let padded = format!("{DEPLOYMENT}x");
    let long = "k".repeat(513);
    for (headers, want) in [
        (vec![("Authorization", good.as_str())], 200),
        (vec![("authorization", lower.as_str())], 200),
        (vec![("authorization", upper.as_str())], 200),
        (vec![("X-API-Key", DEPLOYMENT)], 200),
        (vec![("key", DEPLOYMENT)], 200),
        (
            vec![
                ("Authorization", good.as_str()),
                ("X-API-Key", DEPLOYMENT),
                ("KEY", DEPLOYMENT),
            ],
            200,
        ),
        (
            vec![("X-API-Key", DEPLOYMENT), ("X-API-Key", DEPLOYMENT)],
            200,
        ),
        (vec![("Authorization", bad.as_str())], 401),
        (
            vec![
                ("Authorization", project.as_str()),
                ("X-API-Key", DEPLOYMENT),
            ],
            401,
        ),
        (
            vec![("Authorization", good.as_str()), ("key", UNKNOWN)],
            401,
        ),
        (vec![("X-API-Key", DEPLOYMENT), ("X-API-Key", PROJECT)], 401),
        (vec![("key", DEPLOYMENT), ("X-API-Key", PROJECT)], 401),
        (
            vec![
                ("Authorization", good.as_str()),
                ("Authorization", project.as_str()),
            ],
            401,
        ),
        (vec![("X-API-Key", "")], 401),
        (vec![("key", "")], 401),
        (vec![("Authorization", "")], 401),
        (vec![("Authorization", "Bearer")], 401),
        (vec![("Authorization", "Bearer ")], 401),
        (vec![("Authorization", DEPLOYMENT)], 401),
        (vec![("Authorization", "Basic YTpi")], 401),
        (vec![("X-API-Key", padded.as_str())], 401),
        (
            vec![("X-API-Key", &DEPLOYMENT[..DEPLOYMENT.len() - 1])],
            401,
        ),
        (vec![("X-API-Key", SPACED)], 401),
        (vec![("X-API-Key", long.as_str())], 401),
        (
            vec![("X-API-Key", "an-admin-token-for-the-tests-only")],
            401,
        ),
        (vec![("Cookie", DEPLOYMENT)], 401),
    ] {
        let answer = gateway.call("POST /predict/demo/iris", &headers, b"");
        assert_eq!(answer.status, want, "{headers:?}");
    }
    let in_query = gateway.call(
        &format!("POST /predict/demo/iris?key={DEPLOYMENT}"),
        &[],
        b"",
    );
    assert_eq!(in_query.status, 401);
}

#[test]
fn keys_stay_here() {
    let backend = Backend::echo();
    let gateway = Gateway::with(world(&backend))
        .env("WEIR_LOG_ACCESS", "true")
        .start();
    let bearer = format!("Bearer {PROJECT}");
    for name in ["iris", "wide", "all", "open"] {
        let answer = gateway.call(
            &format!("POST /predict/demo/{name}/t"),
            &[
                ("Authorization", bearer.as_str()),
                ("X-API-Key", PROJECT),
                ("Key", PROJECT),
                ("X-Keep", "1"),
            ],
            b"{}",
        );
        assert_eq!(answer.status, 200);
        let raw = String::from_utf8_lossy(&backend.last().head.raw).to_ascii_lowercase();
        assert!(raw.contains("x-keep: 1"), "{raw}");
        for gone in [
            "authorization:",
            "x-api-key:",
            "\r\nkey:",
            "0123456789abcdefghij",
        ] {
            assert!(
                !raw.contains(gone),
                "{name}: {gone} went upstream in\n{raw}"
            );
        }
    }
    gateway.call("POST /predict/demo/iris", &[("x-api-key", UNKNOWN)], b"");
    eventually(PATIENCE, "access lines", || {
        gateway.log().matches("request_id").count() >= 4
    });
    assert!(
        !gateway.log().contains("0123456789abcdefghijklmnopqrstu"),
        "a key stands in the log"
    );
    assert!(!gateway.metrics().text.contains("0123456789abcdefghij"));
}

#[test]
fn refusals_are_all_alike() {
    let backend = Backend::echo();
    let gateway = Gateway::start(world(&backend));
    let cases: [&[(&str, &str)]; 5] = [
        &[],
        &[("X-API-Key", UNKNOWN)],
        &[("X-API-Key", PROJECT), ("key", OTHER)],
        &[("X-API-Key", "")],
        &[("Authorization", "Basic YTpi")],
    ];
    let mut seen = Vec::new();
    for headers in cases {
        for path in [
            "/predict/demo/iris",
            "/predict/demo/none",
            "/predict/none/none/x",
        ] {
            let answer = gateway.call(&format!("POST {path}"), headers, b"");
            assert_eq!(answer.status, 401, "{headers:?} {path}");
            assert_eq!(answer.get("www-authenticate").as_deref(), Some("Bearer"));
            assert_eq!(
                answer.get("content-type").as_deref(),
                Some("application/problem+json")
            );
            let mut body = answer.json();
            let id = body
                .as_object_mut()
                .unwrap()
                .remove("request_id")
                .expect("request_id");
            assert_eq!(id.as_str(), answer.get("x-request-id").as_deref());
            assert!(body["code"].is_string(), "{body}");
            seen.push(body);
        }
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:#?}");
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_removed_key_is_refused_once_the_new_epoch_shows() {
    let backend = Backend::echo();
    let with_key = world(&backend).with(key("wk_gone_0123456789abcdefghijklmnopqrs", "demo"));
    let gateway = Gateway::start(&with_key);
    let gone = [("x-api-key", "wk_gone_0123456789abcdefghijklmnopqrs")];
    let mut kept = gateway.connect();
    assert_eq!(kept.call("POST /predict/demo/iris", &gone, b"").status, 200);
    let version = kept.call("POST /predict/demo/iris", &gone, b"").version();
    gateway.redeclare(world(&backend));
    assert_eq!(kept.call("POST /predict/demo/iris", &gone, b"").status, 401);
    let other = kept.call("POST /predict/demo/iris", &[("key", PROJECT)], b"");
    assert_eq!(
        (other.status, other.version()),
        (200, version),
        "no new version by a key alone"
    );
}

#[test]
fn a_key_declared_by_its_digest_opens_too_and_an_expired_one_does_not() {
    let backend = Backend::echo();
    let digest = blake3::hash(b"digest-only-key-0123456789").to_hex();
    let gateway = Gateway::start(
        iris(&backend)
            .with(format!(
                "[[key]]\ndigest = \"{digest}\"\nscope = \"demo/iris\"\n"
            ))
            .with(key("wk_old_0123456789abcdefghijklmnopqrst", "demo").trim_end())
            .with("expires_at = \"2020-01-01T00:00:00Z\"\n"),
    );
    for (presented, want) in [
        ("digest-only-key-0123456789", 200),
        (digest.as_str(), 401),
        ("wk_old_0123456789abcdefghijklmnopqrst", 401),
    ] {
        let answer = gateway.call("POST /predict/demo/iris", &[("x-api-key", presented)], b"");
        assert_eq!(answer.status, want, "{presented}");
    }
}

#[test]
fn ten_thousand_keys_each_open_their_own() {
    let backend = Backend::echo();
    let secret = |n: usize| format!("wk_n{n}_0123456789abcdefghijklmnopqrstuv");
    let declared = |skip: usize| {
        let mut all = iris(&backend)
            .with(deployment("other/shut").backend(&backend))
            .to_string();
        for n in (0..10_000).filter(|n| *n != skip) {
            all += &key(&secret(n), if n % 2 == 0 { "demo" } else { "other/shut" });
        }
        all
    };
    let gateway = Gateway::start(declared(usize::MAX));
    let mut client = gateway.connect();
    let mut status = |n: usize, name: &str| {
        client
            .call(
                &format!("POST /predict/{name}"),
                &[("x-api-key", &secret(n))],
                b"",
            )
            .status
    };
    for n in [0, 1, 2, 3, 777, 778, 4_999, 5_000, 9_998, 9_999] {
        let (own, foreign) = if n % 2 == 0 {
            ("demo/iris", "other/shut")
        } else {
            ("other/shut", "demo/iris")
        };
        assert_eq!((status(n, own), status(n, foreign)), (200, 403), "key {n}");
    }
    assert_eq!(status(10_000, "demo/iris"), 401);
    gateway.redeclare(declared(778));
    assert_eq!(
        (status(778, "demo/iris"), status(780, "demo/iris")),
        (401, 200)
    );
}
