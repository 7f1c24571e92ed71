//! A request and a server: lease, send, deliver, and what to do when the server does not play
//! along (redispatch, retry, or an honest error).

use std::cell::Cell;
use std::time::Duration;

use super::compose::Composed;
use super::delivery::{Delivered, Delivery};
use super::duplex::{self, DuplexEnd};
use super::error::ProxyError;
use super::exchange::{Asked, Exchange, Picked, Request};
use super::gate::Gate;
use super::local::limit_ms;
use super::upload::{Upload, UploadEnd};
use super::{Connection, Next, Shared, tunnel};
use crate::cluster::{Pick, PickError};
use crate::http1::framing::Framing;
use crate::io::watch::NEVER;
use crate::io::{Expiry, SendError};
use crate::sys;
use crate::upstream::{self, ConnectError};

/// Longest connection attempt while another server could take the request (http1 G8).
const DIAL_WITH_ALTERNATIVE: Duration = Duration::from_secs(5);

/// What one attempt with one connection came to.
enum Attempt {
    /// The exchange is over.
    Done(Next),
    /// A pooled connection was stale: the same server again, on a new one.
    Again,
    /// A new one ended without an answer, so the server is dying: another takes the request.
    Elsewhere,
    /// There is no connection to the server.
    Refused(ConnectError),
    /// The answer has this status, and a fallback is to be asked instead.
    FailedOver(u16),
    /// The client is told.
    Failed(ProxyError),
}

impl Connection {
    pub(super) async fn forward(&mut self, exchange: &mut Exchange, first: Pick) -> Next {
        let mut pick = first;
        let mut must_connect = false;
        exchange.asked.keep_alive = self.wants_keep_alive(&exchange.asked.request);
        if exchange.asked.trail.is_watched()
            && let Err(error) = Box::pin(self.keep_body(exchange)).await
        {
            exchange.asked.trail.forget_pins();
            return self.answer(exchange, error).await;
        }
        loop {
            // Whoever waited for it, or sends again, has it already.
            if exchange.picked.is_none() {
                let tables = exchange.asked.tables.as_ref();
                exchange.picked = tables.and_then(|tables| Picked::new(tables, pick));
            }
            if exchange.picked.is_none() {
                // Boxed, because it is rare: another worker was quicker.
                let root = exchange.service.unwrap_or(pick.service);
                if let Err(error) = Box::pin(self.await_room(exchange, root)).await {
                    return self.answer_failed(exchange, error).await;
                }
            }
            exchange.response.awaited =
                exchange.picked.as_ref().and_then(|picked| picked.server.await_answer());
            let attempt = match self.lease(exchange, must_connect).await {
                Ok(()) => self.attempt(exchange).await,
                Err(refused) => Attempt::Refused(refused),
            };
            self.note_outcome(exchange, &attempt);
            let refused = match attempt {
                Attempt::Done(next) => {
                    if exchange.is_complete && !exchange.asked.trail.copies().is_empty() {
                        self.send_copies(exchange);
                    }
                    return next;
                }
                Attempt::FailedOver(_) | Attempt::Failed(_) => {
                    match self.fall_back(exchange, &attempt) {
                        Ok(other) => pick = other,
                        Err(error) => return self.answer_failed(exchange, error).await,
                    }
                    exchange.picked = None;
                    must_connect = false;
                    continue;
                }
                Attempt::Again => {
                    exchange.retries += 1;
                    must_connect = true;
                    continue;
                }
                Attempt::Elsewhere => ConnectError::Refused,
                Attempt::Refused(refused) => refused,
            };
            match self.redispatch(exchange, refused) {
                Ok(other) => pick = other,
                Err(error) => return self.answer_failed(exchange, error).await,
            }
            exchange.picked = None;
            must_connect = false;
        }
    }

    /// Leaves a connection to the picked server in the exchange: a pooled one, or a new one.
    async fn lease(
        &mut self,
        exchange: &mut Exchange,
        must_connect: bool,
    ) -> Result<(), ConnectError> {
        let Shared { local, watch, .. } = &self.shared;
        let Exchange { asked, picked, lease, service, .. } = exchange;
        let Some(picked) = picked else { return Err(ConnectError::Refused) };
        watch.await_upstream(local.clock.now_ms(), NEVER);
        if !must_connect {
            *lease = upstream::take_idle(&picked.server);
            if lease.is_some() {
                return Ok(());
            }
        }
        let dial_timeout = picked.transport().and_then(|transport| transport.dial_timeout);
        let root = service.unwrap_or(picked.pick.service);
        let has_alternative = asked
            .tables
            .as_ref()
            .is_some_and(|tables| tables.has_alternative(root, picked.pick, &asked.trail));
        let limit = if has_alternative {
            Some(dial_timeout.map_or(DIAL_WITH_ALTERNATIVE, |it| it.min(DIAL_WITH_ALTERNATIVE)))
        } else {
            dial_timeout
        };
        // Boxed: a connect with its timer is large, and rare beside exchanges.
        let descriptors = &local.descriptors;
        let connected = upstream::connect(&picked.server, limit, descriptors.connect_end());
        *lease = match Box::pin(connected).await {
            Ok(connected) => Some(connected),
            Err(refused) => {
                if refused == ConnectError::Exhausted {
                    descriptors.note_refused();
                }
                return Err(refused);
            }
        };
        Ok(())
    }

    /// The picked server refused the connection: another takes the request, each at most once.
    fn redispatch(
        &self,
        exchange: &mut Exchange,
        refused: ConnectError,
    ) -> Result<Pick, ProxyError> {
        let Exchange { asked, picked: Some(picked), .. } = exchange else {
            return Err(refused.into());
        };
        let Asked { request, trail, tables: Some(tables), .. } = asked else {
            return Err(refused.into());
        };
        let Pick { service, server, .. } = picked.pick;
        if self.shared.watch.take_expiry() == Some(Expiry::ClientGone) {
            return Err(ProxyError::ClientGone);
        }
        if refused == ConnectError::Exhausted {
            // Another server would meet the same.
            return Err(refused.into());
        }
        (self.shared.local.on_connect_failed)(&tables.model, service, server);
        trail.note_tried(service, server);
        let root = exchange.service.unwrap_or(service);
        match tables.pick(root, request.pin_sources(self.shared.local.clock.wall_s()), trail) {
            Ok(other) => {
                exchange.retries += 1;
                Ok(other)
            }
            Err(error @ (PickError::Refused(_) | PickError::Full(_))) => Err(error.into()),
            Err(PickError::NoServer | PickError::Exhausted | PickError::FailoverDown) => {
                // Nobody is left: the client is told what the first pick meant it to be told.
                trail.restore_pins();
                Err(refused.into())
            }
        }
    }

    /// Tells what came of a request, where the server is judged by that (`passiveHealthCheck`).
    fn note_outcome(&self, exchange: &Exchange, attempt: &Attempt) {
        let (Some(picked), Some(tables)) = (&exchange.picked, &exchange.asked.tables) else {
            return;
        };
        if !picked.server.is_judged() {
            return;
        }
        let has_failed = match *attempt {
            Attempt::Done(_) => match exchange.response.origin_status {
                Some(status) => status >= 500,
                None => return,
            },
            Attempt::FailedOver(status) => status >= 500,
            Attempt::Refused(ConnectError::Exhausted) | Attempt::Again => return,
            Attempt::Refused(_) | Attempt::Elsewhere => true,
            Attempt::Failed(error) if error.is_of_server() => true,
            // The client's doing.
            Attempt::Failed(_) => return,
        };
        if picked.server.is_news(has_failed) {
            let Pick { service, server, .. } = picked.pick;
            (self.shared.local.on_outcome)(&tables.model, service, server, has_failed);
        }
    }

    /// An answer of the main service, or its silence, is one of the `errors` of a failover: its
    /// fallback takes the request, whatever the method; that is what the operator asked for.
    fn fall_back(&self, exchange: &mut Exchange, attempt: &Attempt) -> Result<Pick, ProxyError> {
        let (status, error) = match *attempt {
            Attempt::FailedOver(status) => (status, ProxyError::NoServer),
            Attempt::Failed(error) if error.is_of_server() => (error.response().status, error),
            Attempt::Failed(error) => return Err(error),
            _ => return Err(ProxyError::NoServer),
        };
        let Asked { request, trail, tables: Some(tables), gate, .. } = &mut exchange.asked else {
            return Err(error);
        };
        if request.is_streamed || !tables.fails_over(trail, status) {
            return Err(error);
        }
        *gate = Gate::default();
        if request.is_kept && request.control.expects_continue {
            gate.note_continue_given();
        }
        exchange.retries += 1;
        let picked = tables.pick_fallback(
            status,
            request.pin_sources(self.shared.local.clock.wall_s()),
            trail,
        );
        picked.map_err(ProxyError::from)
    }

    /// Tells the client; mirrors get their copies all the same.
    async fn answer_failed(&mut self, exchange: &mut Exchange, error: ProxyError) -> Next {
        let next = self.answer(exchange, error).await;
        let Asked { request, trail, .. } = &exchange.asked;
        if error.is_of_server() && !request.is_streamed && !trail.copies().is_empty() {
            self.send_copies(exchange);
        }
        next
    }

    async fn attempt(&mut self, exchange: &mut Exchange) -> Attempt {
        let Shared { watch, .. } = &self.shared;
        if let Some(lease) = &exchange.lease {
            watch.set_upstream(lease.stream.fd());
        }
        let attempt = if watch.take_expiry() == Some(Expiry::ClientGone) {
            Attempt::Failed(ProxyError::ClientGone)
        } else {
            match self.compose(exchange) {
                Err(error) => Attempt::Failed(error),
                Ok(Composed::Whole) => self.exchange_whole(exchange).await,
                Ok(Composed::Part(body_bytes)) => {
                    // Boxed: uploads are few, and would make every connection's future large.
                    Box::pin(self.exchange_streaming(exchange, body_bytes)).await
                }
            }
        };
        self.shared.watch.clear_upstream();
        self.end_lease(exchange);
        attempt
    }

    /// Pools the server's connection when it may carry another exchange, and closes it otherwise.
    fn end_lease(&self, exchange: &mut Exchange) {
        let (Some(lease), Some(picked)) = (exchange.lease.take(), &exchange.picked) else { return };
        if exchange.response.is_server_reusable {
            let idle_max = picked.transport().map_or(0, |it| it.idle_per_server_max);
            let now_ms = self.shared.local.clock.now_ms();
            upstream::put_back(&picked.server, lease, now_ms, idle_max);
        }
    }

    /// The whole request is in the composed buffer: one send, then the response.
    async fn exchange_whole(&mut self, exchange: &mut Exchange) -> Attempt {
        let is_untouched = match self.send_composed(exchange).await {
            Ok(()) => false,
            Err(error) => error.is_untouched,
        };
        let is_reused = exchange.lease.as_ref().is_some_and(|lease| lease.is_reused);
        // A server may answer and close before it has read a request; so look for an answer
        // unless the connection was dead all along.
        if is_untouched && is_reused {
            return Attempt::Again;
        }
        match self.deliver(exchange).await {
            Delivered::FailedOver { status } => Attempt::FailedOver(status),
            Delivered::Complete { is_reusable, keep_alive } => {
                exchange.is_complete = true;
                exchange.response.is_server_reusable = is_reusable;
                let request = &exchange.asked.request;
                let has_more = request.buffer.len() > request.whole_bytes;
                Attempt::Done(match (keep_alive, has_more) {
                    (true, _) => Next::KeepAlive,
                    // What is sent behind the last request must not turn the close into a reset.
                    (false, true) => Next::Linger,
                    (false, false) => Next::Close,
                })
            }
            Delivered::Failed {
                error: ProxyError::ServerClosed | ProxyError::ServerReset,
                has_bytes: false,
            } if is_reused && self.may_send_again(&exchange.asked.request) => {
                exchange.asked.gate = Gate::default();
                Attempt::Again
            }
            // A connection that a dying server's kernel still took. Once: a request that kills
            // its server must not be passed around.
            Delivered::Failed {
                error: ProxyError::ServerClosed | ProxyError::ServerReset,
                has_bytes: false,
            } if !exchange.is_moved && self.may_send_again(&exchange.asked.request) => {
                exchange.is_moved = true;
                exchange.asked.gate = Gate::default();
                Attempt::Elsewhere
            }
            other => self.end_badly(exchange, other).await,
        }
    }

    /// Whether a request that had gone out on a stale connection goes out once more.
    fn may_send_again(&self, request: &Request) -> bool {
        let Shared { local, .. } = &self.shared;
        request.is_idempotent() && local.retry_budget.take(local.clock.now_ms())
    }

    /// Delivers the response to a request that has gone out whole.
    async fn deliver(&mut self, exchange: &mut Exchange) -> Delivered {
        let Exchange { asked, response, picked: Some(picked), lease: Some(lease), .. } = exchange
        else {
            return Delivered::Failed { error: ProxyError::NoServer, has_bytes: false };
        };
        let now_ms = self.shared.local.clock.now_ms();
        let deadline_ms = now_ms.saturating_add(response_timeout_ms(picked));
        self.shared.watch.await_upstream(now_ms, deadline_ms);
        asked.gate.note_upload_done();
        let mut delivery = Delivery {
            shared: &self.shared,
            asked,
            response,
            client: &mut self.stream.write,
            server: &mut lease.stream.read,
        };
        delivery.run().await
    }

    /// Sends what was composed.
    async fn send_composed(&mut self, exchange: &mut Exchange) -> Result<(), SendError> {
        let Exchange { response, lease: Some(lease), .. } = &mut *exchange else {
            return Err(SendError { is_untouched: true });
        };
        let count = response.buffer.len();
        let sent = lease.stream.write.send(&mut response.buffer, count, &self.shared.watch).await;
        Shared::note_sent(exchange);
        if sent.is_err() {
            exchange.asked.gate.note_send_failed();
        }
        sent
    }

    /// The body is not whole yet: both directions at once.
    async fn exchange_streaming(&mut self, exchange: &mut Exchange, body_bytes: usize) -> Attempt {
        self.begin_tee(&exchange.asked, body_bytes);
        self.begin_streaming(&mut exchange.asked.request, body_bytes);
        if self.send_composed(exchange).await.is_err()
            && exchange.lease.as_ref().is_some_and(|lease| lease.is_reused)
        {
            // Part of the body has been taken out of the buffer, so it cannot be sent again.
            return Attempt::Failed(ProxyError::ServerClosed);
        }
        let received = Cell::new(0);
        let DuplexEnd { upload, delivered } =
            self.run_duplex(exchange, body_bytes, &received).await;
        exchange.asked.request.body_bytes += received.get();
        let is_uploaded = matches!(upload, Some((UploadEnd::Complete, _)));
        match (upload, delivered) {
            (Some((UploadEnd::Failed(error), _)), None) => Attempt::Failed(error),
            (_, None) => Attempt::Failed(ProxyError::ClientGone),
            (upload, Some(Delivered::Complete { is_reusable, keep_alive })) => {
                exchange.is_complete = is_uploaded;
                exchange.response.is_server_reusable = is_reusable && is_uploaded;
                if let Some((UploadEnd::Complete, input)) = upload {
                    self.input = input;
                }
                Attempt::Done(match keep_alive && is_uploaded {
                    true => Next::KeepAlive,
                    false => Next::Linger,
                })
            }
            (_, Some(other)) => self.end_badly(exchange, other).await,
        }
    }

    async fn run_duplex(
        &mut self,
        exchange: &mut Exchange,
        body_bytes: usize,
        received: &Cell<u64>,
    ) -> DuplexEnd {
        let Exchange { asked, response, picked: Some(picked), lease: Some(lease), .. } =
            &mut *exchange
        else {
            return DuplexEnd { upload: None, delivered: None };
        };
        let Shared { local, watch, entry, .. } = &self.shared;
        let asked = &*asked;
        let control = &asked.request.control;
        let upload = Upload {
            local,
            entry,
            watch,
            gate: &asked.gate,
            client_fd: self.stream.fd(),
            client: &mut self.stream.read,
            server: &mut lease.stream.write,
            input: std::mem::take(&mut self.input),
            framing: match control.framing {
                Framing::Length(length) => Framing::Length(length - body_bytes as u64),
                other => other,
            },
            expects_continue: control.expects_continue,
            deadline_ms: local.clock.now_ms().saturating_add(entry.read_timeout_ms),
            response_timeout_ms: response_timeout_ms(picked),
            body_bytes: received,
            tee: &asked.tee,
        };
        let mut delivery = Delivery {
            shared: &self.shared,
            asked,
            response,
            client: &mut self.stream.write,
            server: &mut lease.stream.read,
        };
        duplex::run(upload.run(), delivery.run(), &asked.gate).await
    }

    /// Keeps the head apart, so that the body can stream through the input.
    fn begin_streaming(&mut self, request: &mut Request, body_bytes: usize) {
        let mut rest = self.shared.local.buffers.take_large();
        let from = request.head.bytes + body_bytes;
        rest.extend(request.bytes().get(from..).unwrap_or(&[]));
        self.input = rest;
        request.is_streamed = true;
    }

    /// A response that is not what was hoped for.
    async fn end_badly(&mut self, exchange: &mut Exchange, delivered: Delivered) -> Attempt {
        match delivered {
            Delivered::Failed { error, .. } => Attempt::Failed(error),
            Delivered::Upgraded => {
                // Boxed: tunnels are few, and would make every connection's future large.
                Box::pin(self.run_tunnel(exchange)).await;
                Attempt::Done(Next::Close)
            }
            Delivered::Broken { needs_reset } => {
                if needs_reset {
                    sys::reset_on_close(self.stream.fd());
                }
                Attempt::Done(Next::Close)
            }
            Delivered::Complete { .. } | Delivered::FailedOver { .. } => Attempt::Done(Next::Close),
        }
    }

    async fn run_tunnel(&mut self, exchange: &mut Exchange) {
        let Exchange { asked, response, lease: Some(lease), .. } = &mut *exchange else { return };
        let Shared { local, watch, entry, .. } = &self.shared;
        response.is_tunnel = true;
        watch.set_cap(NEVER);
        // What the log needs of the request stays; what came behind it belongs to the tunnel.
        let mut early = local.buffers.take_large();
        let request = &mut asked.request;
        early.extend(request.bytes().get(request.whole_bytes..).unwrap_or(&[]));
        request.buffer.truncate(request.whole_bytes);
        local.buffers.give_back(std::mem::take(&mut response.buffer));
        let idle_ms = entry.tunnel_idle_ms;
        tunnel::run(local, watch, &mut self.stream, &mut lease.stream, early, idle_ms).await;
    }
}

fn response_timeout_ms(picked: &Picked) -> u64 {
    limit_ms(picked.transport().and_then(|transport| transport.response_header_timeout))
}
