//! The data plane: one thread, one event loop, one replica of every table.

pub mod inbox;
mod listener;
mod runtime;
mod state;
mod sweeper;

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sundew_config::model::{EntryPointIndex, StaticModel};
use tokio::sync::mpsc::UnboundedSender;

pub use crate::conn::cap::Caps;
pub use crate::conn::descriptors::DescriptorCap;
pub use crate::conn::pressure::Pressure;
use crate::observe::access_log::AccessLog;
use inbox::{InboxSender, Message, Report, Snapshot};

/// What a worker is started with.
#[derive(Debug)]
pub struct WorkerOptions {
    /// Which worker; 0 is the first.
    pub index: usize,
    /// Pin to this CPU.
    pub cpu: Option<usize>,
    /// The static configuration.
    pub statics: Arc<StaticModel>,
    /// Its own listeners, bound and listening.
    pub listeners: Vec<(EntryPointIndex, TcpListener)>,
    /// The first tables.
    pub snapshot: Arc<Snapshot>,
    /// Off when `None`.
    pub access_log: Option<AccessLog>,
    /// Shared by all workers.
    pub caps: Caps,
}

/// A running worker, for the control thread.
#[derive(Debug)]
pub struct WorkerHandle {
    inbox: InboxSender,
    driver: String,
    thread: thread::JoinHandle<()>,
}

impl WorkerHandle {
    /// Sends a message; the worker applies it within its next turn. A worker that has ended does
    /// not mind.
    pub fn send(&self, message: Message) {
        self.inbox.send(message);
    }

    /// Which event loop it runs on, and why not a better one.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Waits for the thread to end.
    ///
    /// # Errors
    /// The panic that ended it.
    pub fn join(self) -> thread::Result<()> {
        self.thread.join()
    }
}

/// Starts a worker and waits until it accepts connections.
///
/// # Errors
/// When no event loop can be had, or the thread or its wake pipe cannot be made.
pub fn start(options: WorkerOptions, reports: UnboundedSender<Report>) -> io::Result<WorkerHandle> {
    let (inbox, messages, wakes) = inbox::channel()?;
    let (ready, is_ready) = sync_channel::<io::Result<String>>(1);
    let name = format!("sundew-{}", options.index);
    let thread = thread::Builder::new().name(name).spawn(move || {
        run_thread(options, reports, messages, wakes, ready);
    })?;
    let driver = await_ready(&is_ready)?;
    Ok(WorkerHandle { inbox, driver, thread })
}

fn await_ready(is_ready: &Receiver<io::Result<String>>) -> io::Result<String> {
    is_ready.recv().unwrap_or_else(|_ended| Err(io::Error::other("the worker's thread ended")))
}

fn run_thread(
    options: WorkerOptions,
    reports: UnboundedSender<Report>,
    messages: crossbeam_channel::Receiver<Message>,
    wakes: UnixStream,
    ready: SyncSender<io::Result<String>>,
) {
    let index = options.index;
    let mourner = Mourner { reports: reports.clone(), index };
    if let Some(cpu) = options.cpu
        && let Err(error) = crate::sys::pin_to_cpu(cpu)
    {
        tracing::warn!("worker {index}: cannot be pinned to CPU {cpu}: {error}");
    }
    let settings = &options.statics.settings;
    let mut runtime = match runtime::build(settings.driver, settings.ring_entries) {
        Ok(runtime) => runtime,
        Err(error) => {
            mourner.forgive();
            let _ = ready.send(Err(error));
            return;
        }
    };
    let description = runtime.description().to_owned();
    let cut = runtime.block_on(async move {
        match state::Worker::new(options, &reports) {
            Ok(worker) => {
                let worker = std::rc::Rc::new(worker);
                worker.begin();
                let _ = ready.send(Ok(description));
                worker.obey(messages, wakes).await
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                0
            }
        }
    });
    mourner.report_stopped(cut);
}

/// Tells the control thread how the worker ended, whatever happens.
struct Mourner {
    reports: UnboundedSender<Report>,
    index: usize,
}

impl Mourner {
    fn report_stopped(self, cut: usize) {
        let _ = self.reports.send(Report::Stopped { worker: self.index, cut });
        std::mem::forget(self);
    }

    /// The start failed, and its caller is told.
    fn forgive(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mourner {
    fn drop(&mut self) {
        let reason = String::from("its thread panicked");
        let _ = self.reports.send(Report::Died { worker: self.index, reason });
    }
}

#[cfg(test)]
mod tests;
