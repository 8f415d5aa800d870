//! PostgreSQL: one row for each request, committed before pgbench hears of it.
//!
//! As root it runs as the user `postgres`, since it refuses root. The row's body is made by the
//! server, so that none of it travels, and is kept as it is: compressed, as many equal letters would
//! be a few bytes.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::sys::signal::Signal;

use super::{busy::Busy, clients::Seen};
use crate::common::{Checked, child::Pinned, load::Window, meter::quantile, start::poll};

/// Where distributions keep it: a directory for each version.
const INSTALLED: &str = "/usr/lib/postgresql";
/// Who it runs as under root.
const USER: &str = "postgres";

/// How often pgbench is given more time to connect.
const CONNECT_TRIES: u32 = 3;
/// By so much the last transaction may end before the window does.
const SLACK_NS: u64 = 200_000_000;

/// What differs from the defaults: memory and room for a log of this size, more clients, and what
/// has to be durable said in words.
const SETTINGS: [&str; 9] = [
    "listen_addresses=",
    "max_connections=1100",
    "shared_buffers=256MB",
    "max_wal_size=8GB",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "logging_collector=off",
    "default_toast_compression=pglz",
];

/// The programs.
#[derive(Debug)]
pub(crate) struct Programs {
    bin: PathBuf,
    version: String,
    /// The user and group to run as.
    user: Option<(u32, u32)>,
}

/// A running server with one table.
pub(crate) struct Postgres<'p> {
    programs: &'p Programs,
    // Killed before its directory goes.
    child: Option<Pinned>,
    dir: PathBuf,
}

// === impl Programs ===

impl Programs {
    /// Finds them.
    pub(crate) fn find() -> Checked<Self> {
        let bin = match env::var_os("PG_BIN") {
            Some(bin) => bin.into(),
            None => newest().ok_or("PostgreSQL: apt-get install postgresql")?,
        };
        let said = Command::new(bin.join("postgres")).arg("--version").output();
        let said = said.map_err(|e| format!("{}: {e}", bin.display()))?;
        let version = String::from_utf8_lossy(&said.stdout);
        let version = version.split_whitespace().nth(2).unwrap_or("?").to_owned();
        let user = match rustix::process::geteuid().is_root() {
            false => None,
            true => Some(user().ok_or("PostgreSQL refuses root, and there is no user postgres")?),
        };
        Ok(Self { bin, version, user })
    }

    /// Its name in a table.
    pub(crate) fn name(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    /// A program and its arguments, as whoever may run it.
    fn line(&self, program: &str, args: &[&str]) -> (PathBuf, Vec<OsString>) {
        let path = self.bin.join(program);
        let args = args.iter().map(OsString::from);
        match self.user {
            None => (path, args.collect()),
            Some((user, group)) => {
                let mut all: Vec<OsString> = vec![
                    format!("--reuid={user}").into(),
                    format!("--regid={group}").into(),
                    "--clear-groups".into(),
                    // A change of user forgets what the launcher asked for.
                    "--pdeathsig=INT".into(),
                    path.into(),
                ];
                all.extend(args);
                ("setpriv".into(), all)
            }
        }
    }

    fn run(&self, program: &str, args: &[&str]) -> Checked<Output> {
        let (path, args) = self.line(program, args);
        let output = Command::new(path).args(args).current_dir("/").output()?;
        match output.status.success() {
            true => Ok(output),
            false => {
                let words = String::from_utf8_lossy(&output.stderr);
                Err(format!("{program}: {words}").into())
            }
        }
    }
}

fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir(INSTALLED).ok()?.flatten();
    let bins = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let bin = version.path().join("bin");
        bin.join("pgbench").is_file().then_some((number, bin))
    });
    bins.max().map(|(_, bin)| bin)
}

fn user() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    let user = fields.next()?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

// === impl Postgres ===

impl<'p> Postgres<'p> {
    /// Makes a cluster in an empty directory, starts it, and makes its table.
    pub(crate) fn start(programs: &'p Programs, parent: &Path) -> Checked<Self> {
        let dir = parent.join("postgres");
        fs::create_dir(&dir)?;
        if let Some((user, group)) = programs.user {
            chown(&dir, Some(user), Some(group))?;
            // Temporary directories are their maker's alone.
            fs::set_permissions(parent, fs::Permissions::from_mode(0o711))?;
        }
        let mut postgres = Self {
            programs,
            child: None,
            dir,
        };
        let data = postgres.path("data")?;
        let args = [
            "-D",
            &data,
            "-A",
            "trust",
            "-U",
            USER,
            "-N",
            "-E",
            "UTF8",
            "--no-locale",
        ];
        programs.run("initdb", &args)?;
        let mut args = vec!["-D".to_owned(), data, "-k".to_owned(), postgres.path("")?];
        args.extend(
            SETTINGS
                .iter()
                .flat_map(|s| ["-c".to_owned(), (*s).to_owned()]),
        );
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (path, args) = programs.line("postgres", &args);
        let log = parent.join("postgres.log");
        let child = postgres
            .child
            .insert(Pinned::start(None, &log, &path, &args, &[])?);
        let place = postgres.dir.display().to_string();
        poll(child, || {
            programs.run("pg_isready", &["-q", "-h", &place, "-U", USER])
        })?;
        postgres.sql(
            "CREATE TABLE requests (id uuid PRIMARY KEY, body bytea NOT NULL);
             ALTER TABLE requests ALTER COLUMN body SET STORAGE EXTERNAL;",
        )?;
        Ok(postgres)
    }

    fn path(&self, name: &str) -> Checked<String> {
        let path = self.dir.join(name);
        let path = path.to_str().ok_or("a directory that is not UTF-8")?;
        Ok(path.trim_end_matches('/').to_owned())
    }

    fn sql(&self, sql: &str) -> Checked<String> {
        let place = self.path("")?;
        let args = ["-h", &place, "-U", USER, "-X", "-q", "-t", "-A", "-c", sql];
        let output = self.programs.run("psql", &args)?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Rows of the table.
    pub(crate) fn rows(&self) -> Checked<u64> {
        Ok(self.sql("SELECT count(*) FROM requests")?.parse()?)
    }

    /// Has clients insert rows, each its next one when the last is committed.
    ///
    /// pgbench's time runs while its clients connect, each to a process that is forked for it; on a
    /// busy machine that may take longer than was thought, and then it is tried again with more.
    pub(crate) fn insert(&self, clients: usize, bytes: usize, window: Window) -> Checked<Seen> {
        let script = self.dir.join("insert.sql");
        let insert = format!(
            "INSERT INTO requests VALUES (gen_random_uuid(), repeat('x', {bytes})::bytea);\n"
        );
        fs::write(&script, insert)?;
        let length = (window.warmup_ns + window.length_ns).div_ceil(1_000_000_000);
        let mut connecting = 1 + clients as u64 / 64;
        let mut inserted = 0;
        for _ in 0..CONNECT_TRIES {
            let before = Busy::now()?;
            self.bench(clients, length + connecting)?;
            let others = before.others_until(&Busy::now()?);
            let (answers, seen) = self.read_logs(window)?;
            inserted += answers;
            if let Some(seen) = seen {
                return Ok(Seen {
                    answers: inserted,
                    others,
                    ..seen
                });
            }
            connecting *= 3;
        }
        Err("pgbench's clients did not connect in time".into())
    }

    fn bench(&self, clients: usize, seconds: u64) -> Checked<()> {
        let (place, script) = (self.path("")?, self.path("insert.sql")?);
        let log = format!("--log-prefix={}", self.path("log")?);
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let args = [
            "-h", &place, "-U", USER, "-n", "-M", "prepared", "-f", &script, "-c", &clients, "-j",
            "1", "-T", &seconds, "-l", &log, "postgres",
        ];
        self.programs.run("pgbench", &args)?;
        Ok(())
    }

    /// A line for each transaction: client, number, microseconds, script, and when it ended.
    /// How many there are, and what was seen in the window, if it was over before the end.
    fn read_logs(&self, window: Window) -> Checked<(u64, Option<Seen>)> {
        let mut ended: Vec<(u64, i64)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(|name| name.starts_with("log.")) {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let fields: Vec<u64> = line
                    .split(' ')
                    .map_while(|field| field.parse().ok())
                    .collect();
                let [_, _, took_us, _, second, us, ..] = fields[..] else {
                    return Err(format!("a line of pgbench: {line}").into());
                };
                ended.push((second * 1_000_000 + us, took_us.cast_signed() * 1_000));
            }
            fs::remove_file(&path)?;
        }
        ended.sort_unstable();
        let answers = ended.len() as u64;
        let (Some(&(first, _)), Some(&(last, _))) = (ended.first(), ended.last()) else {
            return Ok((answers, None));
        };
        let (open, close) = window.from(first * 1_000);
        if last * 1_000 + SLACK_NS < close {
            return Ok((answers, None));
        }
        let within = ended
            .iter()
            .filter(|(at, _)| (open..close).contains(&(at * 1_000)));
        let mut latencies: Vec<i64> = within.map(|(_, took)| *took).collect();
        latencies.sort_unstable();
        let seen = Seen {
            answers,
            per_second: latencies.len() as f64 / (window.length_ns as f64 / 1e9),
            p50_ms: quantile(&latencies, 0.5) / 1e6,
            p99_ms: quantile(&latencies, 0.99) / 1e6,
            others: f64::NAN,
        };
        Ok((answers, Some(seen)))
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            // At once, and not by a kill, which would leave its children to find out.
            let _ = child.end_by(Signal::SIGQUIT);
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
