//! The one way to an address of a backend or of a webhook's receiver: each is checked right before
//! it is connected to, and there is no second look-up in between.

use std::{fmt, io, net::SocketAddr};

use tokio::net::{TcpStream, lookup_host};

use super::guard::{AddressGuard, Denied, literal};
use crate::spec::BackendUrl;

/// Connects to the first address of a backend that may be and can be connected to. A name is looked
/// up on a thread of its own.
///
/// # Errors
/// What the system says of the last address that was tried; when none may be tried, an error that
/// [`denied`] knows.
pub async fn dial(url: &BackendUrl, guard: &AddressGuard) -> io::Result<TcpStream> {
    connect(url.host(), url.port(), url, guard).await
}

/// The same for a host that is no backend's: a name, or an address, an IPv6 one in brackets.
///
/// # Errors
/// As of [`dial`].
pub async fn dial_host(host: &str, port: u16, guard: &AddressGuard) -> io::Result<TcpStream> {
    connect(host, port, &host, guard).await
}

type Target<'a> = &'a (dyn fmt::Display + Sync);

async fn connect(
    host: &str,
    port: u16,
    target: Target<'_>,
    guard: &AddressGuard,
) -> io::Result<TcpStream> {
    if let Err(denied) = guard.check_host(host, port) {
        guard.tell(target, &denied);
        return Err(refusal(denied));
    }
    match literal(host) {
        Some(ip) => TcpStream::connect(SocketAddr::new(ip, port)).await,
        None => first(lookup_host((host, port)).await?, target, guard).await,
    }
}

/// The denial behind an error of [`dial`], if there is one.
pub fn denied(error: &io::Error) -> Option<&Denied> {
    error.get_ref()?.downcast_ref()
}

async fn first(
    addresses: impl Iterator<Item = SocketAddr>,
    target: Target<'_>,
    guard: &AddressGuard,
) -> io::Result<TcpStream> {
    let mut failed = None;
    let mut denial = None;
    for address in addresses {
        if let Err(denied) = guard.check(address) {
            guard.tell(target, &denied);
            denial = Some(denied);
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    // Where another address failed, that is what someone can do something about.
    Err(match (failed, denial) {
        (Some(error), _) => error,
        (None, Some(denied)) => refusal(denied),
        (None, None) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    })
}

fn refusal(denied: Denied) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, port: u16) -> BackendUrl {
        BackendUrl::parse(&format!("http://{host}:{port}")).expect("an address")
    }

    fn without_loopback() -> AddressGuard {
        let loopback = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
        AddressGuard::new(vec![], loopback.into(), vec![])
    }

    async fn listening() -> (tokio::net::TcpListener, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    #[tokio::test]
    async fn what_may_be_reached_is_reached_by_address_and_by_name() {
        let (_listener, address) = listening().await;
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1"] {
            let stream = dial(&url(host, address.port()), &AddressGuard::default()).await;
            let peer = stream.expect(host).peer_addr().expect("an address");
            assert_eq!(peer, address, "{host}");
        }
    }

    /// However an address is spelled, it is judged as what the resolver makes of it.
    #[tokio::test]
    async fn what_is_denied_is_not_connected_to() {
        let (listener, address) = listening().await;
        let own = AddressGuard::new(vec![], vec![], vec![address]);
        for guard in [&without_loopback(), &own] {
            for host in [
                "127.0.0.1",
                "[::ffff:127.0.0.1]",
                "localhost",
                "2130706433",
                "017700000001",
                "0x7f.1",
                "127.1",
            ] {
                let error = dial(&url(host, address.port()), guard).await;
                let error = error.expect_err(host);
                // A machine with IPv6 has a second address for this name, where nobody listens.
                let second =
                    host == "localhost" && error.kind() == io::ErrorKind::ConnectionRefused;
                assert!(second || denied(&error).is_some(), "{host}: {error}");
            }
        }
        let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx)));
        assert!(nobody.await.is_pending(), "somebody connected");
    }

    #[tokio::test]
    async fn the_addresses_of_a_name_are_tried_in_turn() {
        let (_listener, address) = listening().await;
        let (gone, closed) = listening().await;
        drop(gone);
        let own = AddressGuard::new(vec![], vec![], vec![closed]);
        let name = url("model", 80);
        let open = AddressGuard::default();
        for (addresses, guard, expected) in [
            (vec![closed, address], &open, Ok(address)),
            (vec![closed, address], &own, Ok(address)),
            (vec![closed], &open, Err(io::ErrorKind::ConnectionRefused)),
            (vec![closed], &own, Err(io::ErrorKind::PermissionDenied)),
            (vec![], &open, Err(io::ErrorKind::NotFound)),
        ] {
            let shown = format!("{addresses:?}");
            let stream = first(addresses.into_iter(), &name, guard).await;
            let found = stream.map(|stream| stream.peer_addr().expect("an address"));
            assert_eq!(found.map_err(|error| error.kind()), expected, "{shown}");
        }
    }
}
