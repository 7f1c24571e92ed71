//! The demo's three servers, on a thread and a runtime of their own, so that they share nothing
//! with what is shown. Owns their listeners; [`super`] stops and starts them.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::page::Visit;

/// What the health check asks for; not counted as a hit.
pub(super) const HEALTH_PATH: &str = "/health";

/// Names and colours.
const CAST: [(&str, &str); 3] = [("violet", "#6b3fa0"), ("amber", "#b36b00"), ("teal", "#00727a")];

/// After a failed start of a server, or a failed accept.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Actor {
    name: &'static str,
    colour: &'static str,
    url: String,
    hits: AtomicU64,
}

/// The three servers, running until they are dropped.
#[derive(Debug)]
pub(super) struct Servers(Vec<(Arc<Actor>, watch::Sender<bool>)>);

impl Servers {
    /// Starts all three on ports that the kernel chooses.
    ///
    /// # Errors
    /// When the operating system refuses a port or a thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut servers = Vec::new();
        let mut tasks = Vec::new();
        for (name, colour) in CAST {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let url = format!("http://{address}");
            let actor = Arc::new(Actor { name, colour, url, hits: AtomicU64::new(0) });
            let (switch, is_running) = watch::channel(true);
            servers.push((actor.clone(), switch));
            tasks.push((actor, listener, address, is_running));
        }
        std::thread::Builder::new().name("demo servers".into()).spawn(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                for (actor, listener, address, is_running) in tasks {
                    running.spawn(live(actor, listener, address, is_running));
                }
                while running.join_next().await.is_some() {}
            });
        })?;
        Ok(Self(servers))
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(actor, _)| actor.name).collect()
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.0.iter().map(|(actor, _)| actor.url.clone()).collect()
    }

    /// Stops a server with all its connections, or starts it at its old address. Soon, not at once.
    pub(super) fn set_running(&self, position: usize, is_running: bool) {
        if let Some((_, switch)) = self.0.get(position) {
            switch.send_replace(is_running);
        }
    }
}

/// One server: up, down, up, until nobody holds its switch.
async fn live(
    actor: Arc<Actor>,
    first: std::net::TcpListener,
    address: SocketAddr,
    mut is_running: watch::Receiver<bool>,
) {
    let mut listener = TcpListener::from_std(first).ok();
    loop {
        if let Some(listener) = listener.take() {
            let serving = serve(&actor, listener);
            tokio::select! {
                () = serving => {}
                stopped = is_running.wait_for(|it| !it) => if stopped.is_err() { return },
            }
        }
        if is_running.wait_for(|it| *it).await.is_err() {
            return;
        }
        listener = TcpListener::bind(address).await.ok();
        if listener.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Dropping it ends the listener and every connection.
async fn serve(actor: &Arc<Actor>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let actor = actor.clone();
                    let answer = service_fn(move |request| {
                        let response = answer(&actor, &request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    connections.spawn(
                        http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
                    );
                }
                // Out of descriptors: those in use come back.
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer(actor: &Actor, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() == HEALTH_PATH {
        return respond("text/plain", "up\n".into());
    }
    let hits = actor.hits.fetch_add(1, Ordering::Relaxed) + 1;
    let visit = Visit {
        name: actor.name,
        colour: actor.colour,
        url: &actor.url,
        hits,
        cookie: text(request.headers(), &COOKIE),
    };
    let accepts_html = text(request.headers(), &ACCEPT).is_some_and(|it| it.contains("text/html"));
    if accepts_html {
        respond("text/html; charset=utf-8", visit.html())
    } else {
        respond("text/plain; charset=utf-8", visit.text())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn respond(content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    // A browser that shows a stored page would hide which server answers.
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
