//! Webhooks' limits.

use std::path::PathBuf;

use crate::hook::PAUSES_MS;

/// Webhooks' limits. Each has a setting in `[webhook]`.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// For one attempt, from the look-up of the name to the head of the answer, in milliseconds.
    pub timeout_ms: u64,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// Of these, at one host and port.
    pub per_host: usize,
    /// The pauses between attempts, in milliseconds. One attempt more than there are pauses.
    pub pauses_ms: Vec<u64>,
    /// What is put in front of the addresses in the status document; may be empty.
    pub base: String,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// The settings' defaults.
impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            timeout_ms: 15_000,
            concurrency: 16,
            per_host: 4,
            pauses_ms: PAUSES_MS.to_vec(),
            base: String::new(),
            ca_file: None,
        }
    }
}
