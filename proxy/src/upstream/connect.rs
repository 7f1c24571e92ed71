//! Connecting to a server: its addresses in turn, within the dial timeout.

use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Lease;
use crate::cluster::Server;
use crate::io;

/// Why no address of a server took the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Refused, unreachable, or its name does not resolve.
    Refused,
    /// The dial timeout passed.
    TimedOut,
    /// This process has no descriptors or ports left: nothing is wrong with the server.
    Exhausted,
}

/// Connects to the first address of `server` that takes it; `limit` holds for each address. A
/// socket whose number is `fd_end` or more is closed again: what is left is not for servers.
///
/// # Errors
/// [`ConnectError`] of the last address.
pub async fn connect(
    server: &Server,
    limit: Option<Duration>,
    fd_end: RawFd,
) -> Result<Lease, ConnectError> {
    let mut error = ConnectError::Refused;
    let mut position = 0;
    loop {
        // Looked up each time round: they may change while an attempt waits.
        let address = server.addresses().get(position).cloned();
        let Some(address) = address else { return Err(error) };
        match io::connect(&address, limit).await {
            Ok(stream) if stream.fd() >= fd_end => return Err(ConnectError::Exhausted),
            Ok(stream) => return Ok(Lease { stream, address, is_reused: false }),
            Err(refused) => error = classify(&refused),
        }
        position += 1;
    }
}

fn classify(error: &std::io::Error) -> ConnectError {
    use rustix::io::Errno;
    if error.kind() == ErrorKind::TimedOut {
        return ConnectError::TimedOut;
    }
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    match error.raw_os_error() {
        Some(code) if exhausted.iter().any(|it| it.raw_os_error() == code) => {
            ConnectError::Exhausted
        }
        _ => ConnectError::Refused,
    }
}
