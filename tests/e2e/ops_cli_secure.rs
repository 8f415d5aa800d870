//! The admin token goes to the gateway that it is for, over TLS where that is asked for, and nowhere
//! else.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

use crate::support::{Backend, Cli, Gateway, gateway::ADMIN_TOKEN};

/// Something with a certificate in front of a gateway.
struct Front {
    addr: SocketAddr,
    /// Who signed it, in PEM.
    authority: String,
}

impl Front {
    /// Known by these names.
    fn of(gateway: &Gateway, names: &[&str]) -> Self {
        let authority = {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let leaf = params.signed_by(&key, &authority).unwrap();
        let secret = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf)], secret)
            .unwrap();
        let (config, behind) = (Arc::new(config), gateway.admin_addr());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || forward(config, socket, behind));
            }
        });
        Self {
            addr,
            authority: pem(authority.der()),
        }
    }
}

/// A certificate as files have it.
fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|l| str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// Carries bytes to and fro until either side ends.
fn forward(config: Arc<ServerConfig>, socket: TcpStream, behind: SocketAddr) {
    let mut plain = TcpStream::connect(behind).unwrap();
    for end in [&socket, &plain] {
        end.set_read_timeout(Some(Duration::from_millis(2)))
            .unwrap();
    }
    let mut secure = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    while carry(&mut secure, &mut plain) && carry(&mut plain, &mut secure) {}
}

/// Whether it may go on.
fn carry(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut piece = [0_u8; 16 << 10];
    match from.read(&mut piece) {
        Ok(0) => false,
        Ok(n) => to.write_all(&piece[..n]).and_then(|()| to.flush()).is_ok(),
        Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn https_is_spoken_and_its_certificate_is_checked() {
    let gateway = Gateway::bare().start();
    let front = Front::of(&gateway, &["127.0.0.1", "localhost"]);
    let url = format!("https://{}", front.addr);
    let cli = Cli::lost().env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN);
    let ca = cli.file("ca.pem", &front.authority);
    let version = env!("CARGO_PKG_VERSION");
    let with_flag = format!("--admin-url {url} --ca-file {} status", ca.display());
    assert!(cli.ok(&with_flag).contains(version));
    let env = cli.clone().env("WEIR_CA_FILE", ca.to_str().unwrap());
    assert!(
        env.ok(&format!("--admin-url {url} status"))
            .contains(version)
    );
    let by_name = format!("--admin-url https://localhost:{} status", front.addr.port());
    assert!(env.ok(&by_name).contains(version));

    let stranger = cli.run(&format!("--admin-url {url} status"));
    let untrusted = "is not signed by an authority that is trusted\nhint: --ca-file";
    stranger.said(3, &["weir: ", &url, untrusted]);
    let other = Front::of(&gateway, &["elsewhere.test"]);
    let ca = cli.file("other.pem", &other.authority);
    let url = format!("https://{}", other.addr);
    let misnamed = cli.run(&format!(
        "--admin-url {url} --ca-file {} status",
        ca.display()
    ));
    misnamed.said(3, &["is not for 127.0.0.1\nhint: --admin-url"]);
    for (name, text) in [("empty.pem", ""), ("odd.pem", "not a certificate")] {
        let file = cli.file(name, text);
        let ran = cli.run(&format!(
            "--admin-url {url} --ca-file {} status",
            file.display()
        ));
        ran.said(2, &["--ca-file: ", name, "holds no certificate in PEM"]);
    }
    let ran = cli.run(&format!("--admin-url {url} --ca-file nowhere.pem status"));
    assert!(ran.code != 0 && ran.err.contains("nowhere.pem"), "{ran}");
    // Clear text where TLS is spoken, and the other way round.
    let plain = cli.run(&format!("--admin-url http://{} status", front.addr));
    let advice = format!("if it speaks TLS, use https://{}", front.addr);
    plain.said(3, &[&advice]);
    let addr = gateway.admin_addr();
    let secure = env.run(&format!("--admin-url https://{addr} status"));
    let advice = format!("it does not speak TLS\nhint: use http://{addr}");
    secure.said(3, &[&advice]);
}

#[test]
fn a_token_is_shown_to_nobody_else() {
    let gateway = Gateway::bare().start();
    let stranger = Backend::says("{}");
    let cli = Cli::lost();
    let url = gateway.admin_url();
    cli.ok(&format!(
        "context add mine --admin-url {url} --token {ADMIN_TOKEN}"
    ));
    cli.ok("context use mine");
    let elsewhere = stranger.url();
    let ran = cli.run(&format!("--admin-url {elsewhere} status"));
    assert_ne!(ran.code, 0, "{ran}");
    cli.clone().env("WEIR_ADMIN_URL", &elsewhere).run("status");
    let leaked = stranger
        .received()
        .iter()
        .any(|r| String::from_utf8_lossy(&r.head.raw).contains(ADMIN_TOKEN));
    assert!(!leaked, "the token of one gateway went to another");

    // Nor where an answer points.
    for status in [301, 302, 307, 308] {
        let there = format!("{elsewhere}/api/v1/status");
        let sly = Backend::start(move |conn, head| {
            conn.body(head);
            conn.answer(status, &[("location", &there)], b"")
        });
        let before = stranger.count();
        let ran = cli.run(&format!(
            "--admin-url {} --token {ADMIN_TOKEN} status",
            sly.url()
        ));
        assert_ne!(ran.code, 0, "{status}: {ran}");
        assert_eq!(stranger.count(), before, "{status} was followed");
    }
}

#[test]
fn proxies_of_the_environment_do_not_get_the_token_of_a_gateway_here() {
    let gateway = Gateway::bare().start();
    let proxy = Backend::says("{}");
    let mut cli = gateway.cli();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        cli = cli.env(name, &proxy.url());
    }
    cli = cli
        .env("no_proxy", "127.0.0.1,localhost")
        .env("NO_PROXY", "127.0.0.1,localhost");
    assert!(cli.ok("status").contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(proxy.count(), 0);
}
