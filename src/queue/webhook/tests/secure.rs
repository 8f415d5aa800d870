//! Receivers behind TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};

use super::{
    receiver::{Does, OK, Receiver},
    *,
};

/// An authority's certificate in PEM, and what a server with a certificate of it speaks.
fn authority(names: &[&str]) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(vec![]).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, issuer).expect("an authority");
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names");
    let leaf = params.signed_by(&key, &issuer).expect("a certificate");
    let chain = vec![leaf.der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a certificate");
    (pem(issuer.der()), TlsAcceptor::from(Arc::new(config)))
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// The attempt that was made at `url`, with this file of authorities.
async fn attempt(bench: &Bench, number: u64, url: &str, ca_file: Option<PathBuf>) -> Attempt {
    let options = WebhookOptions {
        pauses_ms: vec![],
        ca_file,
        ..quick()
    };
    let id = bench.complete(number, url).await;
    let _running = bench.run_with(options, lenient());
    bench.until_done(id).await.attempts.remove(0)
}

#[tokio::test]
async fn a_certificate_is_asked_for_and_judged() {
    let bench = Bench::new();
    let (root, tls) = authority(&["localhost", "127.0.0.1"]);
    let (_, other) = authority(&["localhost", "127.0.0.1"]);
    let (wrong_root, wrong) = authority(&["other.example"]);
    let file = bench.directory.path().join("ca.pem");
    std::fs::write(&file, format!("{root}{wrong_root}")).expect("written");
    let mut trusted = Receiver::over(&[OK], Some(tls)).await;
    let untrusted = Receiver::over(&[OK], Some(other)).await;
    let misnamed = Receiver::over(&[OK], Some(wrong)).await;
    let plain = Receiver::new(&[Does::Slams]).await;
    let url = |receiver: &Receiver, host: &str| {
        format!("https://{host}:{}/hook", receiver.address.port())
    };
    for (number, (receiver, host, ca_file, well)) in [
        (&trusted, "localhost", Some(&file), true),
        (&trusted, "127.0.0.1", Some(&file), true),
        (&trusted, "localhost", None, false),
        (&untrusted, "localhost", Some(&file), false),
        (&misnamed, "localhost", Some(&file), false),
        (&plain, "localhost", Some(&file), false),
    ]
    .into_iter()
    .enumerate()
    {
        let url = url(receiver, host);
        let made = attempt(&bench, number as u64 + 1, &url, ca_file.cloned()).await;
        assert_eq!(made.status, well.then_some(204), "{number}: {made:?}");
        if !well {
            let error = made.error.as_deref().unwrap_or_default();
            assert!(error.starts_with("TLS: "), "{number}: {error}");
        }
    }
    for _ in 0..2 {
        bench.verified(&trusted.next().await, 2, GENERATION);
    }
    assert_eq!(trusted.further(), 0);
}

#[test]
fn a_file_without_authorities_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    for content in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&file, content).expect("written");
        assert!(crate::hook::connector(Some(&file)).is_err(), "{content}");
    }
    std::fs::remove_file(&file).expect("removed");
    assert!(crate::hook::connector(Some(&file)).is_err());
    assert!(crate::hook::connector(None).is_ok());
}
