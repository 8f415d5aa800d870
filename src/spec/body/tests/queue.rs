//! Tables of the bodies that are about async requests.

use serde_json::json;

use super::{super::*, *};

#[test]
fn what_is_done_to_a_queue() {
    let why = || Some("because".to_owned());
    for (json, reason) in [
        (json!({}), None),
        (json!({"reason": " "}), None),
        (json!({"reason": "because"}), why()),
    ] {
        assert_eq!(QueueBody::from_json(&json), Ok(QueueBody { reason }));
    }
    refused(
        QueueBody::from_json,
        [(
            json!({"reason": long(1025)}),
            "/reason: is 1025 bytes long, 1024 are allowed",
        )],
    );
    let replay = |limit, reason| Ok(ReplayBody { limit, reason });
    for (json, expected) in [
        (json!({}), replay(1_000_000, None)),
        (json!({"limit": null}), replay(1_000_000, None)),
        (json!({"limit": 1, "reason": "because"}), replay(1, why())),
    ] {
        assert_eq!(ReplayBody::from_json(&json), expected, "{json}");
    }
    refused(
        ReplayBody::from_json,
        [
            (json!({"limit": 0}), "/limit: must be from 1 to 1000000"),
            (
                json!({"limit": 1_000_001}),
                "/limit: must be from 1 to 1000000",
            ),
            (
                json!({"limit": "all"}),
                "/limit: must be a whole number, not a string",
            ),
        ],
    );
}

#[test]
fn a_webhook() {
    for url in ["http://a", "https://hooks.example/a?b=c", &long(2048)] {
        let read = NewWebhook::from_json(&json!({ "url": url }));
        let url = url.to_owned();
        assert_eq!(read, Ok(NewWebhook { url }));
    }
    for bad in [
        json!({}),
        json!({"url": null}),
        json!({"url": ""}),
        json!({"url": long(2049)}),
        json!({"url": "http://a", "secret": "hunter2"}),
        json!({"url": ["hunter2"]}),
    ] {
        let mistakes = NewWebhook::from_json(&bad).expect_err("refused");
        assert_eq!(mistakes.count(), 1, "{bad}");
        assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
    }
}
