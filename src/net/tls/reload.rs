//! What is made of files, and made anew when they change. The files are looked at from time to time;
//! whoever uses what was made loads what is in force, and keeps it as long as a connection lasts.
//!
//! ```text
//! look: read all ──as before?──▶ nothing to do
//!                └─ changed ──make──▶ in force from here on; said
//!                               └ mistake ──▶ the old stays; said and counted once; looked at again
//! ```
//!
//! A certificate and its key can't be replaced in one step. Between the two steps they do not fit
//! together, which is a mistake like any other: the next look finds the second step done.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{FileMistake, Raw, Validity, Which};
use crate::telemetry::{series, table};

/// Between two looks at the files: a few kilobytes, from memory.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was made, and from when to when its certificate is valid if it has one.
pub struct Made<T> {
    /// What was made.
    pub value: T,
    /// The time of its certificate.
    pub validity: Option<Validity>,
}

/// Something in force that files say how to make.
pub struct Reloaded<T> {
    /// What it is for, as metrics and log lines say it.
    purpose: &'static str,
    files: Vec<(Which, PathBuf)>,
    make: Make<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

type Make<T> = Box<dyn Fn(&[Raw]) -> Result<Made<T>, FileMistake> + Send + Sync>;

/// What a look at the files brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They are as they were.
    Same,
    /// They are as they were before something was wrong with them.
    Mended,
    /// What they say is in force now.
    Taken,
    /// Something is wrong with them, and that is new.
    Refused,
    /// It is wrong as it was.
    StillWrong,
}

/// Whether somebody wants to know what a look brings, be it nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nobody: it was time for one.
    No,
    /// Somebody: by a signal.
    Yes,
}

struct Seen {
    in_force: blake3::Hash,
    refused: Option<blake3::Hash>,
    validity: Option<Validity>,
}

// === impl Reloaded ===

impl<T> Reloaded<T> {
    /// Makes it for the first time. The files are given to `make` in their order.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn open(
        purpose: &'static str,
        files: Vec<(Which, PathBuf)>,
        make: impl Fn(&[Raw]) -> Result<Made<T>, FileMistake> + Send + Sync + 'static,
    ) -> Result<Self, Vec<FileMistake>> {
        let (content, read) = read(&files);
        let made = make(&read?).map_err(|mistake| vec![mistake])?;
        let reloaded = Self {
            purpose,
            files,
            make: Box::new(make),
            current: ArcSwap::from_pointee(made.value),
            seen: Mutex::new(Seen {
                in_force: content,
                refused: None,
                validity: made.validity,
            }),
        };
        reloaded.warn(made.validity);
        reloaded.show(made.validity);
        Ok(reloaded)
    }

    /// What is in force.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Looks at the files, and takes what they say if it is new and good. Reads from the disk. What is
    /// not new is said only to those who `asked`.
    pub fn look(&self, asked: Asked) -> Look {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let look = self.look_again(&mut seen, asked);
        self.show(seen.validity);
        look
    }

    fn look_again(&self, seen: &mut Seen, asked: Asked) -> Look {
        let (content, read) = read(&self.files);
        let purpose = self.purpose;
        let is_asked = asked == Asked::Yes;
        if content == seen.in_force {
            if seen.refused.take().is_some() {
                tracing::info!(
                    purpose,
                    "TLS files are good again, and say what is in force"
                );
                return Look::Mended;
            }
            // There may be none.
            if is_asked && !self.files.is_empty() {
                tracing::info!(purpose, "TLS files unchanged");
            }
            return Look::Same;
        }
        if seen.refused == Some(content) && !is_asked {
            return Look::StillWrong;
        }
        let make = |files: Vec<Raw>| {
            let made = (self.make)(&files)?;
            self.still_good(seen.validity, made.validity)?;
            Ok(made)
        };
        match read.and_then(|files| make(files).map_err(|mistake| vec![mistake])) {
            Ok(made) => {
                self.current.store(Arc::new(made.value));
                *seen = Seen {
                    in_force: content,
                    refused: None,
                    validity: made.validity,
                };
                tracing::info!(purpose, "new TLS certificates are in force");
                series::count(&table::TLS_RELOADS, &[purpose, "ok"], 1);
                self.warn(made.validity);
                Look::Taken
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::warn!(purpose, %mistake, "TLS stays as it was");
                }
                if seen.refused.replace(content) == Some(content) {
                    return Look::StillWrong;
                }
                series::count(&table::TLS_RELOADS, &[purpose, "failed"], 1);
                Look::Refused
            }
        }
    }

    /// Looks from time to time, and when the process gets SIGHUP.
    ///
    /// # Cancellation
    /// A look under way goes on to its end.
    pub async fn follow(self: Arc<Self>)
    where
        T: Send + Sync + 'static,
    {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => return tracing::error!(%error, "TLS certificates are not followed"),
        };
        loop {
            let asked = tokio::select! {
                _ = looks.tick() => Asked::No,
                _ = hang_up.recv() => Asked::Yes,
            };
            let this = Arc::clone(&self);
            // A panic in it was logged where it happened, and the next look may do better.
            let _ = tokio::task::spawn_blocking(move || this.look(asked)).await;
        }
    }

    /// One that has expired takes the place of none that has not: an old file was put back, say.
    fn still_good(&self, old: Option<Validity>, new: Option<Validity>) -> Result<(), FileMistake> {
        let expired = |of: Option<Validity>| of.is_some_and(|validity| validity.has_expired());
        match self.chain() {
            Some(path) if expired(new) && !expired(old) => Err(FileMistake {
                which: Which::Certificate,
                path: path.to_owned(),
                words: "holds a certificate that has expired, and the one in force has not; put a \
                        newer one there"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn chain(&self) -> Option<&Path> {
        let is_chain = |(which, _): &&(Which, PathBuf)| *which == Which::Certificate;
        self.files.iter().find(is_chain).map(|(_, path)| &**path)
    }

    fn warn(&self, validity: Option<Validity>) {
        if let Some(concern) = validity.and_then(|validity| validity.concern()) {
            let file = self.chain().map(|path| path.display().to_string());
            tracing::warn!(
                purpose = self.purpose,
                file,
                "the TLS certificate {concern}"
            );
        }
    }

    fn show(&self, validity: Option<Validity>) {
        if let Some(validity) = validity {
            let gauge = series::gauge(&table::TLS_EXPIRY, &[self.purpose]);
            gauge.set(validity.not_after as f64);
        }
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Reloaded");
        shown.field("files", &self.files).finish_non_exhaustive()
    }
}

/// What the files hold, and what tells it from what they held before, be it good or not.
fn read(files: &[(Which, PathBuf)]) -> (blake3::Hash, Result<Vec<Raw>, Vec<FileMistake>>) {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    let mut content = blake3::Hasher::new();
    for (which, path) in files {
        match Raw::read(*which, path) {
            Ok(raw) => {
                content.update(blake3::hash(raw.bytes()).as_bytes());
                good.push(raw);
            }
            Err(mistake) => {
                content.update(mistake.words.as_bytes());
                wrong.push(mistake);
            }
        }
    }
    let read = if wrong.is_empty() {
        Ok(good)
    } else {
        Err(wrong)
    };
    (content.finalize(), read)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::net::tls::{
        Identity,
        testing::{Authority, Files, write_private},
    };

    fn open(files: &Files) -> Reloaded<Identity> {
        let paths = vec![
            (Which::Certificate, files.cert.clone()),
            (Which::Key, files.key.clone()),
        ];
        Reloaded::open("data", paths, |files| {
            let value = Identity::of(&files[0], &files[1])?;
            let validity = Some(value.validity);
            Ok(Made { value, validity })
        })
        .expect("good files")
    }

    fn shown(reloaded: &Reloaded<Identity>) -> Vec<u8> {
        reloaded.current().certified.cert[0].to_vec()
    }

    #[test]
    fn a_new_pair_is_taken_however_it_comes() {
        let authority = Authority::new("test");
        let (old, new) = (authority.issue("a.example"), authority.issue("b.example"));
        for key_first in [false, true] {
            let files = Files::of(&old);
            let reloaded = open(&files);
            assert_eq!(reloaded.look(Asked::No), Look::Same);
            if key_first {
                write_private(&files.key, &new.key_pem());
            } else {
                write_private(&files.cert, &new.pem());
            }
            assert_eq!(reloaded.look(Asked::No), Look::Refused);
            assert_eq!(reloaded.look(Asked::No), Look::StillWrong);
            assert_eq!(shown(&reloaded), old.der());
            files.write(&new);
            assert_eq!(reloaded.look(Asked::No), Look::Taken);
            assert_eq!(reloaded.look(Asked::No), Look::Same);
            assert_eq!(shown(&reloaded), new.der());
        }
    }

    #[test]
    fn what_is_wrong_keeps_the_old_until_it_is_mended() {
        let authority = Authority::new("test");
        let (old, new) = (authority.issue("a.example"), authority.issue("b.example"));
        let files = Files::of(&old);
        let reloaded = open(&files);
        fs::remove_file(&files.key).expect("removed");
        assert_eq!(reloaded.look(Asked::No), Look::Refused);
        write_private(&files.cert, "not a certificate");
        assert_eq!(reloaded.look(Asked::No), Look::Refused, "another mistake");
        assert_eq!(reloaded.look(Asked::No), Look::StillWrong);
        files.write(&new);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(
            reloaded.look(Asked::No),
            Look::Refused,
            "others can read the key"
        );
        assert_eq!(shown(&reloaded), old.der());
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(
            reloaded.look(Asked::No),
            Look::Taken,
            "the content alone is the same"
        );
        write_private(&files.cert, "not a certificate");
        assert_eq!(reloaded.look(Asked::No), Look::Refused);
        files.write(&new);
        assert_eq!(
            reloaded.look(Asked::No),
            Look::Mended,
            "back at what is in force"
        );
        assert_eq!(reloaded.look(Asked::No), Look::Same);
        write_private(&files.cert, "not a certificate");
        assert_eq!(reloaded.look(Asked::No), Look::Refused, "and wrong anew");
        assert_eq!(reloaded.look(Asked::Yes), Look::StillWrong);
        files.write(&old);
        assert_eq!(reloaded.look(Asked::Yes), Look::Taken);
    }

    #[test]
    fn one_that_has_expired_takes_the_place_of_none_that_has_not() {
        let authority = Authority::new("test");
        let expired = |year| authority.issue_between("a.example", (2020, 1, 1), (year, 1, 1));
        let (good, past, later) = (authority.issue("a.example"), expired(2021), expired(2022));
        let files = Files::of(&good);
        let reloaded = open(&files);
        files.write(&past);
        assert_eq!(reloaded.look(Asked::No), Look::Refused);
        assert_eq!(reloaded.look(Asked::Yes), Look::StillWrong);
        assert_eq!(shown(&reloaded), good.der());
        files.write(&good);
        assert_eq!(reloaded.look(Asked::No), Look::Mended);
        // One that has expired itself may as well be replaced.
        let files = Files::of(&past);
        let reloaded = open(&files);
        files.write(&later);
        assert_eq!(reloaded.look(Asked::No), Look::Taken);
        assert_eq!(shown(&reloaded), later.der());
    }
}
