//! Limits and what protects backends, in the bodies that carry them: `null` lifts in a patch and says
//! nothing in what is made.

use super::*;
use crate::spec::{LimitMode, LimitsSpec, OverloadSpec, Priority};

fn rate(requests_per_second: f64) -> LimitsSpec {
    LimitsSpec {
        requests_per_second: Some(requests_per_second),
        ..LimitsSpec::default()
    }
}

#[test]
fn patches_replace_limits_as_a_whole() {
    for (json, expected) in [
        (json!({"limits": null}), LimitsSpec::default()),
        (json!({"limits": {}}), LimitsSpec::default()),
        (json!({"limits": {"requests_per_second": 100}}), rate(100.0)),
        (
            json!({"limits": {"requests_per_second": 0.001, "burst": 1_000_000,
                "concurrency_max": 1_000_000, "bytes_per_second": 1_u64 << 40,
                "requests_per_day": 1_000_000_000_000_u64, "mode": "count"}}),
            LimitsSpec {
                requests_per_second: Some(0.001),
                burst: Some(1_000_000),
                concurrency_max: Some(1_000_000),
                bytes_per_second: Some(1 << 40),
                requests_per_day: Some(1_000_000_000_000),
                mode: LimitMode::Count,
            },
        ),
        (
            json!({"limits": {"requests_per_second": 1_000_000, "burst": null, "mode": null}}),
            rate(1_000_000.0),
        ),
    ] {
        let deployment = DeploymentPatch::from_json(&json).expect("a patch");
        let key = KeyPatch::from_json(&json).expect("a patch");
        assert_eq!(deployment.limits, Some(expected), "{json}");
        assert_eq!(deployment.overload, None, "{json}");
        assert_eq!((key.limits, key.priority), (Some(expected), None), "{json}");
        assert_eq!(key.description, None, "{json}");
    }
    let untouched = KeyPatch::from_json(&json!({"priority": "bulk"})).expect("good");
    assert_eq!(
        (untouched.limits, untouched.priority),
        (None, Some(Priority::Bulk))
    );
}

#[test]
fn patches_of_an_overload() {
    let overload = |json: Value| {
        let patch = DeploymentPatch::from_json(&json!({ "overload": json }));
        patch.map(|patch| patch.overload).expect("good")
    };
    assert_eq!(overload(json!(null)), Some(None));
    assert_eq!(overload(json!({})), Some(Some(OverloadSpec::default())));
    // The floor of what is declared small comes down with it.
    let small = overload(json!({"concurrency_max": 2})).flatten();
    let small = small.expect("declared");
    assert_eq!((small.concurrency_max, small.concurrency_min), (2, None));
    assert_eq!(small.concurrency_min(), 2);
    let all = overload(
        json!({"concurrency_max": 64, "adaptive": true, "concurrency_min": 64,
        "queue_max": 0, "queue_timeout_ms": 1}),
    );
    assert_eq!(
        all.flatten(),
        Some(OverloadSpec {
            concurrency_max: 64,
            adaptive: true,
            concurrency_min: Some(64),
            queue_max: 0,
            queue_timeout_ms: 1,
        })
    );
    assert_eq!(
        DeploymentPatch::from_json(&json!({"access": "public"})).map(|patch| patch.overload),
        Ok(None)
    );
}

#[test]
fn what_is_made_has_them_from_the_start() {
    let new = json!({"limits": {"requests_per_day": 10}, "priority": "interactive"});
    let key = NewKey::from_json(&new, NOW_MS).expect("good");
    assert_eq!(key.limits.requests_per_day, Some(10));
    assert_eq!(key.priority, Priority::Interactive);
    let none = json!({"limits": null, "priority": null});
    assert_eq!(NewKey::from_json(&none, NOW_MS), Ok(NewKey::default()));
    let deployment = |limits: Value, overload: Value| {
        let json = json!({"name": "iris", "limits": limits, "overload": overload,
            "version": {"main": {"backends": [{"url": "http://m"}]}}});
        let read = NewDeployment::from_json(&name("demo"), &json).expect("good");
        (read.spec.limits, read.spec.overload)
    };
    assert_eq!(
        deployment(json!({"requests_per_second": 2.5}), json!({})),
        (rate(2.5), Some(OverloadSpec::default()))
    );
    assert_eq!(
        deployment(json!(null), json!(null)),
        (LimitsSpec::default(), None)
    );
}

#[test]
fn what_they_refuse() {
    let deployment = DeploymentPatch::from_json;
    refused(
        deployment,
        [
            (
                json!({"limits": {"burst": 0, "requests_per_day": 0.5, "modes": 1},
                       "overload": {"concurrency_max": 4, "concurrency_min": 5}}),
                "/limits/burst: must be from 1 to 1000000\n\
                 /limits/requests_per_day: must be a whole number from 1 to 1000000000000, without a \
                 fraction\n\
                 /limits/burst: is how many requests may come at once within a rate: it needs \
                 requests_per_second beside it\n\
                 /limits/modes: is not known; did you mean \"mode\"?\n\
                 /overload/concurrency_min: must not be above concurrency_max, which is 4",
            ),
            (
                json!({"limits": {"concurrency": 2, "requests": 5},
                       "overload": {"concurrency": 4, "timeout": 5}}),
                "/limits/concurrency: is not known; did you mean \"concurrency_max\"?\n\
                 /limits/requests: is not known; did you mean \"requests_per_second\"?\n\
                 /overload/concurrency: is not known; did you mean \"concurrency_max\"?\n\
                 /overload/timeout: is not known; did you mean \"queue_timeout_ms\"?",
            ),
            (
                json!({"limits": {"mode": "count", "burst": null}}),
                "/limits/mode: says what happens beyond a limit, and there is none beside it: name \
                 one, or leave it out",
            ),
            (
                json!({"limits": [], "overload": "on"}),
                "/limits: must be a table, not a list\n\
                 /overload: must be a table, not a string",
            ),
            (
                json!({"limit": {}}),
                "/limit: is not known; did you mean \"limits\"?",
            ),
        ],
    );
    let key = |json: &Value| KeyPatch::from_json(json);
    refused(
        key,
        [
            (
                json!({"limits": {"mode": "off", "requests_per_day": 1}, "priority": "low", "overload": null}),
                "/limits/mode: this is none of enforce, count\n\
                 /priority: this is none of interactive, default, bulk\n\
                 /overload: is not known",
            ),
            (json!({"priority": null}), "names nothing to change"),
        ],
    );
}
