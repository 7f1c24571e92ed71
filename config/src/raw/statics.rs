//! Mirror of Traefik's static configuration, and of the `sundew:` section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Accepted, Http, Noted, ServersTransport, Unsupported};

/// A whole file; the last four keys are its dynamic part.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Root {
    /// Addresses that clients connect to; `http` on port 80 when there is none.
    pub(crate) entry_points: BTreeMap<String, EntryPoint>,
    /// Where the dynamic part comes from.
    pub(crate) providers: Providers,
    /// How servers are connected to, unless a service names another transport.
    pub(crate) servers_transport: ServersTransport,
    /// A line for each request; `accessLog: {}` takes every default.
    pub(crate) access_log: Option<AccessLog>,
    /// What the process says of itself.
    pub(crate) log: Log,
    /// Answers /ping.
    pub(crate) ping: Option<Ping>,
    /// The API for operators.
    pub(crate) api: Option<Api>,
    /// Defaults of the rule language.
    pub(crate) core: Core,
    /// What Traefik does not have.
    pub(crate) sundew: Sundew,
    global: Option<Noted>,
    experimental: Option<Noted>,
    tracing: Option<Noted>,
    tcp_servers_transport: Option<Noted>,
    certificates_resolvers: Option<Noted>,
    ocsp: Option<Noted>,
    /// Numbers for monitoring.
    pub(crate) metrics: Option<Metrics>,
    host_resolver: Option<Unsupported>,
    spiffe: Option<Unsupported>,
    /// Routers, services and what they use.
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
    /// Only v3.
    #[schemars(extend("default" = "v3"))]
    pub(crate) default_rule_syntax: Option<String>,
    #[serde(rename = "strictTLSOptions")]
    strict_tls_options: Option<Noted>,
}

/// `entryPoints.<name>`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPoint {
    /// [host]:port; without a host every address, IPv4 and IPv6.
    pub(crate) address: String,
    /// Routers that name no entry point are on those with true, when there is one.
    pub(crate) as_default: bool,
    /// Whose X-Forwarded-* are believed.
    pub(crate) forwarded_headers: ForwardedHeaders,
    /// Whose PROXY protocol headers (version 1 and 2) are believed.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// Timeouts and the end of connections.
    pub(crate) transport: EntryPointTransport,
    /// How its requests are read.
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
    /// Everybody is believed.
    pub(crate) insecure: bool,
    /// Addresses and networks that are believed.
    #[serde(rename = "trustedIPs")]
    pub(crate) trusted_ips: Vec<String>,
    /// The peer's address is not added to X-Forwarded-For.
    pub(crate) not_append_x_forwarded_for: bool,
    // Keeps fields for middlewares only; they never reach a server.
    connection: Option<Noted>,
}

/// `proxyProtocol`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProxyProtocol {
    /// Everybody is believed.
    pub(crate) insecure: bool,
    /// Addresses and networks that are believed.
    #[serde(rename = "trustedIPs")]
    pub(crate) trusted_ips: Vec<String>,
}

/// `transport` of an entry point.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPointTransport {
    /// How long a client may take.
    pub(crate) responding_timeouts: RespondingTimeouts,
    /// What happens at a stop.
    pub(crate) life_cycle: LifeCycle,
    /// A connection ends after so many; 0: no limit.
    pub(crate) keep_alive_max_requests: i64,
    /// A connection ends after this time; no limit unless written.
    pub(crate) keep_alive_max_time: Option<String>,
}

/// `respondingTimeouts`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RespondingTimeouts {
    /// The whole request; 0: no limit. Unless written `sundew.limits` watches head and body.
    pub(crate) read_timeout: Option<String>,
    /// The whole response; no limit unless written.
    pub(crate) write_timeout: Option<String>,
    /// Between two requests of a connection; 0: no limit.
    #[schemars(extend("default" = "180s"))]
    pub(crate) idle_timeout: Option<String>,
}

/// `lifeCycle`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LifeCycle {
    /// How long connections are accepted after a stop was asked for.
    #[schemars(extend("default" = "0s"))]
    pub(crate) request_accept_grace_timeout: Option<String>,
    /// How long requests in flight may take then.
    #[serde(rename = "graceTimeOut")]
    #[schemars(extend("default" = "10s"))]
    pub(crate) grace_timeout: Option<String>,
}

/// `http` of an entry point.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EntryPointHttp {
    /// Removes //, /./ and /../ before routing.
    #[schemars(extend("default" = true))]
    pub(crate) sanitize_path: Option<bool>,
    /// `;` in a query becomes %3B, otherwise &.
    pub(crate) encode_query_semicolons: bool,
    /// Size of a head; unless written (0), that and more of `sundew.limits`.
    pub(crate) max_header_bytes: i64,
    /// Only keep.
    pub(crate) alias_headers_strategy: Option<String>,
    /// Only keep.
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
    /// Files.
    pub(crate) file: Option<FileProvider>,
    /// At most one reload in this time.
    #[schemars(extend("default" = "2s"))]
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
    /// One file.
    pub(crate) filename: String,
    /// Every .yml, .yaml and .toml file below a directory; of two definitions of a name the first
    /// counts.
    pub(crate) directory: String,
    /// Reloads when a file changes.
    #[schemars(extend("default" = true))]
    pub(crate) watch: Option<bool>,
    debug_log_generated_template: Accepted,
}

/// `accessLog`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLog {
    /// Where lines go; standard output unless written.
    pub(crate) file_path: String,
    /// common, genericCLF or json.
    #[schemars(extend("default" = "common"))]
    pub(crate) format: String,
    /// Lines that are written together.
    pub(crate) buffering_size: i64,
    /// Which requests have a line; all unless written.
    pub(crate) filters: AccessLogFilters,
    /// What lines hold.
    pub(crate) fields: AccessLogFields,
    /// Lines for ping and the API too.
    pub(crate) add_internals: bool,
    dual_output: Option<Noted>,
    otlp: Option<Unsupported>,
}

/// `accessLog.filters`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogFilters {
    /// Statuses and ranges, such as 500-599.
    pub(crate) status_codes: Vec<String>,
    /// Requests that were retried.
    pub(crate) retry_attempts: bool,
    /// Requests that took at least so long.
    pub(crate) min_duration: Option<String>,
}

/// `accessLog.fields`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogFields {
    /// keep, drop or redact, for every field that `names` does not have.
    #[schemars(extend("default" = "keep"))]
    pub(crate) default_mode: String,
    /// A mode for each field.
    pub(crate) names: BTreeMap<String, String>,
    /// Fields of requests and answers.
    pub(crate) headers: AccessLogHeaders,
    /// Parameters of the query.
    pub(crate) query_parameters: AccessLogQuery,
}

/// `accessLog.fields.headers`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogHeaders {
    /// keep, drop or redact.
    #[schemars(extend("default" = "drop"))]
    pub(crate) default_mode: String,
    /// A mode for each.
    pub(crate) names: BTreeMap<String, String>,
}

/// `accessLog.fields.queryParameters`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessLogQuery {
    /// keep, drop or redact.
    #[schemars(extend("default" = "keep"))]
    pub(crate) default_mode: String,
}

/// `log`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Log {
    /// TRACE, DEBUG, INFO, WARN, ERROR, FATAL or PANIC.
    #[schemars(extend("default" = "INFO"))]
    pub(crate) level: String,
    /// common or json.
    #[schemars(extend("default" = "common"))]
    pub(crate) format: String,
    /// Where lines go; standard error unless written.
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
    /// Name of the entry point that answers.
    #[schemars(extend("default" = "traefik"))]
    pub(crate) entry_point: Option<String>,
    /// Only a router to ping@internal leads to it.
    pub(crate) manual_routing: bool,
    /// Status while the process stops.
    #[schemars(extend("default" = 503))]
    pub(crate) terminating_status_code: Option<i64>,
}

/// `api`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Api {
    /// On the entry point `traefik`, which is 127.0.0.1:8080 unless written.
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
    /// A page for Prometheus at /metrics.
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
    /// Upper ends of the histogram's buckets, in seconds.
    #[schemars(extend("default" = [0.1, 0.3, 1.2, 5.0]))]
    pub(crate) buckets: Option<Vec<f64>>,
    /// Counts by entry point.
    #[schemars(extend("default" = true))]
    pub(crate) add_entry_points_labels: Option<bool>,
    /// Counts by router.
    pub(crate) add_routers_labels: bool,
    /// Counts by service.
    #[schemars(extend("default" = true))]
    pub(crate) add_services_labels: Option<bool>,
    /// Name of the entry point, which is then for metrics alone.
    #[schemars(extend("default" = "traefik"))]
    pub(crate) entry_point: Option<String>,
    /// Only false.
    pub(crate) manual_routing: bool,
    header_labels: Option<Unsupported>,
}

/// `sundew`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sundew {
    /// Data-plane threads; one for each CPU of the affinity mask unless written.
    pub(crate) workers: Option<i64>,
    /// Ties workers to CPUs; when there are as many unless written.
    pub(crate) pin: Option<bool>,
    /// uring, epoll or auto: whichever works.
    #[schemars(extend("default" = "auto"))]
    pub(crate) driver: String,
    /// Size of each ring.
    #[schemars(extend("default" = 1024))]
    pub(crate) ring_entries: Option<i64>,
    /// How often names of servers are looked up.
    #[schemars(extend("default" = "30s"))]
    pub(crate) resolve_interval: Option<String>,
    /// Limits on everybody.
    pub(crate) limits: Limits,
    /// Who may give orders.
    pub(crate) api: SundewApi,
    /// Keeps what operators ordered over a restart.
    pub(crate) state_file: Option<String>,
}

/// `sundew.api`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SundewApi {
    /// Unix socket of the API, for its owner alone.
    pub(crate) socket: Option<String>,
    /// Writes from everybody who reaches the API's entry point.
    pub(crate) remote_writes: bool,
}

/// `sundew.limits`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// Head of a request or a response.
    #[schemars(extend("default" = 65_536))]
    pub(crate) head_bytes: Option<i64>,
    /// Its fields.
    #[schemars(extend("default" = 100))]
    pub(crate) head_fields: Option<i64>,
    /// Its first line.
    #[schemars(extend("default" = 8192))]
    pub(crate) request_line_bytes: Option<i64>,
    /// From its first byte to its last.
    #[schemars(extend("default" = "10s"))]
    pub(crate) head_timeout: Option<String>,
    /// Bytes per second of an upload; 0: no limit.
    #[schemars(extend("default" = 240))]
    pub(crate) body_rate_min: Option<i64>,
    /// How long it may be slower.
    #[schemars(extend("default" = "10s"))]
    pub(crate) body_rate_window: Option<String>,
    /// How long a client may read nothing.
    #[schemars(extend("default" = "30s"))]
    pub(crate) send_timeout: Option<String>,
    /// An upgraded connection without a byte; no limit unless written.
    pub(crate) tunnel_idle_timeout: Option<String>,
    /// Connections of clients to the process; no limit unless written.
    pub(crate) connections: Option<i64>,
    /// The same for each client address, IPv6 by /64; no limit unless written.
    pub(crate) connections_per_address: Option<i64>,
    /// A connection ends after so many; no limit unless written.
    pub(crate) requests_per_connection: Option<i64>,
    /// A larger body is 413; a number, or such as 10MiB; no limit unless written.
    pub(crate) request_body_bytes: Option<String>,
    /// auto (that of the control group), off, or a size such as 512MiB.
    #[schemars(extend("default" = "auto"))]
    pub(crate) memory: Option<String>,
}
