//! A connection that is lent out: back in order, or not at all.

use std::rc::Rc;

use super::{Connections, Idle};
use crate::{
    base::{clock::Tick, id::BackendId},
    net::{descriptors::Descriptor, stream::Stream},
};

/// An HTTP/1.1 connection lent to one exchange. Dropped, it is closed.
#[derive(Debug)]
pub struct Lease {
    pub(super) stream: Option<Stream>,
    /// Its place among the process's sockets.
    pub(super) descriptor: Option<Descriptor>,
    pub(super) backend: BackendId,
    pub(super) reused: bool,
    pub(super) home: Rc<Connections>,
}

// === impl Lease ===

impl Lease {
    /// The connection.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.stream.as_mut()
    }

    /// Whether it has served an exchange before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Takes the connection out for HTTP/2, which keeps it in its own way; the lease goes on
    /// counting it as open.
    pub fn detach(&mut self) -> Option<Stream> {
        self.stream.take()
    }

    /// Gives the connection back for the next exchange. Only after an exchange that went by the
    /// book to its last byte.
    pub fn park(mut self) {
        let mut by_backend = self.home.by_backend.borrow_mut();
        if let Some(kept) = by_backend.get_mut(&self.backend)
            && kept.idle.len() < self.home.options.idle_max
            && let Some(stream) = self.stream.take()
        {
            kept.idle.push(Idle {
                stream,
                descriptor: self.descriptor.take(),
                since: Tick::now(),
            });
            // It stays open; dropping the lease takes one off.
            kept.open += 1;
        }
        drop(by_backend);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.say_end();
        }
        let home = &self.home;
        home.active.set(home.active.get().saturating_sub(1));
        if let Some(kept) = home.by_backend.borrow_mut().get_mut(&self.backend) {
            kept.open = kept.open.saturating_sub(1);
        }
    }
}
