//! Certificates that are an authority's own, shown where one that an authority issued belongs: what
//! `openssl req -x509` makes unless it is told otherwise. Some take them, others refuse them, and the
//! library of weir's own TLS is of the others.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use tokio_rustls::rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{Validity, provider};

/// What such a certificate is, behind its name.
pub const OF_AN_AUTHORITY: &str =
    "is an authority's own (CA:TRUE), which weir and others take from nobody";

/// How to come by one that is not.
pub const MAKE_ANOTHER: &str = "make it with `openssl req -x509 -addext basicConstraints=CA:FALSE`, or have the authority issue one";

/// Whether it is what is wrong with a certificate that it is an authority's own.
pub fn is_of_an_authority(why: &CertificateError) -> bool {
    // The library that judges is not one that weir names; it has no other words than these.
    matches!(why, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity")
}

/// Whether a certificate would be refused as an authority's own: judged as it will be judged, in the
/// time in which it is valid.
pub(super) fn would_be_refused(certificate: &CertificateDer<'_>, validity: Validity) -> bool {
    let verdict = || {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone().into_owned()).ok()?;
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = builder.build().ok()?;
        let anyone = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let then = Duration::from_secs(u64::try_from(validity.not_after).unwrap_or(0));
        let then = UnixTime::since_unix_epoch(then);
        let judged = verifier.verify_server_cert(certificate, &[], &anyone, &[], then);
        judged.err()
    };
    matches!(verdict(), Some(Error::InvalidCertificate(why)) if is_of_an_authority(&why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::testing::{Authority, Issued};

    #[test]
    fn authorities_are_told_from_what_they_issue() {
        let authority = Authority::new("ours");
        for (shown, expected) in [
            (Issued::of_an_authority(), true),
            (
                Issued::of_an_authority_between((2001, 1, 1), (2002, 1, 1)),
                true,
            ),
            (authority.issue("localhost"), false),
            (
                authority.issue_between("localhost", (2001, 1, 1), (2002, 1, 1)),
                false,
            ),
        ] {
            let der = CertificateDer::from(shown.der());
            let validity = Validity::of(&der).expect("a certificate");
            assert_eq!(would_be_refused(&der, validity), expected);
        }
        let noise = CertificateDer::from(vec![0x30, 0]);
        let validity = Validity {
            not_before: -1,
            not_after: -1,
        };
        assert!(!would_be_refused(&noise, validity));
    }
}
