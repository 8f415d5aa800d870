//! An answer about an async request, on its way to the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use crate::{
    fault::{Code, Fault},
    queue::{Follower, GivenUp, SpillBody},
};

/// Status, headers and body. weir's own headers are put on later.
pub(in crate::gateway) struct Fetched {
    pub(in crate::gateway) status: StatusCode,
    pub(in crate::gateway) headers: HeaderMap,
    pub(in crate::gateway) body: FetchedBody,
}

/// The body of a [`Fetched`].
pub(in crate::gateway) enum FetchedBody {
    /// None; a length that is told is that of the body that a GET would have.
    Nothing,
    /// Here.
    Whole(Bytes),
    /// Read, or followed, as the client takes it.
    Kept(Box<KeptBody>),
    /// What the catalogue says of it, under the headers given.
    Fault(Fault),
}

/// A kept answer's body.
pub(in crate::gateway) struct KeptBody {
    source: Source,
    /// Bytes still to come, when that is known.
    left: Option<u64>,
}

enum Source {
    File(Pin<Box<SpillBody>>),
    Recording(Pin<Box<Follower>>),
}

/// Why a kept body broke off.
#[derive(Debug, thiserror::Error)]
pub(in crate::gateway) enum Broken {
    /// Its attempt failed; another one has a body of its own.
    #[error(transparent)]
    GivenUp(#[from] GivenUp),
    /// The disk's.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The file ended before it should, or did not end where it should.
    #[error("the file is not as long as it was")]
    Length,
}

// === impl Fetched ===

impl Fetched {
    /// A fault with headers of its own.
    pub(in crate::gateway) fn fault(code: Code, headers: HeaderMap) -> Self {
        let fault = Fault::new(code);
        let status = fault.entry().status;
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body: FetchedBody::Fault(fault),
        }
    }

    /// The fault of a path that takes these methods alone.
    pub(in crate::gateway) fn not_allowed(methods: &'static str) -> Self {
        let allowed = HeaderValue::from_static(methods);
        let headers = HeaderMap::from_iter([(header::ALLOW, allowed)]);
        Self::fault(Code::MethodNotAllowed, headers)
    }

    /// A document, which is out of date soon.
    pub(in crate::gateway) fn document(
        status: StatusCode,
        language: &'static str,
        document: &impl serde::Serialize,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(12);
        for (name, value) in [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_LANGUAGE, language),
            (header::VARY, "Accept-Language"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // Strings and numbers always serialise.
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self {
            status,
            headers,
            body: FetchedBody::Whole(body.into()),
        }
    }
}

// === impl KeptBody ===

impl KeptBody {
    /// So many bytes of a file.
    pub(super) fn read(body: SpillBody, bytes: u64) -> Box<Self> {
        Box::new(Self {
            source: Source::File(Box::pin(body)),
            left: Some(bytes),
        })
    }

    /// A recording, live.
    pub(super) fn follow(follower: Follower) -> Box<Self> {
        Box::new(Self {
            source: Source::Recording(Box::pin(follower)),
            left: None,
        })
    }
}

impl Body for KeptBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::File(body) => {
                let polled = body.as_mut().poll_frame(cx);
                polled.map(|next| next.map(|read| read.map_err(Broken::Disk)))
            }
            Source::Recording(body) => {
                let polled = body.as_mut().poll_frame(cx);
                polled.map(|next| next.map(|read| read.map_err(Broken::GivenUp)))
            }
        };
        let (Poll::Ready(next), Some(left)) = (&polled, &mut this.left) else {
            return polled;
        };
        // hyper tells the client this length before anything is read: it has to hold.
        let holds = match next {
            None => *left == 0,
            Some(Err(_)) => true,
            Some(Ok(frame)) => {
                let count = frame.data_ref().map_or(0, |data| data.len() as u64);
                let less = left.checked_sub(count);
                *left = less.unwrap_or_default();
                less.is_some()
            }
        };
        match holds {
            true => polled,
            false => Poll::Ready(Some(Err(Broken::Length))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        base::async_id::{AsyncId, Position},
        queue::{Opener, Spill, SpillName},
    };

    #[tokio::test]
    async fn a_length_that_was_told_holds_or_the_body_breaks_off() {
        const BYTES: u64 = 150_000;
        let directory = tempfile::tempdir().unwrap();
        let spill = Spill::open(&directory.path().join("spill")).unwrap();
        let name = SpillName::Answer(AsyncId::of(Position::at(1), [7; 16]), 1);
        let content: Bytes = (0..BYTES).map(|n| (n % 251) as u8).collect();
        let mut file = spill.create(name, Opener::Caller).await.unwrap();
        file.append(content.clone()).await.unwrap();
        file.finish().await.unwrap();
        let kept = async |told: u64| {
            let body = spill.read(name, 0, BYTES, Opener::Caller).await.unwrap();
            KeptBody::read(body, told)
        };

        let body = kept(BYTES).await;
        assert_eq!(body.size_hint().exact(), Some(BYTES));
        assert!(!body.is_end_stream());
        let whole = body.collect().await.unwrap().to_bytes();
        assert!(whole == content);

        for told in [BYTES + 1, BYTES - 1] {
            let mut body = kept(told).await;
            let mut got = 0;
            let broken = loop {
                match body.frame().await {
                    Some(Ok(frame)) => got += frame.data_ref().map_or(0, Bytes::len) as u64,
                    Some(Err(broken)) => break broken,
                    None => panic!("taken for whole after {got} of {told} bytes"),
                }
            };
            assert!(matches!(broken, Broken::Length), "{broken}");
            assert!(got <= told, "{got} of {told}");
        }
    }
}
