//! One worker: what it holds, and how it obeys the control thread.

use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use sundew_config::model::{AccessLogOptions, EntryPointIndex, FieldMode, StaticModel};
use tokio::sync::mpsc::UnboundedSender;

use super::inbox::{Message, Outcome, Report, Snapshot};
use super::{WorkerOptions, listener, sweeper};
use crate::cluster::{Build, ServerFacts, Tables};
use crate::conn::count::Counted;
use crate::conn::local::{EntryPointLimits, Local, LocalOptions, head_limits};
use crate::io::{Expiry, Listener, Phase, WakePipe, sleep, spawn};

/// How long a connection that was taken from the queue at a stop may take to say something.
const FIRST_WORD_WAIT: Duration = Duration::from_millis(500);

/// How often a stopping worker looks whether it is done.
const STOP_POLL: Duration = Duration::from_millis(10);

/// One worker.
pub(super) struct Worker {
    local: Rc<Local>,
    statics: Arc<StaticModel>,
    listeners: RefCell<Vec<(Rc<EntryPointLimits>, Listener)>>,
    listening: Vec<(Rc<EntryPointLimits>, RawFd)>,
    entry_points: Vec<Rc<EntryPointLimits>>,
}

impl Worker {
    /// Takes over the listeners; must run inside the event loop.
    pub(super) fn new(
        options: WorkerOptions,
        reports: &UnboundedSender<Report>,
    ) -> io::Result<Self> {
        let WorkerOptions { index, statics, listeners, snapshot, access_log, caps, .. } = options;
        let entry_points = EntryPointLimits::all(&statics);
        let mut own = Vec::new();
        for (EntryPointIndex(entry_point), listener) in listeners {
            let Some(entry) = entry_points.get(usize::from(entry_point)) else { continue };
            own.push((Rc::clone(entry), Listener::from_std(listener)?));
        }
        let (reports, outcomes) = (reports.clone(), reports.clone());
        let local = Rc::new(Local::new(LocalOptions {
            index,
            response_head: head_limits(&statics.settings.limits),
            tables: build_tables(&snapshot, &statics, index, None),
            keeps_origin_fields: statics.access_log.as_ref().is_some_and(logs_headers),
            logs_internals: statics.access_log.as_ref().is_some_and(|it| it.internals),
            ping_terminating_status: statics.ping.as_ref().map_or(503, |it| it.terminating_status),
            access_log,
            caps,
            counted: Counted::new(&statics, &snapshot.model),
            on_connect_failed: Box::new(move |model, service, server| {
                let model = Arc::clone(model);
                let _ = reports.send(Report::ConnectFailed { model, service, server });
            }),
            on_outcome: Box::new(move |model, service, server, has_failed| {
                let model = Arc::clone(model);
                let outcome = Outcome { model, service, server, has_failed };
                let _ = outcomes.send(Report::Outcome(outcome));
            }),
        }));
        let listening =
            own.iter().map(|(entry, listener)| (Rc::clone(entry), listener.fd())).collect();
        Ok(Self { local, statics, listeners: RefCell::new(own), listening, entry_points })
    }

    /// Begins to accept.
    pub(super) fn begin(&self) {
        spawn(sweeper::sweep(Rc::clone(&self.local)));
        for (entry, listener) in self.listeners.take() {
            spawn(listener::accept_all(Rc::clone(&self.local), entry, listener));
        }
    }

    /// Does what it is told until it is told to stop; returns how many exchanges were cut off.
    pub(super) async fn obey(&self, messages: Receiver<Message>, wakes: UnixStream) -> usize {
        let Ok(mut wakes) = WakePipe::from_std(wakes) else { return 0 };
        loop {
            while let Ok(message) = messages.try_recv() {
                if let Message::Stop { grace } = message {
                    return self.stop(grace).await;
                }
                self.apply(message);
            }
            if wakes.wait().await.is_err() {
                // The control thread is gone without a word: nobody could stop us any more.
                return self.stop(Duration::ZERO).await;
            }
        }
    }

    fn apply(&self, message: Message) {
        match message {
            Message::Tables(snapshot) => {
                let before = Rc::clone(&self.local.tables.borrow());
                let tables =
                    build_tables(&snapshot, &self.statics, self.local.index, Some(&before));
                *self.local.tables.borrow_mut() = tables;
                if let Some(counted) = &self.local.counted {
                    counted.follow(&snapshot.model);
                }
            }
            Message::Health { service, server, is_up } => {
                if let Some(server) = self.local.tables.borrow().server(service, server) {
                    server.set_up(is_up);
                }
            }
            Message::Drain { service, server, is_draining } => {
                if let Some(server) = self.local.tables.borrow().server(service, server) {
                    server.set_draining(is_draining);
                }
            }
            Message::Count(tallies) => {
                // Whoever asked may have left.
                let _ = tallies.send(self.local.tally(&self.entry_points));
            }
            Message::Addresses { service, server, addresses } => {
                if let Some(server) = self.local.tables.borrow().server(service, server) {
                    server.set_addresses(&addresses);
                }
            }
            Message::Memory(pressure) => self.local.pressure.set(pressure),
            Message::Terminating => self.local.is_terminating.set(true),
            // Handled by the caller.
            Message::Stop { .. } => {}
        }
    }

    /// Empties the accept queues, closes listeners and idle connections, and waits for the rest.
    async fn stop(&self, grace: Duration) -> usize {
        let began = Instant::now();
        let local = &self.local;
        local.is_terminating.set(true);
        local.is_stopping.set(true);
        for (entry, listener) in &self.listening {
            listener::drain_and_shut(local, entry, *listener);
        }
        while !local.watches.is_empty() && began.elapsed() < grace {
            let is_patient = began.elapsed() < FIRST_WORD_WAIT;
            local.watches.for_each(|watch| {
                let is_fresh = is_patient && watch.served() == 0;
                if watch.phase() == Phase::Idle && watch.expiry().is_none() && !is_fresh {
                    watch.finish_idle();
                }
            });
            sleep(STOP_POLL).await;
        }
        let cut = local.watches.len();
        local.watches.for_each(|watch| watch.abort(Expiry::Stopping));
        // A turn of the event loop, so that what was aborted ends and is logged.
        sleep(STOP_POLL).await;
        local.end_access_log();
        cut
    }
}

fn build_tables(
    snapshot: &Snapshot,
    statics: &StaticModel,
    worker: usize,
    before: Option<&Tables>,
) -> Rc<Tables> {
    let servers: Vec<Vec<ServerFacts>> = snapshot
        .servers
        .iter()
        .map(|servers| {
            let facts = servers.iter().map(|server| ServerFacts {
                is_up: server.is_up,
                is_draining: server.is_draining,
                addresses: Arc::clone(&server.addresses),
                in_flight: server.in_flight.clone(),
            });
            facts.collect()
        })
        .collect();
    let build = Build {
        model: Arc::clone(&snapshot.model),
        servers: &servers,
        entry_points: statics.entry_points.len(),
        ping: statics.ping.as_ref().and_then(|ping| ping.entry_point),
        scheduler_offset: worker,
    };
    Rc::new(Tables::new(&build, before))
}

fn logs_headers(options: &AccessLogOptions) -> bool {
    let fields = &options.fields;
    fields.header_default_mode != FieldMode::Drop
        || fields.headers.iter().any(|(_, mode)| *mode != FieldMode::Drop)
}
