//! What can go wrong between weir and a backend, or with the request on its way there.

use std::io;

use crate::fault::{Code, Fault};

/// Why an exchange with a backend did not bring the head of an answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection could be made; nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// No connection was accepted within `connect_ms`; nothing was sent.
    #[error("cannot connect: no answer within connect_ms")]
    ConnectTimeout,
    /// As many connections as may be are open already; nothing was sent.
    #[error("all {0} connections that may be opened are in use")]
    Busy(usize),
    /// The connection broke before the first byte of an answer.
    #[error("the connection broke before an answer: {0}")]
    Reset(#[source] io::Error),
    /// The answer breaks HTTP's rules, or broke off within its head.
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    /// The answer did not start in time.
    #[error("no answer in time")]
    Timeout,
    /// The whole exchange took too long.
    #[error("the exchange took longer than total_ms")]
    TotalTimeout,
    /// The client's own body.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// What is wrong with a backend's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The head breaks HTTP's grammar: NUL, CR, a bad name, a bad status line.
    #[error("the head breaks HTTP's grammar")]
    Head,
    /// The head is larger than is taken.
    #[error("the head is larger than upstream.head_bytes_max, or has more than 100 headers")]
    HeadTooLarge,
    /// It ended within its head.
    #[error("the connection ended within the head")]
    HeadTorn,
    /// `Content-Length` is no number, or several differ.
    #[error("Content-Length is malformed or contradicts itself")]
    ContentLength,
    /// `Transfer-Encoding` is anything but one `chunked`, or comes with `Content-Length`.
    #[error("Transfer-Encoding is not plainly chunked")]
    TransferEncoding,
    /// 101 to a request that asked for no upgrade.
    #[error("101 without an upgrade")]
    SwitchingProtocols,
    /// More interim answers than any server needs.
    #[error("too many or too large 1xx answers")]
    InterimFlood,
    /// The backend spoke before it was sent a request.
    #[error("it came before the request was sent")]
    Unasked,
    /// HTTP/2's own.
    #[error("HTTP/2: {0}")]
    H2(&'static str),
    /// A chunk's size or end is malformed.
    #[error("malformed chunk")]
    Chunk,
}

/// What is wrong with a request's body.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It broke off, or its framing is malformed.
    #[error("the request body broke off or is malformed: {0}")]
    Broken(#[source] hyper::Error),
    /// It is larger than is taken.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for too long.
    #[error("the request body stalled")]
    Timeout,
    /// What was kept of it can't be read.
    #[error("the kept request body can't be read: {0}")]
    Stored(#[source] io::Error),
}

/// How an answer's body can break off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection ended before the body did.
    #[error("the backend broke off: {0}")]
    Broke(#[source] io::Error),
    /// Its framing is malformed.
    #[error("malformed body: {0}")]
    Malformed(#[from] Malformed),
    /// Nothing came for too long, or the whole took too long.
    #[error("the backend stalled")]
    Timeout,
    /// The client did not take its answer, or the request's body failed meanwhile.
    #[error("the client stalled or broke off")]
    Client,
    /// HTTP/2's own.
    #[error("the backend broke off: {0}")]
    H2(#[source] hyper::Error),
}

// === impl ExchangeError ===

impl ExchangeError {
    /// Whether nothing was sent.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Connect(_) | Self::ConnectTimeout | Self::Busy(_)
        )
    }

    /// Whether this speaks against the backend.
    pub fn blames_backend(&self) -> bool {
        !matches!(self, Self::Upload(_) | Self::Busy(_))
    }

    /// As clients see it.
    pub fn to_fault(&self) -> Fault {
        let code = match self {
            Self::Connect(_) | Self::ConnectTimeout => Code::BackendUnreachable,
            Self::Busy(_) => Code::BackendBusy,
            Self::Reset(_) => Code::BackendFailed,
            Self::Malformed(_) => Code::BackendMalformed,
            Self::Timeout => Code::BackendTimeout,
            Self::TotalTimeout => Code::ExchangeTimeout,
            Self::Upload(UploadError::Broken(_)) => Code::BodyMalformed,
            Self::Upload(UploadError::TooLarge(_)) => Code::BodyTooLarge,
            Self::Upload(UploadError::Timeout) => Code::BodyTimeout,
            Self::Upload(UploadError::Stored(_)) => Code::Internal,
        };
        Fault::because(code, self)
    }
}
