//! NATS JetStream: a publish, acknowledged once it is in the stream's file.
//!
//! ```text
//! client: SUB _INBOX.n ...   PUB bench.n _INBOX.n 1024 ... ──▶ nats-server
//!                            MSG _INBOX.n {"stream":"BENCH","seq":7} ◀── behind its sync
//! ```
//!
//! Before 2.10 it can't be told to sync each message: then it runs as it is, and its rows say that
//! they are no comparison.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use super::clients::Talk;
use crate::common::{Checked, child::Pinned, start::poll, wire::loopback};

/// The largest message it takes.
const PAYLOAD_BYTES_MAX: u32 = 8 << 20;

/// The program, and what it can do.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    version: String,
    /// Whether it can sync each message.
    pub(crate) syncs: bool,
}

/// A running server with one stream.
pub(crate) struct Nats {
    child: Pinned,
    pub(crate) address: SocketAddr,
    dir: PathBuf,
}

/// Publishers of messages of one length.
pub(crate) struct Publish {
    payload: Vec<u8>,
}

// === impl Program ===

impl Program {
    /// Finds it and asks what it can do.
    pub(crate) fn find(dir: &Path) -> Checked<Self> {
        let path = match env::var_os("NATS_SERVER_BIN") {
            Some(path) => path.into(),
            None => {
                let system = PathBuf::from("/usr/sbin/nats-server");
                if system.is_file() {
                    system
                } else {
                    "nats-server".into()
                }
            }
        };
        let said = Command::new(&path).arg("--version").output();
        let said = said.map_err(|e| format!("nats-server ({e}): apt-get install nats-server"))?;
        let version = String::from_utf8_lossy(&said.stdout);
        let version = version.split_whitespace().last().unwrap_or("?").to_owned();
        let file = dir.join("nats-try.conf");
        fs::write(&file, config(0, dir, true))?;
        let tried = Command::new(&path)
            .arg("-t")
            .arg("-c")
            .arg(&file)
            .output()?;
        Ok(Self {
            path,
            version,
            syncs: tried.status.success(),
        })
    }

    /// Its name in a table.
    pub(crate) fn name(&self) -> String {
        let how = if self.syncs {
            "sync always"
        } else {
            "NOT synced"
        };
        format!("NATS {} {how}", self.version)
    }
}

// === impl Nats ===

impl Nats {
    /// Starts it in an empty directory. It takes no port 0, so a free one is looked for.
    pub(crate) fn start(program: &Program, parent: &Path) -> Checked<Self> {
        let dir = parent.join("nats");
        fs::create_dir(&dir)?;
        let mut failed = None;
        for _ in 0..3 {
            let port = TcpListener::bind(loopback(0))?.local_addr()?.port();
            let file = dir.join("nats.conf");
            fs::write(&file, config(port, &dir, program.syncs))?;
            let args = ["-c".into(), file.into()];
            let mut child = Pinned::start(None, &dir.join("log"), &program.path, &args, &[])?;
            let address = loopback(port);
            let made = poll(&mut child, || {
                let stream = json!({
                    "name": "BENCH", "subjects": ["bench.>"], "storage": "file",
                    "retention": "limits", "discard": "old", "max_msgs": -1, "max_bytes": -1,
                    "max_age": 0, "max_msg_size": -1, "num_replicas": 1,
                });
                call(address, "STREAM.CREATE.BENCH", &stream)
            });
            match made {
                Ok(_) => {
                    return Ok(Self {
                        child,
                        address,
                        dir,
                    });
                }
                Err(e) => failed = Some(e),
            }
        }
        Err(failed.unwrap_or_else(|| "no attempt was made".into()))
    }

    /// Messages in the stream.
    pub(crate) fn messages(&mut self) -> Checked<u64> {
        self.child.ensure_alive()?;
        let info = call(self.address, "STREAM.INFO.BENCH", &json!({}))?;
        let messages = info["state"]["messages"].as_u64();
        messages.ok_or_else(|| format!("no state: {info}").into())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // What is left goes with the directory above.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn config(port: u16, dir: &Path, syncs: bool) -> String {
    let sync = if syncs { "sync_interval: always" } else { "" };
    format!(
        "listen: \"127.0.0.1:{port}\"\nmax_payload: {PAYLOAD_BYTES_MAX}\n\
         jetstream {{\n store_dir: \"{}\"\n max_file_store: 200GB\n {sync}\n}}\n",
        dir.join("js").display()
    )
}

/// One call of the JetStream API on a connection of its own.
fn call(address: SocketAddr, subject: &str, body: &Value) -> Checked<Value> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    greet(0, &mut socket)?;
    let body = body.to_string();
    let length = body.len();
    write!(
        socket,
        "PUB $JS.API.{subject} _INBOX.0 {length}\r\n{body}\r\n"
    )?;
    let (mut got, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match socket.read(&mut piece)? {
            0 => return Err("closed without an answer".into()),
            read => got.extend_from_slice(&piece[..read]),
        }
        if let Some(message) = message(&mut got, &mut Vec::new())? {
            let answer: Value = serde_json::from_slice(&message)?;
            return match answer["error"].is_null() {
                true => Ok(answer),
                false => Err(format!("{subject}: {answer}").into()),
            };
        }
    }
}

fn greet(client: usize, socket: &mut TcpStream) -> Checked<()> {
    let mut heard = BufReader::new(socket.try_clone()?);
    let mut line = String::new();
    heard.read_line(&mut line)?;
    if !line.starts_with("INFO ") {
        return Err(format!("not a NATS server: {line}").into());
    }
    let options = r#"{"verbose":false,"pedantic":false,"name":"bench","lang":"rust"}"#;
    write!(
        socket,
        "CONNECT {options}\r\nSUB _INBOX.{client} 1\r\nPING\r\n"
    )?;
    // Nothing comes behind the PONG until something is asked.
    while !line.starts_with("PONG") {
        line.clear();
        if heard.read_line(&mut line)? == 0 || line.starts_with("-ERR") {
            return Err(format!("a greeting was refused: {line}").into());
        }
    }
    Ok(())
}

/// The next message; what the server asks meanwhile is answered.
fn message(got: &mut Vec<u8>, out: &mut Vec<u8>) -> Checked<Option<Vec<u8>>> {
    loop {
        let Some(end) = got.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&got[..end]).into_owned();
        let rest = end + 2;
        match line.split(' ').next() {
            Some("PING") => {
                out.extend_from_slice(b"PONG\r\n");
                got.drain(..rest);
            }
            Some("MSG") => {
                let length = line.rsplit(' ').next().unwrap_or_default();
                let length: usize = length.parse()?;
                if got.len() < rest + length + 2 {
                    return Ok(None);
                }
                let payload = got[rest..rest + length].to_vec();
                got.drain(..rest + length + 2);
                return Ok(Some(payload));
            }
            Some("INFO" | "PONG" | "+OK") => {
                got.drain(..rest);
            }
            _ => return Err(format!("the server said {line:?}").into()),
        }
    }
}

// === impl Publish ===

impl Publish {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            payload: vec![b'x'; bytes],
        }
    }
}

impl Talk for Publish {
    fn greet(&mut self, client: usize, socket: &mut TcpStream) -> Checked<()> {
        greet(client, socket)
    }

    fn ask(&mut self, client: usize, out: &mut Vec<u8>) {
        let length = self.payload.len();
        let line = format!("PUB bench.{client} _INBOX.{client} {length}\r\n");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }

    fn hear(&mut self, _: usize, got: &mut Vec<u8>, out: &mut Vec<u8>) -> Checked<bool> {
        let Some(message) = message(got, out)? else {
            return Ok(false);
        };
        let acknowledged: Value = serde_json::from_slice(&message)?;
        match acknowledged["seq"].as_u64() {
            Some(_) => Ok(true),
            None => Err(format!("not acknowledged: {acknowledged}").into()),
        }
    }
}
