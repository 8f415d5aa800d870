//! `weir sample-model KIND --listen ADDR`: one of the demo's models, alone.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::demo::{self, SampleModel};

/// Serves `model` on `listen`, each answer later by `delay`, until SIGTERM or SIGINT. The first line on stdout is the URL, with
/// port 0 shown resolved; it appears once connections are accepted.
///
/// # Errors
/// When the address can't be bound, or the runtime or the signals can't be set up.
pub fn run(model: SampleModel, delay: Duration, listen: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before the URL is printed: whoever reads it may send the signal at once.
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            io::Error::new(error.kind(), format!("can't listen on {listen}: {error}"))
        })?;
        let mut stdout = io::stdout();
        writeln!(stdout, "http://{}", listener.local_addr()?)?;
        stdout.flush()?;
        demo::serve(model, delay, listener, async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
    })
}
