//! Tables of the bodies that set a task off.

use serde_json::json;

use super::{super::*, *};

#[test]
fn what_sets_a_task_off() {
    let why = || Some("because".to_owned());
    assert_eq!(
        RollbackBody::from_json(&json!({})),
        Ok(RollbackBody::default())
    );
    assert_eq!(
        RollbackBody::from_json(&json!({"version": 3, "force": true, "reason": "because"})),
        Ok(RollbackBody {
            version: Some(VersionNumber(3)),
            force: true,
            reason: why(),
        })
    );
    refused(
        RollbackBody::from_json,
        [
            (
                json!({"version": 0, "force": "yes", "reason": long(1025)}),
                "/version: must be from 1 to 4294967295\n\
                 /force: must be true or false, not a string\n\
                 /reason: is 1025 bytes long, 1024 are allowed",
            ),
            (
                json!({"version": "iris_v2"}),
                "/version: must be a whole number, not a string",
            ),
            (
                json!({"version": 1.5}),
                "/version: must be a whole number from 1 to 4294967295, without a fraction",
            ),
            (
                json!({"version": -1}),
                "/version: must be from 1 to 4294967295",
            ),
            (
                json!({"version": 1_u64 << 32, "verson": 1}),
                "/version: must be from 1 to 4294967295\n\
                 /verson: is not known; did you mean \"version\"?",
            ),
        ],
    );
    assert_eq!(
        PromoteBody::from_json(&json!({})),
        Ok(PromoteBody::default())
    );
    assert_eq!(
        PromoteBody::from_json(&json!({"keep_main_as_challenger": true, "reason": "because"})),
        Ok(PromoteBody {
            keep_main_as_challenger: true,
            reason: why(),
        })
    );
    refused(
        PromoteBody::from_json,
        [(
            json!({"keep_main_as_challenger": 1, "keep_main": true}),
            "/keep_main_as_challenger: must be true or false, not a whole number\n\
             /keep_main: is not known; did you mean \"keep_main_as_challenger\"?",
        )],
    );

    let reason = "two\nlines".to_owned();
    assert_eq!(
        DeleteBody::from_json(&json!({"reason": reason})),
        Ok(DeleteBody { reason })
    );
    refused(
        DeleteBody::from_json,
        [
            (json!({}), "/reason: is missing"),
            (json!({"reason": null}), "/reason: is missing"),
            (json!({"reason": ""}), "/reason: must not be empty"),
            (json!({"reason": " \n"}), "/reason: must not be blank"),
            (
                json!({"reason": long(1025), "force": true}),
                "/reason: is 1025 bytes long, 1024 are allowed\n/force: is not known",
            ),
        ],
    );
}

/// All bodies that hold a reason at will and nothing else.
#[test]
fn what_needs_no_more_than_a_reason() {
    let stop = |json: &Value| StopBody::from_json(json).map(|body| body.reason);
    let restart = |json: &Value| RestartBody::from_json(json).map(|body| body.reason);
    let revoke = |json: &Value| RevokeBody::from_json(json).map(|body| body.reason);
    assert_eq!(StopBody::default().reason, None);
    assert_eq!(RestartBody::default().reason, None);
    assert_eq!(RevokeBody::default().reason, None);
    let all: [Reads<'_, Option<String>>; 3] = [&stop, &restart, &revoke];
    for body in all {
        for (json, reason) in [
            (json!({}), None),
            (json!({"reason": null}), None),
            (json!({"reason": " "}), None),
            (json!({"reason": "because"}), Some("because".to_owned())),
        ] {
            assert_eq!(body(&json), Ok(reason), "{json}");
        }
        refused(
            body,
            [
                (
                    json!({"reason": 1}),
                    "/reason: must be a string, not a whole number",
                ),
                (
                    json!({"reason": long(1025), "reasn": ""}),
                    "/reason: is 1025 bytes long, 1024 are allowed\n\
                     /reasn: is not known; did you mean \"reason\"?",
                ),
            ],
        );
    }
}
