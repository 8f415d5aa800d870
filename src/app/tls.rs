//! TLS of both listeners: from the settings to what each is given, and the files followed.

use std::sync::Arc;

use super::StartError;
use crate::{
    base::task,
    config::{self, Settings, TlsSettings},
    net::tls::server::{ClientAuth, MinVersion, ServerTls, TlsOptions},
};

/// TLS of the listeners that speak it.
pub(super) struct Listeners {
    pub(super) data: Option<Arc<ServerTls>>,
    pub(super) admin: Option<Arc<ServerTls>>,
}

// === impl Listeners ===

impl Listeners {
    /// Reads the files anew: they may have changed since the settings were read.
    pub(super) fn open(settings: &Settings) -> Result<Self, StartError> {
        let open = |listener, tls: &TlsSettings, alpn: &[&[u8]]| {
            let opened = tls
                .is_on()
                .then(|| ServerTls::open(listener, options(tls), alpn));
            opened.transpose().map(|tls| tls.map(Arc::new))
        };
        Ok(Self {
            data: open("data", &settings.data.tls, &[b"h2", b"http/1.1"])?,
            admin: open("admin", &settings.admin.tls, &[b"http/1.1"])?,
        })
    }

    /// Follows the files. Called on the control runtime.
    pub(super) fn start(&self) {
        for tls in [&self.data, &self.admin].into_iter().flatten() {
            task::spawn("TLS files", tls.follow());
        }
    }
}

fn options(tls: &TlsSettings) -> TlsOptions {
    TlsOptions {
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        client_auth: match tls.client_auth {
            config::ClientAuth::None => ClientAuth::None,
            config::ClientAuth::Optional => ClientAuth::Optional(tls.client_ca_file.clone()),
            config::ClientAuth::Required => ClientAuth::Required(tls.client_ca_file.clone()),
        },
        min_version: match tls.min_version {
            config::MinVersion::Tls12 => MinVersion::Tls12,
            config::MinVersion::Tls13 => MinVersion::Tls13,
        },
        handshake_ms: tls.handshake_timeout_ms,
    }
}
