//! From the server's first byte to the client's last: heads are parsed and judged, the final one
//! is rewritten in place before the body bytes that came with it, and both leave in one send.

use super::error::ProxyError;
use super::exchange::{Request, Response};
use super::gate::Gate;
use super::local::{EntryPointLimits, Local, RESPONSE_HEAD_LIMITS};
use super::relay::{Piece, Relay};
use crate::cluster::{Tables, Trail};
use crate::http1::fields::{FieldName, list_members};
use crate::http1::framing::{Framing, ResponseControl, response_control};
use crate::http1::head::{Progress, parse_response};
use crate::http1::rewrite::{ResponseRewrite, write_response};
use crate::io::buffer::{HEAD_ROOM_BYTES, TAIL_ROOM_BYTES};
use crate::io::watch::NEVER;
use crate::io::{Buf, Expiry, Phase, ReadHalf, Watch, WriteHalf};

/// Interim responses of one exchange (http1 D9).
const INTERIM_MAX: u32 = 16;

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The client has all of it.
    Complete {
        /// The server's connection may carry another exchange.
        is_reusable: bool,
        /// So may the client's.
        keep_alive: bool,
    },
    /// The server switched protocols; the 101 and what came with it have gone out.
    Upgraded,
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
pub struct Delivery<'a> {
    /// Buffers, clock.
    pub local: &'a Local,
    /// Limits.
    pub entry: &'a EntryPointLimits,
    /// For the sweeper.
    pub watch: &'a Watch,
    /// The other direction.
    pub gate: &'a Gate,
    /// What was asked.
    pub request: &'a Request,
    /// The request head's bytes.
    pub request_bytes: &'a [u8],
    /// What comes back.
    pub response: &'a mut Response,
    /// Pins to set.
    pub trail: &'a Trail,
    /// Their tables.
    pub tables: &'a Tables,
    /// The client, sending.
    pub client: &'a mut WriteHalf,
    /// The server, receiving.
    pub server: &'a mut ReadHalf,
    /// The client wants its connection kept, and we do too.
    pub keep_alive: bool,
}

impl Delivery<'_> {
    /// Receives the response and sends it on.
    pub async fn run(&mut self) -> Delivered {
        self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        let mut interims = 0;
        loop {
            if let Err(failed) = self.receive_head().await {
                return failed;
            }
            let Ok(control) = response_control(
                self.response.buffer.filled(),
                &self.response.head,
                self.request.is_head(self.request_bytes),
            ) else {
                return malformed();
            };
            match self.response.head.status {
                101 => return self.upgrade(&control).await,
                100..=199 if interims < INTERIM_MAX => {
                    interims += 1;
                    if let Err(broken) = self.send_interim(&control).await {
                        return broken;
                    }
                }
                100..=199 => return malformed(),
                _ => return self.send_response(&control).await,
            }
        }
    }

    async fn receive_head(&mut self) -> Result<(), Delivered> {
        loop {
            let bytes = self.response.buffer.filled();
            if !bytes.is_empty() {
                match parse_response(bytes, &RESPONSE_HEAD_LIMITS, &mut self.response.head) {
                    Ok(Progress::Complete) => return Ok(()),
                    Ok(Progress::Partial) => {}
                    Err(_malformed) => return Err(malformed()),
                }
            }
            let has_bytes = !self.response.buffer.is_empty();
            match self.receive().await {
                Ok(_) => {}
                Err(error) => return Err(Delivered::Failed { error, has_bytes }),
            }
        }
    }

    /// Receives more behind what is in the buffer.
    ///
    /// # Errors
    /// Why there is no more; [`ProxyError::ServerClosed`] for an orderly end too.
    async fn receive(&mut self) -> Result<usize, ProxyError> {
        let mut buffer = std::mem::take(&mut self.response.buffer);
        let (result, buffer) = if buffer.is_empty() {
            let bytes_max = buffer.spare().saturating_sub(TAIL_ROOM_BYTES);
            let patience = &self.watch.upstream_patience;
            let (clock, pool) = (&self.local.clock, &self.local.buffers);
            let local = self.local;
            let fresh = || fresh_buffer(local);
            self.server.read_patiently(buffer, bytes_max, patience, clock, pool, fresh).await
        } else {
            if buffer.spare() <= TAIL_ROOM_BYTES {
                buffer.reserve(RESPONSE_HEAD_LIMITS.bytes_max);
            }
            let bytes_max = buffer.spare() - TAIL_ROOM_BYTES;
            self.server.read(buffer, bytes_max).await
        };
        self.response.buffer = buffer;
        match result {
            Ok(received @ 1..) => Ok(received),
            Ok(0) | Err(_) => Err(match self.watch.take_expiry() {
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
    async fn send_interim(&mut self, control: &ResponseControl) -> Result<(), Delivered> {
        let head_bytes = self.response.head.bytes;
        let is_continue = self.response.head.status == 100;
        let is_known = self.request.head.minor == 1;
        if is_known && !(is_continue && self.gate.is_continue_given()) {
            self.write_head(control, Framing::Empty, true, false);
            self.send_scratch().await?;
            if is_continue {
                self.gate.note_continue_given();
            }
        }
        self.response.buffer.consume(head_bytes);
        if self.response.buffer.is_empty() {
            self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        }
        Ok(())
    }

    /// Sends what is in the scratch alone.
    async fn send_scratch(&mut self) -> Result<(), Delivered> {
        let bytes = std::mem::take(&mut self.response.scratch);
        let length = bytes.len();
        self.enter_responding();
        let (result, bytes) = self.client.send(bytes, 0, length, self.watch).await;
        self.response.scratch = bytes;
        result.map_err(|_gone| Delivered::Broken { needs_reset: false })
    }

    fn enter_responding(&self) {
        let now_ms = self.local.clock.now_ms();
        let window_ms = self.entry.send_timeout_ms;
        self.watch.enter_while_moving(Phase::Responding, now_ms, window_ms, 1);
    }

    /// Writes the head for the client into the scratch.
    fn write_head(
        &mut self,
        control: &ResponseControl,
        framing: Framing,
        keep_alive: bool,
        upgrades: bool,
    ) {
        let Response { head, buffer, scratch, .. } = &mut *self.response;
        scratch.clear();
        let is_final = head.status >= 200 || upgrades;
        self.local.clock.with_date(|date| {
            let rewrite = ResponseRewrite {
                bytes: buffer.filled(),
                head,
                control,
                framing,
                client_minor: self.request.head.minor,
                keep_alive,
                upgrades,
                date,
            };
            let lines = self.trail.set_cookie_lines(self.tables).filter(|_| is_final);
            write_response(scratch, &rewrite, lines);
        });
    }

    /// 101: only what was asked for, and to a protocol that was offered (http1 D12).
    async fn upgrade(&mut self, control: &ResponseControl) -> Delivered {
        if !self.request.control.wants_upgrade || !control.upgrades || !self.is_offered() {
            return malformed();
        }
        self.response.origin_status = Some(101);
        self.write_head(control, Framing::Empty, true, true);
        self.keep_head_for_log();
        let head_bytes = self.response.head.bytes;
        let scratch = std::mem::take(&mut self.response.scratch);
        let fits = self.response.buffer.put_before(head_bytes, &scratch);
        self.response.scratch = scratch;
        self.gate.note_response_begun();
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
        let bytes = self.response.buffer.filled();
        let mut chosen = self
            .response
            .head
            .fields
            .values(bytes, FieldName::Upgrade)
            .flat_map(list_members)
            .peekable();
        chosen.peek().is_some()
            && chosen.all(|protocol| {
                let asked = &self.request.head.fields;
                asked
                    .values(self.request_bytes, FieldName::Upgrade)
                    .flat_map(list_members)
                    .any(|offered| offered.eq_ignore_ascii_case(protocol))
            })
    }

    fn keep_head_for_log(&mut self) {
        if self.local.keeps_origin_fields {
            let head = self.response.buffer.filled().get(..self.response.head.bytes);
            self.response.head_copy.extend_from_slice(head.unwrap_or(&[]));
        }
    }

    /// Sends everything in the buffer.
    async fn send_buffer(&mut self) -> Result<(), Delivered> {
        let (bytes, start) = std::mem::take(&mut self.response.buffer).into_parts();
        let length = bytes.len();
        self.enter_responding();
        let (result, bytes) = self.client.send(bytes, start, length, self.watch).await;
        self.response.buffer = Buf::from_parts(bytes, start);
        result.map_err(|_gone| Delivered::Broken { needs_reset: false })
    }

    /// The final response.
    async fn send_response(&mut self, control: &ResponseControl) -> Delivered {
        self.watch.upstream_answered();
        let is_http11 = self.request.head.minor == 1;
        let framing = match control.framing {
            Framing::Chunked | Framing::UntilClose if is_http11 => Framing::Chunked,
            Framing::Chunked => Framing::UntilClose,
            other => other,
        };
        // A request that is still coming in is not read to its end (http1 D10).
        let keep_alive = self.keep_alive
            && self.gate.is_upload_done()
            && framing != Framing::UntilClose
            && !self.local.is_stopping.get();
        self.gate.note_response_begun();
        self.response.status = self.response.head.status;
        self.response.origin_status = Some(self.response.head.status);
        self.write_head(control, framing, keep_alive, false);
        self.keep_head_for_log();

        let mut relay = Relay::new(control.framing, framing == Framing::Chunked);
        let needs_reset = framing == Framing::UntilClose;
        let mut offset = self.response.head.bytes;
        let mut has_head = true;
        loop {
            let Ok(piece) =
                relay.prepare(&mut self.response.buffer, offset, &mut self.response.decoder)
            else {
                return if has_head { malformed() } else { Delivered::Broken { needs_reset } };
            };
            if let Err(broken) = self.send_piece(piece, offset, has_head).await {
                return broken;
            }
            if relay.is_done() {
                break;
            }
            (offset, has_head) = (0, false);
            if let Err(end) = self.receive_more(&mut relay).await {
                if let Some(broken) = end {
                    return Delivered::Broken { needs_reset: broken && needs_reset };
                }
                break;
            }
        }
        Delivered::Complete { is_reusable: control.is_reusable && !relay.has_surplus(), keep_alive }
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
    async fn receive_more(&mut self, relay: &mut Relay) -> Result<(), Option<bool>> {
        self.response.buffer.reset_with_room(HEAD_ROOM_BYTES);
        self.watch.await_upstream(self.local.clock.now_ms(), NEVER);
        let received = self.receive().await;
        self.watch.upstream_answered();
        match received {
            Ok(_) => Ok(()),
            Err(ProxyError::ServerClosed) if relay.ends_with_connection() => {
                let piece = relay.finish();
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

fn fresh_buffer(local: &Local) -> Buf {
    let mut buffer = local.buffers.take_large();
    buffer.reset_with_room(HEAD_ROOM_BYTES);
    buffer
}

fn malformed() -> Delivered {
    Delivered::Failed { error: ProxyError::ServerMalformed, has_bytes: true }
}
