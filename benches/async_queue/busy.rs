//! Who used the cores: this benchmark with all that it started, or others.
//!
//! PostgreSQL is a process for each client, so no single CPU clock tells what it took; the tree of
//! processes does, in ticks of 10 ms.

use std::{collections::HashMap, fs};

use crate::common::{Checked, meter::now_ns};

/// USER_HZ is 100 on every Linux that Rust runs on.
const TICK_NS: u64 = 10_000_000;

/// What had been used at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    at: u64,
    cores: u64,
    anybody: u64,
    ours: u64,
}

impl Busy {
    /// Now.
    pub(crate) fn now() -> Checked<Self> {
        let (cores, anybody) = all()?;
        Ok(Self {
            at: now_ns(),
            cores,
            anybody,
            ours: ours()?,
        })
    }

    /// The share of all cores that others have used since, in percent.
    pub(crate) fn others_until(&self, later: &Self) -> f64 {
        let ours = later.ours.saturating_sub(self.ours);
        let others = (later.anybody - self.anybody).saturating_sub(ours);
        let wall = (later.at - self.at) * self.cores;
        (others * TICK_NS) as f64 / wall as f64 * 100.0
    }
}

/// How many cores there are, and the ticks in which they were not idle.
fn all() -> Checked<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let is_core = |line: &&str| {
        let rest = line.strip_prefix("cpu");
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let (mut cores, mut sum) = (0, 0);
    for line in stat.lines().filter(is_core) {
        let ticks = line.split_whitespace().skip(1);
        let ticks: Vec<u64> = ticks.map_while(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
            return Err("a line of /proc/stat that is too short".into());
        };
        cores += 1;
        sum += user + nice + system + irq + softirq + steal;
    }
    Ok((cores, sum))
}

/// Ticks of this process and of all below it, those that have ended included.
fn ours() -> Checked<u64> {
    let mut below: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    let own = std::process::id();
    let mut sum = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile; its parent has its ticks then.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // A program's name, in parentheses, may hold anything.
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let Some(parent) = field(1).and_then(|parent| u32::try_from(parent).ok()) else {
            continue;
        };
        // utime, stime, and those of children that were waited for.
        let ticks = (11..15).filter_map(field).sum();
        if pid == own {
            sum += ticks;
        }
        below.entry(parent).or_default().push((pid, ticks));
    }
    let mut next = vec![own];
    while let Some(pid) = next.pop() {
        for (child, ticks) in below.remove(&pid).unwrap_or_default() {
            sum += ticks;
            next.push(child);
        }
    }
    Ok(sum)
}
