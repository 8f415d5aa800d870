//! The data directory: taken by one process at a time, with the admin token in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::config::Token;

/// Why the data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another weir; stop that one, or set WEIR_DATA_DIR",
        .0.display()
    )]
    Taken(PathBuf),
    /// The system refuses.
    #[error("the data directory: {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The token in it is none.
    #[error("{} holds no token; delete it to have a new one made", .0.display())]
    BadToken(PathBuf),
}

/// A data directory taken by this process, until it ends by whatever cause.
pub(super) struct DataDir {
    /// The system releases the lock with the descriptor.
    _lock: File,
    token: Token,
    made: bool,
}

impl DataDir {
    /// Takes the directory, making it if need be; the admin token is `given`, or the one in the
    /// directory, or a new one that is written there (mode 0600).
    ///
    /// # Errors
    /// [`DataDirError`].
    pub(super) fn open(directory: &Path, given: &Token) -> Result<Self, DataDirError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| DataDirError::Io { path, error }
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed(directory))?;
        let path = directory.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(DataDirError::Taken(directory.to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(&path)(error)),
        }
        let (token, made) = match given.is_empty() {
            false => (given.clone(), false),
            true => kept_token(&directory.join("admin.token"))?,
        };
        Ok(Self {
            _lock: lock,
            token,
            made,
        })
    }

    /// Whether the token was made just now, for a directory that had none.
    pub(super) fn is_token_new(&self) -> bool {
        self.made
    }

    /// The admin token.
    pub(super) fn token(&self) -> &Token {
        &self.token
    }
}

/// The token in the directory, and whether it was made just now.
fn kept_token(path: &Path) -> Result<(Token, bool), DataDirError> {
    let failed = |error| DataDirError::Io {
        path: path.to_owned(),
        error,
    };
    match fs::read_to_string(path) {
        Ok(text) => {
            let token = Token::parse(text.trim())
                .ok()
                .filter(|token| !token.is_empty());
            let kept = token.ok_or_else(|| DataDirError::BadToken(path.to_owned()))?;
            return Ok((kept, false));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
    let text = format!("wt_{}", blake3::Hash::from_bytes(bytes).to_hex());
    // Written whole under another name first: a torn token would lock everybody out.
    let fresh = path.with_extension("token.new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    tracing::info!(file = %path.display(), "made an admin token");
    let made = Token::parse(&text).map_err(|_| DataDirError::BadToken(path.to_owned()))?;
    Ok((made, true))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn token(text: &str) -> Token {
        Token::parse(text).expect("a token")
    }

    #[test]
    fn one_process_at_a_time_and_one_token_for_good() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data");
        let first = DataDir::open(&path, &token("")).expect("free");
        let made = first.token().expose().to_owned();
        assert!(first.is_token_new());
        assert!(made.len() > 32);
        let mode = fs::metadata(path.join("admin.token"))
            .expect("written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(
            DataDir::open(&path, &token("")),
            Err(DataDirError::Taken(_))
        ));
        drop(first);
        let again = DataDir::open(&path, &token("")).expect("free again");
        assert_eq!(again.token().expose(), made);
        assert!(!again.is_token_new());
        drop(again);
        let given = DataDir::open(&path, &token("given-by-environment")).expect("free again");
        assert_eq!(given.token().expose(), "given-by-environment");
    }
}
