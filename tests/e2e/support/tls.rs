//! Authorities, certificates in files, and clients under TLS.

use std::{
    fs,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};

use super::{
    PATIENCE, RawClient,
    gateway::Builder,
    http1::{Ended, Wire},
};

pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// An authority of the test's own, with a directory for what it issues.
pub(crate) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

// === impl Pki ===

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        let pki = Self {
            authority: authority.unwrap(),
            dir: TempDir::new().unwrap(),
        };
        fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        pki.write(&pki.issue());
        pki
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for this machine; clients may show it, too.
    pub(crate) fn issue(&self) -> Issued {
        self.issue_until(2_049)
    }

    /// One that is good until the end of the first day of a year.
    pub(crate) fn issue_until(&self, year: i32) -> Issued {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2_019, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let cert = params.signed_by(&key, &self.authority).unwrap();
        Issued {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// What the gateway shows, each file in one step.
    pub(crate) fn write(&self, issued: &Issued) {
        self.write_cert(issued);
        replace(&self.path("key.pem"), &issued.key);
    }

    pub(crate) fn write_cert(&self, issued: &Issued) {
        replace(&self.path("cert.pem"), &issued.cert);
    }

    /// A gateway that shows it.
    pub(crate) fn on(&self, listener: &str, builder: Builder) -> Builder {
        let variable = |name: &str| format!("WEIR_{listener}_TLS_{name}");
        builder
            .env(&variable("CERT_FILE"), self.path("cert.pem").display())
            .env(&variable("KEY_FILE"), self.path("key.pem").display())
    }

    /// A client that trusts it, and shows this of itself.
    pub(crate) fn client_showing(
        &self,
        shown: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match shown {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let cert = CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        }
    }

    pub(crate) fn client(&self) -> ClientConfig {
        self.client_showing(None, BOTH)
    }
}

fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let mut options = fs::File::options();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft);
    file.unwrap().write_all(text.as_bytes()).unwrap();
    fs::rename(&draft, path).unwrap();
}

// === impl RawClient ===

impl RawClient {
    /// Under TLS, the handshake done.
    #[track_caller]
    pub(crate) fn secure(addr: SocketAddr, config: &ClientConfig) -> Self {
        Self::try_secure(addr, config).expect("TLS")
    }

    /// The same, when the gateway may refuse. With TLS 1.3 a client learns that its certificate is not
    /// wanted only when it reads.
    pub(crate) fn try_secure(addr: SocketAddr, config: &ClientConfig) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE)?;
        let mut wire = Wire::new(socket);
        let name = ServerName::from(addr.ip());
        let mut tls = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut wire.socket)?;
        }
        wire.tls = Some(Box::new(tls));
        Ok(Self::of(wire))
    }

    pub(crate) fn tls(&self) -> &ClientConnection {
        self.tls.as_ref().unwrap()
    }

    /// The certificate that the gateway shows.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.tls().peer_certificates().unwrap()[0].to_vec()
    }

    /// Says that no more will come, as TLS says it.
    pub(crate) fn close_notify(&mut self) {
        let wire = &mut **self;
        let tls = wire.tls.as_mut().unwrap();
        tls.send_close_notify();
        tls.write_tls(&mut wire.socket).unwrap();
    }

    /// The end of the connection, once all that came before it was read.
    pub(crate) fn end(&mut self) -> Ended {
        self.end_within(PATIENCE)
    }
}

// === impl Issued ===

impl Issued {
    pub(crate) fn der(&self) -> Vec<u8> {
        let der = CertificateDer::from_pem_slice(self.cert.as_bytes());
        der.unwrap().to_vec()
    }
}
