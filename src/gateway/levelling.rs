//! Levelling of arrivals: the kernel spreads connections over the workers' listeners by a hash, so
//! a few long-lived ones can all land on one. A worker far above the least loaded hands what it
//! accepts to that one.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

/// Connections on their way from one worker to another; the sender keeps what does not fit.
const INBOX_MAX: usize = 1_024;

/// What workers know of each other's load.
#[derive(Debug)]
pub struct Levelling {
    open: Vec<AtomicUsize>,
    inboxes: Vec<mpsc::Sender<TcpStream>>,
    open_max: usize,
}

impl Levelling {
    /// For so many workers and, together, so many connections; with each worker's inbox.
    pub fn new(workers: usize, open_max: usize) -> (Self, Vec<mpsc::Receiver<TcpStream>>) {
        let (inboxes, receivers) = (0..workers).map(|_| mpsc::channel(INBOX_MAX)).unzip();
        let levelling = Self {
            open: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            inboxes,
            open_max,
        };
        (levelling, receivers)
    }

    /// Connections open on a worker.
    pub fn open(&self, worker: usize) -> usize {
        self.open[worker].load(Ordering::Relaxed)
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
    pub fn hand_over(&self, from: usize, to: usize, stream: TcpStream) -> Result<(), TcpStream> {
        self.open[to].fetch_add(1, Ordering::Relaxed);
        match self.inboxes[to].try_send(stream) {
            Ok(()) => {
                self.leave(from);
                Ok(())
            }
            Err(refused) => {
                self.leave(to);
                Err(refused.into_inner())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_on_one_worker_become_four_and_four() {
        let (levelling, _inboxes) = Levelling::new(2, 100);
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
    fn no_more_than_may_be() {
        let (levelling, _inboxes) = Levelling::new(2, 3);
        assert!(levelling.admit(0) && levelling.admit(1) && levelling.admit(0));
        assert!(!levelling.admit(1));
        levelling.leave(0);
        assert!(levelling.admit(1));
    }
}
