//! Log lines to stderr, as text for people or as JSON for programs: one line for each event, whatever
//! clients, backends and people wrote into it.

mod json;
mod text;

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use self::{json::Harmless, text::Fields};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, once for the process. `level` is `error`, `warn`, `info`, `debug` or `trace`,
/// or a filter such as `info,weir=debug`. A second call changes nothing.
pub fn start(format: Format, level: &str) {
    let registry = tracing_subscriber::registry().with(filter(level));
    let layer = fmt::layer().with_target(false);
    let started = match format {
        Format::Text => {
            let layer = layer
                .with_ansi(std::io::stderr().is_terminal())
                .fmt_fields(Fields)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = layer
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_writer(|| Harmless(std::io::stderr()));
            registry.with(layer).try_init()
        }
    };
    // Only a test that starts two gateways in one process gets here twice.
    let _ = started;
}

/// What these libraries have to say at all comes back as an error or goes to the peer. Their lines would
/// be written whenever a stranger likes (the TLS one warns of each odd name in a handshake), or for
/// each frame.
const SILENT: [&str; 2] = ["rustls=off", "h2=off"];

fn filter(level: &str) -> EnvFilter {
    let silent = SILENT.join(",");
    EnvFilter::try_new(format!("{level},{silent}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("info,{silent}")))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stranger_writes_no_lines_through_a_library() {
        for (level, expected) in [
            ("trace", "own low"),
            ("info", "own"),
            ("nonsense=1=2", "own"),
        ] {
            let lines = Lines::default();
            let writer = lines.clone();
            let layer = fmt::layer().with_writer(move || writer.clone());
            let layer = layer.without_time().with_target(false).with_level(false);
            let subscriber = tracing_subscriber::registry()
                .with(filter(level))
                .with(layer);
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "rustls::common_state", "of rustls");
                tracing::error!(target: "h2::codec::framed_read", "of h2");
                tracing::warn!("own");
                tracing::trace!("low");
            });
            let written = lines.0.lock().expect("nobody panicked").clone();
            let written = String::from_utf8(written).expect("text");
            let words: Vec<_> = written.split_whitespace().collect();
            assert_eq!(words.join(" "), expected, "{level}");
        }
    }
}
