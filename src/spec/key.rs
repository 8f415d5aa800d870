//! An API key as declared.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{LimitsSpec, Priority};
use crate::base::{
    id::KeyId,
    name::{DeploymentName, Name},
    secret::KeyDigest,
};

/// A key and what it opens.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySpec {
    /// The public id.
    pub id: KeyId,
    /// blake3 of the key; the key itself is not kept.
    pub digest: KeyDigest,
    /// What it opens.
    pub scope: Scope,
    /// Free text.
    pub description: String,
    /// Whether its requests may pin a version with `X-Deployment-Version`.
    pub may_pin: bool,
    /// Milliseconds since 1970 from which on it opens nothing.
    pub expires_at_ms: Option<u64>,
    /// How much it may ask for.
    pub limits: LimitsSpec,
    /// Whether its requests go before others'.
    pub priority: Priority,
}

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every deployment.
    Instance,
    /// Every deployment of one project.
    Project(Name),
    /// One deployment.
    Deployment(DeploymentName),
}

// === impl Scope ===

impl Scope {
    /// Parses `instance`, `{project}` or `{project}/{deployment}`. A project that is itself named
    /// `instance` can't be written this way; its deployments can.
    ///
    /// # Errors
    /// [`crate::base::name::NameError`] when it is none of the three.
    pub fn parse(text: &str) -> Result<Self, crate::base::name::NameError> {
        if text == "instance" {
            Ok(Self::Instance)
        } else if text.contains('/') {
            DeploymentName::parse(text).map(Self::Deployment)
        } else {
            Name::parse(text).map(Self::Project)
        }
    }

    /// Whether a name, declared or not, lies inside this scope.
    pub fn covers(&self, project: &str, deployment: &str) -> bool {
        match self {
            Self::Instance => true,
            Self::Project(own) => own.as_str() == project,
            Self::Deployment(own) => own.project() == project && own.deployment() == deployment,
        }
    }

    /// Whether this is the scope of a key of `project`: the project's own, or one of its
    /// deployments'.
    pub fn is_of_project(&self, project: &str) -> bool {
        match self {
            Self::Instance => true,
            Self::Project(own) => own.as_str() == project,
            Self::Deployment(own) => own.project() == project,
        }
    }
}

impl FromStr for Scope {
    type Err = crate::base::name::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance => f.write_str("instance"),
            Self::Project(project) => project.fmt(f),
            Self::Deployment(name) => name.fmt(f),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
