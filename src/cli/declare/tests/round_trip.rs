//! What is written is what was read, for any declarations; and what it looks like.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value};

use crate::{
    base::{
        id::KeyId,
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    cli::declare::{export, normal::sayable},
    spec::{
        Access, BackendSpec, BackendUrl, BudgetSpec, ChallengerSpec, CompareKind, CompareSpec,
        Declarations, DeploymentSpec, Example, JsonPointer, KeepBodiesSpec, KeySpec, LimitMode,
        LimitsSpec, OverloadSpec, Parameters, PoolSpec, Priority, ProjectSpec, Protocol,
        ReadinessSpec, Scope, Tails, TenantSpec, TimeoutsSpec, VerdictSpec, VersionSpec,
        WarmUpMethod, WarmUpSpec,
    },
};

fn read(text: &str) -> Declarations {
    Declarations::from_toml(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

// === generators of valid declarations ===

fn name() -> BoxedStrategy<Name> {
    "[a-z0-9][a-z0-9._-]{0,8}"
        .prop_map(|text| Name::parse(&text).expect("a name"))
        .boxed()
}

/// With everything that a quote, an escape or a line can trip over.
fn long() -> BoxedStrategy<String> {
    let odd = "[\"'\\\\\n\r\t\u{0}\u{7f}\u{85}\u{2028}a é#={}]{0,12}";
    prop_oneof![
        Just(String::new()),
        Just("a\nb\n".to_owned()),
        Just("{\"a\": \"b\"}\n\"\"\"\"\n\"".to_owned()),
        "[a\"\\\\]{0,3}\n[a\"\\\\]{0,3}\"{0,7}",
        odd,
        any::<String>(),
    ]
    .boxed()
}

fn line() -> BoxedStrategy<String> {
    let odd = "[\"'\\\\a é#={}]{0,8}";
    prop_oneof![Just(String::new()), odd, "\\PC{0,20}"]
        .prop_map(|text: String| text.chars().filter(|c| !c.is_control()).collect())
        .boxed()
}

fn json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |float| {
            serde_json::Number::from_f64(float).map(Value::Number)
        }),
        Just(Value::from(-0.0)),
        Just(Value::from(1e300)),
        long().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((long(), inner), 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
    .boxed()
}

fn pool() -> BoxedStrategy<PoolSpec> {
    let protocol = prop_oneof![
        Just(Protocol::Http1),
        Just(Protocol::H2c),
        Just(Protocol::H2)
    ];
    let backends = vec((1u16.., 1u32..=1_000, protocol), 1..4);
    let path = "/[a-z]{0,6}";
    let tails = prop_oneof![
        Just(Tails::Any),
        vec("[a-z]{1,4}", 0..3).prop_map(Tails::Prefixes)
    ];
    (backends, path, path, option::of(path), tails)
        .prop_map(
            |(backends, predict_path, stream_path, health_path, tails)| {
                let mut seen = BTreeSet::new();
                let backends = backends.into_iter().filter(|(port, ..)| seen.insert(*port));
                PoolSpec {
                    backends: backends
                        .map(|(port, weight, protocol)| BackendSpec {
                            url: BackendUrl::parse(&match protocol {
                                Protocol::H2 => format!("https://m:{port}"),
                                Protocol::Http1 | Protocol::H2c => format!("http://m:{port}"),
                            })
                            .expect("good"),
                            weight,
                            protocol,
                        })
                        .collect(),
                    predict_path,
                    stream_path,
                    health_path,
                    tails,
                }
            },
        )
        .boxed()
}

fn challenger() -> BoxedStrategy<ChallengerSpec> {
    let pool = (pool(), 0.0..=1.0f64, 0u32..100, 1u64..100_000);
    (pool, compare(), verdict(), keep_bodies(), budget())
        .prop_map(|(pool, compare, verdict, keep_bodies, budget)| {
            let (pool, sample, queue_max, timeout_ms) = pool;
            ChallengerSpec {
                pool,
                sample,
                queue_max,
                timeout_ms,
                compare,
                verdict,
                keep_bodies,
                budget,
                ..ChallengerSpec::default()
            }
        })
        .boxed()
}

fn pointer() -> BoxedStrategy<JsonPointer> {
    let odd = r#"(/(a|é|\*|0|~0|~1|"|'|\\| ){0,3}){0,3}"#;
    odd.prop_map(|text: String| JsonPointer::parse(&text).expect("a pointer"))
        .boxed()
}

fn compare() -> BoxedStrategy<CompareSpec> {
    let kind = prop::sample::select(CompareKind::WORDS.to_vec());
    let tolerance = (option::of(0.0..=1.0f64), option::of(0.0..=1.0f64));
    let pointers = (vec(pointer(), 0..3), vec(pointer(), 0..3));
    (kind, tolerance, pointers, option::of(pointer()), pointer())
        .prop_map(|((_, kind), tolerance, pointers, pointer, needed)| {
            let needs_one = matches!(kind, CompareKind::Label | CompareKind::Number);
            CompareSpec {
                kind,
                tolerance_abs: tolerance.0,
                tolerance_rel: tolerance.1,
                ignore: pointers.0,
                pointer: pointer.or(needs_one.then_some(needed)),
                unordered: pointers.1,
            }
        })
        .boxed()
}

fn verdict() -> BoxedStrategy<VerdictSpec> {
    let some = (0.0..=1.0f64, 0.0..=1_000.0f64, 1e-9..=0.5f64, 0u64..1_000);
    option::of(some)
        .prop_map(|some| match some {
            None => VerdictSpec::default(),
            Some((min_agreement, max_latency_ratio_p99, alpha, min_pairs)) => VerdictSpec {
                min_agreement,
                max_latency_ratio_p99,
                alpha,
                min_pairs,
                ..VerdictSpec::default()
            },
        })
        .boxed()
}

fn keep_bodies() -> BoxedStrategy<KeepBodiesSpec> {
    (0.0..=1.0f64, 0u64..=1 << 20, vec(pointer(), 0..3))
        .prop_map(|(sample, bytes_max, redact)| KeepBodiesSpec {
            sample,
            bytes_max,
            redact,
        })
        .boxed()
}

fn budget() -> BoxedStrategy<BudgetSpec> {
    let caps = (
        option::of(0.0..=1e6f64),
        option::of(0u32..99),
        option::of(0u64..99),
    );
    (0.0..=1.0f64, caps, any::<bool>())
        .prop_map(|(share, caps, adaptive)| BudgetSpec {
            share,
            requests_per_second: caps.0,
            concurrency: caps.1,
            bytes_per_second: caps.2,
            adaptive,
        })
        .boxed()
}

fn warm_up() -> BoxedStrategy<WarmUpSpec> {
    (long(), 100u16..=599)
        .prop_map(|(body, expect_status)| WarmUpSpec {
            method: match body.is_empty() {
                true => WarmUpMethod::Get,
                false => WarmUpMethod::Post,
            },
            body,
            expect_status,
            ..WarmUpSpec::default()
        })
        .boxed()
}

fn version() -> BoxedStrategy<VersionSpec> {
    let texts = (line(), long(), line(), option::of(0u32..9));
    let label = "\\PC{1,8}".prop_map(|text: String| {
        let kept: String = text.chars().filter(|c| !c.is_control()).collect();
        format!("l{kept}")
    });
    let free = (
        vec((long(), json()), 0..4),
        vec((label, line()), 0..3),
        option::of(json()),
        option::of(json()),
    );
    let readiness = (option::of(0u64..9), option::of(0u64..9));
    let parts = (
        pool(),
        (option::of(challenger()), any::<bool>(), any::<bool>()),
        option::of(warm_up()),
        readiness,
        prop_oneof![Just(60_000u64), 1u64..9],
    );
    (texts, free, parts)
        .prop_map(|(texts, free, parts)| {
            let (model, notes, arch, instances) = texts;
            let (parameters, labels, input, output) = free;
            let (main, (challenger, promotes, stops), warm_up, (unreachable_ms, ready_ms), idle_ms) = parts;
            // The API takes no example that is null.
            let example = |value: Option<Value>| value.filter(|v| !v.is_null()).map(Example::new);
            VersionSpec {
                model,
                notes,
                arch,
                instances,
                parameters: Parameters::new(parameters.into_iter().collect::<Map<_, _>>()),
                labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
                main,
                auto_promote: promotes && challenger.is_some(),
                auto_stop: stops && challenger.is_some(),
                challenger,
                warm_up,
                readiness: ReadinessSpec {
                    unreachable_ms,
                    ready_ms,
                },
                timeouts: TimeoutsSpec {
                    idle_ms,
                    ..TimeoutsSpec::default()
                },
                input_example: example(input),
                output_example: example(output),
                ..VersionSpec::default()
            }
        })
        .boxed()
}

fn limits() -> BoxedStrategy<LimitsSpec> {
    let rate = prop_oneof![Just(0.001), Just(1e6), Just(100.0), 0.001..=1e6f64];
    let rate = option::of((rate, option::of(1u32..=1_000_000)));
    let counts = (
        option::of(1u32..=1_000_000),
        option::of(1u64..=1 << 40),
        option::of(1u64..=1_000_000_000_000),
    );
    let some = (rate, counts, any::<bool>()).prop_map(|(rate, counts, counted)| LimitsSpec {
        requests_per_second: rate.map(|(rate, _)| rate),
        burst: rate.and_then(|(_, burst)| burst),
        concurrency_max: counts.0,
        bytes_per_second: counts.1,
        requests_per_day: counts.2,
        mode: match counted {
            true => LimitMode::Count,
            false => LimitMode::Enforce,
        },
    });
    // A mode alone is refused.
    let some = some.prop_map(|limits| match limits.is_unlimited() {
        true => LimitsSpec::default(),
        false => limits,
    });
    prop_oneof![Just(LimitsSpec::default()), some].boxed()
}

fn overload() -> BoxedStrategy<OverloadSpec> {
    let concurrency = prop_oneof![1u32..9, Just(256u32), 1u32..=100_000];
    let concurrency = concurrency.prop_flat_map(|max| (Just(max), proptest::option::of(1..=max)));
    let queue = (0u32..=100_000, 1u64..=86_400_000);
    let some = (concurrency, any::<bool>(), queue).prop_map(|(concurrency, adaptive, queue)| {
        OverloadSpec {
            concurrency_max: concurrency.0,
            adaptive,
            concurrency_min: concurrency.1,
            queue_max: queue.0,
            queue_timeout_ms: queue.1,
        }
    });
    prop_oneof![Just(OverloadSpec::default()), some].boxed()
}

fn deployment() -> BoxedStrategy<DeploymentSpec> {
    let accesses = [
        Access::Keys,
        Access::Project,
        Access::Instance,
        Access::Public,
    ];
    let access = proptest::sample::select(accesses.to_vec());
    let tags = vec("[\"'a-z ]{1,5}", 0..3);
    (
        name(),
        name(),
        line(),
        long(),
        tags,
        (access, limits(), option::of(overload())),
        0u32..3,
        version(),
    )
        .prop_map(
            |(project, name, display_name, description, tags, rest, keep_previous, version)| {
                let (access, limits, overload) = rest;
                DeploymentSpec {
                    display_name: match display_name.is_empty() {
                        true => name.to_string(),
                        false => display_name,
                    },
                    name: DeploymentName::new(&project, &name),
                    description,
                    tags: tags
                        .into_iter()
                        .collect::<BTreeSet<_>>()
                        .into_iter()
                        .collect(),
                    access,
                    keep_previous,
                    limits,
                    overload,
                    version: sayable(&version, &mut Vec::new()),
                }
            },
        )
        .boxed()
}

fn key() -> BoxedStrategy<KeySpec> {
    let scope = prop_oneof![
        Just(Scope::Instance),
        name()
            .prop_filter("that is the instance", |name| name.as_str() != "instance")
            .prop_map(Scope::Project),
        (name(), name()).prop_map(|(a, b)| Scope::Deployment(DeploymentName::new(&a, &b))),
    ];
    let id = option::of("[a-zA-Z0-9_-]{1,12}");
    let until = option::of(0u64..4_000_000_000_000);
    let rest = (
        limits(),
        prop::sample::select(Priority::ALL.to_vec()),
        until,
    );
    (any::<[u8; 32]>(), id, scope, long(), any::<bool>(), rest)
        .prop_map(|(digest, id, scope, description, may_pin, rest)| {
            let (limits, priority, expires_at_ms) = rest;
            let digest = KeyDigest::from_bytes(digest);
            KeySpec {
                id: id.map_or_else(|| digest.to_key_id(), |id| KeyId::new(&id)),
                digest,
                scope,
                description,
                may_pin,
                limits,
                priority,
                expires_at_ms,
            }
        })
        .boxed()
}

fn declarations() -> BoxedStrategy<Declarations> {
    let tenant = (name(), long()).prop_map(|(name, description)| TenantSpec { name, description });
    let project =
        (name(), option::of(name()), long()).prop_map(|(name, tenant, description)| ProjectSpec {
            name,
            tenant,
            description,
        });
    (
        option::of(tenant),
        option::of(project),
        vec(deployment(), 0..3),
        option::of(key()),
    )
        .prop_map(|(tenant, project, deployments, key)| {
            let mut seen = BTreeSet::new();
            Declarations {
                tenants: tenant.into_iter().collect(),
                projects: project.into_iter().collect(),
                deployments: deployments
                    .into_iter()
                    .filter(|spec| seen.insert(spec.name.clone()))
                    .collect(),
                keys: key.into_iter().collect(),
            }
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(declared in declarations(), note in any::<String>()) {
        let text = export::text(&declared, &[note], "http://g");
        prop_assert_eq!(read(&text), declared, "{}", text);
    }
}

#[test]
fn a_file_looks_as_people_write_it() {
    let text = r#"
[[tenant]]
name = "acme"

[[project]]
name = "demo"
tenant = "acme"
description = "Trying things"

[[deployment]]
project = "demo"
name = "iris"
display_name = "Iris 'one'"
tags = ["tabular", "small"]
access = "public"
limits = { requests_per_second = 100.0, burst = 200, mode = "count" }
overload = { concurrency_max = 64, adaptive = true }

[deployment.version]
model = "iris-logreg:1.2"
notes = """
Trained on "all" of it.
See C:\\models.
"""
auto_stop = true

[deployment.version.parameters]
classes = 3
nested = { z = [1, 2.5], "a b" = 'say "hi"', empty = {} }

[deployment.version.main]
backends = [
  { url = "http://127.0.0.1:9001" },
  { url = "http://127.0.0.1:9002", weight = 2, protocol = "h2c" },
]
health_path = "/health"

[deployment.version.challenger]
backends = [{ url = "http://127.0.0.1:9003" }]
sample = 0.5
compare = { kind = "json", tolerance_rel = 0.01, ignore = ["/id"] }
budget = { adaptive = true }

[deployment.version.timeouts]
first_byte_ms = 5000

[[deployment]]
project = "demo"
name = "plain"

[deployment.version.main]
backends = [{ url = "http://127.0.0.1:9001" }]

[[key]]
id = "load"
digest = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
scope = "demo/iris"
description = "load test"
may_pin = true
limits = { requests_per_day = 1000 }
priority = "bulk"
expires_at = 2030-01-01T00:00:00Z
"#;
    assert_eq!(export::body(&read(text)), text);
}
