//! Mirror of Traefik's static configuration, and of the `sundew:` section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Accepted, Http, Noted, ServersTransport, Unsupported};

/// A whole file; the last four keys are its dynamic part.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Root {
    pub(crate) entry_points: BTreeMap<String, EntryPoint>,
    pub(crate) providers: Providers,
    pub(crate) servers_transport: ServersTransport,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) log: Log,
    pub(crate) ping: Option<Ping>,
    pub(crate) api: Option<Api>,
    pub(crate) core: Core,
    pub(crate) sundew: Sundew,
    global: Option<Noted>,
    experimental: Option<Noted>,
    tracing: Option<Noted>,
    tcp_servers_transport: Option<Noted>,
    certificates_resolvers: Option<Noted>,
    ocsp: Option<Noted>,
    pub(crate) metrics: Option<Metrics>,
    host_resolver: Option<Unsupported>,
    spiffe: Option<Unsupported>,
    pub(crate) http: Http,
    tcp: Option<Unsupported>,
    udp: Option<Unsupported>,
    // Certificates serve nobody before a router or an entry point may have `tls`, which reports.
    tls: Option<Noted>,
}

/// `core`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Core {
    pub(crate) default_rule_syntax: Option<String>,
    #[serde(rename = "strictTLSOptions")]
    strict_tls_options: Option<Noted>,
}

/// `entryPoints.<name>`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPoint {
    pub(crate) address: String,
    pub(crate) as_default: bool,
    pub(crate) forwarded_headers: ForwardedHeaders,
    pub(crate) proxy_protocol: ProxyProtocol,
    pub(crate) transport: EntryPointTransport,
    pub(crate) http: EntryPointHttp,
    #[serde(rename = "allowACMEByPass")]
    allow_acme_by_pass: Option<Noted>,
    http2: Option<Noted>,
    observability: Option<Noted>,
    reuse_port: Accepted,
    http3: Option<Unsupported>,
    udp: Option<Unsupported>,
}

/// `forwardedHeaders`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForwardedHeaders {
    pub(crate) insecure: bool,
    #[serde(rename = "trustedIPs")]
    pub(crate) trusted_ips: Vec<String>,
    pub(crate) not_append_x_forwarded_for: bool,
    // Keeps fields for middlewares only; they never reach a server.
    connection: Option<Noted>,
}

/// `proxyProtocol`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProxyProtocol {
    pub(crate) insecure: bool,
    #[serde(rename = "trustedIPs")]
    pub(crate) trusted_ips: Vec<String>,
}

/// `transport` of an entry point.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPointTransport {
    pub(crate) responding_timeouts: RespondingTimeouts,
    pub(crate) life_cycle: LifeCycle,
    pub(crate) keep_alive_max_requests: i64,
    pub(crate) keep_alive_max_time: Option<String>,
}

/// `respondingTimeouts`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RespondingTimeouts {
    pub(crate) read_timeout: Option<String>,
    pub(crate) write_timeout: Option<String>,
    pub(crate) idle_timeout: Option<String>,
}

/// `lifeCycle`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LifeCycle {
    pub(crate) request_accept_grace_timeout: Option<String>,
    #[serde(rename = "graceTimeOut")]
    pub(crate) grace_timeout: Option<String>,
}

/// `http` of an entry point.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPointHttp {
    pub(crate) sanitize_path: Option<bool>,
    pub(crate) encode_query_semicolons: bool,
    pub(crate) max_header_bytes: i64,
    pub(crate) alias_headers_strategy: Option<String>,
    pub(crate) underscore_headers_strategy: Option<String>,
    pub(crate) middlewares: Option<Unsupported>,
    pub(crate) tls: Option<Unsupported>,
    redirections: Option<Unsupported>,
    encoded_characters: Option<Unsupported>,
}

/// `providers`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Providers {
    pub(crate) file: Option<FileProvider>,
    pub(crate) providers_throttle_duration: Option<String>,
    precedence: Option<Noted>,
    docker: Option<Unsupported>,
    swarm: Option<Unsupported>,
    #[serde(rename = "kubernetesIngress")]
    kubernetes_ingress: Option<Unsupported>,
    #[serde(rename = "kubernetesIngressNGINX")]
    kubernetes_ingress_nginx: Option<Unsupported>,
    #[serde(rename = "kubernetesCRD")]
    kubernetes_crd: Option<Unsupported>,
    kubernetes_gateway: Option<Unsupported>,
    knative: Option<Unsupported>,
    rest: Option<Unsupported>,
    consul_catalog: Option<Unsupported>,
    nomad: Option<Unsupported>,
    ecs: Option<Unsupported>,
    consul: Option<Unsupported>,
    etcd: Option<Unsupported>,
    #[serde(rename = "zooKeeper")]
    zoo_keeper: Option<Unsupported>,
    redis: Option<Unsupported>,
    http: Option<Unsupported>,
    plugin: Option<Unsupported>,
}

/// `providers.file`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileProvider {
    pub(crate) filename: String,
    pub(crate) directory: String,
    pub(crate) watch: Option<bool>,
    debug_log_generated_template: Accepted,
}

/// `accessLog`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLog {
    pub(crate) file_path: String,
    pub(crate) format: String,
    pub(crate) buffering_size: i64,
    pub(crate) filters: AccessLogFilters,
    pub(crate) fields: AccessLogFields,
    pub(crate) add_internals: bool,
    dual_output: Option<Noted>,
    otlp: Option<Unsupported>,
}

/// `accessLog.filters`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogFilters {
    pub(crate) status_codes: Vec<String>,
    pub(crate) retry_attempts: bool,
    pub(crate) min_duration: Option<String>,
}

/// `accessLog.fields`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogFields {
    pub(crate) default_mode: String,
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) headers: AccessLogHeaders,
    pub(crate) query_parameters: AccessLogQuery,
}

/// `accessLog.fields.headers`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogHeaders {
    pub(crate) default_mode: String,
    pub(crate) names: BTreeMap<String, String>,
}

/// `accessLog.fields.queryParameters`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogQuery {
    pub(crate) default_mode: String,
}

/// `log`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
    pub(crate) file_path: String,
    no_color: Accepted,
    max_size: Accepted,
    max_age: Accepted,
    max_backups: Accepted,
    compress: Accepted,
    otlp: Option<Unsupported>,
}

/// `ping`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ping {
    pub(crate) entry_point: Option<String>,
    pub(crate) manual_routing: bool,
    pub(crate) terminating_status_code: Option<i64>,
}

/// `api`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) insecure: bool,
    dashboard: Accepted,
    debug: Accepted,
    disable_dashboard_ad: Accepted,
    dashboard_name: Accepted,
    base_path: Accepted,
}

/// `metrics`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Metrics {
    pub(crate) prometheus: Option<Prometheus>,
    add_internals: Accepted,
    datadog: Option<Unsupported>,
    #[serde(rename = "statsD")]
    stats_d: Option<Unsupported>,
    influx_db2: Option<Unsupported>,
    otlp: Option<Unsupported>,
}

/// `metrics.prometheus`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Prometheus {
    pub(crate) buckets: Option<Vec<f64>>,
    pub(crate) add_entry_points_labels: Option<bool>,
    pub(crate) add_routers_labels: bool,
    pub(crate) add_services_labels: Option<bool>,
    pub(crate) entry_point: Option<String>,
    pub(crate) manual_routing: bool,
    header_labels: Option<Unsupported>,
}

/// `sundew`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sundew {
    pub(crate) workers: Option<i64>,
    pub(crate) pin: Option<bool>,
    pub(crate) driver: String,
    pub(crate) ring_entries: Option<i64>,
    pub(crate) resolve_interval: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) api: SundewApi,
    pub(crate) state_file: Option<String>,
}

/// `sundew.api`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SundewApi {
    pub(crate) socket: Option<String>,
    pub(crate) remote_writes: bool,
}

/// `sundew.limits`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) head_bytes: Option<i64>,
    pub(crate) head_fields: Option<i64>,
    pub(crate) request_line_bytes: Option<i64>,
    pub(crate) head_timeout: Option<String>,
    pub(crate) body_rate_min: Option<i64>,
    pub(crate) body_rate_window: Option<String>,
    pub(crate) send_timeout: Option<String>,
    pub(crate) tunnel_idle_timeout: Option<String>,
    pub(crate) connections: Option<i64>,
    pub(crate) connections_per_address: Option<i64>,
    pub(crate) requests_per_connection: Option<i64>,
    pub(crate) request_body_bytes: Option<String>,
    pub(crate) memory: Option<String>,
}
