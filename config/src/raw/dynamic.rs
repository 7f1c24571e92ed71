//! Mirror of Traefik's dynamic configuration (routers, services, transports).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Accepted, Noted, Unsupported};

/// `http`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) routers: BTreeMap<String, Router>,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) servers_transports: BTreeMap<String, ServersTransport>,
    middlewares: Option<Unsupported>,
    models: Option<Unsupported>,
}

impl Http {
    /// The key files of every sticky cookie, as written.
    pub(crate) fn key_files(&self) -> impl Iterator<Item = &str> {
        let stickies = self.services.values().flat_map(|it| {
            let balancer = it.load_balancer.as_ref().and_then(|it| it.sticky.as_ref());
            [balancer, it.weighted.as_ref().and_then(|it| it.sticky.as_ref())]
        });
        let cookies = stickies.flatten().filter_map(|it| it.cookie.as_ref());
        cookies.flat_map(|it| &it.keys).map(String::as_str)
    }
}

/// `http.routers.<name>`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Router {
    pub(crate) entry_points: Vec<String>,
    pub(crate) rule: String,
    pub(crate) rule_syntax: Option<String>,
    pub(crate) priority: i64,
    pub(crate) service: String,
    pub(crate) middlewares: Option<Unsupported>,
    pub(crate) tls: Option<Unsupported>,
    pub(crate) parent_refs: Option<Unsupported>,
    observability: Option<Noted>,
}

/// `http.services.<name>`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) weighted: Option<Weighted>,
    pub(crate) highest_random_weight: Option<HighestRandomWeight>,
    pub(crate) mirroring: Option<Mirroring>,
    pub(crate) failover: Option<Failover>,
    pub(crate) middlewares: Option<Unsupported>,
}

/// `loadBalancer`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoadBalancer {
    pub(crate) servers: Vec<Server>,
    pub(crate) strategy: Option<String>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) pass_host_header: Option<bool>,
    pub(crate) servers_transport: Option<String>,
    pub(crate) passive_health_check: Option<PassiveHealthCheck>,
    pub(crate) max_in_flight_per_server: Option<i64>,
    pub(crate) overflow: String,
    pub(crate) slow_start: Option<String>,
    pub(crate) rebalance: Option<Rebalance>,
    response_forwarding: Option<ResponseForwarding>,
}

/// `responseForwarding`: sundew never holds a response back, so there is nothing to flush.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResponseForwarding {
    flush_interval: Accepted,
}

/// `rebalance`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rebalance {
    pub(crate) per_minute: String,
    pub(crate) older_than: Option<String>,
}

/// `servers[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) weight: Option<i64>,
    pub(crate) preserve_path: bool,
    pub(crate) id: Option<String>,
    pub(crate) drain: bool,
}

/// `sticky`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sticky {
    pub(crate) cookie: Option<Cookie>,
    pub(crate) strict: bool,
    pub(crate) strict_status: Option<i64>,
    pub(crate) strict_forget: bool,
    pub(crate) redispatch: Option<bool>,
    pub(crate) header: String,
    pub(crate) query: String,
}

/// `sticky.cookie`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: String,
    pub(crate) max_age: i64,
    pub(crate) path: Option<String>,
    pub(crate) domain: String,
    pub(crate) partitioned: bool,
    pub(crate) allow_reserved_name: bool,
    pub(crate) previous_names: Vec<String>,
    pub(crate) hide: bool,
    pub(crate) cache: String,
    pub(crate) value: String,
    pub(crate) keys: Vec<String>,
    pub(crate) lifetime: Option<String>,
    pub(crate) idle_timeout: Option<String>,
    pub(crate) accept_hash_until: Option<String>,
}

/// `loadBalancer.healthCheck`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HealthCheck {
    pub(crate) scheme: String,
    pub(crate) mode: String,
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) status: i64,
    pub(crate) port: i64,
    pub(crate) hostname: String,
    pub(crate) interval: Option<String>,
    pub(crate) unhealthy_interval: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) healthy_threshold: Option<i64>,
    pub(crate) unhealthy_threshold: Option<i64>,
    pub(crate) follow_redirects: Option<bool>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// `loadBalancer.passiveHealthCheck`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PassiveHealthCheck {
    pub(crate) failure_window: Option<String>,
    pub(crate) max_failed_attempts: Option<i64>,
}

/// `weighted`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Weighted {
    pub(crate) services: Vec<WeightedService>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) health_check: Option<Propagation>,
}

/// `weighted.services[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WeightedService {
    pub(crate) name: String,
    pub(crate) weight: Option<i64>,
}

/// `highestRandomWeight`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HighestRandomWeight {
    pub(crate) services: Vec<WeightedService>,
    pub(crate) health_check: Option<Propagation>,
}

/// `mirroring`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mirroring {
    pub(crate) service: String,
    pub(crate) mirror_body: Option<bool>,
    pub(crate) max_body_size: Option<i64>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) health_check: Option<Propagation>,
}

/// `mirroring.mirrors[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mirror {
    pub(crate) name: String,
    pub(crate) percent: i64,
}

/// `failover`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Failover {
    pub(crate) service: String,
    pub(crate) fallback: String,
    pub(crate) health_check: Option<Propagation>,
    pub(crate) errors: Option<FailoverErrors>,
}

/// `failover.errors`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FailoverErrors {
    pub(crate) status: Vec<String>,
    pub(crate) max_request_body_bytes: Option<i64>,
}

/// `healthCheck` of a service of services: written or not is all that it says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Propagation {}

/// `http.serversTransports.<name>` and the static `serversTransport`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServersTransport {
    pub(crate) max_idle_conns_per_host: Option<i64>,
    pub(crate) forwarding_timeouts: Option<ForwardingTimeouts>,
    // The rest matters to TLS and HTTP/2 towards a server, which no server has yet.
    server_name: Option<Noted>,
    insecure_skip_verify: Option<Noted>,
    #[serde(rename = "rootCAs")]
    root_cas: Option<Noted>,
    certificates: Option<Noted>,
    cipher_suites: Option<Noted>,
    min_version: Option<Noted>,
    max_version: Option<Noted>,
    #[serde(rename = "disableHTTP2")]
    disable_http2: Option<Noted>,
    #[serde(rename = "peerCertURI")]
    peer_cert_uri: Option<Noted>,
    #[serde(rename = "peerCertSANs")]
    peer_cert_sans: Option<Noted>,
    spiffe: Option<Noted>,
}

/// `forwardingTimeouts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForwardingTimeouts {
    pub(crate) dial_timeout: Option<String>,
    pub(crate) response_header_timeout: Option<String>,
    pub(crate) idle_conn_timeout: Option<String>,
    read_idle_timeout: Option<Noted>,
    ping_timeout: Option<Noted>,
}
