//! Requests whose servers are full (`maxInFlightPerServer`): they wait for room, for a while and up
//! to a number, or are refused.
//!
//! Room may come of a request on another worker, which cannot wake anybody here; so whoever waits
//! looks again and again, the more seldom the more there are. Whoever looks first when there is
//! room has it: there is no queue.

use std::time::Duration;

use sundew_config::model::{Overflow, ServiceIndex};

use super::error::ProxyError;
use super::exchange::{Asked, Exchange, Picked};
use super::local::Local;
use super::{Connection, Next};
use crate::cluster::PickError;
use crate::io::sleep;
use crate::io::watch::NEVER;

/// Longest wait for room: as long as Traefik waits for a connection.
const ROOM_WAIT_MS_MAX: u64 = 30_000;
/// Requests that one worker lets wait.
const WAITING_MAX: u32 = 4_096;
/// Between two looks of one request, at least.
const LOOK_MS: u64 = 5;
/// Looks of all requests of a worker in a millisecond.
const LOOKS_PER_MS: u64 = 20;

/// One of those that wait.
struct Waiting<'a>(&'a Local);

impl<'a> Waiting<'a> {
    fn begin(local: &'a Local) -> Option<Self> {
        let count = local.waiting.get();
        (count < WAITING_MAX).then(|| local.waiting.set(count + 1)).map(|()| Self(local))
    }

    fn pause(&self) -> Duration {
        let shared = u64::from(self.0.waiting.get()) / LOOKS_PER_MS;
        Duration::from_millis(LOOK_MS.max(shared))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}

impl Connection {
    /// Waits for room, then forwards.
    pub(super) async fn forward_when_free(
        &mut self,
        exchange: &mut Exchange,
        service: ServiceIndex,
    ) -> Next {
        match self.await_room(exchange, service).await {
            Ok(()) => match exchange.picked.as_ref().map(|picked| picked.pick) {
                Some(pick) => self.forward(exchange, pick).await,
                None => self.answer(exchange, ProxyError::ServersFull).await,
            },
            Err(error) => self.answer(exchange, error).await,
        }
    }

    /// Leaves a server that has room in the exchange; `root` is what the router names.
    ///
    /// # Errors
    /// When the client left, when nobody has room, or any more will take the request.
    pub(super) async fn await_room(
        &self,
        exchange: &mut Exchange,
        root: ServiceIndex,
    ) -> Result<(), ProxyError> {
        let local = &self.shared.local;
        let Some(waiting) = Waiting::begin(local) else { return Err(ProxyError::ServersFull) };
        let began_ms = local.clock.now_ms();
        // The sweeper looks after clients that leave meanwhile.
        self.shared.watch.await_upstream(began_ms, NEVER);
        while !self.has_room(exchange, root)? {
            if local.clock.now_ms().saturating_sub(began_ms) >= ROOM_WAIT_MS_MAX {
                return Err(ProxyError::ServersFull);
            }
            sleep(waiting.pause()).await;
            if self.shared.watch.take_expiry().is_some() {
                return Err(ProxyError::ClientGone);
            }
        }
        Ok(())
    }

    /// Picks once more. An error ends the wait.
    fn has_room(&self, exchange: &mut Exchange, root: ServiceIndex) -> Result<bool, ProxyError> {
        let Exchange { asked, picked, .. } = exchange;
        let Asked { request, trail, tables: Some(tables), .. } = asked else {
            return Err(ProxyError::NoServer);
        };
        trail.note_waiting();
        let sources = request.pin_sources(self.shared.local.clock.wall_s());
        match tables.pick(root, sources, trail) {
            Ok(pick) => {
                *picked = Picked::new(tables, pick);
                Ok(picked.is_some())
            }
            Err(PickError::Full(Overflow::Wait)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
