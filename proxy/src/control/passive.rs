//! Passive health checks: servers that fail the requests of clients are ejected for a while.
//!
//! Owns the failures that workers have told of, and who is ejected until when. What is published
//! goes through [`Publisher`]; [`super::run`] brings the outcomes and asks whose time has come.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use sundew_config::model::{LoadBalancer, PassiveHealthCheck};
use tokio::time::{Instant, sleep_until};

use super::health::TargetKey;
use super::publish::{Inbox, Publisher};
use crate::worker::inbox::Outcome;

/// What is known of one server.
#[derive(Debug, Default)]
struct Record {
    /// When it failed, oldest first; never more than eject it.
    failures: VecDeque<Instant>,
    /// When it is tried again.
    until: Option<Instant>,
}

/// Failures and ejections of all servers whose services have a passive check.
#[derive(Debug, Default)]
pub struct Ejections {
    records: HashMap<TargetKey, Record>,
}

impl Ejections {
    /// Takes an outcome; returns whether a server was ejected for it.
    pub fn take<I: Inbox>(&mut self, outcome: &Outcome, publisher: &mut Publisher<I>) -> bool {
        // Indexes of other tables mean other servers.
        if !Arc::ptr_eq(&outcome.model, publisher.model()) {
            return false;
        }
        let mut all = outcome.model.load_balancers();
        let found = all.find(|(index, ..)| *index == outcome.service);
        let Some((_, service, balancer)) = found else { return false };
        let server = balancer.servers.get(outcome.server.as_usize());
        let (Some(rule), Some(server)) = (&balancer.passive_health_check, server) else {
            return false;
        };
        let key = key(&service.name, &server.url);
        if !outcome.has_failed {
            self.records.remove(&key);
            return false;
        }
        let now = Instant::now();
        let record = self.records.entry(key).or_default();
        // Requests that were on their way when it was ejected change nothing.
        if record.until.is_some() || !record.fails(rule, now) {
            return false;
        }
        record.until = Some(now + rule.failure_window);
        let is_news = publisher.health(&service.name, &server.url, false);
        if is_news {
            let (service, url, failures) = (&service.name, &server.url, rule.failed_attempts_max);
            tracing::warn!(
                "service {service}: server {url} is ejected: it failed {failures} in a row"
            );
        }
        is_news
    }

    /// The next server whose time has come; none while nobody is ejected. Cancelling it loses none.
    pub async fn next(&mut self) -> TargetKey {
        let due = self.records.iter().filter_map(|(key, record)| Some((record.until?, key)));
        match due.min_by_key(|(until, _)| *until) {
            Some((until, key)) => {
                let key = key.clone();
                sleep_until(until).await;
                key
            }
            None => std::future::pending().await,
        }
    }

    /// Gives an ejected server another try, unless an active check has the say; returns whether
    /// its state changed.
    pub fn end<I: Inbox>(&mut self, key: &TargetKey, publisher: &mut Publisher<I>) -> bool {
        self.records.remove(key);
        let is_alone = |balancer: &LoadBalancer| balancer.health_check.is_none();
        let mut down = publisher.down();
        if !down
            .any(|(service, url, it)| (service, url) == (&*key.service, &*key.url) && is_alone(it))
        {
            return false;
        }
        drop(down);
        let is_news = publisher.health(&key.service, &key.url, true);
        if is_news {
            tracing::info!("service {}: server {} is tried again", key.service, key.url);
        }
        is_news
    }

    /// Forgets who is not checked any more after a reload, and makes sure that whoever is down
    /// comes back, now that nobody else may be left to see to it.
    pub fn follow<I: Inbox>(&mut self, publisher: &Publisher<I>) {
        let mut checked: HashSet<TargetKey> = HashSet::new();
        for (_, service, balancer) in publisher.model().load_balancers() {
            if balancer.passive_health_check.is_some() {
                checked.extend(balancer.servers.iter().map(|it| key(&service.name, &it.url)));
            }
        }
        self.records.retain(|key, _| checked.contains(key));
        let now = Instant::now();
        for (service, url, balancer) in publisher.down() {
            if let (Some(rule), None) = (&balancer.passive_health_check, &balancer.health_check) {
                let record = self.records.entry(key(service, url)).or_default();
                record.until.get_or_insert(now + rule.failure_window);
            }
        }
    }
}

impl Record {
    /// Notes a failure; whether it is one too many within the window.
    fn fails(&mut self, rule: &PassiveHealthCheck, now: Instant) -> bool {
        self.failures.retain(|at| now.duration_since(*at) < rule.failure_window);
        self.failures.push_back(now);
        self.failures.len() >= rule.failed_attempts_max as usize
    }
}

fn key(service: &str, url: &str) -> TargetKey {
    TargetKey { service: service.into(), url: url.into() }
}

#[cfg(test)]
mod tests;
