//! The authorities that the system trusts.

use rustls_native_certs::load_native_certs;
use tokio_rustls::rustls::RootCertStore;

/// Adds the system's authorities. A system without any is no error: then whoever is to be trusted
/// fails with words that say so.
pub fn add_system(roots: &mut RootCertStore) {
    let native = load_native_certs();
    let (_, ignored) = roots.add_parsable_certificates(native.certs);
    if ignored > 0 || !native.errors.is_empty() {
        let errors = native.errors.len();
        tracing::warn!(
            ignored,
            errors,
            "some of the system's certificates are not usable"
        );
    }
}
