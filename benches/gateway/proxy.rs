//! What is measured, started and made ready: the three proxies.

use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use crate::{
    common::{
        Checked,
        child::{Cores, Pinned},
        dial::{Dialer, Identity},
        meter::memory_kib,
        start::{Model, Setup, Weir, binary, exchange, poll},
        wire::{self, RequestForm, Scale, json_body, loopback},
    },
    config::{self, Work},
    options::Kind,
};

/// A program that was found.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    path: PathBuf,
    /// Its name and version, as it says them itself.
    pub(crate) version: String,
}

/// A proxy that answers.
pub(crate) struct Proxy {
    child: Pinned,
    /// Where clients call it, and how.
    pub(crate) target: Dialer,
    /// From its start until it answered.
    pub(crate) took: Duration,
    /// Where weir tells its figures.
    pub(crate) admin: Option<SocketAddr>,
    /// Its memory before its first request, in KiB.
    pub(crate) idle_kib: f64,
}

// === impl Program ===

impl Program {
    /// Finds a program and asks it for its version. The error says how to get it.
    pub(crate) fn find(kind: Kind) -> Checked<Self> {
        let (path, flag, help) = match kind {
            Kind::Weir => (
                binary(),
                "--version",
                "run it with cargo bench, or name a binary in WEIR_BIN",
            ),
            Kind::Nginx => (on_path("nginx"), "-v", "apt-get install nginx-light"),
            Kind::Haproxy => (on_path("haproxy"), "-v", "apt-get install haproxy"),
        };
        Self::at(kind, path, flag, help)
    }

    /// Another weir than the one to measure.
    pub(crate) fn another_weir(path: &Path) -> Checked<Self> {
        let path = path.to_owned();
        Self::at(Kind::Weir, path, "--version", "name a weir binary")
    }

    fn at(kind: Kind, path: PathBuf, flag: &str, help: &str) -> Checked<Self> {
        let output = Command::new(&path)
            .arg(flag)
            .output()
            .map_err(|e| format!("{} was not found ({e}): {help}", kind.name()))?;
        // nginx says its version on the error stream.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let number = said
            .split(|c: char| c.is_whitespace() || c == '/' || c == '-')
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let version = format!("{} {}", kind.name(), number.unwrap_or("of unknown version"));
        Ok(Self {
            kind,
            path,
            version,
        })
    }
}

/// Where a system's daemons are, although not on every user's path.
pub(crate) fn on_path(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/local/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name));
    found
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

// === impl Proxy ===

impl Proxy {
    /// Starts a proxy in a directory of its own and waits until it answers.
    pub(crate) fn start(
        program: &Program,
        cores: Cores,
        model: &Model,
        work: Work,
        identity: Option<&Identity>,
    ) -> Checked<(Self, tempfile::TempDir)> {
        let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
        if let Some(identity) = identity {
            identity.write(dir.path())?;
        }
        let started = match program.kind {
            Kind::Weir => start_weir(program, cores, model, work, identity, dir.path()),
            Kind::Nginx | Kind::Haproxy => {
                start_other(program, cores, model, work, identity, dir.path())
            }
        };
        let proxy = started.map_err(|e| format!("starting {}: {e}", program.kind.name()))?;
        Ok((proxy, dir))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Fails with its last words when it has ended.
    pub(crate) fn ensure_alive(&mut self) -> Checked<()> {
        self.child.ensure_alive()
    }

    /// What it has logged last.
    pub(crate) fn last_words(&self) -> String {
        self.child.last_words()
    }
}

fn start_weir(
    program: &Program,
    cores: Cores,
    model: &Model,
    work: Work,
    identity: Option<&Identity>,
    dir: &Path,
) -> Checked<Proxy> {
    let declared = dir.join("bench.toml");
    fs::write(&declared, config::weir(model.address.port(), work))?;
    let setup = Setup {
        dir,
        declared: Some(&declared),
        workers: 1,
        core: Some(cores.proxy),
    };
    let mut settings: Vec<(&str, OsString)> = Vec::new();
    if work.tls {
        settings.push(("WEIR_DATA_TLS_CERT_FILE", dir.join("cert.pem").into()));
        settings.push(("WEIR_DATA_TLS_KEY_FILE", dir.join("key.pem").into()));
    }
    if work.scale != Scale::USUAL {
        // 2,000 probes a second are no part of what is asked, and the others make none.
        settings.push(("WEIR_HEALTH_INTERVAL_MS", "3600000".into()));
    }
    let weir = Weir::start_with(&program.path, setup, &settings)?;
    let target = Dialer::new(weir.data, identity);
    let proxy = Proxy::checked(weir.child, target, work.scale)?;
    Ok(Proxy {
        admin: Some(weir.admin),
        took: weir.took,
        ..proxy
    })
}

/// nginx and HAProxy take no port 0, so a free one is looked for; another process may take it
/// meanwhile, hence the attempts.
fn start_other(
    program: &Program,
    cores: Cores,
    model: &Model,
    work: Work,
    identity: Option<&Identity>,
    dir: &Path,
) -> Checked<Proxy> {
    let place = dir
        .to_str()
        .ok_or("a temporary directory that is not UTF-8")?;
    let mut failed = None;
    for _ in 0..3 {
        let port = TcpListener::bind(loopback(0))?.local_addr()?.port();
        let args: Vec<OsString> = match program.kind {
            Kind::Haproxy => {
                for (name, text) in config::haproxy(port, model.address.port(), place, work) {
                    fs::write(dir.join(name), text)?;
                }
                // `-db`: in the foreground, without a master process.
                vec!["-db".into(), "-f".into(), dir.join("haproxy.cfg").into()]
            }
            Kind::Nginx | Kind::Weir => {
                let text = config::nginx(port, model.address.port(), place, work);
                fs::write(dir.join("nginx.conf"), text)?;
                let file = dir.join("nginx.conf").into();
                vec![
                    "-e".into(),
                    "stderr".into(),
                    "-p".into(),
                    dir.into(),
                    "-c".into(),
                    file,
                ]
            }
        };
        let log = dir.join("log");
        let started = Instant::now();
        let mut child = Pinned::start(Some(cores.proxy), &log, &program.path, &args, &[])?;
        match poll(&mut child, || Ok(TcpStream::connect(loopback(port))?)) {
            Ok(_) => {
                let took = started.elapsed();
                let target = Dialer::new(loopback(port), identity);
                let proxy = Proxy::checked(child, target, work.scale)?;
                return Ok(Proxy { took, ..proxy });
            }
            Err(e) => failed = Some(e),
        }
    }
    Err(failed.unwrap_or_else(|| "no attempt was made".into()))
}

impl Proxy {
    /// Reads its idle memory, then holds it to the work's terms: a known key gets the model's
    /// answer, an unknown one 401. A proxy that let everybody in would be measured too fast.
    fn checked(child: Pinned, target: Dialer, scale: Scale) -> Checked<Self> {
        let idle_kib = memory_kib(child.pid())?;
        let mut form = RequestForm::new("predict", &json_body("inputs"));
        let last = wire::key(scale.keys - 1);
        let known = exchange(target.clone(), form.fill(scale.deployments - 1, &last, 7))?;
        if !wire::is_reply(&known, &json_body("outputs"), 7)? {
            return Err("a known key got half an answer".into());
        }
        let unknown = exchange(
            target.clone(),
            form.fill(0, &"x".repeat(wire::key(0).len()), 7),
        )?;
        if !unknown.starts_with(b"HTTP/1.1 401 ") {
            return Err("an unknown key was not turned away".into());
        }
        Ok(Self {
            child,
            target,
            took: Duration::ZERO,
            admin: None,
            idle_kib,
        })
    }
}
