//! One downstream connection: the only conductor. It takes request after request, asks the tables
//! for a server, leases a connection to it, and lets `upload` and `delivery` move the bytes.
//! The steps never call each other.

pub mod address_cap;
mod answer;
pub mod cap;
mod compose;
pub mod count;
mod delivery;
pub mod descriptors;
mod duplex;
pub mod error;
pub mod exchange;
mod forward;
pub mod gate;
mod guard;
mod held;
mod keep;
pub mod local;
mod log;
mod mirror;
mod overflow;
pub mod pressure;
mod receive;
mod relay;
mod route;
mod tunnel;
mod upload;

use std::net::SocketAddr;
use std::rc::Rc;

use address_cap::AddressPlace;
use exchange::{Exchange, Request};
use local::{Counters, EntryPointLimits, Local};
use pressure::Pressure;
use route::Plan;

use crate::http1::forwarded::PeerText;
use crate::io::watch::Watched;
use crate::io::{Buf, Phase, Stream};
use crate::sys;

pub use guard::serve;

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    // First, so that the sweeper forgets the descriptors before they are closed.
    shared: Shared,
    stream: Stream,
    input: Buf,
}

/// What both directions of an exchange look at.
#[derive(Debug)]
struct Shared {
    watch: Watched,
    local: Rc<Local>,
    entry: Rc<EntryPointLimits>,
    peer: SocketAddr,
    peer_text: PeerText,
    is_trusted: bool,
    began_ms: u64,
    /// Its place among those of its address, where these are counted.
    /// Boxed, because few have one.
    place: Option<Box<AddressPlace>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let connections = &self.entry.connections;
        connections.set(connections.get().saturating_sub(1));
    }
}

impl Shared {
    /// The client is another one than the peer that connected.
    fn set_peer(&mut self, peer: SocketAddr) {
        let trusted = &self.entry.forwarded;
        self.is_trusted = trusted.is_trusted(peer.ip());
        self.peer = peer;
        self.peer_text = PeerText::new(peer.ip());
    }

    /// Takes a place among the connections of the client's address; false when there is none.
    fn take_place(&mut self) -> bool {
        let Some(cap) = &self.local.caps.addresses else { return true };
        self.place = cap.take(self.peer.ip()).map(Box::new);
        self.place.is_some()
    }

    /// From now on the client must take bytes as they come.
    fn enter_responding(&self) {
        let now_ms = self.local.clock.now_ms();
        let window_ms = self.entry.send_timeout_ms;
        self.watch.enter_while_moving(Phase::Responding, now_ms, window_ms, 1);
    }
}

/// What becomes of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another request may come.
    KeepAlive,
    /// Everything has been said.
    Close,
    /// The client may still be sending: a close at once could destroy the response on its way.
    Linger,
}

impl Connection {
    /// A connection that was just accepted on an entry point.
    #[must_use]
    pub fn new(
        local: Rc<Local>,
        entry: Rc<EntryPointLimits>,
        stream: Stream,
        peer: SocketAddr,
    ) -> Self {
        entry.connections.set(entry.connections.get() + 1);
        let shared = Shared {
            watch: local.watches.add(stream.fd()),
            is_trusted: entry.forwarded.is_trusted(peer.ip()),
            entry,
            peer,
            peer_text: PeerText::new(peer.ip()),
            began_ms: local.clock.now_ms(),
            place: None,
            local,
        };
        Self { shared, stream, input: Buf::default() }
    }

    /// Takes its place among the connections of its client's address, unless a PROXY header may
    /// still name another client. One too many is reset: false, and nothing must be served.
    #[must_use]
    pub fn is_admitted(&mut self) -> bool {
        let is_admitted = self.expects_proxy_header() || self.shared.take_place();
        if !is_admitted {
            sys::reset_on_close(self.stream.fd());
        }
        is_admitted
    }

    /// Serves requests until one side ends the connection.
    pub async fn run(&mut self) {
        if self.expects_proxy_header() {
            if !self.receive_proxy_header().await {
                return;
            }
            if !self.shared.take_place() {
                sys::reset_on_close(self.stream.fd());
                return;
            }
        }
        while self.await_request().await {
            let mut exchange = self.shared.local.take_exchange();
            let next = self.serve(&mut exchange).await;
            self.shared.count(&exchange);
            self.shared.write_log(&exchange);
            if next == Next::KeepAlive {
                self.keep_rest(&mut exchange.asked.request);
            }
            self.shared.local.give_back_exchange(exchange);
            match next {
                Next::KeepAlive => {}
                Next::Close => break,
                Next::Linger => {
                    self.linger().await;
                    break;
                }
            }
        }
        self.shared.local.buffers.give_back(std::mem::take(&mut self.input));
    }

    /// What came behind the request is the beginning of the next one.
    fn keep_rest(&mut self, request: &mut Request) {
        if request.is_streamed {
            return;
        }
        self.input = std::mem::take(&mut request.buffer);
        self.input.consume(request.whole_bytes);
    }

    /// One request and its response.
    async fn serve(&mut self, exchange: &mut Exchange) -> Next {
        match self.receive_head(exchange).await {
            Ok(()) => {}
            Err(receive::NoHead::Closed) => return Next::Close,
            Err(receive::NoHead::Refused(error)) => return self.answer(exchange, error).await,
        }
        let Shared { local, watch, entry, .. } = &self.shared;
        watch.note_served();
        local.retry_budget.note_request(local.clock.now_ms());
        watch.set_cap(local.clock.now_ms().saturating_add(entry.write_timeout_ms));
        Counters::add(&self.shared.local.counters.requests);
        self.shared.begin_log(exchange);
        match self.route(exchange) {
            Ok(Plan::Forward(pick)) => self.forward(exchange, pick).await,
            // Boxed: few wait, and it would make every connection's future large.
            Ok(Plan::Wait(service)) => Box::pin(self.forward_when_free(exchange, service)).await,
            Ok(Plan::Own(response)) => self.answer_own(exchange, response, false).await,
            Err(error) => self.answer(exchange, error).await,
        }
    }

    /// Whether the client's connection is to stay open after this exchange, as far as is known
    /// before the response.
    fn wants_keep_alive(&self, request: &Request) -> bool {
        let Shared { local, entry, watch, began_ms, .. } = &self.shared;
        request.control.keep_alive
            && !local.is_stopping.get()
            && watch.served() < entry.requests_max
            && local.clock.now_ms().saturating_sub(*began_ms) < entry.age_max_ms
    }

    /// Sends a FIN, then swallows what the client still sends, for a while.
    async fn linger(&mut self) {
        let Shared { local, watch, .. } = &self.shared;
        watch.enter(Phase::Lingering, local.clock.now_ms() + error::LINGER_MS);
        self.stream.write.finish().await;
        let mut buffer = match local.pressure.get() {
            Pressure::None => local.buffers.take_large(),
            Pressure::Tight | Pressure::Full => local.buffers.take_small(),
        };
        let mut left = error::LINGER_BYTES_MAX;
        while left > 0 {
            buffer.clear();
            match self.stream.read.read(&mut buffer, usize::MAX).await {
                Ok(received @ 1..) => left = left.saturating_sub(received),
                Ok(0) | Err(_) => break,
            }
        }
        local.buffers.give_back(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest future of a connection: it is what an idle connection costs, beside its socket.
    const FUTURE_BYTES_MAX: usize = 1024;

    fn future_bytes<F>(_: impl FnOnce(Connection) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_connection_stays_small() {
        let bytes = future_bytes(super::serve);
        assert!(bytes <= FUTURE_BYTES_MAX, "{bytes} bytes");
    }
}
