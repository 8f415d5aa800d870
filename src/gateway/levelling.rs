//! Levelling of arrivals: the kernel spreads connections over the workers' listeners by a hash, so
//! a few long-lived ones can all land on one. A worker far above the least loaded hands what it
//! accepts to that one.

use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

use crate::net::{descriptors::Descriptor, per_address::AddressPlace};

/// Connections on their way from one worker to another; the sender keeps what does not fit.
const INBOX_MAX: usize = 1_024;

/// What workers know of each other's load.
#[derive(Debug)]
pub struct Levelling {
    open: Vec<AtomicUsize>,
    inboxes: Vec<mpsc::Sender<Handed>>,
    open_max: usize,
    /// Connections beyond these, of all workers.
    beyond: AtomicUsize,
    beyond_max: usize,
}

/// What an open connection holds beside its place: of the process's sockets, of its address's.
#[derive(Debug, Default)]
pub(super) struct Holds {
    pub(super) descriptor: Option<Descriptor>,
    pub(super) address: Option<AddressPlace>,
}

/// Counts as a connection beyond the cap until it is dropped.
#[derive(Debug)]
pub(super) struct BeyondPlace {
    levelling: Arc<Levelling>,
    _holds: Holds,
}

impl Drop for BeyondPlace {
    fn drop(&mut self) {
        self.levelling.beyond.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection on its way to another worker, counted there already.
#[derive(Debug)]
pub struct Handed {
    pub(super) stream: TcpStream,
    pub(super) place: OpenPlace,
}

/// Counts as an open connection until it is dropped, by whatever end: a worker that drains drops
/// what is still on its way to it.
#[derive(Debug)]
pub(super) struct OpenPlace {
    index: usize,
    levelling: Arc<Levelling>,
    holds: Holds,
}

impl OpenPlace {
    /// Takes over a count that was made on a worker.
    pub(super) fn of(levelling: &Arc<Levelling>, worker: usize, holds: Holds) -> Self {
        Self {
            index: worker,
            levelling: Arc::clone(levelling),
            holds,
        }
    }
}

impl Drop for OpenPlace {
    fn drop(&mut self) {
        self.levelling.leave(self.index);
    }
}

impl Levelling {
    /// For so many workers and, together, so many connections; with each worker's inbox.
    /// Beyond them so many more are taken, to be told so.
    pub fn new(
        workers: usize,
        open_max: usize,
        beyond_max: usize,
    ) -> (Self, Vec<mpsc::Receiver<Handed>>) {
        let (inboxes, receivers) = (0..workers).map(|_| mpsc::channel(INBOX_MAX)).unzip();
        let levelling = Self {
            open: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            inboxes,
            open_max,
            beyond: AtomicUsize::new(0),
            beyond_max,
        };
        (levelling, receivers)
    }

    /// Connections open on a worker.
    pub fn open(&self, worker: usize) -> usize {
        self.open[worker].load(Ordering::Relaxed)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.open.len()
    }

    /// Counts one more connection on a worker; false, and nothing counted, when all workers
    /// together have as many as they may.
    pub fn admit(&self, worker: usize) -> bool {
        // Relaxed, and added before the sum is taken: of two that race for the last place both may
        // be refused, but never both let in.
        self.open[worker].fetch_add(1, Ordering::Relaxed);
        let total: usize = (0..self.open.len()).map(|i| self.open(i)).sum();
        if total > self.open_max {
            self.leave(worker);
            return false;
        }
        true
    }

    /// Counts a connection that there is no place for; none when there are too many of these as well.
    pub(super) fn admit_beyond(self: &Arc<Self>, holds: Holds) -> Option<BeyondPlace> {
        let place = BeyondPlace {
            levelling: Arc::clone(self),
            _holds: holds,
        };
        let before = self.beyond.fetch_add(1, Ordering::Relaxed);
        (before < self.beyond_max).then_some(place)
    }

    /// A worker's connection is closed.
    pub fn leave(&self, worker: usize) {
        self.open[worker].fetch_sub(1, Ordering::Relaxed);
    }

    /// To whom a connection just admitted on `worker` should go instead. At rest the difference
    /// that is borne is one connection; it grows with the load, where a difference says little and
    /// handing over costs a wake-up of another core.
    pub fn better(&self, worker: usize) -> Option<usize> {
        let own = self.open(worker);
        let least = (0..self.open.len()).min_by_key(|&i| self.open(i))?;
        (own > self.open(least) + 1 + own / 8).then_some(least)
    }

    /// Hands an admitted connection over, with its count.
    ///
    /// # Errors
    /// Gives the connection back when the other's inbox is full.
    pub(super) fn hand_over(
        self: &Arc<Self>,
        from: usize,
        to: usize,
        stream: TcpStream,
        holds: Holds,
    ) -> Result<(), (TcpStream, Holds)> {
        self.open[to].fetch_add(1, Ordering::Relaxed);
        let place = OpenPlace::of(self, to, holds);
        self.inboxes[to]
            .try_send(Handed { stream, place })
            .map_err(|refused| {
                let mut handed = refused.into_inner();
                (handed.stream, std::mem::take(&mut handed.place.holds))
            })?;
        self.leave(from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_on_one_worker_become_four_and_four() {
        let (levelling, _inboxes) = Levelling::new(2, 100, 0);
        for _ in 0..8 {
            assert!(levelling.admit(0));
            if let Some(other) = levelling.better(0) {
                levelling.open[other].fetch_add(1, Ordering::Relaxed);
                levelling.leave(0);
            }
        }
        assert_eq!((levelling.open(0), levelling.open(1)), (4, 4));
    }

    #[test]
    fn what_is_on_its_way_to_a_worker_that_ends_counts_no_more() {
        let (levelling, inboxes) = Levelling::new(2, 100, 0);
        let levelling = Arc::new(levelling);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = || TcpStream::connect(address).expect("a connection");
        assert!(levelling.admit(0));
        let holds = Holds::default;
        let handed = levelling.hand_over(0, 1, stream(), holds());
        handed.expect("there is room");
        assert_eq!((levelling.open(0), levelling.open(1)), (0, 1));
        drop(inboxes);
        assert_eq!((levelling.open(0), levelling.open(1)), (0, 0));
        assert!(levelling.admit(0));
        assert!(levelling.hand_over(0, 1, stream(), holds()).is_err());
        assert_eq!((levelling.open(0), levelling.open(1)), (1, 0));
    }

    #[test]
    fn no_more_than_may_be() {
        let (levelling, _inboxes) = Levelling::new(2, 3, 2);
        let levelling = Arc::new(levelling);
        assert!(levelling.admit(0) && levelling.admit(1) && levelling.admit(0));
        assert!(!levelling.admit(1));
        let beyond = [(); 3].map(|()| levelling.admit_beyond(Holds::default()));
        assert_eq!(beyond.iter().flatten().count(), 2);
        drop(beyond);
        assert!(levelling.admit_beyond(Holds::default()).is_some());
        levelling.leave(0);
        assert!(levelling.admit(1));
    }
}
