//! Signatures after Standard Webhooks, and the secrets under them.
//!
//! One root is kept; each deployment's secret is derived from it, so that a new one, or another
//! life of a deployment's name, needs nothing stored.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

/// What the secrets are derived for. Never changes, or every receiver's secret would.
const CONTEXT: &str = "weir webhook signing v1";

const FILE: &str = "signing.key";

/// Knows the secret of each deployment.
pub struct Signer {
    root: [u8; 32],
}

// === impl Signer ===

impl Signer {
    /// Reads the root from the data directory, or makes one there (mode 0600) that is durable
    /// before this returns: a secret that was shown is for good.
    ///
    /// # Errors
    /// The system's; `InvalidData` when the file holds no root.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                let root = bytes.try_into().map_err(|_| {
                    let words = format!("{} does not hold 32 bytes", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, words)
                })?;
                Ok(Self { root })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(data_dir, &path),
            Err(error) => Err(error),
        }
    }

    fn make(data_dir: &Path, path: &Path) -> io::Result<Self> {
        let mut root = [0; 32];
        getrandom::fill(&mut root).map_err(io::Error::other)?;
        let fresh = path.with_extension("key.new");
        // What a kill left there may be torn, or open to others.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&root)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(data_dir)?.sync_all()?;
        tracing::info!(file = %path.display(), "made a key for webhooks' signatures");
        Ok(Self { root })
    }

    /// The secret of a deployment, `{project}/{deployment}`, in one of its lives.
    pub fn secret(&self, deployment: &str, life: u32, generation: u32) -> [u8; 32] {
        // What is longer than it may be stands between parts of fixed length.
        let mut material = Vec::with_capacity(40 + deployment.len());
        material.extend_from_slice(&self.root);
        material.extend_from_slice(deployment.as_bytes());
        material.extend_from_slice(&life.to_be_bytes());
        material.extend_from_slice(&generation.to_be_bytes());
        blake3::derive_key(CONTEXT, &material)
    }

    /// The same as receivers are given it.
    pub fn shown(&self, deployment: &str, life: u32, generation: u32) -> String {
        let secret = self.secret(deployment, life, generation);
        format!("whsec_{}", STANDARD.encode(secret))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

/// The value of `webhook-signature`; `at_s` is that of `webhook-timestamp`.
pub(crate) fn sign(secret: &[u8], id: &str, at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{at_s}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The specification's reference libraries test with this one.
    #[test]
    fn a_signature_that_others_have_computed() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &secret.expect("base64"),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn one_root_for_good_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        // A kill between the steps of an earlier start left this.
        let torn = directory.path().join("signing.key.new");
        fs::write(&torn, b"torn").expect("written");
        let made = Signer::open(directory.path()).expect("made");
        assert!(!torn.exists());
        let path = directory.path().join(FILE);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Signer::open(directory.path()).expect("read");
        assert_eq!(made.root, again.root);
        let elsewhere = tempfile::tempdir().expect("a directory");
        let other = Signer::open(elsewhere.path()).expect("made");
        assert_ne!(made.root, other.root);
        assert_eq!(format!("{made:?}"), "Signer(***)");
        fs::write(&path, [7; 31]).expect("written");
        let refused = Signer::open(directory.path()).expect_err("a damaged root is not replaced");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn every_deployment_life_and_generation_has_its_own() {
        let signer = Signer { root: [7; 32] };
        let mut seen = std::collections::BTreeSet::new();
        for (deployment, life, generation) in [
            ("demo/iris", 0, 0),
            ("demo/iris", 1, 0),
            ("demo/iris", 0, 1),
            ("demo/iris2", 0, 0),
            ("other/iris", 0, 0),
        ] {
            assert!(seen.insert(signer.secret(deployment, life, generation)));
        }
        let shown = signer.shown("demo/iris", 0, 0);
        let secret = shown.strip_prefix("whsec_").expect("its prefix");
        let secret = STANDARD.decode(secret).expect("base64");
        assert_eq!(secret, signer.secret("demo/iris", 0, 0));
        // Computed once; receivers hold what follows from it.
        let material = [&[7; 32][..], b"demo/iris", &[0; 8]].concat();
        assert_eq!(
            secret,
            blake3::derive_key("weir webhook signing v1", &material)
        );
    }
}
