//! What adding a pair and judging cost. Prints figures, judges only what no machine excuses.

use std::{hint::black_box, time::Instant};

use super::world::World;
use crate::{base::chance::Chance, shadow::verdict::Evidence, spec::VerdictSpec};

#[test]
fn what_adding_and_judging_cost() {
    let world = World {
        agreement: 0.97,
        ..World::with_errors(0.01)
    };
    let chance = Chance::seeded(5);
    let limits = VerdictSpec {
        max_latency_ratio_p99: 1.5,
        ..VerdictSpec::default()
    };
    let mut evidence = Evidence::default();
    let mut n = 0u64;
    for pairs in [100u64, 10_000, 100_000] {
        let seen: Vec<_> = (n..pairs).map(|_| world.draw(&chance)).collect();
        let begun = Instant::now();
        seen.iter().for_each(|seen| evidence.add(seen));
        let adding = begun.elapsed() / seen.len() as u32;
        n = pairs;
        let begun = Instant::now();
        for _ in 0..200 {
            black_box(black_box(&evidence).judge(&limits));
        }
        let judging = begun.elapsed() / 200;
        let bytes = evidence.to_bytes().len();
        println!("{pairs} pairs: add {adding:?}, judge {judging:?}, {bytes} bytes");
        assert!(bytes < 16 << 10);
    }
}
