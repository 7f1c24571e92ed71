//! Sending a request body that is not whole in the buffer: read, check, pass on, in bounded
//! memory; what is not read from the client is not sent, and the other way round.

use std::time::Duration;

use super::error::ProxyError;
use super::gate::Gate;
use super::local::{EntryPointLimits, Local};
use super::mirror::Tee;
use crate::http1::chunked::{ChunkDecoder, fill_size};
use crate::http1::framing::Framing;
use crate::io::watch::NEVER;
use crate::io::{self, Buf, Expiry, Phase, ReadHalf, Watch, WriteHalf};
use crate::sys;

/// How long a server may take to answer `Expect: 100-continue` before the client is told to go on
/// all the same (Go's `ExpectContinueTimeout` in Traefik).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadEnd {
    /// The whole request went out.
    Complete,
    /// The server does not take it any more; it may have answered.
    ServerGone,
    /// The server has answered without wanting the body.
    NotWanted,
    /// The client's doing.
    Failed(ProxyError),
}

/// One request body on its way.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    /// Buffers, clock.
    pub local: &'a Local,
    /// Limits.
    pub entry: &'a EntryPointLimits,
    /// For the sweeper.
    pub watch: &'a Watch,
    /// The other direction.
    pub gate: &'a Gate,
    /// The client, receiving.
    pub client: &'a mut ReadHalf,
    /// The client's descriptor, for `100 Continue`.
    pub client_fd: i32,
    /// The server, sending.
    pub server: &'a mut WriteHalf,
    /// Bytes received; begins with body bytes.
    pub input: Buf,
    /// [`Framing::Length`] (what is still to come) or [`Framing::Chunked`].
    pub framing: Framing,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
    /// When the whole request must have been read; [`NEVER`] without a limit.
    pub deadline_ms: u64,
    /// Longest wait for the response's head from the end of the request; [`NEVER`] without one.
    pub response_timeout_ms: u64,
    /// Body bytes received.
    pub body_bytes: &'a std::cell::Cell<u64>,
    /// For copies.
    pub tee: &'a Tee,
}

impl Upload<'_> {
    /// Sends the body; returns what was received behind it.
    pub(super) async fn run(mut self) -> (UploadEnd, Buf) {
        if self.expects_continue && self.input.is_empty() {
            self.await_continue().await;
            if self.gate.has_response_begun() {
                return (UploadEnd::NotWanted, self.input);
            }
        }
        let mut window = Window::new(self.entry.body_window_ms, self.entry.body_window_bytes_min);
        let end = match self.framing {
            Framing::Length(length) => self.send_length(length, &mut window).await,
            _ => self.send_chunks(&mut window).await,
        };
        if end == UploadEnd::Complete {
            self.gate.note_upload_done();
            if !self.gate.has_response_begun() {
                let now_ms = self.local.clock.now_ms();
                let deadline_ms = now_ms.saturating_add(self.response_timeout_ms);
                self.watch.await_upstream(now_ms, deadline_ms);
            }
        }
        (end, self.input)
    }

    async fn await_continue(&self) {
        let waited = io::timeout(CONTINUE_WAIT, self.gate.opened()).await;
        if waited.is_none() && !self.gate.is_continue_given() {
            // Too small not to fit behind responses that have long been taken; if it does not,
            // the client's own patience decides (RFC 9110 §10.1.1).
            let _ = sys::try_send_all(self.client_fd, b"HTTP/1.1 100 Continue\r\n\r\n");
            self.gate.note_continue_given();
        }
    }

    async fn send_length(&mut self, mut remaining: u64, window: &mut Window) -> UploadEnd {
        while remaining > 0 {
            if self.input.is_empty() {
                let bytes_max = usize::try_from(remaining).unwrap_or(usize::MAX);
                if let Err(error) = self.receive(bytes_max, window).await {
                    return UploadEnd::Failed(error);
                }
            }
            let available = self.input.len();
            let take = usize::try_from(remaining).map_or(available, |left| left.min(available));
            self.enter_sending();
            self.note_body(take);
            self.tee.note(self.input.filled().get(..take).unwrap_or(&[]));
            if self.server.send(&mut self.input, take, self.watch).await.is_err() {
                self.gate.note_send_failed();
                return UploadEnd::ServerGone;
            }
            remaining -= take as u64;
        }
        UploadEnd::Complete
    }

    async fn send_chunks(&mut self, window: &mut Window) -> UploadEnd {
        let mut decoder = ChunkDecoder::new();
        let mut out = self.local.buffers.take_large();
        let end = loop {
            match self.encode_chunks(&mut decoder, &mut out) {
                Ok(taken) => self.note_body(taken),
                Err(error) => break UploadEnd::Failed(error),
            }
            if self.body_bytes.get() > self.entry.body_bytes_max {
                // http1 B14: at once, and not a byte of the piece that passes the limit goes out.
                break UploadEnd::Failed(ProxyError::RequestBodyTooLarge);
            }
            let count = out.len();
            self.tee.note(out.filled());
            self.enter_sending();
            if self.server.send(&mut out, count, self.watch).await.is_err() {
                self.gate.note_send_failed();
                break UploadEnd::ServerGone;
            }
            if decoder.is_done() {
                break UploadEnd::Complete;
            }
            if let Err(error) = self.receive(usize::MAX, window).await {
                break UploadEnd::Failed(error);
            }
        };
        self.local.buffers.give_back(out);
        end
    }

    /// Decodes what is in the input and appends it to `out` as one chunk (http1 B9: extensions
    /// are dropped, chunks framed anew; B11: so are trailers). Returns the data bytes.
    fn encode_chunks(
        &mut self,
        decoder: &mut ChunkDecoder,
        out: &mut Buf,
    ) -> Result<usize, ProxyError> {
        let (mut bytes, start) = std::mem::take(out).into_parts();
        let encoded = encode_chunked_body(self.input.filled(), decoder, &mut bytes);
        *out = Buf::from_parts(bytes, start);
        let consumed = encoded.map_err(|_malformed| ProxyError::RequestMalformed)?;
        self.input.consume(consumed.input_bytes);
        Ok(consumed.data_bytes)
    }

    /// Appends what the client sends to the empty input.
    async fn receive(&mut self, bytes_max: usize, window: &mut Window) -> Result<(), ProxyError> {
        let began_ms = self.local.clock.now_ms();
        if !self.gate.has_response_begun() {
            let deadline_ms = window.deadline_ms(began_ms).min(self.deadline_ms);
            self.watch.enter(Phase::RequestBody, deadline_ms);
        }
        match self.client.read(&mut self.input, bytes_max).await {
            Ok(received @ 1..) => {
                self.watch.note_progress(received);
                let waited_ms = self.local.clock.now_ms().saturating_sub(began_ms);
                window.note(waited_ms, received);
                Ok(())
            }
            Ok(0) | Err(_) if self.watch.take_expiry() == Some(Expiry::Deadline) => {
                Err(ProxyError::RequestTimeout)
            }
            Ok(0) | Err(_) => Err(ProxyError::ClientGone),
        }
    }

    /// While the server does not take the body, the client cannot be too slow.
    fn enter_sending(&self) {
        if !self.gate.has_response_begun() {
            self.watch.enter(Phase::RequestBody, NEVER);
        }
    }

    fn note_body(&self, bytes: usize) {
        self.body_bytes.set(self.body_bytes.get() + bytes as u64);
    }
}

/// How slow a client's body may be (http1 G2): so many bytes in so much time spent on waiting for
/// them. It spans receives, or a byte now and then would keep a connection for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    whole_ms: u64,
    bytes_min: u64,
    left_ms: u64,
    bytes: u64,
}

impl Window {
    pub(super) fn new(whole_ms: u64, bytes_min: u64) -> Self {
        Self { whole_ms, bytes_min, left_ms: whole_ms, bytes: 0 }
    }

    /// When a receive that begins at `now_ms` has used it up.
    pub(super) fn deadline_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.left_ms)
    }

    /// A receive took `waited_ms` and brought `received` bytes; enough of them begin a new window.
    pub(super) fn note(&mut self, waited_ms: u64, received: usize) {
        self.bytes += received as u64;
        self.left_ms = self.left_ms.saturating_sub(waited_ms);
        if self.bytes >= self.bytes_min {
            *self = Self::new(self.whole_ms, self.bytes_min);
        }
    }
}

/// What [`encode_chunked_body`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// Bytes of the input that were read.
    pub input_bytes: usize,
    /// Body bytes among them.
    pub data_bytes: usize,
}

/// Decodes the chunked bytes in `input` and appends their data to `out` as at most one chunk, and
/// the last chunk when the body is whole.
///
/// # Errors
/// When the coding is malformed; what was appended must not be sent then.
pub(super) fn encode_chunked_body(
    input: &[u8],
    decoder: &mut ChunkDecoder,
    out: &mut Vec<u8>,
) -> Result<Encoded, crate::http1::chunked::ChunkError> {
    // Digits enough for any buffer, filled in when the size is known: leading zeros are allowed.
    const SIZE_LINE: &[u8] = b"00000000\r\n";
    const SIZE_DIGITS: usize = SIZE_LINE.len() - 2;
    let begin = out.len();
    out.extend_from_slice(SIZE_LINE);
    let mut at = 0;
    while let Some(range) = decoder.next_data(input, &mut at)? {
        out.extend_from_slice(input.get(range).unwrap_or(&[]));
    }
    let data_bytes = out.len() - begin - SIZE_LINE.len();
    if data_bytes == 0 {
        out.truncate(begin);
    } else {
        if let Some(digits) = out.get_mut(begin..begin + SIZE_DIGITS) {
            fill_size(data_bytes, digits);
        }
        out.extend_from_slice(b"\r\n");
    }
    if decoder.is_done() {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    Ok(Encoded { input_bytes: at, data_bytes })
}

#[cfg(test)]
mod tests;
