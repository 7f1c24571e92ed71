//! Waiting for a request and receiving its head.

use super::error::ProxyError;
use super::exchange::{Exchange, Request};
use super::{Connection, Shared};
use crate::http1::head::{HeadError, Progress, has_end, parse_request};
use crate::http1::proxy_protocol::{self, ProxyHeader};
use crate::io::buffer::{BufferPool, SMALL_BUFFER_BYTES};
use crate::io::watch::NEVER;
use crate::io::{Buf, Expiry, Phase};

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The client left, or spoke TLS: nobody to answer.
    Closed,
    /// The client is told why.
    Refused(ProxyError),
}

impl Connection {
    /// The peer may tell who is behind it.
    pub(super) fn expects_proxy_header(&self) -> bool {
        self.shared.entry.proxy_protocol.is_trusted(self.shared.peer.ip())
    }

    /// Takes a PROXY protocol header from the start of the connection, where there is one; the
    /// client is the one that it names from then on. False when the connection is over: a
    /// malformed header is not answered (http1 E6).
    pub(super) async fn receive_proxy_header(&mut self) -> bool {
        let Shared { local, watch, entry, .. } = &self.shared;
        watch.enter(Phase::Idle, local.clock.now_ms().saturating_add(entry.head_timeout_ms));
        self.input = local.buffers.take_small();
        loop {
            match self.stream.read.read(&mut self.input, usize::MAX).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return false,
            }
            match proxy_protocol::parse(self.input.filled()) {
                Ok(ProxyHeader::Absent) => return true,
                Ok(ProxyHeader::Partial) => make_room(&mut self.input, &local.buffers),
                Ok(ProxyHeader::Complete { bytes, source }) => {
                    self.input.consume(bytes);
                    if let Some(source) = source {
                        self.shared.set_peer(source);
                    }
                    return true;
                }
                Err(_malformed) => return false,
            }
        }
    }

    /// Waits for the first bytes of a request; false when there will be none.
    pub(super) async fn await_request(&mut self) -> bool {
        if !self.input.is_empty() {
            return true;
        }
        let Shared { local, watch, entry, .. } = &self.shared;
        if local.is_stopping.get() && watch.served() > 0 {
            return false;
        }
        let (clock, pool) = (&local.clock, &local.buffers);
        watch.set_cap(NEVER);
        let now_ms = clock.now_ms();
        watch.enter_idle(now_ms, now_ms.saturating_add(entry.idle_timeout_ms));
        if self.input.capacity() != SMALL_BUFFER_BYTES {
            pool.give_back(std::mem::replace(&mut self.input, pool.take_small()));
        }
        let patience = &watch.downstream_patience;
        let read = &mut self.stream.read;
        let input = &mut self.input;
        let received =
            read.read_patiently(input, usize::MAX, patience, clock, pool, BufferPool::take_small);
        matches!(received.await, Ok(1..))
    }

    /// Parses the head at the start of the input, receiving the rest of it where that is needed;
    /// then the input is the request's.
    pub(super) async fn receive_head(&mut self, exchange: &mut Exchange) -> Result<(), NoHead> {
        let Shared { local, watch, entry, .. } = &self.shared;
        let request = &mut exchange.asked.request;
        request.buffer = std::mem::take(&mut self.input);
        let mut fresh = request.buffer.len();
        let mut is_first = true;
        while !self::is_complete(request, fresh, is_first, entry)? {
            if is_first {
                let deadline_ms = local.clock.now_ms().saturating_add(entry.head_timeout_ms);
                watch.enter(Phase::Head, deadline_ms);
                is_first = false;
            }
            make_room(&mut request.buffer, &local.buffers);
            fresh = match self.stream.read.read(&mut request.buffer, usize::MAX).await {
                Ok(received @ 1..) => received,
                Ok(0) | Err(_) if watch.take_expiry() == Some(Expiry::Deadline) => {
                    return Err(NoHead::Refused(ProxyError::RequestTimeout));
                }
                Ok(0) | Err(_) => return Err(NoHead::Closed),
            };
        }
        Ok(())
    }
}

/// Whether the head is whole; `fresh` bytes of it are new.
fn is_complete(
    request: &mut Request,
    fresh: usize,
    is_first: bool,
    entry: &super::local::EntryPointLimits,
) -> Result<bool, NoHead> {
    let limits = &entry.head;
    let bytes = request.buffer.filled();
    let before = bytes.len() - fresh;
    // A head in small pieces is parsed when it can be whole, or has passed a limit.
    let passed = |limit: usize| before < limit && bytes.len() >= limit;
    let is_due = is_first
        || has_end(bytes, fresh)
        || passed(limits.line_bytes_max)
        || passed(limits.bytes_max);
    if !is_due {
        return Ok(false);
    }
    match parse_request(bytes, limits, &mut request.head) {
        Ok(progress) => Ok(progress == Progress::Complete),
        Err(HeadError::Tls) => Err(NoHead::Closed),
        Err(error) => Err(NoHead::Refused(error.into())),
    }
}

/// Leaves spare room behind what is in `buffer`; it never grows past a head's limit by much,
/// because a head that has reached it is refused.
fn make_room(buffer: &mut Buf, pool: &BufferPool) {
    if buffer.spare() > 0 {
        return;
    }
    buffer.compact();
    if buffer.spare() > 0 {
        return;
    }
    if buffer.capacity() == SMALL_BUFFER_BYTES {
        grow(buffer, pool);
    } else {
        buffer.reserve(buffer.len());
    }
}

/// Moves what is in `buffer` into a large one.
pub(super) fn grow(buffer: &mut Buf, pool: &BufferPool) {
    let mut large = pool.take_large();
    large.extend(buffer.filled());
    pool.give_back(std::mem::replace(buffer, large));
}
