//! Turning the body bytes of a server into those for the client, in place.

use std::ops::Range;

use crate::http1::chunked::{ChunkDecoder, ChunkError, write_size_line};
use crate::http1::framing::Framing;
use crate::io::Buf;

/// One body on its way through.
#[derive(Debug, Default)]
pub(super) struct Relay {
    framing: Framing,
    /// Still to come of [`Framing::Length`].
    remaining: u64,
    to_chunks: bool,
    is_done: bool,
    has_surplus: bool,
}

/// What [`Relay::prepare`] left in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Body bytes, from the offset to the buffer's end.
    pub body_bytes: usize,
    to_chunks: bool,
    is_last: bool,
}

impl Relay {
    /// `framing` as the server sends it; `to_chunks`: the client gets chunks.
    #[must_use]
    pub(super) fn new(framing: Framing, to_chunks: bool) -> Self {
        let remaining = match framing {
            Framing::Length(length) => length,
            _ => 0,
        };
        Self { framing, remaining, to_chunks, is_done: false, has_surplus: false }
    }

    /// The body is whole.
    #[must_use]
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The server sent more than its response (http1 A15).
    #[must_use]
    pub(super) fn has_surplus(&self) -> bool {
        self.has_surplus
    }

    /// A close of the server is the body's end.
    #[must_use]
    pub(super) fn ends_with_connection(&self) -> bool {
        self.framing == Framing::UntilClose
    }

    /// The server has closed, and that is the end of the body.
    pub(super) fn finish(&mut self) -> Piece {
        self.is_done = true;
        Piece { body_bytes: 0, to_chunks: self.to_chunks, is_last: true }
    }

    /// Leaves in `buffer`, from `offset` on, nothing but body bytes.
    ///
    /// # Errors
    /// Malformed chunked coding.
    pub(super) fn prepare(
        &mut self,
        buffer: &mut Buf,
        offset: usize,
        decoder: &mut ChunkDecoder,
    ) -> Result<Piece, ChunkError> {
        let raw_bytes = buffer.len() - offset;
        let body_bytes = match self.framing {
            Framing::Empty => {
                self.is_done = true;
                0
            }
            Framing::Length(_) => {
                let take =
                    usize::try_from(self.remaining).map_or(raw_bytes, |it| it.min(raw_bytes));
                self.remaining -= take as u64;
                self.is_done = self.remaining == 0;
                take
            }
            Framing::UntilClose => raw_bytes,
            Framing::Chunked => self.decode(buffer, offset, decoder)?,
        };
        if self.framing != Framing::Chunked {
            self.has_surplus |= self.is_done && raw_bytes > body_bytes;
        }
        buffer.truncate(offset + body_bytes);
        Ok(Piece { body_bytes, to_chunks: self.to_chunks, is_last: self.is_done })
    }

    /// Moves the data of the chunks together; returns how much it is.
    fn decode(
        &mut self,
        buffer: &mut Buf,
        offset: usize,
        decoder: &mut ChunkDecoder,
    ) -> Result<usize, ChunkError> {
        let mut at = offset;
        let mut end = offset;
        while let Some(Range { start, end: data_end }) =
            decoder.next_data(buffer.filled(), &mut at)?
        {
            if start != end {
                buffer.filled_mut().copy_within(start..data_end, end);
            }
            end += data_end - start;
        }
        self.is_done = decoder.is_done();
        self.has_surplus |= self.is_done && at < buffer.len();
        Ok(end - offset)
    }
}

impl Piece {
    /// Appends what goes right before the body bytes.
    pub(super) fn write_prefix(self, out: &mut Vec<u8>) {
        if self.to_chunks && self.body_bytes > 0 {
            write_size_line(self.body_bytes, out);
        }
    }

    /// Appends what goes right behind them; trailers are the decoder's.
    pub(super) fn append_suffix(self, buffer: &mut Buf, decoder: &ChunkDecoder) {
        if !self.to_chunks {
            return;
        }
        if self.body_bytes > 0 {
            buffer.extend(b"\r\n");
        }
        if self.is_last {
            buffer.extend(b"0\r\n");
            let mut trailers = Vec::new();
            decoder.write_trailers(&mut trailers);
            buffer.extend(&trailers);
            buffer.extend(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests;
