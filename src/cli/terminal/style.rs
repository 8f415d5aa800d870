//! Colour, where it is wanted.

/// How text looks on one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Style {
    coloured: bool,
}

// === impl Style ===

impl Style {
    /// With colour or without.
    pub(in crate::cli) fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// Whether there is colour.
    pub(in crate::cli) fn is_coloured(self) -> bool {
        self.coloured
    }

    /// What heads something.
    pub(in crate::cli) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub(in crate::cli) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What is well, or comes.
    pub(in crate::cli) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What is wrong, or goes.
    pub(in crate::cli) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What changes, or is under way.
    pub(in crate::cli) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// A state or status by how well it is.
    pub(in crate::cli) fn state(self, word: &str) -> String {
        match word {
            "live" | "success" | "done" | "completed" | "available" | "delivered" => {
                self.green(word)
            }
            "failed" | "error" | "unhealthy" | "revoked" | "expired" | "refused" => self.red(word),
            "setting-up" | "queued" | "deploying" | "pending" | "processing" | "running"
            | "stopping" | "deleting" | "ejected" => self.yellow(word),
            _ => word.to_owned(),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
