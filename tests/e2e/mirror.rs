//! The main answer comes first: whatever the challenger does, the client can't tell.

use std::time::{Duration, Instant};

use crate::support::{
    AUTH, Backend, Declarations, Ended, Gateway, KEY, Next, Nowhere, PATIENCE, PREDICT,
    client::chunk, deployment, eventually, gateway::Builder, key, pattern, post,
};

fn declared(main: &Backend, challenger: &str, lines: &str) -> Declarations {
    Declarations::new()
        .with(
            deployment("demo/iris")
                .backend(main)
                .challenger(challenger, lines),
        )
        .with(key(KEY, "demo"))
}

pub(crate) fn gateway(main: &Backend, challenger: &Backend, lines: &str) -> Builder {
    Gateway::with(declared(main, &challenger.url(), lines))
}

#[test]
fn main_is_the_same_whatever_the_challenger_does() {
    let nobody = Nowhere::new();
    let challengers: Vec<(&str, Backend)> = vec![
        ("healthy", Backend::echo()),
        (
            "slow",
            Backend::start(|conn, head| {
                conn.body(head);
                // Its slowness is the script.
                std::thread::sleep(Duration::from_millis(300));
                conn.answer(200, &[], b"slow")
            }),
        ),
        (
            "hung",
            Backend::start(|conn, _| {
                conn.wait_end(PATIENCE * 4);
                Next::Close
            }),
        ),
        ("resetting", Backend::start(|_, _| Next::Reset)),
        (
            "garbage",
            Backend::raw("no http at all\r\n\r\n", Next::Close),
        ),
        (
            "closing early",
            Backend::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", Next::Close),
        ),
        (
            "flooding",
            Backend::start(|conn, head| {
                conn.body(head);
                conn.start_chunked();
                let piece = chunk(vec![b'x'; 60_000]);
                while conn.write(&piece).is_ok() {}
                Next::Close
            }),
        ),
        (
            "failing",
            Backend::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", Next::Keep),
        ),
    ];
    let main = Backend::start(|conn, head| {
        let body = conn.body(head);
        conn.answer(207, &[("x-main", "yes")], &body.bytes)
    });
    let body = pattern(5_000);
    let measure = |gateway: &Gateway| {
        let mut client = gateway.connect();
        let since = Instant::now();
        for _ in 0..100 {
            let answer = client.call(&post(), &[AUTH], &body);
            assert_eq!((answer.status, &answer.ended), (207, &Ended::Clean));
            assert!(answer.body == body);
            assert_eq!(answer.head.all("x-main"), ["yes"]);
        }
        since.elapsed()
    };
    let nowhere = Gateway::start(declared(&main, &nobody.url(), ""));
    println!("nowhere: {:?}", measure(&nowhere));
    drop(nowhere);
    for (name, challenger) in &challengers {
        let gateway = gateway(&main, challenger, "response_bytes_max = 1000000").start();
        let took = measure(&gateway);
        println!("{name}: 100 requests in {took:?}");
        // Coupled to the slow one they would take 30 s, to the hung one for ever.
        assert!(took < Duration::from_secs(6), "{name}: {took:?}");
        eventually(PATIENCE, "a copy arrives", || challenger.count() > 0);
        assert!(
            gateway.metric("weir_ejections_total", &[("role", "main")]) < 0.5,
            "{name}"
        );
    }
}

#[test]
fn the_copy_is_the_request_without_its_keys() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "").start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = pattern(20_000);
    let bearer = format!("Bearer {KEY}");
    gateway.call(
        &format!("PUT {PREDICT}/v1/x?q=%20"),
        &[
            AUTH,
            ("Authorization", &bearer),
            ("key", KEY),
            ("X-Keep", "1"),
            ("Connection", "x-hop"),
            ("X-Hop", "1"),
            ("traceparent", parent),
            ("x-request-id", "mine"),
        ],
        &body,
    );
    challenger.wait_count(1);
    eventually(PATIENCE, "its body", || challenger.last().body.is_some());
    let (copy, own) = (challenger.last(), main.last());
    assert_eq!(copy.head.start, "PUT /v1/x?q=%20 HTTP/1.1");
    assert!(copy.body.unwrap().bytes == body);
    assert_eq!(copy.head.get("x-keep").as_deref(), Some("1"));
    assert_eq!(copy.head.get("x-request-id").as_deref(), Some("mine"));
    assert_eq!(copy.head.all("host"), [challenger.addr().to_string()]);
    for gone in ["authorization", "x-api-key", "key", "x-hop"] {
        assert!(!copy.head.has(gone), "{gone} went to the challenger");
    }
    let parts = |head: &crate::support::Head| -> Vec<String> {
        let value = head.get("traceparent").expect("traceparent");
        value.split('-').map(str::to_owned).collect()
    };
    let (child, own) = (parts(&copy.head), parts(&own.head));
    assert_eq!(
        (&child[1], &own[1]),
        (&parent[3..35].to_owned(), &parent[3..35].to_owned())
    );
    assert_ne!(child[2], own[2], "the copy is a span of its own");
    assert_ne!(child[2], &parent[36..52], "and not its parent's");
    assert_eq!((child.len(), child[2].len()), (4, 16));
}

#[test]
fn a_chunked_upload_is_copied_whole() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "").start();
    let mut client = gateway.connect();
    let body = pattern(100_000);
    client.request(&post(), &[AUTH, ("transfer-encoding", "chunked")], b"");
    for piece in body.chunks(7_000) {
        client.send(chunk(piece));
    }
    client.send("0\r\n\r\n");
    assert!(client.response("POST").body == body);
    challenger.wait_count(1);
    eventually(PATIENCE, "the copy", || {
        challenger.last().body.is_some_and(|b| b.bytes == body)
    });
}

#[test]
fn streams_go_to_the_challengers_stream_path() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "stream_path = \"/other/stream\"").start();
    gateway.call("POST /stream/demo/iris", &[AUTH], b"{}");
    challenger.wait_count(1);
    assert_eq!(challenger.last().head.target(), "/other/stream");
    assert_eq!(main.last().head.target(), "/stream");
}

#[test]
fn refused_requests_are_not_copied() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "").start();
    gateway.call(&post(), &[], b"{}");
    gateway.call(&post(), &[("key", "wrong")], b"{}");
    gateway.call(&format!("POST {PREDICT}/../x"), &[AUTH], b"{}");
    gateway.call(&post(), &[AUTH], b"real");
    challenger.wait_count(1);
    eventually(PATIENCE, "body", || challenger.last().body.is_some());
    assert_eq!(
        challenger.received()[0].body.as_ref().unwrap().bytes,
        b"real"
    );
    assert_eq!(challenger.count(), 1);
}

#[test]
fn a_client_that_leaves_late_does_not_take_the_copy_along() {
    let (main, challenger) = (
        Backend::echo(),
        Backend::start(|conn, head| {
            let body = conn.body(head);
            conn.answer(200, &[], &body.bytes)
        }),
    );
    let gateway = gateway(&main, &challenger, "").start();
    for _ in 0..20 {
        gateway.call(&post(), &[AUTH, ("connection", "close")], b"{}");
    }
    challenger.wait_count(20);
    gateway.wait_metric("weir_requests_total", &[("role", "challenger")], |n| {
        n > 19.5
    });
}

#[test]
fn outcomes_stand_in_pairs_under_one_exchange() {
    let main = Backend::raw(
        "HTTP/1.1 201 Made\r\ncontent-length: 4\r\n\r\nmain",
        Next::Keep,
    );
    let challenger = Backend::raw(
        "HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nlost",
        Next::Keep,
    );
    let gateway = gateway(&main, &challenger, "")
        .env("WEIR_LOG_ACCESS", "true")
        .env("WEIR_LOG_FORMAT", "json")
        .start();
    for n in 0..5 {
        gateway.call(&post(), &[AUTH, ("x-request-id", &format!("r{n}"))], b"{}");
    }
    fn field<'a>(line: &'a serde_json::Value, name: &str) -> Option<&'a serde_json::Value> {
        line.get(name).or_else(|| line.get("fields")?.get(name))
    }
    let lines = |role: &str| -> Vec<serde_json::Value> {
        let all = gateway.log_json();
        all.into_iter()
            .filter(|line| field(line, "role").and_then(|r| r.as_str()) == Some(role))
            .collect()
    };
    eventually(PATIENCE, "five pairs in the log", || {
        lines("main").len() == 5 && lines("challenger").len() == 5
    });
    let text = |line: &serde_json::Value, name: &str| {
        field(line, name)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let copies = lines("challenger");
    let mut exchanges = Vec::new();
    for own in lines("main") {
        let exchange = text(&own, "exchange");
        assert!(!exchange.is_empty());
        let pair: Vec<_> = copies
            .iter()
            .filter(|c| text(c, "exchange") == exchange)
            .collect();
        assert_eq!(pair.len(), 1, "{own}");
        assert_eq!(
            (
                text(&own, "status").as_str(),
                text(pair[0], "status").as_str()
            ),
            ("201", "500")
        );
        assert_eq!(text(&own, "request_id"), text(pair[0], "request_id"));
        assert!(text(&own, "deployment").contains("demo/iris"), "{own}");
        exchanges.push(exchange);
    }
    exchanges.sort();
    exchanges.dedup();
    assert_eq!(exchanges.len(), 5);
}

#[test]
fn outcomes_are_counted_by_role() {
    let (main, challenger) = (
        Backend::echo(),
        Backend::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", Next::Keep),
    );
    let gateway = gateway(&main, &challenger, "").start();
    for _ in 0..7 {
        gateway.call(&post(), &[AUTH], b"{}");
    }
    gateway.wait_metric(
        "weir_requests_total",
        &[("role", "main"), ("code", "200")],
        |n| (n - 7.0).abs() < 0.5,
    );
    gateway.wait_metric(
        "weir_requests_total",
        &[("role", "challenger"), ("code", "500")],
        |n| (n - 7.0).abs() < 0.5,
    );
}

#[test]
fn an_upload_cut_short_is_no_whole_one_for_the_challenger_either() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "").start();
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST {PREDICT} HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{framing}\r\n\r\n5\r\nhello\r\n"
        ));
        eventually(PATIENCE, "main is asked", || {
            main.received().last().is_some_and(|r| r.body.is_none())
        });
        drop(client);
        eventually(PATIENCE, "main sees it end", || main.last().body.is_some());
    }
    // A whole one shows that everything before it has been decided.
    gateway.call(&post(), &[AUTH], b"whole");
    challenger.wait_count(1);
    eventually(PATIENCE, "its body", || challenger.last().body.is_some());
    let got: Vec<_> = challenger
        .received()
        .into_iter()
        .filter_map(|r| r.body)
        .collect();
    assert!(
        got.iter()
            .all(|b| b.ended != Ended::Clean || b.bytes == b"whole"),
        "{got:?}"
    );
}

#[test]
fn a_copy_that_streams_steadily_outlives_the_idle_limit() {
    let main = Backend::echo();
    let challenger = Backend::start(|conn, head| {
        conn.body(head);
        conn.start_chunked();
        for n in 0..10 {
            let _ = conn.write(chunk(format!("{n}")));
            if conn.wait_end(Duration::from_millis(150)).is_some() {
                return Next::Close;
            }
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend(&main)
                    .challenger(&challenger.url(), "")
                    .timeouts("idle_ms = 600"),
            )
            .with(key(KEY, "demo")),
    );
    assert_eq!(
        gateway
            .call(&format!("POST {PREDICT}"), &[AUTH], b"{}")
            .status,
        200
    );
    let copy = [("role", "challenger")];
    eventually(PATIENCE, "the copy's end", || {
        gateway.metric("weir_requests_total", &copy) > 0.5
    });
    assert!(gateway.metric("weir_exchanges_broken_total", &copy) < 0.5);
    assert!((gateway.metric("weir_response_bytes_total", &copy) - 10.0).abs() < 0.5);
}
