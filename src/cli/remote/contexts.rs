//! Contexts: gateways by name, each with its token, in a file of their user's.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::cli::failure::{Code, Failure};

/// A gateway that was given a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Context {
    /// Its admin API.
    pub(in crate::cli) admin_url: String,
    /// What opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) token: Option<String>,
    /// Certificates that are trusted beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
    /// A certificate to show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) cert_file: Option<PathBuf>,
    /// The key of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) key_file: Option<PathBuf>,
}

/// All contexts, and which is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Contexts {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) current: Option<String>,
    /// All of them.
    #[serde(default)]
    pub(in crate::cli) context: BTreeMap<String, Context>,
}

// === impl Contexts ===

impl Contexts {
    /// Reads the file; none is no mistake.
    ///
    /// # Errors
    /// When it can't be read or is not what this writes.
    pub(in crate::cli) fn load() -> Result<Self, Failure> {
        let Some(path) = path() else {
            return Ok(Self::default());
        };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let path = path.display();
                Failure::new(format_args!("{path} can't be read: {}", error.message()))
                    .hint("mend it, or remove it and add the contexts again")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(cannot("read", &path, &error)),
        }
    }

    /// Writes the file in one rename, readable by its owner alone: it holds tokens.
    ///
    /// # Errors
    /// What the system says.
    pub(in crate::cli) fn save(&self) -> Result<PathBuf, Failure> {
        let path = path().ok_or_else(|| {
            Failure::new("there is no home directory to keep contexts in")
                .hint("name a file with WEIR_CONTEXTS_FILE")
        })?;
        let text = toml::to_string(self)?;
        write_private(&path, &text).map_err(|error| cannot("write", &path, &error))?;
        Ok(path)
    }

    /// The context of this name, or else the one in use.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(super) fn meant(mut self, name: Option<&str>) -> Result<Option<Context>, Failure> {
        let Some(name) = name.or(self.current.as_deref()).map(str::to_owned) else {
            return Ok(None);
        };
        match self.context.remove(&name) {
            Some(context) => Ok(Some(context)),
            None => Err(unknown(&name)),
        }
    }
}

/// There is no context of this name.
pub(in crate::cli) fn unknown(name: &str) -> Failure {
    Failure::with(Code::Unknown, format_args!("no context {name:?}"))
        .hint("`weir context list` shows those there are")
}

fn path() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("WEIR_CONTEXTS_FILE") {
        return Some(path.into());
    }
    let base = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))?;
    Some(base.join("weir").join("contexts.toml"))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
    }
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    // One that an earlier process of our number left would keep its mode.
    let _ = fs::remove_file(&fresh);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("can't {what} {}: {error}", path.display()))
}
