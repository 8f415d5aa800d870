//! What a process has used, and the arithmetic of samples.

use std::{fs, thread, time::Duration};

use nix::{
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

use super::{Checked, child::Cores};

/// The unit of /proc/stat: USER_HZ is 100 on every Linux that Rust runs on.
const TICK_NS: u64 = 10_000_000;

/// A process is quiet when it has used less than this share of a core for so long: longer than anything
/// in weir gathers pairs before it hands them on.
const QUIET_SHARE: f64 = 0.02;
const QUIET_FOR: Duration = Duration::from_millis(600);
/// How often that is looked at, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// Whose CPU time is read: each of the three is one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    proxy: Option<ClockId>,
    model: ClockId,
    cores: Cores,
}

/// CPU time used so far, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    at: u64,
    proxy: u64,
    load: u64,
    /// Both cores, whoever used them.
    anybody: u64,
}

/// CPU time used between two readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// The wall clock, in seconds.
    pub(crate) seconds: f64,
    /// The proxy's user and system time, in microseconds.
    pub(crate) proxy_us: f64,
    /// The share of its core that the proxy used.
    pub(crate) proxy_busy: f64,
    /// The share of its core that the load and the model used.
    pub(crate) load_busy: f64,
    /// The share of both cores that went to others. With more than a few percent the caches and the
    /// latencies are theirs, and the run says little.
    pub(crate) others_busy: f64,
}

// === impl Meter ===

impl Meter {
    /// Of a proxy (none when the model is called directly) and the model.
    ///
    /// A process's CPU clock is the sum that `/proc/PID/stat` shows as user and system time, in
    /// nanoseconds instead of ticks of 10 ms, and it includes threads that have ended.
    pub(crate) fn new(proxy: Option<Pid>, model: Pid, cores: Cores) -> Checked<Self> {
        Ok(Self {
            proxy: proxy.map(clock_getcpuclockid).transpose()?,
            model: clock_getcpuclockid(model)?,
            cores,
        })
    }

    /// The sums so far.
    pub(crate) fn read(&self) -> Checked<Reading> {
        Ok(Reading {
            at: now_ns(),
            proxy: self.proxy.map_or(Ok(0), clock_ns)?,
            load: clock_ns(self.model)? + clock_ns(ClockId::CLOCK_PROCESS_CPUTIME_ID)?,
            anybody: cores_ns(self.cores)?,
        })
    }
}

impl Reading {
    /// From this reading to a later one.
    pub(crate) fn until(&self, later: &Self) -> Used {
        let wall = (later.at - self.at) as f64;
        let (proxy, load) = (later.proxy - self.proxy, later.load - self.load);
        let others = (later.anybody - self.anybody).saturating_sub(proxy + load);
        Used {
            seconds: wall / 1e9,
            proxy_us: proxy as f64 / 1e3,
            proxy_busy: proxy as f64 / wall,
            load_busy: load as f64 / wall,
            others_busy: others as f64 / (2.0 * wall),
        }
    }
}

/// CLOCK_MONOTONIC, which all processes of a machine share.
pub(crate) fn now_ns() -> u64 {
    clock_ns(ClockId::CLOCK_MONOTONIC).unwrap_or(0)
}

fn clock_ns(clock: ClockId) -> Checked<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned())
}

/// Time in which the two cores were not idle. Sampled in ticks, so it is
/// rough over less than a second.
fn cores_ns(cores: Cores) -> Checked<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let mut sum = 0;
    for core in [cores.proxy, cores.load] {
        let name = format!("cpu{core} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name));
        let ticks: Vec<u64> = line
            .ok_or("a core that /proc/stat does not know")?
            .split_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
            return Err("a line of /proc/stat that is too short".into());
        };
        sum += user + nice + system + irq + softirq + steal;
    }
    Ok(sum * TICK_NS)
}

/// A process's proportional memory in KiB; its resident memory where the kernel lacks the former.
pub(crate) fn memory_kib(pid: Pid) -> Checked<f64> {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    field("smaps_rollup", "Pss:")
        .or_else(|| field("status", "VmRSS:"))
        .ok_or_else(|| format!("no memory figures for process {pid}").into())
}

/// The CPU time that a process has used, in seconds.
pub(crate) fn cpu_seconds(pid: Pid) -> Checked<f64> {
    Ok(clock_ns(clock_getcpuclockid(pid)?)? as f64 / 1e9)
}

/// Waits until a process does nothing more: then what it had put off is done.
pub(crate) fn settle(pid: Pid) -> Checked<()> {
    let clock = clock_getcpuclockid(pid)?;
    let started = now_ns();
    let (mut since, mut used) = (started, clock_ns(clock)?);
    loop {
        thread::sleep(LOOK_EVERY);
        let (now, used_now) = (now_ns(), clock_ns(clock)?);
        let most = QUIET_SHARE * QUIET_FOR.as_nanos() as f64;
        if (used_now - used) as f64 > most {
            (since, used) = (now, used_now);
        } else if u128::from(now - since) >= QUIET_FOR.as_nanos() {
            return Ok(());
        }
        if u128::from(now - started) > QUIET_WITHIN.as_nanos() {
            return Err("still busy a minute after its load".into());
        }
    }
}

/// A field of `/proc/PID/status` that is given in KiB, such as `VmRSS`.
pub(crate) fn status_kib(pid: Pid, name: &str) -> Checked<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {name}"))?.parse()?)
}

/// The value that a share of the sorted samples do not exceed (nearest rank).
pub(crate) fn quantile(sorted: &[i64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |&value| value as f64)
}

/// The middle one, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
