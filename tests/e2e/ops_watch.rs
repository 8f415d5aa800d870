//! `weir deployment watch`: what a deployment does, as it does it, without flicker.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Backend, Gateway, Nowhere, PATIENCE, SetOnDrop, admin::at, eventually, version, want,
};

/// Two backends, one of which is not there, behind `demo/iris`; and `demo/idle`.
struct World {
    gateway: Gateway,
    up: Backend,
    down: Nowhere,
    secret: String,
}

fn world() -> World {
    let up = Backend::start(|conn, head| {
        conn.body(head);
        thread::sleep(Duration::from_millis(20));
        conn.answer(200, &[], b"x")
    });
    let gateway = Gateway::bare().env("WEIR_HEALTH_INTERVAL_MS", 100).start();
    let api = gateway.api();
    let down = Nowhere::new();
    let made = api.create("demo/iris", &version(&up.url()));
    let both = json!({"main": {"backends": [{"url": up.url()}, {"url": down.url()}]}});
    // One of the two is enough only once it was live.
    let there = Backend::listen(down.addr(), |conn, _| conn.answer(200, &[], b"x"));
    want(
        202,
        &api.post(&format!("{}/versions?wait=15", at("demo/iris")), &both),
    );
    drop(there);
    api.create("demo/idle", &version(&up.url()));
    eventually(PATIENCE, "one is unhealthy", || {
        let shown = api.show(&at("demo/iris"));
        shown["backends"].to_string().contains("unhealthy")
    });
    World {
        gateway,
        up,
        down,
        secret: made.secret,
    }
}

impl World {
    /// Calls it all the while.
    fn under_load<T>(&self, look: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stop = SetOnDrop(&done);
            for _ in 0..2 {
                scope.spawn(|| {
                    let headers = [("x-api-key", self.secret.as_str())];
                    while !done.load(Ordering::SeqCst) {
                        self.gateway
                            .call("POST /predict/demo/iris", &headers, b"{}");
                    }
                });
            }
            self.gateway
                .wait_metric("weir_requests_total", &[], |n| n > 20.0);
            look()
        })
    }
}

#[test]
fn one_frame_tells_rates_quantiles_and_backends() {
    let world = world();
    let cli = world.gateway.cli();
    world.under_load(|| {
        let mut frame = String::new();
        eventually(PATIENCE * 2, "a rate that is not zero", || {
            frame = cli.ok("deployment watch demo/iris --once");
            let main = frame.lines().find_map(|line| line.strip_prefix("main "));
            let rate = main.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            rate.is_some_and(|n| n > 0.0)
        });
        for words in [
            "demo/iris",
            "iris_v2",
            "live",
            "REQ/S",
            "P50",
            "P99",
            "available",
            "unhealthy",
            world.up.addr().to_string().as_str(),
            world.down.addr().to_string().as_str(),
        ] {
            assert!(frame.contains(words), "no {words}:\n{frame}");
        }
        let spark = |c: char| ('\u{2581}'..='\u{2588}').contains(&c);
        assert!(frame.contains(spark), "no sparkline:\n{frame}");
        let wide = frame.lines().find(|line| line.chars().count() > 120);
        assert!(wide.is_none(), "{wide:?}");
    });
}

#[test]
fn without_a_name_it_shows_all_of_them() {
    let world = world();
    let cli = world.gateway.cli();
    let frame = cli.ok("deployment watch --once");
    for name in ["demo/iris", "demo/idle"] {
        let rows = frame.lines().filter(|line| line.contains(name)).count();
        assert_eq!(rows, 1, "{name}:\n{frame}");
    }
    let idle = cli.ok("deployment watch demo/idle --once");
    assert!(!idle.contains("NaN") && !idle.contains("inf"), "{idle}");
    cli.fails_with(4, "deployment watch demo/nothing --once", &["demo/nothing"]);
    let json = cli.run("deployment watch demo/idle --once -o json");
    assert_eq!(json.code, 0, "{json:?}");
    serde_json::from_str::<serde_json::Value>(&json.out).expect(&json.out);
}

#[test]
fn it_is_refreshed_in_place() {
    let world = world();
    let cli = world.gateway.cli();
    world.under_load(|| {
        let line = "deployment watch demo/iris --interval 1s";
        let terminal = cli.on_terminal(line);
        terminal.shows("p99");
        let pause = Duration::from_millis(300);
        eventually(PATIENCE * 2, "four frames", || terminal.bursts(pause) >= 4);
        let screen = terminal.screen();
        let raw = terminal.raw();
        assert!(raw.matches("\u{1b}[2J").count() <= 1, "{raw:?}");
        assert!(screen.wipes <= 1, "wiped {} times: {raw:?}", screen.wipes);
        assert_eq!(screen.count("demo/iris"), 1, "one frame:\n{screen}");
        let up = world.up.addr().to_string();
        assert_eq!(screen.count(&up), 1, "{screen}");
        terminal.interrupt();
        let (code, raw, screen) = terminal.ended();
        assert!(matches!(code, Some(0 | 130)), "{code:?}");
        assert!(screen.cursor && !screen.borrowed, "left as found: {raw:?}");
    });
}

#[test]
fn what_changes_is_seen_and_a_gateway_that_comes_back_too() {
    let world = world();
    let cli = world.gateway.cli();
    let terminal = cli.on_terminal("deployment watch demo/iris --interval 1s");
    terminal.shows("iris_v2");
    let back = Backend::listen(world.down.addr(), |conn, _| conn.answer(200, &[], b"x"));
    terminal.wait("both are well", |screen| {
        let shown = screen.to_string();
        shown.contains("available") && !shown.contains("unhealthy")
    });
    world
        .gateway
        .api()
        .deploy("demo/iris", &version(&world.up.url()));
    terminal.wait("the new version, and one backend", |screen| {
        let shown = screen.to_string();
        shown.contains("iris_v3") && !shown.contains(&world.down.addr().to_string())
    });
    drop(back);
    terminal.interrupt();
    terminal.ended();
}

#[test]
fn piped_it_steers_no_terminal() {
    let world = world();
    let cli = world.gateway.cli();
    let running = cli.start("deployment watch demo/iris --interval 1s", "");
    running.shows("p99");
    eventually(PATIENCE, "a second frame", || {
        running.out().matches("p99").count() >= 2
    });
    running.interrupt();
    let ran = running.ended(PATIENCE);
    ran.plain();
}
