//! Who waits at a deployment's gate: direct work goes before async work and before nobody's, and who
//! hangs up makes room.

use std::time::{Duration, Instant};

use crate::{
    overload::{declared, held},
    support::{
        AUTH, Backend, Gate, Gateway, PATIENCE, RawClient, at, eventually, key, later, post,
        raw_h2::{self, END_HEADERS, HEADERS, RST_STREAM, RawH2, frame},
    },
};

const INTERACTIVE: &str = "wk_interactive_0123456789abcdefghijklmno";

/// What one who has gone may cost those who are there, where patience is a minute: the hang-up is seen
/// within a tenth of a second, the rest is for a machine whose cores also run everything else.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// How many wait at the gate of `demo/iris`, and how many are inside.
fn stands(gateway: &Gateway) -> (u64, u64) {
    let now = &gateway.api().show(&at("demo/iris"))["overload_now"];
    let number = |member: &str| now[member].as_u64();
    number("waiting")
        .zip(number("in_flight"))
        .unwrap_or_else(|| panic!("{now}"))
}

#[track_caller]
fn wait_standing(gateway: &Gateway, expected: (u64, u64)) {
    let mut last = (0, 0);
    let came = crate::support::holds_within(PATIENCE, || {
        last = stands(gateway);
        last == expected
    });
    assert!(came, "{last:?}, not {expected:?}");
}

#[test]
fn async_work_lets_direct_work_go_first_and_is_all_done_in_the_end() {
    const JOBS: usize = 6;
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 64, queue_timeout_ms = 60000";
    let declared = declared(&backend, rules)
        .with(key(INTERACTIVE, "demo"))
        // What follows a key is of the key.
        .with("priority = \"interactive\"");
    let gateway = later::at_most(Gateway::with(declared), 4).start();
    let direct = |key: &str, body: &str| -> RawClient {
        let mut client = gateway.connect();
        client.request(&post(), &[("x-api-key", key)], body.as_bytes());
        client
    };
    let mut clients = vec![direct(AUTH.1, "first")];
    backend.wait_count(1);
    let caller = gateway.caller();
    let ids: Vec<_> = (0..JOBS).map(|_| caller.accepted(b"async")).collect();
    // One stands in line for all of them.
    wait_standing(&gateway, (1, 1));
    for (nth, (key, body)) in [
        (AUTH.1, "default"),
        (INTERACTIVE, "interactive"),
        (AUTH.1, "default"),
        (INTERACTIVE, "interactive"),
    ]
    .into_iter()
    .enumerate()
    {
        clients.push(direct(key, body));
        wait_standing(&gateway, (nth as u64 + 2, 1));
    }
    let all = clients.len() + JOBS;
    for served in 1..=all {
        backend.wait_count(served);
        assert_eq!(backend.count(), served, "more than one at once");
        gate.step();
    }
    for client in &mut clients {
        assert_eq!(client.response("POST").status, 200);
    }
    for id in &ids {
        caller.ends(id, "completed");
    }
    let order: Vec<_> = backend
        .received()
        .into_iter()
        .map(|received| String::from_utf8(received.body.unwrap().bytes).unwrap())
        .collect();
    let direct = ["first", "interactive", "interactive", "default", "default"];
    let expected: Vec<_> = direct.into_iter().chain(["async"; JOBS]).collect();
    assert_eq!(order, expected);
}

/// One client of `demo/iris` is inside; another one waits, and hangs up.
fn one_hangs_up(wait: impl FnOnce(&Gateway, &Backend) -> Box<dyn FnOnce()>) {
    let gate = Gate::new();
    let backend = held(&gate);
    let rules = "concurrency_max = 1, queue_max = 1, queue_timeout_ms = 60000";
    let gateway = Gateway::start(declared(&backend, rules));
    let mut first = gateway.connect();
    first.request(&post(), &[AUTH], b"1");
    backend.wait_count(1);
    let hang_up = wait(&gateway, &backend);
    wait_standing(&gateway, (1, 1));
    let refused = gateway.call(&post(), &[AUTH], b"2");
    assert_eq!(refused.json()["code"], "overloaded", "{}", refused.text());
    let began = Instant::now();
    hang_up();
    eventually(GONE_WITHIN, "its place is free", || {
        stands(&gateway) == (0, 1)
    });
    println!("its place was free after {:?}", began.elapsed());
    let mut next = gateway.connect();
    next.request(&post(), &[AUTH], b"3");
    wait_standing(&gateway, (1, 1));
    gate.open();
    assert_eq!(first.response("POST").body, b"1");
    assert_eq!(next.response("POST").body, b"3");
    wait_standing(&gateway, (0, 0));
    assert_eq!(
        backend.count(),
        2,
        "one that had gone was sent all the same"
    );
}

#[test]
fn who_hangs_up_in_line_frees_its_place_and_is_never_sent() {
    for body in [0, 100, 50_000] {
        one_hangs_up(|gateway, _| {
            let mut gone = gateway.connect();
            gone.request(&post(), &[AUTH], &vec![b'x'; body]);
            Box::new(move || drop(gone))
        });
    }
}

#[test]
fn who_resets_its_stream_in_line_does_too() {
    one_hangs_up(|gateway, _| {
        let mut client = RawH2::connect(gateway.addr());
        let head = frame(HEADERS, END_HEADERS, 1, &raw_h2::request(&[]));
        assert!(client.send(head));
        Box::new(move || {
            // CANCEL; the connection stays.
            assert!(client.send(frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())));
            std::mem::forget(client);
        })
    });
}
