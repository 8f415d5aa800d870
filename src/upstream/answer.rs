//! A backend's answer, whatever the protocol it came by.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{error::BodyError, h1::body::H1Body, h2::H2Body, upload::Upload};
use crate::base::clock::Tick;

/// Status, headers that travel, and a body that is still on its way.
#[derive(Debug)]
pub struct Answer {
    /// The backend's own.
    pub status: StatusCode,
    /// The backend's own, without those that do not travel.
    pub headers: HeaderMap,
    /// Holds the connection until its end.
    pub body: AnswerBody,
    /// From the request written until the head of the answer read: time that was the backend's,
    /// or the client's who was still sending.
    pub waited_ns: u64,
    /// From the last byte of the request written until the head of the answer read: time that was the
    /// backend's alone. None when it answered before it had all of the request.
    pub answered_ns: Option<u64>,
    /// When the head of the answer was read.
    pub head_at: Tick,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// By HTTP/1.1. Boxed: it is handed on a dozen times, and copying it each time costs more.
    H1(Box<H1Body>),
    /// By HTTP/2.
    H2(Box<H2Body>),
}

impl AnswerBody {
    /// The client's unread body, if the answer came before it was read to its end.
    pub fn into_unread(self) -> Option<Incoming> {
        match self {
            Self::H1(body) => body.into_unread(),
            Self::H2(body) => body.into_unread(),
        }
    }

    /// Looks at the request's body, as far as it went.
    pub fn with_upload<T>(&self, look: impl FnOnce(&Upload) -> T) -> T {
        match self {
            Self::H1(body) => look(body.upload()),
            Self::H2(body) => body.with_upload(look),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::H1(body) => Pin::new(&mut **body).poll_frame(cx),
            Self::H2(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::H1(body) => body.is_end_stream(),
            Self::H2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::H1(body) => body.size_hint(),
            Self::H2(body) => body.size_hint(),
        }
    }
}
