//! Work is spread over backends and workers.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{
    AUTH, Backend, Declarations, Gateway, KEY, Next, PATIENCE, RawClient, deployment, eventually,
    iris, key, post,
};

pub(crate) fn pool(backends: &[&Backend]) -> Declarations {
    let mut iris = deployment("demo/iris");
    for backend in backends {
        iris = iris.backend(backend);
    }
    Declarations::new().with(iris).with(key(KEY, "demo"))
}

/// A backend that resets every request while `sick` says so.
pub(crate) fn moody(sick: &Arc<AtomicBool>) -> Backend {
    let sick = Arc::clone(sick);
    Backend::start(move |conn, head| {
        conn.body(head);
        if sick.load(Ordering::SeqCst) {
            return Next::Reset;
        }
        conn.answer(200, &[], b"ok")
    })
}

#[test]
fn weights_are_shares() {
    let backends = [Backend::echo(), Backend::echo(), Backend::echo()];
    let gateway = Gateway::with(
        Declarations::new()
            .with(
                deployment("demo/iris")
                    .backend_at(&backends[0].url(), ", weight = 3")
                    .backend_at(&backends[1].url(), ", weight = 1")
                    .backend_at(&backends[2].url(), ", weight = 0"),
            )
            .with(key(KEY, "demo")),
    )
    .start();
    let addr = gateway.addr();
    let took = || [0, 1, 2].map(|n| backends[n].count());
    // A machine that stalls looks like a slow backend, which is rightly spared for a while.
    eventually(PATIENCE, "three quarters go to the one of weight 3", || {
        let before = took();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let mut client = RawClient::connect(addr);
                    for _ in 0..150 {
                        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                    }
                });
            }
        });
        let after = took();
        let [heavy, light, none] = [0, 1, 2].map(|n| after[n] - before[n]);
        println!("weights 3, 1, 0 took {heavy}, {light}, {none}");
        assert_eq!((heavy + light, none), (600, 0));
        (360..=540).contains(&heavy)
    });
}

#[test]
fn equal_backends_share_evenly() {
    let backends = [
        Backend::echo(),
        Backend::echo(),
        Backend::echo(),
        Backend::echo(),
    ];
    let gateway = Gateway::start(pool(&backends.each_ref()));
    let mut client = gateway.connect();
    for _ in 0..400 {
        assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
    }
    for backend in &backends {
        assert!(
            backend.count() >= 30,
            "{} of 400 to one of four",
            backend.count()
        );
    }
}

#[test]
fn a_slow_backend_is_avoided() {
    let slow = Backend::start(|conn, head| {
        conn.body(head);
        // Its slowness is the script.
        thread::sleep(Duration::from_millis(150));
        conn.answer(200, &[], b"slow")
    });
    let fast = Backend::says("fast");
    let gateway = Gateway::with(pool(&[&slow, &fast]))
        .env("WEIR_WORKERS", 1)
        .start();
    let addr = gateway.addr();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let mut client = RawClient::connect(addr);
                for _ in 0..40 {
                    assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                }
            });
        }
    });
    println!("slow {} fast {}", slow.count(), fast.count());
    assert_eq!(slow.count() + fast.count(), 320);
    assert!(
        slow.count() * 4 < fast.count(),
        "slow {} fast {}",
        slow.count(),
        fast.count()
    );
}

/// Processor time of each thread of a process, in nanoseconds.
fn thread_times(pid: u32) -> HashMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let time = text.split(' ').next()?.parse().ok()?;
            Some((task.file_name().into_string().ok()?, time))
        })
        .collect()
}

#[test]
fn eight_long_connections_never_sit_on_one_of_two_workers() {
    let backend = Backend::echo();
    let gateway = Gateway::start(iris(&backend));
    for round in 0..10 {
        let mut clients: Vec<_> = (0..8)
            .map(|_| {
                let mut client = gateway.connect();
                assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
                client
            })
            .collect();
        // The worker of a connection is the thread that works while only it asks.
        let mut loads: HashMap<String, usize> = HashMap::new();
        for client in &mut clients {
            let before = thread_times(gateway.pid());
            for _ in 0..15 {
                assert_eq!(client.call(&post(), &[AUTH], b"{}").status, 200);
            }
            let after = thread_times(gateway.pid());
            let spent = |id: &String| after[id] - before.get(id).copied().unwrap_or(0);
            let worker = after.keys().max_by_key(|id| spent(id)).unwrap();
            *loads.entry(worker.clone()).or_default() += 1;
        }
        println!("round {round}: {:?}", loads.values());
        assert!(loads.len() >= 2, "round {round}: all eight on one worker");
    }
}
