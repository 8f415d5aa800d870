//! The words of a command that a gateway behind TLS lets down, after real handshakes.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use super::*;
use crate::{
    cli::remote::{client::Client, tls::TlsFiles},
    net::tls::{
        provider,
        testing::{Authority, Files, Issued},
    },
};

/// A server that asks for certificates of this authority, if there is one, and answers nobody.
struct Server {
    url: String,
    shows: Files,
    ca_file: PathBuf,
    ended: JoinHandle<()>,
}

impl Server {
    fn of(
        authority: &Authority,
        shows: &Issued,
        asks: bool,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes());
        let mut roots = RootCertStore::empty();
        roots.add(root.expect("a certificate")).expect("trusted");
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("versions");
        let builder = if asks {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(shows.key_pem().as_bytes()).expect("a key");
        let config = builder.with_single_cert(vec![shows.der().into()], key);
        let config = Arc::new(config.expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let ended = thread::spawn(move || {
            let (tcp, _) = listener.accept().expect("a connection");
            let connection = ServerConnection::new(config).expect("a connection");
            let mut stream = StreamOwned::new(connection, tcp);
            let refused = stream.read(&mut [0; 4_096]);
            // What the client still sends is read, or its end would be a reset that cuts off the alert.
            if refused.is_err() {
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                let _ = stream.sock.read_to_end(&mut Vec::new());
            }
        });
        let files = Files::of(shows);
        let ca_file = files.dir().join("ca.pem");
        fs::write(&ca_file, authority.pem()).expect("written");
        Self {
            url: format!("https://localhost:{port}"),
            shows: files,
            ca_file,
            ended,
        }
    }

    /// What a command says that shows this: its words and its hint.
    fn said(self, shows: Option<&Files>) -> String {
        let files = TlsFiles {
            ca_file: Some(self.ca_file.clone()),
            cert_file: shows.map(|files| files.cert.clone()),
            key_file: shows.map(|files| files.key.clone()),
        };
        let client = Client::new(&self.url, "wt_x", &files).expect("a client");
        let failure = client.get("/x").expect_err("no answer");
        assert_eq!(failure.code(), Some(Code::Unreachable));
        drop(client);
        self.ended.join().expect("ended");
        drop(self.shows);
        format!("{failure:?}")
    }
}

#[test]
fn an_authority_s_own_is_told_from_one_that_is_not_trusted() {
    let authority = Authority::new("ours");
    let own = Issued::of_an_authority();
    let foreign = Authority::new("theirs").issue("localhost");
    let said = Server::of(&authority, &own, false, &TLS13).said(None);
    for words in [
        "its certificate is an authority's own (CA:TRUE), which weir and others take from nobody",
        "[admin.tls] cert_file names it; make it with `openssl req -x509 -addext basicConstraints=CA:FALSE`",
        "and name the authority with --ca-file (WEIR_CA_FILE)",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let said = Server::of(&authority, &foreign, false, &TLS13).said(None);
    assert!(said.contains("is not signed by an authority that is trusted"));
    assert!(!said.contains("CA:"), "{said}");
}

#[test]
fn who_is_cut_off_hears_what_may_be_wrong_with_what_was_shown() {
    let hint = |concern| {
        let reset = ureq::Error::Io(ErrorKind::ConnectionReset.into());
        format!(
            "{:?}",
            unreached("https://weir", &reset, Between::Nothing, concern)
        )
    };
    let expired = "the certificate in c.pem has expired";
    let told = format!("if it asks for a certificate: {expired}; {ANOTHER_GOOD}");
    assert!(hint(Some(expired)).contains(&told));
    assert!(hint(None).contains("is it running?"));
}

#[test]
fn who_is_refused_with_a_certificate_that_can_not_be_good_is_told_so() {
    let authority = Authority::new("ours");
    let issued = authority.issue("localhost");
    let days = ((2019, 1, 1), (2020, 1, 1));
    let expired = Files::of(&authority.issue_between("operator", days.0, days.1));
    let own = Files::of(&Issued::of_an_authority());
    let foreign = Files::of(&Authority::new("theirs").issue("operator"));
    for version in [&TLS12, &TLS13] {
        for (shows, concern) in [
            (Some(&expired), "has expired; --cert-file and --key-file"),
            (Some(&own), "is an authority's own (CA:TRUE), "),
            (Some(&foreign), ""),
            (None, ""),
        ] {
            let said = Server::of(&authority, &issued, true, version).said(shows);
            let cert = shows.map(|files| files.cert.display().to_string());
            let cert = cert.unwrap_or_default();
            if concern.is_empty() {
                assert!(!said.contains("the certificate in "), "{said}");
                assert!(said.contains("--cert-file and --key-file"), "{said}");
            } else {
                let hint = format!("the certificate in {cert} {concern}");
                assert!(said.contains(&hint), "{version:?}: {said}");
            }
        }
    }
}
