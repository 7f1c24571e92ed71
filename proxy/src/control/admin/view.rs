//! What the control thread tells whoever answers an operator: a copy of what is in force, and where
//! the workers' counts will come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sundew_config::model::{LoadBalancer, Model, Server, Service, ServiceIndex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::super::orders::{Order, Standing, server_id};
use crate::observe::tally::{ServerTally, Tally};
use crate::worker::inbox::ServerState;

/// A worker answers between two turns of its event loop; one that takes longer has hung.
const TALLY_WAIT: Duration = Duration::from_secs(2);

/// A question to the control thread.
#[derive(Debug)]
pub enum Ask {
    /// What is in force.
    View(oneshot::Sender<View>),
    /// A change of a server's state.
    Order(Change, oneshot::Sender<Result<(), Refusal>>),
}

/// What an operator wants a server to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Qualified name of the service.
    pub service: String,
    /// Which of its servers.
    pub server: String,
    /// `None`: ready.
    pub order: Option<Order>,
    /// When a drained server goes down.
    pub deadline: Option<SystemTime>,
    /// Also when nobody would be left to take new clients.
    pub is_forced: bool,
}

/// Why an order is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such service, or it has no servers of its own.
    NoService,
    /// The service has no such server.
    NoServer,
    /// Nobody would be left to take new clients.
    LastOne,
    /// It could not be kept.
    NotKept(String),
}

/// What is in force.
#[derive(Debug)]
pub struct View {
    /// The configuration.
    pub model: Arc<Model>,
    /// Servers as their health makes them, by service and server.
    pub states: Vec<Vec<ServerState>>,
    /// What operators ordered, in the same shape.
    pub standing: Vec<Vec<Option<Standing>>>,
    /// The process is about to end.
    pub is_terminating: bool,
    /// Configurations that were applied.
    pub reloads: u64,
    /// When the last one was.
    pub reloaded: SystemTime,
    /// Lines of the access log that were dropped.
    pub log_dropped: u64,
    /// Where each worker's counts come, and how many workers were asked.
    pub tallies: (mpsc::UnboundedReceiver<Tally>, usize),
}

/// A server as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) service: &'a Service,
    pub(super) server: &'a Server,
    pub(super) state: &'a ServerState,
    pub(super) standing: Option<Standing>,
    pub(super) position: (usize, usize),
}

impl Shown<'_> {
    pub(super) fn id(&self) -> &str {
        server_id(self.server)
    }

    /// By its health check.
    pub(super) fn health(&self) -> &'static str {
        if self.state.is_up { "UP" } else { "DOWN" }
    }

    /// Whether requests go there at all.
    pub(super) fn is_up(&self) -> bool {
        self.state.is_up && self.standing.is_none_or(|it| it.order != Order::Down)
    }

    /// What is in force, whoever said it.
    pub(super) fn state_word(&self) -> &'static str {
        match self.standing.map(|standing| standing.order) {
            Some(Order::Down) => "down",
            Some(Order::Drain) => "drain",
            None if self.state.is_draining => "drain",
            None => "ready",
        }
    }
}

impl View {
    /// Every server of every load balancer.
    pub(super) fn servers(&self) -> impl Iterator<Item = Shown<'_>> {
        self.model
            .load_balancers()
            .flat_map(|(index, service, balancer)| self.servers_of(index, service, balancer))
    }

    /// The servers of one load balancer.
    pub(super) fn servers_of<'a>(
        &'a self,
        index: ServiceIndex,
        service: &'a Service,
        balancer: &'a LoadBalancer,
    ) -> impl Iterator<Item = Shown<'a>> {
        let at = index.as_usize();
        let states = self.states.get(at).map_or(&[][..], Vec::as_slice);
        let standing = self.standing.get(at).map_or(&[][..], Vec::as_slice);
        balancer.servers.iter().zip(states).zip(standing).enumerate().map(
            move |(position, ((server, state), standing))| Shown {
                service,
                server,
                state,
                standing: *standing,
                position: (at, position),
            },
        )
    }

    /// What all workers have counted; `None` when one does not answer in time.
    pub(super) async fn tally(&mut self) -> Option<Tally> {
        let (tallies, count) = &mut self.tallies;
        let all = async {
            let mut sum: Option<Tally> = None;
            for _ in 0..*count {
                let tally = tallies.recv().await?;
                match &mut sum {
                    Some(sum) => sum.merge(tally),
                    None => sum = Some(tally),
                }
            }
            sum
        };
        timeout(TALLY_WAIT, all).await.ok().flatten()
    }
}

/// What the workers counted for a server.
pub(super) fn tally_of(tally: &Tally, (service, server): (usize, usize)) -> Option<&ServerTally> {
    tally.services.get(service)?.servers.get(server)
}
