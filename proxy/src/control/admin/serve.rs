//! Connections of operators: HTTP/1.1 by hyper, on the control thread. Owns what an answer needs to
//! know; every answer is whole before it is sent. Started by the desk.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sundew_config::model::{ServiceKind, StaticModel};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::super::orders::is_called;
use super::list::{Query, page};
use super::path::{Kind, Route};
use super::prometheus;
use super::render;
use super::reply::{Reply, error, json, not_found, plain, text, traefik_error, wrong_method};
use super::shape::{RawShape, RouterShape, ServiceShape, VersionShape};
use super::text::stamp;
use super::view::{Ask, Change, Refusal, View};
use super::write::{Origin, may_write, read};

/// Of a head: a client that dawdles holds one of few places.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a state; more is not one.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// For the whole of a body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Of the pins that a report counts, unless it is asked for another.
const PINS_WINDOW: Duration = Duration::from_secs(300);

/// What every answer may need.
#[derive(Debug)]
pub(super) struct Facts {
    /// The static configuration.
    pub(super) statics: Arc<StaticModel>,
    /// When the process began.
    pub(super) started: SystemTime,
    /// The way to the control thread's loop.
    pub(super) asks: mpsc::Sender<Ask>,
}

/// Serves one connection to its end; `_place` is one of few.
pub(super) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    origin: Origin,
    facts: Arc<Facts>,
    _place: OwnedSemaphorePermit,
) {
    let answer = service_fn(|request| {
        let facts = Arc::clone(&facts);
        async move { Ok::<_, Infallible>(facts.answer(request, origin).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    // How an operator's connection ends is nobody's business.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

/// Nobody answers any more: the process ends.
fn gone() -> Reply {
    error(StatusCode::SERVICE_UNAVAILABLE, "the process is about to end")
}

impl Facts {
    async fn answer(&self, request: Request<Incoming>, origin: Origin) -> Reply {
        let Some(route) = Route::new(request.uri().path()).filter(|it| self.is_served(it, origin))
        else {
            return not_found();
        };
        if let Route::State(service, server) = route {
            return match *request.method() {
                Method::PUT => self.change(request, origin, service, server).await,
                _ => wrong_method("PUT"),
            };
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return wrong_method("GET");
        }
        let query = Query::new(request.uri().query());
        let Some(view) = self.view().await else { return gone() };
        self.show(route, view, &query).await
    }

    /// What is there for whom: the socket has everything.
    fn is_served(&self, route: &Route, origin: Origin) -> bool {
        let (admin, ping) = (&self.statics.admin, self.statics.ping.as_ref());
        let metrics = admin.metrics.as_ref();
        let (is_socket, point) = match origin {
            Origin::Socket => (true, None),
            Origin::Peer(_, point) => (false, Some(point)),
        };
        match route {
            Route::Ping => is_socket || ping.is_some_and(|it| it.entry_point == point),
            Route::Metrics => metrics.is_some_and(|it| is_socket || Some(it.entry_point) == point),
            _ => is_socket || admin.api_entry_point == point,
        }
    }

    async fn view(&self) -> Option<View> {
        let (sender, view) = oneshot::channel();
        self.asks.send(Ask::View(sender)).await.ok()?;
        view.await.ok()
    }

    async fn show(&self, route: Route, mut view: View, query: &Query) -> Reply {
        let statics = &*self.statics;
        match route {
            Route::Ping => self.pong(&view),
            Route::Metrics => match view.tally().await {
                Some(tally) => {
                    text(prometheus::page(&view, &tally, statics), prometheus::CONTENT_TYPE)
                }
                None => error(StatusCode::SERVICE_UNAVAILABLE, "a worker does not answer"),
            },
            Route::Overview => json(StatusCode::OK, &render::overview(&view, statics)),
            Route::Version => json(
                StatusCode::OK,
                &VersionShape {
                    version: env!("CARGO_PKG_VERSION"),
                    codename: "sundew",
                    start_date: stamp(self.started),
                },
            ),
            Route::RawData => {
                let routers = render::routers(&view, statics);
                let services = render::services(&view, statics);
                json(StatusCode::OK, &RawShape { routers, services })
            }
            Route::EntryPoints => page(statics.entry_points.iter().map(render::entry_point), query),
            Route::EntryPoint(name) => {
                match statics.entry_points.iter().find(|it| it.name == name) {
                    Some(point) => json(StatusCode::OK, &render::entry_point(point)),
                    None => none("entry point", &name),
                }
            }
            Route::List(kind) => self.list(kind, &view, query),
            Route::Item(kind, name) => self.item(kind, &name, &view),
            Route::Servers(service) => servers(&service, None, view, query).await,
            Route::Server(service, id) => servers(&service, Some(&id), view, query).await,
            // A write: answered before.
            Route::State(..) => not_found(),
        }
    }

    fn pong(&self, view: &View) -> Reply {
        if !view.is_terminating {
            return plain(StatusCode::OK, "OK");
        }
        let status = self.statics.ping.as_ref().map_or(503, |it| it.terminating_status);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        plain(status, status.canonical_reason().unwrap_or_default())
    }

    fn list(&self, kind: Kind, view: &View, query: &Query) -> Reply {
        match kind {
            Kind::Router => {
                page(render::routers(view, &self.statics).into_iter().map(named_router), query)
            }
            Kind::Service => {
                page(render::services(view, &self.statics).into_iter().map(named_service), query)
            }
            Kind::Middleware => page(std::iter::empty::<()>(), query),
        }
    }

    fn item(&self, kind: Kind, name: &str, view: &View) -> Reply {
        fn find<T>(mut all: BTreeMap<String, T>, name: &str) -> Option<(String, T)> {
            all.remove_entry(name)
        }
        let found = match kind {
            Kind::Router => find(render::routers(view, &self.statics), name)
                .map(|it| json(StatusCode::OK, &named_router(it))),
            Kind::Service => find(render::services(view, &self.statics), name)
                .map(|it| json(StatusCode::OK, &named_service(it))),
            Kind::Middleware => None,
        };
        found.unwrap_or_else(|| none(kind.word(), name))
    }

    async fn change(
        &self,
        request: Request<Incoming>,
        origin: Origin,
        service: String,
        server: String,
    ) -> Reply {
        let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
        if !may_write(origin, host, self.statics.admin.remote_writes) {
            let message = "writes are accepted on the Unix socket and from this machine by a \
                           literal loopback address; see sundew.api in the documentation";
            return error(StatusCode::FORBIDDEN, message);
        }
        let query = Query::new(request.uri().query());
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let body = match tokio::time::timeout(BODY_WAIT, body).await {
            Err(_elapsed) => return error(StatusCode::REQUEST_TIMEOUT, "the body did not come"),
            Ok(Err(broken)) if broken.is::<http_body_util::LengthLimitError>() => {
                return error(StatusCode::PAYLOAD_TOO_LARGE, "a state is smaller than that");
            }
            Ok(Err(broken)) => return error(StatusCode::BAD_REQUEST, &broken.to_string()),
            Ok(Ok(body)) => body.to_bytes(),
        };
        let wanted = match read(&body, SystemTime::now()) {
            Ok(wanted) => wanted,
            Err(message) => return error(StatusCode::BAD_REQUEST, &message),
        };
        let change = Change {
            service: service.clone(),
            server: server.clone(),
            order: wanted.order,
            deadline: wanted.deadline,
            is_forced: wanted.is_forced,
        };
        let (sender, done) = oneshot::channel();
        if self.asks.send(Ask::Order(change, sender)).await.is_err() {
            return gone();
        }
        match done.await {
            Ok(Ok(())) => match self.view().await {
                Some(view) => servers(&service, Some(&server), view, &query).await,
                None => gone(),
            },
            Ok(Err(refusal)) => refused(&refusal, &service, &server),
            Err(_gone) => gone(),
        }
    }
}

fn refused(refusal: &Refusal, service: &str, server: &str) -> Reply {
    match refusal {
        Refusal::NoService => {
            let message = format!("service not found, or without servers: {service}");
            error(StatusCode::NOT_FOUND, &message)
        }
        Refusal::NoServer => {
            error(StatusCode::NOT_FOUND, &format!("service {service} has no server {server}"))
        }
        Refusal::LastOne => {
            let message = format!(
                "no server of {service} would be left for new clients; \
                 write \"force\": true if that is meant"
            );
            error(StatusCode::CONFLICT, &message)
        }
        Refusal::NotKept(why) => {
            let message = format!("nothing changed: the state file cannot be written: {why}");
            error(StatusCode::INTERNAL_SERVER_ERROR, &message)
        }
    }
}

fn named_router((name, mut shape): (String, RouterShape)) -> RouterShape {
    shape.own = Some(render::own_name(&name));
    shape.priority_str = Some(shape.priority.to_string());
    shape
}

fn named_service((name, mut shape): (String, ServiceShape)) -> ServiceShape {
    shape.own = Some(render::own_name(&name));
    shape.kind = render::kind_of(&shape);
    shape
}

fn none(kind: &str, name: &str) -> Reply {
    traefik_error(StatusCode::NOT_FOUND, &format!("{kind} not found: {name}"))
}

/// The servers of a service with who came to them of late, or the one with this id.
async fn servers(service: &str, id: Option<&str>, mut view: View, query: &Query) -> Reply {
    let window = match query.first("window").map(sundew_config::duration_of) {
        None => PINS_WINDOW,
        Some(Some(window)) if !window.is_zero() => window,
        Some(_) => {
            let message = "window is not a duration; write such as 5m";
            return error(StatusCode::BAD_REQUEST, message);
        }
    };
    let is_one = |name: &str, kind: &ServiceKind| {
        name == service && matches!(kind, ServiceKind::LoadBalancer(_))
    };
    if !view.model.services.iter().any(|it| is_one(&it.name, &it.kind)) {
        return refused(&Refusal::NoService, service, "");
    }
    let Some(tally) = view.tally().await else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "a worker does not answer");
    };
    let now = SystemTime::now();
    let wanted = view.servers().filter(|it| it.service.name == service);
    let wanted = wanted.filter(|it| id.is_none_or(|id| is_called(it.server, id)));
    let shapes: Vec<_> = wanted.map(|it| render::standing(&it, &tally, window, now)).collect();
    match (id, shapes.first()) {
        (None, _) => json(StatusCode::OK, &shapes),
        (Some(_), Some(shape)) => json(StatusCode::OK, shape),
        (Some(id), None) => refused(&Refusal::NoServer, service, id),
    }
}
