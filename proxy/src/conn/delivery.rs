//! From the server's first byte to the client's last: heads are parsed and judged, the final one
//! is rewritten in place before the body bytes that came with it, and both leave in one send.

use super::Shared;
use super::error::ProxyError;
use super::exchange::{Asked, Response};
use super::relay::{Piece, Relay};
use crate::http1::chunked::ChunkError;
use crate::http1::fields::{FieldName, list_members};
use crate::http1::framing::{Framing, response_control};
use crate::http1::head::{Progress, has_end, parse_response};
use crate::http1::rewrite::{ResponseRewrite, write_response};
use crate::io::buffer::{HEAD_ROOM_BYTES, TAIL_ROOM_BYTES};
use crate::io::watch::NEVER;
use crate::io::{Buf, BufferPool, Expiry, Phase, ReadHalf, WriteHalf};
use crate::sticky::cache_control_line;

/// Interim responses of one exchange (http1 D9).
const INTERIM_MAX: u32 = 16;

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The client has all of it.
    Complete {
        /// The server's connection may carry another exchange.
        is_reusable: bool,
        /// So may the client's.
        keep_alive: bool,
    },
    /// The server switched protocols; the 101 and what came with it have gone out.
    Upgraded,
    /// The answer is not for the client: a fallback is asked. Nothing of it was sent.
    FailedOver {
        /// Of the answer.
        status: u16,
    },
    /// Nothing was sent to the client.
    Failed {
        /// Why.
        error: ProxyError,
        /// The server had begun to answer.
        has_bytes: bool,
    },
    /// The client has a part: it must see that this is not all.
    Broken {
        /// A close alone would look like the end of the body.
        needs_reset: bool,
    },
}

/// One response on its way.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    /// The connection.
    pub shared: &'a Shared,
    /// What was asked.
    pub asked: &'a Asked,
    /// What comes back.
    pub response: &'a mut Response,
    /// The client, sending.
    pub client: &'a mut WriteHalf,
    /// The server, receiving.
    pub server: &'a mut ReadHalf,
}

impl Delivery<'_> {
    /// Receives the response and sends it on.
    pub(super) async fn run(&mut self) -> Delivered {
        self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        let mut interims = 0;
        loop {
            if let Err(failed) = self.receive_head().await {
                return match failed {
                    // The client has had a part of this server's answer: nothing is sent again.
                    Delivered::Failed { error, .. } if interims > 0 => {
                        Delivered::Failed { error, has_bytes: true }
                    }
                    failed => failed,
                };
            }
            let is_head_request = self.asked.request.is_head();
            let bytes = self.response.buffer.filled();
            let Ok(control) = response_control(bytes, &self.response.head, is_head_request) else {
                return malformed();
            };
            self.response.control = control;
            if let Some(awaited) = self.response.awaited.take() {
                awaited.note_begun();
            }
            match self.response.head.status {
                101 => return self.upgrade().await,
                100..=199 if interims < INTERIM_MAX => {
                    interims += 1;
                    if let Err(broken) = self.send_interim().await {
                        return broken;
                    }
                }
                100..=199 => return malformed(),
                status if self.fails_over(status) => return Delivered::FailedOver { status },
                _ => return self.send_response().await,
            }
        }
    }

    /// Whether an answer with this status leads to a fallback, and the request can be sent there.
    fn fails_over(&self, status: u16) -> bool {
        let Asked { tables, trail, request, .. } = self.asked;
        trail.is_watched()
            && !request.is_streamed
            && tables.as_ref().is_some_and(|tables| tables.fails_over(trail, status))
    }

    async fn receive_head(&mut self) -> Result<(), Delivered> {
        // What came behind an interim response may be the whole head already.
        self.response.fresh_bytes = self.response.buffer.len();
        loop {
            let bytes = self.response.buffer.filled();
            let has_bytes = !bytes.is_empty();
            let fresh = self.response.fresh_bytes;
            let limits = &self.shared.local.response_head;
            // A head in small pieces is parsed when it can be whole, or has passed its limit.
            let is_due =
                fresh == bytes.len() || has_end(bytes, fresh) || bytes.len() >= limits.bytes_max;
            if has_bytes && is_due {
                match parse_response(bytes, limits, &mut self.response.head) {
                    Ok(Progress::Complete) => return self.check_deadline(),
                    Ok(Progress::Partial) => {}
                    Err(_malformed) => return Err(malformed()),
                }
            }
            if let Err(error) = self.receive().await {
                return Err(Delivered::Failed { error, has_bytes });
            }
        }
    }

    /// A head that came in the very moment in which its deadline passed: the connection has been
    /// shut down behind it, so the body would be cut.
    fn check_deadline(&self) -> Result<(), Delivered> {
        match self.shared.watch.take_expiry() {
            Some(Expiry::UpstreamDeadline) => {
                Err(Delivered::Failed { error: ProxyError::ServerTimeout, has_bytes: true })
            }
            _ => Ok(()),
        }
    }

    /// Receives more behind what is in the buffer.
    ///
    /// # Errors
    /// Why there is no more; [`ProxyError::ServerClosed`] for an orderly end too.
    async fn receive(&mut self) -> Result<(), ProxyError> {
        let Shared { local, watch, .. } = self.shared;
        let buffer = &mut self.response.buffer;
        if buffer.spare() <= TAIL_ROOM_BYTES {
            buffer.reserve(local.response_head.bytes_max);
        }
        let bytes_max = buffer.spare() - TAIL_ROOM_BYTES;
        let result = if buffer.is_empty() {
            let patience = &watch.upstream_patience;
            let (clock, pool) = (&local.clock, &local.buffers);
            self.server.read_patiently(buffer, bytes_max, patience, clock, pool, fresh_buffer).await
        } else {
            self.server.read(buffer, bytes_max).await
        };
        match result {
            Ok(received @ 1..) => {
                self.response.fresh_bytes = received;
                Ok(())
            }
            Ok(0) | Err(_) => Err(match watch.take_expiry() {
                Some(Expiry::UpstreamDeadline) => ProxyError::ServerTimeout,
                Some(Expiry::ClientGone | Expiry::Deadline | Expiry::Stopping) => {
                    ProxyError::ClientGone
                }
                None if result.is_err() => ProxyError::ServerReset,
                None => ProxyError::ServerClosed,
            }),
        }
    }

    /// 1xx: passed on to clients that know it, without the pins (those come with the final head).
    async fn send_interim(&mut self) -> Result<(), Delivered> {
        let head_bytes = self.response.head.bytes;
        let is_continue = self.response.head.status == 100;
        let is_known = self.asked.request.head.minor == 1;
        if is_known && !(is_continue && self.asked.gate.is_continue_given()) {
            self.write_head(Framing::Empty, true, false);
            self.send_scratch().await?;
            if is_continue {
                self.asked.gate.note_continue_given();
            }
        }
        // The server is at work again; the client has nothing to take meanwhile.
        self.shared.watch.enter(Phase::Waiting, NEVER);
        self.response.buffer.consume(head_bytes);
        if self.response.buffer.is_empty() {
            self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        }
        Ok(())
    }

    /// Sends what is in the scratch alone.
    async fn send_scratch(&mut self) -> Result<(), Delivered> {
        let mut buffer = Buf::from_parts(std::mem::take(&mut self.response.scratch), 0);
        let count = buffer.len();
        self.shared.enter_responding();
        let result = self.client.send(&mut buffer, count, &self.shared.watch).await;
        (self.response.scratch, _) = buffer.into_parts();
        result.map_err(|_gone| Delivered::Broken { needs_reset: false })
    }

    /// Writes the head for the client into the scratch.
    fn write_head(&mut self, framing: Framing, keep_alive: bool, upgrades: bool) {
        let Response { head, control, buffer, scratch, .. } = &mut *self.response;
        scratch.clear();
        let is_final = head.status >= 200 || upgrades;
        self.shared.local.clock.with_date(|date| {
            let rewrite = ResponseRewrite {
                bytes: buffer.filled(),
                head,
                control,
                framing,
                client_minor: self.asked.request.head.minor,
                keep_alive,
                upgrades,
                date,
            };
            let Asked { tables, trail, .. } = self.asked;
            let tables = tables.as_deref().filter(|_| is_final);
            let policy = tables.map(|tables| trail.cache(tables)).unwrap_or_default();
            let cache = cache_control_line(policy, rewrite.bytes, &head.fields);
            let lines = tables.into_iter().flat_map(|tables| trail.set_cookie_lines(tables));
            write_response(scratch, &rewrite, lines.chain(cache));
        });
    }

    /// 101: only what was asked for, and to a protocol that was offered (http1 D12).
    async fn upgrade(&mut self) -> Delivered {
        if !self.asked.request.control.wants_upgrade
            || !self.response.control.upgrades
            || !self.is_offered()
        {
            return malformed();
        }
        self.response.origin_status = Some(101);
        self.write_head(Framing::Empty, true, true);
        self.keep_head_for_log();
        let head_bytes = self.response.head.bytes;
        let scratch = std::mem::take(&mut self.response.scratch);
        let fits = self.response.buffer.put_before(head_bytes, &scratch);
        self.response.scratch = scratch;
        self.asked.gate.note_response_begun();
        let sent = if fits {
            self.send_buffer().await
        } else {
            self.response.buffer.consume(head_bytes);
            match self.send_scratch().await {
                Ok(()) => self.send_buffer().await,
                Err(broken) => Err(broken),
            }
        };
        match sent {
            Ok(()) => Delivered::Upgraded,
            Err(broken) => broken,
        }
    }

    /// Every protocol that the server chose is among those that the client named.
    fn is_offered(&self) -> bool {
        let Asked { request, .. } = self.asked;
        let bytes = self.response.buffer.filled();
        let fields = &self.response.head.fields;
        let mut chosen = fields.values(bytes, FieldName::Upgrade).flat_map(list_members).peekable();
        let offered = || {
            request.head.fields.values(request.bytes(), FieldName::Upgrade).flat_map(list_members)
        };
        chosen.peek().is_some()
            && chosen.all(|protocol| offered().any(|it| it.eq_ignore_ascii_case(protocol)))
    }

    fn keep_head_for_log(&mut self) {
        if self.shared.local.keeps_origin_fields {
            let head = self.response.buffer.filled().get(..self.response.head.bytes);
            self.response.head_copy.extend_from_slice(head.unwrap_or(&[]));
        }
    }

    /// Sends everything in the buffer.
    async fn send_buffer(&mut self) -> Result<(), Delivered> {
        self.shared.enter_responding();
        let buffer = &mut self.response.buffer;
        let count = buffer.len();
        let result = self.client.send(buffer, count, &self.shared.watch).await;
        result.map_err(|_gone| Delivered::Broken { needs_reset: false })
    }

    /// The final response.
    async fn send_response(&mut self) -> Delivered {
        let (keep_alive, needs_reset) = self.begin_response();
        let offset = self.response.head.bytes;
        let Ok(piece) = self.next_piece(offset) else { return malformed() };
        if let Err(broken) = self.send_piece(piece, offset, true).await {
            return broken;
        }
        while !self.response.relay.is_done() {
            if let Err(end) = self.receive_more().await {
                let Some(is_cut) = end else { break };
                return Delivered::Broken { needs_reset: is_cut && needs_reset };
            }
            let Ok(piece) = self.next_piece(0) else { return Delivered::Broken { needs_reset } };
            if let Err(broken) = self.send_piece(piece, 0, false).await {
                return broken;
            }
        }
        let Response { control, relay, .. } = &*self.response;
        // A server that declined an upgrade may not be where it was: Node's parser swallows what it
        // cannot read then, and another client would wait for ever.
        let is_reusable = control.is_reusable
            && !relay.has_surplus()
            && !self.asked.request.control.wants_upgrade;
        Delivered::Complete { is_reusable, keep_alive }
    }

    /// Writes the head into the scratch. Returns whether the client's connection stays open, and
    /// whether a cut body must end in a reset, since a close is how it ends anyway.
    fn begin_response(&mut self) -> (bool, bool) {
        self.shared.watch.upstream_answered();
        let is_http11 = self.asked.request.head.minor == 1;
        let from_server = self.response.control.framing;
        let framing = match from_server {
            Framing::Chunked | Framing::UntilClose if is_http11 => Framing::Chunked,
            Framing::Chunked => Framing::UntilClose,
            other => other,
        };
        // A request that is still coming in is not read to its end (http1 D10).
        let keep_alive = self.asked.keep_alive
            && self.asked.gate.is_upload_done()
            && framing != Framing::UntilClose
            && !self.shared.local.is_stopping.get();
        self.asked.gate.note_response_begun();
        self.response.status = self.response.head.status;
        self.response.origin_status = Some(self.response.head.status);
        self.response.relay = Relay::new(from_server, framing == Framing::Chunked);
        self.write_head(framing, keep_alive, false);
        self.keep_head_for_log();
        (keep_alive, framing == Framing::UntilClose)
    }

    fn next_piece(&mut self, offset: usize) -> Result<Piece, ChunkError> {
        let Response { buffer, relay, decoder, .. } = &mut *self.response;
        relay.prepare(buffer, offset, decoder)
    }

    /// Puts the head and the chunk's size before the piece of body in the buffer, and sends it.
    async fn send_piece(
        &mut self,
        piece: Piece,
        offset: usize,
        has_head: bool,
    ) -> Result<(), Delivered> {
        self.response.body_bytes += piece.body_bytes as u64;
        let Response { buffer, scratch, decoder, .. } = &mut *self.response;
        if !has_head {
            scratch.clear();
        }
        piece.write_prefix(scratch);
        piece.append_suffix(buffer, decoder);
        if buffer.put_before(offset, scratch) {
            if buffer.is_empty() { Ok(()) } else { self.send_buffer().await }
        } else {
            // A head that outgrew the room: it goes alone.
            buffer.consume(offset);
            self.send_scratch().await?;
            if self.response.buffer.is_empty() { Ok(()) } else { self.send_buffer().await }
        }
    }

    /// Receives the next piece of a body into the empty buffer.
    ///
    /// # Errors
    /// `Some(is_reset_due)` when the body is cut short, `None` when it ended with the connection.
    async fn receive_more(&mut self) -> Result<(), Option<bool>> {
        self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        self.shared.watch.await_upstream(self.shared.local.clock.now_ms(), NEVER);
        let received = self.receive().await;
        self.shared.watch.upstream_answered();
        match received {
            Ok(_) => Ok(()),
            Err(ProxyError::ServerClosed)
                if self.response.relay.ends_with_connection()
                    && !self.asked.gate.has_send_failed() =>
            {
                let piece = self.response.relay.finish();
                self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
                match self.send_piece(piece, 0, false).await {
                    Ok(()) => Err(None),
                    Err(_broken) => Err(Some(false)),
                }
            }
            Err(_) => Err(Some(true)),
        }
    }
}

fn fresh_buffer(pool: &BufferPool) -> Buf {
    let mut buffer = pool.take_large();
    buffer.reset_with_room(HEAD_ROOM_BYTES);
    buffer
}

fn malformed() -> Delivered {
    Delivered::Failed { error: ProxyError::ServerMalformed, has_bytes: true }
}
