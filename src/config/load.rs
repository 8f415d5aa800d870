//! Reads settings from a file and the environment.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Settings, sections::settings, tls};
use crate::spec::{Mistakes, Node, nearest, read, utf8};

/// What the name of every variable of ours starts with.
const VARIABLE_PREFIX: &str = "WEIR_";

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the file or in the environment is wrong.
    #[error("{}", mistakes.in_file(path.as_deref()))]
    Mistakes {
        /// The file, if there was one.
        path: Option<PathBuf>,
        /// All that is wrong.
        mistakes: Mistakes,
    },
}

// === impl Settings ===

impl Settings {
    /// Reads `path`, if one is given, and lets `environment` override it. Also returns warnings for
    /// the caller to log: variables that look like ours and are none.
    ///
    /// # Errors
    /// [`LoadError`] when the file can't be read, or with every mistake at once. Its words show no
    /// token.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<String>), LoadError> {
        let bytes = match path {
            Some(path) => fs::read(path).map_err(|source| LoadError::Read {
                path: path.to_owned(),
                source,
            })?,
            None => Vec::new(),
        };
        let mistakes = |mistakes| LoadError::Mistakes {
            path: path.map(Path::to_owned),
            mistakes,
        };
        let mut root = utf8(&bytes).and_then(Node::from_toml).map_err(mistakes)?;
        let warnings = override_all(&mut root, environment);
        let settings = read(&root, settings).map_err(mistakes)?;
        Ok((settings, warnings))
    }

    /// What is no mistake in them and speaks against starting with them all the same, such as a
    /// certificate that has expired. Reads the files that they name.
    pub fn concerns(&self) -> Vec<String> {
        tls::concerns(self)
    }
}

/// What commands and pasted calls read, which people have set in the shell that they start a gateway
/// from.
const OF_COMMANDS: [&str; 7] = [
    "WEIR_ADMIN_URL",
    "WEIR_API_KEY",
    "WEIR_CA_FILE",
    "WEIR_CERT_FILE",
    "WEIR_CONTEXT",
    "WEIR_CONTEXTS_FILE",
    "WEIR_KEY_FILE",
];

/// Puts the environment's values over the file's, and says which variables mean nothing.
pub(super) fn override_all(
    root: &mut Node,
    environment: impl Iterator<Item = (String, String)>,
) -> Vec<String> {
    let known = variables();
    let mut warnings = Vec::new();
    for (name, text) in environment {
        if !name.starts_with(VARIABLE_PREFIX) || OF_COMMANDS.contains(&name.as_str()) {
            continue;
        }
        if let Some(path) = known.get(&name) {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            root.override_at(&path, &name, &text);
            continue;
        }
        let names: Vec<_> = known.keys().map(String::as_str).collect();
        warnings.push(match nearest(&name, &names) {
            Some(near) => format!("{name} is not a setting; did you mean {near}?"),
            None => format!("{name} is not a setting"),
        });
    }
    warnings.sort();
    warnings
}

/// The variable of every setting, and the path of its key. Made from the settings themselves, so
/// that none can be forgotten.
pub(super) fn variables() -> BTreeMap<String, Vec<String>> {
    let mut variables = BTreeMap::new();
    let defaults = serde_json::json!(Settings::default());
    add_variables(&defaults, &[], &mut variables);
    variables
}

fn add_variables(
    value: &serde_json::Value,
    path: &[String],
    variables: &mut BTreeMap<String, Vec<String>>,
) {
    let Some(section) = value.as_object() else {
        let name = format!("{VARIABLE_PREFIX}{}", path.join("_").to_ascii_uppercase());
        variables.insert(name, path.to_vec());
        return;
    };
    for (key, value) in section {
        let path = [path, std::slice::from_ref(key)].concat();
        add_variables(value, &path, variables);
    }
}
