//! Waiting for a request and receiving its head.

use super::Connection;
use super::error::ProxyError;
use super::exchange::Exchange;
use crate::http1::head::{HeadError, Progress, has_end, parse_request};
use crate::io::buffer::SMALL_BUFFER_BYTES;
use crate::io::{Expiry, Phase};

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The client left, or spoke TLS: nobody to answer.
    Closed,
    /// The client is told why.
    Refused(ProxyError),
}

impl Connection {
    /// Waits for the first bytes of a request; false when there will be none.
    pub(super) async fn await_request(&mut self) -> bool {
        if !self.input.is_empty() {
            return true;
        }
        if self.local.is_stopping.get() && self.served > 0 {
            return false;
        }
        let now_ms = self.local.clock.now_ms();
        self.watch.enter(Phase::Idle, now_ms.saturating_add(self.entry.idle_timeout_ms));
        let mut buffer = std::mem::take(&mut self.input);
        if buffer.capacity() != SMALL_BUFFER_BYTES {
            self.local.buffers.give_back(buffer);
            buffer = self.local.buffers.take_small();
        }
        let patience = &self.watch.downstream_patience;
        let (clock, pool) = (&self.local.clock, &self.local.buffers);
        let fresh = || pool.take_small();
        let (result, buffer) =
            self.stream.read.read_patiently(buffer, usize::MAX, patience, clock, pool, fresh).await;
        self.input = buffer;
        matches!(result, Ok(1..))
    }

    /// Parses the head at the start of the input, receiving the rest of it where that is needed.
    pub(super) async fn receive_head(&mut self, exchange: &mut Exchange) -> Result<(), NoHead> {
        let limits = self.entry.head;
        let mut fresh = self.input.len();
        let mut is_first = true;
        loop {
            let bytes = self.input.filled();
            let before = bytes.len() - fresh;
            // A head in small pieces is parsed when it can be whole, or has passed a limit.
            let passed = |limit: usize| before < limit && bytes.len() >= limit;
            if is_first
                || has_end(bytes, fresh)
                || passed(limits.line_bytes_max)
                || passed(limits.bytes_max)
            {
                match parse_request(bytes, &limits, &mut exchange.request.head) {
                    Ok(Progress::Complete) => return Ok(()),
                    Ok(Progress::Partial) => {}
                    Err(HeadError::Tls) => return Err(NoHead::Closed),
                    Err(error) => return Err(NoHead::Refused(error.into())),
                }
            }
            if is_first {
                let now_ms = self.local.clock.now_ms();
                let deadline_ms = now_ms.saturating_add(self.entry.head_timeout_ms);
                self.watch.enter(Phase::Head, deadline_ms);
                is_first = false;
            }
            fresh = self.receive_more_head().await?;
        }
    }

    async fn receive_more_head(&mut self) -> Result<usize, NoHead> {
        self.make_room();
        let input = std::mem::take(&mut self.input);
        let (result, input) = self.stream.read.read(input, usize::MAX).await;
        self.input = input;
        match result {
            Ok(received @ 1..) => Ok(received),
            Ok(0) | Err(_) if self.watch.take_expiry() == Some(Expiry::Deadline) => {
                Err(NoHead::Refused(ProxyError::RequestTimeout))
            }
            Ok(0) | Err(_) => Err(NoHead::Closed),
        }
    }

    /// Leaves spare room behind the input; it never grows past the head's limit by much, because
    /// a head that has reached it is refused.
    pub(super) fn make_room(&mut self) {
        if self.input.spare() > 0 {
            return;
        }
        self.input.compact();
        if self.input.spare() > 0 {
            return;
        }
        if self.input.capacity() == SMALL_BUFFER_BYTES {
            self.grow_input();
        } else {
            self.input.reserve(self.input.len());
        }
    }

    /// Moves the input into a large buffer.
    pub(super) fn grow_input(&mut self) {
        let mut large = self.local.buffers.take_large();
        large.extend(self.input.filled());
        let small = std::mem::replace(&mut self.input, large);
        self.local.buffers.give_back(small);
    }
}
