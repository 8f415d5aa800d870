//! Child processes that may be pinned to a core and never outlive the benchmark.
//!
//! A child is this executable again (`launch`), which pins itself, asks the kernel to be killed
//! when its parent dies, and only then becomes the program. So a proxy is gone after a panic (its
//! guard drops), after Ctrl-C and after a SIGKILL of the benchmark alike.

use std::{
    convert::Infallible,
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

use super::Checked;

/// The first argument that makes this executable a launcher.
pub(crate) const LAUNCH: &str = "launch";

/// Instead of a core: wherever the system puts it.
const ANY: &str = "any";

/// A running child; killed when dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    child: Child,
    log: PathBuf,
}

/// The cores: the proxy has one alone, the load and the model share the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// Where the proxies run.
    pub(crate) proxy: usize,
    /// Where everything else runs.
    pub(crate) load: usize,
}

// === impl Cores ===

impl Cores {
    /// The first and the last core that this process may use.
    pub(crate) fn choose() -> Checked<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core) == Ok(true));
        let load = cores.next().ok_or("no core may be used")?;
        let proxy = cores.next_back().unwrap_or(load);
        Ok(Self { proxy, load })
    }
}

// === impl Pinned ===

impl Pinned {
    /// Starts `program` on one core (or any), its output in `log`.
    pub(crate) fn start(
        core: Option<usize>,
        log: &Path,
        program: &Path,
        args: &[OsString],
        env: &[(&str, OsString)],
    ) -> Checked<Self> {
        let output = File::create(log)?;
        let child = launcher(core, program, args)?
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    /// Starts `program` on one core (or any) and waits for the first line that it prints.
    pub(crate) fn start_and_hear(
        core: Option<usize>,
        log: &Path,
        program: &Path,
        args: &[OsString],
    ) -> Checked<(Self, String)> {
        let mut child = launcher(core, program, args)?
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()?;
        let stdout = child.stdout.take();
        let log = log.to_owned();
        // Guarded before the first thing that can fail.
        let pinned = Self { child, log };
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no stdout")?).read_line(&mut line)?;
        Ok((pinned, line.trim().to_owned()))
    }

    /// Its process id. `exec` keeps it, so it is the program's own.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Fails with its last words when it has ended.
    pub(crate) fn ensure_alive(&mut self) -> Checked<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("ended with {status}:\n{}", self.last_words()).into()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Checked<()> {
        kill(self.pid(), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("ended with {status}:\n{}", self.last_words()).into()),
        }
    }

    /// Sends it a signal that it ends by, and waits until it has, however it puts that.
    pub(crate) fn end_by(mut self, signal: Signal) -> Checked<()> {
        kill(self.pid(), signal)?;
        self.child.wait()?;
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(4_000)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launcher(core: Option<usize>, program: &Path, args: &[OsString]) -> Checked<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(LAUNCH)
        .arg(core.map_or(ANY.to_owned(), |core| core.to_string()))
        .arg(std::process::id().to_string())
        .arg(program)
        .args(args)
        .stdin(Stdio::null());
    Ok(command)
}

/// The launcher's half: `launch CORE PARENT PROGRAM ARGS...`.
pub(crate) fn launch(mut args: impl Iterator<Item = OsString>) -> Checked<Infallible> {
    let mut next = || args.next().ok_or("launch: too few arguments");
    let core = next()?;
    let parent: i32 = next()?.to_string_lossy().parse()?;
    let program = next()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died between the fork and the line above.
    if getppid().as_raw() != parent {
        return Err("launch: the benchmark is gone".into());
    }
    if core != ANY {
        pin(core.to_string_lossy().parse()?)?;
    }
    raise_file_limit()?;
    Err(Command::new(program).args(args).exec().into())
}

/// Pins this process to one core.
pub(crate) fn pin(core: usize) -> Checked<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// A thousand streams are two thousand sockets in a proxy; common soft limits are 1,024.
pub(crate) fn raise_file_limit() -> Checked<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // HAProxy and others size tables by the limit; some systems have one of a billion.
    let wanted = hard.min(65_536);
    Ok(setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?)
}
