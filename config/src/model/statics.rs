//! The static configuration: read once at start; a change needs a restart.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{Admin, EntryPointIndex, Settings, Transport};

/// The static configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticModel {
    /// Every entry point; never empty.
    pub entry_points: Vec<EntryPoint>,
    /// `providers.file`; `None` when only the static file itself holds routers, or flags do.
    pub file_provider: Option<FileProvider>,
    /// `providers.providersThrottleDuration`: at most one reload in this time.
    pub providers_throttle: Duration,
    /// Off when `None`.
    pub access_log: Option<AccessLogOptions>,
    /// The log of the process itself.
    pub log: LogOptions,
    /// `/ping`, off when `None`.
    pub ping: Option<Ping>,
    /// The static `serversTransport`.
    pub transport: Transport,
    /// The `sundew:` section.
    pub settings: Settings,
    /// What operators see at run time.
    pub admin: Admin,
}

/// One entry point: an address that clients connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryPoint {
    /// Its name in the file.
    pub name: String,
    /// Where it listens.
    pub address: ListenAddress,
    /// Whose `X-Forwarded-*` are believed.
    pub forwarded_headers: ForwardedHeaders,
    /// Whose PROXY protocol headers are believed.
    pub proxy_protocol: ProxyProtocol,
    /// `transport.respondingTimeouts`.
    pub timeouts: RespondingTimeouts,
    /// `transport.lifeCycle.graceTimeOut`: how long requests in flight may take at a stop.
    pub grace: Duration,
    /// `transport.lifeCycle.requestAcceptGraceTimeout`: how long it goes on accepting at a stop.
    pub request_accept_grace: Duration,
    /// `transport.keepAliveMaxRequests`; `None`: no limit.
    pub keep_alive_requests_max: Option<u64>,
    /// `transport.keepAliveMaxTime`; `None`: no limit.
    pub keep_alive_time_max: Option<Duration>,
    /// `http.sanitizePath`: remove `//`, `/./` and `/../` before routing.
    pub sanitize_path: bool,
    /// `http.encodeQuerySemicolons`: `;` in a query becomes `%3B`, otherwise `&`.
    pub encode_query_semicolons: bool,
    /// `http.maxHeaderBytes`, when written: the head's size, without limits of line and count.
    pub head_bytes_max: Option<usize>,
}

/// `host:port` as written; an empty host means every address, IPv6 and IPv4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// Empty, an address without brackets, or a name that is resolved at start.
    pub host: String,
    /// 0 lets the kernel choose.
    pub port: u16,
}

/// `forwardedHeaders` of an entry point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedHeaders {
    /// Believe every peer.
    pub insecure: bool,
    /// Believe these.
    pub trusted_ips: Vec<IpNet>,
    /// `notAppendXForwardedFor`.
    pub not_append_forwarded_for: bool,
}

impl ForwardedHeaders {
    /// Whether a peer is believed.
    #[must_use]
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        is_believed(peer, self.insecure, &self.trusted_ips)
    }
}

fn is_believed(peer: IpAddr, everybody: bool, networks: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    everybody || networks.iter().any(|network| network.contains(&peer))
}

/// `proxyProtocol` of an entry point; nobody is believed unless it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Believe every peer.
    pub insecure: bool,
    /// Believe these.
    pub trusted_ips: Vec<IpNet>,
}

impl ProxyProtocol {
    /// Whether a peer is believed.
    #[must_use]
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        is_believed(peer, self.insecure, &self.trusted_ips)
    }
}

/// `transport.respondingTimeouts`; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RespondingTimeouts {
    /// The whole request, only when it is written in the file.
    pub read: Option<Duration>,
    /// The whole response.
    pub write: Option<Duration>,
    /// Between two requests of a connection (180 s).
    pub idle: Option<Duration>,
}

/// `providers.file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProvider {
    /// What is read.
    pub source: FileSource,
    /// Reload when it changes.
    pub watch: bool,
}

/// What the file provider reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// One file.
    File(PathBuf),
    /// Every `.yml`, `.yaml` and `.toml` below a directory.
    Directory(PathBuf),
}

/// `ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The entry point with the built-in router; `None` with `manualRouting`.
    pub entry_point: Option<EntryPointIndex>,
    /// Status while the process stops (503).
    pub terminating_status: u16,
}

/// `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// Where to; `None`: standard error.
    pub file: Option<PathBuf>,
    /// JSON lines instead of text.
    pub json: bool,
}

/// Levels of `log.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// `accessLog`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogOptions {
    /// Where to; `None`: standard output.
    pub file: Option<PathBuf>,
    /// Of a line.
    pub format: AccessLogFormat,
    /// `bufferingSize`: lines kept in memory before they are written; 0 writes each tick.
    pub buffering_lines: usize,
    /// Which requests are logged; any filter that matches keeps a line.
    pub filters: AccessLogFilters,
    /// Which fields are kept (JSON; header fields also in the common format).
    pub fields: AccessLogFields,
    /// `addInternals`: log `/ping` too.
    pub internals: bool,
}

/// `accessLog.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Traefik's common format.
    Common,
    /// The common format up to User-Agent.
    GenericClf,
    /// One JSON object a line.
    Json,
}

/// `accessLog.filters`; none set keeps every line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogFilters {
    /// Inclusive ranges of status codes.
    pub status_codes: Vec<(u16, u16)>,
    /// Keep what was retried.
    pub retry_attempts: bool,
    /// Keep what took at least this long.
    pub duration_min: Option<Duration>,
}

impl AccessLogFilters {
    /// Whether any filter is set.
    #[must_use]
    pub fn is_any_set(&self) -> bool {
        !self.status_codes.is_empty() || self.retry_attempts || self.duration_min.is_some()
    }
}

/// `accessLog.fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogFields {
    /// For names that `names` does not list; `Keep` unless written.
    pub default_mode: FieldMode,
    /// By field name, as Traefik spells it (`ClientHost`).
    pub names: Vec<(String, FieldMode)>,
    /// `headers.defaultMode`; `Drop` unless written.
    pub header_default_mode: FieldMode,
    /// By canonical header name (`User-Agent`).
    pub headers: Vec<(String, FieldMode)>,
    /// `queryParameters.defaultMode`; `Keep` unless written.
    pub query_default_mode: FieldMode,
}

impl Default for AccessLogFields {
    fn default() -> Self {
        Self {
            default_mode: FieldMode::Keep,
            names: Vec::new(),
            header_default_mode: FieldMode::Drop,
            headers: Vec::new(),
            query_default_mode: FieldMode::Keep,
        }
    }
}

/// What happens to a field of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldMode {
    /// Written.
    Keep,
    /// Left out.
    Drop,
    /// Written as `REDACTED`.
    Redact,
}
