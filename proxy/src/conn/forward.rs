//! A request and a server: lease, send, deliver, and what to do when the server does not play
//! along (redispatch, retry, or an honest error).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::delivery::{Delivered, Delivery};
use super::duplex::{self, DuplexEnd};
use super::error::ProxyError;
use super::exchange::Exchange;
use super::gate::Gate;
use super::local::limit_ms;
use super::upload::{Upload, UploadEnd, encode_chunked_body};
use super::{Connection, Next, tunnel};
use crate::cluster::{Pick, Server, Tables};
use crate::http1::forwarded::Identity;
use crate::http1::framing::Framing;
use crate::http1::rewrite::{RequestRewrite, write_request};
use crate::io::buffer::LARGE_BUFFER_BYTES;
use crate::io::watch::NEVER;
use crate::io::{Buf, Expiry};
use crate::sys;
use crate::upstream::{self, ConnectError, Lease};
use sundew_config::model::{LoadBalancer, Transport};

/// Longest connection attempt while another server could take the request (http1 G8).
const DIAL_WITH_ALTERNATIVE: Duration = Duration::from_secs(5);

/// What one attempt with one connection came to.
enum Attempt {
    /// The exchange is over.
    Done(Next),
    /// A pooled connection was stale: the same server again, on a new one.
    Again,
    /// The client is told.
    Failed(ProxyError),
}

/// How much of a request a composed buffer holds.
enum Composed {
    /// All of it.
    Whole,
    /// The head, and so many bytes of the body that follow it in the input.
    Part(usize),
}

/// The server of one pick with what its configuration says.
struct Target {
    tables: Rc<Tables>,
    server: Rc<Server>,
    pick: Pick,
}

impl Target {
    fn new(tables: &Rc<Tables>, pick: Pick) -> Option<Self> {
        let server = Rc::clone(tables.server(pick.service, pick.server)?);
        Some(Self { tables: Rc::clone(tables), server, pick })
    }

    fn balancer(&self) -> Option<&LoadBalancer> {
        self.tables.balancer(self.pick.service)
    }

    fn model_server(&self) -> Option<&sundew_config::model::Server> {
        self.balancer()?.servers.get(self.pick.server.as_usize())
    }

    fn transport(&self) -> Option<&Transport> {
        self.tables.model.transports.get(usize::from(self.balancer()?.transport.0))
    }

    fn response_timeout_ms(&self) -> u64 {
        limit_ms(self.transport().and_then(|transport| transport.response_header_timeout))
    }
}

impl Connection {
    pub(super) async fn forward(&mut self, exchange: &mut Exchange, first: Pick) -> Next {
        let mut pick = first;
        let mut must_connect = false;
        loop {
            exchange.pick = Some(pick);
            let target = exchange.tables.as_ref().and_then(|tables| Target::new(tables, pick));
            let Some(target) = target else {
                return self.answer(exchange, ProxyError::NoServer).await;
            };
            let failure = match self.lease(exchange, &target, must_connect).await {
                Ok(lease) => match self.attempt(exchange, &target, lease).await {
                    Attempt::Done(next) => return next,
                    Attempt::Failed(error) => error,
                    Attempt::Again => {
                        exchange.retries += 1;
                        must_connect = true;
                        continue;
                    }
                },
                Err(refused) => match self.redispatch(exchange, &target, refused) {
                    Ok(other) => {
                        pick = other;
                        must_connect = false;
                        continue;
                    }
                    Err(error) => error,
                },
            };
            return self.answer(exchange, failure).await;
        }
    }

    /// A connection to the picked server: a pooled one, or a new one.
    async fn lease(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        must_connect: bool,
    ) -> Result<Lease, ConnectError> {
        let now_ms = self.local.clock.now_ms();
        self.watch.await_upstream(now_ms, NEVER);
        if !must_connect {
            let request = &exchange.request;
            let is_once = request.control.framing != Framing::Empty
                || !request.is_idempotent(request.bytes(&self.input));
            if let Some(lease) = upstream::take_idle(&target.server, now_ms, is_once) {
                exchange.server_address = Some(lease.address);
                return Ok(lease);
            }
        }
        let dial_timeout = target.transport().and_then(|transport| transport.dial_timeout);
        let limit = if target.tables.has_alternative(target.pick, &exchange.trail) {
            Some(dial_timeout.map_or(DIAL_WITH_ALTERNATIVE, |it| it.min(DIAL_WITH_ALTERNATIVE)))
        } else {
            dial_timeout
        };
        // Boxed: a connect with its timer is large, and rare beside exchanges.
        let lease = Box::pin(upstream::connect(&target.server, limit)).await?;
        exchange.server_address = Some(lease.address);
        Ok(lease)
    }

    /// The picked server refused the connection: another takes the request, each at most once.
    fn redispatch(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        refused: ConnectError,
    ) -> Result<Pick, ProxyError> {
        let Pick { service, server, .. } = target.pick;
        if self.watch.take_expiry() == Some(Expiry::ClientGone) {
            return Err(ProxyError::ClientGone);
        }
        if refused == ConnectError::Exhausted {
            // Another server would meet the same.
            return Err(refused.into());
        }
        (self.local.on_connect_failed)(&target.tables.model, service, server);
        exchange.trail.note_tried(service, server);
        let root = exchange.service.unwrap_or(service);
        let bytes = exchange.request.bytes(&self.input);
        let fields = &exchange.request.head.fields;
        let other = target.tables.pick(root, bytes, fields, &mut exchange.trail);
        let Ok(other) = other else {
            // Nobody is left: the client is told what the first pick meant it to be told.
            exchange.trail.restore_pins();
            return Err(refused.into());
        };
        exchange.retries += 1;
        Ok(other)
    }

    async fn attempt(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        mut lease: Lease,
    ) -> Attempt {
        self.watch.set_upstream(lease.stream.fd());
        if self.watch.take_expiry() == Some(Expiry::ClientGone) {
            self.watch.clear_upstream();
            return Attempt::Failed(ProxyError::ClientGone);
        }
        let attempt = match self.compose(exchange, target) {
            Err(error) => Attempt::Failed(error),
            Ok(Composed::Whole) => self.exchange_whole(exchange, target, &mut lease).await,
            Ok(Composed::Part(body_bytes)) => {
                // Boxed: uploads are few, and would make every connection's future large.
                Box::pin(self.exchange_streaming(exchange, target, &mut lease, body_bytes)).await
            }
        };
        self.watch.clear_upstream();
        if let Attempt::Done(Next::KeepAlive | Next::Close) = attempt
            && exchange.response.is_server_reusable
        {
            let idle_max = target.transport().map_or(0, |it| it.idle_per_server_max);
            upstream::put_back(&target.server, lease, self.local.clock.now_ms(), idle_max);
        }
        attempt
    }

    /// Writes the request into the exchange's large buffer: head, and the body as far as it is in
    /// the input.
    fn compose(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
    ) -> Result<Composed, ProxyError> {
        self.receive_rest_at_hand(exchange);
        let Exchange { request, response, .. } = exchange;
        if response.buffer.capacity() == 0 {
            response.buffer = self.local.buffers.take_large();
        }
        let (mut out, _) = std::mem::take(&mut response.buffer).into_parts();
        out.clear();
        let input = self.input.filled();
        let mut path = std::mem::take(&mut request.scratch);
        self.write_request_head(request, target, &mut path, &mut out);
        request.scratch = path;
        let head_bytes = request.head.bytes;
        let body = input.get(head_bytes..).unwrap_or(&[]);
        let composed = match request.control.framing {
            Framing::Empty => {
                request.input_bytes = head_bytes;
                Composed::Whole
            }
            Framing::Length(length) => {
                let room = LARGE_BUFFER_BYTES.saturating_sub(out.len());
                let available = usize::try_from(length).map_or(body.len(), |it| it.min(body.len()));
                let take = available.min(room);
                out.extend_from_slice(body.get(..take).unwrap_or(&[]));
                request.body_bytes = take as u64;
                if take as u64 == length {
                    request.input_bytes = head_bytes + take;
                    Composed::Whole
                } else {
                    Composed::Part(take)
                }
            }
            Framing::Chunked | Framing::UntilClose => {
                let begin = out.len();
                let decoder = &mut response.decoder;
                decoder.reset();
                let encoded = encode_chunked_body(body, decoder, &mut out)
                    .map_err(|_malformed| ProxyError::RequestMalformed)?;
                let is_whole = decoder.is_done();
                decoder.reset();
                if is_whole {
                    request.body_bytes = encoded.data_bytes as u64;
                    request.input_bytes = head_bytes + encoded.input_bytes;
                    Composed::Whole
                } else {
                    out.truncate(begin);
                    Composed::Part(0)
                }
            }
        };
        response.buffer = Buf::from_parts(out, 0);
        Ok(composed)
    }

    /// A first read that filled its buffer has left the rest of a small body in the socket: taking
    /// it now saves a second send to the server.
    fn receive_rest_at_hand(&mut self, exchange: &Exchange) {
        let request = &exchange.request;
        let Framing::Length(length) = request.control.framing else { return };
        let whole = (request.head.bytes as u64).saturating_add(length);
        if self.input.spare() > 0
            || request.held.is_some()
            || whole <= self.input.len() as u64
            || whole > LARGE_BUFFER_BYTES as u64
            || request.control.expects_continue
        {
            return;
        }
        if self.input.capacity() < LARGE_BUFFER_BYTES {
            self.grow_input();
        }
        let (mut bytes, start) = std::mem::take(&mut self.input).into_parts();
        sys::try_recv(self.stream.fd(), &mut bytes);
        self.input = Buf::from_parts(bytes, start);
    }

    fn write_request_head(
        &self,
        request: &super::exchange::Request,
        target: &Target,
        path: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let bytes = request.bytes(&self.input);
        let host = request.host(bytes);
        let server = target.model_server();
        let authority = server.map_or(&[][..], |server| server.authority.as_bytes());
        let passes_host = target.balancer().is_none_or(|balancer| balancer.pass_host_header);
        let host_to_send = if !passes_host || host.is_empty() {
            Some(authority)
        } else {
            request.target.authority.map(|authority| authority.of(bytes))
        };
        let text = request.path_and_query(bytes);
        let own_path = server.filter(|it| it.preserve_path && !matches!(&*it.path, "" | "/"));
        let target_to_send = match own_path {
            Some(server) => {
                join_paths(server.path.as_bytes(), text, path);
                Some(path.as_slice())
            }
            None if request.target.is_rewritten || request.target.is_absolute => Some(text),
            None => None,
        };
        let identity = Identity {
            peer: self.peer_text.as_bytes(),
            is_trusted: self.is_trusted,
            not_append: self.entry.forwarded.not_append_forwarded_for,
            hostname: &self.local.hostname,
            host,
            is_tls: false,
            is_websocket: request.is_websocket(bytes),
        };
        let rewrite = RequestRewrite {
            bytes,
            head: &request.head,
            control: &request.control,
            target: target_to_send,
            host: host_to_send,
            identity: &identity,
        };
        write_request(out, &rewrite);
    }

    /// The whole request is in the composed buffer: one send, then the response.
    async fn exchange_whole(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        lease: &mut Lease,
    ) -> Attempt {
        let (out, start) = std::mem::take(&mut exchange.response.buffer).into_parts();
        let length = out.len();
        let (sent, out) = lease.stream.write.send(out, start, length, &self.watch).await;
        exchange.response.buffer = Buf::from_parts(out, start);
        if let Err(error) = sent {
            // A server may refuse a request by answering and closing before it has read it; so
            // look for an answer unless the connection was dead all along.
            if lease.is_reused && error.is_untouched {
                return Attempt::Again;
            }
        }
        self.note_sent(exchange);
        let now_ms = self.local.clock.now_ms();
        let deadline_ms = now_ms.saturating_add(target.response_timeout_ms());
        self.watch.await_upstream(now_ms, deadline_ms);
        let gate = Gate::upload_is_over();
        let keep_alive = self.wants_keep_alive(exchange);
        let Exchange { request, response, trail, .. } = &mut *exchange;
        let mut delivery = Delivery {
            local: &self.local,
            entry: &self.entry,
            watch: &self.watch,
            gate: &gate,
            request,
            request_bytes: self.input.filled(),
            response,
            trail,
            tables: &target.tables,
            client: &mut self.stream.write,
            server: &mut lease.stream.read,
            keep_alive,
        };
        match delivery.run().await {
            Delivered::Complete { is_reusable, keep_alive } => {
                exchange.response.is_server_reusable = is_reusable;
                Attempt::Done(if keep_alive { Next::KeepAlive } else { Next::Close })
            }
            Delivered::Failed {
                error: ProxyError::ServerClosed | ProxyError::ServerReset,
                has_bytes: false,
            } if lease.is_reused && self.may_send_again(exchange) => Attempt::Again,
            other => self.end_badly(exchange, other, lease).await,
        }
    }

    fn may_send_again(&self, exchange: &Exchange) -> bool {
        exchange.request.is_idempotent(exchange.request.bytes(&self.input))
    }

    /// The body is not whole yet: both directions at once.
    async fn exchange_streaming(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        lease: &mut Lease,
        body_bytes: usize,
    ) -> Attempt {
        self.hold_head(exchange, body_bytes);
        let (out, start) = std::mem::take(&mut exchange.response.buffer).into_parts();
        let length = out.len();
        let (sent, out) = lease.stream.write.send(out, start, length, &self.watch).await;
        exchange.response.buffer = Buf::from_parts(out, start);
        if sent.is_err() && lease.is_reused {
            // Part of the body has been taken out of the input, so it cannot be sent again.
            return Attempt::Failed(ProxyError::ServerClosed);
        }
        self.note_sent(exchange);
        let gate = Gate::default();
        let received = Cell::new(0);
        let DuplexEnd { upload, delivered } =
            self.run_duplex(exchange, target, lease, body_bytes, &gate, &received).await;
        exchange.request.body_bytes += received.get();
        match (upload, delivered) {
            (Some((UploadEnd::Failed(error), _)), None) => Attempt::Failed(error),
            (
                Some((UploadEnd::Complete, input)),
                Some(Delivered::Complete { is_reusable, keep_alive }),
            ) => {
                exchange.response.is_server_reusable = is_reusable;
                self.input = input;
                Attempt::Done(if keep_alive { Next::KeepAlive } else { Next::Linger })
            }
            (_, Some(Delivered::Complete { .. })) => Attempt::Done(Next::Linger),
            (Some((UploadEnd::Complete, input)), Some(other)) => {
                self.input = input;
                self.end_badly(exchange, other, lease).await
            }
            (_, Some(other)) => self.end_badly(exchange, other, lease).await,
            (_, None) => Attempt::Failed(ProxyError::ClientGone),
        }
    }

    async fn run_duplex(
        &mut self,
        exchange: &mut Exchange,
        target: &Target,
        lease: &mut Lease,
        body_bytes: usize,
        gate: &Gate,
        received: &Cell<u64>,
    ) -> DuplexEnd {
        let keep_alive = self.wants_keep_alive(exchange);
        let client_fd = self.stream.fd();
        let now_ms = self.local.clock.now_ms();
        let Exchange { request, response, trail, .. } = &mut *exchange;
        let upload = Upload {
            local: &self.local,
            entry: &self.entry,
            watch: &self.watch,
            gate,
            client: &mut self.stream.read,
            client_fd,
            server: &mut lease.stream.write,
            input: std::mem::take(&mut self.input),
            framing: match request.control.framing {
                Framing::Length(length) => Framing::Length(length - body_bytes as u64),
                other => other,
            },
            expects_continue: request.control.expects_continue,
            deadline_ms: now_ms.saturating_add(self.entry.read_timeout_ms),
            response_timeout_ms: target.response_timeout_ms(),
            body_bytes: received,
        };
        let request_bytes = request.held.as_ref().map_or(&[][..], Buf::filled);
        let mut delivery = Delivery {
            local: &self.local,
            entry: &self.entry,
            watch: &self.watch,
            gate,
            request,
            request_bytes,
            response,
            trail,
            tables: &target.tables,
            client: &mut self.stream.write,
            server: &mut lease.stream.read,
            keep_alive,
        };
        duplex::run(upload.run(), delivery.run(), gate).await
    }

    /// Keeps the head's bytes apart, so that the body can stream through the input.
    fn hold_head(&mut self, exchange: &mut Exchange, body_bytes: usize) {
        let request = &mut exchange.request;
        let mut rest = self.local.buffers.take_large();
        let from = request.head.bytes + body_bytes;
        rest.extend(self.input.filled().get(from..).unwrap_or(&[]));
        request.held = Some(std::mem::replace(&mut self.input, rest));
    }

    /// A response that is not what was hoped for.
    async fn end_badly(
        &mut self,
        exchange: &mut Exchange,
        delivered: Delivered,
        lease: &mut Lease,
    ) -> Attempt {
        match delivered {
            Delivered::Failed { error, .. } => Attempt::Failed(error),
            Delivered::Upgraded => {
                self.run_tunnel(exchange, lease).await;
                Attempt::Done(Next::Close)
            }
            Delivered::Broken { needs_reset } => {
                if needs_reset {
                    sys::reset_on_close(self.stream.fd());
                }
                Attempt::Done(Next::Close)
            }
            Delivered::Complete { .. } => Attempt::Done(Next::Close),
        }
    }

    async fn run_tunnel(&mut self, exchange: &mut Exchange, lease: &mut Lease) {
        exchange.response.is_tunnel = true;
        let used = exchange.request.input_bytes;
        // What the log needs of the request stays; what came behind it belongs to the tunnel.
        let mut early = self.local.buffers.take_large();
        early.extend(self.input.filled().get(used..).unwrap_or(&[]));
        self.input.truncate(used);
        self.local.buffers.give_back(std::mem::take(&mut exchange.response.buffer));
        let idle_ms = self.entry.tunnel_idle_ms;
        let (local, watch) = (&self.local, &self.watch);
        // Boxed: tunnels are few, and would make every connection's future large.
        Box::pin(tunnel::run(local, watch, &mut self.stream, &mut lease.stream, early, idle_ms))
            .await;
    }
}

/// A server's own path and the request's, with exactly one slash between (`preservePath`).
fn join_paths(base: &[u8], path_and_query: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(base.strip_suffix(b"/").unwrap_or(base));
    out.extend_from_slice(path_and_query);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_own_path_is_joined_with_one_slash() {
        for (base, path, want) in [
            ("/base", "/", "/base/"),
            ("/b/", "/", "/b/"),
            ("/base%2Fx/", "/q%2Fr/", "/base%2Fx/q%2Fr/"),
            ("/b", "/x?y=/z", "/b/x?y=/z"),
        ] {
            let mut out = Vec::new();
            join_paths(base.as_bytes(), path.as_bytes(), &mut out);
            assert_eq!(out, want.as_bytes());
        }
    }
}
