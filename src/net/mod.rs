//! Sockets: listeners of the workers, the client's side of a connection, deadlines, TLS, and the
//! way to backends.

pub mod descriptors;
pub mod dial;
pub mod ends;
pub mod frames;
pub mod guard;
pub mod listen;
pub mod per_address;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod watch;
pub mod way;
