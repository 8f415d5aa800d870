//! A million pairs: how much room they take, how fast they are written, and how fast a page is found.
//! Run by hand, in a release build: `cargo test --release --lib million -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;

const PAIRS: u64 = 1_000_000;
const BATCH: u64 = 1_000;

#[test]
#[ignore = "takes a minute, and its figures are those of a release build"]
fn a_million_pairs_are_written_fast_and_any_page_is_found_at_once() {
    let world = World::new(JournalOptions::default());
    let mut longest = Duration::ZERO;
    let begun = Instant::now();
    for first in (0..PAIRS).step_by(BATCH as usize) {
        let made = |n: u64| {
            let of = challenger("demo/iris", 1, 1 + (n / (PAIRS / 4)) as u32);
            let at_ms = BEGIN_MS + n;
            let mut made = match n % 100 {
                // As far apart as all whose status differs.
                0..5 => failed(disagreeing(of, at_ms, 1e6)),
                5..15 => disagreeing(of, at_ms, (n * 7_919 % 10_007) as f64 / 10_007.0),
                15..17 => uncompared(of, at_ms, Uncompared::MainFailed),
                _ => pair(of, at_ms),
            };
            // No two are alike.
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            made.record.request_id = format!("{mixed:016x}{:08x}", n as u32).into();
            made.record.main.latency_ns = Some(10_000_000 + mixed % 5_000_000);
            made.record.detail = Some(Detail::Number {
                main: mixed as f64 / 1e19,
                challenger: mixed as f64 / 1.01e19,
            });
            made
        };
        let pairs: Vec<NewPair> = (first..first + BATCH).map(made).collect();
        let states = [(pairs[0].challenger.clone(), StateBlob(vec![7; 4_096]))];
        let before = Instant::now();
        assert_eq!(
            world
                .journal
                .write(&pairs, &states, &[], BEGIN_MS + first, true),
            Wrote::All
        );
        longest = longest.max(before.elapsed());
    }
    let took = begun.elapsed();
    let bytes = side_file::bytes_on_disk(&world.path());
    println!(
        "{PAIRS} pairs: {} MiB, {} bytes a pair, {:.0} pairs/s, longest write of {BATCH} {longest:.1?}",
        bytes >> 20,
        bytes / PAIRS,
        PAIRS as f64 / took.as_secs_f64(),
    );
    assert!(bytes / PAIRS < 200, "{bytes}");
    let all = Filter::new(name("demo/iris"));
    let by = |order, result, version: Option<u32>| Filter {
        order,
        result,
        version: version.map(VersionNumber),
        ..all.clone()
    };
    let middle = Filter {
        from_ms: Some(BEGIN_MS + PAIRS / 2),
        to_ms: Some(BEGIN_MS + PAIRS / 2 + 1_000),
        ..by(Order::Newest, Some(Wanted::Disagree), None)
    };
    for (words, filter) in [
        ("newest", by(Order::Newest, None, None)),
        ("oldest", by(Order::Oldest, None, Some(3))),
        (
            "disagree, newest",
            by(Order::Newest, Some(Wanted::Disagree), None),
        ),
        (
            "error, newest",
            by(Order::Newest, Some(Wanted::Error), None),
        ),
        ("worst", by(Order::Worst, None, None)),
        ("worst of version 2", by(Order::Worst, None, Some(2))),
        ("disagree, a second in the middle", middle),
        (
            "worst, a second in the middle",
            Filter {
                order: Order::Worst,
                from_ms: Some(BEGIN_MS + PAIRS / 2),
                to_ms: Some(BEGIN_MS + PAIRS / 2 + 1_000),
                ..all.clone()
            },
        ),
    ] {
        let (mut filter, mut pages, mut found) = (filter, 0, 0);
        let (mut first, mut slowest) = (Duration::ZERO, Duration::ZERO);
        // Deep enough to be behind all that are as bad as each other.
        while pages < 600 {
            let before = Instant::now();
            let page = world.page(&filter);
            let took = before.elapsed();
            first = if pages == 0 { took } else { first };
            slowest = slowest.max(took);
            pages += 1;
            found += page.items.len();
            filter.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        println!(
            "{words}: first page {first:.1?}, slowest of {pages} {slowest:.1?}, {found} pairs"
        );
        let most = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 250 });
        assert!(slowest < most, "{words}: {slowest:?}");
    }
}
