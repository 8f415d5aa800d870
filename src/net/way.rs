//! The way to a backend: its address checked, and TLS where its URL says so. Whoever speaks to
//! backends goes this way: requests, probes, warm-ups.

use std::{io, sync::Arc};

use super::{dial::dial, guard::AddressGuard, stream::Stream, tls::client::BackendTls};
use crate::spec::{BackendUrl, Protocol};

/// Where backends may be, and whom to trust there.
#[derive(Debug, Clone, Default)]
pub struct Way {
    guard: Arc<AddressGuard>,
    tls: Arc<BackendTls>,
}

impl Way {
    /// Both together.
    pub fn new(guard: Arc<AddressGuard>, tls: Arc<BackendTls>) -> Self {
        Self { guard, tls }
    }

    /// Where backends may be.
    pub fn guard(&self) -> &AddressGuard {
        &self.guard
    }

    /// Connects to a backend, and shakes hands with it under TLS. Nothing of a request was sent when
    /// that fails.
    ///
    /// # Errors
    /// As of [`dial`]; what goes wrong with TLS is an error that
    /// [`tls_failed`](super::tls::client::tls_failed) knows.
    ///
    /// # Cancellation
    /// Closes the connection.
    pub async fn open(&self, url: &BackendUrl, protocol: Protocol) -> io::Result<Stream> {
        let tcp = dial(url, &self.guard).await?;
        tcp.set_nodelay(true)?;
        if !url.is_tls() {
            return Ok(tcp.into());
        }
        // Boxed, because most backends are spoken to in clear text and this is larger.
        Box::pin(self.tls.secure(url.host(), protocol, tcp)).await
    }
}
