//! The only door from the control thread to the workers.
//!
//! Every worker has one inbox; messages arrive in the order in which they were sent, so indexes in
//! a [`Message`] always mean the tables that were published last before it.
//!
//! Owns what the workers were told last, and so knows what is news to them: a state that they know
//! is not sent again. Never finds anything out by itself; [`super::run`] brings the news.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sundew_config::model::{Endpoint, LoadBalancer, Model, Server, ServerIndex, ServiceIndex};
use tokio::sync::mpsc::UnboundedSender;

use super::orders::{Order, Orders, Standing, server_id};
use crate::observe::tally::Tally;
use crate::worker::inbox::{Address, Message, ServerState, SharedInFlight, Snapshot};
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
    /// By health alone; what operators ordered is in `orders`.
    states: Vec<Vec<ServerState>>,
    orders: Orders,
}

impl<I: Inbox> Publisher<I> {
    /// For workers that were started with these `orders` [in force](in_force) on `snapshot`.
    #[must_use]
    pub fn new(workers: Vec<I>, snapshot: &Snapshot, orders: Orders) -> Self {
        let (model, states) = (snapshot.model.clone(), snapshot.servers.clone());
        Self { workers, model, states, orders }
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
        let mut states = states(&model, addresses, |service, url| !down.contains(&(service, url)));
        self.keep_counts(&model, &mut states);
        self.model = Arc::new(model);
        self.states = states;
        let servers = in_force(&self.model, &self.states, &self.orders);
        let snapshot = Snapshot { model: self.model.clone(), servers };
        self.send(&Message::Tables(Arc::new(snapshot)));
    }

    /// Requests in flight count on over a reload; of servers with one URL each keeps its own count.
    fn keep_counts(&self, model: &Model, states: &mut [Vec<ServerState>]) {
        let mut counts: HashMap<(&str, &str), VecDeque<SharedInFlight>> = HashMap::new();
        for (_, service, server, state) in self.servers() {
            let of_server = counts.entry((service, &server.url)).or_default();
            of_server.push_back(state.in_flight.clone());
        }
        for (index, service, balancer) in model.load_balancers() {
            let Some(states) = states.get_mut(index.as_usize()) else { continue };
            for (server, state) in balancer.servers.iter().zip(states) {
                let known = counts.get_mut(&(service.name.as_str(), server.url.as_str()));
                if let Some(count) = known.and_then(VecDeque::pop_front) {
                    state.in_flight = count;
                }
            }
        }
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
            // Workers have nobody on a server that is ordered down, whatever its health.
            if self.order_of(service, server) != Some(Order::Down) {
                self.send(&Message::Health { service, server, is_up });
            }
        }
        !changed.is_empty()
    }

    /// What operators ordered.
    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// An operator orders a server to be something, or, with `None`, ready again.
    ///
    /// # Errors
    /// When the order cannot be kept; nothing changes then.
    pub fn order(
        &mut self,
        service: &str,
        id: &str,
        standing: Option<Standing>,
    ) -> std::io::Result<()> {
        self.orders.give(service, id, standing)?;
        self.tell_order(service, id);
        Ok(())
    }

    /// Ends the drains whose deadline has come; returns their services and servers.
    pub fn end_drains(&mut self, now: SystemTime) -> Vec<(String, String)> {
        let due = self.orders.take_due(now);
        for (service, id) in &due {
            self.tell_order(service, id);
        }
        due
    }

    /// Tells the workers what is in force for a server now.
    fn tell_order(&self, service: &str, id: &str) {
        let shown: Vec<_> = self
            .servers()
            .filter(|(_, name, server, _)| *name == service && server_id(server) == id)
            .map(|(position, name, server, state)| {
                (position, state_in_force(name, server, state, &self.orders))
            })
            .collect();
        for ((service, server), ServerState { is_up, is_draining, .. }) in shown {
            self.send(&Message::Health { service, server, is_up });
            self.send(&Message::Drain { service, server, is_draining });
        }
    }

    fn order_of(&self, service: ServiceIndex, server: ServerIndex) -> Option<Order> {
        let (_, name, server, _) =
            self.servers().find(|(position, ..)| *position == (service, server))?;
        Some(self.orders.find(name, server_id(server))?.order)
    }

    /// The servers as their health makes them, in [`Snapshot::servers`]'s shape.
    #[must_use]
    pub fn states(&self) -> &[Vec<ServerState>] {
        &self.states
    }

    /// Asks every worker for what it has counted; returns how many were asked.
    pub fn count(&self, tallies: &UnboundedSender<Tally>) -> usize {
        self.send(&Message::Count(tallies.clone()));
        self.workers.len()
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
        let states = in_force(&self.model, &self.states, &self.orders);
        let all = || states.iter().flatten();
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
            is_draining: server.drain || server.weight == 0,
            is_up: !has_check(balancer) || is_up(&service.name, &server.url),
            addresses: addresses(&server.endpoint),
            in_flight: SharedInFlight::default(),
        }));
    }
    states
}

/// `states` with what operators ordered.
#[must_use]
pub fn in_force(
    model: &Model,
    states: &[Vec<ServerState>],
    orders: &Orders,
) -> Vec<Vec<ServerState>> {
    let mut all = states.to_vec();
    for (index, service, balancer) in model.load_balancers() {
        let Some(states) = all.get_mut(index.as_usize()) else { continue };
        for (server, state) in balancer.servers.iter().zip(states) {
            *state = state_in_force(&service.name, server, state, orders);
        }
    }
    all
}

fn state_in_force(
    service: &str,
    server: &Server,
    state: &ServerState,
    orders: &Orders,
) -> ServerState {
    let order = orders.find(service, server_id(server)).map(|standing| standing.order);
    ServerState {
        is_up: state.is_up && order != Some(Order::Down),
        is_draining: state.is_draining || order == Some(Order::Drain),
        addresses: state.addresses.clone(),
        in_flight: state.in_flight.clone(),
    }
}

#[cfg(test)]
mod tests;
