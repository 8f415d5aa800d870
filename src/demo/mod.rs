//! The small real models behind `weir demo` and `weir sample-model`, and what the demo declares and
//! prints. They are model servers like any other: the gateway reaches them through a socket.
//!
//! ```text
//! POST /predict ──▶ iris.rs  a logistic regression ──▶ JSON
//! POST /predict ──▶ text.rs  a trigram model ────────▶ JSON
//! POST /stream  ──▶ text.rs ──▶ events.rs ───────────▶ text/event-stream, a token every 20 ms
//! ```
//!
//! Everything they need is inside the binary.

mod declare;
mod events;
mod iris;
mod server;
mod text;

pub use declare::{curl_lines, declarations_toml, draw_key, load_line};
pub use server::serve;

/// A model that weir can serve by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SampleModel {
    /// Tells three species of iris apart by four measurements.
    Iris,
    /// The same task, fitted under a regularisation so strong that it errs on some inputs.
    IrisChallenger,
    /// Continues a text, token by token.
    Text,
}

// === impl SampleModel ===

impl SampleModel {
    /// The model's name and version, as its answers and the demo's declarations show it.
    pub fn model(self) -> &'static str {
        match self {
            Self::Iris => "iris-logreg:1.2",
            Self::IrisChallenger => "iris-logreg:2.0-rc1",
            Self::Text => "river-trigram:1.0",
        }
    }
}
