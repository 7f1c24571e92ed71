//! What a load balancer does about load, beyond Traefik; all of it is off unless written.

use std::time::Duration;

/// `loadBalancer.maxInFlightPerServer`, `slowStart`, `rebalance`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadRules {
    /// Cap on the requests of each server, off when `None`.
    pub in_flight: Option<InFlightLimit>,
    /// How long a server that became ready takes to its full share of new clients; off when
    /// `None`.
    pub slow_start: Option<Duration>,
    /// Moves old pins to new servers, off when `None`; only with sealed values.
    pub rebalance: Option<Rebalance>,
}

/// `loadBalancer.maxInFlightPerServer`: of the whole process, not of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightLimit {
    /// Requests that one server has at a time; at least 1.
    pub per_server_max: u32,
    /// What happens to one more.
    pub overflow: Overflow,
}

/// `loadBalancer.overflow`: a request whose server is full. A new client always goes to a server
/// with room, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It waits, for as long as a connection may take (`dialTimeout`).
    #[default]
    Wait,
    /// A pinned client is moved, as from a server that refuses the connection.
    Redispatch,
    /// 503.
    Reject,
}

/// `loadBalancer.rebalance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebalance {
    /// Pins that move in a minute, in millionths of all; 1 to 1,000,000.
    pub per_minute_ppm: u32,
    /// A younger pin does not move.
    pub older_than: Duration,
}
