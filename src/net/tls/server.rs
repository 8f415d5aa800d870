//! TLS of a listener: what it shows, whom it asks for a certificate, and which sessions are resumed.

use std::{fmt, path::PathBuf, sync::Arc};

use tokio_rustls::rustls::{
    Error, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    server::{
        NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};

use super::{
    FileMistake, Identity, Raw, Which,
    files::add_authorities,
    provider,
    reload::{Made, Reloaded},
};

/// Sessions remembered for clients that can't keep them themselves: those with TLS 1.2 and without
/// tickets, hardly any. All others carry their session in a ticket, which any worker can read.
const SESSIONS_MAX: usize = 4_096;

/// How a listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The chain of certificates.
    pub cert_file: PathBuf,
    /// The key of the first of them.
    pub key_file: PathBuf,
    /// Whether clients are asked for a certificate, and have to have one.
    pub client_auth: ClientAuth,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
    /// For a handshake, from the accept to its end, in milliseconds.
    pub handshake_ms: u64,
}

/// Whether clients are asked for a certificate, with the file of those who issue them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not.
    None,
    /// One that is shown has to be good.
    Optional(PathBuf),
    /// No handshake without.
    Required(PathBuf),
}

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2, and 1.3.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// TLS of one listener, as its files say it just now.
pub struct ServerTls {
    pub(super) listener: &'static str,
    pub(super) handshake_ms: u64,
    reloaded: Arc<Reloaded<ServerConfig>>,
}

// === impl ServerTls ===

impl ServerTls {
    /// Reads the files. `listener` is what metrics call it, `alpn` what it speaks, the best first.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn open(
        listener: &'static str,
        options: TlsOptions,
        alpn: &[&[u8]],
    ) -> Result<Self, Vec<FileMistake>> {
        let mut files = vec![
            (Which::Certificate, options.cert_file.clone()),
            (Which::Key, options.key_file.clone()),
        ];
        if let ClientAuth::Optional(file) | ClientAuth::Required(file) = &options.client_auth {
            files.push((Which::Authorities, file.clone()));
        }
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|name| name.to_vec()).collect();
        let handshake_ms = options.handshake_ms;
        let make = move |files: &[Raw]| made(files, &options, &alpn);
        Ok(Self {
            listener,
            handshake_ms,
            reloaded: Arc::new(Reloaded::open(listener, files, make)?),
        })
    }

    /// What new connections are shown.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.reloaded.current()
    }

    /// How long a handshake may take, in milliseconds.
    pub fn handshake_ms(&self) -> u64 {
        self.handshake_ms
    }

    /// Follows the files from here on.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.reloaded).follow()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.listener).finish()
    }
}

/// Whatever else may go wrong is told of the first file: there is no better place.
fn made(
    files: &[Raw],
    options: &TlsOptions,
    alpn: &[Vec<u8>],
) -> Result<Made<ServerConfig>, FileMistake> {
    let identity = Identity::of(&files[0], &files[1])?;
    let verifier = match files.get(2) {
        Some(authorities) => Some(verifier(authorities, options)?),
        None => None,
    };
    let value = config(&identity, verifier, options, alpn).map_err(|error| FileMistake {
        which: Which::Certificate,
        path: options.cert_file.clone(),
        words: format!("can't be used: {error}"),
    })?;
    let validity = Some(identity.validity);
    Ok(Made { value, validity })
}

fn verifier(
    authorities: &Raw,
    options: &TlsOptions,
) -> Result<Arc<dyn ClientCertVerifier>, FileMistake> {
    let mut roots = RootCertStore::empty();
    add_authorities(&mut roots, authorities)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match options.client_auth {
        ClientAuth::Optional(_) => builder.allow_unauthenticated(),
        ClientAuth::None | ClientAuth::Required(_) => builder,
    };
    let wrong = |error| authorities.wrong(format!("can't be used: {error}"));
    builder.build().map_err(wrong)
}

fn config(
    identity: &Identity,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    options: &TlsOptions,
    alpn: &[Vec<u8>],
) -> Result<ServerConfig, Error> {
    let versions: &[&SupportedProtocolVersion] = match options.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let resolver = SingleCertAndKey::from(Arc::clone(&identity.certified));
    let asks = verifier.is_some();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn.to_vec();
    if asks {
        // A session that is resumed brings along a certificate that nobody judges again, and would let
        // in whose certificate has expired for as long as they come back often enough.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    } else {
        // Both are of this configuration alone: no session goes on that was begun before a key was
        // replaced.
        config.ticketer = ring::Ticketer::new()?;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    }
    Ok(config)
}
