//! Mirror of Traefik's dynamic configuration (routers, services, transports).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Accepted, Noted, Unsupported};

/// `http`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Http {
    /// Which requests go to which service.
    pub(crate) routers: BTreeMap<String, Router>,
    /// Where requests go.
    pub(crate) services: BTreeMap<String, Service>,
    /// How servers are connected to; a service names one as `serversTransport`.
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Router {
    /// Names of entry points; all but the internal one unless written, or those with `asDefault`.
    pub(crate) entry_points: Vec<String>,
    /// Which requests it takes, such as Host(`example.com`) && PathPrefix(`/api`).
    pub(crate) rule: String,
    /// Only v3.
    #[schemars(extend("default" = "v3"))]
    pub(crate) rule_syntax: Option<String>,
    /// The highest that matches takes the request; 0 counts as the length of the rule.
    pub(crate) priority: i64,
    /// Name of the service that answers, or ping@internal.
    pub(crate) service: String,
    pub(crate) middlewares: Option<Unsupported>,
    pub(crate) tls: Option<Unsupported>,
    pub(crate) parent_refs: Option<Unsupported>,
    observability: Option<Noted>,
}

/// `http.services.<name>`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Service {
    /// Servers of its own.
    pub(crate) load_balancer: Option<LoadBalancer>,
    /// Other services, each by its share.
    pub(crate) weighted: Option<Weighted>,
    /// Other services, chosen by a hash of the client's address.
    pub(crate) highest_random_weight: Option<HighestRandomWeight>,
    /// Another service, and copies of its requests to more.
    pub(crate) mirroring: Option<Mirroring>,
    /// Another service, and one for when that is down.
    pub(crate) failover: Option<Failover>,
    pub(crate) middlewares: Option<Unsupported>,
}

/// `loadBalancer`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoadBalancer {
    /// The servers.
    pub(crate) servers: Vec<Server>,
    /// Who takes a request that no pin decides: wrr, p2c, hrw or leasttime.
    #[schemars(extend("default" = "wrr"))]
    pub(crate) strategy: Option<String>,
    /// Pins clients to servers.
    pub(crate) sticky: Option<Sticky>,
    /// Asks each server from time to time whether it is well.
    pub(crate) health_check: Option<HealthCheck>,
    /// Servers see the Host that the client sent.
    #[schemars(extend("default" = true))]
    pub(crate) pass_host_header: Option<bool>,
    /// Name of a transport; the static one unless written.
    pub(crate) servers_transport: Option<String>,
    /// Leaves a server out for a while after requests to it failed.
    pub(crate) passive_health_check: Option<PassiveHealthCheck>,
    response_forwarding: Option<ResponseForwarding>,
}

/// `responseForwarding`: sundew never holds a response back, so there is nothing to flush.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResponseForwarding {
    flush_interval: Accepted,
}

/// `servers[]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Server {
    /// http://host:port, or unix:/path. The pin is a hash of it, byte for byte.
    pub(crate) url: String,
    /// Share of new clients; 0 drains.
    #[schemars(extend("default" = 1))]
    pub(crate) weight: Option<i64>,
    /// Puts the path of `url` before that of the request.
    pub(crate) preserve_path: bool,
    /// The pin is a hash of this name instead of the URL (sundew).
    pub(crate) id: Option<String>,
    /// Pinned clients stay, new ones go elsewhere (sundew).
    pub(crate) drain: bool,
}

/// `sticky`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sticky {
    /// The cookie that holds the pin; `cookie: {}` takes every default.
    pub(crate) cookie: Option<Cookie>,
    /// A client whose server cannot serve gets an error instead of another server (sundew).
    pub(crate) strict: bool,
    /// Status of that error, 400 to 599; 502 unless written (sundew).
    pub(crate) strict_status: Option<i64>,
    /// That answer deletes the cookie (sundew).
    pub(crate) strict_forget: bool,
    /// A pinned server that refuses the connection is left within the request; true unless written
    /// (sundew).
    pub(crate) redispatch: Option<bool>,
    /// Pins clients without a cookie by this request field (sundew).
    pub(crate) header: String,
    /// Pins clients without a cookie or that field by this query parameter (sundew).
    pub(crate) query: String,
}

/// `sticky.cookie`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cookie {
    /// Its name; `_` and a hash of the service's name unless written.
    pub(crate) name: String,
    /// Attribute Secure.
    pub(crate) secure: bool,
    /// Attribute HttpOnly.
    pub(crate) http_only: bool,
    /// Attribute SameSite: none, lax or strict; left out unless written.
    pub(crate) same_site: String,
    /// Attribute Max-Age in seconds; 0: none, negative: 0.
    pub(crate) max_age: i64,
    /// Attribute Path; written empty: none.
    #[schemars(extend("default" = "/"))]
    pub(crate) path: Option<String>,
    /// Attribute Domain; left out unless written.
    pub(crate) domain: String,
    /// Attribute Partitioned; needs `secure` (sundew).
    pub(crate) partitioned: bool,
    /// Accepts a name that belongs to applications, such as JSESSIONID (sundew).
    pub(crate) allow_reserved_name: bool,
    /// Names that it had before and that still pin, at most 8 (sundew).
    pub(crate) previous_names: Vec<String>,
    /// Servers do not see it (sundew).
    pub(crate) hide: bool,
    /// What an answer that sets it says to caches: off, private or no-store (sundew).
    #[schemars(extend("default" = "off"))]
    pub(crate) cache: String,
    /// hash (Traefik's) or sealed (sundew).
    #[schemars(extend("default" = "hash"))]
    pub(crate) value: String,
    /// Key files of sealed values; the first seals, all open (sundew).
    pub(crate) keys: Vec<String>,
    /// A sealed pin ends so long after it began (sundew).
    pub(crate) lifetime: Option<String>,
    /// A sealed pin ends so long after its client was here (sundew).
    pub(crate) idle_timeout: Option<String>,
    /// A day or RFC 3339 time until which hash values pin beside sealed ones (sundew).
    pub(crate) accept_hash_until: Option<String>,
}

/// `loadBalancer.healthCheck`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HealthCheck {
    /// http; that of the server unless written.
    pub(crate) scheme: String,
    /// http or grpc.
    #[schemars(extend("default" = "http"))]
    pub(crate) mode: String,
    /// Path and query that are asked for.
    pub(crate) path: String,
    /// GET unless written.
    pub(crate) method: String,
    /// The status that is well; 0: any from 200 to 399.
    pub(crate) status: i64,
    /// Asked instead of the server's; 0: the server's.
    pub(crate) port: i64,
    /// Host of the request; that of the server unless written.
    pub(crate) hostname: String,
    /// Between two probes.
    #[schemars(extend("default" = "30s"))]
    pub(crate) interval: Option<String>,
    /// The same while the server is down; `interval` unless written.
    pub(crate) unhealthy_interval: Option<String>,
    /// How long an answer may take.
    #[schemars(extend("default" = "5s"))]
    pub(crate) timeout: Option<String>,
    /// So many good probes in a row bring it up (sundew).
    #[schemars(extend("default" = 1))]
    pub(crate) healthy_threshold: Option<i64>,
    /// So many bad probes in a row take it down (sundew).
    #[schemars(extend("default" = 1))]
    pub(crate) unhealthy_threshold: Option<i64>,
    /// Asks where a redirect leads.
    #[schemars(extend("default" = true))]
    pub(crate) follow_redirects: Option<bool>,
    /// Fields of the request.
    pub(crate) headers: BTreeMap<String, String>,
}

/// `loadBalancer.passiveHealthCheck`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PassiveHealthCheck {
    /// Failures within this time count, and a server is left out for so long.
    #[schemars(extend("default" = "10s"))]
    pub(crate) failure_window: Option<String>,
    /// So many failures leave it out.
    #[schemars(extend("default" = 1))]
    pub(crate) max_failed_attempts: Option<i64>,
}

/// `weighted`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Weighted {
    /// The services.
    pub(crate) services: Vec<WeightedService>,
    /// Pins clients to one of them.
    pub(crate) sticky: Option<Sticky>,
    /// `{}`: leaves out those without a server that is up.
    pub(crate) health_check: Option<Propagation>,
}

/// `weighted.services[]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WeightedService {
    /// Name of the service.
    pub(crate) name: String,
    /// Its share.
    #[schemars(extend("default" = 1))]
    pub(crate) weight: Option<i64>,
}

/// `highestRandomWeight`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HighestRandomWeight {
    /// The services.
    pub(crate) services: Vec<WeightedService>,
    /// `{}`: leaves out those without a server that is up.
    pub(crate) health_check: Option<Propagation>,
}

/// `mirroring`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mirroring {
    /// Name of the service that answers.
    pub(crate) service: String,
    /// Copies have the body.
    #[schemars(extend("default" = true))]
    pub(crate) mirror_body: Option<bool>,
    /// Requests with a longer body, in bytes, are not copied; 64 MiB unless written.
    pub(crate) max_body_size: Option<i64>,
    /// Who gets copies.
    pub(crate) mirrors: Vec<Mirror>,
    /// `{}`: passes on the health of `service`.
    pub(crate) health_check: Option<Propagation>,
}

/// `mirroring.mirrors[]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mirror {
    /// Name of the service.
    pub(crate) name: String,
    /// Share of the requests that are copied to it.
    pub(crate) percent: i64,
}

/// `failover`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Failover {
    /// Name of the service that answers while it can.
    pub(crate) service: String,
    /// Name of the one that answers else.
    pub(crate) fallback: String,
    /// `{}`: passes on whether either is up.
    pub(crate) health_check: Option<Propagation>,
    /// Falls back by the status of an answer too.
    pub(crate) errors: Option<FailoverErrors>,
}

/// `failover.errors`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FailoverErrors {
    /// Statuses and ranges that fall back, such as 500-599.
    pub(crate) status: Vec<String>,
    /// A longer body is 413; 64 MiB unless written.
    pub(crate) max_request_body_bytes: Option<i64>,
}

/// `healthCheck` of a service of services: written or not is all that it says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Propagation {}

/// `http.serversTransports.<name>` and the static `serversTransport`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServersTransport {
    /// Idle connections that are kept to each server, for each worker; 200 for the static transport
    /// and 2 for a named one unless written.
    pub(crate) max_idle_conns_per_host: Option<i64>,
    /// How long things may take.
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForwardingTimeouts {
    /// Connecting; 0: no limit.
    #[schemars(extend("default" = "30s"))]
    pub(crate) dial_timeout: Option<String>,
    /// From the request to the head of its answer; no limit unless written.
    pub(crate) response_header_timeout: Option<String>,
    /// How long an idle connection is kept; 0: no limit.
    #[schemars(extend("default" = "90s"))]
    pub(crate) idle_conn_timeout: Option<String>,
    read_idle_timeout: Option<Noted>,
    ping_timeout: Option<Noted>,
}
