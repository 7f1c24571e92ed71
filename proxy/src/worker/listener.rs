//! Accepting connections.

use std::fmt;
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

/// Pause after an error that does not pass by itself at once, and while no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two lines about the same entry point.
const SAID_EVERY_MS: u64 = 10_000;

/// Accepts until the listener is shut down.
pub(super) async fn accept_all(local: Rc<Local>, entry: Rc<EntryPointLimits>, listener: Listener) {
    let accept_end = local.descriptors.accept_end(entry.uses_reserve);
    let mut said_at_ms = None;
    loop {
        let accepted = listener.accept().await;
        if accepted.is_err() && local.is_stopping.get() {
            return;
        }
        let error = match accepted {
            Ok((stream, peer)) => {
                let is_last = stream.fd() >= accept_end;
                serve(&local, &entry, stream, peer);
                if !is_last {
                    continue;
                }
                Errno::MFILE.into()
            }
            Err(error) => error,
        };
        let now_ms = local.clock.now_ms();
        if said_at_ms.is_none_or(|said_at_ms| now_ms >= said_at_ms + SAID_EVERY_MS) {
            said_at_ms = Some(now_ms);
            tracing::warn!("entry point {}: cannot accept: {}", entry.name, Reason(&error));
        }
        if is_passing(&error) {
            continue;
        }
        if is_exhaustion(&error) {
            local.descriptors.note_refused();
        }
        sleep(PAUSE).await;
        // Clients wait in the kernel's queue; those that idle make room (the sweeper's choice).
        while !local.is_stopping.get() && local.descriptors.is_at(accept_end) {
            sleep(PAUSE).await;
        }
    }
}

/// An error of accept(2), and what can be done about it.
struct Reason<'e>(&'e io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if is_exhaustion(self.0) {
            f.write_str("; clients wait; raise LimitNOFILE= or `ulimit -n`")?;
        }
        Ok(())
    }
}

/// No descriptors are left to the process, or to the system.
fn is_exhaustion(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
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
