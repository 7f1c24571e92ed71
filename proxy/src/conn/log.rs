//! The exchange's line in the access log; nothing at all without one.

use std::time::{Instant, SystemTime};

use super::Shared;
use super::count::Counted;
use super::exchange::{Exchange, Picked, Times};
use crate::http1::fields::FieldName;
use crate::observe::access_log::{AccessRecord, FieldLines};
use crate::observe::outcome::StickyOutcome;
use sundew_config::model::Endpoint;

impl Shared {
    pub(super) fn begin_log(&self, exchange: &mut Exchange) {
        let has_metrics = self.local.counted.as_ref().is_some_and(Counted::has_metrics);
        if has_metrics || self.local.access_log.borrow().is_some() {
            let (started, began) = (SystemTime::now(), Instant::now());
            exchange.times = Some(Times { started, began, sent: None });
        }
    }

    /// The request has gone to the server.
    pub(super) fn note_sent(exchange: &mut Exchange) {
        if let Some(times) = &mut exchange.times {
            times.sent = Some(Instant::now());
        }
    }

    pub(super) fn write_log(&self, exchange: &Exchange) {
        let Some(times) = exchange.times else { return };
        if exchange.is_internal && !self.local.logs_internals {
            return;
        }
        let mut log = self.local.access_log.borrow_mut();
        let Some(log) = log.as_mut() else { return };
        let request = &exchange.asked.request;
        let response = &exchange.response;
        let bytes = request.bytes();
        let model = exchange.asked.tables.as_ref().map(|tables| &tables.model);
        let router = if exchange.is_internal {
            Some("ping@internal")
        } else {
            let index = exchange.router.and_then(|it| usize::try_from(it).ok());
            index.and_then(|index| Some(model?.routers.get(index)?.name.as_str()))
        };
        let picked = exchange.picked.as_ref();
        let service = picked.map(|picked| picked.pick.service).or(exchange.service);
        let server = picked.and_then(Picked::configured);
        let address = server.map(|server| match &server.endpoint {
            Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
            Endpoint::Unix { path } => format!("unix:{path}"),
        });
        let is_tunnel = response.is_tunnel;
        let forwarded_for = request.head.fields.first(bytes, FieldName::XForwardedFor);
        log.record(&AccessRecord {
            started: times.started,
            duration: times.began.elapsed(),
            origin_duration: times.sent.map(|sent| sent.elapsed()),
            client: self.peer,
            client_host: forwarded_for.filter(|value| self.is_trusted && !value.is_empty()),
            entry_point: &self.entry.name,
            method: request.head.method.of(bytes),
            target: request.path_and_query(),
            protocol: if request.head.minor == 1 { "HTTP/1.1" } else { "HTTP/1.0" },
            host: request.host(),
            scheme: "http",
            request_bytes: request.body_bytes,
            status: if is_tunnel { 0 } else { response.status },
            response_bytes: if is_tunnel { 0 } else { response.body_bytes },
            origin_status: response.origin_status,
            origin_bytes: if response.origin_status.is_some() { response.body_bytes } else { 0 },
            router,
            service: service.and_then(|it| Some(model?.service(it)?.name.as_str())),
            server_url: server.map(|server| server.url.as_str()),
            server_address: address.as_deref(),
            request_count: self.local.counters.requests.get(),
            retries: exchange.retries,
            sticky: match picked {
                _ if exchange.asked.trail.is_refused() => StickyOutcome::Refused,
                Some(picked) => picked.pick.outcome,
                None => StickyOutcome::None,
            },
            request_fields: FieldLines { bytes, spans: request.head.fields.spans() },
            origin_fields: FieldLines {
                bytes: &response.head_copy,
                spans: if response.head_copy.is_empty() {
                    &[]
                } else {
                    response.head.fields.spans()
                },
            },
        });
    }
}
