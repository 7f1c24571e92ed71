//! The state of one request and its response; boxed and recycled, so that connections stay small
//! and a warm exchange allocates nothing.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use sundew_config::model::ServiceIndex;

use crate::cluster::{Pick, Tables, Trail};
use crate::http1::chunked::ChunkDecoder;
use crate::http1::fields::FieldName;
use crate::http1::framing::{Framing, RequestControl};
use crate::http1::head::{RequestHead, ResponseHead, Span};
use crate::http1::target::{Target, TargetForm};
use crate::io::Buf;

/// One request and its response.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The client's part.
    pub request: Request,
    /// The server's part.
    pub response: Response,
    /// Pins to set, servers that refused.
    pub trail: Trail,
    /// The tables that it began with.
    pub tables: Option<Rc<Tables>>,
    /// Position of the router in the model; `None` for none and for the built-in one.
    pub router: Option<u32>,
    /// The service that the router names.
    pub service: Option<ServiceIndex>,
    /// The server that took it last.
    pub pick: Option<Pick>,
    /// Where that server was reached.
    pub server_address: Option<SocketAddr>,
    /// Times that it was sent again.
    pub retries: u32,
    /// Only with an access log.
    pub times: Option<Times>,
    /// Answered by sundew for itself (`/ping`).
    pub is_internal: bool,
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
#[derive(Debug)]
pub struct Request {
    /// Parsed head.
    pub head: RequestHead,
    /// The head's bytes once the body streams through the connection's input; until then they are
    /// the first bytes of that input.
    pub held: Option<Buf>,
    /// Framing and connection.
    pub control: RequestControl,
    /// Normalised target.
    pub target: StoredTarget,
    /// Whole target, when it was rewritten.
    pub target_text: Vec<u8>,
    /// Room for the routing path, and for a target behind a server's own path.
    pub scratch: Vec<u8>,
    /// Bytes of the connection's input that are this request, when it is whole in there.
    pub input_bytes: usize,
    /// Body bytes received.
    pub body_bytes: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            head: RequestHead::default(),
            held: None,
            control: RequestControl {
                framing: Framing::Empty,
                keep_alive: false,
                expects_continue: false,
                wants_upgrade: false,
                names_fields: false,
                takes_trailers: false,
            },
            target: StoredTarget::default(),
            target_text: Vec::new(),
            scratch: Vec::new(),
            input_bytes: 0,
            body_bytes: 0,
        }
    }
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
    /// The head's bytes; `input` is the connection's.
    #[must_use]
    pub fn bytes<'a>(&'a self, input: &'a Buf) -> &'a [u8] {
        self.held.as_ref().unwrap_or(input).filled()
    }

    /// Path and query as they are forwarded and logged.
    #[must_use]
    pub fn path_and_query<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        if self.target.is_rewritten {
            &self.target_text
        } else {
            self.target.path_and_query.of(bytes)
        }
    }

    /// The authority that the client asked for: of the target, else of the Host field.
    #[must_use]
    pub fn host<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match self.target.authority {
            Some(authority) => authority.of(bytes),
            None => self.head.fields.first(bytes, FieldName::Host).unwrap_or(&[]),
        }
    }

    /// The request may be sent twice (RFC 9110 §9.2.2), by its method or because the client says
    /// so with an idempotency key, which Go's client honours too.
    #[must_use]
    pub fn is_idempotent(&self, bytes: &[u8]) -> bool {
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

    /// A HEAD request gets heads only.
    #[must_use]
    pub fn is_head(&self, bytes: &[u8]) -> bool {
        self.head.method.of(bytes) == b"HEAD"
    }

    /// `Upgrade: websocket` among what is asked for.
    #[must_use]
    pub fn is_websocket(&self, bytes: &[u8]) -> bool {
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
    /// The head's bytes, only with an access log that keeps its fields.
    pub head_copy: Vec<u8>,
    /// First what goes to the server, then what comes from it.
    pub buffer: Buf,
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
    /// Forgets everything but its memory; the large buffer is returned for the pool.
    #[must_use]
    pub fn clear(&mut self) -> Buf {
        self.trail.clear();
        self.tables = None;
        self.router = None;
        self.service = None;
        self.pick = None;
        self.server_address = None;
        self.retries = 0;
        self.times = None;
        self.is_internal = false;
        let request = &mut self.request;
        request.held = None;
        request.head.bytes = 0;
        request.input_bytes = 0;
        request.body_bytes = 0;
        request.target = StoredTarget::default();
        let response = &mut self.response;
        response.head_copy.clear();
        response.decoder.reset();
        response.status = 0;
        response.body_bytes = 0;
        response.origin_status = None;
        response.is_server_reusable = false;
        response.is_tunnel = false;
        std::mem::take(&mut response.buffer)
    }
}
