//! The body of a request in pieces, so that what many requests share is copied for none.

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Pieces that follow one another. Their length is known, and sent: some servers take no chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// All of it in one piece.
    pub fn joined(&self) -> Vec<u8> {
        self.0.iter().flatten().copied().collect()
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.remaining() as u64).sum())
    }
}
