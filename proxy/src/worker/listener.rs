//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use crate::conn::cap::ConnectionCap;
use crate::conn::local::{Counters, EntryPointLimits, Local};
use crate::conn::{self, Connection};
use crate::io::{Listener, Stream, sleep, spawn};
use crate::sys::{self, Direction};

/// Pause after an error that does not pass by itself at once (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the listener is shut down.
pub(super) async fn accept_all(local: Rc<Local>, entry: Rc<EntryPointLimits>, listener: Listener) {
    let mut said_at_ms = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => serve(&local, &entry, stream, peer),
            Err(_) if local.is_stopping.get() => return,
            Err(error) => {
                let now_ms = local.clock.now_ms();
                if said_at_ms.is_none_or(|said_at_ms| now_ms >= said_at_ms + 1_000) {
                    said_at_ms = Some(now_ms);
                    tracing::warn!("entry point {}: cannot accept: {error}", entry.name);
                }
                if !is_passing(&error) {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Errors of the connection that was to be accepted, not of the listener (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    let passing = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::PERM,
    ];
    passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn serve(local: &Rc<Local>, entry: &Rc<EntryPointLimits>, stream: Stream, peer: SocketAddr) {
    let place = local.caps.connections.as_ref().map(ConnectionCap::take);
    if let Some(None) = place {
        // One too many: a reset costs nobody anything, and the client knows at once.
        sys::reset_on_close(stream.fd());
        return;
    }
    let mut connection = Connection::new(Rc::clone(local), Rc::clone(entry), stream, peer);
    if !connection.is_admitted() {
        return;
    }
    let local = Rc::clone(local);
    spawn(async move {
        let _place = place;
        if !conn::serve(connection).await {
            Counters::add(&local.counters.panics);
            tracing::error!("a connection from {peer} ended in a panic; others go on");
        }
    });
}

/// Serves what is queued, then stops listening: shutting a listener down would reset its queue.
pub(super) fn drain_and_shut(local: &Rc<Local>, entry: &Rc<EntryPointLimits>, listener: RawFd) {
    while let Some(stream) = sys::try_accept(listener) {
        let Ok(peer) = stream.peer_addr() else { continue };
        if let Ok(stream) = Stream::from_std(stream) {
            serve(local, entry, stream, peer);
        }
    }
    sys::shutdown(listener, Direction::Both);
}
