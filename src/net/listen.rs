//! Listening sockets: one address, one socket for each worker.

use std::{io, net::SocketAddr, os::fd::AsFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that may wait to be accepted, for each worker; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4_096;

/// Opens `count` listening sockets on one address, between which the kernel spreads arrivals
/// (`SO_REUSEPORT`). Port 0 is resolved once; the address they share is returned with them.
///
/// # Errors
/// Whatever the system says, `AddrInUse` foremost.
pub fn bind_all(address: SocketAddr, count: usize) -> io::Result<(Vec<Socket>, SocketAddr)> {
    // A process that already listens there must be an error, not a silent partner in the traffic;
    // with SO_REUSEPORT set the kernel would let us join it. A probe without the option finds out.
    drop(open(address, false)?);
    let first = open(address, true)?;
    let resolved = first
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("listening socket without an address"))?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(open(resolved, true)?);
    }
    Ok((sockets, resolved))
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Makes closing this socket abort the connection (RST), so that a peer which takes the end of
/// the connection for the end of the body sees that it is broken.
pub fn abort_on_close(socket: &impl AsFd) {
    // It fails on a socket that is gone already, and then there is nothing left to abort.
    let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
}

/// Has the system break a connection whose peer takes nothing of what it was sent for this long.
/// Known on Linux alone; elsewhere such a peer holds its connection.
pub fn break_when_unread(socket: &impl AsFd, limit: std::time::Duration) {
    // It fails on a socket that is gone already.
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(limit));
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, limit);
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        time::{Duration, Instant},
    };

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_reads_nothing_loses_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let _peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (mut stream, _) = listener.accept().expect("accepted");
        break_when_unread(&stream, Duration::from_millis(300));
        let patience = Duration::from_secs(20);
        stream.set_write_timeout(Some(patience)).expect("set");
        let began = Instant::now();
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 65_536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(began.elapsed() < patience);
    }

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let (sockets, resolved) = bind_all(any, 3).expect("a free port");
        assert_eq!(sockets.len(), 3);
        assert_ne!(resolved.port(), 0);
        let again = bind_all(resolved, 1).expect_err("the port is taken");
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }
}
