//! How much a key and a deployment may ask for: refusals by the rule, told exactly, and nothing that is
//! refused is taken.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::support::{
    AUTH, Backend, Conn, Declarations, Gate, Gateway, Head, KEY, Next, PATIENCE, PREDICT,
    RawClient, Response, Stop, at, deployment, eventually, h2::H2Client, key, later, post, problem,
    version,
};

/// `demo/iris`, with limits of its own and of the key; empty for none.
fn limited(backend: &Backend, of_key: &str, of_deployment: &str) -> Declarations {
    let iris = deployment("demo/iris").backend(backend).to_string();
    let iris = iris.replacen(
        "access =",
        &format!("limits = {{ {of_deployment} }}\naccess ="),
        1,
    );
    // What follows a key is of the key.
    let of_key = format!("limits = {{ {of_key} }}\n");
    Declarations::new()
        .with(iris)
        .with(key(KEY, "demo"))
        .with(of_key)
}

#[track_caller]
fn refused(answer: &Response, code: &str) -> u64 {
    assert_eq!(problem(&[429], answer), code);
    let after = answer.get("retry-after").expect("Retry-After");
    after.parse().expect("whole seconds")
}

/// The items of a `RateLimit` field: name, r, t.
#[track_caller]
fn items(answer: &Response) -> Vec<(String, u64, u64)> {
    let fields = answer.head.all("ratelimit");
    assert_eq!(fields.len(), 1, "{fields:?}");
    let read = |item: &str| {
        let (name, rest) = item.split_once(";r=")?;
        let (left, reset) = rest.split_once(";t=")?;
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        Some((name.to_owned(), left.parse().ok()?, reset.parse().ok()?))
    };
    let items = fields[0].split(", ").map(read).collect::<Option<_>>();
    items.unwrap_or_else(|| panic!("{fields:?}"))
}

fn call(gateway: &Gateway) -> Response {
    gateway.call(&post(), &[AUTH], b"{}")
}

/// A stream of one chunk, held open until the gate opens.
fn held_stream(chunk: usize) -> (Backend, Gate) {
    let gate = Gate::new();
    let held = gate.clone();
    let backend = Backend::start(move |conn: &mut Conn, head: &Head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(crate::support::client::chunk(vec![b'x'; chunk]));
        held.wait();
        let _ = conn.write("0\r\n\r\n");
        Next::Close
    });
    (backend, gate)
}

#[test]
fn a_burst_passes_and_the_next_is_refused_with_exact_words() {
    let backend = Backend::echo();
    let rules = "requests_per_second = 0.01, burst = 3, requests_per_day = 1000";
    let gateway = Gateway::start(limited(&backend, rules, ""));
    for left in [2, 1, 0] {
        let answer = call(&gateway);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let policy = "\"key\";q=3;w=300, \"key-day\";q=1000;w=86400";
        assert_eq!(answer.head.all("ratelimit-policy"), [policy]);
        let items = items(&answer);
        assert_eq!((items[0].0.as_str(), items[0].1), ("key", left));
        let paid_s = (3 - left) * 100;
        assert!((paid_s - 20..=paid_s).contains(&items[0].2), "{items:?}");
        assert_eq!((items[1].0.as_str(), items[1].1), ("key-day", 997 + left));
        assert!((1..=86_400).contains(&items[1].2), "{items:?}");
        assert!(!answer.head.has("retry-after"));
    }
    let answer = call(&gateway);
    let after = refused(&answer, "rate_limited");
    assert!((80..=100).contains(&after), "{after}");
    assert_eq!(items(&answer)[0].1, 0);
    assert_eq!(items(&answer)[1].1, 997, "a refusal takes nothing");
    assert_eq!(backend.count(), 3, "none of it reached the backend");
    let labels = [
        ("deployment", "iris"),
        ("scope", "key"),
        ("limit", "requests"),
        ("mode", "enforce"),
    ];
    gateway.wait_metric("weir_limit_refused_total", &labels, |n| n == 1.0);
}

#[test]
fn who_waits_as_told_passes_again() {
    let backend = Backend::echo();
    let gateway = Gateway::start(limited(&backend, "", "requests_per_second = 1.0"));
    assert_eq!(call(&gateway).status, 200);
    let answer = call(&gateway);
    assert_eq!(refused(&answer, "rate_limited"), 1);
    assert_eq!(
        answer.head.all("ratelimit-policy"),
        ["\"deployment\";q=1;w=1"]
    );
    eventually(PATIENCE, "a request passes again", || {
        call(&gateway).status == 200
    });
    // Faults behind the limits tell, too.
    drop(backend);
    eventually(PATIENCE, "the backend's fault", || {
        let answer = call(&gateway);
        answer.status == 503 && items(&answer)[0].0 == "deployment"
    });
}

#[test]
fn a_backends_own_words_stay_where_nothing_is_limited() {
    let backend = Backend::start(|conn, head| {
        conn.body(head);
        let theirs = [
            ("ratelimit", "\"theirs\";r=7;t=1"),
            ("ratelimit-policy", "\"theirs\";q=9"),
        ];
        conn.answer(200, &theirs, b"")
    });
    let gateway = Gateway::start(limited(&backend, "concurrency_max = 5", ""));
    assert_eq!(call(&gateway).head.all("ratelimit"), ["\"theirs\";r=7;t=1"]);
    gateway.redeclare(limited(&backend, "", "requests_per_second = 100.0"));
    let answer = call(&gateway);
    assert_eq!(items(&answer)[0].0, "deployment");
    assert_eq!(
        answer.head.all("ratelimit-policy"),
        ["\"deployment\";q=100;w=1"]
    );
}

#[test]
fn so_many_at_once_until_one_ends() {
    let (backend, gate) = held_stream(1);
    let gateway = Gateway::start(limited(&backend, "concurrency_max = 2", ""));
    let open = || -> RawClient {
        let mut client = gateway.connect();
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        assert_eq!(client.head().status(), Ok(200));
        client
    };
    let (first, second) = (open(), open());
    assert_eq!(refused(&call(&gateway), "concurrency_limited"), 1);
    // A client that leaves makes room, one whose stream ends does.
    drop(first);
    let mut third = None;
    eventually(PATIENCE, "a place", || {
        let mut client = gateway.connect();
        client.request("POST /stream/demo/iris", &[AUTH], b"{}");
        let is_let_in = client.head().status() == Ok(200);
        third = Some(client).filter(|_| is_let_in);
        is_let_in
    });
    assert_eq!(refused(&call(&gateway), "concurrency_limited"), 1);
    gate.open();
    drop((second, third));
    eventually(PATIENCE, "all places", || call(&gateway).status == 200);
}

#[test]
fn bytes_are_paid_for_by_those_that_come_after() {
    let backend = Backend::echo();
    let gateway = Gateway::start(limited(&backend, "bytes_per_second = 1000", ""));
    let answer = gateway.call(&post(), &[AUTH], &vec![b'x'; 20_000]);
    assert_eq!(answer.status, 200);
    let mut after = 0;
    // The last byte is seen by the client before it is charged.
    eventually(PATIENCE, "a refusal", || {
        let answer = call(&gateway);
        answer.status == 429 && {
            after = refused(&answer, "bytes_limited");
            true
        }
    });
    assert!((20..=40).contains(&after), "40,000 bytes at 1,000: {after}");
}

#[test]
fn a_long_stream_is_charged_while_it_runs() {
    let (backend, gate) = held_stream(2 << 20);
    let gateway = Gateway::start(limited(&backend, "", "bytes_per_second = 10000"));
    let mut client = gateway.connect();
    client.request("POST /stream/demo/iris", &[AUTH], b"{}");
    assert_eq!(client.head().status(), Ok(200));
    let chunk = client.read_chunk();
    assert!(chunk.is_ok_and(|chunk| !chunk.is_empty()));
    eventually(PATIENCE, "a refusal while it is open", || {
        call_in_short(&gateway) == Some(429)
    });
    gate.open();
}

/// The status, when it does not take a held stream's time.
fn call_in_short(gateway: &Gateway) -> Option<u16> {
    let mut client = gateway.connect();
    client.request(&post(), &[AUTH], b"{}");
    client.head().status().ok()
}

/// Whose requests of the day are written down in the store, a key's (`k`) or a deployment's (`d`), and
/// how many.
fn quotas_written(gateway: &Gateway) -> Vec<(&'static str, u64)> {
    let store = gateway.data_dir().join("weir.db");
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let asked = "SELECT CAST(key AS TEXT), CAST(value AS TEXT) FROM records \
                 WHERE CAST(key AS TEXT) LIKE 'quota/%' ORDER BY 1";
    let mut asked = store.prepare(asked).unwrap();
    let rows = asked.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    let read = |row: rusqlite::Result<(String, String)>| {
        let (key, value) = row.unwrap();
        let kind = if key.starts_with("quota/k/") {
            "k"
        } else {
            "d"
        };
        let value: serde_json::Value = serde_json::from_str(&value).unwrap();
        let count = value["count"].as_u64();
        (kind, count.unwrap_or_else(|| panic!("{value}")))
    };
    rows.unwrap().map(read).collect()
}

#[test]
fn a_days_requests_are_counted_over_restarts() {
    let backend = Backend::echo();
    let rules = "requests_per_day = 4";
    for stop in [Stop::Term, Stop::Kill] {
        let mut gateway = Gateway::start(limited(&backend, rules, "requests_per_day = 1000"));
        for left in [3, 2, 1, 0] {
            let answer = call(&gateway);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(items(&answer)[0].1, left);
        }
        let after = refused(&call(&gateway), "quota_spent");
        assert!((1..=86_400).contains(&after), "{after}");
        if stop == Stop::Kill {
            // While requests come what is written is ahead of them; a second after the last one it is
            // exact. Two of four, written ahead, look the same for one round of writing.
            let mut since = None;
            eventually(PATIENCE, "the counts are written", || {
                let is_exact = quotas_written(&gateway) == [("d", 4), ("k", 4)];
                since = is_exact.then(|| since.unwrap_or_else(Instant::now));
                since.is_some_and(|since| since.elapsed() > Duration::from_secs(2))
            });
        }
        gateway.restart(stop);
        refused(&call(&gateway), "quota_spent");
        let items = items(&call(&gateway));
        assert_eq!(items[0].1, 0);
        // Neither given back nor taken twice.
        assert_eq!(items[1].1, 996, "{stop:?}");
    }
}

#[test]
fn what_is_only_counted_is_never_refused() {
    let backend = Backend::echo();
    let rules = "requests_per_second = 0.001, burst = 2, requests_per_day = 1, mode = \"count\"";
    let gateway = Gateway::start(limited(&backend, rules, ""));
    for _ in 0..5 {
        let answer = call(&gateway);
        assert_eq!(answer.status, 200);
        assert!(!answer.head.has("ratelimit"), "clients are not told");
    }
    let count = |limit, mode| {
        let labels = [("scope", "key"), ("limit", limit), ("mode", mode)];
        gateway.metric("weir_limit_refused_total", &labels)
    };
    assert_eq!(count("day", "count"), 4.0);
    assert_eq!(count("requests", "count"), 0.0);
    assert_eq!(count("day", "enforce"), 0.0);
    assert_eq!(backend.count(), 5);
}

#[test]
fn what_the_deployment_refuses_costs_the_key_nothing() {
    let backend = Backend::echo();
    let of_key =
        "requests_per_second = 0.001, burst = 5, requests_per_day = 50, concurrency_max = 1";
    let of_deployment = "requests_per_second = 0.001, burst = 1";
    let gateway = Gateway::start(limited(&backend, of_key, of_deployment));
    let names = |answer: &Response| -> Vec<(String, u64)> {
        let items = items(answer).into_iter();
        items.map(|(name, left, _)| (name, left)).collect()
    };
    let named = |items: [(&str, u64); 3]| items.map(|(name, left)| (name.to_owned(), left));
    let stands = named([("key", 4), ("key-day", 49), ("deployment", 0)]);
    assert_eq!(names(&call(&gateway)), stands);
    for _ in 0..10 {
        let answer = call(&gateway);
        refused(&answer, "rate_limited");
        assert_eq!(names(&answer), stands);
    }
    let labels = [("scope", "deployment"), ("limit", "requests")];
    gateway.wait_metric("weir_limit_refused_total", &labels, |n| n == 10.0);
    assert_eq!(gateway.metric("weir_limit_refused_total", &[]), 10.0);
}

#[test]
fn streams_of_http_2_are_limited_alike() {
    let backend = Backend::echo();
    let rules = "requests_per_second = 0.001, burst = 2";
    let gateway = Gateway::start(limited(&backend, rules, ""));
    let client = H2Client::connect(gateway.addr());
    let call = || client.call("POST", PREDICT, &[AUTH], b"{}");
    assert_eq!((call().status, call().status), (200, 200));
    let answer = call();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["ratelimit-policy"], "\"key\";q=2;w=2000");
    assert!(answer.headers.contains_key("retry-after"));
}

#[test]
fn a_submission_takes_its_share_and_asking_after_it_none() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let rules = "requests_per_second = 0.001, burst = 4, concurrency_max = 1, requests_per_day = 9";
    let gateway = Gateway::start(limited(&backend, rules, ""));
    let caller = gateway.caller();
    let submit = |once: &str| caller.submit(&post(), &[("idempotency-key", once)], b"{}");
    let mut ids = Vec::new();
    for left in [3, 2, 1, 0] {
        // What is asked for once more was paid for.
        if left == 0 {
            let answer = submit("once-1");
            assert!(answer.head.has("idempotency-replayed"));
            assert_eq!((items(&answer)[0].1, items(&answer)[1].1), (1, 6));
        }
        // They take no place, however many run or wait.
        let answer = submit(&format!("once-{left}"));
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(items(&answer)[0].1, left);
        assert_eq!(items(&answer)[1].1, 5 + left);
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    refused(&submit("refused"), "rate_limited");
    for _ in 0..5 {
        assert!(!caller.show(&ids[0])["status"].is_null());
    }
    gate.open();
    for id in &ids {
        caller.ends(id, "completed");
    }
    // The refusal is forgotten: the same id is new when there is room for it.
    let more = "requests_per_second = 0.001, burst = 9, requests_per_day = 9";
    gateway.redeclare(limited(&backend, more, ""));
    let answer = submit("refused");
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert!(!answer.head.has("idempotency-replayed"));
    assert_eq!(items(&answer)[1].1, 4, "attempts took nothing of the day");
}

#[test]
fn an_edit_is_in_force_when_it_is_answered_and_refills_nothing() {
    let backend = Backend::echo();
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let call = || gateway.call(&post(), &[("x-api-key", &made.secret)], b"{}");
    for left in [1, 0] {
        let limits = json!({"requests_per_second": 0.001, "burst": 2, "concurrency_max": 5 + left});
        let answer = api.patch(&at("demo/iris"), &json!({ "limits": limits }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = call();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(items(&answer)[0].1, left);
    }
    refused(&call(), "rate_limited");
    let answer = api.patch(&at("demo/iris"), &json!({ "limits": null }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = call();
    assert_eq!((answer.status, answer.head.has("ratelimit")), (200, false));
}
