//! TLS towards backends: whom weir trusts, what it shows to backends that ask, and the handshake.

mod failed;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, io, net::IpAddr, path::PathBuf, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector, TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        pki_types::ServerName,
        sign::{CertifiedKey, SingleCertAndKey},
    },
};

#[cfg(test)]
use failed::{REJECTED, REJECTED_AS_EXPIRED};
pub use failed::{TlsFailed, certificate_words, is_rejection, rejection_words, tls_failed};

use super::{
    FileMistake, Identity, Raw, Which,
    files::add_authorities,
    provider,
    reload::{Asked, Look, Made, Reloaded},
    roots::add_system,
};
use crate::{net::stream::Stream, spec::Protocol};

/// Sessions that are kept to be resumed, for each way of speaking: eight tickets for each of 256
/// hosts, about a kilobyte each.
const SESSIONS_MAX: usize = 8 * 256;

const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// TLS as it is spoken to backends. New connections take what is in force; open ones keep what they
/// were made with.
pub struct BackendTls(Arc<Reloaded<Configs>>);

/// Whom weir trusts towards backends, and what it shows to those that ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendTlsOptions {
    /// Whether the system's authorities are trusted.
    pub system_roots: bool,
    /// A file of authorities that are trusted beside them.
    pub ca_file: Option<PathBuf>,
    /// The files of a certificate chain and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// One for each way of speaking: what a backend may choose by ALPN is what will be spoken, and no
/// session is taken over between the two.
struct Configs {
    http1: Arc<ClientConfig>,
    h2: Arc<ClientConfig>,
}

// === impl BackendTls ===

impl BackendTls {
    /// Reads the files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn open(options: BackendTlsOptions) -> Result<Self, Vec<FileMistake>> {
        let mut files = Vec::new();
        files.extend(options.ca_file.map(|path| (Which::Authorities, path)));
        if let Some((chain, key)) = options.identity {
            files.extend([(Which::Certificate, chain), (Which::Key, key)]);
        }
        let system_roots = options.system_roots;
        let make = move |files: &[Raw]| make(system_roots, files);
        Ok(Self(Arc::new(Reloaded::open("upstream", files, make)?)))
    }

    /// Looks at the files, and takes what they say if it is new and good. Sessions of connections that
    /// were made before are not resumed then: their certificates were judged by what was in force.
    pub fn look(&self) -> Look {
        self.0.look(Asked::No)
    }

    /// Follows the files, forever.
    ///
    /// # Cancellation
    /// A look under way goes on to its end.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.0).follow()
    }

    /// Shakes hands over a connection with the backend at `host`, as it stands in its URL.
    ///
    /// # Errors
    /// One that [`tls_failed`] knows.
    ///
    /// # Cancellation
    /// Closes the connection.
    pub async fn secure(
        &self,
        host: &str,
        protocol: Protocol,
        tcp: TcpStream,
    ) -> io::Result<Stream> {
        self.shake_hands(host, protocol, tcp)
            .await
            .map_err(io::Error::other)
    }

    async fn shake_hands(
        &self,
        host: &str,
        protocol: Protocol,
        tcp: TcpStream,
    ) -> Result<Stream, TlsFailed> {
        let name = server_name(host)?;
        let config = {
            let configs = self.0.current();
            let h2 = protocol.is_h2();
            Arc::clone(if h2 { &configs.h2 } else { &configs.http1 })
        };
        let shaken = TlsConnector::from(config).connect(name, tcp).await;
        let stream = shaken.map_err(|error| TlsFailed::of(host, error))?;
        let chosen = stream.get_ref().1.alpn_protocol();
        if protocol.is_h2() && chosen != Some(ALPN_H2) {
            return Err(TlsFailed::Alpn);
        }
        Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
    }
}

impl Default for BackendTls {
    /// Trusts nobody.
    fn default() -> Self {
        Self::open(BackendTlsOptions::default()).expect("without files there is no mistake in them")
    }
}

impl fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the authorities, which are many, nor the key.
        f.write_str("BackendTls")
    }
}

/// What these files say, in the order that they were named in.
fn make(system_roots: bool, files: &[Raw]) -> Result<Made<Configs>, FileMistake> {
    let mut roots = RootCertStore::empty();
    let (authorities, own): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|file| file.which() == Which::Authorities);
    for file in authorities {
        add_authorities(&mut roots, file)?;
    }
    let identity = match own[..] {
        [chain, key] => Some(Identity::of(chain, key)?),
        _ => None,
    };
    if system_roots {
        add_system(&mut roots);
    }
    let validity = identity.as_ref().map(|identity| identity.validity);
    let value = Configs::new(roots, identity.map(|identity| identity.certified));
    Ok(Made { value, validity })
}

impl Configs {
    fn new(roots: RootCertStore, certified: Option<Arc<CertifiedKey>>) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has what both versions of TLS need")
            .with_root_certificates(roots);
        let http1 = match certified {
            Some(certified) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        let speaking = |alpn: &[u8]| {
            let mut config = http1.clone();
            config.alpn_protocols = vec![alpn.to_vec()];
            config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
            Arc::new(config)
        };
        Self {
            http1: speaking(ALPN_HTTP1),
            h2: speaking(ALPN_H2),
        }
    }
}

/// What a certificate has to be for; an address is checked as one, and not sent as a name.
fn server_name(host: &str) -> Result<ServerName<'static>, TlsFailed> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(ServerName::from(ip)),
        Err(_) => ServerName::try_from(bare.trim_end_matches('.').to_owned())
            .map_err(|_| TlsFailed::Name(host.to_owned())),
    }
}
