//! Where declarations come from: a file, read again when it changes and when asked.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use super::{Changes, Control, error::ControlError};
use crate::{
    base::memory,
    spec::{Declarations, Mistakes, utf8},
    telemetry::{series, table},
};

/// How often the file is looked at. Watching it through the system would miss what editors and
/// config maps do: replace it by a rename, or by another link.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the file has to stay as it is before a change of it is taken: whoever writes it in place
/// empties it first, and a file cut at the right line is a good one that revokes half the keys.
const SETTLES_FOR: Duration = Duration::from_millis(50);

/// How often a file that keeps changing is waited for; then it is read as it is.
const SETTLES_MAX: u32 = 20;

/// Why a file's declarations could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It has mistakes; each with its place.
    #[error("{}", mistakes.in_file(Some(path)))]
    Mistaken {
        /// The file.
        path: PathBuf,
        /// All of them.
        mistakes: Mistakes,
    },
    /// Control does not take it.
    #[error("{}: {error}", path.display())]
    Control {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ControlError,
    },
}

/// Reads and checks a declarations file.
///
/// # Errors
/// [`SourceError`] with every mistake at once.
pub fn read(path: &Path) -> Result<Declarations, SourceError> {
    let bytes = fs::read(path).map_err(|error| SourceError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let parsed = utf8(&bytes).and_then(Declarations::from_toml);
    parsed.map_err(|mistakes| SourceError::Mistaken {
        path: path.to_owned(),
        mistakes,
    })
}

/// What tells one state of a file from another.
type Stamp = Option<(SystemTime, u64, u64)>;

/// In which state a file was when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(Stamp);

/// Looks at a file, to be followed from this state on. To be called before it is read: a change
/// meanwhile is then one.
pub fn look(path: &Path) -> Seen {
    Seen(stamp(path))
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

/// Follows a file from the state in which it was `seen`: declares it anew when it has changed, and whenever `reload` says so. A bad file
/// changes nothing and is reported with all its mistakes. Ends when `reload` is closed.
pub async fn follow(
    path: PathBuf,
    seen: Seen,
    control: Arc<Control>,
    mut reload: mpsc::Receiver<()>,
) {
    let Seen(mut seen) = seen;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let asked = tokio::select! {
            asked = reload.recv() => match asked {
                Some(()) => true,
                None => return,
            },
            _ = looks.tick() => false,
        };
        // Taken before reading: a change meanwhile shows as one at the next look.
        let now = stamp(&path);
        if asked || now != seen {
            seen = if asked {
                now
            } else {
                settled(&path, now).await
            };
            reload_once(&path, &control).await;
        }
    }
}

/// The state in which a file that has changed comes to rest. Whoever asks by a signal has written it
/// to its end and is not kept waiting.
async fn settled(path: &Path, mut now: Stamp) -> Stamp {
    for _ in 0..SETTLES_MAX {
        tokio::time::sleep(SETTLES_FOR).await;
        let before = std::mem::replace(&mut now, stamp(path));
        if now == before {
            break;
        }
    }
    now
}

async fn reload_once(path: &Path, control: &Arc<Control>) {
    let result = match take(path, control).await {
        Err(error) => {
            for line in error.to_string().lines() {
                tracing::error!(
                    mistake = line,
                    "declarations refused, the old ones stay in force"
                );
            }
            "refused"
        }
        Ok(changes) => {
            memory::give_back();
            log(&changes, path);
            if changes.is_empty() {
                "unchanged"
            } else {
                "applied"
            }
        }
    };
    series::count(&table::RELOADS, &[result], 1);
}

/// Reads a declarations file and puts it in force.
///
/// # Errors
/// [`SourceError`]; then nothing of it is in force.
pub async fn take(path: &Path, control: &Arc<Control>) -> Result<Changes, SourceError> {
    let declarations = read(path)?;
    control
        .declare(declarations)
        .await
        .map_err(|error| match error {
            ControlError::Mistaken(mistakes) => SourceError::Mistaken {
                path: path.to_owned(),
                mistakes,
            },
            error => SourceError::Control {
                path: path.to_owned(),
                error,
            },
        })
}

/// Says what declaring changed.
pub fn log(changes: &Changes, path: &Path) {
    tracing::info!(
        file = %path.display(),
        epoch = changes.epoch.0,
        tenants_created = changes.tenants_created,
        projects_created = changes.projects_created,
        deployments_changed = changes.deployments_changed,
        deployments_removed = changes.deployments_removed,
        keys_granted = changes.keys_granted,
        keys_revoked = changes.keys_revoked,
        "declarations {}",
        if changes.is_empty() { "unchanged" } else { "in force" }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_being_written_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("declared.toml");
        fs::write(&path, "").expect("written");
        let empty = stamp(&path);
        let (settled, ()) = tokio::join!(settled(&path, empty), async {
            // Polled second: the first has begun to wait by now.
            fs::write(&path, "# whole\n").expect("written");
        });
        assert_ne!(settled, empty);
        assert_eq!(settled, stamp(&path));
        assert_eq!(settled.map(|(_, length, _)| length), Some(8));
    }
}
