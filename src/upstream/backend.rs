//! One address of a model server, with what is known of it. Outlives snapshots: a new one takes
//! over the backends that it shares with the old, with their load, latency, health and record.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use http::HeaderValue;

use super::{breaker::Breaker, ewma::PeakEwma};
use crate::{
    base::id::BackendId,
    spec::{BackendUrl, Protocol},
};

/// A backend. Shared by all workers; they read it and bump its atomics.
pub struct Backend {
    id: BackendId,
    url: BackendUrl,
    protocol: Protocol,
    host: HeaderValue,
    in_flight: AtomicU32,
    health: AtomicU8,
    /// Time to first byte.
    pub latency: PeakEwma,
    /// Its record of failures.
    pub breaker: Breaker,
}

/// What active probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Not probed yet; counts as healthy.
    Unknown = 0,
    /// Ready.
    Up = 1,
    /// Not ready.
    Down = 2,
}

/// Counts as load on its backend until it is dropped.
#[derive(Debug)]
pub struct Load {
    backend: Arc<Backend>,
}

impl Backend {
    /// A backend nothing is known of yet.
    pub fn new(url: &BackendUrl, protocol: Protocol) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let host = HeaderValue::try_from(url.authority());
        Self {
            id: BackendId(NEXT.fetch_add(1, Ordering::Relaxed)),
            url: url.clone(),
            protocol,
            // A parsed address holds nothing that a header could not.
            host: host.unwrap_or_else(|_| HeaderValue::from_static("backend")),
            in_flight: AtomicU32::new(0),
            health: AtomicU8::new(Health::Unknown as u8),
            latency: PeakEwma::default(),
            breaker: Breaker::default(),
        }
    }

    /// Its identity within this process.
    pub fn id(&self) -> BackendId {
        self.id
    }

    /// Where it listens.
    pub fn url(&self) -> &BackendUrl {
        &self.url
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Its `Host` header.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Exchanges under way, of all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one more exchange under way.
    pub fn load(self: &Arc<Self>) -> Load {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Load {
            backend: Arc::clone(self),
        }
    }

    /// What active probes say.
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            1 => Health::Up,
            2 => Health::Down,
            _ => Health::Unknown,
        }
    }

    /// Notes what active probes say; returns what they said before.
    pub fn set_health(&self, health: Health) -> Health {
        let before = self.health();
        self.health.store(health as u8, Ordering::Relaxed);
        before
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({}, {})", self.id.0, self.url)
    }
}

impl Load {
    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
