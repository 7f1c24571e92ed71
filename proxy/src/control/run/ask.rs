//! What operators ask of the control thread, and the orders that come due. One question after the
//! other, so that what one operator was told still holds when the next one's order is judged.

use std::time::{Duration, SystemTime};

use sundew_config::model::{Server, ServiceKind};
use tokio::sync::mpsc;

use super::{Control, Instant};
use crate::control::admin::{Ask, Change, Refusal, View};
use crate::control::orders::{Order, Orders, Standing, is_called, server_id};
use crate::control::publish;
use crate::observe::access_log::AccessLogWriter;
use crate::worker::inbox::{ServerState, Snapshot};

/// The wall clock may be set while a deadline is waited for, so it is looked at this often.
const DEADLINE_LOOK: Duration = Duration::from_secs(60);

impl Control {
    /// Answers an operator. Whoever asked may have left.
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::View(sender) => drop(sender.send(self.view())),
            Ask::Order(change, sender) => drop(sender.send(self.obey(&change))),
        }
    }

    fn view(&self) -> View {
        let (sender, tallies) = mpsc::unbounded_channel();
        let workers = self.publisher.count(&sender);
        let model = self.publisher.model();
        let orders = self.publisher.orders();
        let mut standing = vec![Vec::new(); model.services.len()];
        for (index, service, balancer) in model.load_balancers() {
            let Some(slot) = standing.get_mut(index.as_usize()) else { continue };
            let servers = balancer.servers.iter();
            slot.extend(servers.map(|it| orders.find(&service.name, server_id(it))));
        }
        View {
            model: model.clone(),
            states: self.publisher.states().to_vec(),
            standing,
            is_terminating: self.shutdown.deadline().is_some(),
            reloads: self.reloads,
            reloaded: self.reloaded,
            log_dropped: self.access_log.as_ref().map_or(0, AccessLogWriter::dropped),
            tallies: (tallies, workers),
        }
    }

    fn obey(&mut self, change: &Change) -> Result<(), Refusal> {
        let Change { service, server, order, deadline, is_forced } = change;
        let (model, states) = (self.publisher.model(), self.publisher.states());
        let mut all = model.services.iter().zip(states);
        let found = all.find(|(it, _)| it.name == *service);
        let Some((ServiceKind::LoadBalancer(balancer), states)) =
            found.map(|(it, states)| (&it.kind, states))
        else {
            return Err(Refusal::NoService);
        };
        let meant = balancer.servers.iter().find(|it| is_called(it, server));
        let Some(server) = meant.map(|it| server_id(it).to_owned()) else {
            return Err(Refusal::NoServer);
        };
        let orders = self.publisher.orders();
        if order.is_some() && !is_forced {
            // Two operators who drain one server each must not empty the service together.
            let is_ready = |id: &str| id != server && orders.find(service, id).is_none();
            let takes_new = |(it, state): (&Server, &ServerState)| {
                it.weight > 0 && state.is_up && !state.is_draining && is_ready(server_id(it))
            };
            if !balancer.servers.iter().zip(states).any(takes_new) {
                return Err(Refusal::LastOne);
            }
        }
        let before = orders.find(service, &server);
        let standing = order.map(|order| Standing {
            order,
            // A drain that is repeated began when it began; only its deadline is another.
            since: match before {
                Some(before) if before.order == order => before.since,
                _ => SystemTime::now(),
            },
            deadline: *deadline,
        });
        if standing == before {
            return Ok(());
        }
        let kept = self.publisher.order(service, &server, standing);
        kept.map_err(|error| Refusal::NotKept(error.to_string()))?;
        match (order, deadline) {
            (None, _) => tracing::info!("service {service}: server {server} is ready, by order"),
            (Some(Order::Down), _) => {
                tracing::info!("service {service}: server {server} is down, by order");
            }
            (Some(Order::Drain), deadline) => {
                let left = deadline.and_then(|it| it.duration_since(SystemTime::now()).ok());
                let until = left.map(|left| format!(", down in {} s", left.as_secs()));
                let until = until.unwrap_or_default();
                tracing::info!("service {service}: server {server} is drained, by order{until}");
            }
        }
        self.notifier.status(&self.status());
        Ok(())
    }

    /// When to look for orders that are due.
    pub(super) fn orders_next(&self) -> Option<Instant> {
        let left = self.publisher.orders().next_deadline(SystemTime::now())?;
        Some(Instant::now() + left.min(DEADLINE_LOOK))
    }

    /// Ends the drains whose deadline has come.
    pub(super) fn end_drains(&mut self) {
        for (service, server) in self.publisher.end_drains(SystemTime::now()) {
            tracing::info!("service {service}: server {server} is down: its drain has ended");
        }
        self.notifier.status(&self.status());
    }

    /// What workers begin with: the health of servers, and what was ordered before a restart.
    pub(super) fn in_force(snapshot: &Snapshot, orders: &Orders) -> Snapshot {
        let servers = publish::in_force(&snapshot.model, &snapshot.servers, orders);
        Snapshot { model: snapshot.model.clone(), servers }
    }
}
