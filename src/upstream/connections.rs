//! A worker's own connections to backends: kept alive, lent out one exchange at a time, and never
//! used again after anything odd.
//!
//! ```text
//! lease ──▶ idle one, if still quiet ──▶ Lease ──park──▶ idle
//!       └─▶ new one within connect_ms ──┘    └──drop──▶ closed
//! ```

mod lease;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    sync::{Arc, Weak},
};

pub use self::lease::Lease;
use super::{backend::Backend, error::ExchangeError, h2::Link};
use crate::{
    base::{clock::Tick, id::BackendId, task},
    net::{
        descriptors::Descriptor,
        dial::denied,
        stream::Stream,
        tls::client::tls_failed,
        watch::{Expired, Phase, Watch, within},
        way::Way,
    },
    telemetry::{series, table},
};

/// How many connections are kept, and how long.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// Idle connections kept for each backend.
    pub idle_max: usize,
    /// An idle connection is closed after so long, in milliseconds.
    pub idle_ms: u64,
    /// Idle connections that each backend in use is given in advance.
    pub warm_min: usize,
    /// Connections open at once to each backend.
    pub open_max: usize,
    /// The largest head of an answer, in bytes.
    pub head_bytes_max: usize,
    /// The way to backends.
    pub way: Way,
}

/// One worker's connections.
#[derive(Debug)]
pub struct Connections {
    by_backend: RefCell<HashMap<BackendId, Kept, foldhash::fast::FixedState>>,
    options: ConnectionOptions,
    /// Connections lent out; idle ones are counted when asked.
    active: Cell<usize>,
}

#[derive(Debug)]
struct Kept {
    backend: Weak<Backend>,
    idle: Vec<Idle>,
    open: usize,
    links: Vec<Rc<Link>>,
    /// Held by the one who opens a link.
    link_turn: Rc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    descriptor: Option<Descriptor>,
    since: Tick,
}

// === impl Connections ===

impl Connections {
    /// None open yet.
    pub fn new(options: ConnectionOptions) -> Self {
        Self {
            by_backend: RefCell::default(),
            options,
            active: Cell::new(0),
        }
    }

    /// What was asked for when they were made.
    pub fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// An idle connection to `backend`, if there is one that seems quiet still; whether it is must be
    /// asked right before it is written to.
    pub fn take_idle(self: &Rc<Self>, backend: &Arc<Backend>) -> Option<Lease> {
        let mut by_backend = self.by_backend.borrow_mut();
        let kept = by_backend.get_mut(&backend.id())?;
        while let Some(mut idle) = kept.idle.pop() {
            if idle.stream.seems_quiet() {
                self.active.set(self.active.get() + 1);
                return Some(self.lease(idle, backend));
            }
            kept.open -= 1;
        }
        None
    }

    /// A new connection to `backend`.
    ///
    /// # Errors
    /// What kept it from being opened; nothing was sent.
    ///
    /// # Cancellation
    /// Leaves nothing behind but the attempt's place in the count, which is given back.
    pub async fn connect(
        self: &Rc<Self>,
        backend: &Arc<Backend>,
        connect_ms: u64,
        watch: &Watch,
    ) -> Result<Lease, ExchangeError> {
        let mut place = self.reserve(backend)?;
        watch.enter(Phase::Connect, connect_ms);
        let opened = self.options.way.open(backend.url(), backend.protocol());
        let connected = within(watch, opened).await;
        watch.rest();
        let result = match &connected {
            Ok(Ok(_)) => "ok",
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => "refused",
            Ok(Err(error)) if denied(error).is_some() => "denied",
            Ok(Err(error)) if tls_failed(error).is_some() => "tls",
            Ok(Err(_)) => "error",
            Err(_) => "timeout",
        };
        series::count(&table::UPSTREAM_CONNECTS, &[result], 1);
        match connected {
            Ok(Ok(stream)) => {
                place.stream = Some(stream);
                Ok(place)
            }
            Ok(Err(error)) => Err(ExchangeError::Connect(error)),
            Err(Expired::Total) => Err(ExchangeError::TotalTimeout),
            Err(Expired::Phase(_)) => Err(ExchangeError::ConnectTimeout),
        }
    }

    /// Takes a place among the open connections, to be filled or given back.
    fn reserve(self: &Rc<Self>, backend: &Arc<Backend>) -> Result<Lease, ExchangeError> {
        let mut by_backend = self.by_backend.borrow_mut();
        let kept = by_backend
            .entry(backend.id())
            .or_insert_with(|| Kept::new(backend));
        if kept.open >= self.options.open_max {
            return Err(ExchangeError::Busy(kept.open));
        }
        let open = kept.open;
        drop(by_backend);
        let Some(descriptor) = self.descriptor() else {
            return Err(ExchangeError::Busy(open));
        };
        let mut by_backend = self.by_backend.borrow_mut();
        let kept = by_backend
            .entry(backend.id())
            .or_insert_with(|| Kept::new(backend));
        kept.open += 1;
        self.active.set(self.active.get() + 1);
        Ok(Lease {
            stream: None,
            descriptor: Some(descriptor),
            backend: backend.id(),
            reused: false,
            home: Rc::clone(self),
        })
    }

    /// A place among the process's sockets; one that idles gives way.
    fn descriptor(&self) -> Option<Descriptor> {
        loop {
            let descriptor = Descriptor::for_backend();
            if descriptor.is_some() || !self.close_idle() {
                return descriptor;
            }
        }
    }

    /// Closes one that is idle, to any backend; false when there is none.
    fn close_idle(&self) -> bool {
        let mut by_backend = self.by_backend.borrow_mut();
        let idle = by_backend.values_mut().find(|kept| !kept.idle.is_empty());
        idle.is_some_and(|kept| {
            kept.idle.remove(0);
            kept.open -= 1;
            true
        })
    }

    fn lease(self: &Rc<Self>, idle: Idle, backend: &Arc<Backend>) -> Lease {
        Lease {
            stream: Some(idle.stream),
            descriptor: idle.descriptor,
            backend: backend.id(),
            reused: true,
            home: Rc::clone(self),
        }
    }

    /// The right to open an HTTP/2 link to a backend.
    pub fn link_turn(&self, backend: &Arc<Backend>) -> Rc<tokio::sync::Mutex<()>> {
        let mut by_backend = self.by_backend.borrow_mut();
        let kept = by_backend
            .entry(backend.id())
            .or_insert_with(|| Kept::new(backend));
        Rc::clone(&kept.link_turn)
    }

    /// The HTTP/2 links to a backend.
    pub fn links(&self, backend: BackendId) -> Vec<Rc<Link>> {
        let by_backend = self.by_backend.borrow();
        by_backend
            .get(&backend)
            .map_or_else(Vec::new, |kept| kept.links.clone())
    }

    /// Keeps an HTTP/2 link.
    pub fn add_link(&self, backend: BackendId, link: Rc<Link>) {
        if let Some(kept) = self.by_backend.borrow_mut().get_mut(&backend) {
            kept.links.retain(|link| !link.is_closed());
            kept.links.push(link);
        }
    }

    /// Closes connections that were idle for too long or are no longer quiet, and forgets backends
    /// that no snapshot knows any more. Called about once a second.
    pub fn sweep(&self, now: Tick) {
        self.by_backend.borrow_mut().retain(|_, kept| {
            let gone = kept.backend.strong_count() == 0;
            let before = kept.idle.len();
            kept.idle.retain_mut(|idle| {
                let young = now.ns_since(idle.since) < self.options.idle_ms * 1_000_000;
                let stays = !gone && young && idle.stream.is_quiet();
                if !stays {
                    idle.stream.say_end();
                }
                stays
            });
            kept.open -= before - kept.idle.len();
            kept.links
                .retain(|link| !(link.is_closed() || gone && link.is_idle()));
            !(gone && kept.open == 0 && kept.links.is_empty())
        });
    }

    /// Opens connections in advance to a backend in use that has fewer idle ones than `warm_min`.
    pub fn keep_warm(self: &Rc<Self>, backend: &Arc<Backend>, connect_ms: u64, watch: Rc<Watch>) {
        if backend.protocol().is_h2() {
            // Its links stay open by themselves; a connection kept here would never be asked for.
            return;
        }
        let by_backend = self.by_backend.borrow();
        let idle = by_backend
            .get(&backend.id())
            .map_or(0, |kept| kept.idle.len());
        let open = by_backend.get(&backend.id()).map_or(0, |kept| kept.open);
        drop(by_backend);
        if idle >= self.options.warm_min || open >= self.options.open_max {
            return;
        }
        let (home, backend) = (Rc::clone(self), Arc::clone(backend));
        task::spawn_local("warm up", async move {
            if let Ok(lease) = home.connect(&backend, connect_ms, &watch).await {
                lease.park();
            }
        });
    }

    /// Connections lent out, and idle ones.
    pub fn census(&self) -> (usize, usize) {
        let idle = self
            .by_backend
            .borrow()
            .values()
            .map(|kept| kept.idle.len())
            .sum();
        (self.active.get(), idle)
    }
}

impl Kept {
    fn new(backend: &Arc<Backend>) -> Self {
        Self {
            backend: Arc::downgrade(backend),
            idle: Vec::new(),
            open: 0,
            links: Vec::new(),
            link_turn: Rc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        net::{guard::AddressGuard, tls::client::BackendTls, watch::Watchdog},
        spec::{BackendUrl, Protocol},
    };

    #[tokio::test]
    async fn a_denied_backend_is_unreachable_and_gives_its_place_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let url = BackendUrl::parse(&format!("http://{address}")).expect("an address");
        let backend = Arc::new(Backend::new(&url, Protocol::Http1));
        let connections = |deny: &[&str]| {
            let deny = deny.iter().map(|text| text.parse().expect("a network"));
            Rc::new(Connections::new(ConnectionOptions {
                idle_max: 1,
                idle_ms: 1_000,
                warm_min: 0,
                open_max: 1,
                head_bytes_max: 8_192,
                way: Way::new(
                    Arc::new(AddressGuard::new(vec![], deny.collect(), vec![])),
                    Arc::<BackendTls>::default(),
                ),
            }))
        };
        let watch = Rc::<Watchdog>::default().watch();
        let refused = connections(&["127.0.0.0/8"]);
        for _ in 0..2 {
            let error = refused.connect(&backend, 1_000, &watch).await;
            let error = error.expect_err("denied");
            let ExchangeError::Connect(inner) = &error else {
                panic!("{error}")
            };
            assert!(denied(inner).is_some(), "{error}");
            assert_eq!(refused.census(), (0, 0));
        }
        let lease = connections(&["10.0.0.0/8"])
            .connect(&backend, 1_000, &watch)
            .await;
        assert!(!lease.expect("connected").is_reused());
    }
}
