//! What is stored is what was declared: a spec that is written as JSON and read again is the same
//! spec, and two are equal exactly when they are written the same.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    base::name::DeploymentName,
    spec::{
        BackendSpec, BackendUrl, BudgetSpec, ChallengerSpec, CompareKind, CompareSpec, Example,
        JsonPointer, KeepBodiesSpec, LimitMode, LimitsSpec, OverloadSpec, Parameters, PoolSpec,
        Priority, ReadinessSpec, VerdictSpec, WarmUpMethod, WarmUpSpec,
    },
};

fn written(spec: &impl serde::Serialize) -> String {
    serde_json::to_string(spec).expect("JSON")
}

/// Through the text, which is what is stored.
fn reread(version: &VersionSpec) -> VersionSpec {
    let json: serde_json::Value = serde_json::from_str(&written(version)).expect("JSON");
    VersionSpec::from_json(&json).unwrap_or_else(|mistakes| panic!("{json}\n{mistakes}"))
}

fn reread_all(spec: &DeploymentSpec) -> DeploymentSpec {
    let mut json = serde_json::to_value(spec).expect("JSON");
    json["project"] = spec.name.project().into();
    json["name"] = spec.name.deployment().into();
    DeploymentSpec::from_json(None, &json).unwrap_or_else(|mistakes| panic!("{json}\n{mistakes}"))
}

// === generators of valid specs ===

fn line() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), Just("a".to_owned()), "\\PC{0,20}"].boxed()
}

fn name() -> BoxedStrategy<String> {
    "[a-z0-9][a-z0-9._-]{0,8}".boxed()
}

fn path() -> BoxedStrategy<String> {
    prop_oneof![
        Just("/".to_owned()),
        "(/[a-zA-Z0-9_~!$&'()*+,;=:-]{1,6}){1,3}/?",
        Just("/a%20b//c".to_owned()),
    ]
    .boxed()
}

fn url() -> BoxedStrategy<BackendUrl> {
    let host = prop_oneof![
        "[a-zA-Z][a-zA-Z0-9-]{0,8}(\\.[a-z]{1,3}){0,2}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
    ];
    let port = prop_oneof![
        Just(String::new()),
        Just(":80".to_owned()),
        Just(":443".to_owned()),
        Just(":0080".to_owned()),
        (1u16..).prop_map(|port| format!(":{port}")),
    ];
    let path = prop_oneof![Just(String::new()), path()];
    (any::<bool>(), host, port, path)
        .prop_map(|(tls, host, port, path)| {
            let scheme = if tls { "https" } else { "http" };
            BackendUrl::parse(&format!("{scheme}://{host}{port}{path}")).expect("an address")
        })
        .boxed()
}

fn pool() -> BoxedStrategy<PoolSpec> {
    let rest = vec((url(), 0u32..=1_000, any::<bool>()), 0..3);
    let tail = "[a-z]{1,3}(//?[a-z0-9:]{1,3}){0,2}";
    let tails = prop_oneof![Just(Tails::Any), vec(tail, 0..3).prop_map(Tails::Prefixes),];
    (url(), rest, path(), path(), option::of(path()), tails)
        .prop_map(
            |(first, rest, predict_path, stream_path, health_path, tails)| {
                let mut backends = vec![BackendSpec {
                    url: first,
                    weight: 1,
                    protocol: Protocol::Http1,
                }];
                for (url, weight, h2) in rest {
                    let protocol = match (h2, url.is_tls()) {
                        (false, _) => Protocol::Http1,
                        (true, false) => Protocol::H2c,
                        (true, true) => Protocol::H2,
                    };
                    if backends.iter().all(|earlier| earlier.url != url) {
                        backends.push(BackendSpec {
                            url,
                            weight,
                            protocol,
                        });
                    }
                }
                PoolSpec {
                    backends,
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
    let sample = prop_oneof![Just(0.0), Just(1.0), Just(0.1), 0.0..=1.0];
    let counts = (0u32..=10_000, 0u32..=100_000);
    let bytes = (0u64..=1 << 30, 0u64..=1 << 30, 1u64..=86_400_000);
    (pool(), sample, counts, bytes, judged())
        .prop_map(|(pool, sample, counts, bytes, judged)| ChallengerSpec {
            pool,
            sample,
            concurrency_max: counts.0,
            queue_max: counts.1,
            body_bytes_max: bytes.0,
            response_bytes_max: bytes.1,
            timeout_ms: bytes.2,
            compare: judged.0,
            verdict: judged.1,
            keep_bodies: judged.2,
            budget: judged.3,
        })
        .boxed()
}

fn share() -> BoxedStrategy<f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(0.05), 0.0..=1.0].boxed()
}

fn pointers() -> BoxedStrategy<Vec<JsonPointer>> {
    let pointer = proptest::sample::select(vec!["", "/", "/a/0", "/*/id", "/a~1b~0"]);
    vec(pointer, 0..3)
        .prop_map(|texts| {
            let parse = |text| JsonPointer::parse(text).expect("a pointer");
            texts.into_iter().map(parse).collect()
        })
        .boxed()
}

fn judged() -> BoxedStrategy<(CompareSpec, VerdictSpec, KeepBodiesSpec, BudgetSpec)> {
    let kinds = CompareKind::WORDS.map(|(_, kind)| kind).to_vec();
    let compare = (
        proptest::sample::select(kinds),
        (option::of(share()), option::of(0.0..1e12)),
        (pointers(), pointers()),
    );
    let compare = compare.prop_map(|(kind, tolerances, (ignore, unordered))| CompareSpec {
        kind,
        tolerance_abs: tolerances.0,
        tolerance_rel: tolerances.1,
        ignore,
        pointer: Some(JsonPointer::parse("/label").expect("a pointer")),
        unordered,
    });
    let ratios = (0.0..=1_000.0, 0.0..=1_000.0);
    let verdict = (share(), share(), ratios, 1e-9..=0.5, 0u64..=1_000_000_000);
    let verdict = verdict.prop_map(|(agreement, errors, ratios, alpha, pairs)| VerdictSpec {
        min_agreement: agreement,
        max_error_increase: errors,
        max_latency_ratio_p50: ratios.0,
        max_latency_ratio_p99: ratios.1,
        alpha,
        min_pairs: pairs,
    });
    let bodies = (share(), 0u64..=1 << 20, pointers());
    let bodies = bodies.prop_map(|(sample, bytes_max, redact)| KeepBodiesSpec {
        sample,
        bytes_max,
        redact,
    });
    let budget = (
        share(),
        option::of(0.0..1e6),
        option::of(0u32..=10_000),
        option::of(0u64..=1 << 40),
        any::<bool>(),
    );
    let budget = budget.prop_map(|(share, rate, concurrency, bytes, adaptive)| BudgetSpec {
        share,
        requests_per_second: rate,
        concurrency,
        bytes_per_second: bytes,
        adaptive,
    });
    (compare, verdict, bodies, budget).boxed()
}

/// Any JSON.
fn tree() -> BoxedStrategy<serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        Just(json!(0.0)),
        Just(json!(-0.0)),
        Just(json!(1)),
        Just(json!(1.0)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// None, or anything but null, which means none.
fn example() -> BoxedStrategy<Option<Example>> {
    let given = tree().prop_filter("null is none", |tree| !tree.is_null());
    option::of(given.prop_map(Example::new)).boxed()
}

fn parameters() -> BoxedStrategy<Parameters> {
    // Few names, so that two tables often differ in nothing but their order.
    vec(("[ab]", tree()), 0..3)
        .prop_map(|members| Parameters::new(members.into_iter().collect()))
        .boxed()
}

fn warm_up() -> BoxedStrategy<WarmUpSpec> {
    let method = prop_oneof![Just(WarmUpMethod::Get), Just(WarmUpMethod::Post)];
    (
        path(),
        method,
        "[!-~]{1,9}",
        any::<String>(),
        100u16..600,
        1u64..=86_400_000,
    )
        .prop_map(
            |(path, method, content_type, body, expect_status, timeout_ms)| WarmUpSpec {
                path,
                method,
                content_type,
                body: match method {
                    WarmUpMethod::Get => String::new(),
                    WarmUpMethod::Post => body,
                },
                expect_status,
                timeout_ms,
            },
        )
        .boxed()
}

fn version() -> BoxedStrategy<VersionSpec> {
    let words = (line(), any::<String>(), line(), line(), line(), line());
    let labels = proptest::collection::btree_map("\\PC{1,9}", line(), 0..3);
    let ms = || 1u64..=86_400_000;
    let times = (ms(), ms(), ms(), ms());
    let wait = || option::of(0u64..=86_400_000);
    let examples = (example(), example());
    let described = (
        words,
        parameters(),
        option::of(0u32..=100_000),
        labels,
        examples,
    );
    let ready = (wait(), wait(), option::of(warm_up()));
    let pools = (pool(), option::of(challenger()));
    let acts = (any::<bool>(), any::<bool>());
    (described, pools, acts, times, ready)
        .prop_map(|(described, pools, acts, times, ready)| {
            let (
                (model, notes, image, hardware, optimization, arch),
                parameters,
                instances,
                labels,
                (input_example, output_example),
            ) = described;
            VersionSpec {
                model,
                parameters,
                input_example,
                output_example,
                notes,
                image,
                hardware,
                optimization,
                instances,
                arch,
                labels,
                main: pools.0,
                auto_promote: pools.1.is_some() && acts.0,
                auto_stop: pools.1.is_some() && acts.1,
                challenger: pools.1,
                timeouts: TimeoutsSpec {
                    connect_ms: times.0,
                    first_byte_ms: times.1,
                    idle_ms: times.2,
                    total_ms: times.3,
                },
                readiness: ReadinessSpec {
                    unreachable_ms: ready.0,
                    ready_ms: ready.1,
                },
                warm_up: ready.2,
            }
        })
        .boxed()
}

fn limits() -> BoxedStrategy<LimitsSpec> {
    let rate = prop_oneof![Just(1.0), Just(0.001), Just(1e6), 0.001..=1e6];
    let rates = option::of((rate, option::of(1u32..=1_000_000)));
    let counts = (
        option::of(1u32..=1_000_000),
        option::of(1u64..=1 << 40),
        option::of(1u64..=1_000_000_000_000),
    );
    let mode = proptest::sample::select(vec![LimitMode::Enforce, LimitMode::Count]);
    (rates, counts, mode)
        .prop_map(|(rates, counts, mode)| LimitsSpec {
            requests_per_second: rates.map(|(rate, _)| rate),
            burst: rates.and_then(|(_, burst)| burst),
            concurrency_max: counts.0,
            bytes_per_second: counts.1,
            requests_per_day: counts.2,
            mode,
        })
        .prop_map(|limits| match limits.is_unlimited() {
            // A mode alone is refused.
            true => LimitsSpec::default(),
            false => limits,
        })
        .boxed()
}

fn overload() -> BoxedStrategy<OverloadSpec> {
    let concurrency =
        (1u32..=100_000).prop_flat_map(|max| (Just(max), proptest::option::of(1..=max)));
    (
        concurrency,
        any::<bool>(),
        0u32..=100_000,
        1u64..=86_400_000,
    )
        .prop_map(
            |((max, min), adaptive, queue_max, queue_timeout_ms)| OverloadSpec {
                concurrency_max: max,
                adaptive,
                concurrency_min: min,
                queue_max,
                queue_timeout_ms,
            },
        )
        .boxed()
}

fn deployment() -> BoxedStrategy<DeploymentSpec> {
    let access = proptest::sample::select(vec![
        Access::Keys,
        Access::Project,
        Access::Instance,
        Access::Public,
    ]);
    let tags = vec("\\PC{1,9}", 0..4);
    let words = ("\\PC{1,20}", any::<String>(), tags);
    let limited = (limits(), option::of(overload()));
    let rest = (access, 0u32..=16, limited);
    (name(), name(), words, rest, version())
        .prop_map(
            |(project, name, (display_name, description, tags), rest, version)| {
                let (access, keep_previous, (limits, overload)) = rest;
                DeploymentSpec {
                    name: DeploymentName::parse(&format!("{project}/{name}")).expect("a name"),
                    display_name,
                    description,
                    tags: BTreeSet::from_iter(tags).into_iter().collect(),
                    access,
                    keep_previous,
                    limits,
                    overload,
                    version,
                }
            },
        )
        .boxed()
}

/// `a` with one of its fields taken from `b`.
fn with_one_of(a: &VersionSpec, b: &VersionSpec, which: usize) -> VersionSpec {
    let (mut a, b) = (a.clone(), b.clone());
    match which {
        0 => a.model = b.model,
        1 => a.parameters = b.parameters,
        2 => a.notes = b.notes,
        3 => a.image = b.image,
        4 => a.hardware = b.hardware,
        5 => a.optimization = b.optimization,
        6 => a.instances = b.instances,
        7 => a.arch = b.arch,
        8 => a.labels = b.labels,
        9 => a.main.backends = b.main.backends,
        10 => a.main.health_path = b.main.health_path,
        11 => a.main.tails = b.main.tails,
        12 => {
            a.challenger = b.challenger;
            (a.auto_promote, a.auto_stop) = (b.auto_promote, b.auto_stop);
        }
        13 => a.timeouts = b.timeouts,
        14 => a.readiness = b.readiness,
        15 => a.input_example = b.input_example,
        16 => a.output_example = b.output_example,
        _ => a.warm_up = b.warm_up,
    }
    a
}

proptest! {
    #[test]
    fn a_version_is_read_as_it_was_written(version in version()) {
        let again = reread(&version);
        prop_assert_eq!(&again, &version);
        prop_assert_eq!(written(&again), written(&version));
        let tree = serde_json::to_value(&version).expect("JSON");
        prop_assert_eq!(VersionSpec::from_json(&tree), Ok(version));
    }

    #[test]
    fn a_deployment_is_read_as_it_was_written(spec in deployment()) {
        let again = reread_all(&spec);
        prop_assert_eq!(&again, &spec);
        prop_assert_eq!(written(&again), written(&spec));
    }

    /// A key is written for people alone; what is kept of its limits is what was declared.
    #[test]
    fn the_limits_of_a_key_are_read_as_they_were_written(
        limits in limits(), priority in proptest::sample::select(Priority::ALL.to_vec()),
    ) {
        let mut key = json!({"scope": "demo", "secret": SECRET, "priority": priority.as_str()});
        key["limits"] = serde_json::to_value(limits).expect("JSON");
        let text = toml::to_string(&json!({"key": [key]})).expect("TOML");
        let read = good(&text);
        prop_assert_eq!((read.keys[0].limits, read.keys[0].priority), (limits, priority));
        let again: LimitsSpec = serde_json::from_str(&written(&limits)).expect("JSON");
        prop_assert_eq!(again, limits);
    }

    #[test]
    fn versions_are_equal_exactly_when_written_the_same(
        a in version(), b in version(), which in 0usize..18,
    ) {
        let mixed = with_one_of(&a, &b, which);
        prop_assert_eq!(mixed == a, written(&mixed) == written(&a));
    }
}

/// What one writes in two ways, and whether the two mean the same version.
#[test]
fn spellings() {
    let read = |inner: &str| {
        let text = format!("{{\"main\": {{\"backends\": [{{\"url\": \"http://m\"}}]}}, {inner}}}");
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        VersionSpec::from_json(&json).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}"))
    };
    let challenger = |inner: &str| {
        read(&format!(
            "\"challenger\": {{\"backends\": [{{\"url\": \"http://c\"}}], {inner}}}"
        ))
    };
    let backend = |inner: &str| read(&format!("\"challenger\": {{\"backends\": [{inner}]}}"));
    for (a, b, same) in [
        (read("\"notes\": \"\""), read("\"notes\": null"), true),
        (read("\"instances\": null"), read("\"arch\": \"\""), true),
        (read("\"instances\": 0"), read("\"instances\": null"), false),
        (
            read("\"parameters\": null"),
            read("\"parameters\": {}"),
            true,
        ),
        (
            read("\"parameters\": {\"a\": null}"),
            read("\"parameters\": {}"),
            false,
        ),
        (
            read("\"parameters\": {\"a\": 1}"),
            read("\"parameters\": {\"a\": 1.0}"),
            false,
        ),
        (
            read("\"parameters\": {\"a\": 1, \"b\": 2}"),
            read("\"parameters\": {\"b\": 2, \"a\": 1}"),
            false,
        ),
        (
            read("\"parameters\": {\"a\": 0.1}"),
            read("\"parameters\": {\"a\": 0.10000000000000001}"),
            true,
        ),
        (
            read("\"labels\": {\"a\": \"1\", \"b\": \"2\"}"),
            read("\"labels\": {\"b\": \"2\", \"a\": \"1\"}"),
            true,
        ),
        (
            read("\"input_example\": null"),
            read("\"output_example\": null"),
            true,
        ),
        (
            read("\"input_example\": [1]"),
            read("\"output_example\": [1]"),
            false,
        ),
        (
            read("\"input_example\": 1"),
            read("\"input_example\": 1.0"),
            false,
        ),
        (
            read("\"input_example\": {\"a\": null}"),
            read("\"input_example\": {}"),
            false,
        ),
        (read("\"readiness\": {}"), read("\"readiness\": null"), true),
        (
            read("\"readiness\": {\"ready_ms\": 0}"),
            read("\"readiness\": {}"),
            false,
        ),
        (
            read("\"warm_up\": {\"path\": \"/\"}"),
            read("\"warm_up\": {\"path\": \"/\", \"method\": \"POST\", \"expect_status\": 200}"),
            true,
        ),
        (
            read("\"warm_up\": {\"path\": \"/\"}"),
            read("\"warm_up\": null"),
            false,
        ),
        (
            challenger("\"sample\": 1"),
            challenger("\"sample\": 1.0"),
            true,
        ),
        (
            challenger("\"sample\": 0.0"),
            challenger("\"sample\": -0.0"),
            true,
        ),
        (
            challenger("\"tails\": \"any\""),
            challenger("\"tails\": null"),
            true,
        ),
        (
            challenger("\"tails\": []"),
            challenger("\"tails\": \"any\""),
            false,
        ),
        (
            challenger("\"tails\": [\"/v1/\"]"),
            challenger("\"tails\": [\"v1\"]"),
            true,
        ),
        (
            challenger("\"health_path\": \"/health\""),
            challenger("\"health_path\": null"),
            false,
        ),
        (
            challenger("\"predict_path\": \"/a\""),
            challenger("\"predict_path\": \"/a/\""),
            false,
        ),
        (
            backend("{\"url\": \"http://M:80/\", \"weight\": 1}"),
            backend("{\"url\": \"http://m\", \"protocol\": \"http1\"}"),
            true,
        ),
        (
            backend("{\"url\": \"http://[::1]:080/a/\"}"),
            backend("{\"url\": \"http://[::1]/a\"}"),
            true,
        ),
        (
            backend("{\"url\": \"http://m\", \"protocol\": \"h2c\"}"),
            backend("{\"url\": \"http://m\"}"),
            false,
        ),
    ] {
        assert_eq!(a == b, same, "{a:?}\n{b:?}");
        assert_eq!(written(&a) == written(&b), same, "{a:?}\n{b:?}");
        assert_eq!((reread(&a), reread(&b)), (a, b));
    }
}
