//! The handshake of a client's connection, in the connection's own task: it holds up nothing else,
//! however slow or wrong it is. The connection counts as open meanwhile.

use std::{future::poll_fn, io, pin::pin, rc::Rc, task::Poll};

use tokio::net::TcpStream;

use super::local::Local;
use crate::{
    net::{
        stream::Stream,
        tls::{
            accept::{Hello, hello, last_word, refuse_clear_text},
            server::ServerTls,
        },
        watch::{Phase, Watch, within},
    },
    telemetry::{series, table},
};

/// Makes a connection out of an accepted one; none when the client does not shake hands as it should,
/// or in time.
pub(super) async fn secure(
    local: &Local,
    tls: &ServerTls,
    tcp: TcpStream,
    limit_ms: u64,
) -> Option<Stream> {
    let watch = local.watchdog.watch();
    watch.enter(Phase::Head, limit_ms);
    match said(local, &watch, &tcp).await {
        Some(Ok(Hello::Tls)) => {}
        Some(Ok(Hello::Http)) => {
            tls.count_other();
            refuse_clear_text(tcp).await;
            return None;
        }
        Some(Ok(Hello::Other)) => {
            tls.count_other();
            return None;
        }
        Some(Ok(Hello::Nothing) | Err(_)) => return None,
        None => {
            give_up(tls);
            return None;
        }
    }
    match within(&watch, tls.handshake(tcp, &local.handshakes)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, tcp))) => {
            tracing::debug!(%error, "TLS handshake failed");
            if let Some(tcp) = tcp {
                last_word(tcp).await;
            }
            None
        }
        Err(_) => {
            give_up(tls);
            None
        }
    }
}

/// What the client says first; none when its time is over before it has said anything. A gateway that
/// drains waits for no client that has not begun.
async fn said(local: &Local, watch: &Rc<Watch>, tcp: &TcpStream) -> Option<io::Result<Hello>> {
    let mut hello = pin!(hello(tcp));
    poll_fn(|cx| {
        if watch.check(cx).is_some() {
            return Poll::Ready(None);
        }
        match hello.as_mut().poll(cx) {
            Poll::Ready(said) => Poll::Ready(Some(said)),
            Poll::Pending if local.draining.get() => Poll::Ready(Some(Ok(Hello::Nothing))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn give_up(tls: &ServerTls) {
    tls.count_timeout();
    series::count(&table::CONNECTIONS_REFUSED, &["tls_timeout"], 1);
}
