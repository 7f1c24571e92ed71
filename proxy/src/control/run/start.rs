//! The parts of a start that take turns with nothing: the workers, and what is said of the listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sundew_config::model::{Model, StaticModel};
use tokio::sync::mpsc;

use super::{StartError, io_error};
use crate::control::orders::Orders;
use crate::control::resolve::Resolver;
use crate::control::{listeners, publish};
use crate::observe::access_log::{self, AccessLog, AccessLogWriter};
use crate::worker::inbox::{Message, Report, Snapshot};
use crate::worker::{self, WorkerHandle, WorkerOptions};

/// What is known of every server before its first probe, and what operators ordered before a
/// restart.
pub(super) fn first_tables(
    statics: &StaticModel,
    model: Model,
    resolver: &Resolver,
) -> Result<(Snapshot, Orders), StartError> {
    let servers = publish::states(&model, |it| resolver.addresses(it), |_, _| true);
    let orders =
        Orders::load(statics.admin.state_file.clone()).map_err(io_error("sundew.stateFile"))?;
    Ok((Snapshot { model: Arc::new(model), servers }, orders))
}

/// The access log's writer and each worker's end of it; nothing without one.
pub(super) fn start_access_log(
    statics: &StaticModel,
    workers: usize,
) -> Result<(Option<AccessLogWriter>, Vec<AccessLog>), StartError> {
    let Some(options) = &statics.access_log else { return Ok((None, Vec::new())) };
    access_log::start(options, workers)
        .map(|(writer, logs)| (Some(writer), logs))
        .map_err(io_error("accessLog.filePath"))
}

/// Starts every worker, or none: those that run are stopped when a later one cannot start.
pub(super) fn start_workers(
    options: impl Iterator<Item = WorkerOptions>,
) -> Result<(Vec<WorkerHandle>, mpsc::UnboundedReceiver<Report>), StartError> {
    let (reports, inbox) = mpsc::unbounded_channel();
    let mut handles: Vec<WorkerHandle> = Vec::new();
    for options in options {
        let (index, cpu) = (options.index, options.cpu);
        match worker::start(options, reports.clone()) {
            Ok(handle) => {
                let place = cpu.map_or("not pinned".into(), |cpu| format!("on CPU {cpu}"));
                tracing::info!("worker {index}: {}, {place}", handle.driver());
                handles.push(handle);
            }
            Err(error) => {
                for handle in handles {
                    handle.send(Message::Stop { grace: Duration::ZERO });
                    // How it ended does not matter any more.
                    let _ = handle.join();
                }
                return Err(StartError::Io(format!("worker {index}"), error));
            }
        }
    }
    Ok((handles, inbox))
}

pub(super) fn announce(statics: &StaticModel, addresses: &[SocketAddr]) {
    for (entry_point, address) in statics.entry_points.iter().zip(addresses) {
        tracing::info!("entry point {}: listening on {address}", entry_point.name);
    }
    if let Some(granted) = listeners::backlog_shortfall() {
        tracing::info!("net.core.somaxconn lets only {granted} connections wait for a worker");
    }
}
