//! The built binary as a process.

use std::{
    fmt::Display,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{PATIENCE, RawClient, Response, eventually, metrics::Metrics};

/// A running gateway; killed when dropped, its log shown when the test has failed.
pub(crate) struct Gateway {
    child: Child,
    dir: TempDir,
    builder: Builder,
    /// What the ready file said.
    pub(crate) ready: serde_json::Value,
    data: SocketAddr,
    admin: SocketAddr,
}

/// What a gateway is started with.
pub(crate) struct Builder {
    declarations: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    unset: Vec<String>,
    /// How many descriptors it may have; as many as the suite where none are said.
    descriptors: Option<u32>,
}

/// How a gateway is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Asked, with SIGTERM.
    Term,
    /// Not asked.
    Kill,
}

/// The admin token that the suite gives unless a test says otherwise.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-for-the-tests-only";

/// What one process of a gateway said when it was ready.
struct Started {
    child: Child,
    ready: serde_json::Value,
    data: SocketAddr,
    admin: SocketAddr,
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("WEIR_BIN").map_or_else(|| env!("CARGO_BIN_EXE_weir").into(), PathBuf::from)
}

/// The binary with a clean environment: nothing of the caller's settings reaches it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIR_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

// === impl Builder ===

impl Builder {
    pub(crate) fn env(mut self, name: &str, value: impl Display) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Leaves a variable that the suite sets to the gateway's own default.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.unset.push(name.to_owned());
        self
    }

    /// Leaves it so many descriptors.
    pub(crate) fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    pub(crate) fn start(self) -> Gateway {
        let dir = TempDir::new().unwrap();
        if let Some(text) = &self.declarations {
            fs::write(dir.path().join("declared.toml"), text).unwrap();
        }
        let started = self.spawn(dir.path());
        Gateway {
            data: started.data,
            admin: started.admin,
            child: started.child,
            ready: started.ready,
            dir,
            builder: self,
        }
    }

    /// One process in this directory, with the log of the earlier ones kept.
    fn spawn(&self, dir: &Path) -> Started {
        let ready_file = dir.join("ready.json");
        let _ = fs::remove_file(&ready_file);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(dir.join("log"))
            .unwrap();
        let mut command = command();
        if let Some(count) = self.descriptors {
            let weir = binary();
            command = Command::new("sh");
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIR_")) {
                command.env_remove(name);
            }
            let script = format!("ulimit -n {count}; exec \"$@\"");
            command
                .args(["-c", &script, "sh"])
                .arg(weir)
                .stdin(Stdio::null());
        }
        command
            .args(&self.args)
            .arg("--ready-file")
            .arg(&ready_file)
            .current_dir(dir)
            .env("WEIR_DATA_LISTEN", "127.0.0.1:0")
            .env("WEIR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("WEIR_DATA_DIR", dir.join("data"))
            // Where the demo keeps its own.
            .env("TMPDIR", dir)
            .env("WEIR_WORKERS", "2")
            .env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN)
            .envs(self.env.iter().cloned())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        for name in &self.unset {
            command.env_remove(name);
        }
        if self.declarations.is_some() {
            command.arg("--declare").arg(dir.join("declared.toml"));
        }
        let mut child = command.spawn().expect("the binary starts");
        let ready = wait_ready(&mut child, &ready_file, dir);
        let addr = |member: &str| -> SocketAddr {
            let url = ready[member].as_str().unwrap_or_default();
            let (_, bare) = url.split_once("://").unwrap_or_default();
            bare.parse()
                .unwrap_or_else(|_| panic!("{member} in the ready file: {ready}"))
        };
        Started {
            data: addr("data_url"),
            admin: addr("admin_url"),
            child,
            ready,
        }
    }
}

fn wait_ready(child: &mut Child, file: &Path, dir: &Path) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The file appears in one rename, so what can be read is whole.
        if let Ok(text) = fs::read_to_string(file) {
            return serde_json::from_str(&text)
                .unwrap_or_else(|e| panic!("ready file {text:?}: {e}"));
        }
        let exited = child.try_wait().unwrap();
        if exited.is_some() || Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("the gateway did not become ready ({exited:?}); it said:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

// === impl Gateway ===

impl Gateway {
    /// `weir serve` over these declarations, on ports of its own, with two workers.
    pub(crate) fn with(declarations: impl Display) -> Builder {
        Builder {
            declarations: Some(declarations.to_string()),
            args: vec!["serve".to_owned()],
            env: Vec::new(),
            unset: Vec::new(),
            descriptors: None,
        }
    }

    /// `weir serve` on its data directory alone.
    pub(crate) fn bare() -> Builder {
        Builder {
            declarations: None,
            args: vec!["serve".to_owned()],
            env: Vec::new(),
            unset: Vec::new(),
            descriptors: None,
        }
    }

    /// Ends the process, and starts another in the same directory with the same settings. Its ports
    /// are new.
    pub(crate) fn restart(&mut self, stop: Stop) {
        self.stop(stop);
        self.start_again();
    }

    /// Ends the process.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.signal(match stop {
            Stop::Term => "TERM",
            Stop::Kill => "KILL",
        });
        let status = self.wait_exit(PATIENCE);
        if stop == Stop::Term {
            assert_eq!(status.code(), Some(0), "an orderly end");
        }
    }

    /// Starts another process after [`stop`](Self::stop).
    pub(crate) fn start_again(&mut self) {
        let started = self.builder.spawn(self.dir.path());
        self.child = started.child;
        self.ready = started.ready;
        self.data = started.data;
        self.admin = started.admin;
    }

    /// Where it keeps what outlives it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The same, started.
    pub(crate) fn start(declarations: impl Display) -> Self {
        Self::with(declarations).start()
    }

    /// `weir demo`.
    pub(crate) fn demo() -> Self {
        Self::demo_with().start()
    }

    /// The same, to be started.
    pub(crate) fn demo_with() -> Builder {
        Builder {
            args: vec!["demo".to_owned()],
            ..Self::bare()
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.data
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to the data listener.
    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.data)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.connect().call(line, headers, body)
    }

    /// One request to the admin listener.
    #[track_caller]
    pub(crate) fn admin(&self, line: &str) -> Response {
        RawClient::connect(self.admin).call(line, &[("connection", "close")], b"")
    }

    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.admin("GET /metrics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        Metrics::parse(&answer.text())
    }

    /// The sum of a metric now.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Waits until a metric's sum satisfies `cond`.
    #[track_caller]
    pub(crate) fn wait_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        cond: impl Fn(f64) -> bool,
    ) {
        let mut last = f64::NAN;
        let held = super::holds_within(PATIENCE, || {
            last = self.metric(name, labels);
            cond(last)
        });
        assert!(held, "{name}{labels:?} stayed at {last}");
    }

    #[track_caller]
    pub(crate) fn epoch(&self) -> f64 {
        self.metric("weir_config_epoch", &[])
    }

    /// Puts new declarations in place in one rename.
    pub(crate) fn write(&self, declarations: impl Display) {
        let file = self.dir.path().join("declared.toml");
        let draft = self.dir.path().join("declared.toml.draft");
        fs::write(&draft, declarations.to_string()).unwrap();
        fs::rename(&draft, &file).unwrap();
    }

    /// The same, and tells the gateway.
    pub(crate) fn declare(&self, declarations: impl Display) {
        self.write(declarations);
        self.signal("HUP");
    }

    /// Takes the file away and tells the gateway.
    pub(crate) fn remove_declarations(&self) {
        fs::remove_file(self.dir.path().join("declared.toml")).unwrap();
        self.signal("HUP");
    }

    /// Declares, and waits until it is in force.
    #[track_caller]
    pub(crate) fn redeclare(&self, declarations: impl Display) {
        let before = self.epoch();
        self.declare(declarations);
        eventually(PATIENCE, "a newer epoch", || self.epoch() > before);
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status()
            .unwrap();
        assert!(sent.success(), "signal {name}");
    }

    /// Asks it to drain and end.
    pub(crate) fn sigterm(&self) {
        self.signal("TERM");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        eventually(limit, "exit", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Whether it has ended.
    pub(crate) fn has_exited(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its resident memory.
    pub(crate) fn rss_kib(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
            .expect("VmRSS")
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The log lines that are JSON objects.
    pub(crate) fn log_json(&self) -> Vec<serde_json::Value> {
        self.log()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(6_000);
            let from = (from..log.len()).find(|&at| log.is_char_boundary(at));
            eprintln!("the gateway said:\n{}", &log[from.unwrap_or(0)..]);
        }
    }
}
