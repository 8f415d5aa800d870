//! `admit_1_key`, `admit_10k_keys`, `admit_1m_keys`: does finding a key stay flat, and what does it
//! cost beside a table behind a lock? `*_beside_another` has a second thread look up, too: what
//! workers do to each other.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, RwLock},
};

use criterion::Criterion;
use weir::{
    base::{chance::Chance, id::KeyId, secret::KeyDigest},
    snapshot::{Keys, Principal},
    spec::{KeySpec, Scope},
};

use crate::Busy;

/// Enough different keys to be asked for that a large table does not fit a core's cache.
const ASKED: usize = 1 << 16;

type Plain = RwLock<HashMap<KeyDigest, Arc<Principal>>>;

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, count) in [
        ("admit_1_key", 1),
        ("admit_10k_keys", 10_000),
        ("admit_1m_keys", 1_000_000),
    ] {
        let mut group = criterion.benchmark_group(name);
        let mut made = None;
        let mut tables = || made.get_or_insert_with(|| tables(count)).clone();
        group.bench_function("sharded", |b| {
            let (keys, _, asked) = tables();
            let mut asked = asked.iter().cycle();
            b.iter(|| keys.get(black_box(asked.next()?)));
        });
        group.bench_function("plain_rwlock_siphash", |b| {
            let (_, plain, asked) = tables();
            let mut asked = asked.iter().cycle();
            b.iter(|| plain_get(&plain, black_box(asked.next()?)));
        });
        if count == 10_000 {
            group.bench_function("sharded_beside_another", |b| {
                let (keys, _, asked) = tables();
                let (shared, mut others) = (Arc::clone(&keys), asked.clone().into_iter().cycle());
                let _busy = Busy::with(move || {
                    black_box(others.next().and_then(|digest| shared.get(&digest)));
                });
                let mut asked = asked.iter().cycle();
                b.iter(|| keys.get(black_box(asked.next()?)));
            });
            group.bench_function("plain_beside_another", |b| {
                let (_, plain, asked) = tables();
                let (shared, mut others) = (Arc::clone(&plain), asked.clone().into_iter().cycle());
                let _busy = Busy::with(move || {
                    black_box(others.next().and_then(|digest| plain_get(&shared, &digest)));
                });
                let mut asked = asked.iter().cycle();
                b.iter(|| plain_get(&plain, black_box(asked.next()?)));
            });
            group.bench_function("digest", |b| {
                let key = secret(1);
                b.iter(|| KeyDigest::of_key(black_box(key.as_bytes())));
            });
        }
        group.finish();
    }
}

fn plain_get(plain: &Plain, digest: &KeyDigest) -> Option<Arc<Principal>> {
    let found = plain.read().ok()?.get(digest).cloned();
    found.filter(|principal| principal.is_valid())
}

/// The same keys in both tables, and the order in which they are asked for.
fn tables(count: usize) -> (Arc<Keys>, Arc<Plain>, Vec<KeyDigest>) {
    let made: Vec<_> = (0..count).map(key).collect();
    let keys = Keys::new();
    keys.apply(
        made.iter()
            .map(|(digest, principal)| (*digest, Some(Arc::clone(principal)))),
    );
    assert_eq!(keys.len(), count);
    let chance = Chance::seeded(7);
    let asked = (0..ASKED).map(|_| made[chance.below(count as u64) as usize].0);
    let asked = asked.collect();
    let plain = RwLock::new(made.into_iter().collect());
    (Arc::new(keys), Arc::new(plain), asked)
}

fn secret(n: usize) -> String {
    format!("wk_k{n:07}_0123456789abcdefghijklmnopqrstuvwxyz")
}

fn key(n: usize) -> (KeyDigest, Arc<Principal>) {
    let digest = KeyDigest::of_key(secret(n).as_bytes()).expect("visible ASCII");
    let spec = KeySpec {
        id: KeyId::new("k"),
        digest,
        scope: Scope::Instance,
        description: String::new(),
        may_pin: false,
        limits: weir::spec::LimitsSpec::default(),
        priority: weir::spec::Priority::default(),
        expires_at_ms: None,
    };
    (digest, Arc::new(Principal::new(&spec)))
}
