//! What all connections of one worker share. One thread: `Rc` and `Cell`, no lock, no atomic.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sundew_config::model::{
    EntryPoint, ForwardedHeaders, Limits, Model, ProxyProtocol, ServerIndex, ServiceIndex,
    StaticModel,
};

use super::cap::Caps;
use super::count::Counted;
use super::descriptors::Descriptors;
use super::exchange::Exchange;
use super::held::HeldBytes;
use super::mirror::Copies;
use super::pressure::Pressure;
use crate::cluster::Tables;
use crate::http1::head::HeadLimits;
use crate::http1::target::TargetPolicy;
use crate::io::watch::NEVER;
use crate::io::{BufferPool, Clock, Watches};
use crate::observe::access_log::AccessLog;
use crate::upstream::RetryBudget;

/// Exchanges kept for reuse.
const EXCHANGES_MAX: usize = 1024;

/// Called when a connection to a server failed.
pub type OnConnectFailed = Box<dyn Fn(&Arc<Model>, ServiceIndex, ServerIndex)>;

/// Called with what came of a request to a server that is judged by it: true for a failure.
pub type OnOutcome = Box<dyn Fn(&Arc<Model>, ServiceIndex, ServerIndex, bool)>;

/// What all connections of one worker share.
pub struct Local {
    /// Which worker.
    pub index: usize,
    /// Coarse time.
    pub clock: Clock,
    /// Of the heads of responses (http1 D17).
    pub response_head: HeadLimits,
    /// Recycled buffers.
    pub buffers: BufferPool,
    /// Every connection, for the sweeper.
    pub watches: Rc<Watches>,
    /// The current tables; an exchange clones the `Rc` once.
    pub tables: RefCell<Rc<Tables>>,
    /// `X-Forwarded-Server`.
    pub hostname: Vec<u8>,
    /// Off when `None`.
    pub access_log: RefCell<Option<AccessLog>>,
    /// The access log writes fields of the server's responses.
    pub keeps_origin_fields: bool,
    /// Log requests that sundew answers for itself (`/ping`).
    pub logs_internals: bool,
    /// Status of `/ping` while stopping.
    pub ping_terminating_status: u16,
    /// `/ping` says so.
    pub is_terminating: Cell<bool>,
    /// How much the worker may take on.
    pub pressure: Cell<Pressure>,
    /// Responses say `Connection: close`.
    pub is_stopping: Cell<bool>,
    /// What all workers together may hold.
    pub caps: Caps,
    /// Open files.
    pub descriptors: Descriptors,
    /// How much may be sent twice.
    pub retry_budget: RetryBudget,
    /// Copies for mirrors on their way.
    pub copies: Copies,
    /// Requests that wait for a server with room.
    pub waiting: Cell<u32>,
    /// Bodies that are not just passed on.
    pub held: HeldBytes,
    /// What an operator reads.
    pub counters: Counters,
    /// What an operator may ask for; `None`: nobody can.
    pub counted: Option<Counted>,
    /// Tells the control thread.
    pub on_connect_failed: OnConnectFailed,
    /// Tells the control thread.
    pub on_outcome: OnOutcome,
    #[expect(clippy::vec_box, reason = "they are handed out and taken back as boxes")]
    exchanges: RefCell<Vec<Box<Exchange>>>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Plain counters; only their own worker writes them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Exchanges begun.
    pub requests: Cell<u64>,
    /// Connections whose task panicked.
    pub panics: Cell<u64>,
}

impl Counters {
    /// Adds one and returns the new count.
    pub fn add(counter: &Cell<u64>) -> u64 {
        counter.set(counter.get() + 1);
        counter.get()
    }
}

/// An entry point, in the units that connections count in.
#[derive(Debug)]
pub struct EntryPointLimits {
    /// Position in the static model.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Clients of this one may have some of the last open files: it answers probes.
    pub uses_reserve: bool,
    /// Whose `X-Forwarded-*` are believed.
    pub forwarded: ForwardedHeaders,
    /// Whose PROXY protocol headers are believed.
    pub proxy_protocol: ProxyProtocol,
    /// Of request heads.
    pub head: HeadLimits,
    /// Normalisation of targets.
    pub target: TargetPolicy,
    /// From the first byte of a head to its last.
    pub head_timeout_ms: u64,
    /// The whole request; [`NEVER`] unless written.
    pub read_timeout_ms: u64,
    /// The whole response; [`NEVER`] unless written.
    pub write_timeout_ms: u64,
    /// Between two requests; [`NEVER`] without a limit.
    pub idle_timeout_ms: u64,
    /// A body may be without progress for so long.
    pub body_window_ms: u64,
    /// Least bytes of a body in that time.
    pub body_window_bytes_min: u64,
    /// Bytes of a body; `u64::MAX` unless written.
    pub body_bytes_max: u64,
    /// A send to a client may make no progress for so long.
    pub send_timeout_ms: u64,
    /// A tunnel without a byte; [`NEVER`] unless written.
    pub tunnel_idle_ms: u64,
    /// Requests of one connection.
    pub requests_max: u64,
    /// Age after which a connection is closed with its next response; [`NEVER`] without a limit.
    pub age_max_ms: u64,
    /// Connections of this worker that are open.
    pub connections: Cell<u64>,
}

/// Milliseconds of a limit, [`NEVER`] for none.
#[must_use]
pub fn limit_ms(limit: Option<Duration>) -> u64 {
    limit.map_or(NEVER, |limit| u64::try_from(limit.as_millis()).unwrap_or(NEVER))
}

/// Limits of a head, as the `sundew:` section sets them.
#[must_use]
pub fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        bytes_max: limits.head_bytes_max,
        fields_max: limits.head_fields_max,
        line_bytes_max: limits.request_line_bytes_max,
    }
}

impl EntryPointLimits {
    /// From the checked configuration.
    #[must_use]
    pub fn new(index: usize, entry_point: &EntryPoint, limits: &Limits) -> Self {
        let head = match entry_point.head_bytes_max {
            // As Traefik: its size is the only limit then.
            Some(bytes_max) => {
                HeadLimits { bytes_max, fields_max: usize::MAX, line_bytes_max: bytes_max }
            }
            None => head_limits(limits),
        };
        let read_timeout_ms = limit_ms(entry_point.timeouts.read);
        Self {
            index,
            name: entry_point.name.clone(),
            uses_reserve: false,
            forwarded: entry_point.forwarded_headers.clone(),
            proxy_protocol: entry_point.proxy_protocol.clone(),
            head,
            target: TargetPolicy {
                sanitize_path: entry_point.sanitize_path,
                encode_query_semicolons: entry_point.encode_query_semicolons,
            },
            head_timeout_ms: limit_ms(Some(limits.head_timeout)).min(read_timeout_ms),
            read_timeout_ms,
            write_timeout_ms: limit_ms(entry_point.timeouts.write),
            idle_timeout_ms: limit_ms(entry_point.timeouts.idle),
            body_window_ms: limit_ms(Some(limits.body_rate_window)),
            body_window_bytes_min: limits
                .body_rate_min
                .saturating_mul(limits.body_rate_window.as_secs()),
            body_bytes_max: limits.request_body_bytes_max.unwrap_or(u64::MAX),
            send_timeout_ms: limit_ms(Some(limits.send_timeout)),
            tunnel_idle_ms: limit_ms(limits.tunnel_idle_timeout),
            requests_max: entry_point
                .keep_alive_requests_max
                .or(limits.requests_per_connection_max)
                .unwrap_or(u64::MAX),
            age_max_ms: limit_ms(entry_point.keep_alive_time_max),
            connections: Cell::new(0),
        }
    }

    /// All entry points of a static model.
    #[must_use]
    pub fn all(statics: &StaticModel) -> Vec<Rc<Self>> {
        let limits = &statics.settings.limits;
        let each = statics.entry_points.iter().enumerate();
        let ping = statics.ping.as_ref().and_then(|ping| ping.entry_point);
        // The only entry point is the one that everybody uses.
        let ping = ping.filter(|_| statics.entry_points.len() > 1);
        let all = each.map(|(index, it)| {
            let uses_reserve = ping.is_some_and(|ping| usize::from(ping.0) == index);
            Rc::new(Self { uses_reserve, ..Self::new(index, it, limits) })
        });
        all.collect()
    }
}

/// What a worker makes its [`Local`] from.
pub struct LocalOptions {
    /// Which worker.
    pub index: usize,
    /// Of the heads of responses.
    pub response_head: HeadLimits,
    /// The first tables.
    pub tables: Rc<Tables>,
    /// See [`Local::keeps_origin_fields`].
    pub keeps_origin_fields: bool,
    /// See [`Local::logs_internals`].
    pub logs_internals: bool,
    /// See [`Local::ping_terminating_status`].
    pub ping_terminating_status: u16,
    /// Off when `None`.
    pub access_log: Option<AccessLog>,
    /// What all workers together may hold.
    pub caps: Caps,
    /// See [`Local::counted`].
    pub counted: Option<Counted>,
    /// Called when a connection to a server failed.
    pub on_connect_failed: OnConnectFailed,
    /// Called with outcomes that count.
    pub on_outcome: OnOutcome,
}

impl Local {
    /// With nothing connected.
    #[must_use]
    pub fn new(options: LocalOptions) -> Self {
        Self {
            index: options.index,
            clock: Clock::new(),
            response_head: options.response_head,
            buffers: BufferPool::default(),
            watches: Rc::default(),
            tables: RefCell::new(options.tables),
            hostname: rustix::system::uname().nodename().to_bytes().to_vec(),
            access_log: RefCell::new(options.access_log),
            keeps_origin_fields: options.keeps_origin_fields,
            logs_internals: options.logs_internals,
            ping_terminating_status: options.ping_terminating_status,
            is_terminating: Cell::new(false),
            pressure: Cell::default(),
            is_stopping: Cell::new(false),
            descriptors: Descriptors::new(options.caps.descriptors),
            caps: options.caps,
            retry_budget: RetryBudget::default(),
            copies: Copies::default(),
            waiting: Cell::default(),
            held: HeldBytes::default(),
            counters: Counters::default(),
            counted: options.counted,
            on_connect_failed: options.on_connect_failed,
            on_outcome: options.on_outcome,
            exchanges: RefCell::default(),
        }
    }

    /// Frees the memory that is kept for what may come.
    pub fn shrink(&self) {
        self.buffers.empty();
        self.exchanges.take();
    }

    /// Hands in what is left of the access log.
    pub fn end_access_log(&self) {
        drop(self.access_log.borrow_mut().take());
    }

    /// An exchange with nothing in it, its memory warm.
    #[must_use]
    pub fn take_exchange(&self) -> Box<Exchange> {
        self.exchanges.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an exchange back.
    pub fn give_back_exchange(&self, mut exchange: Box<Exchange>) {
        exchange.clear(&self.buffers);
        let mut exchanges = self.exchanges.borrow_mut();
        if exchanges.len() < EXCHANGES_MAX {
            exchanges.push(exchange);
        }
    }
}
