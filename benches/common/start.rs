//! What is started: weir and the model; and one request to see that they answer.

use std::{
    ffi::OsString,
    fs,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use super::{
    Checked,
    child::Pinned,
    dial::Dialer,
    model::MODEL,
    wire::{self, loopback},
};

/// A program must be ready within this time of its start.
const START_MAX: Duration = Duration::from_secs(60);
/// Between two questions whether it is.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// How a weir is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Where its log, its ready file and, in `data`, its store go.
    pub(crate) dir: &'a Path,
    /// A file to start with; none: its data directory alone.
    pub(crate) declared: Option<&'a Path>,
    pub(crate) workers: u16,
    /// None: wherever the system puts it.
    pub(crate) core: Option<usize>,
}

/// A weir that said that it is ready.
pub(crate) struct Weir {
    pub(crate) child: Pinned,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// From its start until its ready file appeared.
    pub(crate) took: Duration,
}

/// The model server.
pub(crate) struct Model {
    child: Pinned,
    pub(crate) address: SocketAddr,
}

/// The binary to measure.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("WEIR_BIN").map_or_else(|| env!("CARGO_BIN_EXE_weir").into(), PathBuf::from)
}

// === impl Weir ===

impl Weir {
    /// The operator's token.
    pub(crate) const TOKEN: &str = "an-admin-token-for-benchmarks-only";

    /// Starts `program serve` on ports of its own and waits until it is ready.
    pub(crate) fn start(program: &Path, setup: Setup<'_>) -> Checked<Self> {
        Self::start_with(program, setup, &[])
    }

    /// The same with settings of the caller's.
    pub(crate) fn start_with(
        program: &Path,
        setup: Setup<'_>,
        settings: &[(&str, OsString)],
    ) -> Checked<Self> {
        let ready = setup.dir.join("ready.json");
        // Of an earlier start in the same place.
        let _ = fs::remove_file(&ready);
        let mut args = vec!["serve".into(), "--ready-file".into(), (&ready).into()];
        if let Some(declared) = setup.declared {
            args.extend([OsString::from("--declare"), declared.into()]);
        }
        let any_port = || OsString::from("127.0.0.1:0");
        let mut env = vec![
            ("WEIR_WORKERS", setup.workers.to_string().into()),
            ("WEIR_DATA_LISTEN", any_port()),
            ("WEIR_ADMIN_LISTEN", any_port()),
            ("WEIR_ADMIN_TOKEN", Self::TOKEN.into()),
            ("WEIR_DATA_DIR", setup.dir.join("data").into()),
        ];
        env.extend(settings.iter().map(|(name, value)| (*name, value.clone())));
        let log = setup.dir.join("log");
        let started = Instant::now();
        let mut child = Pinned::start(setup.core, &log, program, &args, &env)?;
        // The file appears in one rename, so what can be read is whole.
        let text = poll(&mut child, || Ok(fs::read_to_string(&ready)?))?;
        let took = started.elapsed();
        let ready: serde_json::Value = serde_json::from_str(&text)?;
        let address = |member: &str| -> Checked<SocketAddr> {
            let url = ready[member].as_str().ok_or("a ready file without it")?;
            Ok(url
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .trim_end_matches('/')
                .parse()?)
        };
        Ok(Self {
            data: address("data_url")?,
            admin: address("admin_url")?,
            child,
            took,
        })
    }
}

// === impl Model ===

impl Model {
    /// Starts the model on the load's core.
    pub(crate) fn start(core: Option<usize>, dir: &Path) -> Checked<Self> {
        let program = std::env::current_exe()?;
        let log = dir.join("model.log");
        let (child, port) = Pinned::start_and_hear(core, &log, &program, &[MODEL.into()])?;
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
pub(crate) fn exchange(target: impl Into<Dialer>, request: &[u8]) -> Checked<Vec<u8>> {
    let mut socket = target.into().dial()?;
    socket.set_read_timeout(Duration::from_secs(5))?;
    socket.send(request)?;
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
pub(crate) fn poll<T>(child: &mut Pinned, mut ask: impl FnMut() -> Checked<T>) -> Checked<T> {
    let started = Instant::now();
    loop {
        child.ensure_alive()?;
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(e) if started.elapsed() > START_MAX => {
                return Err(format!("not ready in time: {e}\n{}", child.last_words()).into());
            }
            Err(_) => thread::sleep(ASK_EVERY),
        }
    }
}
