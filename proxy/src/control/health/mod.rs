//! Active health checks: one task a server, so that the servers of a service are probed in parallel
//! and a slow one delays nobody. The first probe is sent at once.
//!
//! Owns the tasks. Never decides what is published: [`super::run`] asks whether a [`Verdict`] is
//! still meant and hands it on.

mod grpc;
mod probe;
mod streak;
mod target;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sundew_config::model::{HealthCheck, HealthMode, Model, Server};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use self::streak::Streak;
use super::resolve::Names;

/// Probes in flight at a time, over all services: bounds descriptors and memory whatever the
/// configuration asks for.
const PROBES_MAX: usize = 512;

/// Between the starts of two probes of a server, whatever the configuration asks for: the control
/// thread has other work.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Which server of which service: the identity that survives reloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// Qualified name of the service.
    pub service: Arc<str>,
    /// The server's URL as configured.
    pub url: Arc<str>,
}

/// The outcome of one probe.
#[derive(Debug)]
pub struct Verdict {
    /// Whose.
    pub key: TargetKey,
    task: u64,
    /// Why it is not healthy.
    pub outcome: Result<(), Unhealthy>,
    /// There were enough of its kind in a row: the server is up, or down.
    pub is_decided: bool,
}

/// Why a probe failed, for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Unhealthy {
    /// Its name does not resolve.
    NoAddress,
    /// This process has no descriptors or ports left: it says nothing about the server.
    Exhausted(String),
    /// No address took the connection.
    Connect(String),
    /// No whole response head within `timeout`.
    Timeout,
    /// The connection broke or carried something that is not HTTP.
    Exchange(String),
    /// A response, but not the wanted one.
    Status(u16),
    /// A gRPC status other than OK.
    Grpc(String),
    /// A gRPC health service that says something else than SERVING.
    NotServing,
    /// More redirects than are followed.
    TooManyRedirects,
    /// A redirect that cannot be followed, or a path that is no relative reference.
    Target(String),
}

impl Unhealthy {
    /// Whether the server may have moved to another address.
    #[must_use]
    pub fn may_be_a_move(&self) -> bool {
        matches!(self, Self::NoAddress | Self::Connect(_) | Self::Timeout)
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("its host name does not resolve"),
            Self::Exhausted(error) => write!(f, "sundew cannot connect to anybody: {error}"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Exchange(error) => write!(f, "no valid answer: {error}"),
            Self::Status(status) => write!(f, "it answered {status}"),
            Self::Grpc(status) => write!(f, "it answered gRPC status {status}"),
            Self::NotServing => f.write_str("it says that it does not serve"),
            Self::TooManyRedirects => {
                write!(f, "stopped after {} redirects", probe::REDIRECTS_MAX)
            }
            Self::Target(why) => f.write_str(why),
        }
    }
}

/// What a task probes; as long as it stays equal over a reload, the task goes on undisturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    server: Server,
    check: HealthCheck,
}

#[derive(Debug)]
struct Running {
    target: Target,
    task: u64,
    abort: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// All probe tasks of the configuration.
#[derive(Debug)]
pub struct Prober {
    running: HashMap<TargetKey, Running>,
    tasks_started: u64,
    names: Names,
    permits: Arc<Semaphore>,
    verdicts: mpsc::UnboundedSender<Verdict>,
    inbox: mpsc::UnboundedReceiver<Verdict>,
}

impl Prober {
    /// Probes nothing yet; finds servers' addresses in `names`.
    #[must_use]
    pub fn new(names: Names) -> Self {
        let (verdicts, inbox) = mpsc::unbounded_channel();
        Self {
            running: HashMap::new(),
            tasks_started: 0,
            names,
            permits: Arc::new(Semaphore::new(PROBES_MAX)),
            verdicts,
            inbox,
        }
    }

    /// Probes what `model` asks for from now on: tasks whose server and settings did not change go
    /// on, others begin with a probe at once, and those in no use end.
    pub fn follow(&mut self, model: &Model) {
        let mut before = std::mem::take(&mut self.running);
        for (_, service, balancer) in model.load_balancers() {
            let Some(check) = &balancer.health_check else { continue };
            let name: Arc<str> = service.name.as_str().into();
            for server in &balancer.servers {
                let key = TargetKey { service: name.clone(), url: server.url.as_str().into() };
                let target = Target { server: server.clone(), check: check.clone() };
                // A URL written twice is one target: `(service, url)` is the identity.
                if self.running.contains_key(&key) {
                    continue;
                }
                let running = match before.remove(&key) {
                    Some(running) if running.target == target => running,
                    _ => self.start(key.clone(), target),
                };
                self.running.insert(key, running);
            }
        }
    }

    /// The next verdict; ask [`Prober::is_current`] before believing it. Cancelling it loses none.
    pub async fn next(&mut self) -> Verdict {
        match self.inbox.recv().await {
            Some(verdict) => verdict,
            // Not reached: `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Whether the task that gave `verdict` still runs; one that a reload ended may have left a
    /// verdict under settings that are no more.
    #[must_use]
    pub fn is_current(&self, verdict: &Verdict) -> bool {
        self.running.get(&verdict.key).is_some_and(|running| running.task == verdict.task)
    }

    fn start(&mut self, key: TargetKey, target: Target) -> Running {
        self.tasks_started += 1;
        let task = self.tasks_started;
        let work = watch(
            key,
            task,
            target.clone(),
            self.names.clone(),
            self.permits.clone(),
            self.verdicts.clone(),
        );
        Running { target, task, abort: tokio::spawn(work).abort_handle() }
    }
}

/// Probes one server until aborted, at `interval` while it is up, else at `unhealthy_interval`.
async fn watch(
    key: TargetKey,
    task: u64,
    target: Target,
    names: Names,
    permits: Arc<Semaphore>,
    verdicts: mpsc::UnboundedSender<Verdict>,
) {
    let mut streak = Streak::default();
    loop {
        // Never closed, so an error cannot happen; without a permit the probe is sent all the same.
        let permit = permits.acquire().await.ok();
        let started = Instant::now();
        let (server, check) = (&target.server, &target.check);
        let outcome = match check.mode {
            HealthMode::Http => probe::probe(server, check, &names).await,
            HealthMode::Grpc => grpc::probe(server, check, &names).await,
        };
        drop(permit);
        let pause = match outcome {
            Ok(()) => target.check.interval,
            Err(_) => target.check.unhealthy_interval,
        };
        let is_decided = is_decided(&outcome, &mut streak, &target.check);
        if verdicts.send(Verdict { key: key.clone(), task, outcome, is_decided }).is_err() {
            return;
        }
        sleep_until(started + pause.max(PAUSE_MIN)).await;
    }
}

/// Whether a probe, with those before it, says something about its server.
fn is_decided(outcome: &Result<(), Unhealthy>, streak: &mut Streak, check: &HealthCheck) -> bool {
    match outcome {
        Err(Unhealthy::Exhausted(_)) => false,
        outcome => streak.note(outcome.is_ok(), check),
    }
}

#[cfg(test)]
mod tests;
