//! Services, servers, sticky cookies, health checks, transports.

use std::time::Duration;

use super::{LoadRules, Sealing, ServiceIndex, TransportIndex};

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Qualified name, such as `app@file`.
    pub name: String,
    /// What it does.
    pub kind: ServiceKind,
}

/// The kinds of service.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceKind {
    /// Chooses a server.
    LoadBalancer(LoadBalancer),
    /// Chooses a child service.
    Weighted(Weighted),
    /// Chooses a child service by the client's address.
    HighestRandomWeight(HighestRandomWeight),
    /// Passes requests on to a service, and copies of them to others.
    Mirroring(Mirroring),
    /// Passes requests on to a service, or to another where that one fails.
    Failover(Failover),
}

impl ServiceKind {
    /// The services that it refers to, in the order of the file; none for a load balancer.
    #[must_use]
    pub fn children(&self) -> Vec<ServiceIndex> {
        let of = |children: &[WeightedChild]| children.iter().map(|it| it.service).collect();
        match self {
            Self::LoadBalancer(_) => Vec::new(),
            Self::Weighted(it) => of(&it.children),
            Self::HighestRandomWeight(it) => of(&it.children),
            Self::Mirroring(it) => {
                let mirrors = it.mirrors.iter().map(|mirror| mirror.service);
                std::iter::once(it.service).chain(mirrors).collect()
            }
            Self::Failover(it) => vec![it.service, it.fallback],
        }
    }
}

/// `loadBalancer`: a set of servers.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// In the order of the file; may be empty (every request answers 503).
    pub servers: Vec<Server>,
    /// Server-level stickiness, off when `None`.
    pub sticky: Option<StickyCookie>,
    /// What `sticky` says beside the cookie.
    pub sticky_rules: StickyRules,
    /// Active health check, off when `None`.
    pub health_check: Option<HealthCheck>,
    /// Whether the server sees the client's Host (Traefik's default: yes).
    pub pass_host_header: bool,
    /// How its servers are connected to.
    pub transport: TransportIndex,
    /// How a server is chosen where no pin decides.
    pub strategy: Strategy,
    /// Ejection of servers that fail requests, off when `None`.
    pub passive_health_check: Option<PassiveHealthCheck>,
    /// What it does about load, beyond Traefik.
    pub load: Box<LoadRules>,
}

/// `loadBalancer.strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `wrr`: in turn, by weight.
    #[default]
    Wrr,
    /// `p2c`: of two at random the one with less in flight; knows no weights.
    P2c,
    /// `hrw`: by a hash of the client's address; has no cookie.
    Hrw,
    /// `leasttime`: the one that answers soonest, by weight.
    LeastTime,
}

/// One server of a load balancer. Its identity is `(service name, url)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Exactly as configured: the sticky cookie's value is a hash of these bytes, unless it has an
    /// `id`.
    pub url: String,
    /// The name that its pins are made of instead, so that they outlive a change of the URL.
    pub id: Option<String>,
    /// No new pins; those that there are stay. A weight of 0 says the same.
    pub drain: bool,
    /// Share in the rotation; 0 takes part in none (and keeps its pins: a listed difference).
    pub weight: u32,
    /// Join the URL's path and the request's.
    pub preserve_path: bool,
    /// Where it is.
    pub endpoint: Endpoint,
    /// `host:port` or `host` as written in the URL: the Host field when the client's is not passed.
    pub authority: String,
    /// The URL's path, for `preserve_path` and health checks; empty or starts with `/`.
    pub path: String,
    /// The URL's query without `?`, for health checks only.
    pub query: Option<String>,
}

impl Server {
    /// What today's pins are a hash of: the `id`, or the URL.
    #[must_use]
    pub fn pin_name(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.url)
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `http://host:port`; a literal address or a name to be resolved, without brackets.
    Tcp {
        /// Host name, IPv4 or IPv6 address.
        host: String,
        /// 80 unless written.
        port: u16,
    },
    /// `unix:/path`: a Unix-domain stream socket.
    Unix {
        /// Absolute, at most [`UNIX_PATH_BYTES_MAX`] bytes.
        path: String,
    },
}

/// What fits into the kernel's `sun_path` beside its closing NUL (unix(7)).
pub const UNIX_PATH_BYTES_MAX: usize = 107;

impl Endpoint {
    /// Host name or literal address; `None` for a Unix socket.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix { .. } => None,
        }
    }
}

/// `weighted`: chooses among services.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// In the order of the file.
    pub children: Vec<WeightedChild>,
    /// Service-level stickiness, off when `None`.
    pub sticky: Option<StickyCookie>,
    /// What `sticky` says beside the cookie.
    pub sticky_rules: StickyRules,
    /// `healthCheck: {}`: a child all of whose servers are down is left out of the rotation.
    pub propagate_health: bool,
}

/// `highestRandomWeight`: the same service for the same client, without a cookie.
#[derive(Clone, Debug, PartialEq)]
pub struct HighestRandomWeight {
    /// In the order of the file.
    pub children: Vec<WeightedChild>,
    /// As [`Weighted::propagate_health`].
    pub propagate_health: bool,
}

/// `mirroring`: what mirrors answer, nobody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirroring {
    /// Who answers.
    pub service: ServiceIndex,
    /// Who gets copies.
    pub mirrors: Vec<Mirror>,
    /// Copies come with their bodies.
    pub mirror_body: bool,
    /// A request with a longer body is served and not copied.
    pub body_bytes_max: u64,
    /// `healthCheck: {}` was written: a parent may ask for the health of `service`.
    pub propagate_health: bool,
}

/// One mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The service that gets copies.
    pub service: ServiceIndex,
    /// Of how many requests in a hundred.
    pub percent: u8,
}

/// `failover`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Who answers.
    pub service: ServiceIndex,
    /// Who answers while no server of `service` is up.
    pub fallback: ServiceIndex,
    /// `healthCheck: {}` was written: with both down the service itself is.
    pub propagate_health: bool,
    /// Answers of `service` that the client is not shown; the fallback is asked instead.
    pub errors: Option<FailoverErrors>,
}

/// `failover.errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverErrors {
    /// First and last status of each range; never empty.
    pub status: Vec<(u16, u16)>,
    /// Longest request body, since it is held until the answer is known; a longer one is 413.
    pub body_bytes_max: u64,
}

impl FailoverErrors {
    /// Whether an answer with this status is one.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.status.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// Longest body that is held for a mirror or a fallback where the file sets no limit of its own.
pub const HELD_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One child of a weighted service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedChild {
    /// Exactly as written in `services[].name`: the cookie's value is a hash of it.
    pub name: String,
    /// The service that it refers to.
    pub service: ServiceIndex,
    /// Share in the rotation; 0 takes part in none.
    pub weight: u32,
}

/// A sticky cookie; every text in it is safe inside a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyCookie {
    /// Effective name: sanitised, or generated from the service's qualified name.
    pub name: String,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`, omitted when `None`.
    pub same_site: Option<SameSite>,
    /// Seconds; `None` omits the attribute, `Some(0)` renders `Max-Age=0`.
    pub max_age: Option<u64>,
    /// `Path`, omitted when `None` (an empty path was written).
    pub path: Option<String>,
    /// `Domain`, omitted when `None`.
    pub domain: Option<String>,
    /// `Partitioned` (CHIPS): a jar for each top-level site.
    pub partitioned: bool,
    /// Names that it had before: cookies of these still pin, and are replaced.
    pub previous_names: Vec<String>,
    /// The server does not see it.
    pub hide: bool,
    /// What a response that sets it says to shared caches.
    pub cache: CookieCache,
    /// `value: sealed`; `None`: the value is a hash.
    pub sealing: Option<Sealing>,
}

impl StickyCookie {
    /// A cookie with Traefik's defaults. `name` holds cookie name characters only.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            secure: false,
            http_only: false,
            same_site: None,
            max_age: None,
            path: Some("/".to_owned()),
            domain: None,
            partitioned: false,
            previous_names: Vec::new(),
            hide: false,
            cache: CookieCache::Off,
            sealing: None,
        }
    }
}

/// `sticky.cookie.cache`, the more restrictive the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CookieCache {
    /// Nothing, as Traefik.
    #[default]
    Off,
    /// `Cache-Control: private`, unless it says as much already.
    Private,
    /// `Cache-Control: no-store`, unless it says so already.
    NoStore,
}

/// What `sticky` says beside its cookie; the default is Traefik's but for `redispatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyRules {
    /// Refuse a client whose server is down or gone, rather than move it.
    pub strict: Option<Strict>,
    /// A pinned server that refuses the connection is left within the request.
    pub redispatch: bool,
    /// A request field that pins clients without a cookie.
    pub header: Option<String>,
    /// A query parameter that pins clients with neither.
    pub query: Option<String>,
}

impl Default for StickyRules {
    fn default() -> Self {
        Self { strict: None, redispatch: true, header: None, query: None }
    }
}

/// `sticky.strict`: how a client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strict {
    /// With this status, 400 to 599.
    pub status: u16,
    /// Its cookie is deleted in the same answer.
    pub forgets: bool,
}

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `SameSite=None`.
    None,
    /// `SameSite=Lax`.
    Lax,
    /// `SameSite=Strict`.
    Strict,
}

/// How a server is asked for its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthMode {
    /// By a request whose status counts.
    #[default]
    Http,
    /// By `grpc.health.v1.Health/Check`, which must say SERVING; in plain text.
    Grpc,
}

/// `loadBalancer.healthCheck`; times have Traefik's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// HTTP or gRPC; all but `hostname`, `port` and the times mean HTTP alone.
    pub mode: HealthMode,
    /// Relative reference, resolved against the server's URL (an absolute path replaces).
    pub path: String,
    /// Method, GET unless written.
    pub method: String,
    /// Exact status that is healthy; `None`: 200 to 399.
    pub status: Option<u16>,
    /// Host field, the server's authority unless written.
    pub hostname: Option<String>,
    /// Port, the server's unless written.
    pub port: Option<u16>,
    /// Between two probes of a server that is up.
    pub interval: Duration,
    /// Between two probes of a server that is down.
    pub unhealthy_interval: Duration,
    /// Of one whole probe.
    pub timeout: Duration,
    /// Added to the probe; name and value.
    pub headers: Vec<(String, String)>,
    /// Follow redirects (at most 10) and judge what is at their end.
    pub follow_redirects: bool,
    /// Good probes in a row after which a server that was down is up.
    pub healthy_threshold: u32,
    /// Bad probes in a row after which a server that was up is down.
    pub unhealthy_threshold: u32,
}

/// `loadBalancer.passiveHealthCheck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassiveHealthCheck {
    /// Failures count for so long, and so long an ejected server is left out unless an active
    /// check brings it back.
    pub failure_window: Duration,
    /// So many failures eject, without a success between them; at least 1.
    pub failed_attempts_max: u32,
}

/// `serversTransport`: how servers are connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Qualified name; `default@internal` for the static one.
    pub name: String,
    /// Idle connections kept per server and worker.
    pub idle_per_server_max: usize,
    /// Of one connection attempt; `None`: no limit.
    pub dial_timeout: Option<Duration>,
    /// From the end of the request to the response head; `None`: no limit.
    pub response_header_timeout: Option<Duration>,
    /// How long an idle connection is kept; `None`: no limit.
    pub idle_timeout: Option<Duration>,
}
