//! The same cases against nginx and HAProxy as plain reverse proxies, for information.
//!
//! They know no keys and rewrite no path, so what weir refuses for those two they may rightly pass
//! on: the table tells what happens, not who is right.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    super::{Backend, Ended, Gateway, PATIENCE, RawClient, backend::Received, holds_within, iris},
    Case,
    judge::raw,
    run::{Seen, id_of, is_of, perform, recorder},
};

/// Another gateway's process; killed when dropped.
struct Other {
    child: Child,
    addr: SocketAddr,
    _dir: TempDir,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints what each gateway makes of each case, and the totals.
pub(crate) fn compare(families: &[(&str, Vec<Case>)]) {
    let cases: Vec<&Case> = families.iter().flat_map(|(_, cases)| cases).collect();
    let weir = recorder();
    let gateway = Gateway::with(iris(&weir)).env("WEIR_WORKERS", 1).start();
    let mut columns = vec![("weir", verdicts(gateway.addr(), &weir, &cases))];
    for (name, binary, config) in [
        (
            "nginx",
            "/usr/sbin/nginx",
            nginx as fn(u16, SocketAddr, &str) -> String,
        ),
        ("haproxy", "/usr/sbin/haproxy", haproxy),
    ] {
        let backend = recorder();
        match start(name, binary, config, backend.addr()) {
            Some(other) => columns.push((name, verdicts(other.addr, &backend, &cases))),
            None => println!("{name} is not here, or did not start"),
        }
    }
    let names: Vec<_> = columns
        .iter()
        .map(|(name, _)| format!("{name:<22}"))
        .collect();
    println!("{:<48}{}", "case", names.concat());
    for (nth, case) in cases.iter().enumerate() {
        let cells: Vec<_> = columns
            .iter()
            .map(|(_, all)| format!("{:<22}", all[nth]))
            .collect();
        println!("{:<48}{}", case.name, cells.concat().trim_end());
    }
    for (name, all) in &columns {
        let mut totals = BTreeMap::new();
        for verdict in all {
            *totals
                .entry(verdict.split(' ').next().unwrap_or_default())
                .or_insert(0) += 1;
        }
        println!("{name}: {totals:?}");
    }
}

/// What became of each case, one after the other.
fn verdicts(addr: SocketAddr, backend: &Backend, cases: &[&Case]) -> Vec<String> {
    let mut ended_badly = 0;
    let mut all = Vec::new();
    for (nth, case) in cases.iter().enumerate() {
        let before = backend.count();
        let saw = perform(addr, case, &id_of(nth));
        // By then its connection is closed, and whatever the backend was sent of it has come.
        let received = backend.received();
        let of_case = received[before.min(received.len())..].iter();
        let reached: Vec<_> = of_case.filter(|r| is_of(r, nth)).collect();
        let bad = (0..backend.connections())
            .filter_map(|conn| backend.end_of(conn))
            .filter(|(_, ended)| matches!(ended, Ended::Bad(_)))
            .count();
        all.push(verdict(&saw, &reached, bad > ended_badly));
        ended_badly = bad;
    }
    all
}

fn verdict(saw: &Seen, reached: &[&Received], was_bad: bool) -> String {
    // Beside those whose own path leads there.
    let smuggled = ["/smuggled", "/predict/demo/iris/smuggled"];
    if reached.iter().any(|r| smuggled.contains(&r.head.target())) {
        return "desynchronised".to_owned();
    }
    if was_bad || reached.iter().any(|r| !raw(&r.head, None).is_empty()) {
        return "raw".to_owned();
    }
    let own = reached
        .iter()
        .filter(|r| !r.head.target().contains("/after"));
    match (own.count(), saw.statuses.first()) {
        (0, Some(status)) => format!("refused {status}"),
        (0, None) => "refused without words".to_owned(),
        (_, Some(status)) => format!("reframed {status}"),
        (_, None) => "reframed unanswered".to_owned(),
    }
}

/// Starts another gateway in front of the backend, on a port that was free a moment ago.
fn start(
    name: &str,
    binary: &str,
    config: fn(u16, SocketAddr, &str) -> String,
    backend: SocketAddr,
) -> Option<Other> {
    if !Path::new(binary).exists() {
        return None;
    }
    let dir = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let at = dir.path().to_str().unwrap();
    let file = dir.path().join(name);
    fs::write(&file, config(port, backend, at)).unwrap();
    let flag = if name == "nginx" { "-c" } else { "-f" };
    let child = Command::new(binary)
        .arg(flag)
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let other = Other {
        child,
        addr,
        _dir: dir,
    };
    let listens = holds_within(PATIENCE / 3, || RawClient::try_connect(addr).is_ok());
    listens.then_some(other)
}

fn nginx(port: u16, backend: SocketAddr, dir: &str) -> String {
    format!(
        r#"daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  client_max_body_size 64m;
  upstream model {{ server {backend}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"#
    )
}

fn haproxy(port: u16, backend: SocketAddr, _dir: &str) -> String {
    format!(
        r"global
  nbthread 1
  maxconn 512
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
  timeout http-request 5s
  option http-keep-alive
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}
  default_backend models
backend models
  server model {backend}
"
    )
}
