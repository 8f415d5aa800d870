//! What is still to be done when the process is asked to end.

use std::{
    io::{self, Write},
    process, thread,
};

use tokio::signal::unix::{SignalKind, signal};

/// Does something when the process is interrupted or terminated, in place of the system's own end; it
/// is to end the process. What the signals do is changed when this returns, so that none is missed.
///
/// # Errors
/// When the signals can't be listened to.
pub(in crate::cli) fn on_end(end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let waits = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        end();
    };
    thread::Builder::new().name("end".into()).spawn(waits)?;
    Ok(())
}

/// Ends the process with 130 when it is interrupted, after `words` on standard error.
///
/// # Errors
/// As [`on_end`].
pub(in crate::cli) fn on_interrupt(
    words: impl FnOnce() -> String + Send + 'static,
) -> io::Result<()> {
    on_end(move || {
        let mut err = io::stderr().lock();
        // Over the live line, and what the terminal shows of the key.
        let over = if io::IsTerminal::is_terminal(&err) {
            "\r\x1b[K"
        } else {
            ""
        };
        let _ = writeln!(err, "{over}{}", words());
        // 128 and the signal's number, as shells count.
        process::exit(130);
    })
}
