//! The admin listener under TLS, the command line towards it, and settings that name files which can't
//! be used.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use crate::support::{
    Backend, Cli, Ended, Gateway, RawClient,
    gateway::{ADMIN_TOKEN, Builder, command},
    iris,
    metrics::Metrics,
    tls::Pki,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn cli(gateway: &Gateway, pki: &Pki) -> Cli {
    let url = gateway.ready["admin_url"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    Cli::lost()
        .env("WEIR_ADMIN_URL", url)
        .env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("WEIR_CA_FILE", pki.path("ca.pem").to_str().unwrap())
}

fn metrics(client: &mut RawClient) -> Metrics {
    let answer = client.call("GET /metrics", &[("host", "127.0.0.1")], b"");
    assert_eq!((answer.status, &answer.ended), (200, &Ended::Clean));
    Metrics::parse(&answer.text())
}

fn start(builder: Builder, pki: &Pki) -> Gateway {
    pki.on("ADMIN", builder).start()
}

#[test]
fn commands_and_scrapes_come_over_tls() {
    let backend = Backend::echo();
    let pki = Pki::new();
    let gateway = start(Gateway::with(iris(&backend)), &pki);
    let cli = cli(&gateway, &pki);
    assert!(cli.ok("status").contains(VERSION));
    assert!(cli.ok("deployment list").contains("iris"));
    // The data plane has no TLS here, and says so.
    let shown = cli.json("deployment info demo/iris");
    let data = gateway.ready["data_url"].as_str().unwrap();
    assert!(shown.to_string().contains(data), "{shown}");
    // Without the authority there is no word sent.
    let lost = Cli::lost().env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN);
    let url = gateway.ready["admin_url"].as_str().unwrap();
    let stranger = lost.run(&format!("--admin-url {url} status"));
    stranger.said(3, &["certificate", "--ca-file"]);

    let mut client = RawClient::secure(gateway.admin_addr(), &pki.client());
    let seen = metrics(&mut client);
    let ok = [("listener", "admin"), ("result", "ok")];
    assert!(seen.sum("weir_tls_handshakes_total", &ok) >= 3.0);
    let failed = [("listener", "admin"), ("result", "failed")];
    assert_eq!(seen.sum("weir_tls_handshakes_total", &failed), 1.0);
    let until = seen.sum("weir_tls_certificate_expiry_seconds", &[("use", "admin")]);
    assert!(until > 2_000_000_000.0);

    let plain = gateway.admin("GET /metrics");
    assert_eq!(plain.status, 400);
    assert!(plain.text().contains("https://"), "{}", plain.text());
    let addr = gateway.admin_addr();
    let advice = format!("hint: this port speaks TLS: use https://{addr}");
    let says = "it says: This port speaks TLS";
    let lost = Cli::lost().env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN);
    lost.run(&format!("--admin-url http://{addr} status"))
        .said(1, &[says, &advice]);
}

#[test]
fn a_console_of_its_own_origin_may_change_things() {
    let pki = Pki::new();
    let gateway = start(Gateway::bare(), &pki);
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let host = gateway.admin_addr().to_string();
    let call = |origin: &str| {
        let mut client = RawClient::secure(gateway.admin_addr(), &pki.client());
        let headers = [
            ("host", host.as_str()),
            ("authorization", &auth),
            ("origin", origin),
            ("content-type", "application/json"),
        ];
        client.call("POST /api/v1/projects", &headers, b"{}").status
    };
    assert_eq!(call(&format!("https://{host}")), 422);
    assert_eq!(call("https://evil.example"), 403);
}

#[test]
fn a_handshake_that_stalls_holds_up_no_command() {
    let pki = Pki::new();
    let builder = Gateway::bare().env("WEIR_ADMIN_TLS_HANDSHAKE_TIMEOUT_MS", 500);
    let gateway = start(builder, &pki);
    let mut stalled: Vec<_> = (0..20)
        .map(|_| RawClient::connect(gateway.admin_addr()))
        .collect();
    assert!(cli(&gateway, &pki).ok("status").contains(VERSION));
    for client in &mut stalled {
        assert!(client.closed_within(crate::support::PATIENCE));
    }
    let mut client = RawClient::secure(gateway.admin_addr(), &pki.client());
    let timeouts = [("listener", "admin"), ("result", "timeout")];
    let seen = metrics(&mut client);
    assert_eq!(seen.sum("weir_tls_handshakes_total", &timeouts), 20.0);
}

#[test]
fn operators_show_certificates_where_they_are_asked() {
    let pki = Pki::new();
    let ca = pki.path("ca.pem").display().to_string();
    let builder = Gateway::bare()
        .env("WEIR_ADMIN_TLS_CLIENT_AUTH", "required")
        .env("WEIR_ADMIN_TLS_CLIENT_CA_FILE", &ca);
    let gateway = start(builder, &pki);
    let cli = cli(&gateway, &pki);
    cli.run("status").said(
        3,
        &["it asks for a certificate", "--cert-file and --key-file"],
    );
    let shown = pki.issue();
    let (cert, key) = (
        cli.file("own.pem", &shown.cert),
        cli.file("own.key", &shown.key),
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let pair = format!(
        "--cert-file {} --key-file {}",
        cert.display(),
        key.display()
    );
    assert!(cli.ok(&format!("{pair} status")).contains(VERSION));
    let env = cli
        .clone()
        .env("WEIR_CERT_FILE", cert.to_str().unwrap())
        .env("WEIR_KEY_FILE", key.to_str().unwrap());
    assert!(env.ok("status").contains(VERSION));
    let url = gateway.ready["admin_url"].as_str().unwrap();
    let add =
        format!("context add here --admin-url {url} --token {ADMIN_TOKEN} --ca-file {ca} {pair}");
    let home = Cli::lost();
    home.ok(&add);
    assert!(home.ok("status").contains(VERSION));
    let half = format!("--cert-file {} status", cert.display());
    cli.run(&half).said(2, &["key"]);
    let mixed = format!("--cert-file {ca} --key-file {} status", key.display());
    cli.run(&mixed).said(2, &["own.key"]);
    let (cert, key) = (cert.display(), key.display());
    let swapped = format!("--cert-file {key} --key-file {cert} status");
    cli.run(&swapped).said(
        2,
        &["own.key: holds a private key", "own.pem a certificate"],
    );
    let strangers = Pki::new();
    let (cert, key) = (strangers.path("cert.pem"), strangers.path("key.pem"));
    let (cert, key) = (cert.display(), key.display());
    let foreign = format!("--cert-file {cert} --key-file {key} status");
    cli.run(&foreign)
        .said(3, &["does not accept the certificate", "client_ca_file"]);
}

#[test]
fn a_certificate_that_has_expired_is_shown_and_spoken_of() {
    let pki = Pki::new();
    pki.write(&pki.issue_until(2_020));
    let gateway = start(Gateway::bare(), &pki);
    assert!(gateway.log().contains("the TLS certificate has expired"));
    cli(&gateway, &pki)
        .run("status")
        .said(3, &["certificate", "xpired"]);
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let pki = Pki::new();
    let (cert, key) = (pki.path("cert.pem"), pki.path("key.pem"));
    let other = pki.path("other.pem");
    fs::write(&other, pki.issue().key).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let said = |args: &[&str], env: &[(&str, &str)]| {
        let ran = command()
            .args(args)
            .current_dir(home.path())
            .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
            .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert!(!ran.status.success());
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(!said.contains("PRIVATE KEY"), "{said}");
        said
    };
    let at = |key: &str| {
        format!(
            "[data.tls]\ncert_file = '{}'\nkey_file = '{key}'\n",
            cert.display()
        )
    };
    let file = home.path().join("weir.toml");
    fs::write(&file, at(key.to_str().unwrap())).unwrap();
    for mode in [0o644, 0o604, 0o602, 0o660] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        for args in [
            &["serve", "--config", "weir.toml"][..],
            &["check", "--config", "weir.toml"],
        ] {
            let said = said(args, &[]);
            let words = format!("run: chmod 600 {}", key.display());
            assert!(
                said.contains("weir.toml:3:12: /data/tls/key_file: "),
                "{said}"
            );
            assert!(said.contains(&words), "{said}");
        }
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&file, at("/nowhere/key.pem")).unwrap();
    let admin = [
        ("WEIR_ADMIN_TLS_CERT_FILE", cert.to_str().unwrap()),
        ("WEIR_ADMIN_TLS_KEY_FILE", other.to_str().unwrap()),
    ];
    let said = said(&["serve", "--config", "weir.toml"], &admin);
    for words in [
        "/data/tls/key_file: /nowhere/key.pem: there is no such file",
        "WEIR_ADMIN_TLS_KEY_FILE: /admin/tls/key_file: ",
        "is not the key of the first certificate in",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}
