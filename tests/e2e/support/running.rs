//! A command under way, with what it has printed and said so far.

use std::{
    io::{Read, Write},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{PATIENCE, cli::Ran, eventually, holds_within};

/// A command under way.
pub(crate) struct Running {
    child: Child,
    out: Collected,
    err: Collected,
    line: String,
}

/// What has come from a pipe so far.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

// === impl Running ===

impl Running {
    /// Starts it with this standard input, which then ends.
    pub(super) fn start(mut command: Command, line: &str, input: &str) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        // Who does not read what is said to them closes the pipe, which is no failure.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Self {
            out: Collected::of(child.stdout.take().unwrap()),
            err: Collected::of(child.stderr.take().unwrap()),
            child,
            line: line.to_owned(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// What it has said so far.
    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    /// Waits until it has printed or said this.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str) {
        let came = holds_within(PATIENCE, || {
            self.out().contains(what) || self.err().contains(what)
        });
        let (line, out, err) = (&self.line, self.out(), self.err());
        assert!(came, "weir {line}: never {what:?}; {out}\n{err}");
    }

    pub(crate) fn interrupt(&self) {
        interrupt(self.pid());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self, limit: Duration) -> Ran {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let (line, out, err) = (&self.line, self.out(), self.err());
                panic!("weir {line} did not end within {limit:?}; {out}\n{err}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.out.join();
        self.err.join();
        Ran {
            code: status.code().unwrap_or(-1),
            out: self.out(),
            err: self.err(),
            line: self.line.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What Ctrl-C at a terminal sends.
pub(crate) fn interrupt(pid: u32) {
    let kill = format!("kill -INT {pid}");
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success(), "{kill}");
}

// === impl Collected ===

impl Collected {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0_u8; 8 << 10];
            while let Ok(n @ 1..) = pipe.read(&mut piece) {
                into.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn join(&mut self) {
        let reader = self.reader.take().unwrap();
        eventually(PATIENCE, "the pipe's end", || reader.is_finished());
    }
}
