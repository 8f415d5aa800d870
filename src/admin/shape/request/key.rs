//! API keys that are made, imported or changed.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{LimitsSpec, Priority};

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"description": "checkout service",
    "limits": {"requests_per_second": 50.0, "burst": 100}, "priority": "interactive"}))]
pub struct NewKey {
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// From when on it opens nothing: later than now.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whether its requests may pin a version with `X-Deployment-Version`.
    #[schema(default = false)]
    pub may_pin: Option<bool>,
    /// How much it may ask for.
    pub limits: Option<LimitsSpec>,
    /// Whether its requests go before others' when there are too many.
    #[schema(default = "default")]
    pub priority: Option<Priority>,
    /// Its public id: new to its scope, revoked keys included. When none is given, the one inside of a
    /// key of weir's own form, or one made from the digest.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_-]{1,64}$")]
    pub id: Option<String>,
    /// blake3 of a key of your own in hexadecimal, in place of `secret`: weir never sees the key.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9A-Fa-f]{64}$")]
    pub digest: Option<String>,
    /// A key of your own, to be imported; weir draws one when none is given.
    #[schema(
        min_length = 16,
        max_length = 512,
        pattern = "^[!-~]{16,512}$",
        write_only
    )]
    pub secret: Option<String>,
}

/// What can be changed of a key; at least one of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"limits": {"requests_per_second": 50.0, "burst": 100},
    "priority": "bulk"}))]
pub struct KeyPatch {
    /// Free text, 4,096 bytes at most.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// How much it may ask for, in place of all that was declared; null lifts it.
    pub limits: Option<LimitsSpec>,
    /// Whether its requests go before others' when there are too many.
    pub priority: Option<Priority>,
}
