//! One downstream connection: the only conductor. It takes request after request, asks the tables
//! for a server, leases a connection to it, and lets [`upload`] and [`delivery`] move the bytes.
//! The steps never call each other.

mod answer;
pub mod delivery;
pub mod duplex;
pub mod error;
pub mod exchange;
mod forward;
pub mod gate;
mod guard;
pub mod local;
mod log;
mod receive;
pub mod relay;
mod route;
pub mod tunnel;
pub mod upload;

use std::net::SocketAddr;
use std::rc::Rc;

use exchange::Exchange;
use local::{Counters, EntryPointLimits, Local};
use route::Plan;

use crate::http1::forwarded::PeerText;
use crate::io::watch::{NEVER, Watched};
use crate::io::{Buf, Phase, Stream};

pub use guard::guarded;

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    // First, so that the sweeper forgets the descriptors before they are closed.
    watch: Watched,
    stream: Stream,
    input: Buf,
    local: Rc<Local>,
    entry: Rc<EntryPointLimits>,
    peer: SocketAddr,
    peer_text: PeerText,
    is_trusted: bool,
    /// Requests served.
    served: u64,
    began_ms: u64,
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
        let peer_ip = peer.ip().to_canonical();
        let is_trusted = entry.forwarded.insecure
            || entry.forwarded.trusted_ips.iter().any(|net| net.contains(&peer_ip));
        Self {
            watch: local.watches.add(stream.fd()),
            stream,
            input: Buf::default(),
            entry,
            peer,
            peer_text: PeerText::new(peer_ip),
            is_trusted,
            served: 0,
            began_ms: local.clock.now_ms(),
            local,
        }
    }

    /// Serves requests until one side ends the connection.
    pub async fn run(mut self) {
        while self.await_request().await {
            let mut exchange = self.local.take_exchange();
            let next = self.serve(&mut exchange).await;
            self.write_log(&exchange);
            if next == Next::KeepAlive {
                // Only now: the log has read the head there.
                self.input.consume(exchange.request.input_bytes);
            }
            self.local.give_back_exchange(exchange);
            match next {
                Next::KeepAlive => {}
                Next::Close => break,
                Next::Linger => {
                    self.linger().await;
                    break;
                }
            }
        }
        self.local.buffers.give_back(std::mem::take(&mut self.input));
    }

    /// One request and its response.
    async fn serve(&mut self, exchange: &mut Exchange) -> Next {
        match self.receive_head(exchange).await {
            Ok(()) => {}
            Err(receive::NoHead::Closed) => return Next::Close,
            Err(receive::NoHead::Refused(error)) => return self.answer(exchange, error).await,
        }
        self.served += 1;
        self.watch.note_served();
        Counters::add(&self.local.counters.requests);
        self.begin_log(exchange);
        match self.route(exchange) {
            Ok(Plan::Forward(pick)) => self.forward(exchange, pick).await,
            Ok(Plan::Own(response)) => self.answer_own(exchange, response, false).await,
            Err(error) => self.answer(exchange, error).await,
        }
    }

    /// Whether the client's connection is to stay open after this exchange, as far as is known
    /// before the response.
    fn wants_keep_alive(&self, exchange: &Exchange) -> bool {
        exchange.request.control.keep_alive
            && !self.local.is_stopping.get()
            && self.served < self.entry.requests_max
            && self.local.clock.now_ms().saturating_sub(self.began_ms) < self.entry.age_max_ms
    }

    /// Sends a FIN, then swallows what the client still sends, for a while.
    async fn linger(&mut self) {
        let deadline_ms = self.local.clock.now_ms() + error::LINGER_MS;
        self.watch.enter(Phase::Lingering, deadline_ms);
        self.stream.write.finish().await;
        let mut buffer = self.local.buffers.take_large();
        let mut left = error::LINGER_BYTES_MAX;
        while left > 0 {
            buffer.clear();
            let result;
            (result, buffer) = self.stream.read.read(buffer, usize::MAX).await;
            match result {
                Ok(received @ 1..) => left = left.saturating_sub(received),
                Ok(0) | Err(_) => break,
            }
        }
        self.local.buffers.give_back(buffer);
        self.watch.enter(Phase::Lingering, NEVER);
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
        let bytes = future_bytes(|connection| guarded(connection.run()));
        assert!(bytes <= FUTURE_BYTES_MAX, "{bytes} bytes");
    }
}
