//! `route`, `path`: what does it cost to find a deployment among a thousand, and to bring its path
//! into normal form? `build_1k_deployments`: what does one change among a thousand cost?
//! `publish_under_readers`: what does it cost to put it in force while workers read, and them?

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use criterion::{BatchSize, Criterion};
use weir::{
    base::{
        id::{Epoch, VersionNumber},
        name::DeploymentName,
    },
    snapshot::{BuildOptions, Current, Declared, Numbered, QueueRules, Snapshot, build},
    spec::Declarations,
    telemetry::series,
    wire::target::{Target, normalise},
};

use crate::Busy;

const DEPLOYMENTS: usize = 1_000;

pub(crate) fn bench_route(criterion: &mut Criterion) {
    let snapshot = build(
        declared(),
        &Snapshot::empty(),
        Epoch(1),
        &BuildOptions::default(),
    );
    let names: Vec<_> = (0..DEPLOYMENTS).map(name).collect();
    let routes = snapshot.routes();
    let plain: HashMap<String, _> = routes
        .map(|route| (route.name().to_string(), Arc::clone(route)))
        .collect();

    let mut group = criterion.benchmark_group("route");
    group.bench_function("snapshot", |b| {
        let mut asked = names.iter().cycle();
        b.iter(|| snapshot.route(black_box(asked.next()?)));
    });
    group.bench_function("plain_siphash", |b| {
        let mut asked = names.iter().cycle();
        b.iter(|| plain.get(black_box(asked.next()?)));
    });
    group.finish();

    let mut group = criterion.benchmark_group("path");
    for (name, path) in [
        ("", "/predict/project/deployment-0500/v1/models"),
        (
            "_escaped",
            "/predict/project/%64eployment-0500/a%20b/%e2%82%ac",
        ),
    ] {
        let check = |found: Option<usize>| assert!(found.is_some(), "{path}");
        check(found(path));
        check(found_plainly(path));
        group.bench_function(format!("normalise{name}"), |b| {
            b.iter(|| found(black_box(path)));
        });
        group.bench_function(format!("plain{name}"), |b| {
            b.iter(|| found_plainly(black_box(path)));
        });
    }
    group.finish();
}

fn found(path: &str) -> Option<usize> {
    let path = normalise(path).ok()?;
    Target::parse(&path).map(|target| target.name.len())
}

/// Decodes always, splits always, keeps the parts.
fn found_plainly(path: &str) -> Option<usize> {
    let (mut decoded, mut bytes) = (Vec::new(), path.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let parts: Vec<_> = decoded.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return None;
    }
    let [_, "predict" | "stream", project, deployment, ..] = parts[..] else {
        return None;
    };
    Some(format!("{project}/{deployment}").len())
}

pub(crate) fn bench_build(criterion: &mut Criterion) {
    // With the exporter in place, as in the gateway: without one, its handles cost nothing.
    let _exporter = series::install(600_000).expect("the only one");
    let changed = one_changed;
    let before = build(
        declared(),
        &Snapshot::empty(),
        Epoch(1),
        &BuildOptions::default(),
    );
    let mut group = criterion.benchmark_group("build_1k_deployments");
    group.bench_function("one_changed", |b| {
        b.iter_batched(
            changed,
            |changed| build(changed, &before, Epoch(2), &BuildOptions::default()),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("plain_all_anew", |b| {
        b.iter_batched(
            declared,
            |all| build(all, &Snapshot::empty(), Epoch(2), &BuildOptions::default()),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

pub(crate) fn bench_publish(criterion: &mut Criterion) {
    let first = Arc::new(build(
        declared(),
        &Snapshot::empty(),
        Epoch(1),
        &BuildOptions::default(),
    ));
    let versions = [version_of_one(1), version_of_one(2)];
    let epochs = AtomicU64::new(2);
    let next = |before: &Snapshot| {
        let epoch = epochs.fetch_add(1, Ordering::Relaxed);
        Arc::new(build(
            versions[epoch as usize % 2].clone(),
            before,
            Epoch(epoch),
            &BuildOptions::default(),
        ))
    };
    let current = Arc::new(Current::empty());
    current.publish(Arc::clone(&first));
    let plain = Arc::new(RwLock::new(Arc::clone(&first)));
    let name = name(DEPLOYMENTS / 2);

    let mut group = criterion.benchmark_group("publish_under_readers");
    let read = |current: &Arc<Current>| {
        let (current, name) = (Arc::clone(current), name.clone());
        move || drop(black_box(current.load().route(&name).cloned()))
    };
    let read_plainly = |plain: &Arc<RwLock<Arc<Snapshot>>>| {
        let (plain, name) = (Arc::clone(plain), name.clone());
        move || {
            let snapshot = plain.read().expect("no panic").clone();
            drop(black_box(snapshot.route(&name).cloned()));
        }
    };
    group.bench_function("build_and_publish", |b| {
        let _reader = Busy::with(read(&current));
        b.iter(|| current.publish(next(&current.load_full())));
    });
    group.bench_function("publish", |b| {
        let _reader = Busy::with(read(&current));
        let fresh = || next(&current.load_full());
        b.iter_batched(fresh, |fresh| current.publish(fresh), BatchSize::SmallInput);
    });
    group.bench_function("publish_plain_rwlock", |b| {
        let _reader = Busy::with(read_plainly(&plain));
        let fresh = || next(&first);
        let publish = |fresh| *plain.write().expect("no panic") = fresh;
        b.iter_batched(fresh, publish, BatchSize::SmallInput);
    });
    group.bench_function("read", |b| {
        let _reader = Busy::with(read(&current));
        b.iter(read(&current));
    });
    group.bench_function("read_plain_rwlock", |b| {
        let _reader = Busy::with(read_plainly(&plain));
        b.iter(read_plainly(&plain));
    });
    group.finish();
}

fn name(n: usize) -> String {
    format!("project/deployment-{n:04}")
}

type Changes = Vec<(DeploymentName, Option<Declared>)>;

/// A thousand deployments of two backends each.
fn declared() -> Changes {
    let tables = (0..DEPLOYMENTS).map(|n| {
        format!(
            "[[deployment]]\nproject = \"project\"\nname = \"deployment-{n:04}\"\nversion = {{ main = {{ \
             backends = [{{ url = \"http://127.0.0.1:9001\" }}, {{ url = \"http://127.0.0.1:9002\" }}] }} }}\n"
        )
    });
    let text: String = tables.collect();
    let declarations = Declarations::from_toml(&text).expect("well formed");
    let specs = declarations.deployments.into_iter();
    specs
        .map(|spec| {
            let live = Numbered {
                number: VersionNumber(1),
                spec: Arc::new(spec.version),
                is_challenger_stopped: false,
            };
            let declared = Declared {
                name: spec.name.clone(),
                access: spec.access,
                shared: Vec::new(),
                limits: weir::spec::LimitsSpec::default(),
                overload: None,
                live: Ok(live),
                kept: Vec::new(),
                queue: QueueRules::default(),
                fresh: false,
            };
            (spec.name, Some(declared))
        })
        .collect()
}

/// Another version of one of them.
fn one_changed() -> Changes {
    version_of_one(2)
}

fn version_of_one(number: u32) -> Changes {
    let mut one = declared().swap_remove(DEPLOYMENTS / 2);
    let live = one
        .1
        .as_mut()
        .and_then(|declared| declared.live.as_mut().ok());
    live.expect("live").number = VersionNumber(number);
    vec![one]
}
