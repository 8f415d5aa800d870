//! Which protocol a client speaks: HTTP/2 with prior knowledge begins with a preface that no
//! HTTP/1 request begins with (RFC 9113 section 3.4).

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    task::{Poll, ready},
};

use tokio::io::ReadBuf;

use crate::{
    net::socket::ClientSocket,
    telemetry::{series, table},
};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection turned out to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    /// It was closed, or said nothing in time.
    Nothing,
}

/// Reads until the protocol is clear; what was read is put back for hyper.
pub(super) async fn sniff(socket: &ClientSocket, draining: &Cell<bool>) -> Spoken {
    let mut seen = [0u8; PREFACE.len()];
    let mut buf = ReadBuf::new(&mut seen);
    let spoken = poll_fn(|cx| {
        if socket.must_close(cx).is_some() {
            series::count(&table::CONNECTIONS_REFUSED, &["head_timeout"], 1);
            return Poll::Ready(Ok(Spoken::Nothing));
        }
        loop {
            let before = buf.filled().len();
            let read = socket.poll_read_raw(cx, &mut buf);
            // A gateway that drains waits for no request that has not begun; one that has come is
            // answered.
            if read.is_pending() && draining.get() && before == 0 {
                return Poll::Ready(Ok(Spoken::Nothing));
            }
            ready!(read)?;
            let filled = buf.filled();
            let spoken = match filled.len() {
                count if count == before => Spoken::Nothing,
                _ if !PREFACE.starts_with(filled) => Spoken::Http1,
                count if count == PREFACE.len() => Spoken::Http2,
                _ => continue,
            };
            return Poll::Ready(io::Result::Ok(spoken));
        }
    })
    .await;
    socket.put_back(buf.filled());
    spoken.unwrap_or(Spoken::Nothing)
}
