//! Traefik's JSON, key by key in its order, as far as sundew has what it says. Pure shapes;
//! `render` fills them.

use std::collections::BTreeMap;

use serde::Serialize;

/// `router` of `/api/http/routers`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouterShape {
    pub(super) entry_points: Vec<String>,
    pub(super) service: String,
    pub(super) rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_syntax: Option<&'static str>,
    pub(super) priority: i64,
    pub(super) observability: Observability,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) error: Vec<String>,
    pub(super) status: &'static str,
    pub(super) using: Vec<String>,
    #[serde(flatten)]
    pub(super) own: Option<OwnName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority_str: Option<String>,
}

/// What a list says and `/api/rawdata` has as its key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OwnName {
    pub(super) name: String,
    pub(super) provider: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Observability {
    pub(super) access_logs: bool,
    pub(super) metrics: bool,
    pub(super) tracing: bool,
    pub(super) trace_verbosity: &'static str,
}

/// Traefik's defaults, whatever they mean for a proxy that traces nothing.
pub(super) const OBSERVED: Observability =
    Observability { access_logs: true, metrics: true, tracing: true, trace_verbosity: "minimal" };

/// `service` of `/api/http/services`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_balancer: Option<BalancerShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weighted: Option<WeightedShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) highest_random_weight: Option<WeightedShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mirroring: Option<MirroringShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failover: Option<FailoverShape>,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) used_by: Vec<String>,
    #[serde(flatten)]
    pub(super) own: Option<OwnName>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) server_status: BTreeMap<String, &'static str>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalancerShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sticky: Option<StickyShape>,
    pub(super) servers: Vec<ServerShape>,
    pub(super) strategy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<HealthShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passive_health_check: Option<PassiveShape>,
    pub(super) pass_host_header: bool,
    pub(super) response_forwarding: Forwarding,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) servers_transport: Option<String>,
}

/// Never anything else: sundew holds no response back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forwarding {
    pub(super) flush_interval: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct StickyShape {
    pub(super) cookie: CookieShape,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CookieShape {
    pub(super) name: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) secure: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) http_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) same_site: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_age: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerShape {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) preserve_path: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HealthShape {
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    pub(super) interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unhealthy_interval: Option<String>,
    pub(super) timeout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostname: Option<String>,
    pub(super) follow_redirects: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct WeightedShape {
    pub(super) services: Vec<ChildShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sticky: Option<StickyShape>,
    #[serde(rename = "healthCheck", skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<Nothing>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PassiveShape {
    pub(super) failure_window: String,
    pub(super) max_failed_attempts: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MirroringShape {
    pub(super) service: String,
    pub(super) mirror_body: bool,
    /// -1 for no limit.
    pub(super) max_body_size: i64,
    pub(super) mirrors: Vec<MirrorShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<Nothing>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct MirrorShape {
    pub(super) name: String,
    pub(super) percent: u8,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailoverShape {
    pub(super) service: String,
    pub(super) fallback: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<Nothing>,
}

/// `{}`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Nothing {}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ChildShape {
    pub(super) name: String,
    pub(super) weight: u32,
}

/// `/api/rawdata`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RawShape {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) routers: BTreeMap<String, RouterShape>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) services: BTreeMap<String, ServiceShape>,
}

/// `/api/overview`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OverviewShape {
    pub(super) http: SchemeShape,
    pub(super) tcp: SchemeShape,
    pub(super) udp: SchemeShape,
    pub(super) certificates: CountShape,
    pub(super) features: FeaturesShape,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) providers: Vec<&'static str>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SchemeShape {
    pub(super) routers: CountShape,
    pub(super) services: CountShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) middlewares: Option<CountShape>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CountShape {
    pub(super) total: usize,
    pub(super) warnings: usize,
    pub(super) errors: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeaturesShape {
    pub(super) tracing: &'static str,
    pub(super) metrics: &'static str,
    pub(super) access_log: bool,
}

/// `/api/version`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct VersionShape {
    #[serde(rename = "Version")]
    pub(super) version: &'static str,
    #[serde(rename = "Codename")]
    pub(super) codename: &'static str,
    #[serde(rename = "startDate")]
    pub(super) start_date: String,
}

/// An entry point.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryPointShape {
    pub(super) address: String,
    pub(super) transport: TransportShape,
    pub(super) forwarded_headers: TrustShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy_protocol: Option<TrustShape>,
    pub(super) http: EntryHttpShape,
    pub(super) name: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransportShape {
    pub(super) life_cycle: LifeCycleShape,
    pub(super) responding_timeouts: RespondingShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive_max_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive_max_requests: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LifeCycleShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_accept_grace_timeout: Option<String>,
    #[serde(rename = "graceTimeOut")]
    pub(super) grace_timeout: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RespondingShape {
    pub(super) read_timeout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) write_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_timeout: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TrustShape {
    #[serde(skip_serializing_if = "is_false")]
    pub(super) insecure: bool,
    #[serde(rename = "trustedIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) trusted_ips: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryHttpShape {
    #[serde(skip_serializing_if = "is_false")]
    pub(super) encode_query_semicolons: bool,
    pub(super) sanitize_path: bool,
    pub(super) max_header_bytes: usize,
}

/// A server as `servers` lists it; sundew's own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StandingShape {
    pub(super) service: String,
    pub(super) id: String,
    pub(super) url: String,
    /// `ready`, `drain` or `down`, as in force.
    pub(super) state: &'static str,
    /// By its health check; `UP` without one.
    pub(super) health: &'static str,
    pub(super) since: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) requests: u64,
    pub(super) in_flight: u64,
    pub(super) pins: PinsShape,
}

/// Who came with a pin of late.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PinsShape {
    /// Of the count.
    pub(super) window: String,
    /// Distinct addresses of clients.
    pub(super) clients: u64,
    /// When the last one came, whether or not within the window.
    pub(super) last_seen: Option<String>,
    pub(super) last_seen_seconds_ago: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
