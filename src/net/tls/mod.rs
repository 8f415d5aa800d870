//! TLS: of weir's own listeners, and towards backends.
//!
//! ```text
//! files ──read, checked──▶ Identity, authorities ──▶ server: what a listener shows and asks for
//!   ▲                                            └──▶ client: whom weir trusts, and what it shows
//!   └───────── reload: looked at every 2 s ─────────▶ swapped whole; open connections keep theirs
//! ```

pub mod accept;
mod authority;
pub mod client;
pub mod files;
pub mod reload;
pub mod roots;
pub mod server;

#[cfg(test)]
pub(crate) mod testing;
mod validity;

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

pub use authority::{MAKE_ANOTHER, OF_AN_AUTHORITY, is_of_an_authority};
pub use files::{FileMistake, Identity, Raw, Which};
pub use validity::Validity;
#[cfg(any(test, fuzzing))]
pub use validity::any_certificate_holds;

/// The cryptography of all of weir's TLS: ring, which needs no more than a C compiler.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}
