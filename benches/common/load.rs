//! The load of the parts `requests` and `rate`: one thread, one epoll, two system calls a request.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read},
    os::fd::AsFd,
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use weir::base::chance::Chance;

use super::{
    Checked,
    dial::{Connection, Dialer},
    meter::{Meter, Used, now_ns},
    ticker,
    wire::{self, BUFFER_BYTES, RequestForm, Scale},
};

/// With nothing received for this long a run has failed.
const STALL_NS: u64 = 5_000_000_000;
const TICK: u64 = u64::MAX;

/// When to measure: after the warm-up, for so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warmup_ns: u64,
    pub(crate) length_ns: u64,
}

/// When requests leave: `burst` of them together, `per_second` on the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What was seen within the window.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) used: Used,
    /// Answers (or events) received.
    pub(crate) units: u64,
    /// Time from the intended (or noted) send until the receipt, sorted, in ns.
    pub(crate) latencies: Vec<i64>,
    /// How late requests left, sorted, in ns: the load's own fault or a connection's that was busy.
    pub(crate) lateness: Vec<i64>,
}

/// Connections to one target, with what their requests are made of.
pub(crate) struct Load {
    epoll: Epoll,
    clients: Vec<Client>,
    shared: Shared,
}

struct Shared {
    keys: Vec<String>,
    form: RequestForm,
    deployments: usize,
    expected: Vec<u8>,
    chance: Chance,
    mark: u64,
}

struct Client {
    socket: Connection,
    buffer: Box<[u8; BUFFER_BYTES]>,
    filled: usize,
    mark: u64,
    intended: u64,
}

impl Load {
    /// Connects.
    pub(crate) fn connect(
        target: impl Into<Dialer>,
        connections: usize,
        seed: u64,
    ) -> Checked<Self> {
        let dialer = target.into();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let clients = (0..connections)
            .map(|id| {
                let socket = dialer.dial()?;
                socket.set_nonblocking(true)?;
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
                epoll.add(&socket, EpollEvent::new(flags, id as u64))?;
                Ok(Client {
                    socket,
                    buffer: Box::new([0; BUFFER_BYTES]),
                    filled: 0,
                    mark: 0,
                    intended: 0,
                })
            })
            .collect::<Checked<_>>()?;
        let shared = Shared {
            keys: (0..Scale::USUAL.keys).map(wire::key).collect(),
            form: RequestForm::new("predict", &wire::json_body("inputs")),
            deployments: Scale::USUAL.deployments,
            expected: wire::json_body("outputs"),
            chance: Chance::seeded(seed),
            mark: 0,
        };
        Ok(Self {
            epoll,
            clients,
            shared,
        })
    }

    /// Calls the first of the deployments only.
    pub(crate) fn among(mut self, deployments: usize) -> Self {
        self.shared.deployments = deployments.clamp(1, Scale::USUAL.deployments);
        self
    }

    /// Calls all deployments with all keys of another scale.
    pub(crate) fn of(mut self, scale: Scale) -> Self {
        self.shared.deployments = scale.deployments;
        self.shared.keys = (0..scale.keys).map(wire::key).collect();
        self
    }

    /// A closed loop of so many requests, all of them answered when it returns; how long it took.
    pub(crate) fn bunch(&mut self, count: u64) -> Checked<Duration> {
        let mut events = [EpollEvent::empty(); 256];
        let started = now_ns();
        let (mut left, mut under_way, mut heard_at) = (count, 0_usize, started);
        for client in &mut self.clients {
            if left > 0 {
                client.send(&mut self.shared, 0)?;
                (left, under_way) = (left - 1, under_way + 1);
            }
        }
        while under_way > 0 {
            let ready = self.epoll.wait(&mut events, 100u8)?;
            heard_at = stalled(ready, now_ns(), heard_at)?;
            for event in &events[..ready] {
                let client = &mut self.clients[event.data() as usize];
                if !client.receive(&self.shared)? {
                    continue;
                }
                if left > 0 {
                    client.send(&mut self.shared, 0)?;
                    left -= 1;
                } else {
                    under_way -= 1;
                }
            }
        }
        Ok(Duration::from_nanos(now_ns() - started))
    }

    /// Every connection always has one request under way.
    pub(crate) fn closed_loop(&mut self, window: Window, meter: &Meter) -> Checked<Measured> {
        let mut events = [EpollEvent::empty(); 256];
        for client in &mut self.clients {
            client.send(&mut self.shared, 0)?;
        }
        let started = now_ns();
        let (open_at, close_at) = window.from(started);
        let (mut opened, mut units, mut heard_at) = (None, 0, started);
        loop {
            let ready = self.epoll.wait(&mut events, 100u8)?;
            let now = now_ns();
            if opened.is_none() && now >= open_at {
                opened = Some(meter.read()?);
                units = 0;
            }
            if let Some(opened) = &opened
                && now >= close_at
            {
                return Ok(Measured {
                    used: opened.until(&meter.read()?),
                    units,
                    latencies: Vec::new(),
                    lateness: Vec::new(),
                });
            }
            heard_at = stalled(ready, now, heard_at)?;
            for event in &events[..ready] {
                let client = &mut self.clients[event.data() as usize];
                if client.receive(&self.shared)? {
                    units += 1;
                    client.send(&mut self.shared, 0)?;
                }
            }
        }
    }

    /// Waits for the answers that a closed loop left under way.
    pub(crate) fn finish(&mut self) -> Checked<()> {
        let mut events = [EpollEvent::empty(); 256];
        let mut left: Vec<usize> = (0..self.clients.len()).collect();
        let mut heard_at = now_ns();
        loop {
            // All of them: the loop that ended has heard of some and not read them.
            let mut waiting = Vec::with_capacity(left.len());
            for &id in &left {
                if !self.clients[id].receive(&self.shared)? {
                    waiting.push(id);
                }
            }
            left = waiting;
            if left.is_empty() {
                return Ok(());
            }
            let ready = self.epoll.wait(&mut events, 100u8)?;
            heard_at = stalled(ready, now_ns(), heard_at)?;
        }
    }

    /// Requests leave at fixed times. One that finds no free connection leaves as soon as there is
    /// one, and its latency counts from when it should have left.
    pub(crate) fn open_loop(
        &mut self,
        window: Window,
        pace: Pace,
        meter: &Meter,
    ) -> Checked<Measured> {
        let burst = u64::from(pace.burst);
        let every = 1_000_000_000 * burst / u64::from(pace.per_second);
        let timer = ticker::new()?;
        self.epoll
            .add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TICK))?;
        ticker::start(&timer, every)?;
        let mut free: VecDeque<usize> = (0..self.clients.len()).collect();
        let expected = ((window.length_ns / every + 1) * burst) as usize;
        let mut latencies = Vec::with_capacity(expected);
        let mut lateness = Vec::with_capacity(expected);
        let mut events = [EpollEvent::empty(); 256];
        let started = now_ns();
        let (open_at, close_at) = window.from(started);
        let (mut opened, mut closed, mut units) = (None, None, 0);
        let (mut due, mut left, mut heard_at) = (started, burst, started);
        loop {
            let mut now = now_ns();
            while due <= now && due < close_at {
                let Some(id) = free.pop_front() else { break };
                if (open_at..close_at).contains(&due) {
                    lateness.push((now - due).cast_signed());
                }
                self.clients[id].send(&mut self.shared, due)?;
                left -= 1;
                if left == 0 {
                    (due, left) = (due + every, burst);
                }
                now = now_ns();
            }
            let ready = self.epoll.wait(&mut events, 100u8)?;
            now = now_ns();
            if opened.is_none() && now >= open_at {
                opened = Some(meter.read()?);
                units = 0;
            }
            if closed.is_none() && now >= close_at {
                closed = Some((meter.read()?, units));
            }
            for event in &events[..ready] {
                if event.data() == TICK {
                    ticker::clear(&timer)?;
                    continue;
                }
                heard_at = now;
                let id = event.data() as usize;
                let client = &mut self.clients[id];
                if client.receive(&self.shared)? {
                    units += 1;
                    if (open_at..close_at).contains(&client.intended) {
                        latencies.push((now_ns() - client.intended).cast_signed());
                    }
                    free.push_back(id);
                }
            }
            stalled(0, now, heard_at)?;
            // What left within the window is waited for: the slowest answers are the ones that count.
            if let (Some(opened), Some((closed, units))) = (&opened, &closed)
                && due >= close_at
                && free.len() == self.clients.len()
            {
                latencies.sort_unstable();
                lateness.sort_unstable();
                return Ok(Measured {
                    used: opened.until(closed),
                    units: *units,
                    latencies,
                    lateness,
                });
            }
        }
    }
}

impl Client {
    fn send(&mut self, shared: &mut Shared, intended: u64) -> Checked<()> {
        shared.mark += 1;
        (self.mark, self.intended, self.filled) = (shared.mark, intended, 0);
        let deployment = shared.chance.below(shared.deployments as u64) as usize;
        let key = &shared.keys[shared.chance.below(shared.keys.len() as u64) as usize];
        let request = shared.form.fill(deployment, key, self.mark);
        let sent = self.socket.send(request);
        sent.map_err(|e| format!("sending a request: {e}").into())
    }

    /// True once the answer is there, whole and right.
    fn receive(&mut self, shared: &Shared) -> Checked<bool> {
        loop {
            match self.socket.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    return Err("a connection was closed (or an answer was far too long)".into());
                }
                Ok(read) => {
                    self.filled += read;
                    let whole =
                        wire::is_reply(&self.buffer[..self.filled], &shared.expected, self.mark)?;
                    // Edge-triggered: under TLS a record may be left that no event tells of.
                    if whole || !self.socket.is_tls() {
                        return Ok(whole);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

// === impl Window ===

impl Window {
    /// When it opens and closes, for a load that starts at `started`.
    pub(crate) fn from(self, started: u64) -> (u64, u64) {
        let open_at = started + self.warmup_ns;
        (open_at, open_at + self.length_ns)
    }
}

/// The time at which something was last heard; an error when that was too long ago.
pub(crate) fn stalled(ready: usize, now: u64, heard_at: u64) -> Checked<u64> {
    if ready > 0 {
        Ok(now)
    } else if now.saturating_sub(heard_at) > STALL_NS {
        Err("nothing was received for 5 s".into())
    } else {
        Ok(heard_at)
    }
}
