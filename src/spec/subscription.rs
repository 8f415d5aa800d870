//! Subscriptions: of what in a project somebody is told, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::nearest;

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventName {
    /// A version went live.
    #[serde(rename = "version.ready")]
    VersionReady,
    /// A version that was to go live did not.
    #[serde(rename = "version.failed")]
    VersionFailed,
    /// An earlier version is live again.
    #[serde(rename = "deployment.rolled_back")]
    RolledBack,
    /// A key opens nothing any more.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// No backend of the live version's main pool is available.
    #[serde(rename = "pool.down")]
    PoolDown,
    /// One is again.
    #[serde(rename = "pool.up")]
    PoolUp,
    /// A challenger that is surely worse gets no more copies.
    #[serde(rename = "challenger.stopped")]
    ChallengerStopped,
    /// Nothing happened; somebody tries whether messages arrive.
    #[serde(rename = "test")]
    Test,
}

/// Where a subscription's messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    /// To a receiver over HTTP. What address it may be is not decided here.
    Webhook {
        /// Its address.
        url: String,
    },
    /// To people, by mail.
    Email {
        /// Their addresses, each checked.
        to: Vec<String>,
    },
}

/// A text that is no event that can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct NoEvent {
    near: Option<&'static str>,
}

// === impl EventName ===

impl EventName {
    /// Those that can be subscribed to.
    pub const ALL: [Self; 7] = [
        Self::VersionReady,
        Self::VersionFailed,
        Self::RolledBack,
        Self::KeyRevoked,
        Self::PoolDown,
        Self::PoolUp,
        Self::ChallengerStopped,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VersionReady => "version.ready",
            Self::VersionFailed => "version.failed",
            Self::RolledBack => "deployment.rolled_back",
            Self::KeyRevoked => "key.revoked",
            Self::PoolDown => "pool.down",
            Self::PoolUp => "pool.up",
            Self::ChallengerStopped => "challenger.stopped",
            Self::Test => "test",
        }
    }

    /// Reads the word of one that can be subscribed to.
    ///
    /// # Errors
    /// [`NoEvent`], which names the one that was most likely meant.
    pub fn parse(text: &str) -> Result<Self, NoEvent> {
        let found = Self::ALL.into_iter().find(|event| event.as_str() == text);
        found.ok_or_else(|| NoEvent {
            near: nearest(text, &Self::ALL.map(Self::as_str)),
        })
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Target ===

impl Target {
    /// Its kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Email { .. } => "email",
        }
    }
}

// === impl NoEvent ===

impl NoEvent {
    fn words(&self) -> String {
        match self.near {
            Some(near) => format!("is no event; did you mean {near}?"),
            None => {
                let all = EventName::ALL.map(EventName::as_str).join(", ");
                format!("is no event; there are {all}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_are_stored() {
        for event in EventName::ALL.into_iter().chain([EventName::Test]) {
            let stored = serde_json::to_value(event).expect("JSON");
            assert_eq!(stored, event.as_str());
            let read: EventName = serde_json::from_value(stored).expect("its own");
            assert_eq!(read, event);
        }
        for event in EventName::ALL {
            assert_eq!(EventName::parse(event.as_str()), Ok(event));
        }
    }

    #[test]
    fn a_near_miss_is_told() {
        let words = |text| EventName::parse(text).expect_err(text).to_string();
        assert!(words("version.redy").ends_with("did you mean version.ready?"));
        assert!(words("x").contains("pool.down"));
        assert!(words("test").starts_with("is no event"));
    }
}
