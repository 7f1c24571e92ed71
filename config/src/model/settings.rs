//! The `sundew:` section: what Traefik has no word for.

use std::time::Duration;

/// The `sundew:` section of the static file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Data-plane workers; `None`: one for every CPU of the process's affinity mask.
    pub workers: Option<usize>,
    /// Pin workers to CPUs; `None`: only when there are as many workers as CPUs.
    pub pin: Option<bool>,
    /// Which event loop.
    pub driver: DriverChoice,
    /// Entries of each worker's ring.
    pub ring_entries: u32,
    /// How often server names are resolved again.
    pub resolve_interval: Duration,
    /// Limits on what a peer may send.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: None,
            pin: None,
            driver: DriverChoice::Auto,
            ring_entries: 1024,
            resolve_interval: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

/// `sundew.driver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverChoice {
    /// `io_uring` where the kernel lets us, otherwise epoll.
    Auto,
    /// `io_uring` or no start.
    Uring,
    /// epoll.
    Epoll,
}

/// `sundew.limits`: each has a named default. Times of `None` are off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `headBytes`: of a request or response head (http1 C12, D17).
    pub head_bytes_max: usize,
    /// `headFields`: fields of a head.
    pub head_fields_max: usize,
    /// `requestLineBytes`.
    pub request_line_bytes_max: usize,
    /// `headTimeout`: from the first byte of a head to its last (G1).
    pub head_timeout: Duration,
    /// `bodyRateMin`: bytes per second below which an upload is refused (G2); 0 is off.
    pub body_rate_min: u64,
    /// `bodyRateWindow`: for how long it may be slower.
    pub body_rate_window: Duration,
    /// `sendTimeout`: how long a send to a client may make no progress (G3).
    pub send_timeout: Duration,
    /// `tunnelIdleTimeout`: an upgraded connection without a byte; off unless written.
    pub tunnel_idle_timeout: Option<Duration>,
    /// `connections`: of clients, in the whole process (G6); off unless written.
    pub connections_max: Option<usize>,
    /// `connectionsPerAddress`: of one client address (of one /64 with IPv6), in the whole process
    /// (G6); off unless written.
    pub connections_per_address_max: Option<u32>,
    /// `requestsPerConnection`: after so many a client's connection is closed (G4); off unless
    /// written. `keepAliveMaxRequests` of an entry point goes before it.
    pub requests_per_connection_max: Option<u64>,
    /// `requestBodyBytes`: of one request, without its framing (B14); off unless written.
    pub request_body_bytes_max: Option<u64>,
    /// `memory` (G7).
    pub memory: MemoryLimit,
}

/// `sundew.limits.memory`: what the process measures its memory against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLimit {
    /// The limit of the process's control group; none where that has none.
    #[default]
    Auto,
    /// None.
    Off,
    /// So many bytes of resident memory.
    Bytes(u64),
}

impl Limits {
    /// Default of [`Limits::head_bytes_max`] (http1 C12).
    pub const HEAD_BYTES_MAX: usize = 64 * 1024;
    /// Default of [`Limits::head_fields_max`] (http1 C12).
    pub const HEAD_FIELDS_MAX: usize = 100;
    /// Default of [`Limits::request_line_bytes_max`] (http1 C12).
    pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;
    /// Default of [`Limits::head_timeout`] (http1 G1).
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of [`Limits::body_rate_min`] (http1 G2).
    pub const BODY_RATE_MIN: u64 = 240;
    /// Default of [`Limits::body_rate_window`] (http1 G2).
    pub const BODY_RATE_WINDOW: Duration = Duration::from_secs(10);
    /// Default of [`Limits::send_timeout`] (http1 G3).
    pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: Self::HEAD_BYTES_MAX,
            head_fields_max: Self::HEAD_FIELDS_MAX,
            request_line_bytes_max: Self::REQUEST_LINE_BYTES_MAX,
            head_timeout: Self::HEAD_TIMEOUT,
            body_rate_min: Self::BODY_RATE_MIN,
            body_rate_window: Self::BODY_RATE_WINDOW,
            send_timeout: Self::SEND_TIMEOUT,
            tunnel_idle_timeout: None,
            connections_max: None,
            connections_per_address_max: None,
            requests_per_connection_max: None,
            request_body_bytes_max: None,
            memory: MemoryLimit::Auto,
        }
    }
}
