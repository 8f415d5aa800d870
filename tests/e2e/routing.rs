//! A deployment's URL leads to its pool, and to nothing else.

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, PATIENCE, PREDICT, deployment, eventually, iris, key,
};

fn reached(backend: &Backend, gateway: &Gateway, line: &str) -> (u16, Option<String>) {
    let before = backend.count();
    let answer = gateway.call(line, &[AUTH], b"");
    let target = (backend.count() > before).then(|| backend.last().head.target().to_owned());
    (answer.status, target)
}

#[test]
fn paths_tails_and_queries() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for (path, want) in [
        ("/predict/demo/iris", "/predict"),
        ("/predict/demo/iris/", "/predict"),
        ("/predict/demo/iris?a=1", "/predict?a=1"),
        ("/predict/demo/iris/?a=1", "/predict?a=1"),
        ("/stream/demo/iris", "/stream"),
        ("/stream/demo/iris/", "/stream"),
        ("/stream/demo/iris/v1/chat", "/v1/chat"),
        (
            "/predict/demo/iris/v1/models/x:predict",
            "/v1/models/x:predict",
        ),
        ("/predict/demo/iris/v1/", "/v1/"),
        ("/predict/demo/iris/predict", "/predict"),
        (
            "/predict/demo/iris/a?q=/../x&r=%2F%2e&&=;b?c",
            "/a?q=/../x&r=%2F%2e&&=;b?c",
        ),
        ("/predict/demo/iris?x=%zz&y=%", "/predict?x=%zz&y=%"),
        (
            "/predict/demo/iris/with%20space/%D0%B8",
            "/with%20space/%D0%B8",
        ),
        ("/predict/demo/iris/a.b/...", "/a.b/..."),
        (
            "/predict/demo/iris/predict/demo/other",
            "/predict/demo/other",
        ),
        ("http://gateway.test/predict/demo/iris/t?q", "/t?q"),
    ] {
        let got = reached(&backend, &gateway, &format!("POST {path}"));
        assert_eq!(got, (200, Some(want.to_owned())), "{path}");
    }
}

#[test]
fn any_method_reaches_the_backend_as_it_is() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT", "X-ODD!",
    ] {
        let answer = gateway.call(&format!("{method} {PREDICT}/t"), &[AUTH], b"");
        assert_eq!(answer.status, 200, "{method}");
        let head = backend.last().head;
        assert_eq!((head.method(), head.target()), (method, "/t"));
    }
}

#[test]
fn crooked_paths_reach_nothing() {
    let backend = Backend::echo();
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend(&backend))
            .with(deployment("demo/open").access("public").backend(&backend))
            .with(deployment("other/shut").backend(&backend))
            .with(key(KEY, "demo")),
    );
    for path in [
        "/predict/demo/open/../iris",
        "/predict/demo/open/../../other/shut",
        "/predict/demo/iris/.",
        "/predict/demo/iris/..",
        "/predict/demo/iris/../..",
        "/predict/./demo/iris",
        "/predict/demo/../demo/iris",
        "/../predict/demo/iris",
        "/predict/demo/iris/%2e%2e/secret",
        "/predict/demo/iris/%2E%2E/secret",
        "/predict/demo/iris/.%2e/secret",
        "/predict/demo/iris/%2e/secret",
        "/predict/demo/iris/a%2Fb",
        "/predict/demo/iris/a%2fb",
        "/predict/demo%2Firis",
        "/predict%2Fdemo/iris",
        "/predict/demo/iris/..%2f..%2fadmin",
        "/predict/demo/iris/a%5Cb",
        "/predict/demo/iris/..\\admin",
        "/predict/demo/iris/%c0%ae%c0%ae/secret",
        "/predict/demo/iris/%e0%80%af",
        "/predict/demo/iris/%ff",
        "/predict/demo/iris/a%00b",
        "/predict/demo/iris/a%0d%0ab",
        "/predict/demo/iris/a//b",
        "/predict/demo/iris//",
        "//predict/demo/iris",
        "/predict//demo/iris",
        "/predict/demo/iris/%zz",
        "/predict/demo/iris/%2",
        "/predict/demo/iris/%",
        "/predict/demo/iris/..;/secret",
    ] {
        let answer = gateway.call(&format!("POST {path}"), &[AUTH], b"");
        assert_eq!(backend.count(), 0, "{path} reached a backend");
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[test]
fn an_escaped_name_is_the_same_name_or_none() {
    let iris_backend = Backend::says("iris");
    let open_backend = Backend::says("open");
    let gateway = Gateway::start(
        Declarations::new()
            .with(deployment("demo/iris").backend(&iris_backend))
            .with(
                deployment("demo/open")
                    .access("public")
                    .backend(&open_backend),
            )
            .with(key(KEY, "demo")),
    );
    for path in [
        "/predict/demo/%69ris",
        "/%70redict/demo/iris",
        "/predict/d%65mo/iris",
    ] {
        let with_key = gateway.call(&format!("POST {path}"), &[AUTH], b"");
        assert!(
            with_key.status >= 400 || with_key.text() == "iris",
            "{path}: {}",
            with_key.status
        );
        let without = gateway.call(&format!("POST {path}"), &[], b"");
        assert!(
            (400..=404).contains(&without.status),
            "{path}: {}",
            without.status
        );
    }
    assert_eq!(open_backend.count(), 0);
    assert!(
        iris_backend
            .received()
            .iter()
            .all(|r| r.head.target() == "/predict")
    );
}

#[test]
fn other_paths_are_nobodys() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for path in [
        "/",
        "/predict",
        "/predict/",
        "/predict/demo",
        "/predict/demo/",
        "/predicts/demo/iris",
        "/PREDICT/demo/iris",
        "/predict/demo/IRIS",
        "/predict/demo/iris2",
        "/predict/demo/iri",
        "/metrics",
        "/api/v1/projects",
    ] {
        let answer = gateway.call(&format!("GET {path}"), &[AUTH], b"");
        assert!(
            matches!(answer.status, 400 | 403 | 404),
            "{path}: {}",
            answer.status
        );
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn the_gateways_own_health_needs_no_key() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for path in ["/v2/health/live", "/v2/health/ready"] {
        assert_eq!(
            gateway.call(&format!("GET {path}"), &[], b"").status,
            200,
            "{path}"
        );
    }
    for path in ["/v2/health/live", "/v2/health/ready"] {
        for method in ["PUT", "POST", "DELETE", "OPTIONS"] {
            let answer = gateway.call(&format!("{method} {path}"), &[], b"");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.json()["code"], "method_not_allowed");
            assert_eq!(answer.get("allow").as_deref(), Some("GET, HEAD"));
        }
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.admin(&format!("GET {path}")).status, 200, "{path}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn methods_that_go_nowhere_are_told_so() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for method in ["TRACE", "CONNECT"] {
        let mut client = gateway.connect();
        client.request(&format!("{method} {PREDICT}"), &[AUTH], b"");
        let answer = client.response("GET");
        assert_eq!(answer.status, 501, "{method}");
        assert_eq!(answer.json()["code"], "method_unsupported");
        assert_eq!(answer.get("connection").as_deref(), Some("close"));
        assert!(client.closed_within(PATIENCE), "{method}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn pools_have_paths_prefixes_and_tails_of_their_own() {
    let backend = Backend::echo();
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&format!("{}/base/v9/", backend.url()), "")
                    .main(
                        "predict_path = \"/p/q\"\nstream_path = \"/s\"\ntails = [\"v1\", \"a/b\"]",
                    ),
            )
            .with(deployment("demo/none").backend(&backend).main("tails = []"))
            .with(key(KEY, "demo")),
    );
    for (path, want) in [
        ("/predict/demo/iris", Some("/base/v9/p/q")),
        ("/predict/demo/iris/?x=1", Some("/base/v9/p/q?x=1")),
        ("/stream/demo/iris", Some("/base/v9/s")),
        ("/predict/demo/iris/v1", Some("/base/v9/v1")),
        ("/predict/demo/iris/v1/x?y", Some("/base/v9/v1/x?y")),
        ("/stream/demo/iris/a/b/c", Some("/base/v9/a/b/c")),
        ("/predict/demo/iris/v10", None),
        ("/predict/demo/iris/a", None),
        ("/predict/demo/iris/x/v1", None),
        ("/predict/demo/iris/V1", None),
        ("/predict/demo/none", Some("/predict")),
        ("/predict/demo/none/x", None),
    ] {
        let (status, target) = reached(&backend, &gateway, &format!("POST {path}"));
        assert_eq!(target.as_deref(), want, "{path}");
        if want.is_none() {
            assert!(matches!(status, 403 | 404), "{path}: {status}");
        }
    }
    eventually(
        crate::support::PATIENCE,
        "probes use the prefix too",
        || backend.probes() > 0,
    );
}

#[test]
fn three_hundred_deployments_each_have_their_own_path() {
    let backend = Backend::echo();
    let mut declared = Declarations::new().with(key(KEY, "instance"));
    for n in 0..300 {
        declared = declared.with(
            deployment(&format!("p{}/d{n}", n % 7))
                .backend(&backend)
                .main(&format!("predict_path = \"/model/{n}\"")),
        );
    }
    let gateway = Gateway::start(declared);
    let mut client = gateway.connect();
    for n in [0, 1, 6, 7, 100, 255, 256, 299] {
        let answer = client.call(&format!("POST /predict/p{}/d{n}", n % 7), &[AUTH], b"");
        assert_eq!((answer.status, answer.version()), (200, format!("d{n}_v1")));
        assert_eq!(backend.last().head.target(), format!("/model/{n}"));
        let wrong = client.call(
            &format!("POST /predict/p{}/d{n}", (n + 1) % 7),
            &[AUTH],
            b"",
        );
        assert_eq!(wrong.status, 404, "d{n} in another project");
    }
}

#[test]
fn other_forms_of_target_are_no_way_in() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    let authority = backend.addr().to_string();
    for line in [
        "OPTIONS *".to_owned(),
        format!("CONNECT {authority}"),
        format!("GET {authority}"),
        format!("POST http://{authority}/secret"),
        format!("POST https://{authority}/secret"),
        "POST predict/demo/iris".to_owned(),
        "POST ?x".to_owned(),
        // A backend may take it for the wish for a tunnel, and what follows for its content.
        format!("CONNECT {PREDICT}"),
    ] {
        let mut client = gateway.connect();
        client.request(&line, &[AUTH], b"");
        let answer = client.try_response("POST");
        assert!(
            answer.as_ref().map_or(true, |a| a.status >= 400),
            "{line}: {answer:?}"
        );
    }
    assert_eq!(backend.count(), 0, "{:?}", backend.received());
}
