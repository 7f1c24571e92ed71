//! Idle connections: last in, first out, so that the rest grow old and are closed.

use std::time::{Duration, Instant};

use sundew_config::model::{ServerIndex, Transport};

use super::Lease;
use crate::cluster::{Idle, Server, Tables};
use crate::sys;

/// A connection that was put back no longer ago is taken without a look. A busy worker takes about
/// so long between two looks at its sockets, so nobody could know more; and a look costs a system
/// call, 4 % of a small request (measured), which a worker that is not busy can afford.
const FRESH: Duration = Duration::from_millis(1);

/// Takes the connection that was used last, of those on which nothing has arrived since: bytes
/// that nobody asked for would be taken for the answer to the next request (http1 A15), and one
/// that the server has closed would cost a request that must not be sent twice.
#[must_use]
pub fn take_idle(server: &Server) -> Option<Lease> {
    loop {
        let idle = server.idle.borrow_mut().pop()?;
        if idle.since.elapsed() < FRESH || sys::is_quiet(idle.stream.fd()) {
            return Some(Lease { stream: idle.stream, address: idle.address, is_reused: true });
        }
    }
}

/// Keeps a connection whose exchange ended cleanly, unless there are `idle_max` already or the
/// server has left.
pub fn put_back(server: &Server, lease: Lease, now_ms: u64, idle_max: usize) {
    let mut idle = server.idle.borrow_mut();
    let has_moved = !server.addresses().contains(&lease.address);
    if server.is_retired() || has_moved || idle.len() >= idle_max {
        return;
    }
    idle.push(Idle {
        stream: lease.stream,
        address: lease.address,
        since: Instant::now(),
        since_ms: now_ms,
    });
}

/// Drops idle connections that the server closed or wrote to (bytes that nobody asked for), and
/// those idle for longer than their transport allows. `scratch` is reused from sweep to sweep.
pub fn sweep_idle(tables: &Tables, now_ms: u64, scratch: &mut Vec<i32>) {
    for_each_server(tables, |server, transport| {
        let limit_ms = transport
            .and_then(|transport| transport.idle_timeout)
            .map_or(u64::MAX, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        sweep_server(server, now_ms, limit_ms, scratch);
    });
}

/// Closes the older half of every server's idle connections: their descriptors are needed.
pub fn trim_idle(tables: &Tables) {
    for_each_server(tables, |server, _| {
        let mut idle = server.idle.borrow_mut();
        let older = idle.len().div_ceil(2);
        idle.drain(..older);
    });
}

fn for_each_server(tables: &Tables, mut act: impl FnMut(&Server, Option<&Transport>)) {
    for (service, _, balancer) in tables.model.load_balancers() {
        let transport = tables.model.transports.get(usize::from(balancer.transport.0));
        for position in 0..balancer.servers.len() {
            let Ok(position) = u16::try_from(position) else { break };
            if let Some(server) = tables.server(service, ServerIndex(position)) {
                act(server, transport);
            }
        }
    }
}

fn sweep_server(server: &Server, now_ms: u64, limit_ms: u64, scratch: &mut Vec<i32>) {
    let mut idle = server.idle.borrow_mut();
    if idle.is_empty() {
        return;
    }
    scratch.clear();
    scratch.extend(idle.iter().map(|it| it.stream.fd()));
    sys::poll_any(scratch, |position| {
        if let Some(closed) = idle.get_mut(position) {
            closed.since_ms = CLOSED;
        }
    });
    idle.retain(|it| it.since_ms != CLOSED && now_ms.saturating_sub(it.since_ms) < limit_ms);
}

/// Marks an idle connection for removal.
const CLOSED: u64 = u64::MAX;
