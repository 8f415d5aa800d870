//! The process's memory: giving it back, how much there is, and whether it runs short.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU8, Ordering},
};

/// Returns to the system what the allocator keeps of memory that was freed. Reading a large file of
/// declarations needs several times its size for a moment; without this, 10,000 keys left the
/// process at 18 MB instead of 12.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's function has no safe wrapper")]
pub fn give_back() {
    // SAFETY: `malloc_trim` may be called at any time from any thread; it takes a number of bytes
    // to keep and touches nothing but the allocator's own free lists, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries give memory back by themselves or not at all.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}

/// How short of memory the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Pressure {
    /// Not at all.
    #[default]
    None = 0,
    /// Work that nobody waits for is not begun.
    High = 1,
    /// Nothing new is begun.
    Critical = 2,
}

// Of the process, as its memory is. Relaxed: a number that guards nothing.
static PRESSURE: AtomicU8 = AtomicU8::new(0);

/// How short of memory the process is now: one load.
pub fn pressure() -> Pressure {
    match PRESSURE.load(Ordering::Relaxed) {
        0 => Pressure::None,
        1 => Pressure::High,
        _ => Pressure::Critical,
    }
}

/// Says how short of memory the process is.
pub fn set_pressure(pressure: Pressure) {
    PRESSURE.store(pressure as u8, Ordering::Relaxed);
}

/// Tells from what is resident how short memory is. Behind a mark it takes 5 % less to come back.
#[derive(Debug)]
pub struct Watermark {
    high: u64,
    pressure: Pressure,
}

impl Watermark {
    /// With the mark at so many bytes; nothing new is begun at 10 % more.
    pub fn new(high: u64) -> Self {
        Self {
            high,
            pressure: Pressure::None,
        }
    }

    /// The mark, in bytes.
    pub fn high(&self) -> u64 {
        self.high
    }

    /// How short it is with so many bytes resident.
    pub fn judge(&mut self, resident: u64) -> Pressure {
        let reaches = |pressure: Pressure| {
            let mark = match pressure {
                Pressure::None => 0,
                Pressure::High => self.high,
                Pressure::Critical => self.high / 10 * 11,
            };
            let back = if self.pressure >= pressure {
                mark / 20
            } else {
                0
            };
            resident >= mark - back
        };
        let levels = [Pressure::Critical, Pressure::High];
        let reached = levels.into_iter().find(|level| reaches(*level));
        self.pressure = reached.unwrap_or_default();
        self.pressure
    }
}

/// Bytes of the process that are in memory; none where the system does not say.
pub fn resident() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

fn page_bytes() -> u64 {
    const AT_PAGESZ: usize = 6;
    static PAGE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *PAGE.get_or_init(|| {
        const WORD: usize = size_of::<usize>();
        let auxv = fs::read("/proc/self/auxv").unwrap_or_default();
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, usize::from_ne_bytes);
        let pairs = auxv.chunks_exact(2 * WORD);
        let mut values = pairs.map(|pair| (word(&pair[..WORD]), word(&pair[WORD..])));
        let found = values.find(|(kind, _)| *kind == AT_PAGESZ);
        found.map_or(4_096, |(_, bytes)| bytes as u64)
    })
}

/// How much memory the process may have: its control group's limit or the machine's memory, whichever is
/// less; none where the system does not say.
pub fn limit() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| mem_total(&text));
    let read = |path: &Path| fs::read_to_string(path).ok();
    let limits = group_files(&group)
        .into_iter()
        .filter_map(|path| bytes(&read(&path)?));
    limits.chain(machine).min()
}

/// The files that hold limits of a process's control groups, from its own up to the root: each of them
/// holds. Inside a container its own may be the root of what it sees.
fn group_files(group: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in group.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            named if named.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let own = Path::new(path.trim_start_matches('/'));
        files.extend(
            own.ancestors()
                .map(|of| Path::new(root).join(of).join(file)),
        );
    }
    files
}

/// `max` is none, and so is what is as good as none.
fn bytes(text: &str) -> Option<u64> {
    let bytes: u64 = text.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_left_below_where_it_was_reached() {
        let mut mark = Watermark::new(1_000);
        for (resident, expected) in [
            (999, Pressure::None),
            (1_000, Pressure::High),
            (960, Pressure::High),
            (949, Pressure::None),
            (960, Pressure::None),
            (1_100, Pressure::Critical),
            (1_046, Pressure::Critical),
            (1_044, Pressure::High),
            (1_099, Pressure::High),
            (2_000, Pressure::Critical),
            (0, Pressure::None),
        ] {
            assert_eq!(mark.judge(resident), expected, "{resident}");
        }
    }

    #[test]
    fn limits_of_both_kinds_of_control_groups_are_found() {
        let paths = |text: &str| {
            let files = group_files(text).into_iter();
            files
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            paths("0::/a/b\n"),
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            paths("5:cpu,cpuacct:/x\n4:memory:/\n"),
            ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert_eq!(bytes("max\n"), None);
        assert_eq!(bytes("9223372036854771712\n"), None);
        assert_eq!(bytes("1048576\n"), Some(1 << 20));
        assert_eq!(
            mem_total("MemFree: 1 kB\nMemTotal:   16 kB\n"),
            Some(16_384)
        );
    }

    #[test]
    fn a_running_process_has_a_size_below_its_limit() {
        let (resident, limit) = (resident().expect("Linux"), limit().expect("Linux"));
        assert!(
            resident > 1 << 20 && resident < limit,
            "{resident} of {limit}"
        );
    }
}
