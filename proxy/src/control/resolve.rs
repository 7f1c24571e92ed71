//! Host names of server URLs → addresses: before a service is up, every `sundew.resolveInterval`,
//! and after a failed connection. Owns what was found last; a name that does not resolve any more
//! keeps its last good addresses. Never tells workers anything: [`super::run`] applies each
//! [`Resolution`] and publishes what changed.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sundew_config::model::{Endpoint, Model};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::worker::inbox::Address;

/// At most one lookup of a name in this time, however many connections to it fail.
pub const REPEAT_MIN: Duration = Duration::from_secs(1);

type Addresses = Arc<[IpAddr]>;
type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How a name is looked up: the system's resolver, or a test's script.
pub type Lookup = Arc<dyn Fn(String) -> Answer + Send + Sync>;

/// What a lookup found.
#[derive(Debug)]
pub struct Resolution {
    host: String,
    found: io::Result<Vec<IpAddr>>,
}

/// The addresses found last, shared with the health probes; a clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<HashMap<String, Addresses>>>);

impl Names {
    /// The addresses of `host`, a literal or a name of the configuration; `None`: neither.
    #[must_use]
    pub fn addresses(&self, host: &str) -> Option<Addresses> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Some(Arc::new([literal]));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    fn insert(&self, host: String, addresses: Addresses) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host, addresses);
    }

    fn remove(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

#[derive(Debug, Default)]
struct Name {
    started: Option<Instant>,
    is_pending: bool,
    is_failing: bool,
}

/// Every name of the configuration.
pub struct Resolver {
    lookup: Lookup,
    names: HashMap<String, Name>,
    found: Names,
    answers: mpsc::UnboundedSender<Resolution>,
    inbox: mpsc::UnboundedReceiver<Resolution>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Default for Resolver {
    /// Asks the system's resolver.
    fn default() -> Self {
        Self::new(Arc::new(|host| Box::pin(ask_system(host))))
    }
}

async fn ask_system(host: String) -> io::Result<Vec<IpAddr>> {
    // The port is the caller's business; the resolver wants one.
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

impl Resolver {
    /// Knows no name yet.
    #[must_use]
    pub fn new(lookup: Lookup) -> Self {
        let (answers, inbox) = mpsc::unbounded_channel();
        Self { lookup, names: HashMap::new(), found: Names::default(), answers, inbox }
    }

    /// The table that lookups fill.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.found
    }

    /// Where `endpoint` is, in the order in which to try; empty: its name does not resolve.
    #[must_use]
    pub fn addresses(&self, endpoint: &Endpoint) -> Arc<[Address]> {
        let (host, port) = match endpoint {
            Endpoint::Tcp { host, port } => (host, *port),
            Endpoint::Unix { path } => return Arc::new([Address::Unix(Path::new(path).into())]),
        };
        let Some(addresses) = self.found.addresses(host) else { return Arc::new([]) };
        addresses.iter().map(|address| SocketAddr::new(*address, port).into()).collect()
    }

    /// Looks up the names that are new in `model` and waits for them, at most `wait_max`; answers
    /// that come later are [`Resolver::next`]'s. Names in no use any more stay until
    /// [`Resolver::retain`]: the model may yet be replaced by nothing.
    pub async fn learn(&mut self, model: &Model, wait_max: Duration) {
        let mut fresh: BTreeSet<&str> = names_of(model).collect();
        fresh.retain(|host| !self.names.contains_key(*host));
        for &host in &fresh {
            self.names.insert(host.into(), Name::default());
            self.refresh(host);
        }
        let deadline = Instant::now() + wait_max;
        while fresh.iter().any(|host| self.names.get(*host).is_some_and(|name| name.is_pending)) {
            let Ok(resolution) = tokio::time::timeout_at(deadline, self.next()).await else {
                tracing::warn!("names are still being looked up: {}", join(&fresh, &self.names));
                return;
            };
            self.apply(resolution);
        }
    }

    /// Forgets the names that `model` does not use.
    pub fn retain(&mut self, model: &Model) {
        let used: BTreeSet<&str> = names_of(model).collect();
        let found = &self.found;
        self.names.retain(|host, _| {
            let is_used = used.contains(host.as_str());
            if !is_used {
                found.remove(host);
            }
            is_used
        });
    }

    /// Looks `host` up again: now, or a second after the last time. A failed connection right after
    /// a lookup may be the first sign of a move, so it is put off rather than ignored.
    pub fn refresh(&mut self, host: &str) {
        let Some(name) = self.names.get_mut(host) else { return };
        if name.is_pending {
            return;
        }
        let now = Instant::now();
        let start = name.started.map_or(now, |started| now.max(started + REPEAT_MIN));
        name.is_pending = true;
        name.started = Some(start);
        let (lookup, answers, host) = (self.lookup.clone(), self.answers.clone(), host.to_owned());
        tokio::spawn(async move {
            sleep_until(start).await;
            let found = lookup(host.clone()).await;
            // Nobody listens once the process stops.
            let _ = answers.send(Resolution { host, found });
        });
    }

    /// Looks every name up again.
    pub fn refresh_all(&mut self) {
        let hosts: Vec<String> = self.names.keys().cloned().collect();
        for host in hosts {
            self.refresh(&host);
        }
    }

    /// The next answer, to be [applied](Resolver::apply). Cancelling it loses none.
    pub async fn next(&mut self) -> Resolution {
        match self.inbox.recv().await {
            Some(resolution) => resolution,
            // Not reached: `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer in. Returns the name whose addresses are others now.
    ///
    /// The same addresses in another order are no change: resolvers rotate them.
    pub fn apply(&mut self, resolution: Resolution) -> Option<String> {
        let Resolution { host, found } = resolution;
        let name = self.names.get_mut(&host)?;
        name.is_pending = false;
        let before = self.found.addresses(&host);
        let fresh = match found {
            Ok(found) if !found.is_empty() => unique(found),
            nothing => {
                if !name.is_failing {
                    let reason = nothing.err().map_or("no address".into(), |it| it.to_string());
                    let consequence = match before {
                        Some(_) => "its last addresses stay in use",
                        None => "its servers refuse",
                    };
                    tracing::warn!("host {host} does not resolve: {reason}; {consequence}");
                }
                name.is_failing = true;
                return None;
            }
        };
        if std::mem::take(&mut name.is_failing) {
            tracing::info!("host {host} resolves again");
        }
        let is_same = before.as_ref().is_some_and(|before| {
            before.iter().collect::<BTreeSet<_>>() == fresh.iter().collect::<BTreeSet<_>>()
        });
        if is_same {
            return None;
        }
        if before.is_some() {
            tracing::info!("host {host} moved to {fresh:?}");
        }
        self.found.insert(host.clone(), fresh.into());
        Some(host)
    }
}

/// The host names of a model, without literal addresses.
fn names_of(model: &Model) -> impl Iterator<Item = &str> {
    model.load_balancers().flat_map(|(_, _, balancer)| &balancer.servers).filter_map(|server| {
        let host = server.endpoint.host()?;
        host.parse::<IpAddr>().is_err().then_some(host)
    })
}

/// Without repetitions, in the resolver's order.
fn unique(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = BTreeSet::new();
    addresses.into_iter().filter(|address| seen.insert(*address)).collect()
}

fn join(hosts: &BTreeSet<&str>, names: &HashMap<String, Name>) -> String {
    let pending = |host: &&&str| names.get(**host).is_some_and(|name| name.is_pending);
    hosts.iter().filter(pending).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
