//! Sockets: listeners of the workers, the client's side of a connection, deadlines.

pub mod listen;
pub mod socket;
pub mod watch;
