//! From a tree to the declared shapes: what is required, what is allowed, what is left out.

mod challenger;
pub(in crate::spec) mod deployment;
pub(in crate::spec) mod key;
pub(in crate::spec) mod limits;
mod path;
mod pool;
mod project;
mod readiness;
#[cfg(test)]
mod tests;
pub(in crate::spec) mod text;

use std::collections::HashMap;

pub(in crate::spec) use pool::TIMEOUT_MS_MAX;

use super::{
    Declarations, DeploymentSpec, Mistakes, Node, VersionSpec,
    field::Field,
    reader::{Reader, read},
};
use crate::base::name::Name;

// === impl Declarations ===

impl Declarations {
    /// Reads a declarations file: `[[deployment]]` and `[[key]]`, and perhaps `[[project]]` and
    /// `[[tenant]]`.
    ///
    /// # Errors
    /// Every mistake in it at once, or its first syntax error. Their words show no key.
    pub fn from_toml(text: &str) -> Result<Self, Mistakes> {
        read(&Node::from_toml(text)?, declarations)
    }
}

fn declarations(reader: &mut Reader<'_>) -> Option<Declarations> {
    Some(Declarations {
        tenants: project::tenants(reader),
        projects: project::projects(reader),
        deployments: deployments(reader),
        keys: key::keys(reader),
    })
}

fn deployments(reader: &mut Reader<'_>) -> Vec<DeploymentSpec> {
    let mut first = HashMap::new();
    let mut deployments = Vec::new();
    for field in tables(reader, "deployment") {
        let Some(spec) = field.table(|reader| deployment::deployment(reader, None)) else {
            continue;
        };
        match first.get(&spec.name) {
            Some(earlier) => field.wrong(format!("{} is declared at {earlier} already", spec.name)),
            None => {
                first.insert(spec.name.clone(), field.pointer().to_owned());
                deployments.push(spec);
            }
        }
    }
    deployments
}

/// The items of an array of tables.
fn tables<'n>(
    reader: &mut Reader<'n>,
    key: &'static str,
) -> impl Iterator<Item = Field<'n>> + use<'n> {
    let field = reader.field(key);
    // By far the most likely reason for a table where a list should be.
    let single = field.as_ref().is_some_and(Field::is_table);
    let items = match field {
        Some(field) if single => {
            field.wrong(format!("must be a list: write [[{key}]]"));
            None
        }
        Some(field) => field.list(),
        None => None,
    };
    items.into_iter().flatten()
}

// === impl DeploymentSpec ===

impl DeploymentSpec {
    /// Reads the JSON of a deployment. `project` is the one that its address names, if it names
    /// one; the JSON may then leave it out, and must not name another.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(project: Option<&Name>, json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            deployment::deployment(reader, project)
        })
    }
}

// === impl VersionSpec ===

impl VersionSpec {
    /// Reads a version in a file of its own.
    ///
    /// # Errors
    /// Every mistake in it at once, or its first syntax error.
    pub fn from_toml(text: &str) -> Result<Self, Mistakes> {
        read(&Node::from_toml(text)?, |reader| {
            Some(deployment::version(reader))
        })
    }

    /// Reads the JSON of a version.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            Some(deployment::version(reader))
        })
    }
}

/// What holds for any text, for fuzzing and property tests: it is read or refused, never worse; a
/// refusal has at least one mistake, and every place lies inside of the text.
#[cfg(any(test, fuzzing))]
pub fn any_text_holds(text: &str) {
    let Err(mistakes) = Declarations::from_toml(text) else {
        return;
    };
    assert!(!mistakes.list().is_empty());
    assert!(!mistakes.to_string().is_empty());
    for mistake in mistakes.list() {
        let line = mistake.line.map(|line| line as usize - 1);
        let line = line.and_then(|line| text.split('\n').nth(line));
        let columns = line.map(|line| line.chars().count() + 1);
        assert!(columns >= mistake.column.map(|column| column as usize));
    }
}
