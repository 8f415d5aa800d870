//! What one worker's tasks share: everything in it lives and dies on the worker's own thread, but
//! for the snapshot and the counters.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use slab::Slab;

use super::worker::Shared;
use crate::{
    base::chance::Chance,
    net::{
        socket::{ClientLimits, ClientSocket},
        tls::{accept::Rounds, server::ServerTls},
        watch::Watchdog,
    },
    queue::Queue,
    shadow::mirror::Mirror,
    snapshot::Current,
    telemetry::{meters::FaultMeters, outcome::Teller},
    upstream::{
        connections::{ConnectionOptions, Connections},
        rate::BodyRate,
    },
};

/// The limits of the data plane.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Client connections open at once, of all workers.
    pub connections_max: usize,
    /// The largest head of a request, in bytes.
    pub head_bytes_max: usize,
    /// The largest body of a request, in bytes.
    pub request_body_bytes_max: u64,
    /// HTTP/2 streams open at once on one connection.
    pub streams_max: u32,
    /// Time limits of client connections.
    pub client: ClientLimits,
    /// Between two pieces of a request's body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How slow a request's body may be, until its backend has answered.
    pub body_rate: BodyRate,
    /// Connections of one client's address; 0: as many as it likes.
    pub connections_per_address_max: u32,
    /// Connections beyond the cap, of all workers, that are told so.
    pub beyond_max: usize,
    /// How long a connection that is closed with unread bytes goes on reading, in milliseconds, so
    /// that its client can still read the answer.
    pub linger_ms: u64,
    /// How long open exchanges may go on when the gateway stops, in milliseconds.
    pub grace_ms: u64,
    /// Connections to backends.
    pub connections: ConnectionOptions,
    /// How often a request that was sent may be sent again.
    pub retries_max: u32,
    /// Bodies up to this size are kept to be sent again.
    pub retry_body_bytes_max: u64,
    /// TLS of the listener; none: clear text.
    pub tls: Option<Arc<ServerTls>>,
    /// Under which address clients reach the data plane, for the addresses that are told to them;
    /// empty for paths alone.
    pub public_url: String,
}

/// One worker's own.
pub(super) struct Local {
    pub(super) current: Arc<Current>,
    pub(super) options: GatewayOptions,
    pub(super) watchdog: Rc<Watchdog>,
    pub(super) connections: Rc<Connections>,
    pub(super) chance: Rc<Chance>,
    pub(super) teller: Rc<Teller>,
    pub(super) mirror: Rc<Mirror>,
    pub(super) faults: Arc<FaultMeters>,
    pub(super) clients: RefCell<Slab<Rc<ClientSocket>>>,
    pub(super) draining: Cell<bool>,
    /// Turns in which handshakes are computed.
    pub(super) handshakes: Rounds,
    /// None on a gateway that takes no async requests.
    pub(super) queue: Option<Arc<Queue>>,
}

impl Local {
    /// A thread's own, of what all share.
    pub(super) fn of(shared: &Shared) -> Rc<Self> {
        let options = shared.options.clone();
        let watchdog = Rc::<Watchdog>::default();
        let connections = Rc::new(Connections::new(options.connections.clone()));
        let chance = Rc::new(Chance::from_os());
        let teller = Rc::new(shared.door.teller());
        let mirror = Rc::new(Mirror {
            watchdog: Rc::clone(&watchdog),
            connections: Rc::clone(&connections),
            chance: Rc::clone(&chance),
            teller: Rc::clone(&teller),
            pairs: Rc::new(shared.pairs.teller()),
        });
        Rc::new(Self {
            current: Arc::clone(&shared.current),
            options,
            watchdog,
            connections,
            chance,
            teller,
            mirror,
            faults: Arc::clone(&shared.faults),
            clients: RefCell::default(),
            draining: Cell::new(false),
            handshakes: Rounds::default(),
            queue: shared.queue.clone(),
        })
    }
}
