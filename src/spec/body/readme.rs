//! What people write about a deployment.

use crate::spec::{Mistakes, Node, read};

/// A readme, in bytes: several times what people write, and small enough to keep each edition.
const README_BYTES_MAX: usize = 256 << 10;

/// `PUT .../readme`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReadme {
    /// Markdown; may be empty.
    pub text: String,
}

// === impl NewReadme ===

impl NewReadme {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let field = reader.required("text")?;
            let text = field.text_within(0..=README_BYTES_MAX)?.to_owned();
            Some(Self { text })
        })
    }
}
