//! Certificates, keys and authorities in PEM files: read, checked, and what is wrong with them said in
//! words that name the file and what to do. No words and no `Debug` show anything of a key.

#[cfg(test)]
mod tests;

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

use super::{
    Validity,
    authority::{MAKE_ANOTHER, OF_AN_AUTHORITY, would_be_refused},
    provider,
};

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
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        let raw = Self {
            which,
            path: path.to_owned(),
            bytes,
        };
        // A certificate that was named in a key's place is no secret, and another mistake.
        if which == Which::Key
            && raw.holds_key()
            // Beside one that opens nothing there may be one that does.
            && (!raw.is_encrypted() || raw.key().is_ok())
            && let Some(words) = exposed(&metadata, path)
        {
            return Err(raw.wrong(words));
        }
        Ok(raw)
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
    ///
    /// # Errors
    /// When it holds none, or no PEM.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, FileMistake> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match all {
            Ok(all) if all.is_empty() && self.holds_key() => {
                Err(self.wrong("holds a private key where a certificate belongs"))
            }
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
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| match error {
            _ if self.is_encrypted() => self.wrong(format!(
                "is encrypted, and there is nobody to ask for its password; \
                 decrypt it into a file of its own: openssl pkey -in {} -out FILE",
                self.path.display()
            )),
            pem::Error::NoItemsFound if self.holds_certificate() => {
                self.wrong("holds a certificate where its private key belongs")
            }
            pem::Error::NoItemsFound => {
                self.wrong("holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
            }
            error => self.wrong(pem_words(&error)),
        })
    }

    fn holds_key(&self) -> bool {
        self.holds("PRIVATE KEY-----")
    }

    fn holds_certificate(&self) -> bool {
        self.holds("-----BEGIN CERTIFICATE-----")
    }

    /// Whether its key is, in PKCS 8 or as older tools do it (RFC 1421 section 4.6.1.1).
    fn is_encrypted(&self) -> bool {
        self.holds("-----BEGIN ENCRYPTED PRIVATE KEY-----") || self.holds("Proc-Type: 4,ENCRYPTED")
    }

    fn holds(&self, mark: &str) -> bool {
        self.bytes.windows(mark.len()).any(|w| w == mark.as_bytes())
    }

    /// Something is wrong with it.
    pub(super) fn wrong(&self, words: impl Into<String>) -> FileMistake {
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
        if !chain.holds_certificate()
            && chain.holds_key()
            && !key.holds_key()
            && key.holds_certificate()
        {
            let words = format!(
                "holds a private key, and {} a certificate: the two are swapped",
                key.path.display()
            );
            return Err(chain.wrong(words));
        }
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

    /// What is no mistake in its first certificate, and has others refuse it today all the same.
    pub fn concerns(&self) -> Vec<String> {
        let mut concerns = Vec::from_iter(self.validity.concern().map(str::to_owned));
        let own = self.certified.cert.first();
        if own.is_some_and(|own| would_be_refused(own, self.validity)) {
            concerns.push(format!("{OF_AN_AUTHORITY}; {MAKE_ANOTHER}"));
        }
        concerns
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
