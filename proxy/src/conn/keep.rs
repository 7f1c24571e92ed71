//! A request that may be asked of a fallback is kept until it is answered: its body is received
//! whole, within the limit of the failover, before any server sees the request.
//!
//! Only for services with `failover.errors`; every other body is passed on as it comes.

use super::error::ProxyError;
use super::exchange::{Asked, Exchange, Request};
use super::pressure::Pressure;
use super::upload::Window;
use super::{Connection, Shared};
use crate::http1::chunked::ChunkDecoder;
use crate::http1::framing::Framing;
use crate::io::{Expiry, Phase};
use crate::sys;

/// Least room for a receive.
const ROOM_BYTES: usize = 16 * 1024;

impl Connection {
    /// Receives the rest of the body behind the head.
    ///
    /// # Errors
    /// The client's doing, or more than a failover may keep.
    pub(super) async fn keep_body(&mut self, exchange: &mut Exchange) -> Result<(), ProxyError> {
        let Shared { local, watch, entry, .. } = &self.shared;
        let Asked { request, trail, tables: Some(tables), gate, held, .. } = &mut exchange.asked
        else {
            return Ok(());
        };
        let Some(limit) = tables.kept_body_bytes_max(trail) else { return Ok(()) };
        let mut body = KeptBody::new(request, limit);
        if request.control.expects_continue && !body.is_whole(request)? {
            // If it does not fit, the client's own patience decides (RFC 9110 §10.1.1).
            let _ = sys::try_send_all(self.stream.fd(), b"HTTP/1.1 100 Continue\r\n\r\n");
            gate.note_continue_given();
        }
        let mut window = Window::new(entry.body_window_ms, entry.body_window_bytes_min);
        let until_ms = local.clock.now_ms().saturating_add(entry.read_timeout_ms);
        let count = held.insert(local.held.begin());
        while !body.is_whole(request)? {
            if request.buffer.spare() < ROOM_BYTES {
                request.buffer.reserve(request.buffer.len().max(ROOM_BYTES));
            }
            let began_ms = local.clock.now_ms();
            watch.enter(Phase::RequestBody, window.deadline_ms(began_ms).min(until_ms));
            match self.stream.read.read(&mut request.buffer, usize::MAX).await {
                // Nobody else's request is to suffer for this one.
                Ok(received @ 1..)
                    if local.pressure.get() == Pressure::Full || !count.grow(received) =>
                {
                    return Err(ProxyError::Overloaded);
                }
                Ok(received @ 1..) => {
                    watch.note_progress(received);
                    window.note(local.clock.now_ms().saturating_sub(began_ms), received);
                }
                Ok(0) | Err(_) if watch.take_expiry() == Some(Expiry::Deadline) => {
                    return Err(ProxyError::RequestTimeout);
                }
                Ok(0) | Err(_) => return Err(ProxyError::ClientGone),
            }
        }
        request.is_kept = true;
        Ok(())
    }
}

/// How far a body has come.
struct KeptBody {
    limit: u64,
    decoder: ChunkDecoder,
    /// Chunked: bytes of the buffer that were read, and data among them.
    read_bytes: usize,
    data_bytes: u64,
}

impl KeptBody {
    fn new(request: &Request, limit: u64) -> Self {
        let read_bytes = request.head.bytes;
        Self { limit, decoder: ChunkDecoder::new(), read_bytes, data_bytes: 0 }
    }

    fn is_whole(&mut self, request: &Request) -> Result<bool, ProxyError> {
        match request.control.framing {
            Framing::Empty | Framing::UntilClose => Ok(true),
            Framing::Length(length) if length > self.limit => Err(ProxyError::KeptBodyTooLarge),
            Framing::Length(length) => {
                let received = request.buffer.len().saturating_sub(request.head.bytes);
                Ok(received as u64 >= length)
            }
            Framing::Chunked => {
                let fresh = request.bytes().get(self.read_bytes..).unwrap_or(&[]);
                let mut at = 0;
                while let Some(range) = self
                    .decoder
                    .next_data(fresh, &mut at)
                    .map_err(|_malformed| ProxyError::RequestMalformed)?
                {
                    self.data_bytes += range.len() as u64;
                }
                self.read_bytes += at;
                if self.data_bytes > self.limit {
                    return Err(ProxyError::KeptBodyTooLarge);
                }
                Ok(self.decoder.is_done())
            }
        }
    }
}
