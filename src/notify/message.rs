//! What is told: the facts, and their two forms.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    base::{id::VersionNumber, name::Name},
    spec::EventName,
};

/// What happened, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What.
    pub event: EventName,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// In which project.
    pub project: Name,
    /// To which deployment of it; none when it concerns the project itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Name>,
    /// The version that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// How people call that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Who did it: a person, `declarations` or `system`.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The public id of the key that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The task that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

// === impl Message ===

impl Message {
    /// Of something that concerns a whole project.
    pub fn new(event: EventName, project: &Name, by: &str, at_ms: u64) -> Self {
        Self {
            event,
            at_ms,
            project: project.clone(),
            deployment: None,
            version: None,
            version_name: None,
            by: by.to_owned(),
            reason: None,
            key: None,
            task: None,
        }
    }

    /// Where the admin API shows what it concerns; `base` is put in front.
    fn url(&self, base: &str) -> String {
        let project = &self.project;
        match &self.deployment {
            Some(name) => format!("{base}/api/v1/projects/{project}/deployments/{name}"),
            None => format!("{base}/api/v1/projects/{project}"),
        }
    }

    /// As a webhook's body.
    pub(super) fn body(&self, base: &str) -> Bytes {
        let body = json!({
            "type": self.event,
            "timestamp": time(self.at_ms),
            "data": {
                "project": self.project,
                "deployment": self.deployment,
                "version": self.version,
                "version_name": self.version_name,
                "by": self.by,
                "reason": self.reason,
                "key": self.key,
                "task": self.task,
                "url": self.url(base),
            },
        });
        Bytes::from(body.to_string())
    }

    /// `demo/iris`, or `demo`.
    fn subject_of(&self) -> String {
        match &self.deployment {
            Some(name) => format!("{}/{name}", self.project),
            None => self.project.to_string(),
        }
    }

    /// A mail's subject: one line, whatever people call things.
    pub(super) fn subject(&self) -> String {
        let version = self.version_name.as_deref().unwrap_or("a version");
        let key = self.key.as_deref().unwrap_or("");
        let words = match self.event {
            EventName::VersionReady => format!("{version} is live"),
            EventName::VersionFailed => format!("{version} failed"),
            EventName::RolledBack => format!("rolled back to {version}"),
            EventName::KeyRevoked => format!("the key {key} is revoked"),
            EventName::PoolDown => format!("no backend of {version} is available"),
            EventName::PoolUp => format!("a backend of {version} is available again"),
            EventName::ChallengerStopped => format!("the challenger of {version} is stopped"),
            EventName::Test => "a test message".to_owned(),
        };
        plain(&format!("[weir] {}: {words}", self.subject_of()))
    }

    /// A mail's text: the subject again, and the facts, a line each.
    pub(super) fn text(&self, base: &str) -> String {
        let version = self.version.map(|number| number.to_string());
        let url = self.url(base);
        let at = time(self.at_ms);
        let facts = [
            ("Event", Some(self.event.as_str())),
            ("Time", at.as_str()),
            ("Project", Some(self.project.as_str())),
            ("Deployment", self.deployment.as_ref().map(Name::as_str)),
            ("Version", version.as_deref()),
            ("By", Some(&*self.by)),
            ("Reason", self.reason.as_deref()),
            ("Key", self.key.as_deref()),
            ("Task", self.task.as_deref()),
            ("More", Some(&*url)),
        ];
        let mut text = format!("{}\r\n\r\n", self.subject());
        for (name, fact) in facts {
            if let Some(fact) = fact {
                text.push_str(&format!("{name}: {}\r\n", plain(fact)));
            }
        }
        text
    }
}

/// One line: what others wrote must not become a line of its own.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn time(unix_ms: u64) -> Value {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or(Value::Null, |moment| json!(format!("{moment:.3}")))
}
