//! The ready file: where a started gateway is to be found, for whoever started it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::Serialize;

use crate::config::Token;

/// What the ready file says.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The data plane.
    pub data_url: String,
    /// The admin plane.
    pub admin_url: String,
    /// The admin token.
    admin_token: String,
    /// The demo's classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict_url: Option<String>,
    /// The demo's text model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_url: Option<String>,
    /// The demo's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

impl Ready {
    pub(super) fn new(data_url: String, admin_url: String, token: &Token) -> Self {
        Self {
            data_url,
            admin_url,
            admin_token: token.expose().to_owned(),
            predict_url: None,
            stream_url: None,
            api_key: None,
        }
    }

    /// The admin token, for the demo that shows it.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Writes the file in one rename, readable by its owner alone: it holds secrets.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        writeln!(file)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    }
}
