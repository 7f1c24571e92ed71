//! Starting the workers. Owns nothing afterwards; called by [`super::run`] alone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::run::StartError;
use crate::worker::inbox::{Message, Report};
use crate::worker::{self, WorkerHandle, WorkerOptions};

/// Starts every worker, or none: those that run are stopped when a later one cannot start.
pub(super) fn start(
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
