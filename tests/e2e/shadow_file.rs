//! The file of pairs: no file, broken, at its limit, on a full disk. It costs evidence, and no answer.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, Gateway, PATIENCE, Stop,
    duel::{alike, both, challenged, lenient, puppets},
    eventually, pattern,
};

#[test]
fn a_file_that_is_no_file_costs_no_answer() {
    let sides = puppets();
    let verdict = lenient(json!({}));
    let mut duel = Duel::of(&sides, json!({"verdict": verdict}));
    duel.asks(5, &alike(json!({})));
    duel.saw(5);
    duel.gateway.stop(Stop::Term);
    let file = duel.gateway.data_dir().join("comparison.db");
    assert!(file.is_file(), "the comparison's file");
    for tail in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(duel.gateway.data_dir().join(format!("comparison.db{tail}")));
    }
    fs::create_dir(&file).unwrap();
    fs::write(file.join("inside"), "not empty").unwrap();
    duel.gateway.start_again();
    duel.came_back();
    // No evidence, but all goes on: answers, copies, and what is judged in memory.
    duel.asks(30, &alike(json!({})));
    sides.1.wait_count(35);
    // What it said before can't be read, so that it is not told as if there were nothing; what was
    // compared since is.
    let path = "/projects/demo/deployments/iris/comparison";
    let mut shown = Value::Null;
    eventually(PATIENCE, "what was compared since", || {
        let answer = duel.api.get(path);
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        shown = answer.json();
        shown["pairs"].as_u64() > Some(0)
    });
    assert!(shown["pairs"].as_u64() <= Some(30), "{shown}");
    assert!(duel.gateway.log().contains("comparison.db"), "it is said");
    duel.gateway
        .wait_metric("weir_comparison_available", &[], |n| n < 0.5);
    let pairs = duel
        .api
        .get("/projects/demo/deployments/iris/comparison/pairs");
    assert!(matches!(pairs.status, 200 | 503), "{}", pairs.text());
    duel.gateway.restart(Stop::Term);
    duel.came_back();
    assert_eq!(duel.ask("{}").status, 200);
    assert!(
        file.join("inside").exists(),
        "what is no file of ours stays"
    );
}

#[test]
fn a_broken_file_is_put_aside_and_a_new_one_begun() {
    let sides = puppets();
    let mut duel = Duel::of(&sides, json!({}));
    duel.asks(5, &alike(json!({})));
    duel.listed("", 5);
    duel.gateway.stop(Stop::Term);
    for tail in ["-wal", "-shm"] {
        let _ = fs::remove_file(duel.gateway.data_dir().join(format!("comparison.db{tail}")));
    }
    fs::write(
        duel.gateway.data_dir().join("comparison.db"),
        pattern(50_000),
    )
    .unwrap();
    duel.gateway.start_again();
    duel.came_back();
    duel.asks(7, &alike(json!({})));
    duel.saw(7);
    duel.listed("", 7);
    assert!(
        duel.gateway
            .data_dir()
            .join("comparison.db.broken")
            .exists()
    );
    assert!(duel.gateway.log().contains("comparison.db"), "it is said");
}

#[test]
fn a_file_at_its_limit_lets_the_oldest_pairs_go() {
    let sides = puppets();
    let keep = json!({"sample": 1.0, "bytes_max": 1 << 20});
    let spec = challenged(&sides.0.url(), &sides.1.url(), json!({"keep_bodies": keep}));
    let limit = 16 << 20;
    let builder = Gateway::bare().env("WEIR_COMPARISON_DISK_BYTES_MAX", limit);
    let duel = Duel::on(builder, &spec);
    // What does not pack well, three times in each pair: asked, and answered by both.
    let text: String = pattern(100_000)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let body = alike(json!({"type": "text/plain", "text": text}));
    // Asked 400 KB, and answered twice 200 KB. Not faster than they are compared: none is dropped for
    // want of room on the way.
    for n in [10, 20, 30] {
        duel.asks(10, &body);
        duel.saw(n);
    }
    let path = "/projects/demo/deployments/iris/comparison/pairs";
    let mut ids = Vec::new();
    eventually(
        PATIENCE,
        "the newest are there and the oldest are not",
        || {
            let pairs = duel.api.list(path);
            ids = pairs
                .iter()
                .filter_map(|pair| pair["id"].as_u64())
                .collect();
            ids.sort_unstable();
            ids.len() < 30 && ids.last() == Some(&30)
        },
    );
    // Without a gap: what goes is the oldest.
    assert_eq!(ids, (31 - ids.len() as u64..=30).collect::<Vec<_>>());
    duel.gateway
        .wait_metric("weir_comparison_bytes", &[], |bytes| {
            bytes > 1e6 && bytes < (limit + (limit >> 1)) as f64
        });
    // What the pairs said is not forgotten with them.
    let shown = duel.saw(30);
    assert_eq!(shown["compared"]["agree"], 30, "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_pairs_and_nothing_else() {
    use crate::async_faults::Injected;

    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    duel.asks(5, &alike(json!({})));
    duel.listed("", 5);
    let file = |tail: &str| duel.gateway.data_dir().join(format!("comparison.db{tail}"));
    let files = ["", "-wal", "-shm"].map(file);
    let calls = "pwrite64,write,ftruncate,fallocate";
    let Some(full) = Injected::doing(&duel.gateway, calls, "error=ENOSPC", &files) else {
        return;
    };
    let differ = both(json!({"text": "1"}), json!({"text": "2"}));
    duel.asks(20, &differ);
    // They are judged all the same; that they are not kept is counted.
    let shown = duel.saw(25);
    assert_eq!(shown["compared"]["disagree"], 20, "{shown}");
    let lost = [("reason", "unwritten")];
    let metric = "weir_comparison_pairs_dropped_total";
    duel.gateway.wait_metric(metric, &lost, |n| n > 19.5);
    duel.gateway
        .wait_metric("weir_comparison_available", &[], |n| n < 0.5);
    drop(full);
    // It goes on by itself.
    eventually(PATIENCE * 2, "pairs are kept again", || {
        duel.asks(1, &differ);
        let newest = "/projects/demo/deployments/iris/comparison/pairs?result=disagree";
        let page = duel.api.get(newest);
        page.status == 200
            && page.json()["items"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
    });
    duel.gateway
        .wait_metric("weir_comparison_available", &[], |n| n > 0.5);
    assert!(duel.gateway.log().contains("comparison.db"), "it is said");
}

/// Bodies that wait to be written are held in memory, and that is bounded too.
#[test]
fn kept_bodies_do_not_fill_the_memory() {
    let says = || {
        let body = pattern(1 << 20);
        Backend::start(move |conn, head| {
            conn.body(head);
            conn.answer(200, &[("content-type", "image/png")], &body)
        })
    };
    let (main, challenger) = (says(), says());
    let keep = json!({"sample": 1.0, "bytes_max": 1 << 20});
    let spec = challenged(&main.url(), &challenger.url(), json!({"keep_bodies": keep}));
    let builder = Gateway::bare()
        .env("WEIR_COMPARISON_PENDING_BYTES_MAX", 16 << 20)
        .env("WEIR_COMPARISON_DISK_BYTES_MAX", 64 << 20);
    let duel = Duel::on(builder, &spec);
    duel.asks_each(4, 0..20, |_| "{}".to_owned());
    let before = duel.gateway.rss_kib();
    let mut most = 0;
    duel.asks_until(
        4,
        |_| "{}".to_owned(),
        || {
            most = most.max(duel.gateway.rss_kib());
            duel.shown()["pairs"].as_u64() > Some(150)
        },
    );
    let grown = most.saturating_sub(before) >> 10;
    println!("{grown} MiB more while 150 pairs of 2 MiB were kept");
    assert!(grown < 200, "{grown} MiB");
}
