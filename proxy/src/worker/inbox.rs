//! What the control thread tells a worker, and the channel that carries it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use sundew_config::model::{Model, ServerIndex, ServiceIndex};
use tokio::sync::mpsc::UnboundedSender;

pub use crate::cluster::SharedInFlight;
use crate::conn::pressure::Pressure;
pub use crate::io::Address;
use crate::observe::tally::Tally;

/// What the control thread knows about one server when it publishes tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// Not down by its active health check.
    pub is_up: bool,
    /// Gets no new pins.
    pub is_draining: bool,
    /// Where it is, in the order in which to try; empty: its name does not resolve, so it refuses.
    pub addresses: Arc<[Address]>,
    /// Its requests on all workers, where they are capped.
    pub in_flight: SharedInFlight,
}

/// A whole configuration with the state of its servers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The checked configuration.
    pub model: Arc<Model>,
    /// Indexed by service, then by server; empty for services that have no servers of their own.
    pub servers: Vec<Vec<ServerState>>,
}

/// One message to a worker. Indexes mean the [`Snapshot`] that was sent last before it.
#[derive(Clone, Debug)]
pub enum Message {
    /// New tables; carry over what did not change.
    Tables(Arc<Snapshot>),
    /// A server went up or down.
    Health {
        /// Which service.
        service: ServiceIndex,
        /// Which of its servers.
        server: ServerIndex,
        /// The new state.
        is_up: bool,
    },
    /// A server gets no new pins from now on, or does again.
    Drain {
        /// Which service.
        service: ServiceIndex,
        /// Which of its servers.
        server: ServerIndex,
        /// The new state.
        is_draining: bool,
    },
    /// An operator wants to know what was counted.
    Count(UnboundedSender<Tally>),
    /// A server's name resolves to other addresses now.
    Addresses {
        /// Which service.
        service: ServiceIndex,
        /// Which of its servers.
        server: ServerIndex,
        /// Where it is now.
        addresses: Arc<[Address]>,
    },
    /// There is more or less memory than before.
    Memory(Pressure),
    /// `/ping` answers the terminating status from now on; requests are still accepted.
    Terminating,
    /// Stop accepting, finish what is in flight within `grace`, then end the thread.
    Stop {
        /// Longest wait for requests in flight.
        grace: Duration,
    },
}

/// A failure of a server, or its first success after one.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model that the indexes belong to; compare with `Arc::ptr_eq`.
    pub model: Arc<Model>,
    /// Which service.
    pub service: ServiceIndex,
    /// Which of its servers.
    pub server: ServerIndex,
    /// A status of 500 or more, or none at all.
    pub has_failed: bool,
}

/// What a worker tells the control thread.
#[derive(Clone, Debug)]
pub enum Report {
    /// A connection to a server failed: its name may have moved. Indexes mean the tables with
    /// this model.
    ConnectFailed {
        /// The model that the indexes belong to; compare with `Arc::ptr_eq`.
        model: Arc<Model>,
        /// Which service.
        service: ServiceIndex,
        /// Which of its servers.
        server: ServerIndex,
    },
    /// What came of a request to a server whose service has a passive check.
    Outcome(Outcome),
    /// The worker has ended after `Stop`; how many exchanges were cut by the deadline.
    Stopped {
        /// Which worker.
        worker: usize,
        /// Exchanges cut off.
        cut: usize,
    },
    /// The worker's thread ended without being told to.
    Died {
        /// Which worker.
        worker: usize,
        /// Why.
        reason: String,
    },
}

/// The sending end of a worker's inbox.
#[derive(Debug)]
pub struct InboxSender {
    messages: Sender<Message>,
    wake: UnixStream,
}

impl InboxSender {
    /// Queues a message and wakes the worker.
    pub fn send(&self, message: Message) {
        // A worker that has ended reads no more; it does not need to.
        let _ = self.messages.send(message);
        // After every push. A full pipe means that a wake is pending already.
        let _ = (&self.wake).write(&[1]);
    }
}

/// A worker's inbox: the sender, the messages, and the pipe that wakes their reader.
///
/// # Errors
/// When the process is out of descriptors.
pub fn channel() -> io::Result<(InboxSender, Receiver<Message>, UnixStream)> {
    let (wake, wakes) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    wakes.set_nonblocking(true)?;
    let (messages, receiver) = crossbeam_channel::unbounded();
    Ok((InboxSender { messages, wake }, receiver, wakes))
}
