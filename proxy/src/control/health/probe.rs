//! One probe: a connection of its own, a request, the head of the response, and the redirects in
//! between, all within the check's timeout. Owns nothing between probes.
//!
//! What is sent follows Traefik's health check, except for `User-Agent: sundew/<version>`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sundew_config::model::{Endpoint, HealthCheck, Server};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::resolve::Names;
use super::Unhealthy;
use super::target::Url;
use crate::worker::inbox::Address;

/// The tenth redirect ends a probe, as in Go's client.
pub(super) const REDIRECTS_MAX: usize = 10;

/// A body is read this long after the verdict is known, and not beyond [`DRAIN_BYTES_MAX`], so that
/// a server does not see its answer cut off.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(100);
const DRAIN_BYTES_MAX: usize = 64 * 1024;

pub(super) const AGENT: &str = concat!("sundew/", env!("CARGO_PKG_VERSION"));

/// Probes `server` once.
pub(super) async fn probe(
    server: &Server,
    check: &HealthCheck,
    names: &Names,
) -> Result<(), Unhealthy> {
    let deadline = Instant::now() + check.timeout;
    let response = match timeout_at(deadline, final_response(server, check, names)).await {
        Ok(response) => response?,
        Err(_) => return Err(Unhealthy::Timeout),
    };
    let status = response.status().as_u16();
    drain(response.into_body()).await;
    let is_wanted = match check.status {
        Some(wanted) => status == wanted,
        None => (200..400).contains(&status),
    };
    if is_wanted { Ok(()) } else { Err(Unhealthy::Status(status)) }
}

/// The response to judge: the first one, or what is at the end of the redirects.
async fn final_response(
    server: &Server,
    check: &HealthCheck,
    names: &Names,
) -> Result<Response<Incoming>, Unhealthy> {
    let mut url = first_url(server, check).map_err(Unhealthy::Target)?;
    let mut headers = first_headers(check)?;
    let mut host = check.hostname.clone();
    let mut method = Method::from_bytes(check.method.as_bytes())
        .map_err(|_| Unhealthy::Target(format!("{} is not a method", check.method)))?;
    for _ in 0..REDIRECTS_MAX {
        let response =
            exchange(&url, host.as_deref(), method.clone(), &headers, check, names).await?;
        let location = match response.headers().get(LOCATION) {
            Some(location) if check.follow_redirects && is_redirect(response.status()) => location,
            _ => return Ok(response),
        };
        let location = location
            .to_str()
            .map_err(|_| Unhealthy::Target("the redirect's Location is not text".into()))?;
        let next = url.join_location(location).map_err(Unhealthy::Target)?;
        if (&next.authority, &next.socket) != (&url.authority, &url.socket) {
            // Go's client: what is meant for one host is not shown to another.
            host = None;
            for name in [AUTHORIZATION, COOKIE, WWW_AUTHENTICATE] {
                headers.remove(name);
            }
        }
        method = redirected_method(response.status(), method);
        url = next;
    }
    Err(Unhealthy::TooManyRedirects)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// 307 and 308 keep the method (RFC 9110 §15.4.8); otherwise all but HEAD become GET.
fn redirected_method(status: StatusCode, method: Method) -> Method {
    match status.as_u16() {
        307 | 308 => method,
        _ if method == Method::HEAD => method,
        _ => Method::GET,
    }
}

pub(super) fn first_url(server: &Server, check: &HealthCheck) -> Result<Url, String> {
    let url = Url {
        authority: server.authority.clone(),
        path: server.path.clone(),
        query: server.query.clone(),
        socket: match &server.endpoint {
            Endpoint::Unix { path } => Some(path.clone()),
            Endpoint::Tcp { .. } => None,
        },
    };
    let url = url.join_relative(&check.path)?;
    Ok(match check.port {
        Some(port) if url.socket.is_none() => url.with_port(port),
        _ => url,
    })
}

fn first_headers(check: &HealthCheck) -> Result<HeaderMap, Unhealthy> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    // The connection is this probe's own.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &check.headers {
        let field = HeaderName::from_bytes(name.as_bytes()).ok().zip(value.parse().ok());
        let Some((name, value)) = field else {
            return Err(Unhealthy::Target(format!("header {name} cannot be sent")));
        };
        // As under Traefik, Host is `hostname`'s business alone.
        if name != HOST {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

async fn exchange(
    url: &Url,
    host: Option<&str>,
    method: Method,
    headers: &HeaderMap,
    check: &HealthCheck,
    names: &Names,
) -> Result<Response<Incoming>, Unhealthy> {
    let stream = connect(&addresses(url, names).await?, check.timeout).await?;
    let broken = |error: hyper::Error| Unhealthy::Exchange(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself when the response's body is dropped.
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = url
        .request_target()
        .parse()
        .map_err(|_| Unhealthy::Target(format!("{} cannot be sent", url.request_target())))?;
    let host = host.unwrap_or(&url.authority);
    let host = HeaderValue::from_str(host)
        .map_err(|_| Unhealthy::Target(format!("{host} is not a host name")))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().extend(headers.clone());
    sender.send_request(request).await.map_err(broken)
}

/// The addresses of a URL's host: those that the workers use, or a lookup for a redirect's.
pub(super) async fn addresses(url: &Url, names: &Names) -> Result<Vec<Address>, Unhealthy> {
    if let Some(path) = &url.socket {
        return Ok(vec![Address::Unix(Path::new(path).into())]);
    }
    let Some((host, port)) = url.host_and_port() else { return Err(Unhealthy::NoAddress) };
    if let Some(known) = names.addresses(host) {
        return Ok(known.iter().map(|address| SocketAddr::new(*address, port).into()).collect());
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => Ok(found.map(Address::from).collect()),
        Err(_) => Err(Unhealthy::NoAddress),
    }
}

/// Tries every address; each gets its share of the time, so that a silent one hides no other.
pub(super) async fn connect(
    addresses: &[Address],
    time_max: Duration,
) -> Result<TcpStream, Unhealthy> {
    let shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = Unhealthy::NoAddress;
    for address in addresses {
        last = match timeout(time_max / shares, connect_one(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => refusal(&error),
            Err(_) => Unhealthy::Timeout,
        };
    }
    Err(last)
}

/// Whose fault it is that there is no connection.
pub(super) fn refusal(error: &io::Error) -> Unhealthy {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    let is_ours =
        error.raw_os_error().is_some_and(|code| ours.iter().any(|it| it.raw_os_error() == code));
    if is_ours {
        Unhealthy::Exhausted(error.to_string())
    } else {
        Unhealthy::Connect(error.to_string())
    }
}

async fn connect_one(address: &Address) -> io::Result<TcpStream> {
    match address {
        Address::Tcp(address) => TcpStream::connect(address).await,
        // Reading and writing are the same calls for both kinds of socket.
        Address::Unix(path) => {
            let socket = UnixStream::connect(path).await?.into_std()?;
            TcpStream::from_std(OwnedFd::from(socket).into())
        }
    }
}

/// The verdict stands; what comes or breaks here does not change it.
async fn drain(mut body: Incoming) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIME_MAX, reading).await;
}
