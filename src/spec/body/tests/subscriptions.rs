//! Subscriptions.

use serde_json::json;

use crate::spec::{
    EventName, Target,
    body::{NewSubscription, SubscriptionPatch},
};

fn mistakes(body: &serde_json::Value) -> Vec<String> {
    let refused = NewSubscription::from_json(body).expect_err("mistakes");
    refused.list().iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_means_everything() {
    let body = json!({ "target": { "kind": "webhook", "url": "https://a/" } });
    let read = NewSubscription::from_json(&body).expect("good");
    assert!(read.events.is_empty() && read.deployments.is_empty() && !read.paused);
    assert_eq!(
        read.target,
        Target::Webhook {
            url: "https://a/".to_owned()
        }
    );
    let body = json!({ "name": "n", "events": ["pool.down"], "deployments": ["iris"],
        "target": { "kind": "email", "to": ["a@b.example"] }, "paused": true });
    let read = NewSubscription::from_json(&body).expect("good");
    assert_eq!(read.events, [EventName::PoolDown]);
    assert_eq!(
        read.target,
        Target::Email {
            to: vec!["a@b.example".to_owned()]
        }
    );
    let patch = SubscriptionPatch::from_json(&json!({ "events": [] })).expect("good");
    assert_eq!(patch.events, Some(Vec::new()));
    assert_eq!(patch.target, None);
    assert!(SubscriptionPatch::from_json(&json!({})).is_err());
}

#[test]
fn every_mistake_is_said_at_once_with_near_misses() {
    let told = mistakes(&json!({
        "name": "a\nb",
        "events": ["version.redy", "pool.down", "pool.down", 7],
        "deployments": ["Iris"],
        "target": { "kind": "email", "to": ["no address", "a@b.example\r\nBcc: c@d.example",
            "a@b.example", "a@b.example", "Ann <ann@b.example>"], "url": "http://x/" },
        "pausd": true,
    }));
    for (at, words) in [
        ("/name", "line breaks"),
        ("/events/0", "did you mean version.ready?"),
        ("/events/2", "already"),
        ("/events/3", "string"),
        ("/deployments/0", ""),
        ("/target/to/0", "no e-mail address"),
        ("/target/to/1", "no e-mail address"),
        ("/target/to/3", "already"),
        ("/target/to/4", "no e-mail address"),
        ("/target/url", "other kind"),
        ("/pausd", "paused"),
    ] {
        let found = told.iter().any(|line| {
            line.strip_prefix(at)
                .is_some_and(|rest| rest.starts_with(": ") && rest.contains(words))
        });
        assert!(found, "{at} {words}: {told:#?}");
    }
    assert_eq!(told.len(), 11, "{told:#?}");
}

#[test]
fn a_target_is_whole_and_its_address_is_not_repeated() {
    for (target, at) in [
        (json!(null), "/target: is missing"),
        (json!({}), "/target/kind: is missing"),
        (json!({ "kind": "webhook" }), "/target/url: is missing"),
        (json!({ "kind": "email" }), "/target/to: is missing"),
        (
            json!({ "kind": "email", "to": [] }),
            "/target/to: must not be empty",
        ),
        (json!({ "kind": "sms", "to": ["1"] }), "/target/kind: "),
        (json!("https://a/"), "/target: "),
    ] {
        let told = mistakes(&json!({ "target": target }));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(at), "{told:?}");
    }
    let told = mistakes(&json!({ "target": { "kind": "webhook", "url": "s3cret".repeat(400) } }));
    assert!(!told[0].contains("s3cret"), "{told:?}");
}
