//! TLS in front of any scripted backend.
//!
//! ```text
//! weir ──TLS──▶ TlsFront ──clear text──▶ Backend / H2Backend
//! ```
//!
//! One connection of the front is one connection to the backend behind it, and the end of either is
//! passed on: with `close_notify`, or cut off without it if the front is told to.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
};

/// One who issues certificates, with a directory for files.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate with its key, both in DER, and in files of the authority's directory.
pub(crate) struct Issued {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// What a front is like.
pub(crate) struct Terms<'a> {
    shows: &'a Issued,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    asks: Option<&'a Ca>,
    cut: bool,
    stalls: bool,
}

/// TLS in front of a backend.
pub(crate) struct TlsFront {
    addr: SocketAddr,
    seen: Arc<Seen>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    names: Mutex<Vec<Option<String>>>,
}

/// A socket that can be made to swallow what is written to it, `close_notify` with it.
struct Cuttable {
    tcp: TcpStream,
    cut: Arc<AtomicBool>,
}

// === impl Ca ===

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca = Self {
            issuer,
            dir: TempDir::new().unwrap(),
        };
        fs::write(ca.file(), ca.issuer.pem()).unwrap();
        ca
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for this name or address, valid now.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 2049)
    }

    /// The same, valid until a year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert_file, key_file) = (
            self.dir.path().join(format!("{name}.{year}.pem")),
            self.dir.path().join(format!("{name}.{year}.key")),
        );
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        Issued {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            cert_file,
            key_file,
        }
    }
}

// === impl Terms ===

impl<'a> Terms<'a> {
    /// HTTP/1.1 under TLS 1.2 or 1.3, every client welcome.
    pub(crate) fn of(shows: &'a Issued) -> Self {
        Self {
            shows,
            alpn: vec![b"http/1.1".to_vec()],
            versions: vec![&TLS12, &TLS13],
            asks: None,
            cut: false,
            stalls: false,
        }
    }

    pub(crate) fn alpn(mut self, names: &[&str]) -> Self {
        self.alpn = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn only_tls12(mut self) -> Self {
        self.versions = vec![&TLS12];
        self
    }

    /// Takes clients alone that show a certificate of this authority.
    pub(crate) fn asks(mut self, ca: &'a Ca) -> Self {
        self.asks = Some(ca);
        self
    }

    /// Ends its connections without `close_notify`.
    pub(crate) fn cuts(mut self) -> Self {
        self.cut = true;
        self
    }

    /// Takes connections and never says a word.
    pub(crate) fn stalls(mut self) -> Self {
        self.stalls = true;
        self
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .unwrap();
        let builder = match self.asks {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.issuer.der().clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivatePkcs8KeyDer::from(self.shows.key.clone());
        let chain = vec![self.shows.certificate.clone()];
        let mut config = builder.with_single_cert(chain, key.into()).unwrap();
        config.alpn_protocols.clone_from(&self.alpn);
        TlsAcceptor::from(Arc::new(config))
    }
}

// === impl TlsFront ===

impl TlsFront {
    /// In front of the backend at this address.
    pub(crate) fn start(backend: SocketAddr, terms: &Terms<'_>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (acceptor, noted) = (terms.acceptor(), Arc::clone(&seen));
        let (stalls, cuts) = (terms.stalls, terms.cut);
        runtime.spawn(async move {
            let mut stalled = Vec::new();
            while let Ok((tcp, _)) = listener.accept().await {
                noted.connections.fetch_add(1, Ordering::SeqCst);
                if stalls {
                    stalled.push(tcp);
                    continue;
                }
                let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    // Whoever does not get through has their own words for it.
                    let _ = carry(tcp, backend, acceptor, cuts, &noted).await;
                });
            }
        });
        Self {
            addr,
            seen,
            runtime: Some(runtime),
        }
    }

    /// As a host name that resolves to it.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.addr.port())
    }

    /// By its address.
    pub(crate) fn url_by_ip(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Connections so far, with a handshake or without.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The names that were asked for in the handshakes that were completed.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.seen.names.lock().unwrap().clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn carry(
    tcp: TcpStream,
    backend: SocketAddr,
    acceptor: TlsAcceptor,
    cuts: bool,
    seen: &Seen,
) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let cut = Arc::<AtomicBool>::default();
    let outer = Cuttable {
        tcp,
        cut: Arc::clone(&cut),
    };
    let outer = acceptor.accept(outer).await?;
    let name = outer.get_ref().1.server_name().map(str::to_owned);
    seen.names.lock().unwrap().push(name);
    let inner = TcpStream::connect(backend).await?;
    inner.set_nodelay(true)?;
    let (mut from_weir, mut to_weir) = tokio::io::split(outer);
    let (mut from_backend, mut to_backend) = inner.into_split();
    let requests = tokio::spawn(async move {
        let _ = pass(&mut from_weir, &mut to_backend).await;
        let _ = to_backend.shutdown().await;
    });
    let ended = pass(&mut from_backend, &mut to_weir).await;
    if cuts || ended.is_err() {
        cut.store(true, Ordering::SeqCst);
    }
    let _ = to_weir.shutdown().await;
    // What weir still sends is read, as its answer might be lost with a reset otherwise.
    let _ = requests.await;
    Ok(())
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&piece[..count]).await?;
        to.flush().await?;
    }
}

// === impl Cuttable ===

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.cut.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
