//! What is measured, started and made ready: the three proxies and the model.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use crate::{
    Checked,
    child::{Cores, Pinned},
    config,
    meter::memory_kib,
    model::MODEL,
    options::Kind,
    wire::{self, RequestForm, json_body, loopback},
};

/// A proxy must answer within this time of its start.
const START_MAX: Duration = Duration::from_secs(20);

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
    pub(crate) address: SocketAddr,
    /// Its memory before its first request, in KiB.
    pub(crate) idle_kib: f64,
}

/// The model server.
pub(crate) struct Model {
    child: Pinned,
    pub(crate) address: SocketAddr,
}

// === impl Program ===

impl Program {
    /// Finds a program and asks it for its version. The error says how to get it.
    pub(crate) fn find(kind: Kind) -> Checked<Self> {
        let (path, flag, help) = match kind {
            Kind::Weir => (
                std::env::var_os("WEIR_BIN")
                    .unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into())
                    .into(),
                "--version",
                "run it with cargo bench, or name a binary in WEIR_BIN",
            ),
            Kind::Nginx => (on_path("nginx"), "-v", "apt-get install nginx-light"),
            Kind::Haproxy => (on_path("haproxy"), "-v", "apt-get install haproxy"),
        };
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
fn on_path(name: &str) -> PathBuf {
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
        challenger: bool,
    ) -> Checked<(Self, tempfile::TempDir)> {
        let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
        let started = match program.kind {
            Kind::Weir => start_weir(program, cores, model, challenger, dir.path()),
            Kind::Nginx | Kind::Haproxy => {
                start_other(program, cores, model, challenger, dir.path())
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
    challenger: bool,
    dir: &Path,
) -> Checked<Proxy> {
    let declared = dir.join("bench.toml");
    let ready = dir.join("ready.json");
    fs::write(&declared, config::weir(model.address.port(), challenger))?;
    let args = ["serve", "--declare"].map(OsString::from).into_iter();
    let args = args.chain([declared.into(), "--ready-file".into(), (&ready).into()]);
    let any_port = || OsString::from("127.0.0.1:0");
    let env = [
        ("WEIR_WORKERS", "1".into()),
        ("WEIR_DATA_LISTEN", any_port()),
        ("WEIR_ADMIN_LISTEN", any_port()),
        ("WEIR_DATA_DIR", dir.join("data").into()),
    ];
    let args: Vec<_> = args.collect();
    let log = dir.join("log");
    let mut child = Pinned::start(cores.proxy, &log, &program.path, &args, &env)?;
    let text = poll(&mut child, || Ok(fs::read_to_string(&ready)?))?;
    let ready: serde_json::Value = serde_json::from_str(&text)?;
    let url = ready["data_url"].as_str().ok_or("no data_url")?;
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    Proxy::checked(child, authority.parse()?)
}

/// nginx and HAProxy take no port 0, so a free one is looked for; another process may take it
/// meanwhile, hence the attempts.
fn start_other(
    program: &Program,
    cores: Cores,
    model: &Model,
    challenger: bool,
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
                for (name, text) in config::haproxy(port, model.address.port(), place) {
                    fs::write(dir.join(name), text)?;
                }
                // `-db`: in the foreground, without a master process.
                vec!["-db".into(), "-f".into(), dir.join("haproxy.cfg").into()]
            }
            Kind::Nginx | Kind::Weir => {
                let text = config::nginx(port, model.address.port(), place, challenger);
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
        let mut child = Pinned::start(cores.proxy, &log, &program.path, &args, &[])?;
        match poll(&mut child, || Ok(TcpStream::connect(loopback(port))?)) {
            Ok(_) => return Proxy::checked(child, loopback(port)),
            Err(e) => failed = Some(e),
        }
    }
    Err(failed.unwrap_or_else(|| "no attempt was made".into()))
}

impl Proxy {
    /// Reads its idle memory, then holds it to the work's terms: a known key gets the model's
    /// answer, an unknown one 401. A proxy that let everybody in would be measured too fast.
    fn checked(child: Pinned, address: SocketAddr) -> Checked<Self> {
        let idle_kib = memory_kib(child.pid())?;
        let mut form = RequestForm::new("predict", &json_body("inputs"));
        let known = exchange(address, form.fill(0, &wire::key(wire::KEYS - 1), 7))?;
        if !wire::is_reply(&known, &json_body("outputs"), 7)? {
            return Err("a known key got half an answer".into());
        }
        let unknown = exchange(address, form.fill(0, &"x".repeat(wire::key(0).len()), 7))?;
        if !unknown.starts_with(b"HTTP/1.1 401 ") {
            return Err("an unknown key was not turned away".into());
        }
        Ok(Self {
            child,
            address,
            idle_kib,
        })
    }
}

// === impl Model ===

impl Model {
    /// Starts the model on the load's core.
    pub(crate) fn start(cores: Cores, dir: &Path) -> Checked<Self> {
        let program = std::env::current_exe()?;
        let log = dir.join("model.log");
        let (child, port) = Pinned::start_and_hear(cores.load, &log, &program, &[MODEL.into()])?;
        let address = loopback(port.parse().map_err(|e| format!("the model's port: {e}"))?);
        Ok(Self { child, address })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Predict requests and mirrored ones that it has answered so far.
    pub(crate) fn counts(&self) -> Checked<(u64, u64)> {
        let answer = exchange(
            self.address,
            b"GET /counts HTTP/1.1\r\nHost: bench.local\r\n\r\n",
        )?;
        let text = String::from_utf8(answer)?;
        let body = text.rsplit("\r\n").next().unwrap_or_default();
        let (predicts, challenges) = body.split_once(' ').ok_or("no counts")?;
        Ok((predicts.parse()?, challenges.parse()?))
    }
}

/// One request on a connection of its own; what is answered until a whole message is there.
fn exchange(address: SocketAddr, request: &[u8]) -> Checked<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        match socket.read(&mut piece)? {
            0 => return Ok(answer),
            read => answer.extend_from_slice(&piece[..read]),
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(head) = response.parse(&answer)?
            && let wire::Framing::Length(length) = wire::framing(response.headers)?
            && answer.len() >= head + length
        {
            return Ok(answer);
        }
    }
}

/// Asks again and again until there is an answer, the child ends or the time is up.
fn poll<T>(child: &mut Pinned, mut ask: impl FnMut() -> Checked<T>) -> Checked<T> {
    let started = Instant::now();
    loop {
        child.ensure_alive()?;
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(e) if started.elapsed() > START_MAX => {
                return Err(format!("not ready in time: {e}\n{}", child.last_words()).into());
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
