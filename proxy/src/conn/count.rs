//! The exchange's part in what operators see; nothing at all when nobody can ask for it. Owns the
//! worker's meters, by the names that survive reloads; the numbers are read by `worker`.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use sundew_config::model::{MetricsOptions, Model, ServiceIndex, StaticModel};

use super::Shared;
use super::exchange::{Exchange, Request};
use super::local::{EntryPointLimits, Local};
use crate::cluster::Tables;
use crate::http1::fields::FieldName;
use crate::observe::counters::{Meter, Outcomes, Sample, SeriesKey, SpokenProtocol};
use crate::observe::outcome::StickyOutcome;
use crate::observe::tally::{EntryPointTally, ServerTally, ServiceTally, Tally, WorkerTally};

/// What one worker counts.
#[derive(Debug)]
pub struct Counted {
    /// Series are kept only with metrics.
    metrics: Option<Metrics>,
    entry_points: Vec<Meter>,
    named: RefCell<Named>,
}

#[derive(Debug)]
struct Metrics {
    options: MetricsOptions,
    bounds_ns: Box<[u64]>,
}

/// What belongs to names of the dynamic configuration.
#[derive(Debug)]
struct Named {
    model: Arc<Model>,
    services: Vec<Rc<ServiceMeter>>,
    routers: Vec<Rc<Meter>>,
}

#[derive(Debug, Default)]
struct ServiceMeter {
    series: Meter,
    outcomes: Outcomes,
}

impl Counted {
    /// For a worker that begins with `model`; `None` when nobody could ask what it counts.
    #[must_use]
    pub fn new(statics: &StaticModel, model: &Arc<Model>) -> Option<Self> {
        let admin = &statics.admin;
        let metrics = admin.metrics.as_ref().map(|options| Metrics {
            // A bound beyond 64 bits of nanoseconds is never passed.
            bounds_ns: options.buckets_s.iter().map(|bound_s| (bound_s * 1e9) as u64).collect(),
            options: options.clone(),
        });
        let named = Named {
            model: Arc::clone(model),
            services: model.services.iter().map(|_| Rc::default()).collect(),
            routers: model.routers.iter().map(|_| Rc::default()).collect(),
        };
        admin.is_on().then(|| Self {
            metrics,
            entry_points: statics.entry_points.iter().map(|_| Meter::default()).collect(),
            named: RefCell::new(named),
        })
    }

    /// Durations are wanted.
    #[must_use]
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Another configuration: what keeps its name keeps its counts.
    pub fn follow(&self, model: &Arc<Model>) {
        let mut named = self.named.borrow_mut();
        let before = &named.model;
        let names = before.services.iter().map(|it| it.name.as_str());
        let kept: AHashMap<_, _> = names.zip(&named.services).collect();
        let meter = |name: &str| kept.get(name).map(|meter| Rc::clone(meter)).unwrap_or_default();
        let services = model.services.iter().map(|it| meter(&it.name)).collect();
        let names = before.routers.iter().map(|it| it.name.as_str());
        let kept: AHashMap<_, _> = names.zip(&named.routers).collect();
        let meter = |name: &str| kept.get(name).map(|meter| Rc::clone(meter)).unwrap_or_default();
        let routers = model.routers.iter().map(|it| meter(&it.name)).collect();
        *named = Named { model: Arc::clone(model), services, routers };
    }
}

impl Named {
    /// The meter of a service of `tables`, which may be older.
    fn service(&self, tables: &Tables, index: ServiceIndex) -> Option<&ServiceMeter> {
        if Arc::ptr_eq(&self.model, &tables.model) {
            return self.services.get(index.as_usize()).map(AsRef::as_ref);
        }
        let name = &tables.model.service(index)?.name;
        let at = self.model.services.iter().position(|it| it.name == *name)?;
        self.services.get(at).map(AsRef::as_ref)
    }

    fn router(&self, tables: &Tables, index: u32) -> Option<&Meter> {
        let at = usize::try_from(index).ok()?;
        if Arc::ptr_eq(&self.model, &tables.model) {
            return self.routers.get(at).map(AsRef::as_ref);
        }
        let name = &tables.model.routers.get(at)?.name;
        let at = self.model.routers.iter().position(|it| it.name == *name)?;
        self.routers.get(at).map(AsRef::as_ref)
    }
}

impl Shared {
    /// Counts an exchange that is over.
    pub(super) fn count(&self, exchange: &Exchange) {
        let Some(counted) = &self.local.counted else { return };
        let Some(tables) = exchange.asked.tables.as_deref() else { return };
        // As Traefik, which counts no internals unless told to.
        if exchange.is_internal {
            return;
        }
        let named = counted.named.borrow();
        let picked = exchange.picked.as_ref();
        let service = picked.and_then(|picked| named.service(tables, picked.pick.service));
        if let (Some(picked), Some(service)) = (picked, service) {
            let outcome = picked.pick.outcome;
            if outcome != StickyOutcome::None {
                service.outcomes.add(outcome);
            }
            if outcome.is_held_pin() {
                let client = self.client_address(&exchange.asked.request);
                picked.server.pins_seen.note(client, self.local.clock.now_ms());
            }
        }
        let (Some(metrics), Some(times)) = (&counted.metrics, &exchange.times) else { return };
        let sample = sample(exchange, times.began.elapsed());
        let options = &metrics.options;
        if let Some(meter) = counted.entry_points.get(self.entry.index)
            && options.by_entry_point
        {
            meter.add(&sample, &metrics.bounds_ns);
        }
        if let Some(service) = service
            && options.by_service
        {
            service.series.add(&sample, &metrics.bounds_ns);
        }
        if let Some(router) = exchange.router
            && options.by_router
            && let Some(meter) = named.router(tables, router)
        {
            meter.add(&sample, &metrics.bounds_ns);
        }
    }

    /// Who a pin belongs to: the peer, or whom a peer that is believed speaks for.
    fn client_address(&self, request: &Request) -> IpAddr {
        let forwarded = self.is_trusted.then(|| {
            let bytes = request.bytes();
            let value = request.head.fields.first(bytes, FieldName::XForwardedFor)?;
            let first = value.split(|byte| *byte == b',').next()?;
            std::str::from_utf8(first).ok()?.trim().parse().ok()
        });
        forwarded.flatten().unwrap_or_else(|| self.peer.ip())
    }
}

fn sample(exchange: &Exchange, duration: Duration) -> Sample {
    let (request, response) = (&exchange.asked.request, &exchange.response);
    let bytes = request.bytes();
    let (code, protocol) = if response.is_tunnel {
        (0, SpokenProtocol::Websocket)
    } else if accepts_events(request) {
        (response.status, SpokenProtocol::Sse)
    } else {
        (response.status, SpokenProtocol::Http)
    };
    Sample {
        key: SeriesKey::new(code, request.head.method.of(bytes), protocol),
        request_bytes: request.body_bytes,
        response_bytes: response.body_bytes,
        duration,
    }
}

/// As Traefik: by what the client accepts, not by what it gets.
fn accepts_events(request: &Request) -> bool {
    let bytes = request.bytes();
    request.head.fields.spans().iter().any(|span| {
        let name = span.name(bytes);
        name.len() == 6
            && name.eq_ignore_ascii_case(b"accept")
            && span.value(bytes) == b"text/event-stream"
    })
}

impl Local {
    /// Everything that this worker has counted.
    #[must_use]
    pub fn tally(&self, entry_points: &[Rc<EntryPointLimits>]) -> Tally {
        let tables = Rc::clone(&self.tables.borrow());
        let counted = self.counted.as_ref();
        let named = counted.map(|counted| counted.named.borrow());
        let points = entry_points.iter().map(|entry| EntryPointTally {
            connections: entry.connections.get(),
            series: counted
                .and_then(|counted| counted.entry_points.get(entry.index))
                .map(Meter::read)
                .unwrap_or_default(),
        });
        let services = (0_u32..).zip(&tables.model.services).map(|(index, _)| {
            let index = ServiceIndex(index);
            let meter = named.as_ref().and_then(|named| named.service(&tables, index));
            ServiceTally {
                series: meter.map(|meter| meter.series.read()).unwrap_or_default(),
                outcomes: meter.map(|meter| meter.outcomes.read()).unwrap_or_default(),
                servers: self.server_tallies(&tables, index),
            }
        });
        let routers = named.iter().flat_map(|named| &named.routers);
        Tally {
            model: Arc::clone(&tables.model),
            entry_points: points.collect(),
            services: services.collect(),
            routers: routers.map(|meter| meter.read()).collect(),
            workers: vec![WorkerTally {
                index: self.index,
                requests: self.counters.requests.get(),
                connections: self.watches.len() as u64,
                panics: self.counters.panics.get(),
            }],
        }
    }

    fn server_tallies(&self, tables: &Tables, service: ServiceIndex) -> Vec<ServerTally> {
        let now_ms = self.clock.now_ms();
        let servers = tables.servers_of(service).iter().map(|server| ServerTally {
            requests: server.requests.get(),
            in_flight: server.in_flight().into(),
            pins: server.pins_seen.read(now_ms),
        });
        servers.collect()
    }
}
