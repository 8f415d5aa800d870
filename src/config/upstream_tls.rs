//! `[upstream.tls]`: whom weir trusts towards backends with `https`, and what it shows to them.

use std::path::PathBuf;

use serde::Serialize;

use super::tls::{authorities, identity, is_set};
use crate::spec::Reader;

/// `[upstream.tls]`: whom weir trusts towards backends with `https`, and what it shows to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpstreamTlsSettings {
    /// Whether the system's authorities are trusted.
    pub system_roots: bool,
    /// Authorities that are trusted beside them, in PEM; empty: none.
    pub ca_file: PathBuf,
    /// The chain that is shown to backends that ask for one, in PEM; empty: none.
    pub cert_file: PathBuf,
    /// The key of the first certificate in it.
    pub key_file: PathBuf,
}

impl Default for UpstreamTlsSettings {
    fn default() -> Self {
        Self {
            system_roots: true,
            ca_file: PathBuf::new(),
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
        }
    }
}

pub(super) fn upstream_tls(reader: &mut Reader<'_>, tls: &mut UpstreamTlsSettings) {
    tls.system_roots = reader.flag("system_roots", tls.system_roots);
    authorities(reader, "ca_file", &mut tls.ca_file);
    if !tls.system_roots && !is_set(&tls.ca_file) {
        let words = "is missing; with system_roots = false no backend could be trusted without one";
        reader.wrong("ca_file", words);
    }
    identity(reader, &mut tls.cert_file, &mut tls.key_file);
}
