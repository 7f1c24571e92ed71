//! The Pingora peer: a balancer as its users write them. Pins by a cookie that names the server,
//! passes over a server that refuses, keeps upstream connections, writes no access log.
//!
//! `sundew-peer-pingora PORT THREADS SERVER…`, each server as `ADDRESS:PORT`.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Balancer {
    servers: Vec<String>,
    next: AtomicUsize,
}

/// What one request has come to.
#[derive(Default)]
struct Choice {
    server: usize,
    is_pinned: bool,
    refusals: usize,
}

impl Balancer {
    /// The server that the request's cookie names.
    fn pinned(&self, request: &RequestHeader) -> Option<usize> {
        let lines = request.headers.get_all("cookie").iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let value = pairs.filter_map(|pair| pair.trim().strip_prefix("sid=s")).next()?;
        value.parse().ok().filter(|server| *server < self.servers.len())
    }
}

#[async_trait]
impl ProxyHttp for Balancer {
    type CTX = Choice;

    fn new_ctx(&self) -> Choice {
        Choice::default()
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        choice: &mut Choice,
    ) -> Result<Box<HttpPeer>> {
        let pinned = (choice.refusals == 0).then(|| self.pinned(session.req_header())).flatten();
        choice.is_pinned = pinned.is_some();
        let by_turn = || self.next.fetch_add(1, Ordering::Relaxed) % self.servers.len();
        choice.server = pinned.unwrap_or_else(by_turn);
        Ok(Box::new(HttpPeer::new(&*self.servers[choice.server], false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _choice: &mut Choice,
    ) -> Result<()> {
        let client = session.client_addr().and_then(|it| it.as_inet()).map(|it| it.ip());
        if let Some(client) = client {
            request.insert_header("X-Forwarded-For", client.to_string())?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        choice: &mut Choice,
    ) -> Result<()> {
        if !choice.is_pinned {
            response.append_header("Set-Cookie", format!("sid=s{}; Path=/", choice.server))?;
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        choice: &mut Choice,
        mut error: Box<Error>,
    ) -> Box<Error> {
        choice.refusals += 1;
        error.set_retry(choice.refusals < self.servers.len());
        error
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (port, threads) = (arguments.next(), arguments.next());
    let servers: Vec<String> = arguments.collect();
    let threads = threads.and_then(|it| it.parse().ok());
    let (Some(port), Some(threads), false) = (port, threads, servers.is_empty()) else {
        return Error::e_explain(ErrorType::InternalError, "PORT THREADS SERVER…");
    };
    let conf =
        ServerConf { threads, upstream_keepalive_pool_size: 4096, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let balancer = Balancer { servers, next: AtomicUsize::new(0) };
    let mut service = http_proxy_service(&server.configuration, balancer);
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever()
}
