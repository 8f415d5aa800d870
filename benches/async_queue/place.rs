//! A gateway in a directory of its own: a hundred deployments for direct calls, and one whose queue
//! is filled.

use std::{
    ffi::OsString,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::client::Client;
use crate::common::{
    Checked,
    start::{Model, Setup, Weir, binary},
    wire::{self, key},
};

/// The deployment whose queue is filled. Direct calls go to others.
pub(crate) const LATER: &str = "later";

/// So large that no cap is met: they are measured elsewhere.
const SETTINGS: [(&str, &str); 4] = [
    ("WEIR_QUEUE_WAITING_MAX", "10000000"),
    ("WEIR_QUEUE_WAITING_PER_KEY_MAX", "10000000"),
    ("WEIR_QUEUE_DISK_BYTES_MAX", "1099511627776"),
    ("WEIR_LOG_LEVEL", "warn"),
];

/// Between two looks at the counters.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A queue that ends nothing for so long has failed.
const STALL: Duration = Duration::from_secs(15);

/// The directory.
pub(crate) struct Place {
    dir: PathBuf,
    declared: PathBuf,
}

/// A gateway that runs there, and its operator.
pub(crate) struct Running {
    pub(crate) weir: Weir,
    admin: Client,
}

// === impl Place ===

impl Place {
    /// An empty directory with nothing in it but declarations.
    pub(crate) fn new(parent: &Path, name: &str, model: &Model) -> Checked<Self> {
        let dir = parent.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        let declared = dir.join("bench.toml");
        fs::write(&declared, declarations(model))?;
        Ok(Self { dir, declared })
    }

    /// Starts a gateway from its file.
    pub(crate) fn start(&self) -> Checked<Running> {
        self.start_from(Some(&self.declared))
    }

    /// Starts one from what it has kept alone.
    pub(crate) fn start_again(&self) -> Checked<Running> {
        self.start_from(None)
    }

    fn start_from(&self, declared: Option<&Path>) -> Checked<Running> {
        let setup = Setup {
            dir: &self.dir,
            declared,
            workers: 2,
            core: None,
        };
        let settings = SETTINGS.map(|(name, value)| (name, OsString::from(value)));
        let weir = Weir::start_with(&binary(), setup, &settings)?;
        let admin = Client::connect(weir.admin)?;
        Ok(Running { weir, admin })
    }

    /// Where its store is.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Gigabytes; what is left goes with the directory above.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

// === impl Running ===

impl Running {
    /// Takes the deployment out of service: its queue takes in, and waits.
    pub(crate) fn stop_later(&mut self) -> Checked<()> {
        self.operate("stop")
    }

    /// Puts it back.
    pub(crate) fn restart_later(&mut self) -> Checked<()> {
        self.operate("restart")
    }

    fn operate(&mut self, verb: &str) -> Checked<()> {
        let path = format!("/projects/bench/deployments/{LATER}/{verb}?wait=30");
        let done = self.admin.want(202, "POST", &path, &json!({}))?;
        match done["task"]["status"] == "done" {
            true => Ok(()),
            false => Err(format!("{verb}: {done}").into()),
        }
    }

    /// A counter's (or gauge's) sum over its labels, and over those alone that hold `label`: both of
    /// the same moment.
    pub(crate) fn sums(&mut self, name: &str, label: &str) -> Checked<(u64, u64)> {
        let metrics = self.admin.metrics()?;
        let (mut all, mut labelled) = (0, 0);
        for line in metrics.lines() {
            let rest = line.strip_prefix(name);
            let Some(rest) = rest.filter(|rest| rest.starts_with(['{', ' '])) else {
                continue;
            };
            let (labels, value) = rest.rsplit_once(' ').ok_or("a metric without a value")?;
            let value = value.parse::<f64>()? as u64;
            all += value;
            if labels.contains(label) {
                labelled += value;
            }
        }
        Ok((all, labelled))
    }

    /// Requests accepted since the start.
    pub(crate) fn accepted(&mut self) -> Checked<u64> {
        Ok(self.sums("weir_async_accepted_total", "")?.0)
    }

    /// Requests completed since the start; one that ended otherwise is an error.
    pub(crate) fn completed(&mut self) -> Checked<u64> {
        let (ended, completed) = self.sums("weir_async_finished_total", "\"completed\"")?;
        match ended == completed {
            true => Ok(completed),
            false => Err(format!("{} requests were not completed", ended - completed).into()),
        }
    }

    /// Waits until as many are completed, and says when that was seen.
    pub(crate) fn wait_completed(&mut self, count: u64) -> Checked<Instant> {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let now = self.completed()?;
            if now >= count {
                return Ok(Instant::now());
            }
            if now > last {
                (last, moved) = (now, Instant::now());
            } else if moved.elapsed() > STALL {
                return Err(format!("{now} of {count} completed, and nothing moves").into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

fn declarations(model: &Model) -> String {
    let mut text = String::new();
    let mut put = |args: std::fmt::Arguments<'_>| {
        // Writing to a string can't fail.
        let _ = text.write_fmt(args);
    };
    let names = (0..wire::DEPLOYMENTS).map(wire::deployment);
    for name in names.chain([LATER.to_owned()]) {
        put(format_args!(
            "[[deployment]]\nproject = \"bench\"\nname = \"{name}\"\n[deployment.version.main]\n\
             backends = [{{ url = \"http://{}\" }}]\n",
            model.address,
        ));
    }
    for index in 0..wire::KEYS {
        let digest = blake3::hash(key(index).as_bytes()).to_hex();
        put(format_args!(
            "[[key]]\ndigest = \"{digest}\"\nscope = \"bench\"\n"
        ));
    }
    text
}
