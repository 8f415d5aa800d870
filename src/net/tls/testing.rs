//! Authorities and certificates for tests.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// One who issues certificates.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Issued {
    certificate: Certificate,
    key: KeyPair,
}

/// A certificate and its key in files that only their owner can read.
pub(crate) struct Files {
    dir: TempDir,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_between(name, (2020, 1, 1), (2049, 1, 1))
    }

    pub(crate) fn issue_between(
        &self,
        name: &str,
        from: (i32, u8, u8),
        to: (i32, u8, u8),
    ) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Issued { certificate, key }
    }
}

// === impl Issued ===

impl Issued {
    /// An authority's own for localhost, as a server may show it by mistake.
    pub(crate) fn of_an_authority() -> Self {
        Self::of_an_authority_between((2020, 1, 1), (2049, 1, 1))
    }

    pub(crate) fn of_an_authority_between(from: (i32, u8, u8), to: (i32, u8, u8)) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, key }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

// === impl Files ===

impl Files {
    pub(crate) fn of(issued: &Issued) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let files = Self { dir, cert, key };
        files.write(issued);
        files
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Another certificate and key in the same files.
    pub(crate) fn write(&self, issued: &Issued) {
        write_private(&self.cert, &issued.pem());
        write_private(&self.key, &issued.key_pem());
    }
}

pub(crate) fn write_private(path: &Path, text: &str) {
    let mut options = fs::File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}
