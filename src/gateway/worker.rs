//! A worker: one thread with a current-thread runtime, its own listener, its own connections.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use socket2::Socket;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{LocalOptions, LocalRuntime},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{
    connection::drive,
    levelling::{Handed, Holds, Levelling, OpenPlace},
    local::{GatewayOptions, Local},
};
use crate::{
    base::{clock::Tick, task},
    net::{
        descriptors::{self, Descriptor, Spare},
        per_address::PerAddress,
        watch::TICK,
    },
    queue::Queue,
    shadow::door::PairDoor,
    snapshot::Current,
    telemetry::{meters::FaultMeters, outcome::Door, series, table},
};

/// Ticks between two rounds of housekeeping: about a second.
const TICKS_PER_ROUND: u32 = 50;

/// Ticks between two hand-overs of outcomes: a log line is at most this much late.
const TICKS_PER_FLUSH: u32 = 3;

/// How long accepting rests after the system had no descriptor or memory for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Connections that are closed between two such rests.
const TURNED_AWAY_AT_ONCE: usize = 64;

/// How often it is looked how many descriptors there are.
const DESCRIPTORS_EVERY: Duration = Duration::from_secs(1);

/// How often the log hears of it.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    /// What is in force.
    pub current: Arc<Current>,
    /// The limits.
    pub options: GatewayOptions,
    /// The other workers' load.
    pub levelling: Arc<Levelling>,
    /// Faults by code.
    pub faults: Arc<FaultMeters>,
    /// The door for outcomes.
    pub door: Door,
    /// The door for pairs of main's and the challenger's answers.
    pub pairs: PairDoor,
    /// Turns true when the gateway is to drain.
    pub drain: watch::Receiver<bool>,
    /// Async requests; none where there is no place to keep them.
    pub queue: Option<Arc<Queue>>,
    /// How many connections each client's address has, where that is limited.
    pub addresses: Option<Arc<PerAddress>>,
    /// Each worker's figures, and behind them each runner's.
    pub figures: Arc<[Figures]>,
}

/// What a worker tells of itself about once a second.
#[derive(Debug, Default)]
pub struct Figures {
    /// Connections to backends that serve an exchange.
    pub upstream_active: AtomicUsize,
    /// Connections to backends that wait.
    pub upstream_idle: AtomicUsize,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    thread: thread::JoinHandle<()>,
}

impl Worker {
    /// Starts a worker on a thread of its own. It accepts from when this returns, on a socket that
    /// has been listening before.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        index: usize,
        socket: Socket,
        inbox: mpsc::Receiver<Handed>,
        shared: Shared,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                if let Err(error) = run(index, socket, inbox, shared) {
                    tracing::error!(worker = index, %error, "worker ended");
                }
            })?;
        Ok(Self { thread })
    }

    /// Waits until it has drained.
    pub fn join(self) {
        // A panic was logged by its task; there is nothing left to do about it.
        let _ = self.thread.join();
    }
}

fn run(
    index: usize,
    socket: Socket,
    inbox: mpsc::Receiver<Handed>,
    shared: Shared,
) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    let runtime: LocalRuntime = builder.build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(socket.into())?;
        let local = Local::of(&shared);
        let accepting = Accepting {
            index,
            local: Rc::clone(&local),
            levelling: Arc::clone(&shared.levelling),
            addresses: shared.addresses.clone(),
            spare: Spare::new(),
            told: None,
        };
        let accepting = task::spawn_local("accept", accepting.run(listener, inbox));
        if index == 0 {
            // One for all: they share the process's descriptors.
            task::spawn_local("descriptors", keep_up());
        }
        let mut drain = shared.drain.clone();
        let figures = &shared.figures[index];
        tick_until(&local, figures, async {
            // An error means that the sender is gone, and with it everything else.
            let _ = drain.wait_for(|&drain| drain).await;
        })
        .await;
        accepting.abort();
        local.draining.set(true);
        local.watchdog.wake_all();
        let grace = Duration::from_millis(local.options.grace_ms);
        let deadline = Instant::now() + grace;
        tick_until(&local, figures, async {
            while shared.levelling.open(index) > 0 && Instant::now() < deadline {
                tokio::time::sleep(TICK / 4).await;
            }
        })
        .await;
        let left = shared.levelling.open(index);
        if left > 0 {
            tracing::warn!(
                worker = index,
                connections = left,
                "grace is over, closing connections"
            );
        }
        local.teller.flush();
        local.mirror.pairs.flush();
        Ok(())
    })
}

/// Has the count of descriptors follow what there is.
async fn keep_up() {
    let mut rounds = tokio::time::interval(DESCRIPTORS_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        descriptors::keep_up();
    }
}

/// Looks after deadlines and housekeeping until `done`.
pub(super) async fn tick_until(
    local: &Rc<Local>,
    figures: &Figures,
    done: impl Future<Output = ()>,
) {
    let mut done = std::pin::pin!(done);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0u32;
    loop {
        tokio::select! {
            () = &mut done => return,
            _ = ticks.tick() => {}
        }
        count = count.wrapping_add(1);
        local.watchdog.sweep(Tick::coarse());
        for (_, client) in &*local.clients.borrow() {
            client.look_for_hang_up();
        }
        if count.is_multiple_of(TICKS_PER_FLUSH) {
            local.teller.flush();
            local.mirror.pairs.flush();
        }
        if count.is_multiple_of(TICKS_PER_ROUND) {
            keep_house(local, figures);
        }
    }
}

fn keep_house(local: &Rc<Local>, figures: &Figures) {
    let connections = &local.connections;
    connections.sweep(Tick::now());
    if connections.options().warm_min > 0 && !local.draining.get() {
        for route in local.current.load_full().routes() {
            // What is kept for pins alone is not kept warm to the last connection.
            let Ok(plan) = route.live() else { continue };
            for member in plan.legs().flat_map(|leg| leg.pool.members()) {
                let watch = local.watchdog.watch();
                connections.keep_warm(&member.backend, plan.timeouts.connect_ms, watch);
            }
        }
    }
    let (active, idle) = connections.census();
    figures.upstream_active.store(active, Ordering::Relaxed);
    figures.upstream_idle.store(idle, Ordering::Relaxed);
}

/// A worker's accept loop.
struct Accepting {
    index: usize,
    local: Rc<Local>,
    levelling: Arc<Levelling>,
    addresses: Option<Arc<PerAddress>>,
    spare: Spare,
    /// When the log last heard that connections can't be accepted.
    told: Option<Instant>,
}

impl Accepting {
    async fn run(mut self, listener: TcpListener, mut inbox: mpsc::Receiver<Handed>) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer.ip()),
                    Err(error) => self.rest(&error, &listener).await,
                },
                Some(Handed { stream, place }) = inbox.recv() => {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        self.serve(stream, place, false);
                    }
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, ip: IpAddr) {
        let mut holds = Holds::default();
        if let Some(addresses) = &self.addresses {
            holds.address = addresses.take(ip);
            if holds.address.is_none() {
                series::count(&table::CONNECTIONS_REFUSED, &["address_max"], 1);
                return;
            }
        }
        holds.descriptor = Descriptor::for_client();
        if holds.descriptor.is_none() || !self.levelling.admit(self.index) {
            return self.take_beyond(stream, holds);
        }
        let place = |holds| OpenPlace::of(&self.levelling, self.index, holds);
        let Some(other) = self.levelling.better(self.index) else {
            return self.serve(stream, place(holds), false);
        };
        let handed = match stream.into_std() {
            Ok(stream) => self.levelling.hand_over(self.index, other, stream, holds),
            Err(_) => return self.levelling.leave(self.index),
        };
        match handed {
            Ok(()) => series::count(&table::HANDED_OVER, &[], 1),
            Err((stream, holds)) => match TcpStream::from_std(stream) {
                Ok(stream) => self.serve(stream, place(holds), false),
                Err(_) => self.levelling.leave(self.index),
            },
        }
    }

    /// Takes a connection beyond the cap, to ask for health or be told that there are too many; and
    /// none beyond that.
    fn take_beyond(&self, stream: TcpStream, mut holds: Holds) {
        series::count(&table::CONNECTIONS_REFUSED, &["connections_max"], 1);
        holds.descriptor = holds.descriptor.or_else(Descriptor::beyond);
        if holds.descriptor.is_some()
            && let Some(place) = self.levelling.admit_beyond(holds)
        {
            self.serve(stream, place, true);
        }
    }

    /// Serves an admitted connection in a task of its own, which holds on to its place.
    fn serve(&self, stream: TcpStream, place: impl Sized + 'static, is_beyond: bool) {
        // Without it a head and a first token may wait for each other's acknowledgement, 40 ms.
        let _ = stream.set_nodelay(true);
        let local = Rc::clone(&self.local);
        task::spawn_local("client connection", async move {
            let _place = place;
            drive(local, stream, is_beyond).await;
        });
    }

    /// What to do when a connection can't be accepted.
    async fn rest(&mut self, error: &io::Error, listener: &TcpListener) {
        // What went wrong with one connection says nothing about the next.
        let its_own = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        );
        if its_own {
            return;
        }
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= TELL_EVERY) {
            self.told = Some(now);
            tracing::warn!(%error, "cannot accept connections");
        }
        series::count(&table::CONNECTIONS_REFUSED, &["accept_error"], 1);
        if self.spare.lend_for(error) {
            // Whoever waits in the system's queue is closed rather than left to wait; a few at a time,
            // however many there are.
            for _ in 0..TURNED_AWAY_AT_ONCE {
                match listener.accept().now_or_never() {
                    Some(Ok(_)) => {}
                    _ => break,
                }
            }
            self.spare.restore();
        }
        tokio::time::sleep(ACCEPT_REST).await;
    }
}
