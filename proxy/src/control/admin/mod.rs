//! The desk where operators ask: the entry points of the control thread and the Unix socket. Owns
//! both listeners and their connections; what is asked goes to [`super::run`] as an [`Ask`], so that
//! two operators are answered one after the other.

pub mod client;
mod list;
mod path;
mod prometheus;
mod render;
mod reply;
mod serve;
mod shape;
mod socket;
mod text;
mod view;
mod write;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sundew_config::model::{EntryPointIndex, StaticModel};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use serve::Facts;
use socket::OwnerSocket;
pub use view::{Ask, Change, Refusal, View};
use write::Origin;

/// Connections of operators at a time, on both doors together: they must not eat what clients need.
const CONNECTIONS_MAX: usize = 64;

/// Questions that wait for the control thread.
const ASKS_MAX: usize = 64;

/// After an accept that failed, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listeners, and the questions that come through them.
#[derive(Debug)]
pub struct Desk {
    asks: mpsc::Receiver<Ask>,
    // Kept, so that `asks` stays open without a listener.
    _sender: mpsc::Sender<Ask>,
    accepting: Vec<AbortHandle>,
    _socket: Option<OwnerSocket>,
}

impl Desk {
    /// Begins to listen, on `listeners` of its entry points and on the socket that `statics` names.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub fn open(
        statics: &Arc<StaticModel>,
        listeners: Vec<(EntryPointIndex, TcpListener)>,
    ) -> io::Result<Self> {
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let facts = Arc::new(Facts {
            statics: Arc::clone(statics),
            started: SystemTime::now(),
            asks: sender.clone(),
        });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut accepting = Vec::new();
        for (point, listener) in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let task = accept_peers(listener, point, Arc::clone(&facts), Arc::clone(&places));
            accepting.push(tokio::spawn(task).abort_handle());
        }
        let mut socket = None;
        if let Some(path) = &statics.admin.socket {
            let (bound, listener) = OwnerSocket::bind(path)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let task = accept_owner(listener, facts, places);
            accepting.push(tokio::spawn(task).abort_handle());
            socket = Some(bound);
        }
        Ok(Self { asks, _sender: sender, accepting, _socket: socket })
    }

    /// The next question. Cancelling it loses none.
    pub async fn next(&mut self) -> Ask {
        match self.asks.recv().await {
            Some(ask) => ask,
            // Not reached: `self` holds a sender.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.accepting.iter().for_each(AbortHandle::abort);
    }
}

async fn accept_peers(
    listener: tokio::net::TcpListener,
    point: EntryPointIndex,
    facts: Arc<Facts>,
    places: Arc<Semaphore>,
) {
    loop {
        // Fails only when the semaphore is closed, which it never is.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let origin = Origin::Peer(peer.ip(), point);
                tokio::spawn(serve::connection(stream, origin, Arc::clone(&facts), place));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn accept_owner(
    listener: tokio::net::UnixListener,
    facts: Arc<Facts>,
    places: Arc<Semaphore>,
) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let facts = Arc::clone(&facts);
                tokio::spawn(serve::connection(stream, Origin::Socket, facts, place));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
