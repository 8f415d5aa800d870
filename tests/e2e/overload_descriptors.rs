//! Out of connections or of descriptors weir still says so, to clients and to operators, and does not
//! spin.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{
    AUTH, Backend, Ended, Gateway, PATIENCE, RawClient, eventually,
    h2::{H2Client, whole},
    iris, pattern, post,
    tls::Pki,
};

/// Connections that do nothing.
fn idle(addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    let open = (0..count).map(|_| TcpStream::connect_timeout(&addr, PATIENCE));
    open.filter_map(Result::ok).collect()
}

/// What the process has computed, in hundredths of a second.
fn cpu(gateway: &Gateway) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).unwrap();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let of = |field: usize| -> u64 {
        let word = behind.split_whitespace().nth(field - 3);
        word.and_then(|word| word.parse().ok()).unwrap_or_default()
    };
    of(14) + of(15)
}

/// A call on a connection of its own, asked for again until there is one: those that are beyond the cap
/// last for a second.
fn call_in_time(gateway: &Gateway, line: &str, wanted: u16) -> String {
    let mut last = String::new();
    eventually(PATIENCE, line, || {
        let asked = RawClient::try_connect(gateway.addr()).and_then(|mut client| {
            client.request(line, &[AUTH], b"");
            client.try_response("GET")
        });
        let Ok(answer) = asked else { return false };
        last = answer.text();
        answer.status == wanted
    });
    last
}

#[test]
fn beyond_the_cap_health_is_answered_and_the_rest_told_why() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_CONNECTIONS_MAX", 4)
        .start();
    let held = idle(gateway.addr(), 4);
    eventually(PATIENCE, "all places are taken", || {
        gateway.metric("weir_client_connections", &[]) > 3.5
    });
    let answer = gateway.call(&post(), &[AUTH], b"x");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["code"], "shedding");
    assert_eq!(answer.head.get("connection").as_deref(), Some("close"));
    let mut client = gateway.connect();
    assert_eq!(client.call("GET /v2/health/ready", &[], b"").status, 200);
    assert!(client.closed_within(PATIENCE));
    drop(held);
    call_in_time(&gateway, &post(), 200);
    let shed = [("reason", "connections")];
    assert!(gateway.metric("weir_shed_total", &shed) > 0.5);
}

#[test]
fn beyond_the_cap_nobody_keeps_a_place_by_saying_nothing() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = pki
        .on("DATA", Gateway::with(iris(&backend)))
        .env("WEIR_DATA_CONNECTIONS_MAX", 1)
        .env("WEIR_DATA_TLS_HANDSHAKE_TIMEOUT_MS", 600_000)
        .start();
    let mut first = RawClient::secure(gateway.addr(), &pki.client());
    assert_eq!(first.call(&post(), &[AUTH], b"x").status, 200);
    // More than there are places beyond it, none of which ever shakes hands.
    let _silent = idle(gateway.addr(), 200);
    eventually(PATIENCE, "health is answered", || {
        RawClient::try_secure(gateway.addr(), &pki.client())
            .and_then(|mut client| {
                client.request("GET /v2/health/live", &[], b"");
                client
                    .try_response("GET")
                    .map_err(|_| ErrorKind::Other.into())
            })
            .is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn one_address_has_as_many_as_it_may() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend))
        .env("WEIR_DATA_CONNECTIONS_PER_ADDRESS_MAX", 2)
        .start();
    let mut held = [gateway.connect(), gateway.connect()];
    for client in &mut held {
        assert_eq!(client.call(&post(), &[AUTH], b"x").status, 200);
    }
    let mut third = gateway.connect();
    third.request(&post(), &[AUTH], b"x");
    let ended = third.try_response("POST").err();
    assert!(
        matches!(ended, Some(Ended::Eof | Ended::Reset)),
        "{ended:?}"
    );
    let refused = [("reason", "address_max")];
    assert!(gateway.metric("weir_client_connections_refused_total", &refused) > 0.5);
    drop(held);
    call_in_time(&gateway, &post(), 200);
}

#[test]
fn thousands_of_connects_with_few_descriptors_leave_operators_and_health_unharmed() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend)).descriptors(220).start();
    assert_eq!(gateway.call(&post(), &[AUTH], b"x").status, 200);
    let held = idle(gateway.addr(), 3_000);
    call_in_time(&gateway, "GET /v2/health/live", 200);
    for _ in 0..5 {
        assert_eq!(gateway.admin("GET /healthz").status, 200);
        gateway.metrics();
    }
    // Nothing new comes: nothing is computed.
    let (before, began) = (cpu(&gateway), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    let spent = (cpu(&gateway) - before) as f64 / 100.0 / began.elapsed().as_secs_f64();
    assert!(spent < 0.3, "{spent} of a processor with nothing to do");
    assert!(
        !gateway.log().contains("cannot accept"),
        "{}",
        gateway.log()
    );
    drop(held);
    call_in_time(&gateway, &post(), 200);
}

/// Each answer that is read from the disk holds a file, and one connection has room for a hundred.
/// Whoever reaches the admin listener can't take the descriptors of applications.
#[test]
fn half_heads_to_operators_leave_descriptors_to_applications() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend)).descriptors(220).start();
    let mut halves = Vec::new();
    for _ in 0..150 {
        let mut half = TcpStream::connect(gateway.admin_addr()).unwrap();
        half.write_all(b"GET /").unwrap();
        halves.push(half);
    }
    for _ in 0..20 {
        let answer = gateway.call(&post(), &[AUTH], b"{}");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(gateway.call("GET /v2/health/live", &[], b"").status, 200);
    let open = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let open = open.count();
    assert!(open < 220 - 64, "{open} of 220 descriptors are taken");
    drop(halves);
    assert_eq!(gateway.admin("GET /healthz").status, 200);
}

#[test]
fn results_that_nobody_takes_leave_descriptors_to_the_others() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend)).descriptors(220).start();
    let caller = gateway.caller();
    // More than may be on its way to a client that takes none of it.
    let id = caller.accepted(&pattern(6 << 20));
    caller.ends(&id, "completed");
    let path = format!("/async/{id}/result");
    let clients = [(); 3].map(|()| H2Client::connect(gateway.addr()));
    let asked: Vec<_> = clients
        .iter()
        .flat_map(|client| (0..100).map(move |_| client))
        .map(|client| {
            let answer = client.request("GET", &path, &[AUTH], whole(b""));
            (client, client.runtime.spawn(answer))
        })
        .collect();
    let mut answers = Vec::new();
    for (client, answer) in asked {
        let answer = client.runtime.block_on(answer).unwrap();
        answers.push(answer.expect("an answer"));
    }
    let of = |status: u16| answers.iter().filter(move |it| it.status() == status);
    let (taken, refused) = (of(200).count(), of(503).count());
    assert_eq!(taken + refused, 300);
    assert!(
        taken > 30 && refused > 30,
        "{taken} taken, {refused} refused"
    );
    assert!(of(503).all(|it| it.headers().contains_key("retry-after")));
    assert_eq!(gateway.admin("GET /healthz").status, 200);
    let result = format!("/projects/demo/deployments/iris/async/{id}/result");
    let result = gateway.api().get(&result);
    assert_eq!((result.status, result.body.len()), (200, 6 << 20));
    // Operators and the store have most of their 64 still; the rest of the process opens some.
    let open = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let open = open.count();
    assert!(open < 220 - 32, "{open} of 220 descriptors are taken");
    drop((answers, clients));
    let mut last = 0;
    eventually(PATIENCE, "the result can be had again", || {
        last = caller.get(&path).status;
        last == 200
    });
}

/// The system's word is what counts in the end: there may be fewer than weir counted on when it started.
#[test]
fn where_the_system_really_has_none_left_nothing_spins_and_operators_get_in() {
    let backend = Backend::echo();
    let gateway = Gateway::with(iris(&backend)).start();
    let mut kept = gateway.connect();
    assert_eq!(kept.call(&post(), &[AUTH], b"x").status, 200);
    let there = |count: f64| {
        eventually(PATIENCE, "all are taken", || {
            gateway.metric("weir_client_connections", &[]) > count
        });
    };
    let held = idle(gateway.addr(), 400);
    there(400.5);
    let failed = || {
        let failed = [("reason", "accept_error")];
        gateway.metric("weir_client_connections_refused_total", &failed)
    };
    assert!(failed() < 0.5);
    // As `prlimit` does to a running process: fewer than there are.
    let all = limit_descriptors(&gateway, 300);
    let mut more = idle(gateway.addr(), 100);
    eventually(PATIENCE, "accepting fails", || failed() > 0.5);
    // Who was there is served, and operators get in again and again, though newcomers are after every
    // descriptor that they give back.
    let (before, began, failed_before) = (cpu(&gateway), Instant::now(), failed());
    for _ in 0..20 {
        more.extend(idle(gateway.addr(), 20));
        assert_eq!(kept.call(&post(), &[AUTH], b"x").status, 200);
        assert_eq!(gateway.admin("GET /healthz").status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let seconds = began.elapsed().as_secs_f64();
    let spent = (cpu(&gateway) - before) as f64 / 100.0 / seconds;
    let failures = (failed() - failed_before) / seconds;
    println!("{spent} of a processor, {failures} failures a second");
    assert!(spent < 0.5, "{spent} of a processor to no purpose");
    // One every 50 ms for each of two workers, at most.
    assert!(failures < 45.0, "{failures} a second");
    drop((held, more));
    call_in_time(&gateway, &post(), 200);
    // From now on it counts on what there is.
    let mut failed_before = failed();
    let held = idle(gateway.addr(), 1_000);
    call_in_time(&gateway, "GET /v2/health/live", 200);
    assert_eq!(gateway.admin("GET /healthz").status, 200);
    assert_eq!(failed(), failed_before);
    drop(held);
    call_in_time(&gateway, &post(), 200);
    // And with the old limit all is as it was.
    limit_descriptors(&gateway, all);
    failed_before = failed();
    let mut held = Vec::new();
    eventually(PATIENCE, "all are taken", || {
        held.extend(idle(gateway.addr(), 100));
        gateway.metric("weir_client_connections", &[]) > 400.5
    });
    call_in_time(&gateway, &post(), 200);
    assert_eq!(failed(), failed_before);
}

/// Sets how many it may have; how many it might before.
fn limit_descriptors(gateway: &Gateway, count: u64) -> u64 {
    let gateway = Pid::from_raw(i32::try_from(gateway.pid()).unwrap());
    let limit = Rlimit {
        current: Some(count),
        // As high as it was, which is as high as the suite's own.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(gateway, Resource::Nofile, limit).unwrap();
    before.current.unwrap()
}
