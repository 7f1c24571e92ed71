//! The only door from the control thread to the workers.
//!
//! Every worker has one inbox; messages arrive in the order in which they were sent, so indexes in
//! a [`Message`] always mean the tables that were published last before it.
//!
//! Owns what the workers were told last, and so knows what is news to them: a state that they know
//! is not sent again. Never finds anything out by itself; [`super::run`] brings the news.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sundew_config::model::{Endpoint, LoadBalancer, Model, Server, ServerIndex, ServiceIndex};

use crate::worker::inbox::{Address, Message, ServerState, Snapshot};
use crate::worker::{Pressure, WorkerHandle};

/// Where messages go: a worker, or a test that listens.
pub trait Inbox {
    /// Delivers one message; never blocks.
    fn send(&self, message: Message);
}

impl Inbox for WorkerHandle {
    fn send(&self, message: Message) {
        WorkerHandle::send(self, message);
    }
}

/// The workers and what they were told last.
#[derive(Debug)]
pub struct Publisher<I> {
    workers: Vec<I>,
    model: Arc<Model>,
    states: Vec<Vec<ServerState>>,
}

impl<I: Inbox> Publisher<I> {
    /// For workers that were started with `snapshot`.
    #[must_use]
    pub fn new(workers: Vec<I>, snapshot: &Snapshot) -> Self {
        Self { workers, model: snapshot.model.clone(), states: snapshot.servers.clone() }
    }

    /// The configuration that was published last.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Publishes a new configuration. A server that was down and whose service still has a health
    /// check stays down; its identity is the service's name and the server's URL.
    pub fn tables(&mut self, model: Model, addresses: impl Fn(&Endpoint) -> Arc<[Address]>) {
        let down: HashSet<(&str, &str)> = self
            .servers()
            .filter(|(_, _, _, state)| !state.is_up)
            .map(|(_, service, server, _)| (service, server.url.as_str()))
            .collect();
        let states = states(&model, addresses, |service, url| !down.contains(&(service, url)));
        self.model = Arc::new(model);
        self.states = states;
        let snapshot = Snapshot { model: self.model.clone(), servers: self.states.clone() };
        self.send(&Message::Tables(Arc::new(snapshot)));
    }

    /// A health check's verdict on a server. Returns whether it is news.
    pub fn health(&mut self, service: &str, url: &str, is_up: bool) -> bool {
        // More than one when the URL is written twice: they are one server.
        let changed: Vec<_> = self
            .servers()
            .filter(|(_, name, server, _)| *name == service && server.url == url)
            .filter(|(_, _, _, state)| state.is_up != is_up)
            .map(|(position, ..)| position)
            .collect();
        for &(service, server) in &changed {
            if let Some(state) = self.state_mut(service, server) {
                state.is_up = is_up;
            }
            self.send(&Message::Health { service, server, is_up });
        }
        !changed.is_empty()
    }

    /// A host name's addresses changed.
    pub fn addresses(&mut self, host: &str, addresses: impl Fn(&Endpoint) -> Arc<[Address]>) {
        let changed: Vec<_> = self
            .servers()
            .filter(|(_, _, server, _)| self::host(server) == host)
            .map(|(position, _, server, state)| (position, addresses(&server.endpoint), state))
            .filter(|(_, fresh, state)| state.addresses != *fresh)
            .map(|(position, fresh, _)| (position, fresh))
            .collect();
        for ((service, server), addresses) in changed {
            if let Some(state) = self.state_mut(service, server) {
                state.addresses = addresses.clone();
            }
            self.send(&Message::Addresses { service, server, addresses });
        }
    }

    /// The host of a server of the configuration that was published last.
    #[must_use]
    pub fn host(&self, service: ServiceIndex, server: ServerIndex) -> Option<&str> {
        self.servers()
            .find(|(position, ..)| *position == (service, server))
            .map(|(_, _, server, _)| host(server))
    }

    /// The host of the server with this identity.
    #[must_use]
    pub fn host_of(&self, service: &str, url: &str) -> Option<&str> {
        self.servers()
            .find(|(_, name, server, _)| *name == service && server.url == url)
            .map(|(_, _, server, _)| host(server))
    }

    /// Every server that is down, with its load balancer and its service's name.
    pub fn down(&self) -> impl Iterator<Item = (&str, &str, &LoadBalancer)> {
        self.model.load_balancers().flat_map(|(index, service, balancer)| {
            let states = self.states.get(index.as_usize()).map_or(&[][..], Vec::as_slice);
            let down = balancer.servers.iter().zip(states).filter(|(_, state)| !state.is_up);
            down.map(move |(server, _)| (service.name.as_str(), server.url.as_str(), balancer))
        })
    }

    /// How many servers there are and how many of them are down.
    #[must_use]
    pub fn server_counts(&self) -> (usize, usize) {
        let all = || self.states.iter().flatten();
        (all().count(), all().filter(|state| !state.is_up).count())
    }

    /// There is more or less memory than before.
    pub fn memory(&self, pressure: Pressure) {
        self.send(&Message::Memory(pressure));
    }

    /// `/ping` answers the terminating status from now on.
    pub fn terminating(&self) {
        self.send(&Message::Terminating);
    }

    /// Stop accepting, finish within `grace`, end.
    pub fn stop(&self, grace: Duration) {
        self.send(&Message::Stop { grace });
    }

    /// The workers, to be joined after [`Publisher::stop`].
    #[must_use]
    pub fn into_workers(self) -> Vec<I> {
        self.workers
    }

    fn send(&self, message: &Message) {
        for worker in &self.workers {
            worker.send(message.clone());
        }
    }

    fn state_mut(
        &mut self,
        service: ServiceIndex,
        server: ServerIndex,
    ) -> Option<&mut ServerState> {
        self.states.get_mut(service.as_usize())?.get_mut(server.as_usize())
    }

    /// Every server: its position, its service's name, itself and its state.
    fn servers(
        &self,
    ) -> impl Iterator<Item = ((ServiceIndex, ServerIndex), &str, &Server, &ServerState)> {
        self.model.load_balancers().flat_map(|(index, service, balancer)| {
            let states = self.states.get(index.as_usize()).map_or(&[][..], Vec::as_slice);
            (0..).zip(balancer.servers.iter().zip(states)).map(
                move |(position, (server, state))| {
                    ((index, ServerIndex(position)), service.name.as_str(), server, state)
                },
            )
        })
    }
}

/// Empty for a server that has no host: no name is empty, so nothing matches it.
fn host(server: &Server) -> &str {
    server.endpoint.host().unwrap_or_default()
}

/// Something can bring a server down, and up again.
fn has_check(balancer: &LoadBalancer) -> bool {
    balancer.health_check.is_some() || balancer.passive_health_check.is_some()
}

/// The state of every server of a model, in [`Snapshot::servers`]'s shape. A server whose service
/// has no health check is up whatever `is_up` (by service name and URL) says.
pub fn states(
    model: &Model,
    addresses: impl Fn(&Endpoint) -> Arc<[Address]>,
    is_up: impl Fn(&str, &str) -> bool,
) -> Vec<Vec<ServerState>> {
    let mut states = vec![Vec::new(); model.services.len()];
    for (index, service, balancer) in model.load_balancers() {
        let Some(slot) = states.get_mut(index.as_usize()) else { continue };
        slot.extend(balancer.servers.iter().map(|server| ServerState {
            is_up: !has_check(balancer) || is_up(&service.name, &server.url),
            addresses: addresses(&server.endpoint),
        }));
    }
    states
}

#[cfg(test)]
mod tests;
