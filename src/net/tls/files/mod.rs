//! Certificates, keys and authorities in PEM files: read, checked, and what is wrong with them said in
//! words that name the file and what to do. No words and no `Debug` show anything of a key.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::{Validity, provider};

/// More than any chain or bundle of authorities has; the system's own is a quarter of a megabyte.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What others may do with a file that holds a key: nothing. Its group may read it.
const KEY_MODE_DENIED: u32 = 0o027;

/// Which of the files that settings name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The chain of certificates, the own one first.
    Certificate,
    /// The key of the first of them.
    Key,
    /// Certificates of those who are trusted.
    Authorities,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {words}", path.display())]
pub struct FileMistake {
    /// Which one it is.
    pub which: Which,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub words: String,
}

/// A file as it was read.
pub struct Raw {
    which: Which,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// What one side of a connection shows of itself.
#[derive(Clone)]
pub struct Identity {
    /// The chain and its key, which fit together.
    pub certified: Arc<CertifiedKey>,
    /// From when to when the first certificate is valid.
    pub validity: Validity,
}

// === impl Raw ===

impl Raw {
    /// Reads a file whole. One with a key has to be out of others' reach.
    ///
    /// # Errors
    /// When it can't be read, is none, or is too large.
    pub fn read(which: Which, path: &Path) -> Result<Self, FileMistake> {
        let wrong = |words: String| FileMistake {
            which,
            path: path.to_owned(),
            words,
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => wrong("there is no such file".to_owned()),
            _ => wrong(format!("can't be read: {error}")),
        };
        // Opening what is no file, such as a pipe, could wait forever.
        if !path.metadata().map_err(failed)?.is_file() {
            return Err(wrong("is not a file".to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if which == Which::Key
            && let Some(words) = exposed(&metadata, path)
        {
            return Err(wrong(words));
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(Self {
            which,
            path: path.to_owned(),
            bytes,
        })
    }

    /// Which of the files it is.
    pub fn which(&self) -> Which {
        self.which
    }

    /// The bytes, to see whether they have changed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its certificates in PEM, at least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, FileMistake> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match all {
            Ok(all) if all.is_empty() => Err(self.wrong(
                "holds no certificate in PEM (-----BEGIN CERTIFICATE-----); \
                 `openssl x509 -inform DER -in FILE` turns DER into it",
            )),
            Ok(all) => Ok(all),
            Err(error) => Err(self.wrong(pem_words(&error))),
        }
    }

    /// Its key in PEM.
    fn key(&self) -> Result<PrivateKeyDer<'static>, FileMistake> {
        let marked = |mark: &str| self.bytes.windows(mark.len()).any(|w| w == mark.as_bytes());
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| match error {
            pem::Error::NoItemsFound if marked("ENCRYPTED PRIVATE KEY") => self.wrong(
                "is encrypted, and there is nobody to ask for its password; \
                 `openssl pkey -in FILE` decrypts it",
            ),
            pem::Error::NoItemsFound => {
                self.wrong("holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
            }
            error => self.wrong(pem_words(&error)),
        })
    }

    fn wrong(&self, words: impl Into<String>) -> FileMistake {
        FileMistake {
            which: self.which,
            path: self.path.clone(),
            words: words.into(),
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Raw");
        shown.field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl Identity ===

impl Identity {
    /// Of a chain's file and its key's.
    ///
    /// # Errors
    /// What is wrong with one of them, or with both together.
    pub fn of(chain: &Raw, key: &Raw) -> Result<Self, FileMistake> {
        let certificates = chain.certificates()?;
        let Some(validity) = Validity::of(&certificates[0]) else {
            return Err(chain.wrong("its first certificate can't be understood"));
        };
        let signing = provider().key_provider.load_private_key(key.key()?);
        // The library's words might repeat of the key what it could not understand.
        let signing = signing.map_err(|_| {
            key.wrong(
                "its key is of no kind that works here: RSA, ECDSA P-256 or P-384, or Ed25519",
            )
        })?;
        let certified = CertifiedKey::new(certificates, signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(error @ tokio_rustls::rustls::Error::InvalidCertificate(_)) => {
                let words = format!("its first certificate can't be understood: {error}");
                return Err(chain.wrong(words));
            }
            Err(_) => {
                let chain = chain.path.display();
                let words = format!("is not the key of the first certificate in {chain}");
                return Err(key.wrong(words));
            }
        }
        Ok(Self {
            certified: Arc::new(certified),
            validity,
        })
    }

    /// Reads both files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, Vec<FileMistake>> {
        let chain = Raw::read(Which::Certificate, chain);
        let key = Raw::read(Which::Key, key);
        match (chain, key) {
            (Ok(chain), Ok(key)) => Self::of(&chain, &key).map_err(|mistake| vec![mistake]),
            (chain, key) => Err([chain.err(), key.err()].into_iter().flatten().collect()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Identity");
        shown
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

/// Adds the authorities of a file to those that are trusted.
///
/// # Errors
/// When it holds none, or one that can't be understood.
pub fn add_authorities(roots: &mut RootCertStore, file: &Raw) -> Result<(), FileMistake> {
    for certificate in file.certificates()? {
        roots.add(certificate).map_err(|error| {
            file.wrong(format!(
                "holds a certificate that can't be trusted: {error}"
            ))
        })?;
    }
    Ok(())
}

/// What is wrong with what others may do with a key's file.
fn exposed(metadata: &Metadata, path: &Path) -> Option<String> {
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & KEY_MODE_DENIED != 0).then(|| {
        let path = path.display();
        format!("others can get at this key (its mode is {mode:04o}); run: chmod 600 {path}")
    })
}

fn pem_words(error: &pem::Error) -> String {
    // A line that is at fault may be a key's, so none is repeated.
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it can't be understood",
    };
    format!("is not valid PEM: {what}")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::OpenOptionsExt};

    use super::*;
    use crate::net::tls::testing::{Authority, Files};

    /// The words for a pair of files; empty when there is nothing to say.
    fn words(files: &Files) -> String {
        let read = Identity::read(&files.cert, &files.key);
        let mistakes = read.map_or_else(|mistakes| mistakes, |_| vec![]);
        let lines = mistakes.iter().map(|mistake| {
            let shown = mistake.to_string();
            shown.replace(&files.dir().display().to_string(), ".")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_pair_that_fits_is_read() {
        let authority = Authority::new("test");
        let files = Files::of(&authority.issue("localhost"));
        assert_eq!(words(&files), "");
        let identity = Identity::read(&files.cert, &files.key).expect("good");
        let shown = format!("{identity:?}{:?}", Raw::read(Which::Key, &files.key));
        let key = fs::read_to_string(&files.key).expect("read");
        for line in key.lines() {
            assert!(!shown.contains(line), "{shown}");
        }
    }

    #[test]
    fn each_mistake_says_what_to_do() {
        let authority = Authority::new("test");
        let (one, other) = (authority.issue("a.example"), authority.issue("b.example"));
        let check = |change: &dyn Fn(&Files), expected: &str| {
            let files = Files::of(&one);
            change(&files);
            assert_eq!(words(&files), expected);
        };
        let write = |path: &Path, text: &str| fs::write(path, text).expect("written");
        check(
            &|f| fs::remove_file(&f.cert).expect("removed"),
            "./cert.pem: there is no such file",
        );
        check(
            &|f| {
                fs::remove_file(&f.cert).expect("removed");
                fs::remove_file(&f.key).expect("removed");
            },
            "./cert.pem: there is no such file\n./key.pem: there is no such file",
        );
        check(
            &|f| {
                fs::remove_file(&f.cert).expect("removed");
                fs::create_dir(&f.cert).expect("made");
            },
            "./cert.pem: is not a file",
        );
        check(
            &|f| write(&f.cert, "\u{1}\u{2}"),
            "./cert.pem: holds no certificate in PEM (-----BEGIN CERTIFICATE-----); \
             `openssl x509 -inform DER -in FILE` turns DER into it",
        );
        check(
            &|f| write(&f.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "./cert.pem: is not valid PEM: a section has no -----END line",
        );
        check(
            &|f| write(&f.key, "hunter2"),
            "./key.pem: holds no private key in PEM (-----BEGIN PRIVATE KEY-----)",
        );
        check(
            &|f| {
                let name = "ENCRYPTED PRIVATE KEY";
                write(
                    &f.key,
                    &format!("-----BEGIN {name}-----\nAAAA\n-----END {name}-----\n"),
                );
            },
            "./key.pem: is encrypted, and there is nobody to ask for its password; \
             `openssl pkey -in FILE` decrypts it",
        );
        check(
            &|f| {
                let name = "PRIVATE KEY";
                write(
                    &f.key,
                    &format!("-----BEGIN {name}-----\nhunter2!\n-----END {name}-----\n"),
                );
            },
            "./key.pem: is not valid PEM: a section is not base64",
        );
        check(
            &|f| {
                let name = "PRIVATE KEY";
                write(
                    &f.key,
                    &format!("-----BEGIN {name}-----\naGk=\n-----END {name}-----\n"),
                );
            },
            "./key.pem: its key is of no kind that works here: RSA, ECDSA P-256 or P-384, or Ed25519",
        );
        check(
            &|f| write(&f.key, &other.key_pem()),
            "./key.pem: is not the key of the first certificate in ./cert.pem",
        );
        check(
            &|f| {
                let name = "CERTIFICATE";
                write(
                    &f.cert,
                    &format!("-----BEGIN {name}-----\naGk=\n-----END {name}-----\n"),
                );
            },
            "./cert.pem: its first certificate can't be understood",
        );
    }

    #[test]
    fn a_key_that_others_can_get_at_is_refused() {
        let authority = Authority::new("test");
        for (mode, is_good) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o440, true),
            (0o604, false),
            (0o602, false),
            (0o601, false),
            (0o644, false),
            (0o660, false),
            (0o777, false),
        ] {
            let files = Files::of(&authority.issue("localhost"));
            fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).expect("set");
            let expected = match is_good {
                true => String::new(),
                false => format!(
                    "./key.pem: others can get at this key (its mode is {mode:04o}); \
                     run: chmod 600 ./key.pem"
                ),
            };
            assert_eq!(words(&files), expected, "{mode:o}");
        }
    }

    #[test]
    fn authorities_are_added() {
        let authority = Authority::new("test");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.pem");
        let mut file = fs::File::options();
        let file = file.write(true).create(true).mode(0o644).open(&path);
        io::Write::write_all(&mut file.expect("made"), authority.pem().as_bytes())
            .expect("written");
        let mut roots = RootCertStore::empty();
        let raw = Raw::read(Which::Authorities, &path).expect("read");
        add_authorities(&mut roots, &raw).expect("good");
        assert_eq!(roots.len(), 1);
        fs::write(&path, "").expect("written");
        let raw = Raw::read(Which::Authorities, &path).expect("read");
        let mistake = add_authorities(&mut roots, &raw).expect_err("nothing");
        assert_eq!(mistake.which, Which::Authorities);
    }
}
