//! The life of the process: bind → start workers → ready → react → stop. Owns every other part of
//! the control thread and decides in which order they act. Called by the command line's verbs.

mod ask;
mod start;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sundew_config::load::Loader;
use sundew_config::model::{Model, StaticModel};
use sundew_config::{Diagnostic, Diagnostics, Severity};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::admin::{Ask, Desk};
use super::health::{Prober, TargetKey, Verdict};
use super::listeners::{self, Locks};
use super::log::LogOutput;
use super::memory::MemoryWatch;
use super::passive::Ejections;
use super::publish::Publisher;
use super::reload::{self, Loaded, Reloader};
use super::resolve::{self, Resolution, Resolver};
use super::signals::{Request, Signals};
use super::stop::{Shutdown, Step};
use super::systemd::Notifier;
use super::{limits, log, workers};
use crate::observe::access_log::AccessLogWriter;
use crate::worker::inbox::Report;
use crate::worker::{Caps, DescriptorCap, Pressure, WorkerHandle, WorkerOptions};
use start::{announce, first_tables, io_error, start_access_log};

pub use super::stop::Ending;
pub use start::StartError;

/// Names are waited for this long before the process is ready; servers whose names come later
/// refuse until then.
const NAMES_WAIT_AT_START: Duration = Duration::from_secs(5);

/// On a reload signals and the watchdog wait as well, so less.
const NAMES_WAIT_ON_RELOAD: Duration = Duration::from_secs(2);

/// Threads for name lookups and for loading; more lookups than this wait for each other.
const BLOCKING_THREADS_MAX: usize = 32;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The static configuration.
    pub statics: StaticModel,
    /// The first dynamic configuration.
    pub model: Model,
    /// Where later ones come from; `None`: there are none.
    pub loader: Option<Loader>,
    /// Notes and warnings of the first load, to be logged.
    pub diagnostics: Diagnostics,
}

/// Runs until the process is to end. `on_ready` is called once, with the address of every entry
/// point, when all of them accept.
///
/// # Errors
/// When it cannot start; nothing is left running.
pub fn run(plan: Plan, on_ready: impl FnOnce(&[SocketAddr])) -> Result<Ending, StartError> {
    let log = log::start(&plan.statics.log).map_err(io_error("log.filePath"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(io_error("the control thread"))?;
    let ending = runtime.block_on(async {
        let mut control = Control::start(plan, log).await?;
        on_ready(&control.addresses);
        let ending = control.serve().await;
        control.end(ending);
        Ok(ending)
    });
    // A lookup that hangs must not keep the process.
    runtime.shutdown_background();
    ending
}

/// What the control thread waits for.
enum Event {
    Operator(Request),
    Worker(Report),
    /// No worker is left that could report.
    WorkersGone,
    Verdict(Verdict),
    /// A server's ejection is over.
    EjectionEnd(TargetKey),
    Resolution(Resolution),
    Reload(reload::Event),
    Memory(Pressure),
    Asked(Ask),
    DrainDue,
    ResolveTick,
    WatchdogTick,
    StopDeadline,
}

struct Control {
    addresses: Vec<SocketAddr>,
    publisher: Publisher<WorkerHandle>,
    reports: mpsc::UnboundedReceiver<Report>,
    resolver: Resolver,
    prober: Prober,
    ejections: Ejections,
    reloader: Reloader,
    memory: MemoryWatch,
    signals: Signals,
    notifier: Notifier,
    shutdown: Shutdown,
    access_log: Option<AccessLogWriter>,
    desk: Desk,
    /// Configurations that were applied, and when the last one was.
    reloads: u64,
    reloaded: SystemTime,
    log: LogOutput,
    resolve_interval: Duration,
    resolve_next: Instant,
    alive_next: Option<Instant>,
    /// What the last load said, so that a reload that finds nothing new does not repeat it.
    said: (Diagnostics, Vec<String>),
    _locks: Locks,
}

impl Control {
    async fn start(plan: Plan, log: LogOutput) -> Result<Self, StartError> {
        let Plan { statics, model, loader, mut diagnostics } = plan;
        say(&diagnostics);
        // Notes are for the start alone; a load brings none.
        diagnostics.retain(|it| it.severity != Severity::Note);
        let signals = Signals::new().map_err(io_error("signals"))?;
        let notifier = Notifier::from_environment().map_err(io_error("NOTIFY_SOCKET"))?;
        let open_files = limits::raise_open_files();
        let cpus = limits::allowed_cpus();
        let workers = statics.settings.workers.unwrap_or(cpus.len()).max(1);
        let mut bound =
            listeners::bind(&statics.entry_points, workers).map_err(StartError::Bind)?;
        let mut resolver = Resolver::default();
        resolver.learn(&model, NAMES_WAIT_AT_START).await;
        let (snapshot, orders) = first_tables(&statics, model, &resolver)?;
        let in_force = Arc::new(Self::in_force(&snapshot, &orders));
        let (access_log, logs) = start_access_log(&statics, workers)?;
        let own = limits::own_descriptors(workers);
        let descriptors = DescriptorCap::new(open_files, own);
        let caps = Caps::new(&statics.settings.limits, descriptors);
        let memory = MemoryWatch::new(statics.settings.limits.memory);
        let statics = Arc::new(statics);
        let desk = Desk::open(&statics, bound.take_own(&statics))
            .map_err(io_error("sundew.api.socket"))?;
        let mut logs = logs.into_iter();
        let placement = limits::placement(workers, &cpus, statics.settings.pin);
        let options = bound.workers.into_iter().zip(placement).enumerate();
        let options = options.map(|(index, (listeners, cpu))| WorkerOptions {
            index,
            cpu,
            statics: statics.clone(),
            listeners,
            snapshot: in_force.clone(),
            access_log: logs.next(),
            caps: caps.clone(),
        });
        let (handles, reports) = workers::start(options)?;
        announce(&statics, &bound.addresses);

        let resolve_interval = statics.settings.resolve_interval.max(resolve::REPEAT_MIN);
        let is_watching = statics.file_provider.as_ref().is_none_or(|it| it.watch);
        let mut prober = Prober::new(resolver.names().clone());
        prober.follow(&snapshot.model);
        let control = Self {
            addresses: bound.addresses,
            publisher: Publisher::new(handles, &snapshot, orders),
            reports,
            prober,
            ejections: Ejections::default(),
            reloader: Reloader::new(loader, statics.providers_throttle, is_watching),
            memory,
            resolver,
            signals,
            shutdown: Shutdown::new(workers, &statics.entry_points),
            access_log,
            desk,
            reloads: 1,
            reloaded: SystemTime::now(),
            log,
            resolve_interval,
            resolve_next: Instant::now() + resolve_interval,
            alive_next: notifier.watchdog_interval().map(|_| Instant::now()),
            notifier,
            said: (diagnostics, Vec::new()),
            _locks: bound.locks,
        };
        control.notifier.ready(&control.status());
        tracing::info!("ready: {}", control.status());
        Ok(control)
    }

    /// Reacts to everything, until the end.
    async fn serve(&mut self) -> Ending {
        loop {
            let step = match self.next_event().await {
                Event::Operator(request) => self.operator_asks(request),
                Event::Worker(report) => self.worker_reports(report),
                Event::WorkersGone => {
                    tracing::error!("the workers ended without a word");
                    Step::End(Ending::WorkerDied)
                }
                Event::Verdict(verdict) => self.judge(&verdict),
                Event::EjectionEnd(key) => {
                    let is_news = self.ejections.end(&key, &mut self.publisher);
                    self.note_health(is_news)
                }
                Event::Resolution(resolution) => self.take_resolution(resolution),
                Event::Reload(event) => self.take_reload(event).await,
                Event::Memory(pressure) => {
                    self.publisher.memory(pressure);
                    Step::Wait
                }
                Event::Asked(ask) => {
                    self.answer(ask);
                    Step::Wait
                }
                Event::DrainDue => {
                    self.end_drains();
                    Step::Wait
                }
                Event::ResolveTick => {
                    self.resolve_next = Instant::now() + self.resolve_interval;
                    self.resolver.refresh_all();
                    Step::Wait
                }
                Event::WatchdogTick => {
                    let interval = self.notifier.watchdog_interval();
                    self.alive_next = interval.map(|interval| Instant::now() + interval);
                    self.notifier.alive();
                    Step::Wait
                }
                Event::StopDeadline => self.shutdown.elapsed(Instant::now()),
            };
            if let Some(ending) = self.take(step) {
                return ending;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let stop = self.shutdown.deadline();
        let drains = self.orders_next();
        tokio::select! {
            request = self.signals.next() => Event::Operator(request),
            report = self.reports.recv() => report.map_or(Event::WorkersGone, Event::Worker),
            verdict = self.prober.next() => Event::Verdict(verdict),
            key = self.ejections.next() => Event::EjectionEnd(key),
            resolution = self.resolver.next() => Event::Resolution(resolution),
            event = self.reloader.next(), if stop.is_none() => Event::Reload(event),
            pressure = self.memory.next() => Event::Memory(pressure),
            ask = self.desk.next() => Event::Asked(ask),
            () = at(drains) => Event::DrainDue,
            () = sleep_until(self.resolve_next) => Event::ResolveTick,
            () = at(self.alive_next) => Event::WatchdogTick,
            () = at(stop) => Event::StopDeadline,
        }
    }

    fn operator_asks(&mut self, request: Request) -> Step {
        match request {
            Request::Stop => return self.shutdown.request(Instant::now()),
            Request::Reload => {
                if !self.reloader.force() {
                    tracing::warn!("nothing to reload: the configuration is not from a file");
                }
            }
            Request::ReopenLogs => {
                if let Err(error) = self.log.reopen() {
                    tracing::error!("the log could not be opened again: {error}");
                }
                if let Some(access_log) = &self.access_log {
                    access_log.reopen();
                }
                tracing::info!("log files opened again");
            }
        }
        Step::Wait
    }

    fn worker_reports(&mut self, report: Report) -> Step {
        match report {
            Report::ConnectFailed { model, service, server } => {
                // Indexes of other tables mean other servers.
                if Arc::ptr_eq(&model, self.publisher.model())
                    && let Some(host) = self.publisher.host(service, server)
                {
                    self.resolver.refresh(host);
                }
                Step::Wait
            }
            Report::Outcome(outcome) => {
                let is_news = self.ejections.take(&outcome, &mut self.publisher);
                self.note_health(is_news)
            }
            Report::Stopped { worker, cut } => {
                if cut > 0 {
                    tracing::warn!("worker {worker} cut {cut} exchanges off after the grace time");
                }
                self.shutdown.stopped(worker)
            }
            Report::Died { worker, reason } => {
                tracing::error!("worker {worker} died: {reason}; stopping");
                self.shutdown.died(worker, Instant::now())
            }
        }
    }

    fn judge(&mut self, verdict: &Verdict) -> Step {
        if !self.prober.is_current(verdict) {
            return Step::Wait;
        }
        let (service, url) = (&verdict.key.service, &verdict.key.url);
        if verdict.is_decided && self.publisher.health(service, url, verdict.outcome.is_ok()) {
            match &verdict.outcome {
                Ok(()) => tracing::info!("service {service}: server {url} is up"),
                Err(why) => tracing::warn!("service {service}: server {url} is down: {why}"),
            }
            self.notifier.status(&self.status());
        }
        if matches!(verdict.outcome, Err(ref why) if why.may_be_a_move())
            && let Some(host) = self.publisher.host_of(service, url)
        {
            self.resolver.refresh(host);
        }
        Step::Wait
    }

    /// A server went up or down, or nothing changed.
    fn note_health(&self, is_news: bool) -> Step {
        if is_news {
            self.notifier.status(&self.status());
        }
        Step::Wait
    }

    fn take_resolution(&mut self, resolution: Resolution) -> Step {
        if let Some(host) = self.resolver.apply(resolution) {
            self.publisher.addresses(&host, |endpoint| self.resolver.addresses(endpoint));
        }
        Step::Wait
    }

    async fn take_reload(&mut self, event: reload::Event) -> Step {
        match event {
            reload::Event::Started => self.notifier.reloading(),
            reload::Event::Finished { loaded, is_forced } => {
                self.apply(loaded, is_forced).await;
                self.notifier.ready(&self.status());
            }
            reload::Event::Broken => {
                tracing::error!("loading the configuration failed; restart to load it again");
                self.notifier.ready(&self.status());
            }
        }
        Step::Wait
    }

    async fn apply(&mut self, loaded: Loaded, is_forced: bool) {
        let (diagnostics, restart_needed, model) = match loaded {
            Ok(reload) => (reload.diagnostics, reload.restart_needed, Some(reload.model)),
            Err(diagnostics) => (diagnostics, Vec::new(), None),
        };
        let is_news = self.said.0 != diagnostics || self.said.1 != restart_needed;
        if is_news || is_forced {
            say(&diagnostics);
            if !restart_needed.is_empty() {
                tracing::warn!("changed, but needs a restart: {}", restart_needed.join(", "));
            }
        }
        self.said = (diagnostics, restart_needed);
        match model {
            None => tracing::error!("configuration refused; the last good one stays"),
            Some(model) if model == **self.publisher.model() => {
                if is_forced {
                    tracing::info!("configuration unchanged");
                }
            }
            Some(model) => {
                self.resolver.learn(&model, NAMES_WAIT_ON_RELOAD).await;
                self.publisher.tables(model, |endpoint| self.resolver.addresses(endpoint));
                self.resolver.retain(self.publisher.model());
                self.prober.follow(self.publisher.model());
                self.ejections.follow(&self.publisher);
                self.reloader.applied();
                self.reloads += 1;
                self.reloaded = SystemTime::now();
                tracing::info!("configuration applied: {}", self.status());
            }
        }
    }

    fn take(&mut self, step: Step) -> Option<Ending> {
        match step {
            Step::Wait => None,
            Step::Announce => {
                tracing::info!("stopping");
                self.notifier.stopping("finishing what is in flight");
                self.publisher.terminating();
                None
            }
            Step::Stop => {
                self.publisher.stop(self.shutdown.grace);
                None
            }
            Step::End(ending) => {
                if ending == Ending::Forced {
                    let alive = self.shutdown.alive();
                    tracing::error!("ending at once; workers still busy: {alive:?}");
                }
                Some(ending)
            }
        }
    }

    /// Lets the workers go, then the access log, which may still hold their last lines.
    fn end(self, ending: Ending) {
        if ending != Ending::Forced {
            for (index, worker) in self.publisher.into_workers().into_iter().enumerate() {
                if worker.join().is_err() {
                    tracing::error!("worker {index} panicked");
                }
            }
        }
        if let Some(access_log) = self.access_log {
            let dropped = access_log.dropped();
            if dropped > 0 {
                tracing::warn!("{dropped} access log lines were dropped");
            }
            access_log.stop();
        }
        tracing::info!("stopped");
    }

    /// One line for systemd and the log.
    fn status(&self) -> String {
        let model = self.publisher.model();
        let (servers, down) = self.publisher.server_counts();
        let down = if down == 0 { String::new() } else { format!(" ({down} down)") };
        let (routers, services) = (model.routers.len(), model.services.len());
        format!("routers: {routers}, services: {services}, servers: {servers}{down}")
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Logs what is to be said about a configuration, in the order of its places.
fn say(diagnostics: &Diagnostics) {
    for diagnostic in in_order(diagnostics) {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
            Severity::Note => tracing::info!("{diagnostic}"),
        }
    }
}

/// Sorted by place, the order in which an operator goes through a file.
pub fn in_order(diagnostics: &Diagnostics) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by(|one, other| one.place.cmp(&other.place));
    sorted
}
