//! Copies of requests for mirrors: made when the client has its answer, sent by tasks of their own.
//! What a mirror answers is read and thrown away, and nothing that it does reaches the client.
//!
//! A copy may wait for nobody: with too many of them on their way the next is not made.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Connection;
use super::exchange::{Asked, Exchange, Picked};
use super::guard;
use super::held::Held;
use super::local::{Local, limit_ms};
use super::pressure::Pressure;
use super::upload::encode_chunked_body;
use crate::cluster::{Copied, Trail};
use crate::http1::chunked::ChunkDecoder;
use crate::http1::framing::{Framing, RequestControl, response_control};
use crate::http1::head::{Progress, ResponseHead, parse_response};
use crate::io::{Buf, Phase, spawn};
use crate::upstream::{self, Lease};

/// Copies of one worker that are on their way at once; a mirror that is slower than the service
/// gets no more.
const COPIES_MAX: usize = 256;

/// Longest life of a copy, from the connection to the end of the answer.
const COPY_MS_MAX: u64 = 60_000;

/// Chunked bodies may be that much longer than their limit, for the sake of their framing.
const FRAMING_BYTES_MAX: usize = 16 * 1024;

/// Copies of one worker on their way.
#[derive(Debug, Default)]
pub struct Copies {
    count: Cell<usize>,
}

/// One of them.
struct Place {
    local: Rc<Local>,
    _held: Held,
}

impl Place {
    /// `None` when there are too many.
    fn take(local: &Rc<Local>, bytes: usize) -> Option<Self> {
        let count = &local.copies.count;
        let mut held = local.held.begin();
        if count.get() >= COPIES_MAX || !held.grow(bytes) {
            return None;
        }
        count.set(count.get() + 1);
        Some(Self { local: Rc::clone(local), _held: held })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let count = &self.local.copies.count;
        count.set(count.get().saturating_sub(1));
    }
}

/// What streams through an upload, for the copies; off unless a copy wants it.
#[derive(Debug, Default)]
pub(super) struct Tee {
    is_on: Cell<bool>,
    room: Cell<usize>,
    bytes: RefCell<Vec<u8>>,
    held: RefCell<Option<Held>>,
}

impl Tee {
    /// Begins to keep what is sent, up to `bytes_max` body bytes.
    pub(super) fn begin(&self, bytes_max: u64, held: Held) {
        *self.held.borrow_mut() = Some(held);
        let room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        self.room.set(room.saturating_add(FRAMING_BYTES_MAX));
        self.is_on.set(true);
    }

    /// These bytes are sent to the server.
    pub(super) fn note(&self, sent: &[u8]) {
        if !self.is_on.get() {
            return;
        }
        let room = self.room.get().checked_sub(sent.len());
        let fits = self.held.borrow_mut().as_mut().is_some_and(|held| held.grow(sent.len()));
        match room.filter(|_| fits) {
            Some(room) => {
                self.room.set(room);
                self.bytes.borrow_mut().extend_from_slice(sent);
            }
            None => self.clear(),
        }
    }

    /// Forgets everything, memory too.
    pub(super) fn clear(&self) {
        if self.is_on.replace(false) {
            self.bytes.take();
            self.held.take();
        }
    }
}

impl Connection {
    /// Turns the tee on for a body that is about to stream, should a copy want it.
    pub(super) fn begin_tee(&self, asked: &Asked, body_bytes: usize) {
        let copies = asked.trail.copies().iter().filter(|copy| copy.has_body);
        let Some(bytes_max) = copies.map(|copy| copy.body_bytes_max).max() else { return };
        let begin = asked.request.head.bytes;
        let first = asked.request.bytes().get(begin..begin + body_bytes);
        asked.tee.begin(bytes_max, self.shared.local.held.begin());
        asked.tee.note(first.unwrap_or(&[]));
    }

    /// Sends the copies of an exchange that has been answered, and whose request was whole.
    pub(super) fn send_copies(&self, exchange: &Exchange) {
        let Asked { request, trail, tables: Some(tables), .. } = &exchange.asked else {
            return;
        };
        if self.shared.local.pressure.get() != Pressure::None {
            return;
        }
        let mut wanted: Vec<Copied> = trail.copies().to_vec();
        while let Some(copy) = wanted.pop() {
            let mut trail = Trail::default();
            trail.set_client(self.shared.peer.ip());
            let sources = request.pin_sources(self.shared.local.clock.wall_s());
            let Ok(pick) = tables.pick(copy.service, sources, &mut trail) else { continue };
            // Mirrors of a mirror.
            wanted.extend_from_slice(trail.copies());
            let Some(picked) = Picked::new(tables, pick) else { continue };
            let hidden = picked.hidden_cookies(exchange.service);
            let Some(bytes) = self.copy(&exchange.asked, copy, (&picked, hidden)) else { continue };
            let Some(place) = Place::take(&self.shared.local, bytes.len()) else { return };
            let is_head = request.is_head();
            spawn(async move {
                guard::contain(deliver(place, picked, Buf::from_parts(bytes, 0), is_head)).await;
            });
        }
    }

    /// The bytes of a copy; `None` when the body is not to be had.
    fn copy(&self, asked: &Asked, copy: Copied, to: (&Picked, &[Box<[u8]>])) -> Option<Vec<u8>> {
        let Asked { request, tee, .. } = asked;
        let framing = match request.control.framing {
            framing if copy.has_body => framing,
            _ => Framing::Empty,
        };
        let has_body = framing != Framing::Empty;
        if has_body && request.body_bytes > copy.body_bytes_max {
            return None;
        }
        let control = RequestControl { framing, wants_upgrade: false, ..request.control };
        let mut out = Vec::new();
        self.write_head(request, &control, to, &mut Vec::new(), &mut out);
        if !has_body {
            return Some(out);
        }
        if request.is_streamed {
            // Off: it grew too long.
            tee.is_on.get().then(|| out.extend_from_slice(&tee.bytes.borrow()))?;
            return Some(out);
        }
        let body = request.bytes().get(request.head.bytes..)?;
        match framing {
            Framing::Length(length) => {
                out.extend_from_slice(body.get(..usize::try_from(length).ok()?)?);
            }
            _ => {
                let mut decoder = ChunkDecoder::new();
                encode_chunked_body(body, &mut decoder, &mut out).ok()?;
                decoder.is_done().then_some(())?;
            }
        }
        Some(out)
    }
}

/// Sends a copy and reads what comes back.
async fn deliver(place: Place, picked: Picked, mut bytes: Buf, is_head: bool) {
    let local = &place.local;
    let Some(mut lease) = lease(local, &picked).await else { return };
    let watch = local.watches.add(lease.stream.fd());
    let now_ms = local.clock.now_ms();
    watch.set_cap(now_ms.saturating_add(COPY_MS_MAX));
    watch.enter_while_moving(Phase::Responding, now_ms, COPY_MS_MAX, 1);
    let count = bytes.len();
    if lease.stream.write.send(&mut bytes, count, &watch).await.is_err() {
        return;
    }
    drop(bytes);
    let limit = picked.transport().and_then(|transport| transport.response_header_timeout);
    watch.enter(Phase::Waiting, local.clock.now_ms().saturating_add(limit_ms(limit)));
    let awaited = picked.server.await_answer();
    let mut buffer = local.buffers.take_large();
    let mut answer = Answer { local, lease: &mut lease, buffer: &mut buffer };
    let framing = answer.read_head(is_head).await;
    if framing.is_some()
        && let Some(awaited) = awaited
    {
        awaited.note_begun();
    }
    watch.enter(Phase::Waiting, u64::MAX);
    let is_reusable = match framing {
        Some((framing, is_reusable)) => is_reusable && answer.read_body(framing).await,
        None => false,
    };
    local.buffers.give_back(buffer);
    // The sweeper must not know the socket any more when somebody else may have it.
    drop(watch);
    if is_reusable {
        let idle_max = picked.transport().map_or(0, |transport| transport.idle_per_server_max);
        upstream::put_back(&picked.server, lease, local.clock.now_ms(), idle_max);
    }
}

async fn lease(local: &Local, picked: &Picked) -> Option<Lease> {
    if let Some(idle) = upstream::take_idle(&picked.server) {
        return Some(idle);
    }
    let limit = picked.transport().and_then(|transport| transport.dial_timeout);
    upstream::connect(&picked.server, limit, local.descriptors.connect_end()).await.ok()
}

/// An answer that nobody is interested in.
struct Answer<'a> {
    local: &'a Local,
    lease: &'a mut Lease,
    buffer: &'a mut Buf,
}

impl Answer<'_> {
    /// Reads up to the body; `None` when there is no answer to be made out.
    async fn read_head(&mut self, is_head: bool) -> Option<(Framing, bool)> {
        let limits = &self.local.response_head;
        let mut head = ResponseHead::default();
        loop {
            let bytes = self.buffer.filled();
            let is_whole = !bytes.is_empty()
                && parse_response(bytes, limits, &mut head).ok()? == Progress::Complete;
            if !is_whole {
                if self.buffer.spare() == 0 {
                    self.buffer.reserve(limits.bytes_max);
                }
                self.read().await?;
                continue;
            }
            let control = response_control(bytes, &head, is_head).ok()?;
            self.buffer.consume(head.bytes);
            match head.status {
                101 => return None,
                100..=199 => {}
                _ => return Some((control.framing, control.is_reusable)),
            }
        }
    }

    /// Whether the connection can be used again behind the body.
    async fn read_body(&mut self, framing: Framing) -> bool {
        let mut left = match framing {
            Framing::Length(length) => length,
            _ => 0,
        };
        let mut decoder = ChunkDecoder::new();
        loop {
            let received = self.buffer.len();
            let is_done = match framing {
                Framing::Empty => true,
                Framing::Length(_) => {
                    let taken = usize::try_from(left).map_or(received, |it| it.min(received));
                    self.buffer.consume(taken);
                    left -= taken as u64;
                    left == 0
                }
                Framing::Chunked => {
                    let mut at = 0;
                    loop {
                        match decoder.next_data(self.buffer.filled(), &mut at) {
                            Ok(Some(_)) => {}
                            Ok(None) => break,
                            Err(_malformed) => return false,
                        }
                    }
                    self.buffer.consume(at);
                    decoder.is_done()
                }
                Framing::UntilClose => {
                    self.buffer.clear();
                    false
                }
            };
            if is_done {
                return self.buffer.is_empty();
            }
            if self.read().await.is_none() {
                return false;
            }
        }
    }

    async fn read(&mut self) -> Option<()> {
        if self.buffer.is_empty() {
            self.buffer.clear();
        }
        match self.lease.stream.read.read(self.buffer, usize::MAX).await {
            Ok(1..) => Some(()),
            Ok(0) | Err(_) => None,
        }
    }
}
