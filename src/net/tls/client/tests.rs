//! The handshake against servers of every kind, the files that change, and what a kept connection
//! may bring without having ended.

use std::fs;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        HandshakeKind, ServerConfig, SupportedProtocolVersion,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
    server::TlsStream as ServerStream,
};

use super::*;
use crate::{
    base::task,
    net::tls::testing::{Authority, Files, Issued, write_private},
};

type Versions = &'static [&'static SupportedProtocolVersion];

const BOTH: Versions = &[&TLS12, &TLS13];
const OLD: Versions = &[&TLS12];
const NEW: Versions = &[&TLS13];

/// What a server is like.
struct Terms<'a> {
    shows: &'a Issued,
    alpn: &'a [&'a [u8]],
    versions: Versions,
    asks: Option<&'a Authority>,
}

impl<'a> Terms<'a> {
    fn of(shows: &'a Issued) -> Self {
        Self {
            shows,
            alpn: &[],
            versions: BOTH,
            asks: None,
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.shows.key_pem().as_bytes()).expect("a key");
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .expect("versions");
        let builder = match self.asks {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(authority.pem().as_bytes());
                roots.add(root.expect("a certificate")).expect("trusted");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let mut config = builder
            .with_single_cert(vec![self.shows.der().into()], key)
            .expect("a certificate");
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Trusts this authority, which is kept in a file.
struct Trust {
    files: Files,
    tls: BackendTls,
}

impl Trust {
    fn of(authority: &Authority, shows: Option<&Issued>) -> Self {
        let files = Files::of(shows.unwrap_or(&authority.issue("weir")));
        let ca_file = files.dir().join("ca.pem");
        fs::write(&ca_file, authority.pem()).expect("written");
        let options = BackendTlsOptions {
            system_roots: false,
            ca_file: Some(ca_file),
            identity: shows.map(|_| (files.cert.clone(), files.key.clone())),
        };
        let tls = BackendTls::open(options).expect("good files");
        Self { files, tls }
    }

    /// Connects to a server as if it were at `host`: both ends, or why not.
    async fn connect(
        &self,
        host: &str,
        protocol: Protocol,
        acceptor: &TlsAcceptor,
    ) -> (io::Result<Stream>, io::Result<ServerStream<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let server = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            acceptor.accept(tcp).await
        };
        let client = async {
            let tcp = TcpStream::connect(address).await.expect("connected");
            self.tls.secure(host, protocol, tcp).await
        };
        tokio::join!(client, server)
    }

    /// The words for it; empty when there are none.
    async fn words(&self, host: &str, protocol: Protocol, terms: &Terms<'_>) -> String {
        let (client, _server) = self.connect(host, protocol, &terms.acceptor()).await;
        let Err(error) = client else {
            return String::new();
        };
        assert!(tls_failed(&error).is_some(), "{error:?}");
        error.to_string()
    }
}

#[tokio::test]
async fn whom_weir_trusts() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let trust = Trust::of(&authority, None);
    let named = authority.issue("model.example");
    let at_ip = authority.issue("127.0.0.1");
    let at_ip6 = authority.issue("::1");
    let foreign = other.issue("model.example");
    let old = authority.issue_between("model.example", (2020, 1, 1), (2021, 1, 1));
    let of_an_authority = Issued::of_an_authority();
    let young = authority.issue_between("model.example", (2048, 1, 1), (2049, 1, 1));
    for (host, shows, expected) in [
        ("model.example", &named, ""),
        ("model.example.", &named, ""),
        ("127.0.0.1", &at_ip, ""),
        ("[::1]", &at_ip6, ""),
        (
            "other.example",
            &named,
            "certificate is not for other.example",
        ),
        ("127.0.0.1", &named, "certificate is not for 127.0.0.1"),
        (
            "model.example",
            &foreign,
            "certificate is not signed by an authority that is trusted",
        ),
        ("model.example", &old, "certificate has expired"),
        ("model.example", &young, "certificate is not valid yet"),
        (
            "localhost",
            &of_an_authority,
            "certificate is an authority's own (CA:TRUE), which weir and others take from nobody; \
             make it with `openssl req -x509 -addext basicConstraints=CA:FALSE`, or have the \
             authority issue one, and name the authority in ca_file of [upstream.tls]",
        ),
        (
            "a..b",
            &named,
            "TLS: \"a..b\" is no name that a certificate can be for",
        ),
    ] {
        let terms = Terms::of(shows);
        let said = trust.words(host, Protocol::Http1, &terms);
        // A name that is none is not connected with, and the server waits for nothing.
        let said = tokio::time::timeout(std::time::Duration::from_secs(10), said).await;
        assert_eq!(said.expect("in time"), expected, "{host}");
    }
    let trusts_nobody = BackendTls::default();
    let nobody = Trust {
        files: trust.files,
        tls: trusts_nobody,
    };
    assert_eq!(
        nobody
            .words("model.example", Protocol::Http1, &Terms::of(&named))
            .await,
        "certificate is not signed by an authority that is trusted"
    );
}

#[tokio::test]
async fn a_server_that_wants_what_weir_does_not_show_is_understood() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let issued = authority.issue("m");
    let terms = Terms {
        versions: OLD,
        asks: Some(&authority),
        ..Terms::of(&issued)
    };
    let foreign = other.issue("weir");
    let old = authority.issue_between("weir", (2020, 1, 1), (2021, 1, 1));
    for (shows, words) in [
        (None, REJECTED),
        (Some(&foreign), REJECTED),
        (Some(&old), REJECTED_AS_EXPIRED),
    ] {
        let trust = Trust::of(&authority, shows);
        let said = trust.words("m", Protocol::Http1, &terms).await;
        assert_eq!(said, words);
    }
}

#[tokio::test]
async fn what_is_spoken_is_chosen_by_alpn() {
    let authority = Authority::new("ours");
    let trust = Trust::of(&authority, None);
    let issued = authority.issue("m");
    let refused = "TLS: received fatal alert: NoApplicationProtocol";
    let silent = "TLS: it does not choose h2 by ALPN";
    for (protocol, alpn, expected) in [
        (Protocol::Http1, &[][..], ""),
        (Protocol::Http1, &[ALPN_HTTP1][..], ""),
        (Protocol::Http1, &[ALPN_H2, ALPN_HTTP1][..], ""),
        (Protocol::Http1, &[ALPN_H2][..], refused),
        (Protocol::H2, &[ALPN_H2][..], ""),
        (Protocol::H2, &[ALPN_HTTP1, ALPN_H2][..], ""),
        (Protocol::H2, &[ALPN_HTTP1][..], refused),
        (Protocol::H2, &[][..], silent),
    ] {
        for versions in [BOTH, OLD, NEW] {
            let terms = Terms {
                alpn,
                versions,
                ..Terms::of(&issued)
            };
            let said = trust.words("m", protocol, &terms).await;
            let shown = said.replace("the handshake failed: ", "");
            assert_eq!(shown, expected, "{protocol:?} {alpn:?} {versions:?}");
        }
    }
}

#[tokio::test]
async fn what_weir_shows() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let issued = authority.issue("m");
    let (good, bad) = (authority.issue("weir"), other.issue("weir"));
    let old = authority.issue_between("weir", (2020, 1, 1), (2021, 1, 1));
    for versions in [OLD, NEW] {
        let terms = Terms {
            versions,
            asks: Some(&authority),
            ..Terms::of(&issued)
        };
        for (shows, accepted, words) in [
            (Some(&good), true, ""),
            (Some(&bad), false, REJECTED),
            (Some(&old), false, REJECTED_AS_EXPIRED),
            (None, false, REJECTED),
        ] {
            let trust = Trust::of(&authority, shows);
            let (client, server) = trust.connect("m", Protocol::Http1, &terms.acceptor()).await;
            assert_eq!(server.is_ok(), accepted, "{:?}", server.err());
            let Ok(mut client) = client else {
                assert!(!accepted && versions == OLD, "only 1.2 tells at once");
                continue;
            };
            if !accepted {
                let read = client.read(&mut [0]).await;
                let error = read.expect_err("rejected");
                assert_eq!(rejection_words(&error), Some(words), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn sessions_are_resumed_until_the_files_change() {
    let authority = Authority::new("ours");
    let trust = Trust::of(&authority, None);
    let issued = authority.issue("m");
    for versions in [OLD, NEW] {
        let terms = Terms {
            versions,
            ..Terms::of(&issued)
        };
        let acceptor = terms.acceptor();
        let kind = async || {
            let (client, server) = trust.connect("m", Protocol::Http1, &acceptor).await;
            let (mut client, mut server) = (client.expect("client"), server.expect("server"));
            // What brings the tickets.
            server.write_all(b"x").await.expect("written");
            client.read_exact(&mut [0]).await.expect("read");
            server.get_ref().1.handshake_kind()
        };
        assert_eq!(kind().await, Some(HandshakeKind::Full));
        assert_eq!(kind().await, Some(HandshakeKind::Resumed));
        let ca = trust.files.dir().join("ca.pem");
        let more = fs::read_to_string(&ca).expect("read") + &Authority::new("more").pem();
        fs::write(&ca, more).expect("written");
        assert_eq!(trust.tls.look(), Look::Taken);
        assert_eq!(kind().await, Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn changed_files_count_for_new_connections_and_broken_ones_change_nothing() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let shown = authority.issue("weir");
    let trust = Trust::of(&authority, Some(&shown));
    let (ours, theirs) = (authority.issue("m"), other.issue("m"));
    let check = async |trusts_ours: bool| {
        let said = trust.words("m", Protocol::Http1, &Terms::of(&ours)).await;
        assert_eq!(said.is_empty(), trusts_ours, "{said}");
        let said = trust.words("m", Protocol::Http1, &Terms::of(&theirs)).await;
        assert_eq!(said.is_empty(), !trusts_ours, "{said}");
    };
    let ca = trust.files.dir().join("ca.pem");
    check(true).await;
    assert_eq!(trust.tls.look(), Look::Same);
    fs::write(&ca, "half of a certifi").expect("written");
    assert_eq!(trust.tls.look(), Look::Refused);
    assert_eq!(trust.tls.look(), Look::StillWrong, "told once");
    check(true).await;
    fs::remove_file(&ca).expect("removed");
    assert_eq!(trust.tls.look(), Look::Refused);
    fs::write(&ca, other.pem()).expect("written");
    // A key that fits to nothing.
    write_private(&trust.files.key, &ours.key_pem());
    assert_eq!(trust.tls.look(), Look::Refused);
    check(true).await;
    write_private(&trust.files.key, &shown.key_pem());
    assert_eq!(trust.tls.look(), Look::Taken);
    check(false).await;
}

#[test]
fn all_that_is_wrong_with_the_files_is_said() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.issue("weir"));
    let missing = files.dir().join("nowhere.pem");
    let open = |identity| {
        BackendTls::open(BackendTlsOptions {
            system_roots: false,
            ca_file: Some(missing.clone()),
            identity: Some(identity),
        })
    };
    let mistakes = open((missing.clone(), files.key.clone())).expect_err("missing");
    let which: Vec<_> = mistakes.iter().map(|mistake| mistake.which).collect();
    assert_eq!(which, [Which::Authorities, Which::Certificate]);
}

/// What the library sends on its own account does not end a kept connection; all else does.
#[tokio::test]
async fn a_kept_connection_is_quiet_until_it_brings_something() {
    let authority = Authority::new("ours");
    let trust = Trust::of(&authority, None);
    let issued = authority.issue("m");
    for versions in [OLD, NEW] {
        let is_new = versions == NEW;
        for ends in ["data", "close_notify", "nothing"] {
            let terms = Terms {
                versions,
                ..Terms::of(&issued)
            };
            let (client, server) = trust.connect("m", Protocol::Http1, &terms.acceptor()).await;
            let (mut client, mut server) = (client.expect("client"), server.expect("server"));
            let before = client.tcp().local_addr().expect("open");
            if is_new {
                // The two tickets are there already: the server sent them with its handshake.
                client.tcp().readable().await.expect("tickets");
                assert!(client.is_quiet(), "tickets");
                let session = server.get_mut().1;
                session.refresh_traffic_keys().expect("1.3");
                server.flush().await.expect("sent");
                client.tcp().readable().await.expect("a key update");
            }
            assert!(client.is_quiet(), "{ends}");
            // And it still works in both directions, the answer to the update included.
            client.write_all(b"ping").await.expect("written");
            client.flush().await.expect("flushed");
            server.read_exact(&mut [0; 4]).await.expect("read");
            assert!(client.is_quiet(), "{ends}");
            match ends {
                "data" => server.write_all(b"x").await.expect("written"),
                "close_notify" => server.shutdown().await.expect("ended"),
                _ => {
                    let (tcp, _) = server.get_mut();
                    tcp.shutdown().await.expect("ended");
                }
            }
            client.tcp().readable().await.expect("something");
            assert!(!client.is_quiet(), "{ends}");
            assert_eq!(client.tcp().local_addr().expect("open"), before);
        }
    }
}

/// The end of what can be read is told from its being cut off.
#[tokio::test]
async fn an_end_without_close_notify_is_an_error() {
    let authority = Authority::new("ours");
    let trust = Trust::of(&authority, None);
    let issued = authority.issue("m");
    for orderly in [true, false] {
        let acceptor = Terms::of(&issued).acceptor();
        let (client, server) = trust.connect("m", Protocol::Http1, &acceptor).await;
        let (mut client, mut server) = (client.expect("client"), server.expect("server"));
        server.write_all(b"some").await.expect("written");
        match orderly {
            true => server.shutdown().await.expect("ended"),
            false => server.get_mut().0.shutdown().await.expect("ended"),
        }
        let mut read = Vec::new();
        let end = client.read_to_end(&mut read).await;
        assert_eq!((&read[..], end.is_ok()), (&b"some"[..], orderly));
    }
}

/// What the socket does not take is known, and goes out with a flush.
#[tokio::test]
async fn what_is_kept_back_is_flushed() {
    let authority = Authority::new("ours");
    let trust = Trust::of(&authority, None);
    let issued = authority.issue("m");
    let acceptor = Terms::of(&issued).acceptor();
    let (client, server) = trust.connect("m", Protocol::Http1, &acceptor).await;
    let (mut client, mut server) = (client.expect("client"), server.expect("server"));
    assert!(!client.needs_flush());
    let piece = vec![7; 64 << 10];
    let mut written = 0;
    while !client.needs_flush() {
        match client.try_write(&piece) {
            Ok(count) => written += count,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        // The runtime has to see that the socket takes more.
        tokio::task::yield_now().await;
    }
    let (done, all_read) = oneshot::channel();
    task::spawn("reading", async move {
        let mut read = vec![0; written];
        server.read_exact(&mut read).await.expect("all of it");
        let _ = done.send((read.iter().all(|&byte| byte == 7), server));
    });
    client.flush().await.expect("flushed");
    assert!(!client.needs_flush());
    let (is_right, mut server) = all_read.await.expect("read");
    assert!(is_right);
    client.say_end();
    assert_eq!(server.read(&mut [0]).await.expect("close_notify"), 0);
}
