//! `[data.tls]` and `[admin.tls]`: what a listener shows of itself, and whom it lets in. The files are
//! read along with the settings, so that what is wrong with them is said with all the rest.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Settings,
    sections::{file, integer},
};
use crate::{
    net::tls::{FileMistake, Identity, Raw, Which, files::add_authorities},
    spec::Reader,
};

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TlsSettings {
    /// The chain of certificates in PEM, its own first; empty: clear text.
    pub cert_file: PathBuf,
    /// The key of the first of them in PEM.
    pub key_file: PathBuf,
    /// Whether clients are asked for a certificate, and have to have one.
    pub client_auth: ClientAuth,
    /// Certificates in PEM of those who issue clients' certificates; there is one whenever they are
    /// asked, and never else.
    pub client_ca_file: PathBuf,
    /// The oldest version of TLS that is spoken.
    pub min_version: MinVersion,
    /// Until a handshake is complete.
    pub handshake_timeout_ms: u64,
}

/// Whether clients are asked for a certificate, and have to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// One that is shown has to be good.
    Optional,
    /// They have to have one.
    Required,
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum MinVersion {
    /// 1.2, and what is newer.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

// === impl TlsSettings ===

impl TlsSettings {
    /// Whether the listener speaks TLS.
    pub fn is_on(&self) -> bool {
        is_set(&self.cert_file)
    }

    /// How URLs of the listener begin.
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            client_auth: ClientAuth::default(),
            client_ca_file: PathBuf::new(),
            min_version: MinVersion::default(),
            handshake_timeout_ms: 10_000,
        }
    }
}

/// What is no mistake, and will keep others from connecting all the same: each with its setting.
pub(super) fn concerns(settings: &Settings) -> Vec<String> {
    let (data, admin, upstream) = (
        &settings.data.tls,
        &settings.admin.tls,
        &settings.upstream.tls,
    );
    let shown = [
        ("/data/tls", &data.cert_file, &data.key_file),
        ("/admin/tls", &admin.cert_file, &admin.key_file),
        ("/upstream/tls", &upstream.cert_file, &upstream.key_file),
    ];
    let of_one = |(at, cert, key): (&str, &PathBuf, &PathBuf)| {
        let identity = is_set(cert).then(|| Identity::read(cert, key).ok());
        let concerns = identity.flatten().map(|identity| identity.concerns());
        let cert = cert.display();
        let concerns = concerns.into_iter().flatten();
        concerns
            .map(|concern| format!("{at}/cert_file: {cert}: the certificate {concern}"))
            .collect::<Vec<_>>()
    };
    shown.into_iter().flat_map(of_one).collect()
}

pub(super) fn tls(reader: &mut Reader<'_>, tls: &mut TlsSettings) {
    identity(reader, &mut tls.cert_file, &mut tls.key_file);
    client_auth(reader, tls);
    let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
    tls.min_version = reader.choice("min_version", &versions);
    let limit = &mut tls.handshake_timeout_ms;
    integer(reader, "handshake_timeout_ms", 1..=600_000, limit);
}

/// `client_auth` and `client_ca_file`, which go together: either one alone looks like a check and is
/// none.
fn client_auth(reader: &mut Reader<'_>, tls: &mut TlsSettings) {
    let kinds = [
        ("none", ClientAuth::None),
        ("optional", ClientAuth::Optional),
        ("required", ClientAuth::Required),
    ];
    let chosen = reader.field("client_auth");
    let chosen = chosen.map(|field| field.choice(&kinds));
    // What is none of them is told of already.
    let is_choice = !matches!(chosen, Some(None));
    tls.client_auth = chosen.flatten().unwrap_or_default();
    authorities(reader, "client_ca_file", &mut tls.client_ca_file);
    let word = match tls.client_auth {
        ClientAuth::None => {
            if is_choice && is_set(&tls.client_ca_file) {
                let words = "is \"none\": clients would not be asked for the certificates that \
                             client_ca_file is there to check; say \"required\" or \"optional\"";
                reader.wrong("client_auth", words);
            }
            return;
        }
        ClientAuth::Optional => "optional",
        ClientAuth::Required => "required",
    };
    if !is_set(&tls.client_ca_file) {
        let words = format!(
            "is missing; client_auth = {word:?} needs the certificates of those who issue clients'"
        );
        reader.wrong("client_ca_file", words);
    }
    if !tls.is_on() {
        let words = format!("is missing; client_auth = {word:?} needs a listener that speaks TLS");
        reader.wrong("cert_file", words);
    }
}

/// `cert_file` and `key_file`, which go together.
pub(super) fn identity(reader: &mut Reader<'_>, cert: &mut PathBuf, key: &mut PathBuf) {
    file(reader, "cert_file", cert);
    file(reader, "key_file", key);
    match (is_set(cert), is_set(key)) {
        (false, false) => {}
        (true, false) => reader.wrong("key_file", "is missing; cert_file needs one"),
        (false, true) => reader.wrong("cert_file", "is missing; key_file needs one"),
        (true, true) => {
            for mistake in Identity::read(cert, key).err().into_iter().flatten() {
                let at = match mistake.which {
                    Which::Key => "key_file",
                    Which::Certificate | Which::Authorities => "cert_file",
                };
                reader.wrong(at, mistake.to_string());
            }
        }
    }
}

/// A file of authorities.
pub(super) fn authorities(reader: &mut Reader<'_>, at: &'static str, value: &mut PathBuf) {
    file(reader, at, value);
    if is_set(value)
        && let Err(mistake) = judge(value)
    {
        reader.wrong(at, mistake.to_string());
    }
}

fn judge(file: &Path) -> Result<(), FileMistake> {
    let raw = Raw::read(Which::Authorities, file)?;
    add_authorities(&mut tokio_rustls::rustls::RootCertStore::empty(), &raw)
}

pub(super) fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}
