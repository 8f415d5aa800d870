//! Names that operators choose, parsed once into a type that proves the check was made.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The longest name, in bytes (design: `[a-z0-9][a-z0-9._-]{0,62}`).
pub const NAME_BYTES_MAX: usize = 63;

/// A project's or a deployment's URL name: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// The stable name that applications call: `{project}/{deployment}`, kept as one string because
/// that is how it stands in a path and how the route table looks it up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentName {
    path: Arc<str>,
    slash: usize,
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not have the form of one.
    #[error(
        "{0:?} is not a name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or a digit"
    )]
    Form(String),
    /// A deployment's name has two halves.
    #[error("{0:?} is no deployment's name: that is PROJECT/DEPLOYMENT, such as demo/iris")]
    Half(String),
}

// === impl Name ===

impl Name {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// [`NameError`] when it does not fit `[a-z0-9][a-z0-9._-]{0,62}`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Form(shown(text)))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So much of a text as a message repeats.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=NAME_BYTES_MAX).contains(&bytes.len())
        && first(bytes[0])
        && bytes[1..]
            .iter()
            .all(|&b| first(b) || matches!(b, b'.' | b'_' | b'-'))
}

// So that a table by name can be asked with a text.
impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

// === impl DeploymentName ===

// So that a table by name can be asked with a piece of a path. `path` alone decides equality,
// order and hash: `slash` follows from it.
impl std::borrow::Borrow<str> for DeploymentName {
    fn borrow(&self) -> &str {
        &self.path
    }
}

impl std::hash::Hash for DeploymentName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl DeploymentName {
    /// Joins a project and a deployment.
    pub fn new(project: &Name, deployment: &Name) -> Self {
        Self {
            path: format!("{project}/{deployment}").into(),
            slash: project.as_str().len(),
        }
    }

    /// Parses `{project}/{deployment}`.
    ///
    /// # Errors
    /// [`NameError`] when there are no two halves, or either is no name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let halves = text.split_once('/');
        let (project, deployment) = halves.ok_or_else(|| NameError::Half(shown(text)))?;
        Ok(Self::new(&Name::parse(project)?, &Name::parse(deployment)?))
    }

    /// `{project}/{deployment}`.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// The project's half.
    pub fn project(&self) -> &str {
        &self.path[..self.slash]
    }

    /// The deployment's half.
    pub fn deployment(&self) -> &str {
        &self.path[self.slash + 1..]
    }
}

impl FromStr for DeploymentName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl fmt::Debug for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Serialize for DeploymentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

impl<'de> Deserialize<'de> for DeploymentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_glossary_says() {
        for good in ["a", "0", "iris", "flan-t5_v2.1", &"a".repeat(63)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            ".a",
            "_a",
            "A",
            "a b",
            "a/b",
            "é",
            &"a".repeat(64),
        ] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deployment_name_keeps_both_halves() {
        let name = DeploymentName::parse("demo/iris").expect("well formed");
        assert_eq!((name.project(), name.deployment()), ("demo", "iris"));
        for bad in ["demo", "demo/", "/iris", "demo/iris/x", "Demo/iris"] {
            assert!(DeploymentName::parse(bad).is_err(), "{bad}");
        }
    }
}
