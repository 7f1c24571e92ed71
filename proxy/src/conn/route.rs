//! From a parsed head to a decision: judged, normalised, routed, picked. Nothing waits here.

use std::rc::Rc;

use super::Connection;
use super::error::ProxyError;
use super::exchange::{Asked, Exchange, Request, StoredTarget};
use super::pressure::Pressure;
use crate::cluster::{Pick, PickError};
use crate::http1::framing::{Framing, is_host, request_control};
use crate::http1::respond::{BodyKind, OwnResponse, reason};
use crate::http1::target::{self, TargetForm};
use crate::observe::access_log::FieldLines;
use crate::route::RequestView;
use sundew_config::model::{Overflow, RouterTarget, ServiceIndex};

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// A server takes it.
    Forward(Pick),
    /// Every server that would take it is full, so it waits.
    Wait(ServiceIndex),
    /// sundew answers it.
    Own(OwnResponse),
}

impl Connection {
    pub(super) fn route(&self, exchange: &mut Exchange) -> Result<Plan, ProxyError> {
        let request = &mut exchange.asked.request;
        let bytes = request.buffer.filled();
        request.control = request_control(bytes, &request.head)?;
        let method = request.head.method.of(bytes);
        if method == b"CONNECT" {
            return Err(ProxyError::ConnectMethod);
        }
        if let Framing::Length(length) = request.control.framing
            && length > self.shared.entry.body_bytes_max
        {
            return Err(ProxyError::RequestBodyTooLarge);
        }
        let raw = request.head.target.of(bytes);
        let target = target::parse(method, raw, self.shared.entry.target, &mut request.target_text)
            .map_err(|_malformed| ProxyError::RequestMalformed)?;
        if target.authority.is_some_and(|authority| !is_host(authority)) {
            return Err(ProxyError::RequestMalformed);
        }
        if target.form == TargetForm::Asterisk {
            // As Go's server, in front of every router.
            return Ok(Plan::Own(OwnResponse {
                status: 200,
                body: "",
                kind: BodyKind::Bare,
                retry_after_s: None,
            }));
        }
        request.target = StoredTarget::new(bytes, &target);
        self.find_service(exchange)
    }

    fn find_service(&self, exchange: &mut Exchange) -> Result<Plan, ProxyError> {
        let tables = Rc::clone(&self.shared.local.tables.borrow());
        let request = &mut exchange.asked.request;
        let mut scratch = std::mem::take(&mut request.scratch);
        let bytes = request.bytes();
        let path_and_query = request.path_and_query();
        let path_bytes = request.target.path_bytes;
        let path = path_and_query.get(..path_bytes).unwrap_or(&[]);
        let view = RequestView {
            method: request.head.method.of(bytes),
            host: request.host(),
            path: target::routing_path(path, &mut scratch),
            query: path_and_query.get(path_bytes + 1..).unwrap_or(&[]),
            fields: FieldLines { bytes, spans: request.head.fields.spans() },
            client: self.shared.peer.ip(),
            is_trusted: self.shared.is_trusted,
        };
        let routes = tables.routes(self.shared.entry.index);
        let found = routes.and_then(|routes| routes.find(&view));
        request.scratch = scratch;
        let Some(found) = found else { return Err(ProxyError::NoRouter) };
        exchange.router = found.router;
        let plan = match found.target {
            RouterTarget::Ping => {
                exchange.is_internal = true;
                Ok(Plan::Own(self.pong()))
            }
            RouterTarget::Noop => Ok(Plan::Own(OwnResponse {
                status: 418,
                body: "",
                kind: BodyKind::Bare,
                retry_after_s: None,
            })),
            RouterTarget::LeftOut => Err(ProxyError::NoRouter),
            RouterTarget::Service(service) if !self.has_memory_for(request) => {
                exchange.service = Some(service);
                Err(ProxyError::Overloaded)
            }
            RouterTarget::Service(service) => {
                exchange.service = Some(service);
                let Asked { request, trail, .. } = &mut exchange.asked;
                trail.set_client(self.shared.peer.ip());
                let sources = request.pin_sources(self.shared.local.clock.wall_s());
                match tables.pick(service, sources, trail) {
                    Ok(pick) => Ok(Plan::Forward(pick)),
                    Err(PickError::Full(Overflow::Wait)) => Ok(Plan::Wait(service)),
                    Err(error) => Err(error.into()),
                }
            }
        };
        exchange.asked.tables = Some(tables);
        plan
    }

    /// Whether the worker may take a request on (http1 G7).
    fn has_memory_for(&self, request: &Request) -> bool {
        match self.shared.local.pressure.get() {
            Pressure::None => true,
            Pressure::Tight => match request.control.framing {
                Framing::Empty => true,
                Framing::Length(length) => {
                    let whole = (request.head.bytes as u64).saturating_add(length);
                    whole <= request.buffer.len() as u64
                }
                Framing::Chunked | Framing::UntilClose => false,
            },
            Pressure::Full => false,
        }
    }

    fn pong(&self) -> OwnResponse {
        if self.shared.local.is_terminating.get() {
            let status = self.shared.local.ping_terminating_status;
            OwnResponse { status, body: reason(status), kind: BodyKind::Bare, retry_after_s: None }
        } else {
            OwnResponse { status: 200, body: "OK", kind: BodyKind::Bare, retry_after_s: None }
        }
    }
}
