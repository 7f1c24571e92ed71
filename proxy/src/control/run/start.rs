//! The parts of a start that take turns with nothing: how it fails, the first tables, the
//! access log, and what is said of the listeners.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sundew_config::model::{Model, StaticModel};

use crate::control::listeners::{self, BindError};
use crate::control::orders::Orders;
use crate::control::publish;
use crate::control::resolve::Resolver;
use crate::observe::access_log::{self, AccessLog, AccessLogWriter};
use crate::worker::inbox::Snapshot;

/// Why the process did not start.
#[derive(Debug)]
pub enum StartError {
    /// Entry points that cannot listen, each with its reason.
    Bind(Vec<BindError>),
    /// Something else that the operating system refused: what was tried, and the error.
    Io(String, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(errors) => {
                for (position, error) in errors.iter().enumerate() {
                    let separator = if position == 0 { "" } else { "\n" };
                    write!(f, "{separator}{error}")?;
                }
                Ok(())
            }
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    |error| StartError::Io(what, error)
}

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

pub(super) fn announce(statics: &StaticModel, addresses: &[SocketAddr]) {
    for (entry_point, address) in statics.entry_points.iter().zip(addresses) {
        tracing::info!("entry point {}: listening on {address}", entry_point.name);
    }
    if let Some(granted) = listeners::backlog_shortfall() {
        tracing::info!("net.core.somaxconn lets only {granted} connections wait for a worker");
    }
}
