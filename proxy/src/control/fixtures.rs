//! Small configurations for the tests of this directory.

use std::time::Duration;

use sundew_config::model::{
    Endpoint, HealthCheck, HealthMode, LoadBalancer, Model, Server, Service, ServiceKind,
    StickyRules, Strategy, TransportIndex,
};

/// A server at `http://host[:port][/path]`.
pub(super) fn server(url: &str) -> Server {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    Server {
        url: url.into(),
        id: None,
        drain: false,
        weight: 1,
        preserve_path: false,
        endpoint: Endpoint::Tcp { host: host.into(), port: port.parse().unwrap() },
        authority: authority.into(),
        path: path.into(),
        query: None,
    }
}

/// A check of `/health` that is quick enough for a test.
pub(super) fn check() -> HealthCheck {
    HealthCheck {
        mode: HealthMode::Http,
        path: "/health".into(),
        method: "GET".into(),
        status: None,
        hostname: None,
        port: None,
        interval: Duration::from_millis(20),
        unhealthy_interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        headers: Vec::new(),
        follow_redirects: true,
        healthy_threshold: 1,
        unhealthy_threshold: 1,
    }
}

/// A load balancer of these servers.
pub(super) fn service(name: &str, check: Option<HealthCheck>, urls: &[&str]) -> Service {
    let balancer = LoadBalancer {
        servers: urls.iter().map(|url| server(url)).collect(),
        sticky: None,
        sticky_rules: StickyRules::default(),
        health_check: check,
        pass_host_header: true,
        transport: TransportIndex(0),
        strategy: Strategy::Wrr,
        passive_health_check: None,
        load: Box::default(),
    };
    Service { name: name.into(), kind: ServiceKind::LoadBalancer(balancer) }
}

/// These services and nothing else.
pub(super) fn model(services: Vec<Service>) -> Model {
    Model { routers: Vec::new(), services, transports: Vec::new() }
}
