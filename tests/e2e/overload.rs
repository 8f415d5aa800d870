//! A deployment's gate: so many at once, the others wait by class, and who would wait too long is told
//! at once.

use std::time::{Duration, Instant};

use crate::support::{
    AUTH, Backend, Declarations, Gate, Gateway, KEY, PATIENCE, admin, at, at_once, eventually, key,
    post, version, want,
};

/// `demo/iris` with these rules for its gate.
pub(crate) fn declared(backend: &Backend, overload: &str) -> Declarations {
    with(backend, &format!("overload = {{ {overload} }}\n"))
}

/// The same without a gate.
fn open(backend: &Backend) -> Declarations {
    with(backend, "")
}

fn with(backend: &Backend, more: &str) -> Declarations {
    let url = backend.url();
    Declarations::new()
        .with(format!(
            "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\naccess = \"keys\"\n{more}\
             [deployment.version]\nmodel = \"model:1\"\n[deployment.version.main]\n\
             backends = [{{ url = \"{url}\" }}]\n"
        ))
        .with(key(KEY, "demo"))
}

/// A backend whose answers wait at a gate of the test.
pub(crate) fn held(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        gate.wait();
        conn.answer(200, &[], &body.bytes)
    })
}

#[test]
fn the_next_waits_for_its_turn_and_the_one_behind_a_full_line_is_told_at_once() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 1, queue_timeout_ms = 60000";
    let gateway = Gateway::start(declared(&backend, rules));
    let mut first = gateway.connect();
    first.request(&post(), &[AUTH], b"1");
    backend.wait_count(1);
    let mut second = gateway.connect();
    second.request(&post(), &[AUTH], b"2");
    gateway.wait_metric("weir_gate_waiting", &[], |waiting| waiting > 0.5);
    let began = Instant::now();
    let refused = gateway.call(&post(), &[AUTH], b"3");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], "overloaded");
    assert!(refused.head.get("retry-after").is_some());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(backend.count(), 1, "more than one at once");
    gate.open();
    assert_eq!(first.response("POST").body, b"1");
    assert_eq!(second.response("POST").body, b"2");
    let full = [("priority", "default"), ("reason", "full")];
    assert!(gateway.metric("weir_gate_refused_total", &full) > 0.5);
    let now = &gateway.api().show(&at("demo/iris"))["overload_now"];
    let refused = serde_json::json!({"full": 1, "too_long": 0, "displaced": 0});
    assert_eq!(now["refused"], refused, "{now}");
    let told = gateway.cli().ok("deployment overload demo/iris");
    assert!(told.contains("1 because too many waited"), "{told}");
}

#[test]
fn a_gate_that_is_gone_is_shown_no_more() {
    const NONE: Vec<f64> = Vec::new();
    let backend = Backend::says("yes");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let overload = serde_json::json!({"overload": {"concurrency_max": 7}});
    for name in ["demo/lifted", "demo/deleted"] {
        api.create_with(name, &version(&backend.url()), &overload);
    }
    let shown = |deployment: &str| {
        let metrics = gateway.metrics();
        ["weir_gate_limit", "weir_gate_waiting"].map(|name| {
            let labels = [("project", "demo"), ("deployment", deployment)];
            metrics
                .select(name, &labels)
                .map(|it| it.value)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(shown("lifted"), [vec![7.0], vec![0.0]]);
    assert_eq!(shown("deleted"), [vec![7.0], vec![0.0]]);
    let lifted = serde_json::json!({ "overload": null });
    want(200, &api.patch(&at("demo/lifted"), &lifted));
    assert_eq!(shown("lifted"), [NONE, NONE]);
    let because = serde_json::json!({"reason": "a test"});
    let deleted = want(202, &api.verb("DELETE", &at("demo/deleted"), &because));
    api.done(&admin::text(&deleted["task"]["id"]));
    assert_eq!(shown("deleted"), [NONE, NONE]);
    want(200, &api.patch(&at("demo/lifted"), &overload));
    assert_eq!(shown("lifted"), [vec![7.0], vec![0.0]]);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 8, queue_timeout_ms = 300";
    let gateway = Gateway::start(declared(&backend, rules));
    let mut first = gateway.connect();
    first.request(&post(), &[AUTH], b"1");
    backend.wait_count(1);
    let late = gateway.call(&post(), &[AUTH], b"2");
    assert_eq!(late.status, 503, "{}", late.text());
    assert_eq!(late.json()["code"], "turn_timeout");
    gate.open();
    assert_eq!(first.response("POST").body, b"1");
    assert_eq!(gateway.call(&post(), &[AUTH], b"3").body, b"3");
    assert_eq!(backend.count(), 2, "one that left was sent all the same");
}

#[test]
fn who_was_turned_away_at_the_gate_has_spent_nothing() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 8, queue_timeout_ms = 100";
    let limits = "limits = { requests_per_second = 0.001, burst = 3, requests_per_day = 3 }\n";
    let gateway = Gateway::start(declared(&backend, rules).with(limits));
    let mut first = gateway.connect();
    first.request(&post(), &[AUTH], b"1");
    backend.wait_count(1);
    for _ in 0..5 {
        let refused = gateway.call(&post(), &[AUTH], b"2");
        assert_eq!(refused.status, 503, "{}", refused.text());
        let left = refused.head.all("ratelimit");
        let items = left[0].split(", ").all(|item| item.contains(";r=2;"));
        assert!(items, "{left:?}");
    }
    gate.open();
    assert_eq!(first.response("POST").body, b"1");
    for expected in [200, 200, 429] {
        assert_eq!(gateway.call(&post(), &[AUTH], b"3").status, expected);
    }
}

#[test]
fn those_in_line_are_let_in_with_the_edit_that_makes_room() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules =
        |max: u32| format!("concurrency_max = {max}, queue_max = 64, queue_timeout_ms = 60000");
    let gateway = Gateway::start(declared(&backend, &rules(1)));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let mut client = gateway.connect();
            client.request(&post(), &[AUTH], b"x");
            client
        })
        .collect();
    let waiting = |n: f64| gateway.wait_metric("weir_gate_waiting", &[], |is| is == n);
    waiting(5.0);
    // More room, less again, more; in the end none that keeps the last ones back.
    for (max, inside) in [(3, 3), (1, 3), (4, 4)] {
        gateway.redeclare(declared(&backend, &rules(max)));
        backend.wait_count(inside);
        waiting(6.0 - inside as f64);
        assert_eq!(backend.count(), inside);
    }
    gateway.redeclare(open(&backend));
    backend.wait_count(6);
    gate.open();
    for mut client in clients {
        assert_eq!(client.response("POST").status, 200);
    }
}

#[test]
fn a_gate_that_is_lifted_and_declared_again_counts_those_who_are_inside_still() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 2, queue_max = 64, queue_timeout_ms = 60000";
    let gateway = Gateway::start(declared(&backend, rules));
    let ask = || {
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], b"x");
        client
    };
    let mut clients = vec![ask(), ask()];
    backend.wait_count(2);
    gateway.redeclare(open(&backend));
    gateway.redeclare(declared(&backend, rules));
    clients.push(ask());
    gateway.wait_metric("weir_gate_waiting", &[], |waiting| waiting == 1.0);
    assert_eq!(backend.count(), 2, "more than two at once");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("POST").status, 200);
    }
}

#[test]
fn who_waits_when_the_deployment_goes_is_answered_as_it_was_let_in() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 64, queue_timeout_ms = 60000";
    let gateway = Gateway::start(declared(&backend, rules));
    let mut clients = [(); 3].map(|()| {
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], b"x");
        client
    });
    gateway.wait_metric("weir_gate_waiting", &[], |waiting| waiting == 2.0);
    gateway.redeclare(Declarations::new().with(key(KEY, "demo")));
    // Nobody is left behind a gate that no other request will ever open.
    backend.wait_count(3);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("POST").status, 200);
    }
    assert_eq!(gateway.call(&post(), &[AUTH], b"x").status, 404);
}

#[test]
fn who_waits_when_the_gateway_drains_has_its_turn() {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 64, queue_timeout_ms = 60000";
    let mut gateway = Gateway::start(declared(&backend, rules));
    let mut clients = [(); 4].map(|()| {
        let mut client = gateway.connect();
        client.request(&post(), &[AUTH], b"x");
        client
    });
    gateway.wait_metric("weir_gate_waiting", &[], |waiting| waiting == 3.0);
    gateway.sigterm();
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("POST").status, 200);
    }
    assert!(gateway.wait_exit(PATIENCE).success());
}

#[test]
fn under_far_more_than_it_does_a_deployment_does_what_it_can() {
    let backend = Backend::start(|conn, head| {
        let body = conn.body(head);
        // Its slowness is the script: ten a second, four at once.
        std::thread::sleep(Duration::from_millis(100));
        conn.answer(200, &[], &body.bytes)
    });
    let rules = "concurrency_max = 4, queue_max = 256, queue_timeout_ms = 500";
    let gateway = Gateway::start(declared(&backend, rules));
    let answers = at_once(32, |_| {
        let (mut good, mut early, mut late) = (0, 0, 0);
        let began = Instant::now();
        let mut client = gateway.connect();
        while began.elapsed() < Duration::from_secs(3) {
            let asked = Instant::now();
            match client.call(&post(), &[AUTH], b"x").status {
                200 => good += 1,
                503 if asked.elapsed() < Duration::from_millis(250) => early += 1,
                503 => late += 1,
                other => panic!("{other}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        (good, early, late)
    });
    let sum = |of: fn(&(u32, u32, u32)) -> u32| answers.iter().map(of).sum::<u32>();
    let (good, early, late) = (sum(|a| a.0), sum(|a| a.1), sum(|a| a.2));
    println!("{good} answered, {early} refused at once, {late} late");
    // 120 in three seconds, less what starting takes.
    assert!(good >= 90, "{good}");
    assert!(
        early > 0 && late * 4 <= early + late + good,
        "{early} {late}"
    );
    eventually(PATIENCE, "nobody waits", || {
        gateway.metric("weir_gate_waiting", &[]) < 0.5
    });
}
