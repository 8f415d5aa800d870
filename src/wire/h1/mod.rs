//! A second look at what a client sends over HTTP/1, byte by byte and strict, beside the parser that
//! serves it: where that one forgives, a backend or a proxy in front may read something else, and
//! what one of them takes for a body is the next request to the other.
//!
//! ```text
//! bytes as they come ──Follower──▶ head ──▶ body by its length, or in chunks ──▶ next head
//!                                    └─ refused: from here on nothing is taken for HTTP
//! ```
//!
//! What passes here is read by each reader of HTTP/1 in one way. It knows where each message ends and
//! nothing of what it is for.

mod chunks;
mod field;
mod follower;
mod head;
mod octets;
#[cfg(any(test, fuzzing))]
mod properties;

pub use follower::{Follower, Stopped};
pub use head::{Checked, Framing, check};
#[cfg(any(test, fuzzing))]
pub use properties::{any_body_holds, any_request_holds};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No token, or far too long.
    Method,
    /// Not visible ASCII, with a `#`, or of a form that does not go with the method.
    Target,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A line that ends with anything but CR LF, or a CR inside.
    LineEnd,
    /// A field's name that is no token, or a blank in front of the colon.
    Name,
    /// A control character in a value.
    Value,
    /// A line that continues the one before (obs-fold).
    Folded,
    /// None where one is due, two, or one that can't be one; or one that is not the target's.
    Host,
    /// A `Content-Length` that is not one number.
    Length,
    /// A `Transfer-Encoding` that is not `chunked` alone, or in HTTP/1.0.
    Coding,
    /// Both of these.
    TwoFramings,
    /// `Connection` names what frames, guards or routes the request.
    Connection,
    /// A name that some read as one of those.
    Spoofed,
    /// A chunk's size, its extensions, or what follows its data.
    Chunk,
    /// A trailer that may be none, or too many.
    Trailer,
    /// The head is larger than heads may be.
    TooLarge,
}

impl Why {
    /// A word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Target => "target",
            Self::Version => "version",
            Self::LineEnd => "line_end",
            Self::Name => "field_name",
            Self::Value => "field_value",
            Self::Folded => "folded",
            Self::Host => "host",
            Self::Length => "content_length",
            Self::Coding => "transfer_encoding",
            Self::TwoFramings => "two_framings",
            Self::Connection => "connection",
            Self::Spoofed => "spoofed",
            Self::Chunk => "chunk",
            Self::Trailer => "trailer",
            Self::TooLarge => "too_large",
        }
    }
}
