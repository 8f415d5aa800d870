//! What a challenger costs is capped, and what is left out for that is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};

use crate::support::{
    Backend, Duel, Gate, at_once,
    duel::{alike, challenged, puppets},
};

fn skipped(shown: &Value, reason: &str) -> u64 {
    shown["skipped"][reason].as_u64().expect(reason)
}

/// What it says once each of so many requests has a pair, or was skipped for this reason.
#[track_caller]
fn accounted(duel: &Duel, reason: &str, count: u64) -> (u64, u64) {
    let shown = duel.shows("all are accounted for", |shown| {
        shown["pairs"].as_u64().expect("pairs") + skipped(shown, reason) >= count
    });
    let (pairs, skipped) = (shown["pairs"].as_u64().unwrap(), skipped(&shown, reason));
    assert_eq!(pairs + skipped, count, "{shown}");
    (pairs, skipped)
}

#[test]
fn copies_a_second_are_capped() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"budget": {"requests_per_second": 10}}));
    let since = Instant::now();
    duel.asks(150, &alike(json!({})));
    let most = 10.0 * (since.elapsed().as_secs_f64() + 1.0) + 1.0;
    let (pairs, _) = accounted(&duel, "budget_rate", 150);
    assert!(
        pairs >= 10 && pairs as f64 <= most,
        "{pairs} copies, {most} at most"
    );
    assert_eq!(sides.1.count() as u64, pairs);
    let dropped = duel
        .gateway
        .metric("weir_mirror_dropped_total", &[("reason", "budget_rate")]);
    assert!((dropped - (150 - pairs) as f64).abs() < 0.5, "{dropped}");
}

#[test]
fn bytes_a_second_are_capped_those_of_answers_with_them() {
    let (main, large) = (
        Backend::says("x"),
        Backend::start(|conn, head| {
            conn.body(head);
            conn.answer(200, &[], &[b'y'; 10_000])
        }),
    );
    let more = json!({"budget": {"bytes_per_second": 20_000}});
    let duel = Duel::start(&challenged(&main.url(), &large.url(), more));
    let since = Instant::now();
    // Each costs 100 bytes to ask and 10,000 to hear.
    for _ in 0..60 {
        duel.ask(&"z".repeat(100));
    }
    let (pairs, skipped) = accounted(&duel, "budget_bytes", 60);
    // What is under way is known only afterwards: a few more than are paid for.
    let paid = 2.0 * (since.elapsed().as_secs_f64() + 1.0);
    assert!(
        pairs >= 2 && pairs as f64 <= paid + 8.0,
        "{pairs} copies, {paid} are paid for"
    );
    assert!(skipped > 0);
}

#[test]
fn copies_at_once_are_capped() {
    let gate = Gate::new();
    let door = gate.clone();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (busy, peak) = (Arc::clone(&now), Arc::clone(&most));
    let slow = Backend::start(move |conn, head| {
        conn.body(head);
        peak.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        door.wait();
        busy.fetch_sub(1, Ordering::SeqCst);
        conn.answer(200, &[], b"x")
    });
    let main = Backend::says("x");
    let more = json!({"budget": {"concurrency": 2}, "queue_max": 4, "concurrency_max": 64});
    let duel = Duel::start(&challenged(&main.url(), &slow.url(), more));
    for _ in 0..20 {
        assert_eq!(duel.ask("{}").status, 200);
    }
    duel.shows("14 found no room", |shown| {
        skipped(shown, "queue_full") >= 14
    });
    gate.open();
    let (pairs, _) = accounted(&duel, "queue_full", 20);
    assert_eq!((pairs, most.load(Ordering::SeqCst)), (6, 2));
}

#[test]
fn the_share_is_the_smaller_of_sample_and_budget() {
    let sides = puppets();
    let more = json!({"sample": 0.9, "budget": {"share": 0.2}});
    let duel = Duel::of(&sides, more);
    assert_eq!(duel.shown()["share"], 0.2);
    duel.asks(300, &alike(json!({})));
    let (pairs, _) = accounted(&duel, "not_sampled", 300);
    // Six standard deviations.
    assert!((18..=102).contains(&pairs), "{pairs} of 300");
}

#[test]
fn a_budget_of_nothing_copies_nothing() {
    let budgets = [
        json!({"share": 0.0}),
        json!({"requests_per_second": 0}),
        json!({"bytes_per_second": 0}),
    ];
    at_once(budgets.len(), |at| {
        let budget = &budgets[at];
        let sides = puppets();
        let duel = Duel::of(&sides, json!({"budget": budget.clone()}));
        duel.asks(20, &alike(json!({})));
        let all = |shown: &Value| -> u64 {
            let counts = shown["skipped"].as_object().expect("skipped").values();
            counts.filter_map(Value::as_u64).sum()
        };
        let shown = duel.shows("20 were skipped", |shown| all(shown) >= 20);
        assert_eq!(
            (&shown["pairs"], all(&shown)),
            (&json!(0), 20),
            "{budget}: {shown}"
        );
        assert_eq!(sides.1.count(), 0, "{budget}");
    });
}

/// An adaptive share begins with little, which is all that can be seen of it in seconds: how it grows
/// while main is well, and shrinks while it is not, takes minutes, and is for the unit tests.
#[test]
fn an_adaptive_share_begins_with_little() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"sample": 0.8, "budget": {"adaptive": true}}));
    // With each look that tells nothing it grows by a quarter of that.
    let little = 0.8 / 8.0;
    let eased = |shown: &Value| shown["share"].as_f64() <= Some(little);
    let before = duel.shows("little of its share", eased);
    let (copies, held) = (sides.1.count(), skipped(&before, "budget_adaptive"));
    duel.asks(400, &alike(json!({})));
    let shown = duel.shows("most are held back", |shown| {
        skipped(shown, "budget_adaptive") >= held + 200
    });
    // A few more than a sixteenth when a look fell in between.
    let made = sides.1.count() - copies;
    assert!(made <= 120, "{made} of 400: {shown}");
    assert!(shown["share"].as_f64() <= Some(little * 2.0), "{shown}");
    let dropped = [("reason", "budget_adaptive")];
    let metric = duel.gateway.metric("weir_mirror_dropped_total", &dropped);
    assert!(metric >= 200.0, "{metric}");
}
