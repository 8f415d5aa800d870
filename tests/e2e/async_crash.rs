//! 202 means durable: killed at any moment, no acknowledged request is lost, mixed up or changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    AUTH, Backend, Ended, Gate, Gateway, PATIENCE, RawClient, Stop, holds_within, iris, later,
    later::{Caller, LATER},
    pattern, post, want,
};

const THREADS: usize = 4;

/// By request id: the numbers of the attempts that reached the backend.
type Deliveries = Arc<Mutex<BTreeMap<String, Vec<u64>>>>;

/// What one connection after another submitted, and was told.
#[derive(Default)]
struct Ledger {
    thread: usize,
    chance: u64,
    count: usize,
    /// By id: the name under which it was submitted.
    acknowledged: BTreeMap<String, String>,
    /// Those of them that have not been looked for since.
    fresh: BTreeSet<String>,
    /// Names of what was sent and not answered.
    unanswered: BTreeSet<String>,
    /// Documents and digests of results that were seen terminal, by id.
    ended: BTreeMap<String, (Value, blake3::Hash)>,
}

/// The one body that belongs to a name; every twentieth is beyond what a row holds.
fn body_of(name: &str) -> Vec<u8> {
    let n: usize = name.rsplit('-').next().unwrap().parse().unwrap();
    let size = if n.is_multiple_of(20) {
        70_000 + n
    } else {
        n * 37 % 1_500
    };
    let mut body = format!("{name}:").into_bytes();
    body.extend(pattern(size));
    body
}

/// Echoes, now and then after a while, so that some are always under way.
fn recording(deliveries: &Deliveries) -> Backend {
    let (deliveries, count) = (Arc::clone(deliveries), AtomicUsize::new(0));
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        if body.ended != Ended::Clean {
            return crate::support::Next::Close;
        }
        let name = head.get("x-request-id").unwrap_or_default();
        let attempt = head.get("x-async-attempt").and_then(|n| n.parse().ok());
        deliveries
            .lock()
            .unwrap()
            .entry(name)
            .or_default()
            .push(attempt.unwrap_or_default());
        // How long this model takes.
        if count.fetch_add(1, Ordering::SeqCst) % 5 == 0
            && conn.wait_end(Duration::from_millis(20)).is_some()
        {
            return crate::support::Next::Close;
        }
        conn.answer(200, &[("content-type", "text/x-echo")], &body.bytes)
    })
}

impl Ledger {
    fn chance(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    /// Submits until the gateway is gone.
    fn work(&mut self, gateway: std::net::SocketAddr, acknowledged: &AtomicUsize) {
        let Ok(mut client) = RawClient::try_connect(gateway) else {
            return;
        };
        loop {
            self.count += 1;
            let name = format!("t{}-{}", self.thread, self.count);
            self.unanswered.insert(name.clone());
            let headers = [AUTH, LATER, ("x-request-id", &name)];
            let answer = client
                .request(&post(), &headers, &body_of(&name))
                .try_response("POST");
            let Some(answer) = answer.ok().filter(|a| a.ended == Ended::Clean) else {
                return;
            };
            let document = want(202, &answer);
            let id = later::whole_document(&document);
            assert_eq!(document["request_id"], name);
            self.unanswered.remove(&name);
            self.fresh.insert(id.clone());
            let twice = self.acknowledged.insert(id, name);
            assert_eq!(twice, None, "an id was given twice");
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Nothing that was acknowledged is missing, and what had ended is as it was. All of it when
    /// `whole`, else what is new and a part of the rest.
    fn check(&mut self, caller: &Caller, whole: bool) {
        let fresh = std::mem::take(&mut self.fresh);
        for (id, name) in self.acknowledged.clone() {
            if !whole && !fresh.contains(&id) && self.chance(20) != 0 {
                continue;
            }
            if let Some((before, digest)) = self.ended.get(&id).cloned() {
                assert_eq!(caller.show(&id), before, "a terminal state changed");
                let now = blake3::hash(&caller.result(&id).body);
                assert_eq!(now, digest, "the result of {name} changed");
                continue;
            }
            let document = if whole {
                caller.ended(&id)
            } else {
                caller.show(&id)
            };
            assert_eq!(document["request_id"], name, "{document}");
            if later::has_ended(&document) {
                assert_eq!(document["status"], "completed", "{document}");
                assert!(document["attempts"].as_u64() >= Some(1), "{document}");
                let result = caller.result(&id);
                assert!(
                    result.status == 200 && result.body == body_of(&name),
                    "{name} has another's result"
                );
                self.ended
                    .insert(id, (document, blake3::hash(&result.body)));
            }
        }
    }

    /// Takes over what was not answered but is there, which must be whole.
    fn adopt(&mut self, listed: &[Value]) {
        for document in listed {
            let name = document["request_id"].as_str().unwrap_or_default();
            if self.unanswered.remove(name) {
                self.acknowledged
                    .insert(later::whole_document(document), name.to_owned());
            }
        }
        self.unanswered.clear();
    }
}

#[test]
fn killed_during_submissions_it_keeps_and_runs_what_it_acknowledged() {
    let rounds = if std::env::var_os("WEIR_FULL").is_some() {
        200
    } else {
        20
    };
    let deliveries = Deliveries::default();
    let backend = recording(&deliveries);
    // Few at once, so that each kill finds some queued, some running and some ended.
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 3)
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 1_000)
        .start();
    let ledgers: Vec<_> = (0..THREADS)
        .map(|thread| {
            Mutex::new(Ledger {
                thread,
                chance: 0x9e37_79b9_7f4a_7c15 + thread as u64,
                ..Ledger::default()
            })
        })
        .collect();
    for round in 0..rounds {
        let acknowledged = AtomicUsize::new(0);
        let addr = gateway.addr();
        // Another moment each time, from the first answer on.
        let enough = 1 + ledgers[0].lock().unwrap().chance(120) as usize;
        thread::scope(|scope| {
            for ledger in &ledgers {
                let acknowledged = &acknowledged;
                scope.spawn(move || ledger.lock().unwrap().work(addr, acknowledged));
            }
            // Killed in any case, so that a failure does not leave the threads working.
            let came = holds_within(PATIENCE, || acknowledged.load(Ordering::SeqCst) >= enough);
            gateway.signal("KILL");
            assert!(came, "round {round}: too few answers");
        });
        gateway.wait_exit(PATIENCE);
        gateway.start_again();
        let caller = gateway.caller();
        let newest = want(200, &caller.get("/async?limit=200"));
        let newest = newest["items"].as_array().unwrap();
        for ledger in &ledgers {
            let mut ledger = ledger.lock().unwrap();
            ledger.adopt(newest);
            ledger.check(&caller, false);
        }
    }
    let caller = gateway.caller();
    let mut known = BTreeMap::new();
    for ledger in &ledgers {
        let mut ledger = ledger.lock().unwrap();
        ledger.check(&caller, true);
        known.append(&mut ledger.acknowledged.clone());
    }
    println!("{} acknowledged requests over {rounds} kills", known.len());
    assert!(known.len() >= rounds);
    let listed = caller.list("limit=200");
    let ids: BTreeSet<_> = listed.iter().map(later::whole_document).collect();
    assert_eq!(ids.len(), listed.len(), "an id is listed twice");
    assert!(
        ids.iter().eq(known.keys()),
        "the list is not what was submitted"
    );
    // Each delivery is an attempt of its own, and counted.
    let deliveries = deliveries.lock().unwrap();
    for document in &listed {
        let name = document["request_id"].as_str().unwrap();
        let attempts = document["attempts"].as_u64().unwrap();
        let numbers = deliveries.get(name).expect("it ran");
        assert!(
            numbers.windows(2).all(|two| two[0] < two[1])
                && numbers.iter().all(|n| (1..=attempts).contains(n)),
            "{name}: attempts {numbers:?} of {attempts}"
        );
    }
    drop(deliveries);
    let sent = backend.count();
    gateway.restart(Stop::Term);
    for ledger in &ledgers {
        ledger.lock().unwrap().check(&gateway.caller(), true);
    }
    assert_eq!(backend.count(), sent, "what had ended ran again");
}

#[test]
fn what_was_queued_stays_queued_and_what_ran_runs_again() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 1).start();
    let caller = gateway.caller();
    let ran = caller.accepted(b"ran");
    backend.wait_count(1);
    let queued: Vec<_> = (0..5)
        .map(|n| caller.accepted(format!("queued {n}").as_bytes()))
        .collect();
    let cancelled = caller.accepted(b"cancelled");
    want(200, &caller.cancel(&cancelled));
    let last = caller.show(&cancelled);
    gateway.restart(Stop::Kill);
    let caller = gateway.caller();
    backend.wait_count(2);
    assert_eq!(caller.show(&cancelled), last);
    for id in &queued {
        assert!(!later::has_ended(&caller.show(id)));
    }
    gate.open();
    let document = caller.ends(&ran, "completed");
    assert_eq!(document["attempts"], 2, "the attempt that died counts");
    assert_eq!(caller.result(&ran).text(), "ran");
    for (n, id) in queued.iter().enumerate() {
        let document = caller.ends(id, "completed");
        assert_eq!(document["attempts"], 1, "{document}");
        assert_eq!(caller.result(id).text(), format!("queued {n}"));
    }
    assert_eq!(backend.count(), 7);
}

#[test]
fn attempts_that_die_with_the_gateway_are_not_endless() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 3)
        .start();
    let id = gateway.caller().accepted(b"deadly");
    for kill in 1..=3 {
        backend.wait_count(kill);
        gateway.restart(Stop::Kill);
    }
    let document = gateway.caller().fails(&id, "exhausted");
    assert_eq!(document["attempts"], 3, "{document}");
    assert_eq!(backend.count(), 3);
    gate.open();
}

#[test]
fn an_orderly_end_finishes_what_runs_and_starts_nothing() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::at_most(later::impatient(Gateway::with(iris(&backend))), 1).start();
    let caller = gateway.caller();
    let ran = caller.accepted(b"ran");
    backend.wait_count(1);
    let queued = caller.accepted(b"queued");
    gateway.sigterm();
    assert!(
        !holds_within(Duration::from_millis(300), || gateway.has_exited()),
        "it waits for what runs"
    );
    gate.step();
    assert_eq!(gateway.wait_exit(PATIENCE).code(), Some(0));
    assert_eq!(backend.count(), 1, "nothing was started meanwhile");
    gate.open();
    gateway.start_again();
    let caller = gateway.caller();
    for (id, body) in [(&ran, "ran"), (&queued, "queued")] {
        assert_eq!(caller.ends(id, "completed")["attempts"], 1);
        assert_eq!(caller.result(id).text(), body);
    }
    assert_eq!(backend.count(), 2, "what had finished did not run again");
}

#[test]
fn what_does_not_finish_within_the_grace_is_given_back_uncounted() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let mut gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_DRAIN_GRACE_MS", 300)
        .env("WEIR_QUEUE_ATTEMPTS_MAX", 2)
        .start();
    let id = gateway.caller().accepted(b"long");
    for run in 1..=3 {
        backend.wait_count(run);
        gateway.sigterm();
        gateway.wait_exit(PATIENCE);
        gateway.start_again();
    }
    backend.wait_count(4);
    gate.open();
    let document = gateway.caller().ends(&id, "completed");
    assert_eq!(document["attempts"], 1, "{document}");
    assert_eq!(gateway.caller().result(&id).text(), "long");
}

#[test]
fn paused_past_its_leases_it_ends_each_request_once() {
    let gate = Gate::new();
    let deliveries = Deliveries::default();
    let (door, seen) = (gate.clone(), Arc::clone(&deliveries));
    let backend = Backend::start(move |conn, head| {
        let body = conn.body(head);
        let name = head.get("x-request-id").unwrap_or_default();
        let attempt = head.get("x-async-attempt").and_then(|n| n.parse().ok());
        seen.lock()
            .unwrap()
            .entry(name)
            .or_default()
            .push(attempt.unwrap_or_default());
        while !door.wait() {}
        conn.answer(200, &[], &body.bytes)
    });
    let gateway = later::impatient(Gateway::with(iris(&backend)))
        .env("WEIR_QUEUE_LEASE_MS", 2_000)
        .start();
    let caller = gateway.caller();
    let ids: Vec<_> = (0..10)
        .map(|n| {
            let name = format!("paused-{n}");
            let headers = [("x-request-id", name.as_str())];
            let id = caller.accepted_as(&post(), &headers, name.as_bytes());
            (id, name)
        })
        .collect();
    backend.wait_count(10);
    gateway.signal("STOP");
    // The answers come while it is away, and its leases run out.
    gate.open();
    thread::sleep(Duration::from_secs(3));
    gateway.signal("CONT");
    for (id, name) in &ids {
        let document = caller.ends(id, "completed");
        assert_eq!(caller.result(id).text(), *name);
        let attempts = document["attempts"].as_u64().unwrap();
        let numbers = deliveries.lock().unwrap()[name].clone();
        assert!(
            numbers.windows(2).all(|two| two[0] < two[1])
                && numbers.iter().all(|n| (1..=attempts).contains(n)),
            "{name}: attempts {numbers:?} of {attempts}"
        );
        let again = caller.show(id);
        assert_eq!(again, document, "it ended twice");
    }
}
