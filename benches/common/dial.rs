//! A client's connection to what is measured: in clear text, or under TLS.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::Engine;
use tokio_rustls::rustls::{
    CipherSuite, ClientConfig, ClientConnection, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName},
    version::TLS13,
};

use super::Checked;

/// The name in the certificate that all proxies show.
pub(crate) const NAME: &str = "bench.local";

/// Where to, and how.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    target: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection. Made blocking, for its handshake; then as [`Connection::set_nonblocking`] says.
pub(crate) struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What every proxy shows, in files beside its configuration.
pub(crate) struct Identity {
    config: Arc<ClientConfig>,
    certificate: String,
    key: String,
}

// === impl Identity ===

impl Identity {
    /// A certificate of its own authority, with an ECDSA key as most have one today.
    pub(crate) fn new() -> Checked<Self> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec()))?;
        // One suite, so that no two proxies choose different ones.
        let mut provider: CryptoProvider = ring::default_provider();
        let wanted = CipherSuite::TLS13_AES_256_GCM_SHA384;
        provider
            .cipher_suites
            .retain(|suite| suite.suite() == wanted);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            certificate: pem("CERTIFICATE", made.cert.der()),
            key: pem("PRIVATE KEY", &made.signing_key.serialize_der()),
        })
    }

    /// Writes `cert.pem`, `key.pem`, and `both.pem` for HAProxy, readable by their owner alone.
    pub(crate) fn write(&self, dir: &Path) -> Checked<()> {
        use std::os::unix::fs::PermissionsExt;
        let both = format!("{}{}", self.certificate, self.key);
        for (name, text) in [
            ("cert.pem", &self.certificate),
            ("key.pem", &self.key),
            ("both.pem", &both),
        ] {
            let path = dir.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(())
    }
}

/// As RFC 7468 has it: OpenSSL reads no longer lines.
fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

// === impl Dialer ===

impl From<SocketAddr> for Dialer {
    fn from(target: SocketAddr) -> Self {
        Self { target, tls: None }
    }
}

impl Dialer {
    /// Under TLS where there is an identity.
    pub(crate) fn new(target: SocketAddr, identity: Option<&Identity>) -> Self {
        Self {
            target,
            tls: identity.map(|identity| Arc::clone(&identity.config)),
        }
    }

    /// Connects, and shakes hands where there is TLS.
    pub(crate) fn dial(&self) -> Checked<Connection> {
        let mut socket = TcpStream::connect(self.target)?;
        socket.set_nodelay(true)?;
        let tls = match &self.tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(NAME)?;
                let mut tls = ClientConnection::new(Arc::clone(config), name)?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut socket)?;
                }
                Some(Box::new(tls))
            }
        };
        Ok(Connection { socket, tls })
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    pub(crate) fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(limit))
    }

    /// Whether one read may leave something behind that no event will tell of.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Sends in one call. The sockets' buffers hold far more than one request, so a short write means
    /// that the other end has stopped reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Checked<()> {
        let sent = match &mut self.tls {
            None => self.socket.write(bytes)?,
            Some(tls) => {
                let taken = tls.writer().write(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.socket)?;
                }
                taken
            }
        };
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(format!("sent {sent} of {} bytes", bytes.len()).into())
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(buf);
        };
        loop {
            match tls.reader().read(buf) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
