//! The state of one request and its response; boxed and recycled, so that connections stay small
//! and a warm exchange allocates nothing.

use std::rc::Rc;
use std::time::{Instant, SystemTime};

use sundew_config::model::{LoadBalancer, Server as ConfiguredServer, ServiceIndex, Transport};

use super::gate::Gate;
use super::held::Held;
use super::mirror::Tee;
use super::relay::Relay;
use crate::cluster::{AwaitedAnswer, InFlight, Pick, PinSources, Server, Tables, Trail};
use crate::http1::chunked::ChunkDecoder;
use crate::http1::fields::FieldName;
use crate::http1::framing::{RequestControl, ResponseControl};
use crate::http1::head::{RequestHead, ResponseHead, Span};
use crate::http1::target::{Target, TargetForm};
use crate::io::{Buf, BufferPool};
use crate::upstream::Lease;

/// One request and its response.
#[derive(Debug, Default)]
pub struct Exchange {
    /// What was asked.
    pub asked: Asked,
    /// The server's part.
    pub response: Response,
    /// The server that took it last.
    pub picked: Option<Picked>,
    /// The connection to that server.
    pub lease: Option<Lease>,
    /// Position of the router in the model; `None` for none and for the built-in one.
    pub router: Option<u32>,
    /// The service that the router names.
    pub service: Option<ServiceIndex>,
    /// Times that it was sent again.
    pub retries: u32,
    /// A server went away with it, and it was given to another.
    pub is_moved: bool,
    /// Only with an access log or metrics.
    pub times: Option<Times>,
    /// Answered by sundew for itself (`/ping`).
    pub is_internal: bool,
    /// The client has the whole answer to a whole request.
    pub is_complete: bool,
}

/// The client's part, and what was decided about it; does not change while the response comes.
#[derive(Debug, Default)]
pub struct Asked {
    /// The request itself.
    pub request: Request,
    /// Pins to set, servers that refused.
    pub trail: Trail,
    /// The tables that it began with.
    pub tables: Option<Rc<Tables>>,
    /// What upload and delivery tell each other.
    pub gate: Gate,
    /// The client wants its connection kept, and we do too.
    pub keep_alive: bool,
    /// What streams to the server, for copies.
    pub(super) tee: Tee,
    /// What is counted of a body that is kept for a fallback.
    pub(super) held: Option<Held>,
}

/// The server of one pick, with what its configuration says.
#[derive(Debug)]
pub struct Picked {
    tables: Rc<Tables>,
    /// Its state.
    pub server: Rc<Server>,
    /// How it was picked.
    pub pick: Pick,
    _in_flight: InFlight,
}

impl Picked {
    /// `None` when the server has as many requests as it may, and for a pick of other tables.
    #[must_use]
    pub fn new(tables: &Rc<Tables>, pick: Pick) -> Option<Self> {
        let server = Rc::clone(tables.server(pick.service, pick.server)?);
        let in_flight = server.begin()?;
        Some(Self { tables: Rc::clone(tables), server, pick, _in_flight: in_flight })
    }

    /// Its load balancer, as configured.
    #[must_use]
    pub fn balancer(&self) -> Option<&LoadBalancer> {
        self.tables.balancer(self.pick.service)
    }

    /// Cookies that it does not see when `root` is asked.
    #[must_use]
    pub fn hidden_cookies(&self, root: Option<ServiceIndex>) -> &[Box<[u8]>] {
        self.tables.hidden_cookies(root.unwrap_or(self.pick.service))
    }

    /// The server, as configured.
    #[must_use]
    pub fn configured(&self) -> Option<&ConfiguredServer> {
        self.balancer()?.servers.get(self.pick.server.as_usize())
    }

    /// How it is connected to.
    #[must_use]
    pub fn transport(&self) -> Option<&Transport> {
        self.tables.model.transports.get(usize::from(self.balancer()?.transport.0))
    }
}

/// When things happened.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Wall clock at the start.
    pub started: SystemTime,
    /// The same moment.
    pub began: Instant,
    /// When the request had gone to the server.
    pub sent: Option<Instant>,
}

/// The client's part of an exchange.
#[derive(Debug, Default)]
pub struct Request {
    /// Parsed head.
    pub head: RequestHead,
    /// The head's bytes, with what was received behind them.
    pub buffer: Buf,
    /// Framing and connection.
    pub control: RequestControl,
    /// Normalised target.
    pub target: StoredTarget,
    /// Whole target, when it was rewritten.
    pub target_text: Vec<u8>,
    /// Room for the routing path, and for a target behind a server's own path.
    pub scratch: Vec<u8>,
    /// Bytes of the buffer that are this request, when it is whole in there; 0 otherwise.
    pub whole_bytes: usize,
    /// The body is passed on through the connection's input instead.
    pub is_streamed: bool,
    /// The body is whole in the buffer, whatever its size, for a fallback.
    pub is_kept: bool,
    /// Body bytes received.
    pub body_bytes: u64,
}

/// A [`Target`] that does not borrow.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoredTarget {
    /// The text to send is [`Request::target_text`], not the received one.
    pub is_rewritten: bool,
    /// Not in origin-form: the line must be written anew.
    pub is_absolute: bool,
    /// Path and query within the head, unless rewritten.
    pub path_and_query: Span,
    /// Host and port of an absolute-form target.
    pub authority: Option<Span>,
    /// Length of the path alone.
    pub path_bytes: usize,
}

impl StoredTarget {
    /// Keeps where `target`'s parts are in `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8], target: &Target<'_>) -> Self {
        Self {
            is_rewritten: target.is_rewritten,
            is_absolute: target.form == TargetForm::Absolute,
            path_and_query: if target.is_rewritten {
                Span::default()
            } else {
                Span::within(bytes, target.path_and_query)
            },
            authority: target.authority.map(|authority| Span::within(bytes, authority)),
            path_bytes: target.path().len(),
        }
    }
}

impl Request {
    /// The head's bytes, and what was received behind them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.filled()
    }

    /// Path and query as they are forwarded and logged.
    #[must_use]
    pub fn path_and_query(&self) -> &[u8] {
        if self.target.is_rewritten {
            &self.target_text
        } else {
            self.target.path_and_query.of(self.bytes())
        }
    }

    /// The authority that the client asked for: of the target, else of the Host field.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        let bytes = self.bytes();
        match self.target.authority {
            Some(authority) => authority.of(bytes),
            None => self.head.fields.first(bytes, FieldName::Host).unwrap_or(&[]),
        }
    }

    /// The request may be sent twice (RFC 9110 §9.2.2), by its method or because the client says
    /// so with an idempotency key, which Go's client honours too.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        let bytes = self.bytes();
        let by_method = matches!(
            self.head.method.of(bytes),
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE"
        );
        by_method
            || self.head.fields.spans().iter().any(|span| {
                let name = span.name(bytes);
                name.eq_ignore_ascii_case(b"idempotency-key")
                    || name.eq_ignore_ascii_case(b"x-idempotency-key")
            })
    }

    /// Where its pins may be; it came at `asked_s` by the wall clock.
    #[must_use]
    pub fn pin_sources(&self, asked_s: u64) -> PinSources<'_> {
        PinSources {
            bytes: self.bytes(),
            fields: &self.head.fields,
            path_and_query: self.path_and_query(),
            asked_s,
            method: self.head.method.of(self.bytes()),
        }
    }

    /// A HEAD request gets heads only.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.head.method.of(self.bytes()) == b"HEAD"
    }

    /// `Upgrade: websocket` among what is asked for.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        let bytes = self.bytes();
        self.control.wants_upgrade
            && self
                .head
                .fields
                .values(bytes, FieldName::Upgrade)
                .any(|value| value.eq_ignore_ascii_case(b"websocket"))
    }
}

/// The server's part of an exchange.
#[derive(Debug, Default)]
pub struct Response {
    /// Parsed head.
    pub head: ResponseHead,
    /// Its framing and connection.
    pub control: ResponseControl,
    /// Where the strategy wants to know when it begins.
    pub awaited: Option<AwaitedAnswer>,
    /// Its body, on the way.
    pub(super) relay: Relay,
    /// The head's bytes, only with an access log that keeps its fields.
    pub head_copy: Vec<u8>,
    /// First what goes to the server, then what comes from it.
    pub buffer: Buf,
    /// Bytes of the buffer that came with the last receive.
    pub fresh_bytes: usize,
    /// The head for the client while it is written.
    pub scratch: Vec<u8>,
    /// Of a chunked body.
    pub decoder: ChunkDecoder,
    /// Status that went to the client; 0 before.
    pub status: u16,
    /// Body bytes that went to the client.
    pub body_bytes: u64,
    /// Status that the server sent.
    pub origin_status: Option<u16>,
    /// The server's connection may carry another exchange.
    pub is_server_reusable: bool,
    /// The connection was upgraded.
    pub is_tunnel: bool,
}

impl Exchange {
    /// Forgets everything but its memory; what it borrowed of `pool` goes back.
    pub fn clear(&mut self, pool: &BufferPool) {
        let Self { asked, response, .. } = self;
        asked.trail.clear();
        asked.tables = None;
        asked.gate = Gate::default();
        asked.tee.clear();
        asked.held = None;
        let request = &mut asked.request;
        pool.give_back(std::mem::take(&mut request.buffer));
        request.whole_bytes = 0;
        request.is_streamed = false;
        request.is_kept = false;
        request.body_bytes = 0;
        request.target = StoredTarget::default();
        pool.give_back(std::mem::take(&mut response.buffer));
        response.awaited = None;
        response.head_copy.clear();
        response.decoder.reset();
        response.status = 0;
        response.body_bytes = 0;
        response.origin_status = None;
        response.is_server_reusable = false;
        response.is_tunnel = false;
        self.picked = None;
        self.lease = None;
        self.router = None;
        self.service = None;
        self.retries = 0;
        self.is_moved = false;
        self.times = None;
        self.is_internal = false;
        self.is_complete = false;
    }
}
