//! `pick`: what does the choice of a backend cost beside drawing one blindly?

use std::{hint::black_box, sync::Arc};

use criterion::Criterion;
use weir::{
    base::{chance::Chance, clock::Tick, name::DeploymentName},
    spec::{BackendUrl, Protocol},
    telemetry::{meters::RoleMeters, outcome::Role},
    upstream::{
        backend::Backend,
        breaker::EjectionOptions,
        budget::BudgetOptions,
        pool::{Member, Pool},
    },
};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    let now = Tick::now();
    for size in [2, 16] {
        let pool = pool(size);
        let chance = Chance::seeded(7);
        group.bench_function(format!("two_choices_of_{size}"), |b| {
            b.iter(|| pool.pick(now, &chance, black_box(&[])));
        });
        group.bench_function(format!("plain_random_of_{size}"), |b| {
            let members = pool.members();
            b.iter(|| &members[chance.below(black_box(members).len() as u64) as usize]);
        });
    }
    group.finish();
}

/// Backends with the load and the latencies that uneven traffic leaves.
fn pool(size: u16) -> Pool {
    let name = DeploymentName::parse("demo/iris").expect("a name");
    let now = Tick::now();
    let members = (0..size).map(|i| {
        let url = BackendUrl::parse(&format!("http://127.0.0.1:{}", 9_000 + i));
        let backend = Arc::new(Backend::new(&url.expect("an address"), Protocol::Http1));
        // For as long as the bench runs.
        (0..i % 3).for_each(|_| std::mem::forget(backend.load()));
        backend.latency.observe(1_000_000 * u64::from(1 + i), now);
        Member { backend, weight: 1 }
    });
    let meters = Arc::new(RoleMeters::new(&name, Role::Main));
    let (ejection, budget) = (EjectionOptions::default(), BudgetOptions::default());
    Pool::new(members.collect(), ejection, budget, meters)
}
