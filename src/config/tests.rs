use std::{fs, path::Path};

use super::{
    LogLevel, Settings, Token,
    load::{override_all, variables},
    sections::settings,
};
use crate::{
    net::tls::testing::{Authority, Files},
    spec::{Node, read},
};

const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<(Settings, Vec<String>), String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("written");
    let environment = environment.iter();
    let environment = environment.map(|(name, text)| ((*name).into(), (*text).into()));
    Settings::load(Some(file.path()), environment).map_err(|error| {
        let shown = error.to_string();
        shown.replace(&file.path().display().to_string(), "weir.toml")
    })
}

/// A certificate with its key.
fn tls_files() -> Files {
    Files::of(&Authority::new("test").issue("localhost"))
}

/// Every path to a value in a tree of tables.
fn paths(value: &serde_json::Value) -> Vec<String> {
    let Some(members) = value.as_object() else {
        return vec![String::new()];
    };
    let below = |(key, value)| {
        let below = paths(value);
        below.into_iter().map(move |path| format!("/{key}{path}"))
    };
    members.iter().flat_map(below).collect()
}

#[test]
fn the_reference_file_shows_every_key_with_its_default() {
    let text = include_str!("../../config/weir.toml");
    let (settings, warnings) = load(text, &[]).expect("good");
    assert_eq!((settings, warnings), (Settings::default(), vec![]));

    let shown: serde_json::Value = toml::from_str(text).expect("TOML");
    let known = serde_json::json!(Settings::default());
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(paths(&shown)), sorted(paths(&known)));
    // What is written there is the default, too, and not something that is read as it.
    for path in paths(&known) {
        assert_eq!(shown.pointer(&path), known.pointer(&path), "{path}");
    }
    assert_eq!(
        variables().len(),
        paths(&known).len(),
        "a variable for each key"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let (settings, warnings) = load(
        "workers = 3\n[data]\nlisten = '127.0.0.1:1'\nstreams_max = 7",
        &[
            ("WEIR_DATA_LISTEN", "[::1]:0"),
            ("WEIR_DATA_DIR", "/var/lib/weir"),
            ("WEIR_WORKERS", "2"),
            ("WEIR_ADMIN_TOKEN", "hunter2hunter2"),
            ("WEIR_LOG_ACCESS", "true"),
            ("WEIR_LOG_LEVEL", "warn"),
            ("WEIR_EJECTION_SUCCESS_RATE_MARGIN", "0.5"),
            ("WEIR_DATA_LISTN", "x"),
            ("WEIR_ADMIN_URL", "http://127.0.0.1:8081"),
            ("WEIR_CONTEXTS_FILE", "/home/ann/contexts.toml"),
            ("WEIR_", "x"),
            ("PATH", "/bin"),
        ],
    )
    .expect("good");
    let mut expected = Settings::default();
    expected.data.listen = "[::1]:0".parse().expect("an address");
    expected.data.streams_max = 7;
    expected.data_dir = "/var/lib/weir".into();
    expected.workers = 2;
    expected.admin.token = Token::parse("hunter2hunter2").expect("a token");
    expected.log.access = true;
    expected.log.level = LogLevel::Warn;
    expected.ejection.success_rate_margin = 0.5;
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "WEIR_ is not a setting",
            "WEIR_DATA_LISTN is not a setting; did you mean WEIR_DATA_LISTEN?",
        ]
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn every_setting_can_be_set_from_the_environment_alone() {
    let defaults = serde_json::json!(Settings::default());
    let files = tls_files();
    let file = |name: &str| files.dir().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let shown = serde_json::json!([cert, key]);
    let (shown_cert, shown_key) = (shown[0].to_string(), shown[1].to_string());
    for (name, path) in variables() {
        let pointer = format!("/{}", path.join("/"));
        let (text, shown) = match (pointer.as_str(), defaults.pointer(&pointer)) {
            ("/data/listen" | "/admin/listen", _) => ("[::]:1", "\"[::]:1\""),
            ("/data/public_url", _) => ("https://a.b/", "\"https://a.b\""),
            ("/log/format", _) => ("json", "\"json\""),
            ("/log/level", _) => ("off", "\"off\""),
            ("/log/access" | "/keys/reveal", _) => ("true", "true"),
            ("/keys/sealing_key", _) => (SEALING_KEY, "\"***\""),
            ("/admin/hosts", _) => ("A.b, [::1],", "[\"a.b\", \"::1\"]"),
            ("/admin/origins", _) => ("http://a", "[\"http://a\"]"),
            ("/admin/body_bytes_max", _) => ("8192", "8192"),
            (pointer, _) if pointer.ends_with("_networks") => {
                ("10.0.0.0/8,::1", "[\"10.0.0.0/8\", \"::1/128\"]")
            }
            ("/admin/token" | "/metrics/token", _) => ("t", "\"***\""),
            ("/data_dir", _) => ("d", "\"d\""),
            ("/ejection/success_rate_margin", _) => ("1", "1.0"),
            (pointer, _) if pointer.ends_with("head_bytes_max") => ("8192", "8192"),
            ("/queue/lease_ms", _) => ("100", "100"),
            ("/logs/bytes_max", _) => ("1048576", "1048576"),
            ("/queue/retry_max_ms", _) => ("1001", "1001"),
            ("/queue/concurrency_floor", _) => ("5", "5"),
            (pointer, _) if pointer.ends_with("/cert_file") => (&*cert, &*shown_cert),
            (pointer, _) if pointer.ends_with("/key_file") => (&*key, &*shown_key),
            (pointer, _) if pointer.ends_with("/client_ca_file") => (&*cert, &*shown_cert),
            ("/upstream/tls/ca_file", _) => (&*cert, &*shown_cert),
            ("/upstream/tls/system_roots", _) => ("false", "false"),
            (pointer, _) if pointer.ends_with("/client_auth") => ("optional", "\"optional\""),
            (pointer, _) if pointer.ends_with("/min_version") => ("1.3", "\"1.3\""),
            ("/webhook/ca_file" | "/smtp/ca_file" | "/smtp/username", _) => ("d", "\"d\""),
            ("/smtp/host", _) => ("h.example", "\"h.example\""),
            ("/smtp/from", _) => ("a@b.example", "\"a@b.example\""),
            ("/smtp/tls", _) => ("tls", "\"tls\""),
            ("/smtp/password", _) => ("p w", "\"***\""),
            ("/monitoring/disk_bytes_max", _) => ("8388608", "8388608"),
            ("/comparison/disk_bytes_max", _) => ("16777216", "16777216"),
            ("/ejection/base_ms", _) => ("11", "11"),
            ("/ejection/max_ms", _) => ("10001", "10001"),
            _ => ("9", "9"),
        };
        let mut environment = vec![(name.clone(), text.to_owned())];
        let mut expected = defaults.clone();
        if pointer == "/keys/reveal" {
            // These need another.
            environment.push(("WEIR_KEYS_SEALING_KEY".into(), SEALING_KEY.into()));
            expected["keys"]["sealing_key"] = "***".into();
        }
        if let Some(section) = pointer.strip_suffix("/tls/client_ca_file") {
            let name = format!("WEIR{section}/TLS/CLIENT_AUTH");
            environment.push((name.replace('/', "_").to_uppercase(), "required".into()));
            *expected
                .pointer_mut(&format!("{section}/tls/client_auth"))
                .expect("known") = "required".into();
        }
        if let Some(section) = pointer.strip_suffix("/tls/client_auth") {
            let name = format!("WEIR{section}/TLS/CLIENT_CA_FILE");
            environment.push((name.replace('/', "_").to_uppercase(), cert.clone()));
            *expected
                .pointer_mut(&format!("{section}/tls/client_ca_file"))
                .expect("known") = cert.as_str().into();
        }
        if pointer == "/upstream/tls/system_roots" {
            environment.push(("WEIR_UPSTREAM_TLS_CA_FILE".into(), cert.clone()));
            expected["upstream"]["tls"]["ca_file"] = cert.as_str().into();
        }
        if let Some((section, file)) = pointer.split_once("/tls/")
            && (file.ends_with("_file") || file == "client_auth")
        {
            for (other, value) in [("cert_file", &cert), ("key_file", &key)] {
                let at = format!("{section}/tls/{other}");
                let name = format!("WEIR{}", at.replace('/', "_").to_uppercase());
                environment.push((name, value.clone()));
                *expected.pointer_mut(&at).expect("known") = value.as_str().into();
            }
        }
        if pointer == "/smtp/host" {
            environment.push(("WEIR_SMTP_FROM".into(), "a@b.example".into()));
            expected["smtp"]["from"] = "a@b.example".into();
        }
        if pointer == "/smtp/password" {
            environment.push(("WEIR_SMTP_USERNAME".into(), "d".into()));
            expected["smtp"]["username"] = "d".into();
        }
        let (settings, _) = Settings::load(None, environment.into_iter())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        *expected.pointer_mut(&pointer).expect("known") =
            serde_json::from_str(shown).expect("JSON");
        assert_eq!(serde_json::json!(settings), expected, "{name}");
    }
}

#[test]
fn every_mistake_is_said_at_once() {
    let shown = load(
            "worker = 1\n[data]\nlisten = 'localhost:8080'\nhead_bytes_max = 10\n[log]\nlevel = 'loud'\n\
             [upstream]\nwarm_min = 9\nidle_max = 8\n[ejection]\nmax_ms = 1\n[admin]\ntoken = 'hunter2 hunter2'",
            &[
                ("WEIR_WORKERS", "many"),
                ("WEIR_DATA_STREAMS_MAX", "0"),
                ("WEIR_LOG_ACCESS", "yes"),
                ("WEIR_METRICS_TOKEN", "hunter2\n"),
            ],
        )
        .expect_err("bad");
    let expected = "\
weir.toml:1:1: /worker: is not known; did you mean \"workers\"?
weir.toml:3:10: /data/listen: \"localhost:8080\" is not an address and a port such as 127.0.0.1:8080 or [::]:8080
weir.toml:4:18: /data/head_bytes_max: must be from 8192 to 1048576
weir.toml:6:9: /log/level: \"loud\" is none of off, error, warn, info, debug, trace
weir.toml:8:12: /upstream/warm_min: must not be above idle_max
weir.toml:10:1: /ejection/base_ms: must not be above max_ms
weir.toml:13:9: /admin/token: a token is up to 512 visible ASCII characters
WEIR_WORKERS: /workers: \"many\" is not a whole number from 0 to 256
WEIR_DATA_STREAMS_MAX: /data/streams_max: must be from 1 to 10000
WEIR_METRICS_TOKEN: /metrics/token: a token is up to 512 visible ASCII characters
WEIR_LOG_ACCESS: /log/access: \"yes\" is not true or false";
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&shown), sorted(expected), "\n{shown}");
}

#[test]
fn what_else_can_be_wrong_with_a_file() {
    for (text, words) in [
        (
            "data = 1",
            "weir.toml:1:8: /data: must be a table, not a whole number",
        ),
        ("[data", "weir.toml:1:6: not valid TOML"),
        ("data_dir = ''", "/data_dir: must not be empty"),
        (
            "[admin]\nlisten = '127.0.0.1:8080'",
            "/admin: listens on 127.0.0.1:8080 like data",
        ),
        (
            "[keys]\nreveal = true",
            "weir.toml:1:1: /keys/sealing_key: is missing; reveal needs one",
        ),
        (
            "[keys]\nreveal = true\nsealing_key = ''",
            "weir.toml:3:15: /keys/sealing_key: is missing; reveal needs one",
        ),
        (
            "[keys]\nsealing_key = 'hunter2'",
            "weir.toml:2:15: /keys/sealing_key: a sealing key is 64 hexadecimal digits",
        ),
        (
            "[admin]\nhosts = ['weir:8081']",
            "/admin/hosts/0: \"weir:8081\" is not a host name or an address; write it without a port",
        ),
        (
            "[admin]\norigins = ['weir', 1]",
            "weir.toml:2:20: /admin/origins/1: must be a string, not a whole number",
        ),
        (
            "[admin]\nhosts = '*'",
            "/admin/hosts: must be a list, not a string",
        ),
        (
            "[admin]\nbody_bytes_max = 8191",
            "/admin/body_bytes_max: must be from 8192 to 67108864",
        ),
        (
            "[admin]\naudit_max = 10_000_001",
            "/admin/audit_max: must be from 0 to 10000000",
        ),
        (
            "[upstream]\nallow_networks = ['10.0.0.0/8', '10.1.0.0/8']",
            "/upstream/allow_networks/1: \"10.1.0.0/8\" has bits behind its prefix; did you mean 10.0.0.0/8?",
        ),
        (
            "[data]\npublic_url = 'models.example'",
            "/data/public_url: is a URL such as https://models.example, without a query",
        ),
        (
            "[limits]\nkeys_max = 0",
            "/limits/keys_max: must be from 1 to 100000000",
        ),
        (
            "[deploy]\nunreachable_ms = 86_400_001",
            "/deploy/unreachable_ms: must be from 0 to 86400000",
        ),
        (
            "[monitoring]\nstep_10s_kept_h = 87_601",
            "/monitoring/step_10s_kept_h: must be from 0 to 87600",
        ),
        (
            "[monitoring]\ndisk_bytes_max = 8_388_607",
            "/monitoring/disk_bytes_max: must be from 8388608 to 1099511627776",
        ),
        (
            "[comparison]\nkept_h = 87_601",
            "/comparison/kept_h: must be from 0 to 87600",
        ),
        (
            "[comparison]\ndisk_bytes_max = 16_777_215",
            "/comparison/disk_bytes_max: must be from 16777216 to 1099511627776",
        ),
        (
            "[comparison]\npending_pairs_max = 0",
            "/comparison/pending_pairs_max: must be from 1 to 10000000",
        ),
        ("[[data]]", "/data: must be a table, not a list"),
        (
            "[log]\naccess = 'true'",
            "/log/access: must be true or false, not a string",
        ),
    ] {
        let shown = load(text, &[("WEIR_DATA_STREAMS_MAX", "5")]).expect_err(text);
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
    }
    let many = format!("[upstream]\ndeny_networks = [{}]", "'::1',".repeat(257));
    let shown = load(&many, &[]).expect_err("many");
    assert!(
        shown.contains("/deny_networks: has 257 items, 256 are allowed"),
        "{shown}"
    );
    for (name, text, words) in [
        (
            "WEIR_UPSTREAM_DENY_NETWORKS",
            "::1, x ,10.0.0.0",
            "WEIR_UPSTREAM_DENY_NETWORKS: /upstream/deny_networks: \"x\" is not a network such as 10.0.0.0/8 or fd00::/8",
        ),
        (
            "WEIR_KEYS_SEALING_KEY",
            "hunter2",
            "WEIR_KEYS_SEALING_KEY: /keys/sealing_key: a sealing key is 64 hexadecimal digits, such as openssl rand -hex 32 prints",
        ),
        (
            "WEIR_ADMIN_HOSTS",
            &"a,".repeat(257),
            "WEIR_ADMIN_HOSTS: /admin/hosts: has 257 items, 256 are allowed",
        ),
    ] {
        assert_eq!(load("", &[(name, text)]).expect_err(name), words);
    }
    let gone = Path::new("/nonexistent/weir.toml");
    let error = Settings::load(Some(gone), std::iter::empty()).expect_err("gone");
    assert!(error.to_string().starts_with("/nonexistent/weir.toml: "));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", name in "WEIR_[A-Z_]{0,9}") {
        let mut root = Node::from_toml(&text).or_else(|_| Node::from_toml("")).expect("TOML");
        override_all(&mut root, [(name, text)].into_iter());
        let _outcome = read(&root, settings);
    }
}

#[test]
fn mail_needs_a_sender_and_hides_its_password() {
    let good = "[smtp]\nhost = 'smtp.example'\nfrom = 'weir <weir@b.example>'\n\
                username = 'u'\npassword = 'hunter2 hunter2'";
    let (settings, _) = load(good, &[]).expect("good");
    assert_eq!(settings.smtp.password.expose(), "hunter2 hunter2");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let shown = serde_json::to_string(&settings).expect("JSON");
    assert!(!shown.contains("hunter2"), "{shown}");
    let ports = [("none", 25), ("starttls", 587), ("tls", 465)];
    for (tls, port) in ports {
        let (settings, _) = load(&format!("[smtp]\ntls = '{tls}'"), &[]).expect(tls);
        assert_eq!(settings.smtp.port(), port, "{tls}");
    }
    for (text, words) in [
        ("host = 'h'", "/smtp/from: is missing"),
        ("host = 'h:1/x'\nfrom = 'a@b.c'", "/smtp/host"),
        ("from = 'nobody'", "/smtp/from"),
        ("from = \"a@b.c\\r\\nx: y\"", "/smtp/from"),
        ("password = 'hunter2'", "/smtp/username: is missing"),
        ("tls = 'ssl'", "/smtp/tls"),
        ("port = 65536", "/smtp/port"),
    ] {
        let told = load(&format!("[smtp]\n{text}"), &[]).expect_err(text);
        assert!(told.contains(words), "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_wrong_with_tls_is_said_with_all_the_rest() {
    let (files, others) = (tls_files(), tls_files());
    let path = |path: &Path| path.display().to_string();
    let (cert, key, other) = (path(&files.cert), path(&files.key), path(&others.key));
    let pair = format!("cert_file = '{cert}'\nkey_file = '{key}'");
    let asking = format!("{pair}\nclient_ca_file = '{cert}'");
    let good = format!("client_auth = 'optional'\n{asking}");
    for good in [&pair, &good, &good.replace("optional", "required")] {
        let (settings, _) = load(&format!("[data.tls]\n{good}"), &[]).expect("good");
        assert!(settings.data.tls.is_on() && !settings.admin.tls.is_on());
        assert_eq!(settings.data.tls.scheme(), "https");
        assert!(settings.concerns().is_empty());
    }

    let open = format!("{key}.open");
    fs::copy(&files.key, &open).expect("copied");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&open, mode).expect("set");
    for (text, words) in [
        (
            format!("cert_file = '{cert}'"),
            "/tls/key_file: is missing; cert_file needs one".to_owned(),
        ),
        (
            format!("key_file = '{key}'"),
            "/tls/cert_file: is missing; key_file needs one".to_owned(),
        ),
        (
            format!("client_auth = 'optional'\nclient_ca_file = '{cert}'"),
            "/tls/cert_file: is missing; client_auth = \"optional\" needs a listener".to_owned(),
        ),
        (
            format!("{pair}\nclient_auth = 'required'"),
            "/tls/client_ca_file: is missing; client_auth = \"required\" needs".to_owned(),
        ),
        (
            asking,
            "/tls/client_auth: is \"none\": clients would not be asked".to_owned(),
        ),
        (
            format!("{good}nowhere").replace("'nowhere", "nowhere'"),
            format!("/tls/client_ca_file: {cert}nowhere: there is no such file"),
        ),
        (
            format!("cert_file = '{cert}'\nkey_file = '{open}'"),
            format!("run: chmod 600 {open}"),
        ),
        (
            format!("cert_file = '{cert}'\nkey_file = '{other}'"),
            format!("/tls/key_file: {other}: is not the key of the first certificate in {cert}"),
        ),
        (
            format!("cert_file = '{key}'\nkey_file = '{key}'"),
            format!("/tls/cert_file: {key}: holds a private key where a certificate belongs"),
        ),
        (
            "client_auth = 'maybe'".to_owned(),
            "/tls/client_auth: \"maybe\" is none of none, optional, required".to_owned(),
        ),
        (
            "min_version = '1.1'".to_owned(),
            "/tls/min_version: \"1.1\" is none of 1.2, 1.3".to_owned(),
        ),
    ] {
        let mut told = String::new();
        for section in ["data", "admin"] {
            let text = format!("workers = 'many'\n[{section}.tls]\n{text}");
            told = load(&text, &[]).expect_err(&text);
            assert!(told.contains("/workers"), "{told}");
            assert!(told.contains(&words), "{words}\nis not in\n{told}");
        }
        assert!(!told.contains("PRIVATE KEY"), "{told}");
    }
}

#[test]
fn backends_that_nobody_could_trust_are_a_mistake() {
    let files = tls_files();
    let told = load("[upstream.tls]\nsystem_roots = false", &[]).expect_err("trusts nobody");
    assert!(told.contains("/upstream/tls/ca_file: is missing"), "{told}");
    let cert = files.cert.display();
    let text = format!("[upstream.tls]\nsystem_roots = false\nca_file = '{cert}'");
    load(&text, &[]).expect("trusts somebody");
}
